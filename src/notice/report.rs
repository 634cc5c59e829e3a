//! Delivery status notifications (RFC 3464): one report to the original sender for all recipients that failed
//! or are delayed. The first part is for people, the second for programs; the third is the original's header,
//! which identifies the mail.
//!
//! No reports go to the null sender or about our own mail (RFC 5321 §6.1). NOTIFY is respected (RFC 3461
//! §4.1). An outside sender learns only about recipients that the sender itself gave, and gets back only
//! header fields that name nobody else.

use super::locale::{language_of, number, text};
use super::mail::Head;
use super::page::{Page, Tone};
use super::pages::{Letter, MAX_SUBJECT, MAX_TITLE, body, subject};
use super::whom::is_ours;
use super::{Letterhead, Matter, Moment, bounce, safe};
use crate::message::named::is_blind;
use crate::message::seven_bit::quoted_printable;
use crate::message::{Address, Header, Recipient};
use crate::policy::verdict::Language;
use crate::store::{DeliveryState, Origin, QueueRow};
use bytes::Bytes;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Most recipients listed in the part for people; the part for programs lists all.
const MAX_LISTED: usize = 100;
/// Longest reply that is quoted, in characters.
const MAX_REPLY: usize = 500;
/// Longest line in octets, its CR included (RFC 5322 §2.1.1).
const MAX_LINE: usize = 999;
/// Most octets of the original's header that are returned.
const MAX_HEADER: usize = 128 * 1024;

/// The kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Failed,
    Delayed,
    /// Relayed to a host that does not report deliveries (RFC 3464 §2.3.3).
    Relayed,
}

/// One reported recipient.
struct Line<'a> {
    recipient: &'a Recipient,
    reply: &'a str,
}

/// Composes the report; `None` if nobody is to get one.
pub(super) fn compose(
    matter: &Matter<'_>,
    letterhead: &Letterhead,
    moment: Moment,
    form: Form,
) -> Option<Letter> {
    let message = matter.message;
    if matches!(message.origin, Origin::Own { .. }) {
        return None;
    }
    let sender = message.envelope.sender.clone()?;
    let lines = lines(matter, form);
    if lines.is_empty() {
        return None;
    }
    let report = Report { matter, letterhead, moment, form, lines };
    let known = letterhead.language_for(&sender, matter.details.chosen);
    let language =
        known.unwrap_or_else(|| language_of(&message.header, &message.subject, Language::default()));
    let boundary = format!("=_sekisho_report_{}_{:016x}", message.id, moment.bits);
    let page = report.for_people(language);
    let title = page.say(report.key("subject"), &[("subject", text(&subject(&page, message, MAX_TITLE)))]);
    let to = vec![sender];
    let head = Head {
        letterhead,
        moment,
        about: message.id,
        thread: &message.message_id,
        to: &to,
        subject: &title,
        auto_submitted: "auto-replied",
        urgent: false,
    };
    // the contact is only for our own people
    let contact = letterhead.contact.clone().filter(|_| is_ours(&to[0], letterhead));
    let known = Letterhead { contact, ..letterhead.clone() };
    let head = Head { letterhead: &known, ..head };
    let mut parts = vec![
        body(&head, &[page], std::slice::from_ref(&title)),
        // RFC 3464 §2.1: 7bit, never encoded; `for_programs` is ASCII with lines far below 998 octets
        format!(
            "Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{}",
            report.for_programs()
        ),
    ];
    if let Some(header) = report.original_header(is_ours(&to[0], letterhead)) {
        parts.push(header_part(&header));
    }
    let mut out = head.render();
    let kind = format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
    out.push_str(&safe::field("Content-Type", &kind));
    for part in parts {
        let _ = write!(out, "\r\n--{boundary}\r\n{part}");
    }
    let _ = write!(out, "\r\n--{boundary}--\r\n");
    Some((to, out))
}

