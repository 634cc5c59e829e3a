//! Marks added to outgoing mail: the loop mark in our Received field, and a header field that a rule of the
//! mail host recognises (`docs/MAIL.md` §8).
//!
//! The **loop mark** is a comment in our Received field. For each recipient of the copy it contains an HMAC
//! over the message id, MAIL FROM and that recipient. A message that arrives again with the same MAIL FROM
//! and a marked recipient is in a loop. List posts and forwards arrive with another sender or recipient and
//! do not match. Without the key, nobody can tell which recipient a mark is for or create one. A mark
//! grants nothing: mail with a copied mark is only refused. Copies that must be identical have no loop
//! mark; for them only the number of our Received fields reveals a loop.
//!
//! The **header field** contains a secret that the mail host's rule checks and removes. A field of that name
//! from a client is removed.

use crate::id::Id;
use crate::message::{Address, Envelope, Header, Recipient};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};

/// Length of a key in octets.
pub const KEY: usize = 32;
/// Octets of each HMAC in a mark.
const TAG: usize = 16;
/// Most recipients marked in one copy. For further ones only the number of our Received fields counts.
const MOST_TAGS: usize = 100;
/// Most marks of one message that are checked, latest first.
const MOST_MARKS: usize = 8;
/// How many of our own Received fields a message may have.
const MOST_PASSES: usize = 3;

/// Adds and checks our marks.
#[derive(Debug, Default)]
pub struct Marks {
    hostname: String,
    key: Option<hmac::Key>,
    header: Option<(String, SecretString)>,
}

/// Why a message counts as being in a loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loop {
    /// It was sent from here before with the same sender and recipient.
    #[error("mail loop: the message was sent from here to the same recipient before")]
    Again,
    /// It passed through here too often.
    #[error("mail loop: the message passed here more than {MOST_PASSES} times")]
    TooOften,
}

impl Marks {
    /// Marks with this host name and key. `header` is the name of the mail host's field, and its secret.
    pub fn new(hostname: String, key: &[u8; KEY], header: Option<(String, SecretString)>) -> Self {
        Self { hostname, key: Some(hmac::Key::new(hmac::HMAC_SHA256, key)), header }
    }

    /// As [`Self::new`], for copies that are only displayed; the key may be missing.
    pub fn shown(hostname: String, key: Option<&[u8; KEY]>, header: Option<(String, SecretString)>) -> Self {
        Self { hostname, key: key.map(|key| hmac::Key::new(hmac::HMAC_SHA256, key)), header }
    }

    /// Whether an incoming message is in a loop.
    pub fn loops(&self, header: &Header, envelope: &Envelope) -> Option<Loop> {
        let received: Vec<String> = header
            .named("received")
            .map(|field| String::from_utf8_lossy(header.body(field)).into_owned())
            .filter(|text| text.contains("(Sekisho"))
            .collect();
        if received.is_empty() {
            return None;
        }
        let by = format!("by {} (Sekisho", self.hostname);
        if received.iter().filter(|text| text.contains(&by)).count() > MOST_PASSES {
            return Some(Loop::TooOften);
        }
        let marks = received.iter().filter_map(|text| Mark::read(text)).take(MOST_MARKS);
        let sender = envelope.sender.as_ref();
        for mark in marks {
            for recipient in &envelope.recipients {
                if self.tag(mark.id, sender, &recipient.address).is_some_and(|tag| mark.holds(&tag)) {
                    return Some(Loop::Again);
                }
            }
        }
        None
    }

    /// Adds our marks to the header block of a copy. The first field must be our Received.
    pub fn put(&self, header: &Bytes, id: Id, sender: Option<&Address>, recipients: &[Recipient]) -> Bytes {
        let mut block = match &self.header {
            Some((name, _)) => without(header, name),
            None => header.to_vec(),
        };
        let own = own_received(&block, &self.hostname);
        if let Some((name, secret)) = &self.header {
            let at = own.as_ref().map_or(0, |own| own.end);
            let field = format!("{name}: {}\r\n", secret.expose_secret());
            block.splice(at..at, field.into_bytes());
        }
        let tags: Vec<String> = recipients
            .iter()
            .take(if own.as_ref().is_some_and(|own| own.alike) { 0 } else { MOST_TAGS })
            .filter_map(|recipient| self.tag(&id.to_string(), sender, &recipient.address))
            .collect();
        if let Some(own) = own
            && !tags.is_empty()
        {
            let comment = format!("\r\n\t(mark {})", tags.join("\r\n\t "));
            block.splice(own.semicolon..own.semicolon, comment.into_bytes());
        }
        Bytes::from(block)
    }

