//! Recognises mail of our own tenant on a shared mail host.
//!
//! All tenants of Microsoft 365 and of Google Workspace share address ranges and certificates, so any of
//! their customers could relay through us in our name ("echo spoofing", 2024). Our own tenant therefore adds
//! a secret in a header field, and mail without it is refused. The field is removed from everything that
//! is stored and sent.

use crate::message::{Address, Header};
use aws_lc_rs::{constant_time, digest};
use secrecy::{ExposeSecret, SecretString};
use std::path::Path;

/// Shortest secret in octets.
const SHORTEST: usize = 16;

/// What mail of our own tenant must have.
#[derive(Clone, Debug)]
pub struct Tenant {
    domains: Vec<String>,
    header: String,
    secrets: Vec<SecretString>,
}

impl Tenant {
    /// A tenant with these domains, the name of the header field, and all valid secrets: two during a change
    /// of secret.
    ///
    /// # Errors
    /// A domain is malformed, a secret is too short, or there are no domains or no secrets. The error is a
    /// text for the administrator.
    pub fn new(domains: &[String], header: &str, secrets: Vec<SecretString>) -> Result<Self, String> {
        let key = |domain: &String| {
            let address = Address::parse(&format!("x@{domain}"));
            address
                .map(|address| address.domain_key().to_owned())
                .map_err(|_| format!("`{domain}` is not a domain"))
        };
        let domains = domains.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if domains.is_empty() {
            return Err("`domains` is empty: name the domains of your tenant".to_owned());
        }
        if secrets.is_empty() {
            return Err("there is no secret".to_owned());
        }
        if secrets.iter().any(|secret| secret.expose_secret().len() < SHORTEST) {
            return Err(format!("a secret must have at least {SHORTEST} characters"));
        }
        Ok(Self { domains, header: header.to_owned(), secrets })
    }

    /// Reads secrets from a file, one per line. Empty lines and lines that begin with `#` are skipped.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_secrets(file: &Path) -> Result<Vec<SecretString>, String> {
        let text = std::fs::read_to_string(file)
            .map(SecretString::from)
            .map_err(|error| format!("the secret file {} cannot be read: {error}", file.display()))?;
        let lines = text.expose_secret().lines().map(str::trim);
        let secrets = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok(secrets.map(|line| SecretString::from(line.to_owned())).collect())
    }

    /// The name of the header field.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// Whether MAIL FROM is in one of our domains. The null sender is accepted too, because reports have it.
    pub fn sends_as(&self, sender: Option<&Address>) -> bool {
        sender.is_none_or(|sender| self.domains.iter().any(|domain| domain == sender.domain_key()))
    }

    /// Whether the header has the field exactly once, with a valid secret.
    pub fn vouched(&self, header: &Header) -> bool {
        let mut fields = header.named(&self.header);
        let (Some(field), None) = (fields.next(), fields.next()) else { return false };
        let hash = |octets: &[u8]| digest::digest(&digest::SHA256, octets);
        let given = hash(header.body(field).trim_ascii());
        // Compares with all secrets in constant time, so that the time taken reveals nothing.
        self.secrets.iter().fold(false, |found, secret| {
            let wanted = hash(secret.expose_secret().as_bytes());
            found | constant_time::verify_slices_are_equal(given.as_ref(), wanted.as_ref()).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn tenant() -> Tenant {
        let secrets =
            ["0123456789abcdef", "fedcba9876543210"].map(|text| SecretString::from(text.to_owned()));
        Tenant::new(&["example.co.jp".into()], "X-Sekisho-Tenant", secrets.into()).unwrap()
    }

    #[test]
    fn only_with_the_secret_once() {
        for (text, vouched) in [
            ("X-Sekisho-Tenant: 0123456789abcdef\r\n", true),
            ("x-sekisho-tenant:fedcba9876543210 \r\n", true),
            ("X-Sekisho-Tenant: 0123456789abcdeF\r\n", false),
            ("X-Sekisho-Tenant: 0123456789abcde\r\n", false),
            ("X-Sekisho-Tenant:\r\n", false),
            ("X-Sekisho-Tenant: 0123456789abcdef\r\nX-Sekisho-Tenant: 0123456789abcdef\r\n", false),
            ("X-Other: 0123456789abcdef\r\n", false),
        ] {
            let header = Header::parse(Bytes::from_static(text.as_bytes())).unwrap();
            assert_eq!(tenant().vouched(&header), vouched, "{text}");
        }
    }

    #[test]
    fn only_our_domains() {
        let sender = |text: &str| Address::parse(text).unwrap();
        assert!(tenant().sends_as(Some(&sender("a@EXAMPLE.co.jp"))) && tenant().sends_as(None));
        assert!(!tenant().sends_as(Some(&sender("a@example.com"))));
        assert!(!tenant().sends_as(Some(&sender("a@evil.example.co.jp"))));
    }

    #[test]
    fn secrets_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        std::fs::write(&file, "# new\n0123456789abcdef\n\nfedcba9876543210\n").unwrap();
        assert_eq!(Tenant::read_secrets(&file).unwrap().len(), 2);
        let short = vec![SecretString::from("short".to_owned())];
        for (domains, secrets, part) in [
            (vec![], Tenant::read_secrets(&file).unwrap(), "`domains` is empty"),
            (vec!["example.co.jp".to_owned()], short, "16 characters"),
            (vec!["example.co.jp".to_owned()], vec![], "no secret"),
        ] {
            assert!(Tenant::new(&domains, "X-T", secrets).unwrap_err().contains(part), "{part}");
        }
        assert!(Tenant::read_secrets(&folder.path().join("none")).unwrap_err().contains("none"));
    }
}
