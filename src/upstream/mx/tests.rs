//! Tests of delivery by MX with name servers (with DNSSEC where it matters), mail hosts with TLS and a
//! policy host, all on loopback.

use super::*;
use crate::clock::{SystemClock, SystemEntropy};
use crate::dns::rig::NameServer;
use crate::message::{Address, Recipient};
use crate::upstream::Content;
use crate::upstream::smarthost::Timeouts;
use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::fmt::Write as _;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The mail a host received: whether over TLS, and the recipient.
type Taken = Arc<Mutex<Vec<(bool, String)>>>;

/// A certificate authority, with its certificate in a file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

struct Leaf {
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), issuer.pem()).unwrap();
        Self { issuer, file }
    }

    fn leaf(&self, names: &[&str]) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        Leaf { certificate: leaf.der().clone(), acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// The TLSA record (3 1 1) of a certificate's key in zone file format.
fn tlsa(leaf: &Leaf) -> String {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, parsed) = X509Certificate::from_der(&leaf.certificate).unwrap();
    let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, parsed.tbs_certificate.subject_pki.raw);
    sum.as_ref().iter().fold("3 1 1 ".to_owned(), |mut text, octet| {
        write!(text, "{octet:02x}").unwrap();
        text
    })
}

/// Mail hosts at 127.0.0.1, .2, … on one port, each with or without TLS.
struct Hosts {
    port: u16,
    taken: Vec<Taken>,
}

impl Hosts {
    async fn start(certificates: Vec<Option<TlsAcceptor>>) -> Self {
        'ports: for _ in 0..50 {
            let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = first.local_addr().unwrap().port();
            let mut listeners = vec![first];
            for last in 2..=certificates.len() {
                match TcpListener::bind(format!("127.0.0.{last}:{port}")).await {
                    Ok(listener) => listeners.push(listener),
                    Err(_) => continue 'ports,
                }
            }
            let mut all = Vec::new();
            for (listener, acceptor) in listeners.into_iter().zip(certificates) {
                let taken = Taken::default();
                all.push(Arc::clone(&taken));
                tokio::spawn(async move {
                    while let Ok((stream, _)) = listener.accept().await {
                        let (acceptor, taken) = (acceptor.clone(), Arc::clone(&taken));
                        tokio::spawn(async move { greet(stream, acceptor, taken).await });
                    }
                });
            }
            return Self { port, taken: all };
        }
        panic!("no port is free at all addresses");
    }

    fn taken(&self, host: usize) -> Vec<(bool, String)> {
        self.taken[host - 1].lock().unwrap().clone()
    }
}

async fn greet(mut stream: TcpStream, acceptor: Option<TlsAcceptor>, taken: Taken) -> Option<()> {
    stream.write_all(b"220 mx\r\n").await.ok()?;
    if !converse(&mut stream, acceptor.is_some(), false, &taken).await? {
        return None;
    }
    let mut stream = acceptor?.accept(stream).await.ok()?;
    converse(&mut stream, false, true, &taken).await.map(|_| ())
}

/// Runs an SMTP session; returns whether the client asked for STARTTLS.
async fn converse(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    offers: bool,
    secured: bool,
    taken: &Taken,
) -> Option<bool> {
    let mut stream = BufReader::new(stream);
    let mut to = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let answer = match line.get(..4)?.to_ascii_uppercase().as_str() {
            "EHLO" if offers => "250-mx\r\n250 STARTTLS",
            "STAR" => {
                stream.get_mut().write_all(b"220 go on\r\n").await.ok()?;
                return Some(true);
            }
            "RCPT" => {
                to.push(line.trim().to_owned());
                "250 ok"
            }
            "DATA" => {
                stream.get_mut().write_all(b"354 go on\r\n").await.ok()?;
                let mut content = String::new();
                while content != ".\r\n" {
                    content.clear();
                    stream.read_line(&mut content).await.ok()?;
                }
                taken.lock().unwrap().extend(to.drain(..).map(|to| (secured, to)));
                "250 taken"
            }
            _ => "250 ok",
        };
        stream.get_mut().write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
    }
}

