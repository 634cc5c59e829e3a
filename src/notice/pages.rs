//! The texts: one function for each kind of notice. Plain text, so that it looks right in any client.

use super::locale::{LANGUAGES, Values, language_of, number, say, text};
use super::mail::{Head, text_part};
use super::people::People;
use super::whom::{Told, alerted, deciders, sender_of};
use super::{Letterhead, Matter, Moment, safe};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::Disclosure;
use crate::policy::verdict::Language;
use crate::store::{DeliveryState, HeldRow, HoldKind};
use std::fmt::Write as _;

/// Most addresses listed in one mail; the rest is counted.
const MAX_LISTED: usize = 30;
/// Longest subject, reason and place, in characters.
const MAX_LINE: usize = 300;

/// A mail: who gets it, and its bytes.
pub(super) type Letter = (Vec<Address>, String);

/// What a notice is written from.
pub(super) struct Desk<'a> {
    pub(super) matter: &'a Matter<'a>,
    pub(super) letterhead: &'a Letterhead,
    pub(super) moment: Moment,
}

/// A text that grows, in one language.
struct Page {
    language: Language,
    out: String,
}

impl Page {
    fn new(language: Language) -> Self {
        Self { language, out: String::new() }
    }

    fn say(&self, key: &str, values: &Values<'_>) -> String {
        say(self.language, key, values)
    }

    /// A paragraph.
    fn paragraph(&mut self, key: &str, values: &Values<'_>) {
        let text = self.say(key, values);
        let _ = write!(self.out, "{text}\n\n");
    }

    fn heading(&mut self, key: &str) {
        let text = self.say(key, &[]);
        let _ = writeln!(self.out, "{text}");
    }

    /// `Label: value`
    fn labelled(&mut self, key: &str, value: &str) {
        let label = self.say(key, &[]);
        let _ = writeln!(self.out, "{label}: {value}");
    }

    /// A line, or a phrase of several, set in by so many blanks.
    fn item(&mut self, depth: usize, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.out, "{:depth$}{line}", "");
        }
    }

    fn gap(&mut self) {
        self.out.push('\n');
    }

    /// As many of these as are listed, and how many more there are.
    fn list(&mut self, depth: usize, entries: impl ExactSizeIterator<Item = String>) {
        let more = entries.len().saturating_sub(MAX_LISTED);
        for entry in entries.take(MAX_LISTED) {
            self.item(depth, &entry);
        }
        if more > 0 {
            let text = self.say("and-more", &[("count", number(more))]);
            self.item(depth, &text);
        }
    }
}

