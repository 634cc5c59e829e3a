//! Sessions over TLS with rustls as the client: valid and failing handshakes, client certificates, and load
//! balancers.

use super::fake_intake::{BALANCER, FRIEND, Running, STRANGER, certificate};
use super::script::Client;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use sekisho::listener::{Limits, TlsMode};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// Accepts any certificate, because these tests are not about the server's identity.
#[derive(Debug)]
struct Any;

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// A client's certificate and key.
type ClientPair = (CertificateDer<'static>, Vec<u8>);
type Own = Option<ClientPair>;

fn config(own: Own) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any));
    Arc::new(match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
            builder.with_client_auth_cert(vec![certificate], key).unwrap()
        }
    })
}

/// A client that uses TLS.
struct Secure {
    reader: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Secure {
    fn over(stream: TcpStream, config: Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("relay.test").unwrap();
        let session = ClientConnection::new(config, name).unwrap();
        Self { reader: BufReader::new(StreamOwned::new(session, stream)) }
    }

    /// Greeting, EHLO, STARTTLS.
    fn starttls(from: &str, to: SocketAddr, own: Own) -> Self {
        let mut client = Client::hello(from, to);
        assert!(client.ask("STARTTLS").starts_with("220 2.0.0 "));
        Self::over(client.reader.into_inner(), config(own))
    }

    fn implicit(from: &str, to: SocketAddr) -> Self {
        Self::over(Client::connect(from, to).reader.into_inner(), config(None))
    }

    /// All lines of one reply.
    fn reply(&mut self) -> std::io::Result<String> {
        let mut reply = String::new();
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            reply.push_str(&line);
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(reply);
            }
        }
    }

    fn ask(&mut self, line: &str) -> String {
        let asked = self.reader.get_mut().write_all(format!("{line}\r\n").as_bytes());
        asked.and_then(|()| self.reply()).unwrap_or_default()
    }

    /// One transaction; returns the last reply.
    fn send(&mut self) -> String {
        for (line, expected) in [("EHLO c", "250"), ("MAIL FROM:<a@b.test>", "250")] {
            let answer = self.ask(line);
            assert!(answer.starts_with(expected), "{line}: {answer}");
        }
        let answer = self.ask("RCPT TO:<c@d.test>");
        if !answer.starts_with("250") {
            return answer;
        }
        assert!(self.ask("DATA").starts_with("354"));
        self.ask("Subject: s\r\n\r\nx\r\n.")
    }
}

#[test]
fn starttls_secures_a_session_that_begins_anew() {
    for mode in [TlsMode::Offered, TlsMode::Required] {
        let running = Running::secured(Limits::default(), Some(certificate(mode, &[])));
        let mut client = Secure::starttls(FRIEND, running.address, None);
        assert!(client.ask("MAIL FROM:<a@b.test>").starts_with("503 5.5.1"), "EHLO comes first again");
        assert!(!client.ask("EHLO c").contains("STARTTLS"), "not advertised within TLS");
        assert!(client.ask("STARTTLS").starts_with("503 5.5.1"));
        assert!(client.send().starts_with("250 2.0.0 queued as "));
        assert!(client.ask("QUIT").starts_with("221 "));
        assert_eq!(running.messages().len(), 1);
    }
}

#[test]
fn a_transaction_in_plain_text_ends_with_starttls() {
    let running = Running::secured(Limits::default(), Some(certificate(TlsMode::Offered, &[])));
    let mut client = Client::hello(FRIEND, running.address);
    assert!(client.ask("MAIL FROM:<evil@b.test>").starts_with("250"));
    assert!(client.ask("RCPT TO:<evil@d.test>").starts_with("250"));
    assert!(client.ask("STARTTLS").starts_with("220"));
    let mut client = Secure::over(client.reader.into_inner(), config(None));
    assert!(client.ask("DATA").starts_with("503 5.5.1"));
    assert!(client.send().starts_with("250"));
    let messages = running.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].envelope.recipients.len(), 1);
}

#[test]
fn tls_comes_first_on_an_implicit_listener() {
    let running = Running::secured(Limits::default(), Some(certificate(TlsMode::Implicit, &[])));
    let mut client = Secure::implicit(FRIEND, running.address);
    assert!(client.reply().unwrap().starts_with("220 relay.test ESMTP"));
    assert!(client.send().starts_with("250 2.0.0 queued as "));
    let mut client = Secure::implicit(STRANGER, running.address);
    assert!(client.reply().unwrap().starts_with("220 "));
    assert!(client.send().starts_with("550 5.7.1 "));
    let mut plain = Client::connect(FRIEND, running.address);
    plain.send(b"EHLO client.test\r\n").unwrap();
    let mut answer = Vec::new();
    // the connection may end with a reset; no reply to the command came before
    let _ = plain.reader.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"220") && !answer.starts_with(b"250"), "{answer:?}");
}

