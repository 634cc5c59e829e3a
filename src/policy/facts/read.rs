//! Reads the facts from header and envelope: who it is from, who is visible, who counts (`docs/MAIL.md` §5).

use super::{Facts, Largest, ShownIn, Visible, form, ids};
use crate::message::address::{cross_check, parse_list};
use crate::message::header::decode_text;
use crate::message::named::{blind, named};
use crate::message::{Address, Envelope, Header, Mailbox};
use crate::policy::Organisation;
use crate::policy::organisation::{Affiliation, counting_key};
use std::collections::{HashMap, HashSet};

/// Visible fields of which every mailbox counts.
const SHOWN: [(&str, ShownIn); 4] = [
    ("to", ShownIn::To),
    ("cc", ShownIn::Cc),
    ("resent-to", ShownIn::ResentTo),
    ("resent-cc", ShownIn::ResentCc),
];

/// Visible fields of which only outside mailboxes count.
const SHOWN_OUTSIDE: [(&str, ShownIn); 3] = [
    ("reply-to", ShownIn::ReplyTo),
    ("mail-followup-to", ShownIn::MailFollowupTo),
    ("disposition-notification-to", ShownIn::DispositionNotificationTo),
];

/// Rare fields. A malformed one holds nothing; addresses in it are found by the search of the whole header.
const SELDOM: [&str; 4] = ["errors-to", "mail-reply-to", "return-receipt-to", "resent-from"];

/// Fields with hidden mailboxes.
const HIDDEN: [&str; 2] = ["bcc", "resent-bcc"];

/// Most mailboxes read from one header, over all fields; each takes some hundred octets of memory.
const MOST_MAILBOXES: usize = 10_000;

/// The problem that is noted beyond that limit.
const TOO_MANY: &str = "the header has more mailboxes than are read";

/// Most problems that are noted.
const MOST_PROBLEMS: usize = 20;

pub(super) fn read(
    organisation: &Organisation,
    envelope: &Envelope,
    header: Result<&Header, String>,
) -> Facts {
    let recipients: Vec<Address> = envelope.recipients.iter().map(|one| one.address.clone()).collect();
    let mut facts = Facts {
        mail_from: envelope.sender.clone(),
        outside_recipients: recipients.iter().filter(|one| !organisation.is_internal(one)).count(),
        report_envelope: envelope.sender.is_none() && recipients.len() == 1,
        recipients,
        ..Facts::default()
    };
    let header = match header {
        Ok(header) => header,
        Err(why) => {
            facts.problems.push(format!("the header cannot be read: {why}"));
            facts.envelope_only.clone_from(&facts.recipients);
            return facts;
        }
    };
    let mut reader = Reader { organisation, header, facts, form: HashSet::new(), room: MOST_MAILBOXES };
    reader.senders();
    reader.shown();
    reader.hidden();
    reader.texts();
    reader.count();
    reader.concern();
    reader.auto_forward();
    reader.form();
    reader.facts.problems.truncate(MOST_PROBLEMS);
    reader.facts
}

struct Reader<'a> {
    organisation: &'a Organisation,
    header: &'a Header,
    facts: Facts,
    /// The problems that are only about the form of an address field.
    form: HashSet<String>,
    /// How many more mailboxes may be read.
    room: usize,
}

