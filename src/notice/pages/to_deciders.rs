//! Mails to approvers: about one message, or a digest of all that wait for them.

use super::super::canned::in_language;
use super::super::links::can_be_copied;
use super::super::locale::{number, text};
use super::super::mail::Head;
use super::super::page::{Button, Entered, MAX_LINE, MAX_LISTED, Page, Tone};
use super::super::people::People;
use super::super::{Letterhead, Matter, Moment, safe};
use super::{Desk, Letter, MAX_TITLE, bind, decided_by, figures, headline, in_languages, lines, risks};
use crate::message::Address;
use crate::policy::Disclosure;
use crate::policy::risks::Kind;
use crate::policy::risks::places::in_words;
use crate::policy::verdict::Language;
use crate::store::was_taken_back;
use crate::store::{AskWhy, HeldRow, HeldState, HoldKind};

/// Most messages listed in a digest; the rest is counted.
const MOST_ENTRIES: usize = 50;

impl Desk<'_> {
    /// A mail to one approver about one message. `words` is the reason of a sender who asks for something.
    pub(in super::super) fn to_decide(
        &self,
        to: &Address,
        why: AskWhy,
        words: Option<&str>,
        urgent: bool,
    ) -> Option<Letter> {
        if why == AskWhy::Settled {
            return self.settled(to);
        }
        let held = self.still_held()?;
        let people = self.people();
        let tone = if why == AskWhy::Stopped { Tone::Alarm } else { Tone::Waiting };
        let only = self.letterhead.language_for(to, self.matter.details.chosen);
        let mut pages = in_languages(self.language_of_mail(), only, tone);
        for page in &mut pages {
            self.why_now(page, held, why, words, &people);
            risks(page, held);
            self.ways(page, held, why);
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
            AskWhy::Settled => "settled-subject",
        };
        Some(self.close(subject, vec![to.clone()], &pages, urgent || why == AskWhy::Stopped))
    }

    /// Says what would happen, and why they are told now.
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

    /// Tells an approver who knows of the message how it was decided, and by whom.
    fn settled(&self, to: &Address) -> Option<Letter> {
        let held = self.decided()?;
        let only = self.letterhead.language_for(to, self.matter.details.chosen);
        let mut pages = in_languages(self.language_of_mail(), only, Tone::Done);
        for page in &mut pages {
            let (key, by) = (outcome(held.state, held.decision.as_deref()), decided_by(page, held));
            page.lead(key, &[("by", text(&by))]);
            if let Some(words) = returned_with(held) {
                page.quote(&lines(&in_language(words, page.language)));
            }
            page.paragraph("settled-nothing", &[]);
            let (subject, sender) = (self.subject(page, MAX_TITLE), self.sender(page));
            page.labelled("label-subject", &subject);
            page.labelled("label-sender", &sender);
            page.labelled("label-reference", held.id.as_str());
            if let Some(url) = &self.matter.links.view {
                let label = page.say("button-view-settled", &[]);
                page.buttons(vec![Button { label, hint: String::new(), url: url.clone(), first: false }]);
            }
        }
        Some(self.close("settled-subject", vec![to.clone()], &pages, false))
    }

    fn decided(&self) -> Option<&HeldRow> {
        self.matter.message.held.as_ref().filter(|held| held.state != HeldState::Held)
    }

    /// How to decide: personal links, the page, or commands if the desk has no URL.
    fn ways(&self, page: &mut Page, held: &HeldRow, why: AskWhy) {
        let links = self.matter.links;
        let Some(view) = &links.view else { return self.commands(page, held) };
        let one = |page: &Page, key: &str, url: &String, first| Button {
            label: page.say(key, &[]),
            hint: page.say(&format!("{key}-hint"), &[]),
            url: url.clone(),
            first,
        };
        let split = links.approve_split.as_ref().map(|url| ("button-approve-split", url));
        let back = links.give_back.as_ref().map(|url| ("button-give-back", url));
        let here = Some(("button-view", view));
        // the primary button is the one that removes every risk, otherwise the one that sends nothing; "as
        // is" is only on the desk
        let cured = held.risks.iter().all(|risk| risk.is_cured_by(Disclosure::Split));
        let order = match why {
            AskWhy::AsIs => [here, split, back],
            _ if cured => [split, back, here],
            _ => [back, split, here],
        };
        let buttons = order.into_iter().flatten().enumerate();
        page.buttons(buttons.map(|(at, (key, url))| one(page, key, url, at == 0)).collect());
    }

    /// The exact commands that this kind of hold allows.
    fn commands(&self, page: &mut Page, held: &HeldRow) {
        let id = self.matter.message.id;
        page.heading("heading-commands");
        let as_is = if held.kind == HoldKind::Unsafe { "command-as-is-unsafe" } else { "command-as-is" };
        let reason = page.say("command-reason", &[]);
        let mut commands = vec![("command-show", format!("sekisho held show {id}"))];
        if can_be_copied(held) {
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
    /// The message and its link.
    pub(in super::super) matter: Matter<'a>,
    /// Why the approver is told.
    pub(in super::super) why: AskWhy,
    /// The reason of a sender who asks to send it as it is.
    pub(in super::super) words: Option<&'a str>,
}

/// A digest of everything that waits for one approver.
pub(in super::super) fn digest(
    entries: &[Entry<'_>],
    to: &Address,
    letterhead: &Letterhead,
    moment: Moment,
) -> Option<Letter> {
    let first = entries.first()?;
    let only = letterhead.language_for(to, first.matter.details.chosen);
    let mut pages = in_languages(only.unwrap_or_default(), only, Tone::Waiting);
    let (done, waiting): (Vec<&Entry<'_>>, Vec<&Entry<'_>>) =
        entries.iter().partition(|entry| entry.why == AskWhy::Settled);
    let (kind, count) = if waiting.is_empty() {
        ("digest-settled", [("count", number(done.len()))])
    } else {
        ("digest", [("count", number(waiting.len()))])
    };
    let mut titles = Vec::new();
    for page in &mut pages {
        titles.push(page.say(&format!("{kind}-subject"), &count));
        page.lead(&format!("{kind}-lead"), &count);
        for entry in waiting.iter().chain(&done).take(MOST_ENTRIES) {
            let desk = Desk { matter: &entry.matter, letterhead, moment };
            if entry.why == AskWhy::Settled {
                desk.settled_in_digest(page);
            } else {
                desk.in_digest(page, entry);
            }
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
    /// Adds one waiting message: a line, and its risks.
    fn in_digest(&self, page: &mut Page, entry: &Entry<'_>) {
        let Some(held) = self.still_held() else { return };
        let (subject, sender) = (self.subject(page, MAX_TITLE), self.sender(page));
        let mut said = Vec::new();
        if let Some(first) = held.risks.first() {
            said.push(safe::line(&first.line(page.language), MAX_LINE));
            said.extend(held.risks.iter().skip(1).map(|risk| risk.label(page.language)).take(3));
        }
        let expires = self.moment_text(page, held.expires);
        let mut about = vec![sender, page.say("digest-until", &[("expires", text(&expires))])];
        let note = match entry.why {
            AskWhy::Deputy => Some("digest-deputy"),
            AskWhy::AsIs => Some("digest-as-is"),
            AskWhy::Expiring => Some("digest-expiring"),
            _ => None,
        };
        about.extend(note.map(|key| page.say(key, &[])));
        let url = self.matter.links.view.clone();
        if url.is_none() {
            about.push(format!("{} {}", page.say("label-reference", &[]), held.id));
        }
        page.entry(Entered { title: subject, url, said: said.join(" / "), about: about.join(" · ") });
        if let Some(words) = entry.words {
            page.quote(&lines(words));
        }
    }
}

impl Desk<'_> {
    /// Adds one message that has been decided.
    fn settled_in_digest(&self, page: &mut Page) {
        let Some(held) = self.decided() else { return };
        let by = decided_by(page, held);
        let title = self.subject(page, MAX_TITLE);
        let said = page.say(outcome(held.state, held.decision.as_deref()), &[("by", text(&by))]);
        page.entry(Entered { title, url: None, said, about: String::new() });
    }
}

/// The key of the phrase that says how it was decided.
pub(crate) fn outcome(state: HeldState, decision: Option<&str>) -> &'static str {
    match (state, decision) {
        (HeldState::Released, Some("split")) => "settled-split",
        (HeldState::Released, Some("bcc")) => "settled-bcc",
        (HeldState::Released, _) => "settled-as-is",
        (HeldState::Returned, Some(decision)) if was_taken_back(decision) => "settled-taken-back",
        (HeldState::Expired, _) => "settled-expired",
        _ => "settled-returned",
    }
}

/// The reason given by the person who returned it.
fn returned_with(held: &HeldRow) -> Option<&str> {
    let words = held.decision.as_deref().filter(|words| !words.trim().is_empty())?;
    (held.state == HeldState::Returned && !was_taken_back(words)).then_some(words)
}

/// Adds all recipients by organisation. If there are many, each organisation gets an equal share of the lines
/// and the rest is counted.
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
        // a mailbox at a provider is an organisation of its own, whose name is that address
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

/// Adds where the audit found hidden addresses.
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
