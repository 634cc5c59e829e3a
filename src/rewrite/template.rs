//! The template of a message's copies: ranges that all copies share, and slots where they differ.

use super::compose;
use super::dkim::Signature;
use super::draft::Draft;
use super::fields::{self, Rule};
use crate::message::{Address, Field, HeaderEdits, address};
use std::collections::HashSet;
use std::ops::Range;

/// The address fields of one copy. If `cc` is empty, the copy has no Cc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addressees {
    pub(super) to: Vec<u8>,
    pub(super) cc: Vec<u8>,
}

impl Addressees {
    pub(super) fn is_ascii(&self) -> bool {
        self.to.is_ascii() && self.cc.is_ascii()
    }
}

/// A message's header as a template for its copies.
pub(super) struct Template<'a> {
    original: &'a [u8],
    slots: Vec<Slot>,
    /// Names of the fields that differ from the original in all copies (lower case).
    changed: Vec<String>,
    /// Addresses that a `Naming` slot must not show, except to their owner.
    hidden: HashSet<&'a Address>,
}

enum Slot {
    /// The same in every copy.
    Keep(Range<usize>),
    /// A field that we write, the same in every copy.
    Insert(Vec<u8>),
    /// The copy's To and Cc.
    Addressees,
    /// Kept unless it names somebody who is hidden from this copy.
    Naming { field: &'static str, range: Range<usize>, names: Vec<Address> },
    /// Kept if the edits of the copy do not break the signature.
    Dkim { range: Range<usize>, signature: Signature },
}

impl<'a> Template<'a> {
    /// For a passed message: keeps all fields except those that never leave and those in `going`, and adds a
    /// missing Date and Message-ID.
    pub(super) fn passed(draft: &Draft<'a>, going: &[&Field]) -> Self {
        let mut template = Self::start(draft, false);
        let rebuilt = !draft.dropped.is_empty();
        template.changed = changed_in_passed(draft, going);
        let mut placed = false;
        for field in draft.header.fields() {
            let name = draft.header.name(field);
            let addressee = name.eq_ignore_ascii_case(b"to") || name.eq_ignore_ascii_case(b"cc");
            if fields::never_leaves(name) || going.contains(&field) {
                continue;
            }
            if rebuilt && addressee {
                if !placed {
                    template.slots.push(Slot::Insert(rebuilt_addressees(draft)));
                    placed = true;
                }
            } else if !template.changed.is_empty() && name.eq_ignore_ascii_case(b"dkim-signature") {
                let signature = Signature::read(draft.header.body(field));
                let shows_dropped = rebuilt && !signature.survives(&[], None);
                if !shows_dropped && !signature.covers(&template.changed) {
                    template.keep(field);
                }
            } else {
                template.keep(field);
            }
        }
        template.finish(draft)
    }

    /// For a rewritten message: keeps the fields of the allow-list, with slots where copies differ. `alike` says
    /// that the copies will be identical.
    pub(super) fn rewritten(draft: &Draft<'a>, alike: bool) -> Self {
        let mut template = Self::start(draft, alike);
        template.hidden = draft.needles.addresses().iter().collect();
        template.changed = vec!["to".to_owned(), "cc".to_owned()];
        let mut placed = false;
        for field in draft.header.fields() {
            let name = draft.header.name(field);
            match fields::rule(name, draft.options) {
                Rule::Keep => template.keep(field),
                Rule::Drop => template.drop_field(name),
                Rule::Addressee if placed => {}
                Rule::Addressee => {
                    template.slots.push(Slot::Addressees);
                    placed = true;
                }
                Rule::Sender if all_internal(draft, field) => template.keep(field),
                Rule::DispositionNotificationTo if equals_from(draft, field) => template.keep(field),
                Rule::TnefCorrelator if draft.facts.body.tnef.is_some() => template.keep(field),
                Rule::Sender | Rule::DispositionNotificationTo | Rule::TnefCorrelator => {
                    template.drop_field(name);
                }
                Rule::ReplyTo => template.reply_to(draft, field),
                Rule::Received => template.received(draft, field),
                Rule::DkimSignature => {
                    let signature = Signature::read(draft.header.body(field));
                    template.slots.push(Slot::Dkim { range: field.whole.clone(), signature });
                }
            }
        }
        if !placed {
            template.slots.push(Slot::Addressees);
        }
        template.finish(draft)
    }

