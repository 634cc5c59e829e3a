//! Addresses anywhere in a header: in display names, comments, the Subject or fields of any name. Readers of
//! the mail can see them, whatever the field is for.
//!
//! Skipped are trace fields, signatures, fields that providers' systems add, and identifiers (`id@host`):
//! nobody reads those as addresses.

use super::address::spell::is_invisible;
use super::header::decode_text;
use super::open::written::WrittenScan;
use super::walk::params;
use super::{Address, Header};
use unicode_normalization::UnicodeNormalization;

/// Maximum number of addresses taken from one field.
const MOST: usize = 10_000;

/// Trace fields and signatures (RFC 5321 §4.4, RFC 6376, RFC 8601, RFC 8617), fields in which hosts record
/// where a mail was delivered, and fields in which bulk senders say where to complain.
const TRACE: [&str; 21] = [
    "abuse-reports-to",
    "authentication-results",
    "autocrypt",
    "delivered-to",
    "dkim-signature",
    "domainkey-signature",
    "envelope-to",
    "feedback-id",
    "original-recipient",
    "received",
    "received-spf",
    "return-path",
    "x-complaints-to",
    "x-csa-complaints",
    "x-envelope-from",
    "x-forwarded-for",
    "x-feedback-id",
    "x-original-to",
    "x-received",
    "x-report-abuse",
    "x-report-abuse-to",
];

/// Fields whose values are identifiers that look like addresses (RFC 5322 §3.6.4, RFC 2045 §7).
const IDENTIFIERS: [&str; 6] =
    ["content-id", "in-reply-to", "message-id", "references", "resent-message-id", "x-message-id"];

/// Names that begin like this belong to fields that systems add.
const MACHINES: [&str; 8] = [
    "arc-",
    "list-",
    "x-forefront-",
    "x-gm-",
    "x-google-",
    "x-microsoft-antispam",
    "x-ms-exchange-",
    "x-ms-office365-",
];

/// Fields that are removed from every copy, so no reader sees them.
const NEVER_LEAVE: [&str; 2] = ["apparently-to", "x-envelope-to"];

/// Whether a field of this name has Bcc recipients: Bcc, Resent-Bcc, and what systems call theirs (X-Odoo-Bcc,
/// X-Gm-Original-Bcc).
pub fn is_blind(name: &[u8]) -> bool {
    name.len() >= 3 && name[name.len() - 3..].eq_ignore_ascii_case(b"bcc")
}

/// Every address in the fields of Bcc recipients that systems add, each once. Bcc and Resent-Bcc have a syntax of
/// their own.
pub fn blind(header: &Header) -> Vec<Address> {
    let mut scan = WrittenScan::default();
    let theirs =
        |name: &[u8]| !name.eq_ignore_ascii_case(b"bcc") && !name.eq_ignore_ascii_case(b"resent-bcc");
    for field in
        header.fields().iter().filter(|field| is_blind(header.name(field)) && theirs(header.name(field)))
    {
        scan.feed(decode_text(header.body(field)).as_bytes());
        scan.feed(b"\n");
    }
    scan.finish(MOST)
}

/// Every address that a reader of the header can see, each once, in order.
pub fn named(header: &Header) -> Vec<Address> {
    let mut scan = WrittenScan::default();
    for field in header.fields() {
        let name = String::from_utf8_lossy(header.name(field)).to_ascii_lowercase();
        let Some(text) = shown(&name, header.body(field)) else { continue };
        scan.feed(text.as_bytes());
        // Addresses do not continue from one field to the next.
        scan.feed(b"\n");
    }
    scan.finish(MOST)
}

/// Whether a field of this name, in lower case, has identifiers that look like addresses.
pub fn identifies(name: &str) -> bool {
    IDENTIFIERS.contains(&name) || name.ends_with("-message-id")
}