/// The recipients for this kind of report, as far as their NOTIFY asks for it.
fn lines<'a>(matter: &Matter<'a>, form: Form) -> Vec<Line<'a>> {
    let envelope = &matter.message.envelope.recipients;
    let known: HashMap<&str, &Recipient> =
        envelope.iter().map(|recipient| (recipient.address.as_str(), recipient)).collect();
    let rows = matter.deliveries.iter().filter(|row| concerns(row, form));
    rows.flat_map(|row| row.recipients.iter().map(move |recipient| (row, recipient)))
        .filter_map(|(row, recipient)| {
            Some(Line { recipient: *known.get(recipient.as_str())?, reply: &row.last_reply })
        })
        .filter(|line| wanted(line.recipient, form))
        .collect()
}

fn concerns(row: &QueueRow, form: Form) -> bool {
    match form {
        Form::Failed => row.state == DeliveryState::Failed,
        Form::Relayed => row.state == DeliveryState::Delivered,
        Form::Delayed => {
            (row.attempts > 0 || row.state == DeliveryState::Ready)
                && matches!(
                    row.state,
                    DeliveryState::Waiting
                        | DeliveryState::Ready
                        | DeliveryState::Sending
                        | DeliveryState::Uncertain
                )
        }
    }
}

/// RFC 3461 §4.1: without NOTIFY, failures and delays are reported; with it, only what it names.
pub(super) fn wanted(recipient: &Recipient, form: Form) -> bool {
    // success is reported only on request
    if form == Form::Relayed {
        return recipient.notify.is_some_and(|notify| notify.success && !notify.never);
    }
    recipient.notify.is_none_or(|notify| {
        !notify.never
            && match form {
                Form::Failed => notify.failure,
                Form::Delayed => notify.delay,
                Form::Relayed => notify.success,
            }
    })
}

struct Report<'a> {
    matter: &'a Matter<'a>,
    letterhead: &'a Letterhead,
    moment: Moment,
    form: Form,
    lines: Vec<Line<'a>>,
}

