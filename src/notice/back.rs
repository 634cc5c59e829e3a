//! Returns a mail that was not sent: a delivery report (RFC 3464, RFC 6522) whose first part is the notice
//! for the sender, the second is for programs, and the third is the mail.
//!
//! As in other reports, Bcc is removed, because people forward reports as they are.

use super::pages::{Desk, Letter};
use super::report::{Form, original_header, typed, wanted};
use super::{Encloses, Moment, safe};
use crate::intake::Enclosed;
use crate::message::Address;
use crate::store::{DeliveryState, StoredMessage};
use bytes::Bytes;
use std::collections::HashSet;
use std::fmt::Write as _;

/// Why the mail was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// A person returned it.
    Refused,
    /// The hold expired.
    Expired,
}

impl Why {
    /// The status code (RFC 3463 §3.8, §3.5) and diagnostic text.
    fn status(self) -> (&'static str, &'static str) {
        match self {
            Self::Refused => ("5.7.1", "held by policy, then returned to its sender"),
            Self::Expired => ("5.4.7", "held by policy, and nobody decided in time"),
        }
    }
}

/// Adds the mail to a notice.
pub(super) fn with_original(
    letter: Letter,
    how_much: Encloses,
    why: Why,
    desk: &Desk<'_>,
) -> (Letter, Option<Enclosed>) {
    let message = desk.matter.message;
    let Some(header) = original_header(&message.header, true) else { return (letter, None) };
    let (to, notice) = letter;
    // the notice's MIME fields, from Content-Type on, become those of the first part
    let Some(at) = notice.find("\r\nContent-Type: ").map(|at| at + 2) else { return ((to, notice), None) };
    let boundary = format!("=_sekisho_back_{}_{:016x}", message.id, desk.moment.bits);
    let status = for_programs(desk, why);
    let kind = if status.is_some() { "report; report-type=delivery-status" } else { "mixed" };
    let mut out = notice[..at].to_owned();
    out.push_str(&safe::field("Content-Type", &format!("multipart/{kind}; boundary=\"{boundary}\"")));
    let eight_bit = how_much == Encloses::Whole { eight_bit: true };
    // RFC 2045 §6.4: a multipart with an 8-bit part is 8-bit itself
    let encoding = safe::field("Content-Transfer-Encoding", if eight_bit { "8bit" } else { "7bit" });
    out.push_str(&encoding);
    let _ = write!(out, "\r\n--{boundary}\r\n{}", &notice[at..]);
    if let Some(status) = status {
        let _ = write!(out, "\r\n--{boundary}\r\n{status}");
    }
    let _ = write!(out, "\r\n--{boundary}\r\n");
    let closing = format!("\r\n--{boundary}--\r\n");
    if how_much == Encloses::Header {
        out.push_str(&super::mail::text_part("text/rfc822-headers", &header));
        return ((to, out + &closing), None);
    }
    let _ = write!(out, "Content-Type: message/rfc822\r\n{encoding}\r\n");
    let enclosed = Enclosed {
        header: Bytes::from(header),
        body: message.body.clone(),
        closing: Bytes::from(closing),
        eight_bit,
    };
    ((to, out), Some(enclosed))
}

/// The part for programs (RFC 3464 §2); `None` if there is no recipient to report on.
fn for_programs(desk: &Desk<'_>, why: Why) -> Option<String> {
    let (message, zone) = (desk.matter.message, &desk.letterhead.zone);
    let recipients = unsent(desk);
    if recipients.is_empty() {
        return None;
    }
    let (status, words) = why.status();
    let mut out =
        "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n\r\n".to_owned();
    out.push_str(&safe::field("Reporting-MTA", &format!("dns; {}", desk.letterhead.hostname)));
    let arrival = Moment { now: message.received, bits: 0 };
    out.push_str(&safe::field("Arrival-Date", &arrival.rfc5322(zone)));
    for recipient in recipients {
        out.push_str("\r\n");
        out.push_str(&safe::field("Final-Recipient", &typed(&recipient)));
        out.push_str("Action: failed\r\n");
        out.push_str(&safe::field("Status", status));
        out.push_str(&safe::field("Diagnostic-Code", &format!("x-sekisho; {words}")));
    }
    Some(out)
}

/// The recipients to report on; of a mail in several transactions, those of all.
fn unsent(desk: &Desk<'_>) -> Vec<Address> {
    let message: &StoredMessage = desk.matter.message;
    let rows = desk.matter.deliveries.iter().filter(|row| row.state == DeliveryState::Delivered);
    let delivered: HashSet<&str> = rows.flat_map(|row| &row.recipients).map(String::as_str).collect();
    let own = &message.envelope.recipients;
    let silent: HashSet<&str> =
        own.iter().filter(|one| !wanted(one, Form::Failed)).map(|one| one.address.as_str()).collect();
    let of_all = message.held.iter().flat_map(|held| &held.recipients);
    let of_all: Vec<Address> = of_all.filter_map(|text| Address::parse(text).ok()).collect();
    let all = if of_all.is_empty() { own.iter().map(|one| one.address.clone()).collect() } else { of_all };
    all.into_iter()
        .filter(|one| !delivered.contains(one.as_str()) && !silent.contains(one.as_str()))
        .collect()
}
