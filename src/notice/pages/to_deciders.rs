//! What those who decide are told: of one message, or of all that wait for them.

use super::super::locale::{number, text};
use super::super::mail::Head;
use super::super::page::{Button, Entered, MAX_LINE, MAX_LISTED, Page, Tone};
use super::super::people::People;
use super::super::{Letterhead, Matter, Moment, safe};
use super::{Desk, Letter, MAX_TITLE, bind, figures, headline, in_languages, lines, risks};
use crate::message::Address;
use crate::policy::risks::Kind;
use crate::policy::risks::places::in_words;
use crate::policy::verdict::Language;
use crate::store::{AskWhy, HeldRow, HoldKind};

/// Most messages that a digest tells of; the rest is counted.
const MOST_ENTRIES: usize = 50;

impl Desk<'_> {
    /// To one of those who decide, about one message. `words` are the sender's, who asks for something.
    pub(in super::super) fn to_decide(
        &self,
        to: &Address,
        why: AskWhy,
        words: Option<&str>,
        urgent: bool,
    ) -> Option<Letter> {
        let held = self.still_held()?;
        let people = self.people();
        let tone = if why == AskWhy::Stopped { Tone::Alarm } else { Tone::Waiting };
        let only = self.letterhead.language_for(to, self.matter.details.chosen);
        let mut pages = in_languages(self.language_of_mail(), only, tone);
        for page in &mut pages {
            self.why_now(page, held, why, words, &people);
            risks(page, held);
            self.ways(page, held);
            self.facts(page, &people);
            hits(page, held);
            by_organisation(page, &people);
        }
        let subject = match why {
            AskWhy::Asked | AskWhy::Deputy => "approve-subject",
            AskWhy::Escalated => "escalated-subject",
            AskWhy::Expiring => "expiring-approver-subject",
            AskWhy::AsIs => "as-is-subject",
            AskWhy::Stopped => "stopped-subject",
        };
        Some(self.close(subject, vec![to.clone()], &pages, urgent || why == AskWhy::Stopped))
    }

    /// What would happen, and why they are told of it now.
    fn why_now(&self, page: &mut Page, held: &HeldRow, why: AskWhy, words: Option<&str>, people: &People) {
        let expires = self.moment_text(page, held.expires);
        let sender = self.sender(page);
        let values = [("expires", text(&expires)), ("sender", text(&sender))];
        match why {
            AskWhy::Stopped => {
                let (left, total) = self.left();
                page.lead("stopped-lead", &[("left", number(left)), ("total", number(total))]);
                page.paragraph("stopped-rest", &[("left", number(left)), ("total", number(total))]);
                return;
            }
            AskWhy::AsIs => {
                page.lead("as-is-lead", &values);
                if let Some(words) = words {
                    page.quote(&lines(words));
                }
                if people.exposed.len() > 1 {
                    let count = [("count", number(people.exposed.len()))];
                    page.paragraph("approve-exposed", &count);
                }
            }
            _ => {
                let risk = headline(page, held, "approve-lead");
                page.lead("approve-risk", &[("risk", text(&risk))]);
                let first = held.risks.first().filter(|risk| risk.kind == Kind::Exposed && risk.people > 1);
                if let Some(first) = first {
                    let (others, all) = (first.people - 1, first.people * (first.people - 1));
                    page.paragraph("approve-sum", &[("others", number(others)), ("count", number(all))]);
                }
            }
        }
        figures(page, held, people);
        let key = match why {
            AskWhy::Deputy => "approve-deputy",
            AskWhy::Escalated => "approve-escalated",
            AskWhy::Expiring => "approve-expiring",
            _ if self.matter.details.again => "approve-again",
            _ => "approve-waits",
        };
        page.paragraph(key, &values);
    }

    /// Where to decide: the page, or the commands where there is none.
    fn ways(&self, page: &mut Page, held: &HeldRow) {
        match &self.matter.links.view {
            Some(url) => {
                let (label, hint) = (page.say("button-view", &[]), page.say("button-view-hint", &[]));
                page.buttons(vec![Button { label, hint, url: url.clone(), first: true }]);
            }
            None => self.commands(page, held.kind),
        }
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
            page.exact(4, &command);
        }
    }
}

/// One message of a digest.
pub(in super::super) struct Entry<'a> {
    /// What it is about, with its link.
    pub(in super::super) matter: Matter<'a>,
    /// Why it is told.
    pub(in super::super) why: AskWhy,
}

