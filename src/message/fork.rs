//! Forks: one mail that arrives in several transactions, because mail hosts split it.
//!
//! A fork is identified by its mail (the [`ForkGroup`]: MAIL FROM, Message-ID and a hash of the visible header
//! fields) and by its contents (the [`Variant`]: a hash of the decoded leaves). Trace fields, signatures,
//! boundaries and transfer encodings differ between forks and are not part of either. The Date distinguishes
//! a deliberate resend with the same Message-ID from a fork.

use super::address::parse_list;
use super::header::decode_text;
use super::named::named;
use super::walk::Part;
use super::{Address, Header};
use crate::clock::Timestamp;
use aws_lc_rs::digest::{Context, SHA256};
use mail_parser::parsers::MessageStream;
use std::collections::BTreeSet;
use std::time::Duration;

/// Octets gathered before they are hashed, because hashing small pieces is slow.
const GATHER: usize = 4 * 1024;
/// Octets of a group that depend only on MAIL FROM and Message-ID.
const NAME: usize = 8;
/// Octets of a group.
const GROUP: usize = 24;
/// How far a Date may be from the time of receipt and still distinguish mails. Clocks that are a year off are
/// tolerated; a clock that starts in 1970 at every boot is not.
const PLAUSIBLE: Duration = Duration::from_hours(24 * 731);
/// The fields that a redirect prepends (RFC 5322 §3.6.6); they distinguish it from the original mail.
const RESENT: [&str; 4] = ["resent-from", "resent-sender", "resent-date", "resent-message-id"];

/// Octets of a variant.
const VARIANT: usize = 16;

/// Identifies a mail: MAIL FROM, Message-ID, and a hash of the visible header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ForkGroup([u8; GROUP]);

/// Identifies the contents: a hash of the decoded leaves. All zero if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant([u8; VARIANT]);

/// Which mail, and which contents of it, one transaction carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fork {
    /// The mail.
    pub group: ForkGroup,
    /// Its content.
    pub variant: Variant,
}

impl ForkGroup {
    /// The octets, for the store.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// The part that all mails with the same MAIL FROM and Message-ID share.
    pub fn name(&self) -> &[u8] {
        &self.0[..NAME]
    }
}

impl Variant {
    /// The octets, for the store.
    pub fn octets(&self) -> &[u8] {
        &self.0
    }
}

impl Fork {
    /// Identifies the fork. `None` if a repeated mail could not be distinguished from a new one: there is no
    /// Date, it cannot be parsed or is far from the time of receipt, or the Message-ID is empty. A redirect
    /// is identified by its newest Resent fields, if it has any.
    pub fn of(
        sender: Option<&Address>,
        header: &Header,
        variant: Variant,
        received: Option<Timestamp>,
    ) -> Option<Self> {
        let moment = header.named("resent-date").next().or_else(|| header.named("date").next())?;
        if !is_plausible(header.body(moment), received) {
            return None;
        }
        let message_id = header.text("message-id");
        if message_id.as_ref().is_some_and(|id| id.trim_matches(['<', '>', ' ']).is_empty()) {
            return None;
        }
        let mut name = Fields::new();
        name.add(sender.map(Address::key).unwrap_or_default().as_bytes());
        match &message_id {
            Some(id) => name.add(id.trim_matches(['<', '>']).as_bytes()),
            // Without a Message-ID the contents identify the mail: two alerts in one second are two mails.
            None => name.add(&variant.0),
        }
        let name = name.finish();
        let mut whole = Fields::new();
        whole.add(&name);
        for field in ["from", "sender", "date", "subject", "reply-to", "in-reply-to"] {
            whole.add(texts(header, field).as_bytes());
        }
        for field in ["to", "cc"] {
            whole.add(people(header, field).as_bytes());
        }
        // Everybody whom the header shows, in any field: an approver decided with these people in view.
        let shown: BTreeSet<String> = named(header).iter().map(|one| one.key().to_owned()).collect();
        whole.add(shown.into_iter().collect::<Vec<_>>().join("\n").as_bytes());
        for field in RESENT {
            // The newest block comes first.
            let newest = header.named(field).next().map(|one| decode_text(header.body(one)));
            whole.add(newest.as_deref().map(str::trim).unwrap_or_default().as_bytes());
        }
        for field in ["resent-to", "resent-cc"] {
            whole.add(people(header, field).as_bytes());
        }
        let mut group = [0; GROUP];
        group[..NAME].copy_from_slice(&name[..NAME]);
        group[NAME..].copy_from_slice(&whole.finish()[..GROUP - NAME]);
        Some(Self { group: ForkGroup(group), variant })
    }

