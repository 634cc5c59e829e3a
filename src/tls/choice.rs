//! Chooses the certificate for a client by the host name it asks for (SNI, RFC 6066 §3) and the signature
//! schemes it supports. If no certificate has the name, or the client asks for none, the first configured
//! certificate is used: a client that verifies it gets a clear error, and one that does not can still
//! encrypt.

use super::Pair;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// The certificates in the order of the configuration.
#[derive(Debug)]
pub(super) struct Choice(pub(super) Vec<Pair>);

impl Choice {
    /// Chooses a certificate. `suits` says whether the client supports its key. In order of preference: the
    /// first with the name that suits, the first with the name, the first that suits and has the same names
    /// as the default, the default.
    fn choose(&self, name: Option<&str>, suits: impl Fn(&Pair) -> bool) -> Option<&Pair> {
        let bears = |pair: &&Pair| name.is_some_and(|name| pair.facts.covers(name));
        let all = || self.0.iter();
        let wanted = || all().filter(bears);
        wanted()
            .find(|pair| suits(pair))
            .or_else(|| wanted().next())
            .or_else(|| {
                // no name requested, but there is an RSA and an ECDSA certificate for the same names
                let first = self.0.first()?;
                all().find(|pair| pair.facts.names == first.facts.names && suits(pair))
            })
            .or_else(|| self.0.first())
    }
}

impl ResolvesServerCert for Choice {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let suits = |pair: &Pair| pair.key.key.choose_scheme(schemes).is_some();
        self.choose(hello.server_name(), suits).map(|pair| Arc::clone(&pair.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::tls::{PairFiles, selfsigned};

    #[test]
    fn the_name_asked_for_decides() {
        let folder = tempfile::tempdir().unwrap();
        let pair = |number: usize, names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let made = selfsigned::make(&names, 30, Timestamp(0)).unwrap();
            let files = PairFiles {
                chain: folder.path().join(format!("{number}.pem")),
                key: folder.path().join(format!("{number}.key")),
            };
            std::fs::write(&files.chain, made.chain).unwrap();
            std::fs::write(&files.key, made.key).unwrap();
            Pair::read(&files, &rustls::crypto::aws_lc_rs::default_provider()).unwrap()
        };
        let choice = Choice(vec![
            pair(0, &["mail.example.jp"]),
            pair(1, &["*.example.jp"]),
            pair(2, &["mail.example.jp"]),
            pair(3, &["relay.example.com"]),
        ]);
        // requested name, certificates that suit, expected choice
        let cases: [(Option<&str>, &[usize], usize); 8] = [
            (None, &[0, 1, 2, 3], 0),
            (None, &[2, 3], 2),
            (None, &[3], 0),
            (Some("mail.example.jp"), &[0, 1, 2, 3], 0),
            (Some("mail.example.jp"), &[2], 2),
            (Some("other.example.jp"), &[0, 1, 2, 3], 1),
            (Some("relay.example.com"), &[], 3),
            (Some("unknown.example.net"), &[0, 1, 2, 3], 0),
        ];
        for (name, suiting, expected) in cases {
            let number = |pair: &Pair| choice.0.iter().position(|other| other.files == pair.files).unwrap();
            let chosen = choice.choose(name, |pair| suiting.contains(&number(pair))).unwrap();
            assert_eq!(number(chosen), expected, "{name:?} {suiting:?}");
        }
        assert!(Choice(Vec::new()).choose(None, |_| true).is_none());
    }
}