    fn start(draft: &Draft<'a>, alike: bool) -> Self {
        Self {
            original: draft.header.bytes(),
            slots: vec![Slot::Insert(compose::received(draft.stamp, alike))],
            changed: Vec::new(),
            hidden: HashSet::new(),
        }
    }

    fn finish(mut self, draft: &Draft<'a>) -> Self {
        if lacks_date(draft) {
            self.slots.push(Slot::Insert(compose::date(draft.stamp)));
            self.drop_field(b"date");
        }
        if lacks_message_id(draft) {
            self.slots.push(Slot::Insert(compose::message_id(draft.stamp)));
            self.drop_field(b"message-id");
        }
        self
    }

    fn keep(&mut self, field: &Field) {
        match self.slots.last_mut() {
            Some(Slot::Keep(range)) if range.end == field.whole.start => range.end = field.whole.end,
            _ => self.slots.push(Slot::Keep(field.whole.clone())),
        }
    }

    fn drop_field(&mut self, name: &[u8]) {
        self.changed.push(String::from_utf8_lossy(name).to_ascii_lowercase());
    }

    fn reply_to(&mut self, draft: &Draft<'_>, field: &Field) {
        let list = address::parse_list(draft.header.body(field));
        if list.problems.is_empty() {
            let names = list.mailboxes.into_iter().map(|mailbox| mailbox.address).collect();
            self.slots.push(Slot::Naming { field: "reply-to", range: field.whole.clone(), names });
        } else {
            self.drop_field(b"reply-to");
        }
    }

    fn received(&mut self, draft: &Draft<'_>, field: &Field) {
        let hits = draft.needles.search_header(&draft.header.bytes()[field.whole.clone()]);
        if hits.is_empty() {
            self.keep(field);
        } else {
            let names = hits.into_iter().map(|hit| hit.address).collect();
            self.slots.push(Slot::Naming { field: "received", range: field.whole.clone(), names });
        }
    }

    fn stays(&self, names: &[Address], reader: Option<&Address>) -> bool {
        !names.iter().any(|name| self.hidden.contains(name) && Some(name) != reader)
    }

    /// Names of the fields in which this copy differs from the original.
    fn changed_for(&self, reader: Option<&Address>) -> Vec<String> {
        let mut changed = self.changed.clone();
        for slot in &self.slots {
            if let Slot::Naming { field, names, .. } = slot
                && !self.stays(names, reader)
            {
                changed.push((*field).to_owned());
            }
        }
        changed
    }

    /// The edits of one copy. `reader` is `None` if the copies are the same for all. `addressees` is `None` for
    /// passed mail, which keeps its own address fields.
    pub(super) fn edits(&self, reader: Option<&Address>, addressees: Option<&Addressees>) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        for slot in &self.slots {
            match slot {
                Slot::Keep(range) => edits.keep(range.clone()),
                Slot::Insert(bytes) => edits.insert(bytes.clone()),
                Slot::Addressees => {
                    if let Some(addressees) = addressees {
                        edits.insert(addressees.to.clone());
                        edits.insert(addressees.cc.clone());
                    }
                }
                Slot::Naming { range, names, .. } if self.stays(names, reader) => edits.keep(range.clone()),
                Slot::Dkim { range, signature }
                    if signature.survives(&self.changed_for(reader), reader.map(Address::domain_key)) =>
                {
                    edits.keep(range.clone());
                }
                Slot::Naming { .. } | Slot::Dkim { .. } => {}
            }
        }
        edits
    }

