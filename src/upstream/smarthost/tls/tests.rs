//! Tests of each kind of trust with generated certificate chains.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

struct Chain {
    authority: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
}

/// A certificate for `mail.example`, and that of its authority.
fn chain() -> Chain {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let params = CertificateParams::new(vec!["mail.example".to_owned()]).unwrap();
    let leaf = params.signed_by(&KeyPair::generate().unwrap(), &authority).unwrap();
    Chain { authority: authority.der().clone(), leaf: leaf.der().clone() }
}

fn trusts(trust: &Trust, chain: &Chain, host: &str) -> bool {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    trust.verify(&chain.leaf, std::slice::from_ref(&chain.authority), &name, UnixTime::now()).is_ok()
}

fn record(usage: u8, selector: u8, matching: u8, certificate: &CertificateDer<'_>) -> Tlsa {
    let chosen = if selector == 0 { certificate.as_ref() } else { dane::public_key(certificate).unwrap() };
    let data = match matching {
        0 => chosen.to_vec(),
        1 => dane::sha256(chosen).to_vec(),
        _ => aws_lc_rs_sha512(chosen),
    };
    Tlsa { usage, selector, matching, data }
}

fn aws_lc_rs_sha512(octets: &[u8]) -> Vec<u8> {
    ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA512, octets).as_ref().to_vec()
}

fn dane(records: Vec<Tlsa>, names: &[&str]) -> Trust {
    Trust::Dane { records: records.into(), names: names.iter().map(|name| (*name).to_owned()).collect() }
}

#[test]
fn every_kind_of_tlsa_record_matches_its_own_certificate_only() {
    let (chain, other) = (chain(), chain());
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let own = dane(vec![record(3, selector, matching, &chain.leaf)], &[]);
            assert!(trusts(&own, &chain, "mail.example"), "3 {selector} {matching}");
            assert!(trusts(&own, &chain, "other.example"), "DANE-EE looks at no name");
            assert!(!trusts(&own, &other, "mail.example"));
            let anchor = dane(vec![record(2, selector, matching, &chain.authority)], &[]);
            assert!(trusts(&anchor, &chain, "mail.example"), "2 {selector} {matching}");
            assert!(!trusts(&anchor, &chain, "mx.example"), "DANE-TA looks at the name");
            assert!(!trusts(&anchor, &other, "mail.example"));
        }
    }
    let for_the_domain = dane(vec![record(2, 1, 1, &chain.authority)], &["mail.example"]);
    assert!(trusts(&for_the_domain, &chain, "mx.example"), "the next-hop domain is a name as well");
    let several = dane(vec![record(3, 1, 1, &other.leaf), record(3, 1, 1, &chain.leaf)], &[]);
    assert!(trusts(&several, &chain, "mail.example"), "one of several is enough");
    let leaf_as_anchor = dane(vec![record(2, 1, 1, &chain.leaf)], &[]);
    assert!(!trusts(&leaf_as_anchor, &chain, "mail.example"));
}

#[test]
fn records_of_other_kinds_are_not_used() {
    let chain = chain();
    for (usage, selector, matching, usable) in
        [(0, 0, 1, false), (1, 1, 1, false), (2, 1, 1, true), (3, 0, 0, true), (4, 1, 1, false)]
    {
        assert_eq!(dane::is_usable(&record(usage, selector, matching, &chain.leaf)), usable);
    }
    let mut short = record(3, 1, 1, &chain.leaf);
    short.data.pop();
    assert!(!dane::is_usable(&short));
    assert!(!dane::is_usable(&Tlsa { matching: 3, ..record(3, 1, 1, &chain.leaf) }));
    assert!(!dane::is_usable(&Tlsa { selector: 2, ..record(3, 1, 1, &chain.leaf) }));
    assert!(!trusts(&dane(vec![record(1, 1, 1, &chain.leaf)], &[]), &chain, "mail.example"));
}

#[test]
fn a_pinned_key_is_enough_and_any_other_is_not() {
    use std::fmt::Write;
    let (chain, other) = (chain(), chain());
    let sum = dane::sha256(dane::public_key(&chain.leaf).unwrap());
    let digits = sum.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    });
    let pin: Pin = format!("sha256:{digits}").parse().unwrap();
    assert!(trusts(&Trust::Pins(vec![pin]), &chain, "whatever.example"));
    assert!(!trusts(&Trust::Pins(vec![pin]), &other, "mail.example"));
    assert!(!trusts(&Trust::Pins(Vec::new()), &chain, "mail.example"));
    assert!(!trusts(&Trust::Nothing, &chain, "mail.example"));
    for text in [
        "",
        "sha256:",
        "sha1:00",
        &digits,
        &format!("sha256:{digits}0"),
        &format!("sha256:{}x", &digits[1..]),
    ] {
        assert!(text.parse::<Pin>().is_err(), "{text}");
    }
}

#[test]
fn a_broken_ca_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&file, content).unwrap();
        let error = Authorities::new(Some(&file)).unwrap_err();
        assert!(error.contains("ca.pem"), "{error}");
    }
    let error = Tls::new("no host name", Trust::Nothing, Security::Required, None).unwrap_err();
    assert!(error.contains("no host name"), "{error}");
}