    /// As octets, for the store: the group, then the variant.
    pub fn octets(&self) -> [u8; GROUP + VARIANT] {
        let mut all = [0; GROUP + VARIANT];
        all[..GROUP].copy_from_slice(&self.group.0);
        all[GROUP..].copy_from_slice(&self.variant.0);
        all
    }

    /// The inverse of [`Fork::octets`].
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let (group, variant) = octets.split_at_checked(GROUP)?;
        Some(Self { group: ForkGroup(group.try_into().ok()?), variant: Variant(variant.try_into().ok()?) })
    }
}

/// Whether a Date can be parsed and is near the time of receipt.
fn is_plausible(date: &[u8], received: Option<Timestamp>) -> bool {
    let mut ended = date.to_vec();
    ended.extend_from_slice(b"\r\n");
    let read = MessageStream::new(&ended).parse_date();
    let Some(date) = read.as_datetime().filter(|date| date.is_valid()) else { return false };
    let Some(received) = received else { return true };
    let apart = (date.to_timestamp() - received.0.div_euclid(1_000)).unsigned_abs();
    apart <= PLAUSIBLE.as_secs()
}

/// All fields of a name as decoded text, with white space collapsed.
fn texts(header: &Header, name: &str) -> String {
    let mut all = String::new();
    for field in header.named(name) {
        for word in decode_text(header.body(field)).split_whitespace() {
            all.push_str(word);
            all.push(' ');
        }
        all.push('\n');
    }
    all
}

/// The set of addresses in all fields of a name.
fn people(header: &Header, name: &str) -> String {
    let mailboxes = header.named(name).flat_map(|field| parse_list(header.body(field)).mailboxes);
    let keys: BTreeSet<String> = mailboxes.map(|mailbox| mailbox.address.key().to_owned()).collect();
    keys.into_iter().collect::<Vec<_>>().join("\n")
}

/// Hashes a list of fields; lengths are included, so that no two lists have the same input.
struct Fields(Context);

