//! Tests of AUTH in whole sessions, with the input split at any point.

use super::sasl::scram::Keys;
use super::sasl::{Claim, Mechanism, Mechanisms};
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use proptest::prelude::*;
use secrecy::ExposeSecret;
use std::num::NonZeroU32;
use std::sync::Arc;

fn options(required: bool) -> Arc<Options> {
    let mechanisms =
        Mechanisms::of(&[Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login, Mechanism::Xoauth2]);
    let auth = Offer { mechanisms, required };
    Arc::new(Options {
        hostname: "mx.test".into(),
        max_size: 1_000,
        max_discard: 1_000,
        max_errors: 20,
        starttls: StartTls::Off,
        auth,
    })
}

/// Answers a claim like a driver that knows a single user, `user`, with the password `pencil`.
fn judge(session: &mut Session, claim: &Claim) {
    let right = match claim {
        Claim::Password { user, password } => user == "user" && password.expose_secret() == "pencil",
        Claim::Token { token, .. } => token.expose_secret() == "token",
        Claim::Lookup { .. } => {
            let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
            let keys = Keys::derive("pencil", salt, NonZeroU32::new(4_096).unwrap());
            return session.keys(keys, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        }
        Claim::Proof { proven, .. } => *proven,
    };
    if claim.user() == "down" {
        session.refuse("454 4.7.0", "down");
    } else if right {
        session.accept();
    } else {
        session.refuse("535 5.7.8", "no");
    }
}

/// Runs a session over these pieces of input; returns all replies.
fn converse<'a>(secured: bool, required: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut session = Session::new(options(required), BareLf::Refuse);
    if secured {
        session.secure();
    }
    let mut input = BytesMut::new();
    let mut pieces = pieces.into_iter();
    loop {
        match session.next(&mut input) {
            Event::Wait => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break,
            },
            Event::StartTls | Event::Greeted | Event::Reset | Event::Content(_) => {}
            Event::Auth(claim) => judge(&mut session, &claim),
            Event::Mail(_) | Event::Rcpt(_) | Event::Data => session.accept(),
            Event::End(_) => session.answer("250 2.0.0", "queued"),
            Event::Close => break,
        }
    }
    String::from_utf8(session.output().to_vec()).unwrap()
}

