//! What the visitor may do with a held message, and why some actions are missing.

use super::super::asking::may_ask;
use super::super::risks::{RiskText, to_tick};
use crate::desk::dossier::{Closed, Dossier};
use crate::desk::principal::{Principal, Via};
use crate::desk::wish::How;
use crate::store::{HeldRow, HeldState};
use crate::web::words::Words;

/// The actions that the visitor may take and that are possible.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct ReleaseOptions {
    pub(super) split: ReleaseOption,
    pub(super) bcc: ReleaseOption,
    pub(super) as_is: ReleaseOption,
    pub(super) drop: bool,
    pub(super) give_back: bool,
    /// Whether it is their own mail, which they take back instead of returning it.
    pub(super) own: bool,
    /// Whether they may ask to send it as it is.
    pub(super) ask: bool,
    /// The risks that individual copies leave; each has to be ticked, and returning is then the primary
    /// button.
    pub(super) ticks: Vec<RiskText>,
    /// Why actions are missing, in sentences.
    pub(super) notes: Vec<String>,
}

impl ReleaseOptions {
    /// Whether sending individually leaves no risk.
    pub(super) fn cures(&self) -> bool {
        self.ticks.is_empty()
    }

    /// Whether individual copies are possible.
    pub(super) fn copies(&self) -> bool {
        self.split.shown() || self.bcc.shown()
    }

    pub(super) fn any(&self) -> bool {
        self.split.allowed || self.bcc.allowed || self.as_is.allowed || self.give_back
    }
}

#[derive(Default)]
pub(super) struct ReleaseOption {
    pub(super) allowed: bool,
    pub(super) open: bool,
}

impl ReleaseOption {
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
) -> ReleaseOptions {
    if row.state != HeldState::Held {
        return ReleaseOptions::default();
    }
    let parties = &dossier.parties;
    let may = |how, drops| who.may_release(parties, how, drops);
    let open = closed.is_none();
    let way = |how| ReleaseOption { allowed: may(how, false), open };
    let mut ways = ReleaseOptions {
        split: way(How::Split),
        bcc: way(How::Bcc),
        as_is: ReleaseOption { allowed: may(How::AsIs, false), open: true },
        // if this transaction cannot be copied safely, its siblings cannot either
        drop: may(How::Split, true) && open && dossier.message.envelope.recipients.len() > 1,
        give_back: who.may_return(parties),
        own: who.sent(parties),
        ask: may_ask(who, &dossier.parties, row) && !may(How::AsIs, false),
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
    // says so if another way of signing in would allow it, because the visitor would look for the button
    let stronger = Principal { via: Via::Login, ..who.clone() };
    if who.via == Via::Mailbox && !ways.as_is.allowed && stronger.may_release(parties, How::AsIs, false) {
        ways.notes.push(t.p("desk-note-mailbox").to_string());
    }
    ways
}
