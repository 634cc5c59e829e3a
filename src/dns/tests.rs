//! Tests of the resolver with a name server, with and without DNSSEC.

use super::rig::NameServer;
use super::*;

const ZONE: &str = r#"
one.test. 300 IN MX 20 b.one.test.
one.test. 300 IN MX 10 A.one.test.
one.test. 300 IN TXT "v=spf1 " "ip4:192.0.2.0/24 -all"
a.one.test. 300 IN A 192.0.2.1
a.one.test. 300 IN AAAA 2001:db8::1
b.one.test. 300 IN A 192.0.2.2
alias.test. 300 IN CNAME a.one.test.
null.test. 300 IN MX 0 .
xn--wgv71a.test. 300 IN MX 5 a.one.test.
_25._tcp.a.one.test. 300 IN TLSA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
"#;

fn mx(preference: u16, host: &str) -> Mx {
    Mx { preference, host: host.to_owned() }
}

#[tokio::test]
async fn answers_with_and_without_signatures() {
    for signed in [false, true] {
        let server = NameServer::start(ZONE, signed).await;
        let dns = server.resolver();
        let found = dns.mx("one.test").await.unwrap();
        assert_eq!(found.value, [mx(10, "a.one.test"), mx(20, "b.one.test")]);
        assert_eq!(found.secure, signed);
        assert!((1..=300).contains(&found.ttl.as_secs()), "{:?}", found.ttl);
        assert_eq!(dns.mx("null.test").await.unwrap().value, [mx(0, "")]);
        assert_eq!(dns.mx("日本.test").await.unwrap().value, [mx(5, "a.one.test")]);
        let texts = dns.txt("one.test.").await.unwrap().value;
        assert_eq!(texts, ["v=spf1 ip4:192.0.2.0/24 -all"]);
        for host in ["a.one.test", "alias.test"] {
            let found = dns.addresses(host).await.unwrap();
            let both: [IpAddr; 2] = ["2001:db8::1".parse().unwrap(), "192.0.2.1".parse().unwrap()];
            assert_eq!((found.value.as_slice(), found.secure), (&both[..], signed), "{host}");
        }
        assert_eq!(dns.addresses("b.one.test").await.unwrap().value.len(), 1);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_from_what_does_not_exist() {
    for signed in [false, true] {
        let server = NameServer::start(ZONE, signed).await;
        let dns = server.resolver();
        let none = |error: DnsError| match error {
            DnsError::NotFound { exists, .. } => exists,
            other => panic!("{other}"),
        };
        assert!(!none(dns.mx("nowhere.test").await.unwrap_err()), "signed: {signed}");
        assert!(none(dns.mx("a.one.test").await.unwrap_err()), "signed: {signed}");
        assert!(!none(dns.addresses("nowhere.test").await.unwrap_err()), "signed: {signed}");
        assert!(!none(dns.txt("no..name").await.unwrap_err()));
        assert!(dns.tlsa("b.one.test", 25).await.unwrap_err().is_not_found());
        assert_eq!(dns.tlsa("a.one.test", 25).await.is_ok(), signed, "unsigned TLSA counts as none");
    }
}

#[tokio::test]
async fn a_key_nobody_vouches_for_is_bogus() {
    let (server, other) = (NameServer::start(ZONE, true).await, NameServer::start(ZONE, true).await);
    let settings = Settings { servers: vec![server.address], ..other.settings() };
    let dns = Resolver::new(&settings).unwrap();
    let bogus = |error| matches!(error, DnsError::Bogus { .. });
    assert!(bogus(dns.mx("one.test").await.unwrap_err()));
    assert!(bogus(dns.addresses("a.one.test").await.unwrap_err()));
    assert!(bogus(dns.tlsa("a.one.test", 25).await.unwrap_err()));
    assert!(bogus(dns.mx("nowhere.test").await.unwrap_err()), "nor is a denial believed");
    assert!(dns.txt("one.test").await.is_ok(), "texts are not validated");
}

#[tokio::test]
async fn a_server_that_refuses_is_temporary() {
    let server = NameServer::serving("other.", "", false).await;
    let error = server.resolver().mx("one.test").await.unwrap_err();
    assert!(matches!(error, DnsError::Temporary { .. }), "{error}");
}

#[test]
fn a_wrong_trust_anchor_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "nonsense\n").unwrap();
    let settings = Settings {
        servers: vec!["127.0.0.1:53".parse().unwrap()],
        trust_anchor_file: Some(file.path().to_owned()),
        ..Settings::default()
    };
    let error = Resolver::new(&settings).unwrap_err();
    assert!(error.contains(&file.path().display().to_string()), "{error}");
}