/// The code and enhanced code of each reply, except the reply to EHLO.
fn codes(secured: bool, required: bool, lines: &[&str]) -> Vec<String> {
    let sent = lines.iter().fold("EHLO c\r\n".to_owned(), |all, line| all + line + "\r\n");
    let replies = converse(secured, required, [sent.as_bytes()]);
    let last = replies.lines().filter(|line| line.as_bytes()[3] == b' ').skip(1);
    last.map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

fn b64(text: &str) -> String {
    BASE64.encode(text)
}

#[test]
fn auth_gets_its_answers() {
    let good = format!("AUTH PLAIN {}", b64("\0user\0pencil"));
    let bad = format!("AUTH PLAIN {}", b64("\0user\0pen"));
    let down = format!("AUTH PLAIN {}", b64("\0down\0pencil"));
    let token = format!("AUTH XOAUTH2 {}", b64("user=user\x01auth=Bearer token\x01\x01"));
    let stale = format!("AUTH XOAUTH2 {}", b64("user=user\x01auth=Bearer stale\x01\x01"));
    let invalid = format!("334 {}", b64("{\"status\":\"invalid_token\"}"));
    let invalid = invalid.as_str();
    let (user, password, pair) = (b64("user"), b64("pencil"), b64("\0user\0pencil"));
    let login = format!("AUTH LOGIN {user}");
    let long = format!("AUTH PLAIN {}", "A".repeat(12_300));
    let fits = format!("AUTH XOAUTH2 {}", "AAAA".repeat(3_060));
    let prompt = format!("334 {}", b64("Username:"));
    let second = format!("334 {}", b64("Password:"));
    let (prompt, second) = (prompt.as_str(), second.as_str());
    let (ok, no) = ("235 2.7.0", "535 5.7.8");
    let mail = "MAIL FROM:<a@b.test>";
    let cases: &[(&[&str], &[&str])] = &[
        (&[&good], &[ok]),
        (&[&good, &good], &[ok, "503 5.5.1"]),
        (&[&bad, &good], &[no, ok]),
        (&[&bad, &bad, &bad, &bad, &bad, &good], &[no, no, no, no, no, "421 4.7.0"]),
        (&[&down, &good], &["454 4.7.0", ok]),
        (&["AUTH PLAIN", &pair], &["334 ", ok]),
        (&["AUTH PLAIN", "*", &good], &["334 ", "501 5.7.0", ok]),
        (&["AUTH PLAIN =", "NOOP"], &["501 5.5.2", "250 2.0.0"]),
        (&["AUTH PLAIN", "?", "NOOP"], &["334 ", "501 5.5.2", "250 2.0.0"]),
        (&["AUTH PLAIN *", "NOOP"], &["501 5.7.0", "250 2.0.0"]),
        (&["auth login", &user, &password], &[prompt, second, ok]),
        (&[&login, &password], &[second, ok]),
        (&[&login, &user], &[second, no]),
        (&[&login, ""], &[second, no]),
        (&["AUTH LOGIN", "*", "NOOP"], &[prompt, "501 5.7.0", "250 2.0.0"]),
        (&[&token], &[ok]),
        (&[&stale, "AQ==", "NOOP"], &[invalid, no, "250 2.0.0"]),
        (&[&stale, "", &token], &[invalid, no, ok]),
        (&[&stale, "*", &token], &[invalid, "501 5.7.0", ok]),
        (&["AUTH", "AUTH NTLM", "AUTH OAUTHBEARER"], &["501 5.5.4", "504 5.5.4", "504 5.5.4"]),
        (&[mail, &good], &["250 2.1.0", "503 5.5.1"]),
        (&[&good, mail], &[ok, "250 2.1.0"]),
        (&[&long, "NOOP"], &["500 5.5.2", "250 2.0.0"]),
        (&["AUTH PLAIN", &long, "NOOP"], &["334 ", "500 5.5.2", "250 2.0.0"]),
        (&[&fits, "NOOP"], &["501 5.5.2", "250 2.0.0"]),
    ];
    for (lines, expected) in cases {
        assert_eq!(&codes(true, false, lines), expected, "{lines:?}");
    }
}

#[test]
fn without_tls_auth_is_neither_offered_nor_done() {
    let good = format!("AUTH PLAIN {}", b64("\0user\0pencil"));
    assert_eq!(codes(false, false, &[&good, "AUTH LOGIN", "AUTH SCRAM-SHA-256"]), ["538 5.7.11"; 3]);
    assert!(!converse(false, false, [b"EHLO c\r\n".as_slice()]).contains("AUTH"));
    let offered = converse(true, false, [b"EHLO c\r\n".as_slice()]);
    assert!(offered.contains("\r\n250-AUTH SCRAM-SHA-256 PLAIN LOGIN XOAUTH2\r\n"), "{offered}");
}

#[test]
fn mail_waits_for_auth_where_it_is_required() {
    let good = format!("AUTH PLAIN {}", b64("\0user\0pencil"));
    let mail = "MAIL FROM:<a@b.test>";
    assert_eq!(
        codes(true, true, &[mail, "NOOP", &good, mail]),
        ["530 5.7.0", "250 2.0.0", "235 2.7.0", "250 2.1.0"]
    );
    assert_eq!(codes(false, true, &[mail, &good]), ["530 5.7.0", "538 5.7.11"]);
}

/// The example of RFC 7677 §3 in SMTP, where the server's signature is a separate challenge
/// (RFC 4954 §4).
fn scram() -> [String; 3] {
    let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    [
        format!("AUTH SCRAM-SHA-256 {}", b64("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")),
        b64(&format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")),
        b64(&format!("c=biws,r={nonce},p={}", BASE64.encode([0; 32]))),
    ]
}

#[test]
fn scram_goes_its_way() {
    let [first, last, wrong] = scram();
    let sent = format!("EHLO c\r\n{first}\r\n{last}\r\n\r\n");
    let replies = converse(true, false, [sent.as_bytes()]);
    let signature = b64("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    assert!(replies.ends_with(&format!("334 {signature}\r\n235 2.7.0 authenticated\r\n")), "{replies}");
    assert_eq!(codes(true, false, &[&first, &wrong])[1..], ["535 5.7.8"]);
    assert_eq!(codes(true, false, &[&first, "*"])[1..], ["501 5.7.0"]);
    assert_eq!(codes(true, false, &[&first, &last, "*", "NOOP"])[2..], ["501 5.7.0", "250 2.0.0"]);
}

fn script() -> impl Strategy<Value = Vec<u8>> {
    let [first, last, wrong] = scram();
    let plain = b64("\0user\0pencil");
    let lines = vec![
        "EHLO c".to_owned(),
        "AUTH PLAIN".to_owned(),
        format!("AUTH PLAIN {plain}"),
        "AUTH LOGIN".to_owned(),
        plain,
        b64("user"),
        b64("pencil"),
        first,
        last,
        wrong,
        String::new(),
        "*".to_owned(),
        "MAIL FROM:<a@b.test>".to_owned(),
        "RSET".to_owned(),
        "x".repeat(2_100),
        "A".repeat(12_400),
    ];
    let fragment = prop_oneof![
        8 => proptest::sample::select(lines).prop_map(|line| (line + "\r\n").into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        1 => "AUTH (PLAIN|LOGIN|XOAUTH2|SCRAM-SHA-256) [A-Za-z0-9+/=]{0,40}\r\n".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(fragment, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn an_exchange_does_not_depend_on_tcp_splits(sent in script(), size in 1usize..60) {
        prop_assert_eq!(converse(true, false, sent.chunks(size)), converse(true, false, [sent.as_slice()]));
    }

    #[test]
    fn only_the_right_words_authenticate(sent in script()) {
        let replies = converse(true, false, [sent.as_slice()]);
        let text = String::from_utf8_lossy(&sent);
        let knows = [b64("\0user\0pencil"), b64("pencil"), scram()[1].clone()];
        if replies.contains("235 2.7.0") {
            prop_assert!(knows.iter().any(|words| text.contains(words.as_str())), "{}", text);
        }
    }
}