impl Desk<'_> {
    /// To the sender: it is held.
    pub(super) fn held(&self) -> Option<Letter> {
        let held = self.matter.message.held.as_ref()?;
        let (told, mut page) = self.to_sender()?;
        let people = People::of(self.matter.message, self.letterhead);
        page.paragraph("held-lead", &[]);
        self.facts(&mut page, &people);
        reasons(&mut page, held);
        exposure(&mut page, &people);
        page.heading("heading-next");
        let names: Vec<String> = deciders(self.letterhead).iter().map(ToString::to_string).collect();
        let names = if names.is_empty() { page.say("the-administrator", &[]) } else { names.join(", ") };
        let expires = self.moment_text(held.expires);
        let next = page.say("held-next", &[("deciders", text(&names)), ("expires", text(&expires))]);
        page.item(2, &next);
        page.gap();
        Some(self.close("held-subject", vec![told.address], &[page]))
    }

    /// To the approvers: it is held. In both languages, the message's own first.
    pub(super) fn to_decide(&self) -> Option<Letter> {
        let held = self.matter.message.held.as_ref()?;
        let people = People::of(self.matter.message, self.letterhead);
        let pages: Vec<Page> = self
            .for_deciders()
            .into_iter()
            .map(|mut page| {
                let expires = self.moment_text(held.expires);
                page.paragraph("approve-lead", &[("expires", text(&expires))]);
                self.facts(&mut page, &people);
                by_organisation(&mut page, &people);
                reasons(&mut page, held);
                if people.exposed.len() > 1 {
                    page.paragraph("approve-exposed", &[("count", number(people.exposed.len()))]);
                }
                hits(&mut page, held);
                self.commands(&mut page, held.kind);
                page
            })
            .collect();
        self.letter_to(deciders(self.letterhead), "approve-subject", &pages)
    }

    /// To the approvers and the admin: the second lock stopped a copy.
    pub(super) fn stopped(&self) -> Option<Letter> {
        let held = self.matter.message.held.as_ref()?;
        let people = People::of(self.matter.message, self.letterhead);
        let (left, total) = self.left();
        let pages: Vec<Page> = self
            .for_deciders()
            .into_iter()
            .map(|mut page| {
                page.paragraph("stopped-lead", &[("left", number(left)), ("total", number(total))]);
                self.facts(&mut page, &people);
                hits(&mut page, held);
                self.commands(&mut page, HoldKind::Unsafe);
                page
            })
            .collect();
        self.letter_to(alerted(self.letterhead), "stopped-subject", &pages)
    }

    /// To the sender: it was split (or its recipients hidden) without asking.
    pub(super) fn split(&self) -> Option<Letter> {
        let (told, mut page) = self.to_sender()?;
        let message = self.matter.message;
        let people = People::of(message, self.letterhead);
        let count = [("count", number(message.envelope.recipients.len()))];
        let disclosure = message.verdict.as_ref().map(|verdict| verdict.demand.disclosure);
        if disclosure == Some(Disclosure::Bcc) {
            page.paragraph("bcc-lead", &count);
            self.facts(&mut page, &people);
        } else {
            page.paragraph("split-lead", &count);
            self.facts(&mut page, &people);
            self.what_each_saw(&mut page, &people);
        }
        if let Some(verdict) = &message.verdict {
            let language = page.language;
            why(&mut page, verdict.reasons(language).into_iter());
        }
        Some(self.close("split-subject", vec![told.address], &[page]))
    }

    /// To the sender: somebody returned it.
    pub(super) fn returned(&self) -> Option<Letter> {
        let held = self.matter.message.held.as_ref()?;
        let (told, mut page) = self.to_sender()?;
        let people = People::of(self.matter.message, self.letterhead);
        let administrator = page.say("the-administrator", &[]);
        let by = held.decided_by.as_deref().map_or(administrator, |by| safe::line(by, MAX_LINE));
        page.paragraph("returned-lead", &[("by", text(&by))]);
        let reason = held.decision.as_deref().map(|reason| safe::line(reason, MAX_LINE));
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            page.paragraph("returned-reason", &[("reason", text(&reason))]);
        }
        self.partly_sent(&mut page);
        self.facts(&mut page, &people);
        reasons(&mut page, held);
        page.heading("heading-next");
        let next = page.say("returned-next", &[]);
        page.item(2, &next);
        page.gap();
        Some(self.close("returned-subject", vec![told.address], &[page]))
    }

    /// To the sender: nobody decided in time.
    pub(super) fn expired(&self) -> Option<Letter> {
        let held = self.matter.message.held.as_ref()?;
        let (told, mut page) = self.to_sender()?;
        let people = People::of(self.matter.message, self.letterhead);
        let expires = self.moment_text(held.expires);
        page.paragraph("expired-lead", &[("expires", text(&expires))]);
        self.partly_sent(&mut page);
        self.facts(&mut page, &people);
        reasons(&mut page, held);
        page.heading("heading-next");
        let next = page.say("returned-next", &[]);
        page.item(2, &next);
        page.gap();
        Some(self.close("expired-subject", vec![told.address], &[page]))
    }

    /// Who is told in the sender's place, and a page in their language.
    fn to_sender(&self) -> Option<(Told, Page)> {
        let told = sender_of(self.matter.message, self.letterhead)?;
        let mut page = Page::new(self.language());
        if !told.is_sender {
            let sender = self.sender(&page);
            page.paragraph("in-place-of", &[("sender", text(&sender))]);
        }
        Some((told, page))
    }

    /// A page in each language, the message's own first.
    fn for_deciders(&self) -> Vec<Page> {
        let first = self.language();
        let others = LANGUAGES.into_iter().filter(|language| *language != first);
        std::iter::once(first).chain(others).map(Page::new).collect()
    }

    fn language(&self) -> Language {
        let message = self.matter.message;
        language_of(&message.header, &message.subject, self.letterhead.language)
    }

    fn sender(&self, page: &Page) -> String {
        let sender = self.matter.message.envelope.sender.as_ref();
        sender.map_or_else(|| page.say("null-sender", &[]), ToString::to_string)
    }

    fn subject(&self, page: &Page) -> String {
        let subject = safe::line(&self.matter.message.subject, MAX_LINE);
        if subject.is_empty() { page.say("no-subject", &[]) } else { subject }
    }

    fn moment_text(&self, at: Timestamp) -> String {
        at.to_jiff().to_zoned(self.letterhead.zone.clone()).strftime("%Y-%m-%d %H:%M (%:z)").to_string()
    }

    /// Which message it is.
    fn facts(&self, page: &mut Page, people: &People) {
        let message = self.matter.message;
        let recipients = &message.envelope.recipients;
        let outside = recipients.iter().filter(|recipient| !people.is_internal(&recipient.address)).count();
        let counts = [("count", number(recipients.len())), ("outside", number(outside))];
        let (subject, sender) = (self.subject(page), self.sender(page));
        page.labelled("label-subject", &subject);
        page.labelled("label-sender", &sender);
        page.labelled("label-received", &self.moment_text(message.received));
        let counted = page.say("recipients-outside", &counts);
        page.labelled("label-recipients", &counted);
        page.labelled("label-reference", message.id.as_str());
        page.gap();
    }

    /// How many recipients' copies have left, of how many.
    fn left(&self) -> (usize, usize) {
        let count = |delivered: bool| {
            let rows = self.matter.deliveries.iter();
            let wanted = rows.filter(|row| !delivered || row.state == DeliveryState::Delivered);
            wanted.map(|row| row.recipients.len()).sum::<usize>()
        };
        (count(true), count(false).max(self.matter.message.envelope.recipients.len()))
    }

    fn partly_sent(&self, page: &mut Page) {
        let (left, total) = self.left();
        if left > 0 {
            page.paragraph("partly-sent", &[("left", number(left)), ("total", number(total))]);
        }
    }

    fn what_each_saw(&self, page: &mut Page, people: &People) {
        let recipients = &self.matter.message.envelope.recipients;
        let inside = recipients.iter().filter(|recipient| people.is_internal(&recipient.address)).count();
        page.heading("heading-saw");
        let outside = page.say("split-saw-outside", &[("count", number(recipients.len() - inside))]);
        page.item(2, &outside);
        if !people.colleagues.is_empty() {
            let mut names: Vec<&str> =
                people.colleagues.iter().take(MAX_LISTED).map(Address::as_str).collect();
            let more = people.colleagues.len().saturating_sub(MAX_LISTED);
            let more = (more > 0).then(|| page.say("and-more", &[("count", number(more))]));
            names.extend(more.as_deref());
            let names = names.join(", ");
            let colleagues = page.say("split-saw-colleagues", &[("colleagues", text(&names))]);
            page.item(2, &colleagues);
        }
        if inside > 0 {
            let inside = page.say("split-saw-inside", &[("count", number(inside))]);
            page.item(2, &inside);
        }
        page.gap();
    }

    /// The exact commands, as far as this kind of hold allows them.
    fn commands(&self, page: &mut Page, kind: HoldKind) {
        let id = self.matter.message.id;
        page.heading("heading-commands");
        let as_is = if kind == HoldKind::Unsafe { "command-as-is-unsafe" } else { "command-as-is" };
        let reason = page.say("command-reason", &[]);
        let mut commands = vec![("command-show", format!("sekisho held show {id}"))];
        if kind != HoldKind::Unsafe {
            commands.push(("command-split", format!("sekisho held release {id}")));
            commands.push(("command-bcc", format!("sekisho held release {id} --as bcc")));
        }
        commands.push((as_is, format!("sekisho held release {id} --as as-is")));
        commands.push(("command-return", format!("sekisho held return {id} --reason \"{reason}\"")));
        for (key, command) in commands {
            let label = page.say(key, &[]);
            page.item(2, &label);
            page.item(4, &command);
        }
        page.gap();
    }

    fn letter_to(&self, to: Vec<Address>, subject: &str, pages: &[Page]) -> Option<Letter> {
        (!to.is_empty()).then(|| self.close(subject, to, pages))
    }

    /// Puts header, pages and foot together; the first page's language is the subject's.
    fn close(&self, subject: &str, to: Vec<Address>, pages: &[Page]) -> Letter {
        let message = self.matter.message;
        let mut body = String::new();
        let mut title = String::new();
        for (index, page) in pages.iter().enumerate() {
            if index == 0 {
                title = page.say(subject, &[("subject", text(&self.subject(page)))]);
            } else {
                body.push_str("----------------------------------------\n\n");
            }
            body.push_str(&page.out);
        }
        // What follows two hyphens and a blank is shown as a signature (RFC 3676 §4.3).
        body.push_str("-- \n");
        for page in pages {
            let foot = page.say("foot", &[("hostname", text(&self.letterhead.hostname))]);
            let _ = writeln!(body, "{foot}");
        }
        let head = Head {
            letterhead: self.letterhead,
            moment: self.moment,
            about: message.id,
            thread: &message.message_id,
            to: &to,
            subject: &title,
            auto_submitted: "auto-generated",
        };
        let bytes = head.render() + &text_part("text/plain; charset=utf-8", body.as_bytes());
        (to, bytes)
    }
}

