//! Whether a DKIM signature survives the edits of one copy (`docs/MAIL.md` §2, RFC 6376 §3.5).

/// The tags of a DKIM-Signature field that decide whether a copy keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    /// `h=`: the names of the signed fields, in lower case.
    signed: Vec<String>,
    /// Whether it has `z=`, copied header fields, which would show the original To.
    copies_headers: bool,
    /// `darn=`: the recipient's domain, which Google adds to each fork.
    recipient_domain: Option<String>,
}

impl Signature {
    /// Reads the tags of a DKIM-Signature field's body, which can be folded anywhere.
    pub(super) fn read(body: &[u8]) -> Self {
        let text: String = String::from_utf8_lossy(body).chars().filter(|c| !c.is_whitespace()).collect();
        let tag = |wanted: &str| {
            text.split(';')
                .filter_map(|part| part.split_once('='))
                .find(|(tag, _)| *tag == wanted)
                .map(|(_, v)| v)
        };
        Self {
            signed: tag("h").unwrap_or_default().split(':').map(str::to_ascii_lowercase).collect(),
            copies_headers: tag("z").is_some(),
            recipient_domain: tag("darn").map(str::to_ascii_lowercase),
        }
    }

    /// Whether a copy for a recipient in `domain` may keep the signature. `changed` names the fields that were
    /// changed, added or removed (lower case).
    pub(super) fn survives(&self, changed: &[String], domain: Option<&str>) -> bool {
        let same_domain = match (&self.recipient_domain, domain) {
            (None, _) => true,
            (Some(named), Some(domain)) => named == domain,
            (Some(_), None) => false,
        };
        !self.copies_headers && same_domain && !self.covers(changed)
    }

    /// Whether one of these fields is signed (names in lower case).
    pub(super) fn covers(&self, changed: &[String]) -> bool {
        self.signed.iter().any(|name| changed.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_survive_what_they_do_not_sign() {
        let microsoft: &[u8] =
            b" v=1; a=rsa-sha256; d=x.example; h=From:Date:Subject:Message-ID:\r\n\tContent-Type; b=a";
        let google: &[u8] = b"v=1; d=x.example; darn=a.example; h=to:from:date; b=x";
        let changed = ["to".to_owned(), "cc".to_owned()];
        assert!(Signature::read(microsoft).survives(&changed, Some("b.example")));
        assert!(!Signature::read(google).survives(&changed, Some("a.example")));
        assert!(!Signature::read(google).survives(&[], Some("b.example")));
        assert!(Signature::read(google).survives(&[], Some("a.example")));
        assert!(!Signature::read(google).survives(&[], None));
        assert!(!Signature::read(b"h=from; z=To:a@b.example; b=").survives(&changed, None));
        assert!(!Signature::read(b"h=from : c\r\n c; b=").survives(&changed, None));
    }
}