/// All that waits for one person, in one mail.
pub(in super::super) fn digest(
    entries: &[Entry<'_>],
    to: &Address,
    letterhead: &Letterhead,
    moment: Moment,
) -> Option<Letter> {
    let first = entries.first()?;
    let only = letterhead.language_for(to, first.matter.details.chosen);
    let mut pages = in_languages(only.unwrap_or_default(), only, Tone::Waiting);
    let count = [("count", number(entries.len()))];
    let mut titles = Vec::new();
    for page in &mut pages {
        titles.push(page.say("digest-subject", &count));
        page.lead("digest-lead", &count);
        for entry in entries.iter().take(MOST_ENTRIES) {
            let desk = Desk { matter: &entry.matter, letterhead, moment };
            desk.in_digest(page, entry.why);
        }
        if entries.len() > MOST_ENTRIES {
            page.paragraph("digest-more", &[("count", number(entries.len() - MOST_ENTRIES))]);
        }
    }
    let to = vec![to.clone()];
    let head = Head {
        letterhead,
        moment,
        about: first.matter.message.id,
        thread: "",
        to: &to,
        subject: titles.first().map_or("", String::as_str),
        auto_submitted: "auto-generated",
        urgent: false,
    };
    let bytes = bind(&head, &pages, &titles);
    Some((to, bytes))
}

impl Desk<'_> {
    /// One message among others: a line, and what is dangerous about it.
    fn in_digest(&self, page: &mut Page, why: AskWhy) {
        let Some(held) = self.still_held() else { return };
        let (subject, sender) = (self.subject(page, MAX_TITLE), self.sender(page));
        let mut said = Vec::new();
        if let Some(first) = held.risks.first() {
            said.push(safe::line(&first.line(page.language), MAX_LINE));
            said.extend(held.risks.iter().skip(1).map(|risk| risk.label(page.language)).take(3));
        }
        let expires = self.moment_text(page, held.expires);
        let mut about = vec![sender, page.say("digest-until", &[("expires", text(&expires))])];
        if why == AskWhy::Deputy {
            about.push(page.say("digest-deputy", &[]));
        }
        let url = self.matter.links.view.clone();
        if url.is_none() {
            about.push(format!("{} {}", page.say("label-reference", &[]), held.id));
        }
        page.entry(Entered { title: subject, url, said: said.join(" / "), about: about.join(" · ") });
    }
}

/// All recipients, by organisation; of many, as many of each as there is room for. Who is left is counted.
fn by_organisation(page: &mut Page, people: &People) {
    page.heading("label-recipients");
    let (internal, hidden) = (page.say("internal", &[]), page.say("bcc-mark", &[]));
    let groups = people.by_organisation();
    let total: usize = groups.values().map(Vec::len).sum();
    let share = if total > MAX_LISTED { (MAX_LISTED / groups.len().max(1)).max(1) } else { total };
    let (mut listed, mut said) = (0, Vec::new());
    for (organisation, members) in &groups {
        let room = share.min(MAX_LISTED.saturating_sub(listed));
        if room == 0 {
            break;
        }
        let name = if organisation.is_empty() { &internal } else { organisation };
        // A mailbox of a provider is an organisation of its own: its name is an address that nobody wrote.
        let alone = organisation.contains('@');
        if !alone {
            said.push(page.say("group", &[("name", text(name)), ("count", number(members.len()))]));
        }
        let indent = if alone { "" } else { "  " };
        for (address, visible) in members.iter().take(room) {
            let mark = if *visible { String::new() } else { hidden.clone() };
            said.push(format!("{indent}{address}{mark}"));
        }
        listed += members.len().min(room);
    }
    for line in said {
        let indent = line.len() - line.trim_start().len();
        page.exact(2 + indent, &safe::line(&line, MAX_LINE));
    }
    if total > listed {
        let more = page.say("and-more-people", &[("count", number(total - listed))]);
        page.item(2, &more);
    }
}

/// Where the audit found hidden addresses.
fn hits(page: &mut Page, held: &HeldRow) {
    if held.hits.is_empty() {
        return;
    }
    page.heading("heading-hits");
    let language = page.language;
    let line = |hit: &crate::rewrite::Hit| {
        let place = in_words(&hit.place, language);
        match language {
            Language::En => format!("{} ({place})", hit.address),
            Language::Ja => format!("{}（{place}）", hit.address),
        }
    };
    page.list(2, held.hits.iter().map(line));
}
