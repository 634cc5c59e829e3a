//! Who is told about a message: the authenticated identity, else MAIL FROM if it is ours, else the
//! admin. Never a stranger: an outside MAIL FROM can be forged by whoever may relay here.

use super::Letterhead;
use super::people::authors;
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

/// Whose mail it is: nobody decides on their own.
pub(super) fn owners(message: &StoredMessage) -> Vec<Address> {
    let identity = match &message.origin {
        Origin::Client { identity, .. } => identity.as_deref().and_then(|text| Address::parse(text).ok()),
        Origin::Own { .. } => None,
    };
    message.envelope.sender.iter().cloned().chain(authors(message)).chain(identity).collect()
}

/// Who decides on a message: those it was assigned to, else whoever decides on everything, else the
/// admin; never whose mail it is. They are named in the configuration, so they are told wherever they
/// are.
pub(super) fn deciders_of(message: &StoredMessage, letterhead: &Letterhead) -> Vec<Address> {
    let owners = owners(message);
    let keys = message.held.iter().flat_map(|held| &held.approvers);
    let assigned = keys.filter_map(|key| letterhead.spelled(key)).collect();
    let admin = letterhead.admin.iter().cloned().collect();
    for candidates in [assigned, letterhead.approvers.clone(), admin] {
        let found = others(candidates, &owners);
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Who is alerted: who decides, and the admin.
pub(super) fn alerted(message: &StoredMessage, letterhead: &Letterhead) -> Vec<Address> {
    let mut all = deciders_of(message, letterhead);
    all.extend(letterhead.admin.clone());
    others(all, &[])
}

/// These without the owners, each once.
fn others(candidates: Vec<Address>, owners: &[Address]) -> Vec<Address> {
    let mut out: Vec<Address> = Vec::new();
    for address in candidates {
        if owners.iter().chain(&out).all(|other| other.key() != address.key()) {
            out.push(address);
        }
    }
    out
}

/// Whether an address is ours, seen for itself where the organisation depends on who sends.
pub(super) fn is_ours(address: &Address, letterhead: &Letterhead) -> bool {
    letterhead.organisation.for_sender(Some(address)).is_internal(address)
}