impl Fields {
    fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    fn add(&mut self, field: &[u8]) {
        self.0.update(&(field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn finish(self) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

/// Hashes the leaves of a message during the walk.
#[derive(Clone)]
pub struct Leaves {
    digest: Context,
    gathered: Vec<u8>,
    length: u64,
}

impl Default for Leaves {
    fn default() -> Self {
        Self { digest: Context::new(&SHA256), gathered: Vec::new(), length: 0 }
    }
}

impl Leaves {
    /// The next decoded octets of the current leaf.
    pub fn data(&mut self, decoded: &[u8]) {
        self.length += decoded.len() as u64;
        self.put(decoded);
    }

    /// A leaf has ended. Its type and lengths are hashed after its octets, so that no two messages have the
    /// same input.
    pub fn end(&mut self, part: &Part) {
        let name = part.filename.as_deref().unwrap_or_default();
        let charset = part.parameter("charset").unwrap_or_default().to_ascii_lowercase();
        for text in [part.content_type.as_str(), charset.as_str(), name] {
            self.put(text.as_bytes());
        }
        for text in [part.content_type.as_str(), charset.as_str(), name] {
            self.put(&(text.len() as u64).to_be_bytes());
        }
        let length = std::mem::take(&mut self.length);
        self.put(&length.to_be_bytes());
    }

    fn put(&mut self, octets: &[u8]) {
        if self.gathered.len() + octets.len() > GATHER {
            self.digest.update(&self.gathered);
            self.gathered.clear();
        }
        if octets.len() >= GATHER {
            self.digest.update(octets);
        } else {
            self.gathered.extend_from_slice(octets);
        }
    }

    /// The variant.
    pub fn finish(mut self) -> Variant {
        self.digest.update(&self.gathered);
        let mut variant = [0; VARIANT];
        variant.copy_from_slice(&self.digest.finish().as_ref()[..VARIANT]);
        Variant(variant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const BASE: &str = "From: =?utf-8?B?5L2Q6Jek?= <sato@example.jp>\r\nTo: a@x.example, B@y.example\r\n\
                        Cc: c@z.example\r\nSubject: Prices\r\nDate: Mon, 6 Oct 2025 10:00:00 +0900\r\n\
                        Message-ID: <1@example.jp>\r\n";

    fn fork(header: &str, sender: &str) -> Option<Fork> {
        let header = Header::parse(Bytes::copy_from_slice(header.as_bytes())).unwrap();
        let received = Timestamp(1_759_700_000_000); // 5 October 2025
        Fork::of(Address::parse(sender).ok().as_ref(), &header, Variant([7; VARIANT]), Some(received))
    }

    fn base() -> Fork {
        fork(BASE, "sato@example.jp").unwrap()
    }

    #[test]
    fn what_forks_differ_in_bears_on_nothing() {
        for other in [
            BASE.replace("To: a@x.example, B@y.example", "To: \"B\" <b@y.example>,\r\n a@x.example"),
            BASE.replace("To: a@x.example, B@y.example", "To: B@y.example\r\nTo: a@x.example"),
            BASE.replace("=?utf-8?B?5L2Q6Jek?=", "=?UTF-8?Q?=E4=BD=90=E8=97=A4?="),
            BASE.replace("Subject: Prices", "Subject:  Prices "),
            format!(
                "Received: from x by y; now\r\nDKIM-Signature: darn=x.example\r\nBcc: q@q.example\r\n{BASE}"
            ),
            format!("{BASE}Content-Type: multipart/mixed; boundary=12\r\nX-Any: thing\r\n"),
            format!("Delivered-To: q@q.example\r\nX-Google-Original-To: r@q.example\r\n{BASE}"),
            format!("{BASE}X-Note: a@x.example reads it\r\n"),
        ] {
            assert_eq!(fork(&other, "SATO@example.jp"), Some(base()), "{other}");
        }
    }

    #[test]
    fn what_tells_mails_apart() {
        for (other, same_name) in [
            (BASE.replace("6 Oct", "7 Oct"), true),
            (BASE.replace("Prices", "Price list"), true),
            (BASE.replace("a@x.example", "d@x.example"), true),
            (BASE.replace("Cc: c@z.example", "Cc: e@z.example"), true),
            (BASE.replace("<1@", "<2@"), false),
            (format!("{BASE}Reply-To: d@x.example\r\n"), true),
            (format!("{BASE}Sender: d@x.example\r\n"), true),
            (format!("{BASE}In-Reply-To: <0@x>\r\n"), true),
            // somebody more is shown, in whatever field
            (format!("{BASE}Resent-To: d@x.example\r\n"), true),
            (format!("{BASE}Resent-Cc: d@x.example\r\n"), true),
            (format!("{BASE}Mail-Followup-To: d@x.example\r\n"), true),
            (format!("{BASE}Mail-Reply-To: d@x.example\r\n"), true),
            (format!("{BASE}Disposition-Notification-To: d@x.example\r\n"), true),
            (format!("{BASE}Return-Receipt-To: d@x.example\r\n"), true),
            (format!("{BASE}Errors-To: d@x.example\r\n"), true),
            (format!("{BASE}Comments: to d@x.example, too\r\n"), true),
            (format!("{BASE}X-To: d@x.example\r\n"), true),
            (BASE.replace("a@x.example", "\"d@x.example\" <a@x.example>"), true),
            // a redirect, and the same mail redirected again
            (format!("Resent-Date: Tue, 7 Oct 2025 10:00:00 +0900\r\n{BASE}"), true),
            (format!("Resent-Message-ID: <r1@example.jp>\r\n{BASE}"), true),
            (format!("Resent-From: taro@example.jp\r\n{BASE}"), true),
        ] {
            let other = fork(&other, "sato@example.jp").unwrap();
            assert_ne!(other.group, base().group);
            assert_eq!(other.group.name() == base().group.name(), same_name);
        }
        assert_ne!(fork(BASE, "ito@example.jp").unwrap().group, base().group);
        assert_eq!(Fork::from_octets(&base().octets()), Some(base()));
        assert_eq!(Fork::from_octets(&[0; 39]), None);
    }

    #[test]
    fn without_a_name() {
        let nameless = BASE.replace("Message-ID: <1@example.jp>\r\n", "");
        let header = Header::parse(Bytes::from(nameless.clone())).unwrap();
        let of = |variant| Fork::of(None, &header, Variant([variant; VARIANT]), None).unwrap().group;
        assert_ne!(of(1), of(2));
        assert_eq!(of(1), of(1));
        let dateless = nameless.replace("Date: Mon, 6 Oct 2025 10:00:00 +0900\r\n", "");
        assert_eq!(fork(&dateless, "sato@example.jp"), None);
    }

    #[test]
    fn what_identifies_nothing() {
        const DATE: &str = "Date: Mon, 6 Oct 2025 10:00:00 +0900\r\n";
        for (other, identified) in [
            (BASE.replace(DATE, ""), false),
            (BASE.replace(DATE, "Date: \r\n"), false),
            (BASE.replace(DATE, "Date: yesterday\r\n"), false),
            (BASE.replace(DATE, "Date: Thu, 1 Jan 1970 00:00:07 +0000\r\n"), false),
            (BASE.replace(DATE, "Date: Tue, 1 Jan 1980 00:00:07 +0000\r\n"), false),
            (BASE.replace(DATE, "Date: Wed, 6 Oct 2038 10:00:00 +0900\r\n"), false),
            (BASE.replace("<1@example.jp>", ""), false),
            (BASE.replace("<1@example.jp>", "<>"), false),
            // a clock that is a year off
            (BASE.replace(DATE, "Date: Sun, 6 Oct 2024 10:00:00 +0900\r\n"), true),
            (BASE.replace(DATE, "Date: 6 Oct 2025 10:00 +0900\r\n"), true),
            (BASE.replace(DATE, "Date: Mon, 6 Oct 2025 10:00:00 JST\r\n"), true),
            // an old mail, redirected now
            (
                format!(
                    "Resent-Date: {}{}",
                    &DATE[6..],
                    BASE.replace(DATE, "Date: Mon, 6 Oct 2008 10:00:00 +0900\r\n")
                ),
                true,
            ),
        ] {
            assert_eq!(fork(&other, "sato@example.jp").is_some(), identified, "{other}");
        }
    }

    /// A redirect of a redirect is a mail of its own; only its newest block counts.
    #[test]
    fn the_newest_redirect_counts() {
        let block = |day: u8| {
            format!(
                "Resent-From: taro@example.jp\r\nResent-Date: Tue, {day} Oct 2025 10:00:00 +0900\r\n\
                 Resent-Message-ID: <r{day}@example.jp>\r\n"
            )
        };
        let of = |header: String| fork(&header, "taro@example.jp").unwrap().group;
        let (first, second) = (of(block(7) + BASE), of(block(14) + &block(7) + BASE));
        assert_ne!(first, of(BASE.to_owned()));
        assert_ne!(first, second);
        assert_eq!(second, of(block(14) + &block(8) + BASE));
    }

    #[test]
    fn leaves_in_any_pieces() {
        let part = Part { content_type: "text/plain".to_owned(), ..Part::default() };
        let of = |leaves: &[&[&[u8]]]| {
            let mut all = Leaves::default();
            for leaf in leaves {
                leaf.iter().for_each(|piece| all.data(piece));
                all.end(&part);
            }
            all.finish()
        };
        let long = vec![b'x'; 3 * GATHER];
        assert_eq!(of(&[&[b"ab", b"c"]]), of(&[&[b"a", b"bc"]]));
        assert_eq!(of(&[&[&long, b"c"]]), of(&[&[&long[..1], &long[1..], b"c"]]));
        assert_ne!(of(&[&[b"abc"]]), of(&[&[b"ab"], &[b"c"]]));
        assert_ne!(of(&[&[b"ab"], &[b"c"]]), of(&[&[b"a"], &[b"bc"]]));
        let named = Part { filename: Some("x".to_owned()), ..part.clone() };
        let mut other = Leaves::default();
        other.data(b"abc");
        other.end(&named);
        assert_ne!(other.finish(), of(&[&[b"abc"]]));
    }
}
