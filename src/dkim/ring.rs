//! The keys, by the domain they sign for.

use super::key::{Algorithm, SigningKey};
use std::collections::BTreeMap;

/// All keys, by the domain they sign for.
#[derive(Debug, Default)]
pub struct Keyring(BTreeMap<String, Vec<SigningKey>>);

impl Keyring {
    /// A ring of these keys, with at most one key of each algorithm per domain.
    ///
    /// # Errors
    /// A domain has two keys of one algorithm. The error is a text for the administrator.
    pub fn new(keys: Vec<SigningKey>) -> Result<Self, String> {
        let mut ring: BTreeMap<String, Vec<SigningKey>> = BTreeMap::new();
        for key in keys {
            let same = ring.entry(key.domain().to_owned()).or_default();
            if let Some(other) = same.iter().find(|other| other.algorithm() == key.algorithm()) {
                return Err(format!(
                    "{} has two {} keys, `{}` and `{}`: only one may sign; remove the other once no mail signed \
                     with it is in transit",
                    key.domain(),
                    key.algorithm(),
                    other.selector(),
                    key.selector()
                ));
            }
            same.push(key);
            same.sort_by_key(SigningKey::algorithm);
        }
        Ok(Self(ring))
    }

    /// The keys for mail from this domain (an A-label in lower case): its own, or those of the nearest
    /// parent domain, which DMARC counts as aligned (RFC 7489 §3.1.1). RSA comes first.
    pub fn for_domain(&self, domain: &str) -> &[SigningKey] {
        let mut name = domain;
        loop {
            if let Some(keys) = self.0.get(name) {
                return keys;
            }
            match name.split_once('.') {
                Some((_, above)) => name = above,
                None => return &[],
            }
        }
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All keys.
    pub fn keys(&self) -> impl Iterator<Item = &SigningKey> {
        self.0.values().flatten()
    }

    /// Domains that have only an Ed25519 key, which many receivers do not verify yet.
    pub fn without_rsa(&self) -> impl Iterator<Item = &str> {
        let lacks = |keys: &&Vec<SigningKey>| keys.iter().all(|key| key.algorithm() != Algorithm::Rsa);
        self.0.iter().filter(move |(_, keys)| lacks(keys)).map(|(domain, _)| domain.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dkim::key::generate;

    fn key(domain: &str, selector: &str) -> SigningKey {
        SigningKey::from_pem(domain, selector, &generate(Algorithm::Ed25519).unwrap()).unwrap()
    }

    #[test]
    fn a_domain_signs_for_those_below_it_that_have_no_key() {
        let ring = Keyring::new(vec![key("example.jp", "a"), key("west.example.jp", "b")]).unwrap();
        let selector = |domain: &str| ring.for_domain(domain).first().map(SigningKey::selector);
        assert_eq!(selector("example.jp"), Some("a"));
        assert_eq!(selector("east.example.jp"), Some("a"));
        assert_eq!(selector("osaka.west.example.jp"), Some("b"));
        assert_eq!(selector("badexample.jp"), None);
        assert_eq!(selector("jp"), None);
        assert_eq!(selector(""), None);
        assert_eq!(ring.without_rsa().count(), 2);
    }

    #[test]
    fn two_keys_of_a_kind_are_one_too_many() {
        let error = Keyring::new(vec![key("example.jp", "a"), key("example.jp", "b")]).unwrap_err();
        assert!(error.contains("two Ed25519 keys, `a` and `b`"), "{error}");
    }
}
