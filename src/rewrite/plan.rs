//! Plans the copies of one message as the policy decided (`docs/MAIL.md` §§2–3), and audits each of them before
//! it is stored.

use super::compose::{self, UNDISCLOSED};
pub use super::draft::{Copies, CopyOptions, Draft, Stamp};
use super::fields;
use super::template::{Addressees, Template};
use super::{Delivery, Hit, Needles};
use crate::message::fork::ForkGroup;
use crate::message::{Address, Envelope, Field, Header, HeaderEdits, Recipient};
use crate::policy::facts::{Disclosed, ShownIn, Visible};
use crate::policy::{Disclosure, Facts, Organisation};
use std::collections::{HashMap, HashSet};

/// All addresses that some copy of this message may have to hide: outside recipients in the header and the
/// envelope, and internal recipients in no visible field. The addresses of From and Sender are never hidden.
pub fn needles(facts: &Facts, organisation: &Organisation) -> Vec<Address> {
    let own: HashSet<&Address> = authors(facts).collect();
    // An address in both To and Bcc is visible.
    let blind = facts.bcc_header.iter().filter(|address| !facts.open.contains(*address));
    let envelope_only: HashSet<&Address> = facts.envelope_only.iter().chain(blind).collect();
    let mut seen = HashSet::new();
    let mut hidden: Vec<Address> = shown_recipients(facts)
        .map(|visible| &visible.mailbox.address)
        .chain(&facts.recipients)
        .chain(&facts.bcc_header)
        .filter(|address| !organisation.is_internal(address) || envelope_only.contains(address))
        .filter(|address| !own.contains(address) && seen.insert(*address))
        .cloned()
        .collect();
    // There is nobody to hide a sole recipient from.
    if let [only] = facts.recipients.as_slice() {
        hidden.retain(|address| address != only);
    }
    hidden
}

/// Plans and audits the copies. `Ask` is not a way to send and is planned as `Split`.
///
/// # Errors
/// The hits of the audit, because of which the message is held.
pub fn copies(draft: &Draft<'_>, disclosure: Disclosure) -> Result<Copies, Vec<Hit>> {
    let recipients: Vec<&Recipient> = draft
        .envelope
        .recipients
        .iter()
        .filter(|recipient| !draft.dropped.contains(&recipient.address))
        .collect();
    match disclosure {
        Disclosure::AsIs => as_is(draft, &recipients),
        Disclosure::Bcc => rewritten(draft, &recipients, Looks::Alike),
        Disclosure::Ask | Disclosure::Split => rewritten(draft, &recipients, Looks::Own),
    }
}

/// Copies as the sender wrote them, without an audit: for observe mode, and after an approver acknowledged the
/// hits.
pub fn unaudited(draft: &Draft<'_>) -> Copies {
    let recipients: Vec<&Recipient> = draft
        .envelope
        .recipients
        .iter()
        .filter(|recipient| !draft.dropped.contains(&recipient.address))
        .collect();
    let mut copies = pass(draft, &recipients, false);
    copies.needles.clear();
    copies
}

/// Copies of a message whose header could not be parsed and which is released as is. Each recipient gets a
/// transaction of their own, and lines that look like Bcc are still removed.
pub fn unread(envelope: &Envelope, header: &[u8], stamp: &Stamp, dropped: &[Address]) -> Copies {
    let mut edits = HeaderEdits::new();
    edits.insert(compose::received(stamp, false));
    let mut keeping = true;
    let mut start = 0;
    for line in header.split_inclusive(|byte| *byte == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            keeping = !fields::never_leaves(name.trim_ascii());
        }
        if keeping {
            edits.keep(start..start + line.len());
        }
        start += line.len();
    }
    let deliveries = envelope
        .recipients
        .iter()
        .filter(|recipient| !dropped.contains(&recipient.address))
        .map(|recipient| delivery(envelope, &[recipient], edits.clone(), false, !header.is_ascii()))
        .collect();
    Copies { deliveries, ..Copies::default() }
}

