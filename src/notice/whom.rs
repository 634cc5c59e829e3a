//! Who is told about a message: the authenticated identity, otherwise MAIL FROM if it is ours, otherwise the
//! admin. Never an outside MAIL FROM, which any client may have forged.

use super::Letterhead;
use super::people::authors;
use crate::message::Address;
use crate::store::{Origin, StoredMessage};

/// Who is told in the sender's place.
pub(super) struct Addressee {
    pub(super) address: Address,
    /// False if it is the admin, because the sender cannot be told.
    pub(super) is_sender: bool,
}

/// Who is told about what concerns the sender; `None` if there is nobody, and for our own mail.
pub(super) fn sender_of(message: &StoredMessage, letterhead: &Letterhead) -> Option<Addressee> {
    let Origin::Client { identity, .. } = &message.origin else { return None };
    if let Some(address) = identity.as_deref().and_then(|identity| Address::parse(identity).ok()) {
        return Some(Addressee { address, is_sender: true });
    }
    if let Some(sender) = message.envelope.sender.as_ref().filter(|sender| is_ours(sender, letterhead)) {
        return Some(Addressee { address: sender.clone(), is_sender: true });
    }
    letterhead.admin.clone().map(|address| Addressee { address, is_sender: false })
}

/// The senders of a message, who may not decide on it.
pub(super) fn owners(message: &StoredMessage) -> Vec<Address> {
    let identity = match &message.origin {
        Origin::Client { identity, .. } => identity.as_deref().and_then(|text| Address::parse(text).ok()),
        Origin::Own { .. } => None,
    };
    message.envelope.sender.iter().cloned().chain(authors(message)).chain(identity).collect()
}

/// The approvers of a message: those assigned to it, otherwise the general approvers, otherwise the admin;
/// never its senders. They may be outside addresses, since the configuration names them.
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

/// Who is alerted: the approvers and the admin.
pub(super) fn alerted(message: &StoredMessage, letterhead: &Letterhead) -> Vec<Address> {
    let mut all = deciders_of(message, letterhead);
    all.extend(letterhead.admin.clone());
    others(all, &[])
}

/// The candidates without the senders, each once.
fn others(candidates: Vec<Address>, owners: &[Address]) -> Vec<Address> {
    let mut out: Vec<Address> = Vec::new();
    for address in candidates {
        if owners.iter().chain(&out).all(|other| other.key() != address.key()) {
            out.push(address);
        }
    }
    out
}

/// Whether an address is ours. If the organisation depends on the sender, the address itself is taken as the
/// sender.
pub(super) fn is_ours(address: &Address, letterhead: &Letterhead) -> bool {
    letterhead.organisation.for_sender(Some(address)).is_internal(address)
}