#[test]
fn who_does_not_shake_hands_is_let_go() {
    let limits = Limits { handshake: Duration::from_millis(300), ..Limits::default() };
    let implicit = Running::secured(limits.clone(), Some(certificate(TlsMode::Implicit, &[])));
    assert!(Client::connect(FRIEND, implicit.address).is_closed());
    let offered = Running::secured(limits, Some(certificate(TlsMode::Offered, &[])));
    let mut client = Client::hello(FRIEND, offered.address);
    assert!(client.ask("STARTTLS").starts_with("220"));
    assert!(client.is_closed());
    let mut client = Secure::starttls(FRIEND, offered.address, None);
    assert!(client.send().starts_with("250"), "others are served");
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

fn issued(issuer: &Issuer<'static, KeyPair>, name: &str) -> ClientPair {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap();
    (certificate.der().clone(), key.serialize_der())
}

#[test]
fn a_certificate_with_the_right_name_may_relay_from_anywhere() {
    let (known, pem) = authority("known");
    let (unknown, _) = authority("unknown");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let tls = certificate(TlsMode::Offered, &[(&file, "*.hosts.test"), (&file, "scanner.test")]);
    let running = Running::secured(Limits::default(), Some(tls));
    let cases = [
        (STRANGER, None, "550 5.7.1", "not in a network"),
        (STRANGER, Some(issued(&known, "mail.hosts.test")), "250 2.0.0", ""),
        (STRANGER, Some(issued(&known, "SCANNER.test")), "250 2.0.0", ""),
        (STRANGER, Some(issued(&known, "hosts.test")), "550 5.7.1", "has no name"),
        (STRANGER, Some(issued(&unknown, "mail.hosts.test")), "550 5.7.1", "does not verify"),
        (FRIEND, Some(issued(&unknown, "mail.hosts.test")), "250 2.0.0", ""),
    ];
    for (from, own, code, text) in cases {
        let presented = own.is_some();
        let mut client = Secure::starttls(from, running.address, own);
        let answer = client.send();
        assert!(answer.starts_with(code) && answer.contains(text), "{from} {presented}: {answer}");
    }
}

#[test]
fn a_balancer_says_who_the_client_is() {
    let limits = Limits { proxy: Duration::from_millis(500), sessions_per_client: 2, ..Limits::default() };
    let running = Running::secured(limits.clone(), None);
    let from_balancer = |header: &str| {
        let mut client = Client::connect(BALANCER, running.address);
        client.send(header.as_bytes()).unwrap();
        client
    };
    let cases = [
        ("PROXY TCP4 127.0.0.1 127.0.0.9 4000 25\r\n", "250 2.1.5"),
        ("PROXY TCP4 127.0.0.2 127.0.0.9 4000 25\r\n", "550 5.7.1"),
        ("PROXY TCP6 ::ffff:127.0.0.1 ::1 4000 25\r\n", "250 2.1.5"),
        ("PROXY UNKNOWN\r\n", "550 5.7.1"),
    ];
    for (header, expected) in cases {
        let mut client = from_balancer(header);
        assert!(client.reply().unwrap().starts_with("220 "), "{header}");
        client.ask("EHLO c");
        client.ask("MAIL FROM:<a@b.test>");
        let answer = client.ask("RCPT TO:<c@d.test>");
        assert!(answer.starts_with(expected), "{header}: {answer}");
    }
    assert!(from_balancer("EHLO me.test\r\n").is_closed(), "without a header");
    assert!(from_balancer("").is_closed(), "with nothing at all");
    assert!(from_balancer("PROXY TCP4 127.0.0.1").is_closed(), "with half a header");
    let mut early = from_balancer("PROXY TCP4 127.0.0.1 127.0.0.9 4000 25\r\nEHLO c\r\n");
    assert!(early.reply().is_none_or(|reply| reply.starts_with("554 5.5.1 ")), "the client waits too");
    let mut other = Client::connect(STRANGER, running.address);
    other.send(b"PROXY TCP4 127.0.0.1 127.0.0.9 4000 25\r\n").unwrap();
    let answer = other.reply().unwrap_or_default();
    assert!(answer.starts_with("554 ") || answer.starts_with("220 "), "{answer}");
    assert!(!answer.starts_with("220 ") || other.reply().unwrap().starts_with("500 "));
}

#[test]
fn a_balancers_clients_are_counted_one_by_one() {
    let limits = Limits { sessions_per_client: 1, ..Limits::default() };
    let running = Running::secured(limits, Some(certificate(TlsMode::Implicit, &[])));
    let connect = |address: &str| {
        let mut client = Client::connect(BALANCER, running.address);
        client.send(format!("PROXY TCP4 {address} 127.0.0.9 4000 25\r\n").as_bytes()).unwrap();
        Secure::over(client.reader.into_inner(), config(None))
    };
    let mut first = connect("127.0.0.1");
    assert!(first.reply().unwrap().starts_with("220 "));
    let mut second = connect("127.0.0.3");
    assert!(second.reply().unwrap().starts_with("220 "), "another client of the same balancer");
    assert!(connect("127.0.0.1").reply().is_err(), "one more of the first");
    assert!(first.send().starts_with("250 2.0.0"));
}

#[test]
fn a_drain_waits_for_no_handshake_and_no_header() {
    let mut running = Running::secured(Limits::default(), Some(certificate(TlsMode::Implicit, &[])));
    let _half = Client::connect(FRIEND, running.address);
    let _silent = Client::connect(BALANCER, running.address);
    let mut whole = Secure::implicit(FRIEND, running.address);
    assert!(whole.reply().unwrap().starts_with("220 "));
    let began = std::time::Instant::now();
    running.shutdown.send(true).unwrap();
    assert!(whole.reply().unwrap().starts_with("421 4.3.2 "));
    drop(whole);
    running.drained();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
