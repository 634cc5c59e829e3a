//! What a stranger may put into a link, a cookie or an ID token: a secret is read as it is written or not
//! at all, the way back stays on our own site, and nothing that the provider did not sign is believed.
#![cfg_attr(fuzzing, no_main)]

use http::{HeaderMap, HeaderValue, header};
use sekisho::clock::Timestamp;
use sekisho::people::oidc::claims::{Expected, judge};
use sekisho::token::Token;
use sekisho::web::cookies;
use sekisho::web::pages::visit::way_back;
use url::Url;

/// A public key (RFC 8037 appendix A.2) whose private half nobody uses here.
const KEYS: &str = r#"[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]"#;

fn secret(text: &str) {
    if let Some(token) = Token::read(text) {
        assert_eq!(token.text(), text);
        assert!(!token.derived("form").contains(text));
    }
}

fn way(text: &str) {
    let desk = Url::parse("https://desk.example.com:8443/held").expect("a sound address");
    let there = desk.join(way_back(text)).expect("a path of ours is sound");
    assert_eq!(there.origin(), desk.origin(), "{text:?} leads away");
}

fn cookie(input: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(input) else { return };
    let headers = HeaderMap::from_iter([(header::COOKIE, value)]);
    for secure in [false, true] {
        if let Some(found) = cookies::value(&headers, cookies::AWAY, secure) {
            assert!(!found.contains(';'));
        }
        let _ = cookies::token(&headers, cookies::AWAY, secure);
    }
}

/// Checks one input.
pub fn check(input: &[u8]) {
    cookie(input);
    let Ok(text) = std::str::from_utf8(input) else { return };
    secret(text);
    way(text);
    let now = Timestamp(1_700_000_000_000);
    let expected = Expected { issuer: "https://login.example.com", client_id: "sekisho", nonce: "n", now };
    let keys: Vec<_> = serde_json::from_str(KEYS).expect("a sound key");
    assert!(judge(text, &keys, &expected).is_err(), "a forged token is believed");
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