    /// The bytes that all copies share, which are audited once.
    pub(super) fn shared_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.original.len());
        for slot in &self.slots {
            match slot {
                Slot::Keep(range) => bytes.extend_from_slice(&self.original[range.clone()]),
                Slot::Insert(own) => bytes.extend_from_slice(own),
                Slot::Addressees | Slot::Naming { .. } | Slot::Dkim { .. } => {}
            }
        }
        bytes
    }

    /// The bytes that are specific to this copy: its address fields and the slots that it keeps.
    pub(super) fn own_bytes(&self, reader: Option<&Address>, addressees: &Addressees) -> Vec<u8> {
        let mut bytes = [addressees.to.as_slice(), addressees.cc.as_slice()].concat();
        for slot in &self.slots {
            match slot {
                Slot::Naming { range, names, .. } if self.stays(names, reader) => {
                    bytes.extend_from_slice(&self.original[range.clone()]);
                }
                Slot::Dkim { range, signature }
                    if signature.survives(&self.changed_for(reader), reader.map(Address::domain_key)) =>
                {
                    bytes.extend_from_slice(&self.original[range.clone()]);
                }
                _ => {}
            }
        }
        bytes
    }

    /// Whether a field of the template has octets above 127.
    pub(super) fn is_eight_bit(&self) -> bool {
        self.slots.iter().any(|slot| match slot {
            Slot::Keep(range) | Slot::Naming { range, .. } | Slot::Dkim { range, .. } => {
                !self.original[range.clone()].is_ascii()
            }
            Slot::Insert(bytes) => !bytes.is_ascii(),
            Slot::Addressees => false,
        })
    }
}

fn lacks_date(draft: &Draft<'_>) -> bool {
    draft.header.named("date").next().is_none()
}

fn lacks_message_id(draft: &Draft<'_>) -> bool {
    draft.facts.message_id.is_none() && draft.header.named("message-id").next().is_none()
}

/// Names of the fields that a passed mail loses or gets (lower case), which break a signature over them.
fn changed_in_passed(draft: &Draft<'_>, going: &[&Field]) -> Vec<String> {
    let fields = draft.header.fields().iter();
    let mut changed: Vec<String> = fields
        .filter(|field| fields::never_leaves(draft.header.name(field)) || going.contains(field))
        .map(|field| draft.header.name(field))
        .map(|name| String::from_utf8_lossy(name).to_ascii_lowercase())
        .collect();
    let rebuilt = !draft.dropped.is_empty();
    let added = [
        ("to", rebuilt),
        ("cc", rebuilt),
        ("date", lacks_date(draft)),
        ("message-id", lacks_message_id(draft)),
    ];
    changed.extend(added.iter().filter(|(_, is)| *is).map(|(name, _)| (*name).to_owned()));
    changed
}

fn rebuilt_addressees(draft: &Draft<'_>) -> Vec<u8> {
    let to = compose::remaining(draft.header, "to", draft.dropped);
    let cc = compose::remaining(draft.header, "cc", draft.dropped);
    let mut fields = compose::address_field("To", &to).unwrap_or_default();
    fields.extend(compose::address_field("Cc", &cc).unwrap_or_default());
    if fields.is_empty() { compose::UNDISCLOSED.to_vec() } else { fields }
}

fn all_internal(draft: &Draft<'_>, field: &Field) -> bool {
    let list = address::parse_list(draft.header.body(field));
    list.problems.is_empty()
        && list.mailboxes.iter().all(|mailbox| draft.organisation.is_internal(&mailbox.address))
}

fn equals_from(draft: &Draft<'_>, field: &Field) -> bool {
    let list = address::parse_list(draft.header.body(field));
    let from: Vec<&Address> = draft.facts.from.iter().map(|mailbox| &mailbox.address).collect();
    list.problems.is_empty() && list.mailboxes.iter().all(|mailbox| from.contains(&&mailbox.address))
}