impl Report<'_> {
    fn key(&self, what: &str) -> &'static str {
        match (self.form, what) {
            (Form::Failed, "subject") => "failure-subject",
            (Form::Failed, "lead") => "failure-lead",
            (Form::Failed, _) => "failure-next",
            (Form::Delayed, "subject") => "delayed-subject",
            (Form::Delayed, "lead") => "delayed-lead",
            (Form::Delayed, _) => "delayed-next",
            (Form::Relayed, "subject") => "delivered-subject",
            (Form::Relayed, "lead") => "delivered-lead",
            (Form::Relayed, _) => "delivered-next",
        }
    }

    /// The part for people.
    fn for_people(&self, language: Language) -> Page {
        let message = self.matter.message;
        let tone = match self.form {
            Form::Failed => Tone::Alarm,
            Form::Delayed => Tone::Waiting,
            Form::Relayed => Tone::Done,
        };
        let mut page = Page::new(language, tone);
        let total = message.envelope.recipients.len();
        let counts = [("count", number(self.lines.len())), ("total", number(total))];
        page.lead(self.key("lead"), &counts);
        page.heading(if self.form == Form::Relayed { "heading-got" } else { "heading-undelivered" });
        for line in self.lines.iter().take(MAX_LISTED) {
            page.exact(2, &safe::line(line.recipient.address.as_str(), MAX_REPLY));
            if self.form != Form::Relayed {
                let said = page.say(bounce::phrase(&status(line.reply, self.form)), &[]);
                page.item(4, &said);
            }
            let reply = safe::line(line.reply, MAX_REPLY);
            if reply.is_empty() {
                let none = page.say("no-answer", &[]);
                page.item(4, &none);
            } else {
                let details = page.say("bounce-reply", &[("reply", text(&reply))]);
                page.exact(4, &details);
            }
        }
        if self.lines.len() > MAX_LISTED {
            let more = page.say("and-more-people", &[("count", number(self.lines.len() - MAX_LISTED))]);
            page.item(2, &more);
        }
        page.paragraph(self.key("next"), &[]);
        let subject = subject(&page, message, MAX_SUBJECT);
        page.labelled("label-subject", &subject);
        page.labelled("label-reference", message.id.as_str());
        page
    }

    /// The part for programs (RFC 3464 §2).
    fn for_programs(&self) -> String {
        let message = self.matter.message;
        let zone = &self.letterhead.zone;
        let mut out = safe::field("Reporting-MTA", &format!("dns; {}", self.letterhead.hostname));
        if let Some(envid) = message.envelope.envid.as_deref().map(xtext).filter(|id| !id.is_empty()) {
            out.push_str(&safe::field("Original-Envelope-Id", &envid));
        }
        let arrival = Moment { now: message.received, bits: 0 };
        out.push_str(&safe::field("Arrival-Date", &arrival.rfc5322(zone)));
        for line in &self.lines {
            out.push_str("\r\n");
            if let Some(original) = line.recipient.orcpt.as_deref().and_then(original_recipient) {
                out.push_str(&safe::field("Original-Recipient", &original));
            }
            out.push_str(&safe::field("Final-Recipient", &typed(&line.recipient.address)));
            let action = match self.form {
                Form::Failed => "failed",
                Form::Delayed => "delayed",
                Form::Relayed => "relayed",
            };
            out.push_str(&safe::field("Action", action));
            out.push_str(&safe::field("Status", &status(line.reply, self.form)));
            if let Some(upstream) = &self.letterhead.upstream {
                out.push_str(&safe::field("Remote-MTA", &format!("dns; {}", safe::ascii(upstream, 255))));
            }
            let words = safe::ascii(staged(line.reply).0, MAX_REPLY);
            if !words.is_empty() {
                let kind = if reply_code(&words).is_some() { "smtp" } else { "x-sekisho" };
                out.push_str(&safe::field("Diagnostic-Code", &format!("{kind}; {words}")));
            }
            out.push_str(&safe::field("Last-Attempt-Date", &self.moment.rfc5322(zone)));
        }
        out
    }

    /// The part of the original's header that the sender may get back.
    fn original_header(&self, ours: bool) -> Option<Vec<u8>> {
        original_header(&self.matter.message.header, ours)
    }
}

