//! What is otherwise where copies for the journal come in: who may send is narrower, what they send is
//! others' mail, and nothing that is odd about it is a reason to send it back.

use super::Role;
use super::conversation::Conversation;
use super::guard::Demands;
use crate::intake::{Answer, Reception};
use bytes::Bytes;

impl Role {
    /// Whether copies come in here.
    pub(super) fn is_journal(&self) -> bool {
        matches!(self, Self::Journal { .. })
    }
}

impl Conversation {
    /// Whether anything is taken of this client. A copy is believed: of those with a password, only whom
    /// the listener names may send one, whatever network they are in.
    pub(super) fn may_send(&self) -> bool {
        match (&self.place.settings.role, &self.identity) {
            (Role::Relay, Some(_)) => true,
            (Role::Journal { users }, Some(identity)) => {
                users.iter().any(|user| user.eq_ignore_ascii_case(&identity.name))
            }
            (_, None) => self.client.admission.may_relay(),
        }
    }

    /// Why a client may send no copies.
    pub(super) fn no_source(&self, certificate: &str) -> String {
        if let Some(identity) = &self.identity {
            return format!("{} may not send copies for the journal here", identity.label());
        }
        let address = self.client.peer.ip();
        format!("{address} is no source of copies for the journal{certificate}")
    }

    /// What is asked of a copy's header: the secret of a tenant, where its host is one that many share.
    pub(super) fn demands_of_a_copy(&self) -> Demands {
        Demands {
            client: Some(self.client.peer),
            identity: self.label(),
            tenant: self.tenant().cloned(),
            counts: self.place.settings.access.counts.clone(),
            ..Demands::default()
        }
    }
}

/// Ends a copy in which something stood that no mail may have: whoever copied it did not write it. What was
/// not read of it counts as a NUL, so that a header that broke off is none.
pub(super) async fn despite_a_fault(mut reception: Box<dyn Reception>) -> Answer {
    match reception.write(Bytes::from_static(b"\0")).await {
        Ok(()) => reception.finish().await,
        Err(answer) => answer,
    }
}
