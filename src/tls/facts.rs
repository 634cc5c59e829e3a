//! The contents of a certificate: names, subject, issuer, validity.

use super::{Trouble, pem};
use crate::clock::Timestamp;
use std::net::IpAddr;
use std::path::Path;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// Most names read from one certificate; further names are ignored.
const MOST_NAMES: usize = 1_000;
/// Longest name accepted, in octets (a host name has at most 253).
const LONGEST_NAME: usize = 255;

/// The contents of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Host names in lower case: the subject alternative names, then the common name if not among them.
    pub names: Vec<String>,
    /// IP addresses among the subject alternative names.
    pub addresses: Vec<IpAddr>,
    /// The subject as text.
    pub subject: String,
    /// The issuer as text.
    pub issuer: String,
    /// Whether it may be used as a client certificate: its extended key usage says so (RFC 5280 §4.2.1.12),
    /// or is absent.
    pub for_clients: bool,
    /// Whether issuer and subject are the same.
    pub self_signed: bool,
    /// Start of validity.
    pub from: Timestamp,
    /// End of validity.
    pub until: Timestamp,
}

/// Whether a certificate is valid at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Not valid yet.
    NotYet,
    /// Valid for this many more whole days.
    Days(u64),
    /// Expired.
    Expired,
}

impl Facts {
    /// Reads every certificate in a PEM file.
    ///
    /// # Errors
    /// The file cannot be read, has no certificate, or one cannot be parsed.
    pub fn of_file(file: &Path) -> Result<Vec<Self>, Trouble> {
        let all = pem::certificates(file)?;
        all.iter().map(|der| Self::of(der).map_err(|why| Trouble::new(file, why))).collect()
    }

    /// Parses a certificate in DER.
    ///
    /// # Errors
    /// It cannot be parsed. The error is a text for the administrator.
    pub fn of(der: &[u8]) -> Result<Self, String> {
        let (_, certificate) = X509Certificate::from_der(der)
            .map_err(|_| "it contains a certificate that cannot be parsed".to_owned())?;
        let mut names = Vec::new();
        let mut addresses = Vec::new();
        let alternative = certificate.subject_alternative_name().ok().flatten();
        for name in alternative.iter().flat_map(|found| &found.value.general_names) {
            match name {
                GeneralName::DNSName(name) => keep(&mut names, name),
                GeneralName::IPAddress(octets) => addresses.extend(address(octets)),
                _ => {}
            }
        }
        addresses.truncate(MOST_NAMES);
        for name in certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok()) {
            keep(&mut names, name);
        }
        let usage = certificate.extended_key_usage().ok().flatten();
        let moment = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1_000));
        Ok(Self {
            names,
            addresses,
            subject: text(certificate.subject()),
            issuer: text(certificate.issuer()),
            for_clients: usage.is_none_or(|usage| usage.value.any || usage.value.client_auth),
            self_signed: certificate.issuer().as_raw() == certificate.subject().as_raw(),
            from: moment(certificate.validity().not_before),
            until: moment(certificate.validity().not_after),
        })
    }

    /// Its validity at this time.
    pub fn validity(&self, now: Timestamp) -> Validity {
        if now > self.until {
            Validity::Expired
        } else if now < self.from {
            Validity::NotYet
        } else {
            Validity::Days(self.until.since(now).as_secs() / 86_400)
        }
    }

    /// Whether it is valid for this host name. A wildcard stands for the whole first label (RFC 6125 §6.4.3).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.iter().any(|name| {
            *name == host
                || name.strip_prefix("*.").is_some_and(|suffix| {
                    host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == suffix)
                })
        })
    }
}

/// Adds a name in lower case, unless it is invalid or already there.
fn keep(names: &mut Vec<String>, name: &str) {
    let sound = !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(|b| b.is_ascii_graphic());
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    if sound && names.len() < MOST_NAMES && !names.contains(&name) {
        names.push(name);
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets)
        .map(IpAddr::from)
        .or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from))
        .ok()
}

/// A distinguished name as printable text of limited length: it may come from a client.
fn text(name: &X509Name<'_>) -> String {
    name.to_string().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::selfsigned;

    fn facts(names: &[&str], now: i64) -> Facts {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = selfsigned::make(&names, 30, Timestamp(now)).unwrap();
        let pem = pem_of(&made.chain);
        Facts::of(&pem).unwrap()
    }

    fn pem_of(text: &str) -> Vec<u8> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject;
        CertificateDer::from_pem_slice(text.as_bytes()).unwrap().to_vec()
    }

    #[test]
    fn names_are_read_and_matched() {
        let facts = facts(&["Mail.Example.JP", "*.relay.example.jp", "192.0.2.7", "2001:db8::7"], 0);
        assert_eq!(facts.names, ["mail.example.jp", "*.relay.example.jp"]);
        assert_eq!(facts.addresses.len(), 2);
        assert!(facts.self_signed);
        let cases = [
            ("mail.example.jp", true),
            ("MAIL.example.jp.", true),
            ("a.relay.example.jp", true),
            ("a.b.relay.example.jp", false),
            ("relay.example.jp", false),
            (".relay.example.jp", false),
            ("xmail.example.jp", false),
            ("example.jp", false),
            ("", false),
        ];
        for (host, expected) in cases {
            assert_eq!(facts.covers(host), expected, "{host}");
        }
    }

    #[test]
    fn validity_is_counted_in_whole_days() {
        let day = 86_400_000;
        let facts = facts(&["a.example"], 100 * day);
        assert_eq!(facts.validity(Timestamp(10 * day)), Validity::NotYet);
        assert!(matches!(facts.validity(Timestamp(101 * day)), Validity::Days(28..=30)));
        assert_eq!(facts.validity(Timestamp(140 * day)), Validity::Expired);
    }

    #[test]
    fn what_is_no_certificate_is_an_error() {
        for der in [&b""[..], b"x", &[0x30, 0x82, 0xff, 0xff]] {
            assert!(Facts::of(der).is_err());
        }
    }
}