/// The part of a field that a reader may see; `None` if it cannot contain an address.
fn shown(name: &str, body: &[u8]) -> Option<String> {
    let machine = TRACE.contains(&name) || MACHINES.iter().any(|start| name.starts_with(start));
    if machine || identifies(name) || is_blind(name.as_bytes()) || NEVER_LEAVE.contains(&name) {
        return None;
    }
    let text = match name {
        // Only file names are shown; `boundary` and `start` are identifiers.
        "content-type" | "content-disposition" => {
            let field = params::read(body);
            let names = ["name", "filename"].iter().filter_map(|one| field.get(one));
            names.collect::<Vec<_>>().join("\n")
        }
        _ => decode_text(body),
    };
    if !text.contains(['@', '＠', '﹫']) {
        return None;
    }
    if text.is_ascii() {
        return Some(text);
    }
    Some(plain(&text))
}

/// A text in its compatibility form. What stands for other letters or digits, such as `①`, is set apart: it is the
/// number of a list rather than the beginning of an address. Not so the full-width forms of ASCII, and mathematical
/// letters, of which whole words are written.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !is_invisible(*letter)) {
        let of_words =
            letter.is_ascii() || matches!(letter, '\u{ff01}'..='\u{ff5e}' | '\u{1d400}'..='\u{1d7ff}');
        let start = out.len();
        out.extend(std::iter::once(letter).nfkc());
        if !of_words && out[start..].bytes().any(|octet| octet.is_ascii_alphanumeric()) {
            out.insert(start, ' ');
            out.push(' ');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn of(header: &str) -> Vec<String> {
        let header = Header::parse(Bytes::copy_from_slice(header.as_bytes())).unwrap();
        named(&header).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn wherever_a_reader_may_look() {
        for (field, found) in [
            ("To: \"a@one.example\" <b@two.example>", &["a@one.example", "b@two.example"][..]),
            ("Cc: x <c@x.example> (for d@y.example)", &["c@x.example", "d@y.example"]),
            ("Subject: =?utf-8?b?5a6b5YWI?= =?utf-8?q?a=40one.example?=", &["a@one.example"]),
            ("X-To: a@one.example, b@two.example", &["a@one.example", "b@two.example"]),
            ("Comments: also to a@one.\r\n example and b@two.example", &["b@two.example"]),
            ("Keywords: ａ＠ｏｎｅ．ｅｘａｍｐｌｅ", &["a@one.example"]),
            ("Subject: ①a@one.example②b@two.example", &["a@one.example", "b@two.example"]),
            ("Subject: ℡a@one.example １．b@two.example", &["a@one.example", "1.b@two.example"]),
            ("Subject: a\u{200b}@one.example", &["a@one.example"]),
            (
                "Content-Type: text/plain; name=\"a@one.example.txt\"; boundary=\"b@two.example\"",
                &["a@one.example.txt"],
            ),
            ("X-Failed-Recipients: a@one.example", &["a@one.example"]),
        ] {
            assert_eq!(of(&format!("{field}\r\n")), found, "{field}");
        }
    }

    #[test]
    fn what_is_no_address_to_anybody() {
        for field in [
            "Received: from a by b for <a@one.example>; now",
            "Message-ID: <1@one.example>",
            "References: <1@one.example> <2@one.example>",
            "X-Campaign-Message-ID: <1@one.example>",
            "DKIM-Signature: v=1; i=@one.example; z=To:a@one.example",
            "ARC-Authentication-Results: i=1; smtp.mailfrom=a@one.example",
            "Authentication-Results: x; smtp.mailfrom=a@one.example",
            "X-MS-Exchange-CrossTenant-x: a@one.example",
            "List-Unsubscribe: <mailto:a@one.example>",
            "Bcc: a@one.example",
            "Delivered-To: a@one.example",
            "Content-Type: multipart/related; start=\"<1@one.example>\"",
            "Subject: meet @noon, pay @5.00, image001.png@01DA3F.7C1",
        ] {
            assert_eq!(of(&format!("{field}\r\n")), Vec::<String>::new(), "{field}");
        }
    }
}
