//! What all mails to people have in common: the message, the people concerned, the reasons; and how a mail is
//! assembled from its pages.
//!
//! * `to_sender` mails to the sender, `ended` when the mail was not sent, `to_deciders` mails to approvers

mod ended;
mod to_deciders;
mod to_sender;

pub(crate) use to_deciders::outcome;
pub(super) use to_deciders::{Entry, digest};

use super::html;
use super::locale::{LANGUAGES, language_of, number, text};
use super::mail::{Head, alternative};
use super::page::{Button, MAX_LINE, MAX_LISTED, Page, Tone};
use super::people::People;
use super::whom::{Addressee, sender_of};
use super::{Letterhead, Matter, Moment, safe};
use crate::clock::Timestamp;
use crate::message::Address;
use crate::policy::risks::Kind;
use crate::policy::risks::words::grouped;
use crate::policy::verdict::Language;
use crate::store::{DeliveryState, HeldRow, StoredMessage};
use std::collections::HashSet;
use std::fmt::Write as _;

/// Longest subject in a title and among the facts, in characters.
pub(super) const MAX_TITLE: usize = 70;
pub(super) const MAX_SUBJECT: usize = 140;

/// A mail: its recipients and its bytes.
pub(super) type Letter = (Vec<Address>, String);

/// Everything a notice is composed from.
pub(super) struct Desk<'a> {
    pub(super) matter: &'a Matter<'a>,
    pub(super) letterhead: &'a Letterhead,
    pub(super) moment: Moment,
}

impl Desk<'_> {
    /// Who is told in the sender's place, and an empty page in their language.
    fn to_sender(&self, tone: Tone) -> Option<(Addressee, Page)> {
        let told = sender_of(self.matter.message, self.letterhead)?;
        let mut page = Page::new(self.language(&told.address), tone);
        if !told.is_sender {
            let sender = self.sender(&page);
            page.paragraph("in-place-of", &[("sender", text(&sender))]);
        }
        Some((told, page))
    }

    /// The language for the sender: their own if it is known, otherwise that of the mail.
    fn language(&self, told: &Address) -> Language {
        let known = self.letterhead.language_for(told, self.matter.details.chosen);
        known.unwrap_or_else(|| self.language_of_mail())
    }

    fn language_of_mail(&self) -> Language {
        let message = self.matter.message;
        language_of(&message.header, &message.subject, Language::default())
    }

    fn sender(&self, page: &Page) -> String {
        let sender = self.matter.message.envelope.sender.as_ref();
        sender.map_or_else(|| page.say("null-sender", &[]), |sender| safe::line(sender.as_str(), MAX_LINE))
    }

    fn subject(&self, page: &Page, longest: usize) -> String {
        subject(page, self.matter.message, longest)
    }

    fn moment_text(&self, page: &Page, at: Timestamp) -> String {
        moment_text(page, at, self.letterhead, self.moment.now)
    }

    fn people(&self) -> People {
        People::of(self.matter.message, self.letterhead)
    }

    /// Adds the facts that identify the message.
    fn facts(&self, page: &mut Page, people: &People) {
        let message = self.matter.message;
        // a held mail may have come in several transactions; its row has the recipients of all
        let of_all = message.held.iter().flat_map(|held| &held.recipients);
        let of_all: Vec<Address> = of_all.filter_map(|text| Address::parse(text).ok()).collect();
        let of_one = self.everybody().into_iter().filter_map(|text| Address::parse(text).ok());
        let recipients = if of_all.is_empty() { of_one.collect() } else { of_all };
        let outside = recipients.iter().filter(|address| !people.is_internal(address)).count();
        let counts = [("count", number(recipients.len())), ("outside", number(outside))];
        let (subject, sender) = (self.subject(page, MAX_SUBJECT), self.sender(page));
        page.labelled("label-subject", &subject);
        page.labelled("label-sender", &sender);
        let received = self.moment_text(page, message.received);
        page.labelled("label-received", &received);
        let counted = page.say("recipients-outside", &counts);
        page.labelled("label-recipients", &counted);
        let awaited = message.held.as_ref().map_or(0, |held| held.awaited.len());
        if awaited > 0 {
            let said = page.say("recipients-awaited", &[("count", number(awaited))]);
            page.labelled("label-note", &said);
        }
        page.labelled("label-reference", message.id.as_str());
    }

    /// How many recipients were sent their copies, and how many there are.
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

    /// For a mail that was asked for again: says that the copies sent before are not affected.
    fn was_sent_alone(&self, page: &mut Page) {
        if self.matter.details.again {
            page.paragraph("again-before", &[]);
        }
    }

    /// The names of the approvers of this message: those assigned to it, without its senders.
    fn deciders(&self, page: &Page) -> String {
        let names: Vec<String> = super::whom::deciders_of(self.matter.message, self.letterhead)
            .iter()
            .take(MAX_LISTED)
            .map(|address| safe::line(address.as_str(), MAX_LINE))
            .collect();
        let or = page.say("or", &[]);
        if names.is_empty() { page.say("the-administrator", &[]) } else { names.join(&format!(" {or} ")) }
    }

    /// Assembles header, pages and foot. The subject is in the language of the first page.
    fn close(&self, subject: &str, to: Vec<Address>, pages: &[Page], urgent: bool) -> Letter {
        let titles: Vec<String> = pages
            .iter()
            .map(|page| page.say(subject, &[("subject", text(&self.subject(page, MAX_TITLE)))]))
            .collect();
        let head = Head {
            letterhead: self.letterhead,
            moment: self.moment,
            about: self.matter.message.id,
            thread: &self.matter.message.message_id,
            to: &to,
            subject: titles.first().map_or("", String::as_str),
            auto_submitted: "auto-generated",
            urgent,
        };
        let bytes = bind(&head, pages, &titles);
        (to, bytes)
    }
}

