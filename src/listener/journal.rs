//! What differs on a listener for journal copies. Fewer clients may send, the copies bear other people's
//! addresses, and a malformed copy is accepted: refusing it would send it back to somebody who did not
//! write it.

use super::Role;
use super::conversation::Conversation;
use super::header_check::HeaderChecks;
use crate::intake::{Answer, Reception};
use bytes::Bytes;

impl Role {
    /// Whether the listener takes journal copies.
    pub(super) fn is_journal(&self) -> bool {
        matches!(self, Self::Journal { .. })
    }
}

impl Conversation {
    /// Whether this client may send here. Journal copies are trusted, so an authenticated user may send
    /// them only if the listener names that user, whatever network the client is in.
    pub(super) fn may_send(&self) -> bool {
        match (&self.shared.settings.role, &self.identity) {
            (Role::Relay, Some(_)) => true,
            (Role::Journal { users }, Some(identity)) => {
                users.iter().any(|user| user.eq_ignore_ascii_case(&identity.name))
            }
            (_, None) => self.client.admission.may_relay(),
        }
    }

    /// The text that tells a client why it may not send journal copies.
    pub(super) fn no_source(&self, certificate: &str) -> String {
        if let Some(identity) = &self.identity {
            return format!("{} may not send copies for the journal here", identity.label());
        }
        let address = self.client.peer.ip();
        format!("{address} may not send copies for the journal here{certificate}")
    }

    /// The checks for a copy's header: only the tenant secret, if the client is on a shared host.
    pub(super) fn checks_of_a_copy(&self) -> HeaderChecks {
        HeaderChecks {
            client: Some(self.client.peer),
            identity: self.label(),
            tenant: self.tenant().cloned(),
            counts: self.shared.settings.access.counts.clone(),
            ..HeaderChecks::default()
        }
    }
}

/// Finishes a copy whose content has a fault, such as a bare CR. The sender is not the author and could
/// not repair it. A NUL stands for the content after the fault, so that a truncated header cannot be
/// mistaken for a complete one.
pub(super) async fn despite_a_fault(mut reception: Reception) -> Answer {
    match reception.write(Bytes::from_static(b"\0")).await {
        Ok(()) => reception.finish().await,
        Err(answer) => answer,
    }
}
