//! Mails to people: what became of their mail, and why. Pure composition, and the task that sends
//! what is due.
//!
//! [`compose`] turns a due notice and what it is about into a mail of our own, or into nothing where
//! nobody is to be told. Time, random bits and time zone come in as values. [`Postman`] is the task
//! that takes due notices from the store, composes them and hands them to the intake.
//!
//! * `locale` the words, in Japanese and English
//! * `whom` who is told, [`asking`] and [`hours`] when those who decide are
//! * `pages` what is said, `people` the facts it names, [`links`] what can be done by a press
//! * `page` a mail apart from how it looks, `html` how it looks
//! * `head` the journal's head, kept outside
//! * `report` delivery status notifications (RFC 3464), `bounce` what a refusal says in words
//! * `back` the mail itself, with the notice that it was not sent
//! * `round` what becomes of a notice that is due, `plan` whom it asks and what follows
//! * `mail`, `safe` bytes that are sound whatever others wrote
//!
//! A notice has the null sender and `Auto-Submitted`, so that nothing answers it (RFC 3834 §5).

pub mod asking;
mod back;
mod bounce;
pub mod canned;
mod head;
mod html;
pub mod links;
mod locale;
mod mail;
mod page;
mod pages;
mod people;
mod plan;
mod postman;
mod report;
mod round;
mod safe;
mod whom;

pub use crate::clock::hours;
pub use locale::language_of;

/// What messages in chat rooms are written with.
pub(crate) mod words {
    pub(crate) use super::locale::{number, say, text};
    pub(crate) use super::pages::outcome;
    pub(crate) use super::safe::line as clean;
}
pub use postman::{Deps, OwnIntake, Postman};

use crate::clock::Timestamp;
use crate::intake::OwnMail;
use crate::message::Address;
use crate::policy::Organisation;
use crate::policy::verdict::{Bilingual, Language};
use crate::store::{Ask, DueNotice, NoticeKind, QueueRow, StoredMessage};
use jiff::tz::TimeZone;
use std::sync::Arc;

/// Who writes, and who is there to be told.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// Our host name: Reporting-MTA and the right side of Message-IDs.
    pub hostname: String,
    /// From of our mails.
    pub from: Address,
    /// Who is ours.
    pub organisation: Arc<Organisation>,
    /// Who is asked about what was assigned to nobody.
    pub approvers: Vec<Address>,
    /// How those who decide are told.
    pub asking: asking::Asking,
    /// Who is told where there is no one else.
    pub admin: Option<Address>,
    /// The language for people who chose none, where it is set.
    pub language: Option<Language>,
    /// The zone that dates are written in.
    pub zone: TimeZone,
    /// Whom people ask for help, as it stands in the foot of each mail.
    pub contact: Option<Bilingual>,
    /// The upstream's host name, for reports.
    pub upstream: Option<String>,
}

/// Now, and random bits for a Message-ID and a MIME boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Now.
    pub now: Timestamp,
    /// Random.
    pub bits: u64,
}

impl Letterhead {
    /// The language that somebody is told in, where it is known: as they chose, as the configuration says
    /// of them, as it says of everybody.
    fn language_for(&self, address: &Address, chosen: Option<Language>) -> Option<Language> {
        chosen.or_else(|| self.asking.language(address)).or(self.language)
    }

    /// Somebody as the configuration spells them, known in comparison form.
    fn spelled(&self, key: &str) -> Option<Address> {
        let known = self.approvers.iter().chain(&self.admin).find(|address| address.key() == key).cloned();
        known.or_else(|| self.asking.spelled(key)).or_else(|| Address::parse(key).ok())
    }
}

impl Moment {
    fn rfc5322(self, zone: &TimeZone) -> String {
        self.now.to_jiff().to_zoned(zone.clone()).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }
}

/// What a notice is about.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// The message.
    pub message: &'a StoredMessage,
    /// All its deliveries, in order.
    pub deliveries: &'a [QueueRow],
    /// What its reader can do by a press.
    pub links: &'a links::Links,
    /// What it tells beside.
    pub details: &'a Details,
}

/// What a notice tells beside the message itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The mail goes back with it.
    pub encloses: Option<Encloses>,
    /// Recipients whom an approver took off.
    pub dropped: Vec<String>,
    /// For whom it came in other transactions.
    pub siblings: Vec<String>,
    /// It was made anew from a mail that was sent individually.
    pub again: bool,
    /// The language that who is told chose for themselves.
    pub chosen: Option<Language>,
}

/// How much of a mail goes back with the notice that it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encloses {
    /// All of it.
    Whole {
        /// It has octets beyond ASCII.
        eight_bit: bool,
    },
    /// Its header: it is too large, or could not stand in a mail as it is.
    Header,
}

/// Nothing beside.
pub static NO_DETAILS: Details =
    Details { encloses: None, dropped: Vec::new(), siblings: Vec::new(), again: false, chosen: None };

/// Composes the mail that tells one of those who decide about one message; `None` when nothing waits
/// any more. `words` are the sender's, who asks for it to be sent as it is.
pub fn compose_ask(
    ask: &Ask,
    matter: &Matter<'_>,
    words: Option<&str>,
    letterhead: &Letterhead,
    moment: Moment,
) -> Option<OwnMail> {
    let desk = pages::Desk { matter, letterhead, moment };
    let urgent = plan::is_urgent(matter.message);
    let (to, message) = desk.to_decide(&ask.approver, ask.why, words, urgent)?;
    Some(OwnMail {
        about: Some(matter.message.id),
        to,
        message: message.into(),
        answers: None,
        enclosed: None,
    })
}

/// Composes the mail that a notice to the sender calls for; `None` when there is nobody to tell or nothing to say.
pub fn compose(
    notice: &DueNotice,
    matter: &Matter<'_>,
    letterhead: &Letterhead,
    moment: Moment,
) -> Option<OwnMail> {
    let desk = pages::Desk { matter, letterhead, moment };
    let ((to, message), enclosed) = match notice.kind {
        NoticeKind::Returned => desk.returned()?,
        NoticeKind::Expired => desk.expired()?,
        kind => (told(kind, &desk)?, None),
    };
    Some(OwnMail {
        about: Some(matter.message.id),
        to,
        message: message.into(),
        answers: Some(notice.notice),
        enclosed,
    })
}

/// What goes along with nothing.
fn told(kind: NoticeKind, desk: &pages::Desk<'_>) -> Option<pages::Letter> {
    let report = |form| report::compose(desk.matter, desk.letterhead, desk.moment, form);
    match kind {
        NoticeKind::Held => desk.held(),
        NoticeKind::Split => desk.split(),
        NoticeKind::Released => desk.released(),
        NoticeKind::Waits => desk.waits(),
        NoticeKind::TakenBack => desk.taken_back(),
        NoticeKind::Expiring => desk.expiring(),
        NoticeKind::Failure => report(report::Form::Failed),
        NoticeKind::Delayed => report(report::Form::Delayed),
        NoticeKind::Delivered => report(report::Form::Relayed),
        // Of these more is told; and those who decide are told one by one: see `round`.
        NoticeKind::Returned
        | NoticeKind::Expired
        | NoticeKind::HeldApprovers
        | NoticeKind::Stopped
        | NoticeKind::AskedAsIs
        | NoticeKind::ExpiringApprovers
        | NoticeKind::Settled
        | NoticeKind::Escalated => None,
    }
}

#[cfg(test)]
mod tests;