/// Copies of mail that the relay wrote: unchanged except for the trace field, one transaction for each recipient.
pub fn own(header: &Header, to: &[Address], stamp: &Stamp) -> Vec<Delivery> {
    let mut edits = HeaderEdits::new();
    edits.insert(compose::received(stamp, false));
    edits.keep(0..header.bytes().len());
    to.iter()
        .map(|address| Delivery {
            needs_utf8: address.needs_utf8() || !header.bytes().is_ascii(),
            recipients: vec![Recipient::plain(address.clone())],
            edits: edits.clone(),
            rewritten: false,
            shows: Vec::new(),
        })
        .collect()
}

/// Whether the copies of a rewritten message are identical to the byte, or differ by recipient.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Looks {
    Alike,
    Own,
}

fn authors(facts: &Facts) -> impl Iterator<Item = &Address> {
    facts.from.iter().chain(&facts.sender).map(|mailbox| &mailbox.address)
}

fn shown_recipients(facts: &Facts) -> impl Iterator<Item = &Visible> {
    facts.visible.iter().filter(|visible| {
        matches!(visible.field, ShownIn::To | ShownIn::Cc | ShownIn::ResentTo | ShownIn::ResentCc)
    })
}

/// Copies as the sender wrote them: recipients that the header names share one transaction, and each other one has
/// their own. `discreet` leaves out fields that the sender's system wrote for itself and that name somebody hidden.
fn pass(draft: &Draft<'_>, recipients: &[&Recipient], discreet: bool) -> Copies {
    let authors: HashSet<&Address> = authors(draft.facts).collect();
    // A Bcc recipient may be in another transaction, for Exchange and Google send one for each.
    let elsewhere = draft.facts.bcc_header.iter().filter(|address| !draft.facts.open.contains(*address));
    let searched = draft.facts.envelope_only.iter().chain(elsewhere).chain(draft.dropped);
    let needles: Vec<Address> = searched.filter(|address| !authors.contains(address)).cloned().collect();
    let going = if discreet { naming(draft, recipients, &needles) } else { Vec::new() };
    let template = Template::passed(draft, &going);
    let (edits, eight_bit) = (template.edits(None, None), !draft.header.bytes().is_ascii());
    let hidden: HashSet<&Address> = draft.facts.envelope_only.iter().collect();
    let (alone, together): (Vec<&Recipient>, Vec<&Recipient>) =
        recipients.iter().partition(|recipient| hidden.contains(&recipient.address));
    let mut deliveries = Vec::with_capacity(alone.len() + 1);
    if !together.is_empty() {
        deliveries.push(delivery(draft.envelope, &together, edits.clone(), false, eight_bit));
    }
    deliveries
        .extend(alone.iter().map(|one| delivery(draft.envelope, &[one], edits.clone(), false, eight_bit)));
    let mut left_out: Vec<String> =
        going.iter().map(|field| String::from_utf8_lossy(draft.header.name(field)).into_owned()).collect();
    left_out.dedup();
    Copies { deliveries, needles, ledger: disclosed(draft, recipients), left_out }
}

/// Fields of a passed mail that would disclose a hidden recipient and that no recipient needs: traces of the
/// sender's own system (`Envelope-To`, a scanner's report).
fn naming<'a>(draft: &Draft<'a>, recipients: &[&Recipient], hidden: &[Address]) -> Vec<&'a Field> {
    let disclosed = |address: &Address| {
        hidden.contains(address) && recipients.iter().any(|recipient| recipient.address != *address)
    };
    if hidden.is_empty() {
        return Vec::new();
    }
    let header = draft.header;
    let goes = |field: &&Field| {
        fields::may_go(header.name(field), draft.options)
            && draft
                .needles
                .search_header(&header.bytes()[field.whole.clone()])
                .iter()
                .any(|hit| disclosed(&hit.address))
    };
    header.fields().iter().filter(goes).collect()
}

fn as_is(draft: &Draft<'_>, recipients: &[&Recipient]) -> Result<Copies, Vec<Hit>> {
    let copies = pass(draft, recipients, true);
    if copies.needles.is_empty() {
        return Ok(copies);
    }
    let Some(first) = copies.deliveries.first() else { return Ok(copies) };
    // Edits that do not fit the header cannot be audited, so the copy must not be sent.
    let rendered = first.edits.render(draft.header.bytes()).map_err(|_| Vec::<Hit>::new())?;
    let searched: HashSet<&Address> = copies.needles.iter().collect();
    let found: Vec<Hit> = draft
        .needles
        .search_header(&rendered)
        .into_iter()
        .chain(draft.needles.search_sender(draft.envelope.sender.as_ref()))
        .filter(|hit| searched.contains(&hit.address))
        .collect();
    let shown_to_another = |hit: &Hit| copies.deliveries.iter().any(|copy| !copy.may_show(&hit.address));
    let hits: Vec<Hit> = found.into_iter().filter(shown_to_another).collect();
    if hits.is_empty() { Ok(copies) } else { Err(hits) }
}