/// A policy host that always gives this answer.
async fn policy_host(leaf: Leaf, status: &'static str, policy: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = leaf.acceptor.accept(stream).await else { continue };
            let mut asked = BufReader::new(&mut stream).lines();
            while asked.next_line().await.is_ok_and(|line| line.is_some_and(|line| !line.is_empty())) {}
            let answer = format!(
                "HTTP/1.1 {status}\r\nLocation: https://mta-sts.sts.test/\r\nContent-Length: {}\r\n\r\n{policy}",
                policy.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn delivery(resolver: Resolver, hosts: &Hosts, policy_port: u16, ca_file: Option<&Path>) -> MxDelivery {
    let mut model = model();
    let second = Duration::from_secs(10);
    model.timeouts = Timeouts { connect: second, greeting: second, ..Timeouts::default() };
    MxDelivery::new(Settings {
        hello: "relay.example.jp".to_owned(),
        port: hosts.port,
        policy_port,
        resolver,
        authorities: Authorities::new(ca_file).unwrap(),
        tally: Tally::default(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        model,
        known: Vec::new(),
        memory: None,
    })
    .unwrap()
}

async fn send(way: &MxDelivery, to: &[&str]) -> Outcome {
    let recipient = |text: &&str| Recipient::plain(Address::parse(text).unwrap());
    let mut transaction = Transaction {
        sender: Some(Address::parse("a@example.jp").unwrap()),
        recipients: to.iter().map(recipient).collect(),
        header: Bytes::from_static(b"Subject: x\r\n"),
        body: Content::Inline(Bytes::from_static(b"\r\nx\r\n")),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
        reseal: None,
    };
    way.send(&mut transaction, Arc::new(|| true)).await
}

/// The fate of one recipient: a word, and the text.
async fn fate_of(way: &MxDelivery, to: &str) -> (&'static str, String) {
    let outcome = send(way, &[to]).await;
    assert!(!outcome.unreachable, "one domain says nothing about others");
    match outcome.recipients.into_iter().next().unwrap() {
        Fate::Delivered(text) => ("delivered", text),
        Fate::Deferred(text) => ("deferred", text),
        Fate::Failed(text) => ("failed", text),
        Fate::Uncertain(text) => ("uncertain", text),
        Fate::NotTried(text) | Fate::Postponed(text, _) => ("untried", text),
    }
}

#[tokio::test]
async fn domains_lead_to_their_hosts() {
    let hosts = Hosts::start(vec![None, None]).await;
    let zone = "
backup.test. 60 IN MX 10 dead.test.
backup.test. 60 IN MX 20 one.test.
order.test. 60 IN MX 10 two.test.
order.test. 60 IN MX 5 one.test.
xn--wgv71a.test. 60 IN MX 5 two.test.
implicit.test. 60 IN A 127.0.0.2
null.test. 60 IN MX 0 .
hostless.test. 60 IN MX 10 nowhere.test.
self.test. 60 IN MX 10 relay.example.jp.
self.test. 60 IN MX 20 one.test.
text.test. 60 IN TXT nothing
one.test. 60 IN A 127.0.0.1
two.test. 60 IN A 127.0.0.2
both.test. 60 IN MX 1 both-families.test.
both-families.test. 60 IN AAAA ::1
both-families.test. 60 IN A 127.0.0.1
dead.test. 60 IN A 127.0.0.9
";
    for signed in [false, true] {
        let server = NameServer::start(zone, signed).await;
        let way = delivery(server.resolver(), &hosts, 1, None);
        for (to, word, text) in [
            ("a@backup.test", "delivered", "250 taken"),
            ("a@order.test", "delivered", "250 taken"),
            ("a@日本.test", "failed", "SMTPUTF8"),
            ("a@xn--wgv71a.test", "delivered", "250 taken"),
            ("a@implicit.test", "delivered", "250 taken"),
            ("a@both.test", "delivered", "250 taken"),
            ("a@[127.0.0.2]", "delivered", "250 taken"),
            ("a@null.test", "failed", "556 5.1.10"),
            ("a@hostless.test", "failed", "5.1.2"),
            ("a@text.test", "failed", "5.4.4"),
            ("a@nowhere.test", "failed", "5.1.2"),
            ("a@self.test", "failed", "5.4.6"),
        ] {
            let (got, said) = fate_of(&way, to).await;
            assert!(got == word && said.contains(text), "{to}: {got}: {said}");
        }
        way.close().await;
    }
    let at_one: Vec<String> = hosts.taken(1).into_iter().map(|(_, to)| to).collect();
    let wanted = ["RCPT TO:<a@backup.test>", "RCPT TO:<a@order.test>", "RCPT TO:<a@both.test>"];
    assert_eq!(at_one, [wanted, wanted].concat());
    assert_eq!(hosts.taken(2).len(), 6);
}

#[tokio::test]
async fn what_cannot_be_looked_up_waits() {
    let hosts = Hosts::start(vec![None]).await;
    let server = NameServer::serving("other.", "", false).await;
    let (got, said) = fate_of(&delivery(server.resolver(), &hosts, 1, None), "a@one.test").await;
    assert!(got == "deferred" && said.contains("4.4.3"), "{said}");
    let (signed, stranger) = (NameServer::start("", true).await, NameServer::start("", true).await);
    let settings = crate::dns::Settings { servers: vec![stranger.address], ..signed.settings() };
    let forged = Resolver::new(&settings).unwrap();
    let (got, said) = fate_of(&delivery(forged, &hosts, 1, None), "a@one.test").await;
    assert!(got == "deferred" && said.contains("DNSSEC"), "{said}");
}

#[tokio::test]
async fn one_transaction_goes_to_one_domain_and_nobody_twice() {
    let hosts = Hosts::start(vec![None]).await;
    let zone = "one.test. 60 IN A 127.0.0.1\ntwo.test. 60 IN A 127.0.0.1\n";
    let server = NameServer::start(zone, false).await;
    let way = delivery(server.resolver(), &hosts, 1, None);
    let mut left = vec!["a@one.test", "b@two.test", "c@ONE.test", "d@nowhere.test"];
    let mut failed = Vec::new();
    while !left.is_empty() {
        let outcome = send(&way, &left).await;
        assert_eq!(outcome.recipients.len(), left.len());
        let fates = left.iter().copied().zip(outcome.recipients);
        let mut next = Vec::new();
        for (to, fate) in fates {
            match fate {
                Fate::Delivered(_) => {}
                Fate::NotTried(_) => next.push(to),
                Fate::Failed(_) => failed.push(to),
                other => panic!("{other:?}"),
            }
        }
        left = next;
    }
    assert_eq!(failed, ["d@nowhere.test"]);
    let got: Vec<String> = hosts.taken(1).into_iter().map(|(_, to)| to).collect();
    assert_eq!(got, ["RCPT TO:<a@one.test>", "RCPT TO:<c@ONE.test>", "RCPT TO:<b@two.test>"]);
}

const STS_ZONE: &str = "
sts.test. 60 IN MX 10 good.sts.test.
_mta-sts.sts.test. 60 IN TXT \"v=STSv1; id=1;\"
mta-sts.sts.test. 60 IN A 127.0.0.1
good.sts.test. 60 IN A 127.0.0.1
wrong.test. 60 IN MX 10 bad.sts.test.
_mta-sts.wrong.test. 60 IN TXT \"v=STSv1; id=1;\"
mta-sts.wrong.test. 60 IN A 127.0.0.1
bad.sts.test. 60 IN A 127.0.0.2
clear.test. 60 IN MX 10 clear.sts.test.
_mta-sts.clear.test. 60 IN TXT \"v=STSv1; id=1;\"
mta-sts.clear.test. 60 IN A 127.0.0.1
clear.sts.test. 60 IN A 127.0.0.3
other.test. 60 IN MX 10 good.elsewhere.test.
_mta-sts.other.test. 60 IN TXT \"v=STSv1; id=1;\"
mta-sts.other.test. 60 IN A 127.0.0.1
good.elsewhere.test. 60 IN A 127.0.0.1
none.test. 60 IN MX 10 bad.sts.test.
";

/// Starts three hosts (with a good certificate, with one for another name, without TLS) and a policy host.
async fn sts(status: &'static str, mode: &str) -> (NameServer, Hosts, u16, Authority) {
    let authority = Authority::new();
    let good = authority.leaf(&["good.sts.test", "good.elsewhere.test"]).acceptor;
    let bad = authority.leaf(&["another.test"]).acceptor;
    let hosts = Hosts::start(vec![Some(good), Some(bad), None]).await;
    let policies = ["mta-sts.sts.test", "mta-sts.wrong.test", "mta-sts.clear.test", "mta-sts.other.test"];
    let policy = format!("version: STSv1\r\nmode: {mode}\r\nmx: *.sts.test\r\nmax_age: 86400\r\n");
    let port = policy_host(authority.leaf(&policies), status, policy).await;
    (NameServer::start(STS_ZONE, false).await, hosts, port, authority)
}

#[tokio::test]
async fn a_policy_of_mta_sts_is_kept_to() {
    let (server, hosts, port, authority) = sts("200 OK", "enforce").await;
    let way = delivery(server.resolver(), &hosts, port, Some(authority.file.path()));
    for (to, word, text) in [
        ("a@sts.test", "delivered", "250"),
        ("a@wrong.test", "deferred", "4.7.5"),
        ("a@clear.test", "deferred", "4.7.4"),
        ("a@other.test", "deferred", "MTA-STS policy"),
        ("a@none.test", "delivered", "250"),
    ] {
        let (got, said) = fate_of(&way, to).await;
        assert!(got == word && said.contains(text), "{to}: {got}: {said}");
    }
    assert_eq!(hosts.taken(1), [(true, "RCPT TO:<a@sts.test>".to_owned())]);
    assert_eq!(hosts.taken(2), [(true, "RCPT TO:<a@none.test>".to_owned())], "without a policy any will do");
    assert!(hosts.taken(3).is_empty());
}

#[tokio::test]
async fn a_policy_in_testing_or_out_of_reach_stops_nothing() {
    // a redirect is not a policy, nor is the answer of a host with an unverified certificate
    for (status, mode, trusted) in
        [("200 OK", "testing", true), ("301 Moved", "enforce", true), ("200 OK", "enforce", false)]
    {
        let (server, hosts, port, authority) = sts(status, mode).await;
        let way = delivery(server.resolver(), &hosts, port, trusted.then(|| authority.file.path()));
        for to in ["a@sts.test", "a@wrong.test", "a@clear.test", "a@other.test"] {
            let (got, said) = fate_of(&way, to).await;
            assert_eq!(got, "delivered", "{status} {mode} {to}: {said}");
        }
    }
}

#[tokio::test]
async fn dane_decides_where_dnssec_vouches_for_it() {
    let authority = Authority::new();
    let (own, other) = (authority.leaf(&["unrelated.test"]), authority.leaf(&["unrelated.test"]));
    let policy = "version: STSv1\nmode: enforce\nmx: elsewhere.test\nmax_age: 86400\n".to_owned();
    let policy_port = policy_host(authority.leaf(&["mta-sts.dane.test"]), "200 OK", policy).await;
    let hosts = Hosts::start(vec![Some(own.acceptor.clone()), None]).await;
    let port = hosts.port;
    let zone = format!(
        "dane.test. 60 IN MX 10 mx.dane.test.\nmx.dane.test. 60 IN A 127.0.0.1\n\
         _{port}._tcp.mx.dane.test. 60 IN TLSA {}\n\
         _mta-sts.dane.test. 60 IN TXT \"v=STSv1; id=1;\"\nmta-sts.dane.test. 60 IN A 127.0.0.1\n\
         wrong.test. 60 IN MX 10 mx.wrong.test.\nmx.wrong.test. 60 IN A 127.0.0.1\n\
         _{port}._tcp.mx.wrong.test. 60 IN TLSA {}\n\
         unusable.test. 60 IN MX 10 mx.unusable.test.\nmx.unusable.test. 60 IN A 127.0.0.1\n\
         _{port}._tcp.mx.unusable.test. 60 IN TLSA 1 1 1 00\n\
         stripped.test. 60 IN MX 10 mx.stripped.test.\nmx.stripped.test. 60 IN A 127.0.0.2\n\
         _{port}._tcp.mx.stripped.test. 60 IN TLSA 1 1 1 00\n\
         plain.test. 60 IN MX 10 mx.plain.test.\nmx.plain.test. 60 IN A 127.0.0.2\n\
         implicit.test. 60 IN A 127.0.0.1\n_{port}._tcp.implicit.test. 60 IN TLSA {}\n",
        tlsa(&own),
        tlsa(&other),
        tlsa(&other),
    );
    let server = NameServer::start(&zone, true).await;
    let way = delivery(server.resolver(), &hosts, policy_port, Some(authority.file.path()));
    for (to, word, text) in [
        // the MTA-STS policy names another host, but DANE takes precedence
        ("a@dane.test", "delivered", "250"),
        ("a@wrong.test", "deferred", "TLSA"),
        ("a@unusable.test", "delivered", "250"),
        ("a@stripped.test", "deferred", "4.7.4"),
        ("a@plain.test", "delivered", "250"),
        ("a@implicit.test", "deferred", "TLSA"),
    ] {
        let (got, said) = fate_of(&way, to).await;
        assert!(got == word && said.contains(text), "{to}: {got}: {said}");
    }
    assert!(hosts.taken(1).iter().all(|(secured, _)| *secured));
    assert_eq!(hosts.taken(2), [(false, "RCPT TO:<a@plain.test>".to_owned())]);
    // without DNSSEC the TLSA records are ignored, and the policy applies
    let server = NameServer::start(&zone, false).await;
    let way = delivery(server.resolver(), &hosts, policy_port, Some(authority.file.path()));
    assert_eq!(fate_of(&way, "a@wrong.test").await.0, "delivered");
    assert_eq!(fate_of(&way, "a@dane.test").await.0, "deferred");
}