/// The sentences that say why.
fn why<'a>(page: &mut Page, sentences: impl Iterator<Item = &'a str>) {
    let sentences: Vec<String> = sentences.take(20).map(|reason| safe::line(reason, MAX_LINE)).collect();
    if sentences.is_empty() {
        return;
    }
    page.heading("heading-why");
    for sentence in sentences {
        page.item(2, &sentence);
    }
    page.gap();
}

fn reasons(page: &mut Page, held: &HeldRow) {
    let reasons = match page.language {
        Language::Ja if !held.reasons_ja.is_empty() => &held.reasons_ja,
        _ => &held.reasons,
    };
    why(page, reasons.iter().map(String::as_str));
}

/// Who would see whom, where more than one would.
fn exposure(page: &mut Page, people: &People) {
    if people.exposed.len() < 2 {
        return;
    }
    page.heading("heading-who");
    let count = page.say("people", &[("count", number(people.exposed.len()))]);
    let organisations = page.say("organisations", &[("count", number(people.organisations()))]);
    let who = page.say("held-who", &[("people", text(&count)), ("organisations", text(&organisations))]);
    page.item(2, &who);
    page.list(4, people.exposed.iter().map(ToString::to_string));
    page.gap();
}

/// All recipients, by organisation.
fn by_organisation(page: &mut Page, people: &People) {
    page.heading("label-recipients");
    let (internal, hidden) = (page.say("internal", &[]), page.say("bcc-mark", &[]));
    let mut lines = Vec::new();
    for (organisation, members) in people.by_organisation() {
        let name = if organisation.is_empty() { &internal } else { &organisation };
        let alone = members.len() == 1 && members[0].0.key() == organisation;
        if !alone {
            lines.push(format!("{name} ({})", members.len()));
        }
        for (address, visible) in members {
            let indent = if alone { "" } else { "  " };
            let mark = if visible { String::new() } else { format!(" {hidden}") };
            lines.push(format!("{indent}{address}{mark}"));
        }
    }
    page.list(2, lines.into_iter());
    page.gap();
}

/// Where the audit found hidden addresses.
fn hits(page: &mut Page, held: &HeldRow) {
    if held.hits.is_empty() {
        return;
    }
    page.heading("heading-hits");
    let line = |hit: &crate::rewrite::Hit| {
        safe::line(&format!("{}: {} ({})", hit.address, hit.place, hit.form), MAX_LINE)
    };
    page.list(2, held.hits.iter().map(line));
    page.gap();
}