/// The ledger entry of a passed mail: the addresses that everybody saw and that a copy goes to. `None` if nobody
/// sees anybody else. Also `None` after an exemption: otherwise one exemption, which a client can bring about,
/// would be permanent.
fn disclosed(draft: &Draft<'_>, recipients: &[&Recipient]) -> Option<Disclosed> {
    let got: HashSet<&Address> = recipients.iter().map(|recipient| &recipient.address).collect();
    let shown = || shown_recipients(draft.facts).map(|visible| &visible.mailbox.address);
    let addresses: Vec<Address> = shown()
        .filter(|address| got.contains(address) && !draft.dropped.contains(address))
        .cloned()
        .collect();
    let disclosing = !draft.exempt && !addresses.is_empty() && shown().nth(1).is_some();
    disclosing.then(|| Disclosed {
        mail: draft.mail.map(hexadecimal).unwrap_or_default(),
        message_id: draft
            .facts
            .message_id
            .clone()
            .unwrap_or_else(|| compose::synthesised_message_id(draft.stamp)),
        from: draft.facts.from.first().map(|mailbox| mailbox.address.clone()),
        addresses,
    })
}

fn hexadecimal(group: &ForkGroup) -> String {
    use std::fmt::Write as _;
    group.octets().iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

fn rewritten(draft: &Draft<'_>, recipients: &[&Recipient], looks: Looks) -> Result<Copies, Vec<Hit>> {
    let people = People::of(draft);
    let template = Template::rewritten(draft, looks == Looks::Alike);
    let mut audit = CopyAudit::new(draft);
    audit.shared(&template.shared_bytes());
    let mut deliveries = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let (reader, addressees) = match looks {
            Looks::Alike => (None, people.for_all()),
            Looks::Own => (Some(&recipient.address), people.for_one(&recipient.address)),
        };
        let internal = draft.organisation.is_internal(&recipient.address);
        let shows_externals = internal && draft.options.show_external_to_internal && looks == Looks::Own;
        let eight_bit = template.is_eight_bit() || !addressees.is_ascii();
        let edits = template.edits(reader, Some(&addressees));
        let mut copy = delivery(draft.envelope, &[recipient], edits, true, eight_bit);
        if shows_externals {
            copy.shows.clone_from(&people.externals);
        }
        audit.copy(&copy, &template.own_bytes(reader, &addressees));
        deliveries.push(copy);
    }
    let hits = audit.finish();
    if hits.is_empty() {
        Ok(Copies { deliveries, needles: draft.needles.addresses().to_vec(), ..Copies::default() })
    } else {
        Err(hits)
    }
}

/// The people for To and Cc of rewritten copies.
struct People {
    /// Visible mailboxes as copies show them, by address key.
    shown: HashMap<String, Vec<u8>>,
    internal_to: Vec<Vec<u8>>,
    internal_cc: Vec<Vec<u8>>,
    external_to: Vec<Vec<u8>>,
    external_cc: Vec<Vec<u8>>,
    externals: Vec<Address>,
    internal_keys: HashSet<String>,
    hide_internal: bool,
    show_external_to_internal: bool,
}

impl People {
    fn of(draft: &Draft<'_>) -> Self {
        let mut people = Self {
            shown: HashMap::new(),
            internal_to: Vec::new(),
            internal_cc: Vec::new(),
            external_to: Vec::new(),
            external_cc: Vec::new(),
            externals: Vec::new(),
            internal_keys: draft
                .envelope
                .recipients
                .iter()
                .filter(|recipient| draft.organisation.is_internal(&recipient.address))
                .map(|recipient| recipient.address.key().to_owned())
                .collect(),
            hide_internal: draft.options.hide_internal,
            show_external_to_internal: draft.options.show_external_to_internal,
        };
        for visible in shown_recipients(draft.facts) {
            if !draft.dropped.contains(&visible.mailbox.address) {
                people.add(visible);
            }
        }
        people
    }

