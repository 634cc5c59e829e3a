//! Mails to people: what became of their mail, and why. Pure composition, and the task that sends
//! what is due.
//!
//! [`compose`] turns a due notice and what it is about into a mail of our own, or into nothing where
//! nobody is to be told. Time, random bits and time zone come in as values. [`Postman`] is the task
//! that takes due notices from the store, composes them and hands them to the intake.
//!
//! * `locale` the words, in Japanese and English
//! * `whom` who is told
//! * `pages` the texts, `people` the facts they name
//! * `report` delivery status notifications (RFC 3464)
//! * `mail`, `safe` bytes that are sound whatever others wrote
//!
//! A notice has the null sender and `Auto-Submitted`, so that nothing answers it (RFC 3834 §5).

mod locale;
mod mail;
mod pages;
mod people;
mod postman;
mod report;
mod safe;
mod whom;

pub use locale::language_of;
pub use postman::{OwnIntake, Postman};

use crate::clock::Timestamp;
use crate::intake::OwnMail;
use crate::message::Address;
use crate::policy::Organisation;
use crate::policy::verdict::Language;
use crate::store::{DueNotice, NoticeKind, QueueRow, StoredMessage};
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
    /// Who is told of a hold.
    pub approvers: Vec<Address>,
    /// Who is told where there is no one else.
    pub admin: Option<Address>,
    /// The language for people whose own cannot be told from their mail.
    pub language: Language,
    /// The zone that dates are written in.
    pub zone: TimeZone,
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
}

/// Composes the mail that a notice calls for; `None` when there is nobody to tell or nothing to say.
pub fn compose(
    notice: &DueNotice,
    matter: &Matter<'_>,
    letterhead: &Letterhead,
    moment: Moment,
) -> Option<OwnMail> {
    let desk = pages::Desk { matter, letterhead, moment };
    let (to, message) = match notice.kind {
        NoticeKind::Held => desk.held(),
        NoticeKind::HeldApprovers => desk.to_decide(),
        NoticeKind::Split => desk.split(),
        NoticeKind::Returned => desk.returned(),
        NoticeKind::Expired => desk.expired(),
        NoticeKind::Stopped => desk.stopped(),
        NoticeKind::Failure => report::compose(matter, letterhead, moment, report::Form::Failed),
        NoticeKind::Delayed => report::compose(matter, letterhead, moment, report::Form::Delayed),
    }?;
    Some(OwnMail {
        about: Some(matter.message.id),
        to,
        message: message.into(),
        answers: Some(notice.notice),
    })
}

#[cfg(test)]
mod tests;