impl Reader<'_> {
    /// Moves problems of form to the notes if they can disclose nobody.
    fn form(&mut self) {
        let problems = &self.facts.problems;
        if !problems.is_empty()
            && problems.iter().all(|problem| self.form.contains(problem))
            && form::shows_nobody_else(self.header, &self.facts, self.organisation)
        {
            self.facts.notes = std::mem::take(&mut self.facts.problems);
            self.facts.notes.truncate(MOST_PROBLEMS);
        }
    }

    fn form_problem(&mut self, problem: String) {
        self.form.insert(problem.clone());
        self.facts.problems.push(problem);
    }

    /// All mailboxes of all fields with that name; what cannot be read reliably becomes a problem.
    fn mailboxes(&mut self, name: &str) -> Vec<Mailbox> {
        let mut all = Vec::new();
        for field in self.header.named(name) {
            if self.room == 0 {
                self.facts.problems.push(TOO_MANY.to_owned());
                break;
            }
            let body = self.header.body(field);
            let mut list = parse_list(body);
            list.mailboxes.truncate(self.room);
            self.room -= list.mailboxes.len();
            let written = String::from_utf8_lossy(self.header.name(field)).into_owned();
            for problem in &list.problems {
                self.form_problem(format!("{written}: {problem}"));
            }
            if let Some(difference) = cross_check(body, &list) {
                self.form_problem(format!("{written}: {difference}"));
            }
            all.append(&mut list.mailboxes);
        }
        all
    }

    /// RFC 5322 §3.6: exactly one From field, at most one Sender. With two From fields it is unknown which
    /// one a mail program shows.
    fn senders(&mut self) {
        self.facts.from = self.mailboxes("from");
        match (self.header.named("from").count(), self.facts.from.len()) {
            (0, _) => self.facts.problems.push("there is no From field".to_owned()),
            (1, 0) => self.form_problem("From names nobody".to_owned()),
            (1, _) => {}
            (fields, _) => self.facts.problems.push(format!("there are {fields} From fields")),
        }
        let senders = self.mailboxes("sender");
        if senders.len() > 1 {
            self.facts.problems.push(format!("Sender names {} mailboxes", senders.len()));
        }
        self.facts.sender = senders.into_iter().next();
        let ours = |address: &Address| self.organisation.is_internal(address);
        self.facts.from_is_ours = !self.facts.from.is_empty()
            && self.facts.from.iter().all(|mailbox| ours(&mailbox.address))
            && self.facts.mail_from.as_ref().is_none_or(ours);
    }

    /// The visible mailboxes. From and Sender are left out; but if From names several mailboxes, only our own
    /// are, because otherwise recipients could be listed there without being counted.
    fn shown(&mut self) {
        let several = self.facts.from.len() > 1;
        let mut all = self.in_fields(&SHOWN);
        let mut others = self.in_fields(&SHOWN_OUTSIDE);
        others.extend(self.seldom());
        if several {
            others.extend(self.facts.from.iter().map(|mailbox| (mailbox.clone(), ShownIn::Other)));
        }
        // everybody in a visible field is hidden from nobody, our own people too
        let open: HashSet<Address> =
            all.iter().chain(&others).map(|(mailbox, _)| mailbox.address.clone()).collect();
        self.facts.envelope_only =
            self.facts.recipients.iter().filter(|one| !open.contains(one)).cloned().collect();
        self.facts.open = open;
        others.extend(self.named_elsewhere());
        others.retain(|(mailbox, _)| !self.organisation.is_internal(&mailbox.address));
        all.append(&mut others);
        let senders = self.facts.from.iter().chain(&self.facts.sender).map(|mailbox| &mailbox.address);
        let mut seen: HashSet<&Address> =
            senders.filter(|address| !several || self.organisation.is_internal(address)).collect();
        let first: Vec<bool> = all.iter().map(|(mailbox, _)| seen.insert(&mailbox.address)).collect();
        let kept = all.into_iter().zip(first).filter(|(_, first)| *first);
        self.facts.visible = kept
            .map(|((mailbox, field), _)| {
                let affiliation = self.organisation.affiliation(&mailbox.address);
                let (internal, partner) =
                    (affiliation == Affiliation::Internal, affiliation == Affiliation::Partner);
                Visible { mailbox, field, internal, partner }
            })
            .collect();
    }

    /// The mailboxes in rare fields, as far as they can be read.
    fn seldom(&self) -> Vec<(Mailbox, ShownIn)> {
        let fields = SELDOM.iter().flat_map(|name| self.header.named(name));
        let mailboxes = fields.flat_map(|field| parse_list(self.header.body(field)).mailboxes);
        mailboxes.map(|mailbox| (mailbox, ShownIn::Other)).collect()
    }

    /// Everybody else whom the header names to an outside recipient. These people count too: mail hosts that
    /// send one transaction per recipient do not list them as recipients, so the audit could not hide them.
    fn named_elsewhere(&mut self) -> Vec<(Mailbox, ShownIn)> {
        let mut all = Vec::new();
        if self.facts.outside_recipients == 0 {
            return all;
        }
        for address in named(self.header).into_iter().filter(|address| !self.facts.open.contains(address)) {
            if all.len() == self.room {
                self.facts.problems.push(TOO_MANY.to_owned());
                break;
            }
            all.push((bare(address), ShownIn::Other));
        }
        self.room -= all.len();
        all
    }

    fn in_fields(&mut self, fields: &[(&str, ShownIn)]) -> Vec<(Mailbox, ShownIn)> {
        let mut all = Vec::new();
        for (name, field) in fields {
            all.extend(self.mailboxes(name).into_iter().map(|mailbox| (mailbox, *field)));
        }
        all
    }

    fn hidden(&mut self) {
        let mut seen = HashSet::new();
        for name in HIDDEN {
            for mailbox in self.mailboxes(name) {
                if seen.insert(mailbox.address.clone()) {
                    self.facts.bcc_header.push(mailbox.address);
                }
            }
        }
        let added = blind(self.header).into_iter().filter(|address| seen.insert(address.clone()));
        self.facts.bcc_header.extend(added);
    }

    fn texts(&mut self) {
        let header = self.header;
        self.facts.header_texts = header
            .fields()
            .iter()
            .map(|field| {
                let name = String::from_utf8_lossy(header.name(field)).to_ascii_lowercase();
                (name, decode_text(header.body(field)))
            })
            .collect();
        self.facts.subject = self.first("subject").unwrap_or_default();
        self.facts.message_id =
            header.named("message-id").next().and_then(|field| ids::single(header.body(field)));
        let mut seen = HashSet::new();
        for name in ["in-reply-to", "references"] {
            for field in header.named(name) {
                let body = header.body(field);
                self.facts.reply |= !body.trim_ascii().is_empty();
                ids::add(body, &mut self.facts.references, &mut seen);
            }
        }
        self.facts.auto_submitted = self.first("auto-submitted").is_some_and(|text| {
            let keyword = text.split([';', '(', ' ', '\t']).next().unwrap_or_default();
            !keyword.is_empty() && !keyword.eq_ignore_ascii_case("no")
        });
    }

    fn first(&self, name: &str) -> Option<String> {
        self.facts.header_texts_named(name).next().map(str::to_owned)
    }

    fn count(&mut self) {
        let mut mailboxes = HashSet::new();
        let mut organisations: HashMap<String, usize> = HashMap::new();
        for visible in self.facts.visible.iter().filter(|visible| !visible.internal && !visible.partner) {
            let address = &visible.mailbox.address;
            if mailboxes.insert(counting_key(address)) {
                *organisations.entry(self.organisation.of(address)).or_default() += 1;
                self.facts.external_addresses.push(address.clone());
            }
        }
        self.facts.external_organisations = organisations.len();
        let largest = organisations.into_iter().max_by(|(one, few), (other, many)| {
            // breaks ties alphabetically, so that the verdict is always the same
            few.cmp(many).then_with(|| other.cmp(one))
        });
        self.facts.largest_organisation = largest.map(|(name, addresses)| Largest { name, addresses });
    }

    fn concern(&mut self) {
        let facts = &self.facts;
        let authors = facts.from.iter().map(|mailbox| &mailbox.address);
        let mut seen: HashSet<String> = facts.external_addresses.iter().map(counting_key).collect();
        let more: Vec<Address> = authors
            .chain(&facts.recipients)
            .filter(|address| self.organisation.affiliation(address) == Affiliation::External)
            .filter(|address| seen.insert(counting_key(address)))
            .cloned()
            .collect();
        self.facts.concerned = self.facts.external_addresses.iter().cloned().chain(more).collect();
    }

    /// An automatic forward has one recipient who is not in To or Cc, an outside From, and a forwarder's
    /// mark: a rewritten sender (SRS), Gmail's `+caf_=`, or Resent fields.
    fn auto_forward(&mut self) {
        let facts = &self.facts;
        let marked = facts.mail_from.as_ref().is_some_and(|sender| {
            let local = sender.local_key();
            let srs = |tag: &str| {
                local.get(..tag.len()).is_some_and(|start| start.eq_ignore_ascii_case(tag))
                    && local[tag.len()..].starts_with(['=', '+', '-'])
            };
            srs("SRS0") || srs("SRS1") || local.contains("+caf_=")
        });
        let resent = ["resent-from", "resent-to", "resent-sender", "resent-date"]
            .iter()
            .any(|name| self.header.named(name).next().is_some());
        let [recipient] = facts.recipients.as_slice() else { return };
        let foreign = !facts.from.is_empty()
            && facts.from.iter().all(|mailbox| !self.organisation.is_internal(&mailbox.address));
        let forwarded = foreign && !self.is_in_to_or_cc(recipient) && (marked || resent);
        self.facts.auto_forward = forwarded && shows_nobody_else(&self.facts, self.organisation);
    }

    fn is_in_to_or_cc(&self, address: &Address) -> bool {
        self.facts.visible.iter().any(|visible| {
            matches!(visible.field, ShownIn::To | ShownIn::Cc) && visible.mailbox.address == *address
        })
    }
}

/// Whether no outsider is visible but the one recipient. Header and envelope are the client's claims, so they
/// exempt only mail that has nothing to disclose. The organisation of an outside From may name itself in
/// fields for replies and complaints, as newsletters do.
pub(super) fn shows_nobody_else(facts: &Facts, organisation: &Organisation) -> bool {
    let [recipient] = facts.recipients.as_slice() else { return false };
    let authors = facts.from.iter().map(|mailbox| &mailbox.address);
    let houses: HashSet<String> = authors
        .filter(|author| !organisation.shares(author.domain_key()))
        .map(|author| organisation.of(author))
        .collect();
    facts.visible.iter().all(|visible| {
        let address = &visible.mailbox.address;
        let addressed =
            matches!(visible.field, ShownIn::To | ShownIn::Cc | ShownIn::ResentTo | ShownIn::ResentCc);
        visible.internal || address == recipient || (!addressed && houses.contains(&organisation.of(address)))
    })
}

/// A mailbox without display name.
fn bare(address: Address) -> Mailbox {
    let raw = address.as_str().as_bytes().to_vec();
    Mailbox { address, name: None, raw, name_is_safe: true }
}