    fn tag(&self, id: &str, sender: Option<&Address>, recipient: &Address) -> Option<String> {
        let mut context = hmac::Context::with_key(self.key.as_ref()?);
        // Ids and addresses contain no NUL, so different inputs cannot give the same octets.
        for part in [id, sender.map_or("", Address::key), recipient.key()] {
            context.update(part.as_bytes());
            context.update(&[0]);
        }
        Some(URL_SAFE_NO_PAD.encode(&context.sign().as_ref()[..TAG]))
    }
}

/// The positions of the date and the end of our Received field.
struct Own {
    semicolon: usize,
    end: usize,
    alike: bool,
}

/// Finds our Received field, if it is the first field as `rewrite` writes it.
fn own_received(block: &[u8], hostname: &str) -> Option<Own> {
    let semicolon = memchr::memmem::find(block, b";\r\n\t")?;
    let start = block.get(..semicolon)?;
    let by = |us: &str| memchr::memmem::find(start, format!("by {hostname} ({us}) ").as_bytes()).is_some();
    let alike = by("Sekisho, alike");
    let ours = start.starts_with(b"Received: ") && (alike || by("Sekisho"));
    let date = memchr::memmem::find(&block[semicolon + 1..], b"\r\n\t")? + semicolon + 4;
    let end = memchr::memmem::find(&block[date..], b"\r\n")? + date + 2;
    ours.then_some(Own { semicolon, end, alike })
}

/// The block without the fields of this name.
fn without(block: &[u8], name: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(block.len());
    let mut keeping = true;
    for line in block.split_inclusive(|byte| *byte == b'\n') {
        if !matches!(line.first(), Some(b' ' | b'\t')) {
            let found = line.split(|byte| *byte == b':').next().unwrap_or_default();
            keeping = !found.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes());
        }
        if keeping {
            kept.extend_from_slice(line);
        }
    }
    kept
}

/// A mark parsed from a Received field.
struct Mark<'a> {
    id: &'a str,
    tags: Vec<&'a str>,
}

impl<'a> Mark<'a> {
    fn read(received: &'a str) -> Option<Self> {
        let (_, ours) = received.split_once("(Sekisho) ")?;
        let (before, mark) = ours.split_once("(mark ")?;
        let id = before.split_ascii_whitespace().skip_while(|word| *word != "id").nth(1)?;
        let (tags, _) = mark.split_once(')')?;
        Some(Self { id, tags: tags.split_ascii_whitespace().take(MOST_TAGS).collect() })
    }

