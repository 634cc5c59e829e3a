//! Who is told about a message: the authenticated identity, else MAIL FROM if it is ours, else the
//! admin. Never a stranger: an outside MAIL FROM can be forged by whoever may relay here.

use super::Letterhead;
use crate::message::Address;
use crate::store::{Origin, StoredMessage};

/// Who is told in the sender's place, and whether it is the sender.
pub(super) struct Told {
    pub(super) address: Address,
    /// False: the admin, because the sender cannot be told.
    pub(super) is_sender: bool,
}

/// Who is told what concerns the sender; `None` when there is nobody, and for our own mail.
pub(super) fn sender_of(message: &StoredMessage, letterhead: &Letterhead) -> Option<Told> {
    let Origin::Client { identity, .. } = &message.origin else { return None };
    if let Some(address) = identity.as_deref().and_then(|identity| Address::parse(identity).ok()) {
        return Some(Told { address, is_sender: true });
    }
    if let Some(sender) = message.envelope.sender.as_ref().filter(|sender| is_ours(sender, letterhead)) {
        return Some(Told { address: sender.clone(), is_sender: true });
    }
    letterhead.admin.clone().map(|address| Told { address, is_sender: false })
}

/// Who decides: the approvers, or the admin where none are named. They are named in the configuration,
/// so they are told wherever they are.
pub(super) fn deciders(letterhead: &Letterhead) -> Vec<Address> {
    let mut out: Vec<Address> = Vec::new();
    for address in &letterhead.approvers {
        if !out.contains(address) {
            out.push(address.clone());
        }
    }
    if out.is_empty() {
        out.extend(letterhead.admin.clone());
    }
    out
}

/// Who is alerted: the deciders and the admin.
pub(super) fn alerted(letterhead: &Letterhead) -> Vec<Address> {
    let mut out = deciders(letterhead);
    out.extend(letterhead.admin.clone().filter(|admin| !letterhead.approvers.contains(admin)));
    out.dedup();
    out
}

/// Whether an address is ours, seen for itself where the organisation depends on who sends.
pub(super) fn is_ours(address: &Address, letterhead: &Letterhead) -> bool {
    letterhead.organisation.for_sender(Some(address)).is_internal(address)
}
