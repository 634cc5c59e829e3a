//! A message in one sentence: what would happen, or, once it is decided, what was done, by whom and with
//! which words.

use super::super::words::{Words, calm, calm_lines, one_line};
use super::parts::LINE;
use super::people::LONGEST;
use super::risks::language;
use crate::desk::canned::in_language;
use crate::policy::risks::Kind;
use crate::store::{HeldLine, HeldRow, HeldState};
use crate::store::{TAKEN_BACK, was_taken_back};

/// One sentence that says what would happen.
pub(super) struct Headline {
    pub(super) text: String,
    pub(super) sum: String,
}

/// The sentence that says what would happen, or what was done.
pub(super) fn headline(t: &Words, row: &HeldRow) -> Headline {
    if row.state != HeldState::Held {
        return Headline { text: past(t, row), sum: String::new() };
    }
    let Some(first) = row.risks.first() else {
        let text = t.p("desk-head-look").n("count", row.recipients.len()).to_string();
        return Headline { text, sum: String::new() };
    };
    let sum = if first.kind == Kind::Exposed && first.people > 1 {
        let (others, all) = (first.people - 1, first.people * (first.people - 1));
        t.p("desk-head-sum").n("others", others).n("count", all).to_string()
    } else {
        String::new()
    };
    Headline { text: first.headline(language(t)), sum }
}

/// What was done with a decided mail.
fn past(t: &Words, row: &HeldRow) -> String {
    let decision = row.decision.as_deref().unwrap_or_default();
    let waits = row.undo_until.filter(|until| *until > t.now);
    let key = match (row.state, decision.split(',').next().unwrap_or_default()) {
        (HeldState::Held, _) => "desk-head-look",
        (HeldState::Released, way) if waits.is_some() => match way {
            "bcc" => "desk-soon-bcc",
            "as-is" => "desk-soon-as-is",
            _ => "desk-soon-split",
        },
        (HeldState::Released, "bcc") => "desk-past-bcc",
        (HeldState::Released, "as-is") if row.risks.iter().any(|risk| risk.kind == Kind::Exposed) => {
            "desk-past-as-is"
        }
        (HeldState::Released, "as-is") => "desk-past-unchanged",
        (HeldState::Released, _) => "desk-past-split",
        (HeldState::Returned, _) if was_taken_back(decision) => "desk-past-taken-back",
        (HeldState::Returned, _) => "desk-past-returned",
        (HeldState::Expired, _) => "desk-past-expired",
    };
    t.p(key).n("count", row.recipients.len()).to_string()
}

/// Who decided what, and when; `None` while it is held.
pub(super) fn decided(t: &Words, row: &HeldLine) -> Option<String> {
    let by = calm(row.decided_by.as_deref().unwrap_or_default(), LONGEST);
    let ago = row.decided_at.map(|at| t.moment(&at)).unwrap_or_default();
    let decision = row.decision.as_deref().unwrap_or_default();
    let phrase = match row.state {
        HeldState::Held => return None,
        HeldState::Released => match decision.split(',').next().unwrap_or_default() {
            "bcc" => t.p("desk-decided-bcc"),
            "as-is" => t.p("desk-decided-as-is"),
            _ => t.p("desk-decided-split"),
        },
        HeldState::Returned if decision == TAKEN_BACK => t.p("desk-decided-taken-back"),
        HeldState::Returned if was_taken_back(decision) => t.p("desk-decided-taken-back-for"),
        HeldState::Returned if decision.trim().is_empty() => t.p("desk-decided-returned"),
        HeldState::Returned => t
            .p("desk-decided-returned-because")
            .s("reason", one_line(&in_language(decision, t.tongue.language()), LINE)),
        HeldState::Expired => t.p("desk-decided-expired"),
    };
    Some(phrase.s("by", by).s("at", ago).to_string())
}

/// The reason of a return, with its line breaks; empty if there is none.
pub(super) fn reason_given(t: &Words, row: &HeldRow) -> String {
    let said = row.decision.as_deref().unwrap_or_default().trim();
    if row.state != HeldState::Returned || was_taken_back(said) {
        return String::new();
    }
    calm_lines(&in_language(said, t.tongue.language())).chars().take(LINE).collect()
}