/// A mail's subject, shortened to `longest` characters.
pub(super) fn subject(page: &Page, message: &StoredMessage, longest: usize) -> String {
    let subject = safe::line(&message.subject, longest);
    if subject.is_empty() { page.say("no-subject", &[]) } else { subject }
}

/// An empty page in each language, `first` before the others.
fn in_languages(first: Language, only: Option<Language>, tone: Tone) -> Vec<Page> {
    if let Some(language) = only {
        return vec![Page::new(language, tone)];
    }
    let others = LANGUAGES.into_iter().filter(|language| *language != first);
    std::iter::once(first).chain(others).map(|language| Page::new(language, tone)).collect()
}

/// The whole mail: header, and the pages as text and as HTML.
fn bind(head: &Head<'_>, pages: &[Page], titles: &[String]) -> String {
    head.render() + &body(head, pages, titles)
}

/// Everything after our header fields: MIME fields, the pages as text and as HTML, the foot.
pub(super) fn body(head: &Head<'_>, pages: &[Page], titles: &[String]) -> String {
    let mut body = String::new();
    for (index, page) in pages.iter().enumerate() {
        if index > 0 {
            body.push_str("----------------------------------------\n\n");
        }
        body.push_str(&page.text());
    }
    let hostname = &head.letterhead.hostname;
    let foot = |page: &Page| {
        let contact = head.letterhead.contact.as_ref().map(|contact| contact.text(page.language));
        let foot = page.say("foot", &[("hostname", text(hostname))]);
        let help = contact.map(|contact| page.say("foot-contact", &[("contact", text(contact))]));
        std::iter::once(foot).chain(help)
    };
    let feet: Vec<String> = pages.iter().flat_map(foot).collect();
    // two hyphens and a space begin a signature (RFC 3676 §4.3)
    body.push_str("-- \n");
    for foot in &feet {
        let _ = writeln!(body, "{foot}");
    }
    let html = html::render(pages, titles, &feet);
    alternative(&body, html.as_deref(), head.about, head.moment)
}

fn moment_text(page: &Page, at: Timestamp, letterhead: &Letterhead, now: Timestamp) -> String {
    match page.language {
        Language::En => at.english(&letterhead.zone, now),
        Language::Ja => at.japanese(&letterhead.zone, now),
    }
}

/// Adds the sentences that say why.
fn why<'a>(page: &mut Page, sentences: impl Iterator<Item = &'a str>) {
    let mut met = HashSet::new();
    // if two rules found the same with different limits, one sentence is enough
    let found = |reason: &&str| {
        let found = reason.split("（基準：").next().and_then(|reason| reason.split(" (").next());
        met.insert(found.unwrap_or_default().to_owned())
    };
    let sentences: Vec<String> =
        sentences.filter(found).take(20).map(|reason| safe::line(reason, MAX_LINE)).collect();
    if sentences.is_empty() {
        return;
    }
    page.heading("heading-why");
    for sentence in sentences {
        page.item(2, &sentence);
    }
}

/// Adds the risks, most serious first, each with what removes it, in the same words as the desk.
fn risks(page: &mut Page, held: &HeldRow) {
    let lines: Vec<String> = held.risks.iter().map(|risk| risk.line(page.language)).collect();
    why(page, lines.iter().map(String::as_str));
}

/// The most serious risk in one sentence; `otherwise` if there is none.
fn headline(page: &Page, held: &HeldRow, otherwise: &str) -> String {
    let first = held.risks.first().map(|risk| safe::line(&risk.headline(page.language), MAX_LINE));
    let said = first.unwrap_or_else(|| page.say(otherwise, &[]));
    said.trim_end_matches(['.', '。']).to_owned()
}

/// A person's own words, line by line, shortened for a mail.
fn lines(words: &str) -> String {
    const MOST: usize = 20;
    let lines: Vec<String> = words.lines().take(MOST).map(|line| safe::line(line, MAX_LINE)).collect();
    lines.join("\n")
}

/// The name of the person who decided.
fn decided_by(page: &Page, held: &HeldRow) -> String {
    let by = held.decided_by.as_deref().map(|by| safe::line(by, MAX_LINE));
    by.filter(|by| !by.is_empty()).unwrap_or_else(|| page.say("the-administrator", &[]))
}

/// Adds how many people would see each other, if that is a risk.
fn figures(page: &mut Page, held: &HeldRow, people: &People) {
    if held.risks.first().is_some_and(|risk| risk.kind != Kind::Exposed) {
        return;
    }
    let exposed = people.exposed.len();
    if exposed < 2 {
        return;
    }
    let counts = [
        (exposed, "figure-people"),
        (people.organisations(), "figure-organisations"),
        (exposed * (exposed - 1), "figure-disclosures"),
    ];
    let figures = counts.map(|(count, key)| (grouped(count), page.say(key, &[])));
    page.figures(figures.into());
}

/// A button, if there is a link for it.
fn button(page: &Page, key: &str, url: Option<&String>, first: bool) -> Option<Button> {
    let url = url?.clone();
    Some(Button { label: page.say(key, &[]), hint: page.say(&format!("{key}-hint"), &[]), url, first })
}