    fn holds(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| {
            aws_lc_rs::constant_time::verify_slices_are_equal(own.as_bytes(), tag.as_bytes()).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    const OWN: &str = "Received: from c ([192.0.2.1])\r\n\tby mx.example.jp (Sekisho) with ESMTP id ID;\r\n\t\
                       Thu, 1 Jan 1970 00:00:00 +0000\r\n";

    fn id() -> Id {
        Id::new(Timestamp(1), 2)
    }

    fn own() -> String {
        OWN.replace("ID", &id().to_string())
    }

    fn marks() -> Marks {
        let header = Some(("X-Checked".to_owned(), SecretString::from("hush")));
        Marks::new("mx.example.jp".to_owned(), &[7; KEY], header)
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn envelope(sender: &str, to: &[&str]) -> Envelope {
        Envelope {
            sender: (!sender.is_empty()).then(|| address(sender)),
            recipients: to.iter().map(|to| Recipient::plain(address(to))).collect(),
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
        }
    }

    fn marked(marks: &Marks, block: &str, sent: &Envelope) -> String {
        let block = Bytes::from(block.to_owned());
        let put = marks.put(&block, id(), sent.sender.as_ref(), &sent.recipients);
        String::from_utf8(put.to_vec()).unwrap()
    }

    fn judged(marks: &Marks, block: &str, again: &Envelope) -> Option<Loop> {
        marks.loops(&Header::parse(Bytes::from(block.to_owned())).unwrap(), again)
    }

    #[test]
    fn only_the_same_sender_and_recipient_loop() {
        let sent = envelope("a@example.jp", &["b@example.com", "c@example.com"]);
        let block = marked(&marks(), &format!("{}From: a@example.jp\r\n", own()), &sent);
        let twice = format!("Received: by other\r\n{block}");
        for (sender, to, wanted) in [
            ("a@example.jp", "b@example.com", Some(Loop::Again)),
            ("A@Example.JP", "C@EXAMPLE.com", Some(Loop::Again)),
            // a forward
            ("a@example.jp", "d@example.com", None),
            // a list post that comes back
            ("list-bounces@example.com", "b@example.com", None),
            ("", "b@example.com", None),
        ] {
            assert_eq!(
                judged(&marks(), &twice, &envelope(sender, &["x@example.com", to])),
                wanted,
                "{sender} {to}"
            );
        }
        let other_key = Marks::new("mx.example.jp".to_owned(), &[8; KEY], None);
        assert_eq!(judged(&other_key, &block, &sent), None);
        assert_eq!(judged(&Marks::default(), &block, &sent), None);
    }

    #[test]
    fn a_mark_belongs_to_one_message() {
        let sent = envelope("a@example.jp", &["b@example.com"]);
        let block = marked(&marks(), &own(), &sent);
        let other = block.replace(&id().to_string(), &Id::new(Timestamp(9), 9).to_string());
        assert_eq!(judged(&marks(), &block, &sent), Some(Loop::Again));
        assert_eq!(judged(&marks(), &other, &sent), None);
    }

    #[test]
    fn the_fourth_time_is_too_often() {
        let received = |count: usize| own().repeat(count);
        let sent = envelope("a@example.jp", &["b@example.com"]);
        assert_eq!(judged(&marks(), &received(3), &sent), None);
        assert_eq!(judged(&marks(), &received(4), &sent), Some(Loop::TooOften));
        let elsewhere = received(4).replace("mx.example.jp", "mx.example.org");
        assert_eq!(judged(&marks(), &elsewhere, &sent), None);
    }

    #[test]
    fn marks_stand_beside_our_received_and_name_nobody() {
        let sent = envelope("a@example.jp", &["secret@example.com"]);
        let block = format!("{}From: a@example.jp\r\nX-CHECKED : forged\r\n\tfolded\r\nTo: x\r\n", own());
        let put = marked(&marks(), &block, &sent);
        let names: Vec<&str> =
            put.lines().filter(|l| !l.starts_with('\t')).filter_map(|l| l.split(':').next()).collect();
        assert_eq!(names, ["Received", "X-Checked", "From", "To"]);
        assert!(put.contains("X-Checked: hush\r\n") && !put.contains("forged"), "{put}");
        assert!(!put.contains("secret"), "{put}");
        assert!(put.contains(")\r\n\tThu") || put.contains(");\r\n\tThu"), "{put}");
        let plain = Marks::default().put(&Bytes::from(block.clone()), id(), None, &sent.recipients);
        assert_eq!(plain, block);
    }

    #[test]
    fn many_recipients_are_marked_up_to_a_bound_and_lines_stay_short() {
        let many: Vec<String> = (0..500).map(|n| format!("p{n}@example.com")).collect();
        let sent = envelope("a@example.jp", &many.iter().map(String::as_str).collect::<Vec<_>>());
        let put = marked(&marks(), &own(), &sent);
        assert!(put.lines().all(|line| line.len() <= 78), "{put}");
        let one = |to: &str| judged(&marks(), &put, &envelope("a@example.jp", &[to]));
        assert_eq!(one("p99@example.com"), Some(Loop::Again));
        assert_eq!(one("p100@example.com"), None);
    }

    #[test]
    fn copies_that_are_alike_stay_so() {
        let block =
            format!("{}To: undisclosed-recipients:;\r\n", own().replace("(Sekisho)", "(Sekisho, alike)"));
        let put = |to| marked(&marks(), &block, &envelope("a@example.jp", &[to]));
        assert_eq!(put("b@example.com"), put("c@example.com"));
        assert!(put("b@example.com").contains("X-Checked: hush"));
        let sent = envelope("a@example.jp", &["b@example.com"]);
        assert_eq!(
            judged(&marks(), &own().replace("(Sekisho)", "(Sekisho, alike)").repeat(4), &sent),
            Some(Loop::TooOften)
        );
    }

    #[test]
    fn garbage_is_no_mark() {
        let sent = envelope("a@example.jp", &["b@example.com"]);
        for body in ["(Sekisho) ", "(Sekisho) (mark ", "(Sekisho) id (mark )", "(Sekisho) id x (mark \u{e9})"]
        {
            assert_eq!(
                judged(&marks(), &format!("Received: by mx.example.jp {body}\r\n"), &sent),
                None,
                "{body}"
            );
        }
    }
}
