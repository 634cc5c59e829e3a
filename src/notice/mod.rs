//! Mails to people about what happened to their mail. Composition is pure; a task sends what is due.
//!
//! [`compose`] turns a due notice into a mail, or into nothing if nobody is to be told. Time, random bits and
//! time zone are passed in. [`Postman`] is the task that takes due notices from the store, composes them and
//! passes them to the intake.
//!
//! * `locale` the phrases, in Japanese and English
//! * `whom` who is told; [`asking`] and [`hours`] when approvers are told
//! * `pages` the contents, `people` the people named, [`links`] the actions offered
//! * `page` a mail independent of its format, `html` its HTML
//! * `head` the head of the journal's chain
//! * `report` delivery status notifications (RFC 3464), `bounce` explains failures
//! * `back` returns the mail itself
//! * `round` processes a due notice, `plan` decides whom it asks and what follows
//! * `mail`, `safe` bytes that are valid whatever text from outside they contain
//!
//! A notice has the null sender and `Auto-Submitted`, so that nothing replies to it (RFC 3834 §5).

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

/// Used for messages to chat rooms too.
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

/// The sender of our mails, and general settings about who is told.
#[derive(Clone, Debug)]
pub struct Letterhead {
    /// Our host name, for Reporting-MTA and Message-IDs.
    pub hostname: String,
    /// The From address of our mails.
    pub from: Address,
    /// Decides which addresses are ours.
    pub organisation: Arc<Organisation>,
    /// The approvers of messages that have none assigned.
    pub approvers: Vec<Address>,
    /// How approvers are told.
    pub asking: asking::Asking,
    /// The administrator, who is told when nobody else can be.
    pub admin: Option<Address>,
    /// The language for people who have not chosen one; `None` for both.
    pub language: Option<Language>,
    /// The time zone of dates.
    pub zone: TimeZone,
    /// Whom people can ask for help, for the foot of each mail.
    pub contact: Option<Bilingual>,
    /// The host name of the upstream, for reports.
    pub upstream: Option<String>,
}

/// The current time, and random bits for a Message-ID and a MIME boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The current time.
    pub now: Timestamp,
    /// Random bits.
    pub bits: u64,
}

impl Letterhead {
    /// The language for a person: the one they chose, otherwise the one configured for them, otherwise the
    /// general one.
    fn language_for(&self, address: &Address, chosen: Option<Language>) -> Option<Language> {
        chosen.or_else(|| self.asking.language(address)).or(self.language)
    }

    /// The configured spelling of an address in comparison form.
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

/// The input of a notice.
#[derive(Clone, Copy, Debug)]
pub struct Matter<'a> {
    /// The message.
    pub message: &'a StoredMessage,
    /// All its deliveries, in order.
    pub deliveries: &'a [QueueRow],
    /// The links that its reader gets.
    pub links: &'a links::Links,
    /// Further details.
    pub details: &'a Details,
}

/// Details of a notice beyond the message itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// How much of the mail is returned with it.
    pub encloses: Option<Encloses>,
    /// Recipients whom an approver removed.
    pub dropped: Vec<String>,
    /// Recipients of the mail's other transactions.
    pub siblings: Vec<String>,
    /// Whether it was made from a mail that had been sent individually.
    pub again: bool,
    /// The language that the reader chose.
    pub chosen: Option<Language>,
}

/// How much of a mail is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encloses {
    /// All of it.
    Whole {
        /// Whether it has octets outside ASCII.
        eight_bit: bool,
    },
    /// Only its header, because the mail is too large or cannot be enclosed as it is.
    Header,
}

/// No details.
pub static NO_DETAILS: Details =
    Details { encloses: None, dropped: Vec::new(), siblings: Vec::new(), again: false, chosen: None };

/// Composes the mail that tells an approver about one message; `None` if it is no longer held. `words` is the
/// reason of a sender who asks to send it as it is.
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

/// Composes the mail for a notice to the sender; `None` if there is nobody to tell or nothing to say.
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
        answers: Some(notice.id),
        enclosed,
    })
}

/// A notice without an enclosed mail.
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
        // the first two enclose the mail, the others go to each approver separately; see `round`
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
