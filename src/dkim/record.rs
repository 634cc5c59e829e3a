//! The DNS record that publishes a key (RFC 6376 §3.6.1), and checks of a published record.

use super::key::{KeyError, SigningKey};

/// Longest string in a TXT record, in octets (RFC 1035 §3.3).
const STRING: usize = 255;

/// The DNS record of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The name, without a final dot.
    pub name: String,
    /// The text.
    pub value: String,
}

/// The result of comparing a published record with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Published {
    /// It publishes this key.
    Same,
    /// It publishes this key, with a restriction worth a warning.
    But(&'static str),
    /// Signatures by this key do not verify with it, and why.
    Wrong(String),
}

impl Record {
    /// The record of a key.
    ///
    /// # Errors
    /// The public key cannot be encoded.
    pub fn of(key: &SigningKey) -> Result<Self, KeyError> {
        Ok(Self {
            name: name(key.domain(), key.selector()),
            value: format!("v=DKIM1; k={}; p={}", key.algorithm().key_type(), key.public()?),
        })
    }

    /// The text split into strings that fit a TXT record.
    pub fn strings(&self) -> Vec<&str> {
        // the text is ASCII, so it can be cut anywhere
        let cut = |at: usize| &self.value[at..self.value.len().min(at + STRING)];
        (0..self.value.len()).step_by(STRING).map(cut).collect()
    }

    /// The record as a line of a zone file.
    pub fn zone(&self) -> String {
        let strings: Vec<String> = self.strings().iter().map(|text| format!("\"{text}\"")).collect();
        format!("{}. IN TXT ( {} )", self.name, strings.join("\n    "))
    }

    /// Compares the record with the TXT records published under its name, each with its strings joined.
    pub fn compare(&self, published: &[String]) -> Published {
        let keys: Vec<&String> = published.iter().filter(|text| tag(text, "p").is_some()).collect();
        let [text] = keys.as_slice() else {
            return Published::Wrong(match keys.len() {
                0 => "no record there is a DKIM key".to_owned(),
                many => format!("{many} records are there: verifiers may take any, so leave one"),
            });
        };
        let own = |name| tag(&self.value, name).unwrap_or_default();
        let theirs = |name, default: &str| tag(text, name).unwrap_or_else(|| default.to_owned());
        let lists = |name, wanted: &[&str]| {
            tag(text, name).is_none_or(|list| list.split(':').any(|entry| wanted.contains(&entry)))
        };
        if theirs("v", "DKIM1") != "DKIM1" {
            Published::Wrong("its version is not DKIM1".to_owned())
        } else if theirs("p", "").is_empty() {
            Published::Wrong("it says that the key was revoked (an empty p=)".to_owned())
        } else if theirs("k", "rsa") != own("k") {
            Published::Wrong(format!(
                "it is for {} keys (k=), and this key is {}",
                theirs("k", "rsa"),
                own("k")
            ))
        } else if theirs("p", "") != own("p") {
            Published::Wrong("it publishes another key (p= differs)".to_owned())
        } else if !lists("h", &["sha256"]) {
            Published::Wrong("it does not allow SHA-256 (h=)".to_owned())
        } else if !lists("s", &["*", "email"]) {
            Published::Wrong("it is not for mail (s=)".to_owned())
        } else if tag(text, "t").is_some_and(|flags| flags.split(':').any(|flag| flag == "y")) {
            Published::But("it says that the domain is only testing DKIM (t=y)")
        } else if tag(text, "t").is_some_and(|flags| flags.split(':').any(|flag| flag == "s")) {
            Published::But("it does not sign for subdomains (t=s)")
        } else {
            Published::Same
        }
    }
}

/// The DNS name of a key's record (RFC 6376 §3.6.2.1).
pub fn name(domain: &str, selector: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// The value of a tag, with whitespace removed.
fn tag(text: &str, wanted: &str) -> Option<String> {
    text.split(';')
        .filter_map(|part| part.split_once('='))
        .find(|(name, _)| name.trim() == wanted)
        .map(|(_, value)| value.chars().filter(|letter| !letter.is_whitespace()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::key::{Algorithm, generate};

    #[test]
    fn long_records_come_in_strings() {
        let key = SigningKey::from_pem("example.jp", "s1", &generate(Algorithm::Rsa).unwrap()).unwrap();
        let record = Record::of(&key).unwrap();
        assert_eq!(record.name, "s1._domainkey.example.jp");
        assert!(record.value.starts_with("v=DKIM1; k=rsa; p=MIIB"), "{}", record.value);
        let strings = record.strings();
        assert_eq!(
            strings.iter().map(|text| text.len()).collect::<Vec<_>>(),
            [255, record.value.len() - 255]
        );
        assert_eq!(strings.concat(), record.value);
        assert_eq!(record.zone().matches('"').count(), 4);
    }

    #[test]
    fn what_is_published_is_compared() {
        let record = Record { name: String::new(), value: "v=DKIM1; k=ed25519; p=AAAA".to_owned() };
        for (published, wanted) in [
            ("v=DKIM1; k=ed25519; p=AAAA", "same"),
            ("k=ed25519;p=AA AA ;", "same"),
            ("v=DKIM1; k=ed25519; h=sha1:sha256; s=email; p=AAAA", "same"),
            ("v=DKIM1; k=ed25519; p=AAAA; t=s:y", "testing"),
            ("v=DKIM1; k=ed25519; p=AAAA; t=s", "subdomains"),
            ("v=DKIM1; k=ed25519; p=", "revoked"),
            ("v=DKIM1; k=ed25519; p=BBBB", "another key"),
            ("v=DKIM1; p=AAAA", "for rsa keys"),
            ("v=DKIM2; k=ed25519; p=AAAA", "version"),
            ("v=DKIM1; k=ed25519; h=sha1; p=AAAA", "SHA-256"),
            ("v=DKIM1; k=ed25519; s=tlsrpt; p=AAAA", "not for mail"),
            ("v=spf1 -all", "no record there is a DKIM key"),
        ] {
            let said = match record.compare(&[published.to_owned()]) {
                Published::Same => "same".to_owned(),
                Published::But(what) => what.to_owned(),
                Published::Wrong(why) => why,
            };
            assert!(said.contains(wanted), "{published}: {said}");
        }
        let two = record.compare(&[record.value.clone(), "p=BBBB".to_owned()]);
        assert!(matches!(two, Published::Wrong(why) if why.starts_with("2 records")));
        assert!(matches!(record.compare(&[]), Published::Wrong(_)));
    }
}