/// The header that a sender may get back: our own senders get all but Bcc, because people forward reports as
/// they are; others get the fields that name nobody.
pub(super) fn original_header(header: &Bytes, ours: bool) -> Option<Vec<u8>> {
    let header = Header::parse(header.clone()).ok()?;
    let mut out = Vec::new();
    for field in header.fields() {
        let name = header.name(field).to_ascii_lowercase();
        let kept = match name.as_slice() {
            b"from" | b"date" | b"subject" | b"message-id" => true,
            b"apparently-to" | b"x-envelope-to" => false,
            other if is_blind(other) => false,
            _ => ours,
        };
        let bytes = &header.bytes()[field.whole.clone()];
        if kept && out.len() + bytes.len() <= MAX_HEADER {
            out.extend_from_slice(bytes);
            if !bytes.ends_with(b"\r\n") {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
    (!out.is_empty()).then_some(out)
}

/// An address with its type: `rfc822; a@b`, or `utf-8; …` in ASCII form for an internationalised one (RFC
/// 6533 §3).
pub(super) fn typed(address: &Address) -> String {
    if !address.needs_utf8() {
        return format!("rfc822; {}", safe::ascii(address.as_str(), 400));
    }
    let mut out = String::from("utf-8; ");
    for c in address.as_str().chars() {
        if c.is_ascii_graphic() && !matches!(c, '+' | '=' | '\\') {
            out.push(c);
        } else {
            let _ = write!(out, "\\x{{{:X}}}", u32::from(c));
        }
    }
    out
}

/// ORCPT as it was sent (`rfc822;a+40b`) as a field value: the type, and the decoded xtext.
fn original_recipient(orcpt: &str) -> Option<String> {
    let (kind, address) = orcpt.split_once(';')?;
    let sound = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    sound.then(|| format!("{kind}; {}", xtext(address)))
}

/// Decoded xtext (RFC 3461 §4), one line of ASCII.
fn xtext(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[at], pair.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'+', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    safe::ascii(&String::from_utf8_lossy(&out), 400)
}

/// The basic status code at the beginning of a reply.
fn reply_code(reply: &str) -> Option<u16> {
    let code = reply.get(..3)?.parse().ok()?;
    let ends = reply.as_bytes().get(3).is_none_or(|byte| matches!(byte, b' ' | b'-'));
    (ends && (200..600).contains(&code)).then_some(code)
}

/// The status code (RFC 3463): the upstream's own if its class fits, otherwise one chosen from what is known.
fn status(reply: &str, form: Form) -> String {
    if form == Form::Relayed {
        return "2.0.0".to_owned();
    }
    let class = if form == Form::Failed { '5' } else { '4' };
    let Some(code) = reply_code(reply) else {
        // our own text has a code at the beginning, unless the delivery timed out or had no answer yet
        return match enhanced(reply) {
            Some(own) if own.starts_with(class) => own.to_owned(),
            _ if form == Form::Failed => "5.4.7".to_owned(),
            _ => "4.4.1".to_owned(),
        };
    };
    match reply.get(4..).and_then(enhanced) {
        Some(own) if own.starts_with(class) => own.to_owned(),
        // a temporary failure until the delivery expired (RFC 3463 §3.5)
        _ if form == Form::Failed && code < 500 => "5.4.7".to_owned(),
        _ if form == Form::Failed => bare(code, staged(reply).1).to_owned(),
        _ => format!("{class}.0.0"),
    }
}

/// The enhanced status code (RFC 3463) at the beginning of a text.
fn enhanced(text: &str) -> Option<&str> {
    let word = text.split([' ', '\r', '\n']).next()?;
    let parts: Vec<&str> = word.split('.').collect();
    let number =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    (parts.len() == 3 && matches!(parts[0], "4" | "5") && parts.iter().all(number)).then_some(word)
}

/// The command that the upstream replied to; stored with replies that have no enhanced code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sender,
    Recipient,
    Content,
}

/// A stored reply, and the command it replied to.
fn staged(reply: &str) -> (&str, Stage) {
    let at = |stage: &str| reply.strip_suffix(stage).and_then(|rest| rest.strip_suffix(' '));
    if let Some(said) = at("(after MAIL)") {
        return (said, Stage::Sender);
    }
    match at("(after DATA)").or_else(|| at("(after the final dot)")) {
        Some(said) => (said, Stage::Content),
        None => (reply, Stage::Recipient),
    }
}

/// The status code for a permanent failure without an enhanced code, by the rejected command (RFC 5321
/// §4.3.2). Only a rejected RCPT blames the address, because mailing lists unsubscribe an address because of
/// such a code.
fn bare(code: u16, stage: Stage) -> &'static str {
    match (code, stage) {
        (550, Stage::Recipient) => "5.1.1",
        (552, Stage::Recipient) => "5.2.2",
        (553, Stage::Recipient) => "5.1.3",
        (550, Stage::Sender) => "5.1.8",
        (553, Stage::Sender) => "5.1.7",
        (552, Stage::Sender | Stage::Content) => "5.3.4",
        (550 | 554, Stage::Content) => "5.6.0",
        _ => "5.0.0",
    }
}

/// The original's header as a part: unchanged if its lines are short enough, otherwise in quoted-printable,
/// in which programs can still find the Message-ID (RFC 6522 §4).
fn header_part(header: &[u8]) -> String {
    let mut lines = header.split(|byte| *byte == b'\n');
    let plain = header.is_ascii() && lines.all(|line| line.len() <= MAX_LINE);
    let mut out = safe::field("Content-Type", "text/rfc822-headers");
    let content = if plain {
        out.push_str("Content-Transfer-Encoding: 7bit\r\n\r\n");
        header.to_vec()
    } else {
        out.push_str("Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        quoted_printable(header)
    };
    out.push_str(&String::from_utf8_lossy(&content));
    out
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
