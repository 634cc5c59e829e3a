//! Makes the DKIM-Signature fields for a header block and a body hash (RFC 6376 §3.5, §3.7).
//!
//! A signature must not disclose recipients, so it has no `z=` (copied fields). It covers the whole body, so it
//! has no `l=`. Fields shown to readers are listed in `h=` once more than they occur, so that nobody can add
//! another one (RFC 6376 §8.15).

use super::body::BodyHash;
use super::header::relaxed;
use super::key::{KeyError, SigningKey};
use crate::message::Header;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Fields listed in `h=` once more than they occur.
const SEALED: [&str; 7] = ["From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To"];
/// Fields listed as often as they occur, as are all Content-* fields. RFC 8058 §4 requires the last two.
const COVERED: [&str; 6] =
    ["Sender", "MIME-Version", "In-Reply-To", "References", "List-Unsubscribe", "List-Unsubscribe-Post"];
/// Most fields listed beyond `SEALED`, to limit the length of `h=`. Real mail has about ten.
const MOST_COVERED: usize = 64;
/// Longest line before folding, in octets (RFC 5322 §2.1.1).
const SOFT_LIMIT: usize = 78;
/// Base64 characters of the signature per line.
const SIGNATURE_LINE: usize = 72;

/// The signature fields for this header, one for each key, each ending in CRLF. `at` is the time of signing
/// (`t=`) in seconds since the Unix epoch.
///
/// # Errors
/// The cryptographic library failed.
pub fn sign(header: &Header, body: &BodyHash, keys: &[SigningKey], at: i64) -> Result<Vec<u8>, KeyError> {
    let covered = Covered::of(header);
    let mut fields = Vec::new();
    for key in keys {
        let unsigned = unsigned(key, &covered.names, body, at);
        let mut canonical = covered.canonical.clone();
        let value = unsigned.strip_prefix("DKIM-Signature:").unwrap_or(&unsigned);
        relaxed(b"DKIM-Signature", value.as_bytes(), &mut canonical);
        let signature = STANDARD.encode(key.sign(&canonical)?);
        fields.extend_from_slice(unsigned.as_bytes());
        for line in signature.as_bytes().chunks(SIGNATURE_LINE) {
            fields.extend_from_slice(b"\r\n\t");
            fields.extend_from_slice(line);
        }
        fields.extend_from_slice(b"\r\n");
    }
    Ok(fields)
}

/// The signed part of a header.
struct Covered<'a> {
    /// The names for `h=`, in order.
    names: Vec<&'a str>,
    /// The canonicalised fields in that order, each with a line end.
    canonical: Vec<u8>,
}

impl<'a> Covered<'a> {
    fn of(header: &'a Header) -> Self {
        let mut covered = Self { names: Vec::with_capacity(24), canonical: Vec::with_capacity(1024) };
        for name in SEALED {
            covered.add(header, name);
            covered.names.push(name);
        }
        for name in COVERED {
            covered.add(header, name);
        }
        let mut content: Vec<&str> = Vec::new();
        for field in header.fields() {
            let Ok(name) = std::str::from_utf8(header.name(field)) else { continue };
            let sound = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
            let is_content = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"));
            if sound && is_content && !content.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                content.push(name);
            }
        }
        for name in content {
            covered.add(header, name);
        }
        covered
    }

    /// Adds every occurrence of a field, from the last to the first (RFC 6376 §5.4.2).
    fn add(&mut self, header: &Header, name: &'a str) {
        let mut fields: Vec<_> = header.named(name).collect();
        fields.reverse();
        for field in fields {
            if self.names.len() == SEALED.len() + MOST_COVERED {
                return;
            }
            relaxed(header.name(field), header.body(field), &mut self.canonical);
            self.canonical.extend_from_slice(b"\r\n");
            self.names.push(name);
        }
    }
}

