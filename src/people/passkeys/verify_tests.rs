//! A simulated authenticator: its responses are accepted, and none that differs in any one respect is.

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};

/// A key pair of each type.
enum Pair {
    Curve(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
    Rsa(aws_lc_rs::rsa::KeyPair),
}

impl Pair {
    fn all() -> Vec<Self> {
        vec![
            Self::Curve(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
            Self::Edwards(Ed25519KeyPair::generate().unwrap()),
            Self::Rsa(aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap()),
        ]
    }

    fn key(&self) -> Key {
        use aws_lc_rs::encoding::AsDer;
        let (algorithm, info) = match self {
            Self::Curve(pair) => (-7, [P256, pair.public_key().as_ref()].concat()),
            Self::Edwards(pair) => (-8, [EDWARDS, pair.public_key().as_ref()].concat()),
            Self::Rsa(pair) => {
                let info: aws_lc_rs::encoding::PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
                (-257, info.as_ref().to_vec())
            }
        };
        Key { algorithm, info }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Curve(pair) => pair.sign(&random, text).unwrap().as_ref().to_vec(),
            Self::Edwards(pair) => pair.sign(text).as_ref().to_vec(),
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
                signature
            }
        }
    }
}

fn party() -> Party {
    Party::of("https://desk.example.jp").unwrap()
}

fn client(what: &str, challenge: &Token, origin: &str, cross: bool) -> Vec<u8> {
    let challenge = challenge.text();
    serde_json::json!({ "type": what, "challenge": challenge, "origin": origin, "crossOrigin": cross, "more": 1 })
        .to_string()
        .into_bytes()
}

fn data(host: &str, flags: u8, count: u32, id: Option<&[u8]>) -> Vec<u8> {
    let mut out = digest(&SHA256, host.as_bytes()).as_ref().to_vec();
    out.push(flags);
    out.extend(count.to_be_bytes());
    if let Some(id) = id {
        out.extend([0; 16]);
        out.extend(u16::try_from(id.len()).unwrap().to_be_bytes());
        out.extend(id);
        out.extend(b"what follows is not looked at");
    }
    out
}

const SITE: &str = "https://desk.example.jp";

#[test]
fn keys_of_every_kind_are_made_and_used() {
    let challenge = Token::new().unwrap();
    for pair in Pair::all() {
        let key = pair.key();
        let said = client("webauthn.create", &challenge, SITE, false);
        let made = made(&said, &data("desk.example.jp", 0x45, 0, Some(b"one")), &key, &challenge, &party());
        assert_eq!(made, Ok((b"one".to_vec(), 0)), "{}", key.algorithm);
        let (said, data) =
            (client("webauthn.get", &challenge, SITE, false), data("desk.example.jp", 5, 8, None));
        let signature = pair.sign(&[&data[..], digest(&SHA256, &said).as_ref()].concat());
        assert_eq!(used(&said, &data, &signature, &key, 7, &challenge, &party()), Ok(8), "{}", key.algorithm);
        assert_eq!(used(&said, &data, &signature, &key, 8, &challenge, &party()), Err(Unsound::Copied));
    }
}

#[test]
fn nothing_that_differs_is_taken() {
    let challenge = Token::new().unwrap();
    let other = Token::new().unwrap();
    let pairs = Pair::all();
    let key = pairs[0].key();
    let host = "desk.example.jp";
    let right = client("webauthn.get", &challenge, SITE, false);
    let there = data(host, 5, 1, None);
    for (why, said, data, signer, wanted) in [
        (
            "another use",
            client("webauthn.create", &challenge, SITE, false),
            there.clone(),
            0,
            Unsound::Question,
        ),
        (
            "another challenge",
            client("webauthn.get", &other, SITE, false),
            there.clone(),
            0,
            Unsound::Question,
        ),
        (
            "another site",
            client("webauthn.get", &challenge, "https://desk.example.jp.evil.example", false),
            there.clone(),
            0,
            Unsound::Question,
        ),
        (
            "within another site",
            client("webauthn.get", &challenge, SITE, true),
            there.clone(),
            0,
            Unsound::Question,
        ),
        ("not JSON", b"{".to_vec(), there.clone(), 0, Unsound::Form),
        ("another host", right.clone(), data("example.jp", 5, 1, None), 0, Unsound::Question),
        ("nobody present", right.clone(), data(host, 4, 1, None), 0, Unsound::Absent),
        ("nobody verified", right.clone(), data(host, 1, 1, None), 0, Unsound::Absent),
        ("cut short", right.clone(), there[..36].to_vec(), 0, Unsound::Form),
        ("empty", right.clone(), Vec::new(), 0, Unsound::Form),
        ("another key", right.clone(), there.clone(), 1, Unsound::Signature),
    ] {
        let signature = pairs[signer].sign(&[&data[..], digest(&SHA256, &said).as_ref()].concat());
        assert_eq!(used(&said, &data, &signature, &key, 0, &challenge, &party()), Err(wanted), "{why}");
    }
    let signature = pairs[0].sign(&[&there[..], digest(&SHA256, &right).as_ref()].concat());
    for at in 0..there.len() {
        let mut data = there.clone();
        data[at] ^= 0x80;
        assert!(used(&right, &data, &signature, &key, 0, &challenge, &party()).is_err(), "octet {at}");
    }
}

#[test]
fn nothing_is_made_of_less() {
    let challenge = Token::new().unwrap();
    let said = client("webauthn.create", &challenge, SITE, false);
    let key = Pair::all()[0].key();
    let full = data("desk.example.jp", 0x45, 0, Some(b"one"));
    for (why, data) in [
        ("no credential", data("desk.example.jp", 5, 0, None)),
        ("an id of nothing", data("desk.example.jp", 0x45, 0, Some(b""))),
        ("an id too long", data("desk.example.jp", 0x45, 0, Some(&[7; 1_024]))),
        ("an id cut short", full[..56].to_vec()),
    ] {
        assert_eq!(made(&said, &data, &key, &challenge, &party()), Err(Unsound::Form), "{why}");
    }
    for (algorithm, info) in
        [(-7, vec![4; 65]), (-8, key.info.clone()), (-257, vec![0; 2_000]), (-47, key.info.clone())]
    {
        let key = Key { algorithm, info };
        assert_eq!(made(&said, &full, &key, &challenge, &party()), Err(Unsound::Key), "{algorithm}");
    }
}

#[test]
fn only_names_through_https_have_passkeys() {
    for (url, wanted) in [
        ("https://desk.example.jp", Some(("desk.example.jp", "https://desk.example.jp"))),
        ("https://Desk.example.jp:443/", Some(("desk.example.jp", "https://desk.example.jp"))),
        ("https://desk.example.jp:8443/x", Some(("desk.example.jp", "https://desk.example.jp:8443"))),
        ("http://localhost:8025", Some(("localhost", "http://localhost:8025"))),
        ("http://desk.example.jp", None),
        ("http://127.0.0.1:8025", None),
        ("https://192.0.2.1", None),
        ("https://[2001:db8::1]", None),
        ("desk.example.jp", None),
    ] {
        let found = Party::of(url);
        assert_eq!(found.as_ref().map(|party| (party.id.as_str(), party.origin.as_str())), wanted, "{url}");
    }
}
