//! The people that a message names: who would see whom, their organisations, and who is in neither To nor Cc.

use super::Letterhead;
use crate::message::address::parse_list;
use crate::message::{Address, Header};
use crate::policy::Organisation;
use crate::store::StoredMessage;
use std::collections::{BTreeMap, HashSet};

/// The people that a message names, as notices show them.
pub(super) struct People {
    /// Decides which addresses are ours, for this message.
    organisation: Organisation,
    /// Outside addresses in To and Cc, who would see each other; in order, each once.
    pub(super) exposed: Vec<Address>,
    /// Our own addresses in To and Cc.
    pub(super) colleagues: Vec<Address>,
    /// All recipients and people named, recipients first, each once.
    all: Vec<Address>,
    /// The addresses in To or Cc.
    visible: HashSet<Address>,
}

impl People {
    pub(super) fn of(message: &StoredMessage, letterhead: &Letterhead) -> Self {
        let from = addresses(message, &["From"]);
        let whose = message.envelope.sender.as_ref().or(from.first());
        let organisation = letterhead.organisation.for_sender(whose);
        let named = addresses(message, &["To", "Cc", "Resent-To", "Resent-Cc"]);
        let (mut seen, mut all) = (HashSet::new(), Vec::new());
        let envelope = message.envelope.recipients.iter().map(|recipient| &recipient.address);
        for address in envelope.chain(&named) {
            if seen.insert(address.clone()) {
                all.push(address.clone());
            }
        }
        let mut visible = HashSet::new();
        let (mut exposed, mut colleagues) = (Vec::new(), Vec::new());
        for address in named {
            if !from.contains(&address) && visible.insert(address.clone()) {
                let place = if organisation.is_internal(&address) { &mut colleagues } else { &mut exposed };
                place.push(address);
            }
        }
        Self { organisation, exposed, colleagues, all, visible }
    }

    pub(super) fn is_internal(&self, address: &Address) -> bool {
        self.organisation.is_internal(address)
    }

    /// The number of organisations of the exposed people.
    pub(super) fn organisations(&self) -> usize {
        self.exposed.iter().map(|address| self.organisation.of(address)).collect::<HashSet<_>>().len()
    }

    /// Everybody by organisation, each with whether To or Cc names them. Our own are under the empty name,
    /// which sorts first.
    pub(super) fn by_organisation(&self) -> BTreeMap<String, Vec<(&Address, bool)>> {
        let mut out: BTreeMap<String, Vec<(&Address, bool)>> = BTreeMap::new();
        for address in &self.all {
            let organisation =
                if self.is_internal(address) { String::new() } else { self.organisation.of(address) };
            out.entry(organisation).or_default().push((address, self.visible.contains(address)));
        }
        out
    }
}

/// The addresses in From.
pub(super) fn authors(message: &StoredMessage) -> Vec<Address> {
    addresses(message, &["From"])
}

/// The addresses in all fields with these names, in order; empty if the header cannot be read.
fn addresses(message: &StoredMessage, names: &[&str]) -> Vec<Address> {
    let Ok(header) = Header::parse(message.header.clone()) else { return Vec::new() };
    let fields = names.iter().flat_map(|name| header.named(name));
    fields.flat_map(|field| parse_list(header.body(field)).mailboxes).map(|mailbox| mailbox.address).collect()
}