/// The signature field up to and including `b=`, folded.
fn unsigned(key: &SigningKey, names: &[&str], body: &BodyHash, at: i64) -> String {
    let mut text = format!(
        "DKIM-Signature: v=1; a={}; c=relaxed/relaxed;\r\n\td={}; s={}; t={at};\r\n\th=",
        key.algorithm().tag(),
        key.domain(),
        key.selector(),
    );
    let mut column = 3;
    for (number, name) in names.iter().enumerate() {
        let colon = usize::from(number > 0);
        if number > 0 {
            text.push(':');
        }
        if number > 0 && column + colon + name.len() + 1 > SOFT_LIMIT {
            text.push_str("\r\n\t");
            column = 1;
        }
        text.push_str(name);
        column += colon + name.len();
    }
    text.push_str(";\r\n\tbh=");
    text.push_str(&STANDARD.encode(body));
    text.push_str(";\r\n\tb=");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::body::BodyHasher;
    use crate::dkim::key::{Algorithm, generate};
    use aws_lc_rs::digest::{SHA256, digest};
    use aws_lc_rs::signature::{ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
    use bytes::Bytes;

    fn header(text: &str) -> Header {
        Header::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap()
    }

    fn key(algorithm: Algorithm) -> SigningKey {
        SigningKey::from_pem("example.jp", "s1", &generate(algorithm).unwrap()).unwrap()
    }

    fn tag(field: &str, name: &str) -> String {
        let plain: String = field.chars().filter(|letter| !letter.is_whitespace()).collect();
        let (_, body) = plain.split_once(':').unwrap();
        let tags = body.split(';').filter_map(|tag| tag.split_once('='));
        tags.filter(|(found, _)| *found == name).map(|(_, value)| value.to_owned()).next().unwrap_or_default()
    }

    const MAIL: &str = "Received: by x\nFrom: A <a@example.jp>\nTo:  b@example.com\nSubject:  two\n\twords \n\
                        Message-ID: <1@example.jp>\nContent-Type: text/plain\ncontent-type: x/y\nX-Other: z\n";

    #[test]
    fn the_shown_fields_are_sealed() {
        let fields = sign(&header(MAIL), &BodyHasher::whole(b""), &[key(Algorithm::Ed25519)], 17).unwrap();
        let text = String::from_utf8(fields).unwrap();
        assert_eq!(
            tag(&text, "h"),
            "From:From:To:To:Cc:Subject:Subject:Date:Message-ID:Message-ID:Reply-To:Content-Type:Content-Type"
        );
        assert_eq!((tag(&text, "t"), tag(&text, "c")), ("17".to_owned(), "relaxed/relaxed".to_owned()));
        assert_eq!(tag(&text, "bh"), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        for absent in ["l", "z", "i"] {
            assert_eq!(tag(&text, absent), "");
        }
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    /// The signed text is built by hand here, independently of the code that signs.
    #[test]
    fn signatures_are_over_the_canonical_fields() {
        for algorithm in [Algorithm::Rsa, Algorithm::Ed25519] {
            let key = key(algorithm);
            let public = STANDARD.decode(key.public().unwrap()).unwrap();
            let fields =
                sign(&header(MAIL), &BodyHasher::whole(b"\r\nx"), std::slice::from_ref(&key), 1).unwrap();
            let field = String::from_utf8(fields).unwrap();
            let signature = STANDARD.decode(tag(&field, "b")).unwrap();
            let (before, _) = field.rsplit_once("b=").unwrap();
            let own: Vec<&str> = before.split_whitespace().skip(1).collect();
            let canonical = format!(
                "from:A <a@example.jp>\r\nto:b@example.com\r\nsubject:two words\r\n\
                 message-id:<1@example.jp>\r\ncontent-type:x/y\r\ncontent-type:text/plain\r\n\
                 dkim-signature:{} b=",
                own.join(" ")
            );
            let verified = match algorithm {
                Algorithm::Rsa => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public)
                    .verify(canonical.as_bytes(), &signature),
                Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, public)
                    .verify(digest(&SHA256, canonical.as_bytes()).as_ref(), &signature),
            };
            assert!(verified.is_ok(), "{algorithm}: {field}");
        }
    }

    #[test]
    fn hostile_fields_make_no_endless_or_broken_signature() {
        let many = (0..5_000).map(|n| format!("Content-{n}: x\n")).collect::<Vec<_>>().concat();
        let odd = "From: a@example.jp\nContent-;b=;d=evil: x\nContent-: y\n";
        let text = |mail: &str| {
            let fields = sign(&header(mail), &BodyHasher::whole(b""), &[key(Algorithm::Ed25519)], 1).unwrap();
            String::from_utf8(fields).unwrap()
        };
        assert!(text(&format!("From: a@example.jp\n{many}")).len() < 3_000);
        let field = text(odd);
        assert_eq!(tag(&field, "d"), "example.jp");
        assert!(tag(&field, "h").ends_with(":Content-"), "{field}");
    }
}
