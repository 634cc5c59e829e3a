//! What the visitor may do with a held message, and why something is missing.

use super::super::asking::may_ask;
use super::super::risks::{Told, to_tick};
use crate::desk::dossier::{Closed, Dossier};
use crate::desk::principal::{Principal, Via};
use crate::desk::wish::How;
use crate::store::{HeldRow, HeldState};
use crate::web::words::Words;

/// What the visitor may do, and what is open.
#[derive(Default)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own
pub(super) struct Ways {
    pub(super) split: Way,
    pub(super) bcc: Way,
    pub(super) as_is: Way,
    pub(super) drop: bool,
    pub(super) give_back: bool,
    /// It is theirs: giving it back is taking it back.
    pub(super) own: bool,
    /// They may ask that it leave as it is.
    pub(super) ask: bool,
    /// What sending individually leaves: each has to be ticked, and going back comes first.
    pub(super) ticks: Vec<Told>,
    /// Why something is missing, in sentences.
    pub(super) notes: Vec<String>,
}

impl Ways {
    /// Sending individually leaves no risk.
    pub(super) fn cures(&self) -> bool {
        self.ticks.is_empty()
    }

    /// Whether copies can be made for each.
    pub(super) fn copies(&self) -> bool {
        self.split.shown() || self.bcc.shown()
    }

    pub(super) fn any(&self) -> bool {
        self.split.allowed || self.bcc.allowed || self.as_is.allowed || self.give_back
    }
}

#[derive(Default)]
pub(super) struct Way {
    pub(super) allowed: bool,
    pub(super) open: bool,
}

impl Way {
    pub(super) fn shown(&self) -> bool {
        self.allowed && self.open
    }
}

pub(super) fn ways(
    t: &Words,
    who: &Principal,
    dossier: &Dossier,
    row: &HeldRow,
    closed: Option<&Closed>,
) -> Ways {
    if row.state != HeldState::Held {
        return Ways::default();
    }
    let what = dossier.whose.standing();
    let may = |how, drops| who.may_release(&what, how, drops);
    let open = closed.is_none();
    let way = |how| Way { allowed: may(how, false), open };
    let mut ways = Ways {
        split: way(How::Split),
        bcc: way(How::Bcc),
        as_is: Way { allowed: may(How::AsIs, false), open: true },
        // Where no safe copies can be made, none can be made for the others either.
        drop: may(How::Split, true) && open && dossier.message.envelope.recipients.len() > 1,
        give_back: who.may_return(&what),
        own: who.sent(&what),
        ask: may_ask(who, &dossier.whose, row) && !may(How::AsIs, false),
        ticks: to_tick(t, &row.risks, How::Split),
        notes: Vec::new(),
    };
    match closed {
        Some(Closed::Audit(_)) if ways.split.allowed => ways.notes.push(t.p("desk-note-audit").to_string()),
        Some(Closed::Unreadable(_)) if ways.split.allowed => {
            ways.notes.push(t.p("desk-note-unreadable").to_string());
        }
        _ => {}
    }
    if ways.own && !ways.as_is.allowed {
        let key = if ways.split.allowed { "desk-note-own-ask" } else { "desk-note-own" };
        ways.notes.push(t.p(key).to_string());
    } else if !ways.any() {
        ways.notes.push(t.p("desk-note-auditor").to_string());
    }
    // Signed in another way they could: that has to be said, or the button is looked for in vain.
    let stronger = Principal { via: Via::Login, ..who.clone() };
    if who.via == Via::Mailbox && !ways.as_is.allowed && stronger.may_release(&what, How::AsIs, false) {
        ways.notes.push(t.p("desk-note-mailbox").to_string());
    }
    ways
}