    fn add(&mut self, visible: &Visible) {
        let Visible { mailbox, field, internal, .. } = visible;
        let bytes = compose::shown(mailbox);
        let key = mailbox.address.key().to_owned();
        let list = match (internal, field) {
            (true, ShownIn::To) => Some(&mut self.internal_to),
            (true, ShownIn::Cc) => Some(&mut self.internal_cc),
            (false, ShownIn::To) => Some(&mut self.external_to),
            (false, ShownIn::Cc) => Some(&mut self.external_cc),
            _ => None,
        };
        if let Some(list) = list {
            list.push(bytes.clone());
        }
        if !internal {
            self.externals.push(mailbox.address.clone());
        }
        self.shown.insert(key, bytes);
    }

    /// The address fields of the copy for one recipient.
    fn for_one(&self, recipient: &Address) -> Addressees {
        let (to, cc) = if self.internal_keys.contains(recipient.key()) {
            let mut to = self.internal_to.clone();
            let mut cc = self.internal_cc.clone();
            if self.show_external_to_internal {
                to.extend(self.external_to.iter().cloned());
                cc.extend(self.external_cc.iter().cloned());
            }
            (to, cc)
        } else {
            let own = self.shown.get(recipient.key()).cloned().unwrap_or_else(|| compose::bare(recipient));
            let mut cc = Vec::new();
            if !self.hide_internal {
                cc.extend(self.internal_to.iter().chain(&self.internal_cc).cloned());
            }
            (vec![own], cc)
        };
        Self::fields(&to, &cc)
    }

    /// The address fields that every copy shares.
    fn for_all(&self) -> Addressees {
        let to: Vec<Vec<u8>> = if self.hide_internal {
            Vec::new()
        } else {
            self.internal_to.iter().chain(&self.internal_cc).cloned().collect()
        };
        Self::fields(&to, &[])
    }

    fn fields(to: &[Vec<u8>], cc: &[Vec<u8>]) -> Addressees {
        Addressees {
            to: compose::address_field("To", to).unwrap_or_else(|| UNDISCLOSED.to_vec()),
            cc: compose::address_field("Cc", cc).unwrap_or_default(),
        }
    }
}

/// Audits the copies of one rewritten message. What they share is searched only once.
struct CopyAudit<'a> {
    needles: &'a Needles,
    /// Hits in what all copies share: the body and the kept fields.
    shared: Vec<Hit>,
    /// Hits that disclose somebody to the reader of a copy.
    disclosing: Vec<Hit>,
    seen: HashSet<Hit>,
}

impl<'a> CopyAudit<'a> {
    fn new(draft: &Draft<'a>) -> Self {
        Self {
            needles: draft.needles,
            shared: [draft.body_hits, &draft.needles.search_sender(draft.envelope.sender.as_ref())].concat(),
            disclosing: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn shared(&mut self, kept_fields: &[u8]) {
        self.shared.extend(self.needles.search_header(kept_fields));
    }

    fn copy(&mut self, copy: &Delivery, own_fields: &[u8]) {
        let own = self.needles.search_header(own_fields);
        let hits = self.shared.iter().chain(&own);
        for hit in hits {
            if !copy.may_show(&hit.address) && self.seen.len() < MAX_HITS && self.seen.insert(hit.clone()) {
                self.disclosing.push(hit.clone());
            }
        }
    }

    fn finish(self) -> Vec<Hit> {
        self.disclosing
    }
}

/// The maximum number of hits. They only explain the hold, which one hit causes.
const MAX_HITS: usize = 1_000;

fn delivery(
    envelope: &Envelope,
    to: &[&Recipient],
    edits: HeaderEdits,
    rewritten: bool,
    eight_bit: bool,
) -> Delivery {
    let recipients: Vec<Recipient> = to.iter().map(|recipient| (*recipient).clone()).collect();
    let utf8_address = recipients.iter().any(|recipient| recipient.address.needs_utf8())
        || envelope.sender.as_ref().is_some_and(Address::needs_utf8);
    Delivery {
        needs_utf8: utf8_address || (envelope.smtputf8 && eight_bit),
        recipients,
        edits,
        rewritten,
        shows: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
