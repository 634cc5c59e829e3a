//! Mails to the sender: held, sent later, split, released. The buttons only do what is safe; anything else
//! asks another person.

use super::super::links::{can_be_copied, individually};
use super::super::locale::{number, text};
use super::super::page::{MAX_LINE, MAX_LISTED, Page, Tone};
use super::super::people::People;
use super::super::safe;
use super::{Desk, Letter, button, decided_by, figures, headline, risks, why};
use crate::message::Address;
use crate::policy::Disclosure;
use crate::store::{HeldRow, HeldState, HoldKind};
use std::collections::HashSet;

impl Desk<'_> {
    /// The message is held.
    pub(in super::super) fn held(&self) -> Option<Letter> {
        let held = self.still_held()?;
        let (told, mut page) = self.to_sender(Tone::Waiting)?;
        let people = self.people();
        let risk = headline(&page, held, "held-some-reason");
        page.lead("held-lead", &[("risk", text(&risk))]);
        figures(&mut page, held, &people);
        risks(&mut page, held);
        self.options(&mut page, held);
        self.facts(&mut page, &people);
        exposed(&mut page, &people);
        Some(self.close("held-subject", vec![told.address], &[page], false))
    }

    /// The hold will expire soon.
    pub(in super::super) fn expiring(&self) -> Option<Letter> {
        let held = self.still_held()?;
        let (told, mut page) = self.to_sender(Tone::Waiting)?;
        let people = self.people();
        let expires = self.moment_text(&page, held.expires);
        page.lead("expiring-lead", &[("expires", text(&expires))]);
        self.was_sent_alone(&mut page);
        risks(&mut page, held);
        self.options(&mut page, held);
        self.facts(&mut page, &people);
        Some(self.close("expiring-subject", vec![told.address], &[page], false))
    }

    /// The hold, if it has not been decided.
    pub(super) fn still_held(&self) -> Option<&HeldRow> {
        self.matter.message.held.as_ref().filter(|held| held.state == HeldState::Held)
    }

    /// Says what happens next, and what the sender can do.
    fn options(&self, page: &mut Page, held: &HeldRow) {
        let links = self.matter.links;
        let deciders = self.deciders(page);
        let expires = self.moment_text(page, held.expires);
        let values = [("deciders", text(&deciders)), ("expires", text(&expires))];
        let safe_to_split = held.kind == HoldKind::Ask && can_be_copied(held);
        // if a risk remains in individual copies, the page of that button asks about it, and taking back is
        // the primary button
        let cures = held.risks.iter().all(|risk| risk.is_cured_by(Disclosure::Split));
        page.heading("heading-next");
        let key = match (links.take_back.is_some(), safe_to_split) {
            (true, true) if cures => "held-next-yourself",
            (true, true) => "held-next-yourself-risk",
            (true, false) if held.kind == HoldKind::Ask => "held-next-no-copies",
            (false, _) if can_be_copied(held) => "held-next",
            (_, false) | (false, true) => "held-next-others",
        };
        let next = page.say(key, &values);
        page.item(2, &next);
        let ends = page.say("held-ends", &values);
        page.item(2, &ends);
        let split = links.split.as_ref().filter(|_| safe_to_split);
        let own = held.kind == HoldKind::Ask;
        let buttons = [
            button(page, "button-split", split, cures),
            // if an approver decides, the sender need not do anything, so no button is primary
            button(page, "button-take-back", links.take_back.as_ref(), own && !cures),
            button(page, "button-as-is", links.as_is.as_ref(), false),
        ];
        page.buttons(buttons.into_iter().flatten().collect());
    }

    /// The message is sent later.
    pub(in super::super) fn waits(&self) -> Option<Letter> {
        let leaves = self.matter.deliveries.iter().filter_map(|row| row.due).min()?;
        if leaves <= self.moment.now {
            return None;
        }
        let (told, mut page) = self.to_sender(Tone::Waiting)?;
        let people = self.people();
        let leaves = self.moment_text(&page, leaves);
        page.lead("waits-lead", &[("leaves", text(&leaves))]);
        if individually(self.matter.message) {
            page.paragraph("waits-individually", &[]);
        }
        let links = self.matter.links;
        let take_back = button(&page, "button-take-back", links.take_back.as_ref(), false);
        let others = [
            button(&page, "button-now", links.split.as_ref(), false),
            button(&page, "button-know", links.as_is.as_ref(), false),
        ];
        if take_back.is_none() {
            let administrator = page.say("the-administrator", &[]);
            let admin = self.letterhead.admin.as_ref().map_or(administrator, ToString::to_string);
            page.paragraph("waits-ask", &[("admin", text(&admin))]);
        }
        page.buttons(others.into_iter().flatten().chain(take_back).collect());
        self.facts(&mut page, &people);
        if individually(self.matter.message) {
            self.list_copies(&mut page, "heading-gets");
        }
        self.reasons_of_verdict(&mut page);
        Some(self.close("waits-subject", vec![told.address], &[page], false))
    }

    /// The sender took it back.
    pub(in super::super) fn taken_back(&self) -> Option<Letter> {
        let (told, mut page) = self.to_sender(Tone::Ended)?;
        let people = self.people();
        page.lead("taken-lead", &[]);
        self.partly_sent(&mut page);
        let undo = button(&page, "button-undo", self.matter.links.undo.as_ref(), false);
        page.buttons(undo.into_iter().collect());
        self.facts(&mut page, &people);
        Some(self.close("taken-subject", vec![told.address], &[page], false))
    }

    /// The message was split, or sent as Bcc, without asking.
    pub(in super::super) fn split(&self) -> Option<Letter> {
        let (told, mut page) = self.to_sender(Tone::Done)?;
        let message = self.matter.message;
        let people = self.people();
        let count = [("count", number(self.everybody().len()))];
        let disclosure = message.verdict.as_ref().map(|verdict| verdict.demand.disclosure);
        if disclosure == Some(Disclosure::Bcc) {
            page.lead("bcc-lead", &count);
            page.paragraph("has-left", &[]);
            self.again(&mut page);
            self.facts(&mut page, &people);
        } else {
            page.lead("split-lead", &count);
            page.paragraph("has-left", &[]);
            self.again(&mut page);
            self.facts(&mut page, &people);
            self.what_each_saw(&mut page, &people);
        }
        self.list_copies(&mut page, "heading-got");
        self.reasons_of_verdict(&mut page);
        Some(self.close("split-subject", vec![told.address], &[page], false))
    }

    /// Another person released it.
    pub(in super::super) fn released(&self) -> Option<Letter> {
        let message = self.matter.message;
        let held = message.held.as_ref().filter(|held| held.state == HeldState::Released)?;
        let (told, mut page) = self.to_sender(Tone::Done)?;
        let people = self.people();
        let by = decided_by(&page, held);
        page.lead("released-lead", &[("by", text(&by))]);
        // a release begins with the way it was sent (`as-is, acknowledging …`)
        let way = held.decision.as_deref().unwrap_or_default().split(',').next();
        match way {
            Some("split") => page.paragraph("released-split", &[]),
            Some("bcc") => page.paragraph("released-bcc", &[]),
            Some("as-is") => page.paragraph("released-as-is", &[]),
            _ => {}
        }
        let dropped = &self.matter.details.dropped;
        if !dropped.is_empty() {
            page.heading("heading-dropped");
            page.list(2, dropped.iter().map(|one| safe::line(one, MAX_LINE)));
        }
        self.again(&mut page);
        self.facts(&mut page, &people);
        if message.goes_individually() {
            self.list_copies(&mut page, "heading-got");
        }
        Some(self.close("released-subject", vec![told.address], &[page], false))
    }

    fn reasons_of_verdict(&self, page: &mut Page) {
        if let Some(verdict) = &self.matter.message.verdict {
            let language = page.language;
            why(page, verdict.reasons(language).into_iter());
        }
    }

    /// Offers to send it again openly to everybody, if another person agrees.
    fn again(&self, page: &mut Page) {
        let again = button(page, "button-again", self.matter.links.again.as_ref(), false);
        page.buttons(again.into_iter().collect());
    }

    /// Every recipient of the mail, over all its transactions.
    pub(super) fn everybody(&self) -> Vec<&str> {
        let (message, details) = (self.matter.message, self.matter.details);
        let own = message.envelope.recipients.iter().map(|recipient| recipient.address.as_str());
        let others = details.siblings.iter().map(String::as_str);
        let mut everybody: Vec<&str> = Vec::new();
        let mut seen = HashSet::new();
        for one in own.chain(others) {
            if seen.insert(one) {
                everybody.push(one);
            }
        }
        everybody
    }

    /// Lists everybody who gets a copy: the sender may have wanted them to see each other.
    fn list_copies(&self, page: &mut Page, heading: &str) {
        page.heading(heading);
        let dropped = &self.matter.details.dropped;
        let mut gets = self.everybody();
        gets.retain(|one| !dropped.iter().any(|dropped| dropped == one));
        page.list(4, gets.into_iter().map(|one| safe::line(one, MAX_LINE)));
    }

    fn what_each_saw(&self, page: &mut Page, people: &People) {
        let recipients = self.everybody();
        let inside = recipients.iter().filter_map(|one| Address::parse(one).ok());
        let inside = inside.filter(|address| people.is_internal(address)).count();
        page.heading("heading-saw");
        let outside = page.say("split-saw-outside", &[("count", number(recipients.len() - inside))]);
        page.item(2, &outside);
        if !people.colleagues.is_empty() {
            let mut names: Vec<String> = people
                .colleagues
                .iter()
                .take(MAX_LISTED)
                .map(|address| safe::line(address.as_str(), MAX_LINE))
                .collect();
            let more = people.colleagues.len().saturating_sub(MAX_LISTED);
            names.extend((more > 0).then(|| page.say("and-more-people", &[("count", number(more))])));
            let names = names.join(", ");
            let colleagues = page.say("split-saw-colleagues", &[("colleagues", text(&names))]);
            page.item(2, &colleagues);
        }
        if inside > 0 {
            let inside = page.say("split-saw-inside", &[("count", number(inside))]);
            page.item(2, &inside);
        }
    }
}

/// Says who would see whom, if there is more than one person.
fn exposed(page: &mut Page, people: &People) {
    if people.exposed.len() < 2 {
        return;
    }
    page.heading("heading-who");
    page.list(4, people.exposed.iter().map(ToString::to_string));
}
