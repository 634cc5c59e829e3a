//! Writes MAIL and RCPT according to what the next hop offers, and checks whether it can take a copy.

use super::capabilities::Capabilities;
use crate::message::envelope::{Notify, Ret};
use crate::message::{Address, Recipient};
use crate::upstream::{Content, Transaction};

/// Size of the content in octets before dot-stuffing, as RFC 1870 §5 counts it.
fn content_size(transaction: &Transaction) -> u64 {
    let body = match &transaction.body {
        Content::Inline(body) => body.len() as u64,
        Content::Stream { size, .. } => *size,
        Content::Spent => 0,
    };
    transaction.header.len() as u64 + body
}

fn needs_utf8(transaction: &Transaction) -> bool {
    transaction.smtputf8 || has_utf8_address(transaction)
}

/// Whether an envelope address contains non-ASCII characters.
pub(super) fn has_utf8_address(transaction: &Transaction) -> bool {
    transaction.sender.as_ref().is_some_and(Address::needs_utf8)
        || transaction.recipients.iter().any(|recipient| recipient.address.needs_utf8())
}

/// Why a next hop with these extensions can never take this copy: an enhanced status code and a text.
/// Nothing is downgraded silently.
pub(super) fn misfit(transaction: &Transaction, offers: &Capabilities) -> Option<String> {
    let size = content_size(transaction);
    if let Some(limit) = offers.size_limit().filter(|limit| size > *limit) {
        return Some(format!(
            "5.3.4 the message has {size} octets, and the upstream accepts at most {limit}"
        ));
    }
    if needs_utf8(transaction) && !offers.smtputf8 {
        return Some(
            "5.6.7 an address or the header needs SMTPUTF8, which the upstream does not offer".to_owned(),
        );
    }
    None
}

/// Appends MAIL FROM.
pub(super) fn mail(transaction: &Transaction, offers: &Capabilities, out: &mut Vec<u8>) {
    let mut line = format!("MAIL FROM:<{}>", transaction.sender.as_ref().map_or("", Address::as_str));
    if offers.size.is_some() {
        line.push_str(" SIZE=");
        line.push_str(&content_size(transaction).to_string());
    }
    if transaction.eight_bit {
        line.push_str(" BODY=8BITMIME");
    }
    if needs_utf8(transaction) {
        line.push_str(" SMTPUTF8");
    }
    if offers.dsn {
        match transaction.ret {
            Some(Ret::Full) => line.push_str(" RET=FULL"),
            Some(Ret::Hdrs) => line.push_str(" RET=HDRS"),
            None => {}
        }
        if let Some(envid) = transaction.envid.as_deref().filter(|envid| is_parameter(envid, 100)) {
            line.push_str(" ENVID=");
            line.push_str(envid);
        }
    }
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends RCPT TO.
pub(super) fn rcpt(recipient: &Recipient, offers: &Capabilities, out: &mut Vec<u8>) {
    let mut line = format!("RCPT TO:<{}>", recipient.address);
    if offers.dsn {
        if let Some(notify) = recipient.notify {
            line.push_str(" NOTIFY=");
            line.push_str(&notify_words(notify));
        }
        if let Some(orcpt) = recipient.orcpt.as_deref().filter(|orcpt| names(orcpt, &recipient.address)) {
            line.push_str(" ORCPT=");
            line.push_str(orcpt);
        }
    }
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn notify_words(notify: Notify) -> String {
    let words: Vec<&str> =
        [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")]
            .into_iter()
            .filter_map(|(asked, word)| asked.then_some(word))
            .collect();
    if notify.never || words.is_empty() { "NEVER".to_owned() } else { words.join(",") }
}

/// Whether a parameter's value is a single word of printable ASCII. A second check against injected
/// commands; intake makes the first.
fn is_parameter(value: &str, most: usize) -> bool {
    (1..=most).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Whether an ORCPT names this same recipient. Any other address could disclose another recipient, so it
/// is not sent.
fn names(orcpt: &str, address: &Address) -> bool {
    is_parameter(orcpt, 500)
        && orcpt
            .split_once(';')
            .filter(|(kind, _)| kind.eq_ignore_ascii_case("rfc822"))
            .and_then(|(_, encoded)| from_xtext(encoded))
            .and_then(|text| Address::parse(&text).ok())
            .is_some_and(|named| named == *address)
}

/// Decodes xtext (RFC 3461 §4).
fn from_xtext(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'+' {
            let (digits, after) = after.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
