//! Verifies an ID token (OpenID Connect Core 1.0 §3.1.3.7): signature, issuer, audience, time, nonce.

use crate::clock::Timestamp;
use crate::message::Address;
use crate::token::same;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Map, Value};

/// Tolerated difference between clocks, in seconds.
const LEEWAY: i64 = 60;
/// Longest token, in octets.
const LONGEST: usize = 64 * 1024;
/// Oldest accepted `iat`, in seconds.
const OLDEST: i64 = 3_600;
/// Accepted algorithms: public keys only, because a token signed with a public key as HMAC secret could be
/// forged.
const SOUND: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// What a token must contain.
pub struct Expected<'a> {
    /// The issuer.
    pub issuer: &'a str,
    /// The audience.
    pub client_id: &'a str,
    /// The nonce of the request.
    pub nonce: &'a str,
    /// The time of the check.
    pub now: Timestamp,
}

/// Why a token is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is signed with an unknown key; the provider may have published it since.
    #[error("the ID token is signed with a key that the provider does not show")]
    UnknownKey,
    /// Anything else.
    #[error("the ID token {0}")]
    Wrong(&'static str),
}

/// The claims of a verified token.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

/// Verifies a token with these keys.
///
/// # Errors
/// The signature or a claim is wrong, or the key is unknown.
pub fn judge(token: &str, keys: &[Jwk], expected: &Expected<'_>) -> Result<Claims, Refused> {
    if token.len() > LONGEST {
        return Err(Refused::Wrong("is too long"));
    }
    let header = decode_header(token).map_err(|_| Refused::Wrong("has no sound header"))?;
    let algorithm = header.alg;
    if !SOUND.contains(&algorithm) {
        return Err(Refused::Wrong("is signed in a way that is not believed"));
    }
    let fits = |key: &&Jwk| {
        let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
        let named = key.common.key_algorithm.map(|named| named.to_string());
        signs && named.is_none_or(|named| named == format!("{algorithm:?}"))
    };
    let key = if let Some(kid) = &header.kid {
        keys.iter().filter(fits).find(|key| key.common.key_id.as_ref() == Some(kid))
    } else {
        // If it names no key, there must be only one that fits.
        let mut all = keys.iter().filter(fits);
        all.next().filter(|_| all.next().is_none())
    };
    let key = DecodingKey::from_jwk(key.ok_or(Refused::UnknownKey)?)
        .map_err(|_| Refused::Wrong("names a key that cannot be used"))?;
    let mut validation = Validation::new(algorithm);
    // The claims are checked below, at the given time.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    let claims = decode::<Map<String, Value>>(token, &key, &validation)
        .map_err(|_| Refused::Wrong("is not signed by the provider"))?
        .claims;
    let claims = Claims(claims);
    claims.meet(expected)?;
    Ok(claims)
}

impl Claims {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A time in seconds; fractions (RFC 7519 allows them) are dropped.
    fn moment(&self, name: &str) -> Option<i64> {
        let text = self.0.get(name)?.as_number()?.to_string();
        text.split('.').next()?.parse().ok()
    }

    /// A claim that is a text or a list of texts.
    pub fn texts(&self, name: &str) -> Vec<String> {
        match self.0.get(name) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) => {
                list.iter().filter_map(Value::as_str).take(1_000).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        }
    }

    fn meet(&self, expected: &Expected<'_>) -> Result<(), Refused> {
        let wrong = |why: &'static str| Err(Refused::Wrong(why));
        if self.text("iss") != Some(expected.issuer) {
            return wrong("is of another issuer");
        }
        let audience = self.texts("aud");
        if !audience.iter().any(|one| one == expected.client_id) {
            return wrong("is for somebody else");
        }
        match self.text("azp") {
            Some(party) if party != expected.client_id => return wrong("was made for somebody else"),
            None if audience.len() > 1 => {
                return wrong("is for several, and does not say whom it was made for");
            }
            _ => {}
        }
        let now = expected.now.0.div_euclid(1000);
        match self.moment("exp") {
            Some(end) if end > now.saturating_sub(LEEWAY) => {}
            Some(_) => return wrong("has expired"),
            None => return wrong("does not say when it expires"),
        }
        if self.moment("nbf").is_some_and(|begin| begin > now + LEEWAY) {
            return wrong("is not valid yet");
        }
        match self.moment("iat") {
            Some(made) if made > now + LEEWAY => return wrong("comes from the future"),
            Some(made) if made < now.saturating_sub(OLDEST) => return wrong("is too old"),
            Some(_) => {}
            None => return wrong("does not say when it was made"),
        }
        if self.text("sub").is_none_or(str::is_empty) {
            return wrong("does not say whom it is about");
        }
        if !self.text("nonce").is_some_and(|nonce| same(nonce, expected.nonce)) {
            return wrong("answers another request");
        }
        Ok(())
    }

    /// The person's address, if it was verified or the provider is trusted with addresses.
    ///
    /// Microsoft's tokens have no `email_verified` but `xms_edov` (the owner of the domain verified it), and
    /// often no `email` but a `preferred_username`. The administrator of any tenant can set both addresses
    /// freely, so without `xms_edov` they count only if the configuration says so.
    pub fn address(&self, trusted: bool) -> Option<Address> {
        let yes = |name: &str| match self.0.get(name) {
            Some(Value::Bool(yes)) => *yes,
            Some(Value::String(text)) => text == "true" || text == "1",
            Some(Value::Number(number)) => number.as_i64() == Some(1),
            _ => false,
        };
        let said_no = matches!(self.0.get("email_verified"), Some(Value::Bool(false)));
        let verified = yes("email_verified") || yes("xms_edov");
        let email = self.text("email").filter(|_| verified || (trusted && !said_no));
        let other = self.text("preferred_username").filter(|_| trusted && self.text("email").is_none());
        email.or(other).and_then(|text| Address::parse(text).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_760_000_000_000);

    /// The key of a provider, and the key set that publishes it.
    struct Signer {
        pair: EcdsaKeyPair,
        jwk: Value,
    }

    impl Signer {
        fn new(kid: &str) -> Self {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let point = pair.public_key().as_ref();
            let jwk = json!({ "kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
                "x": B64.encode(&point[1..33]), "y": B64.encode(&point[33..65]) });
            Self { pair, jwk }
        }

        fn keys(&self) -> Vec<Jwk> {
            vec![serde_json::from_value(self.jwk.clone()).unwrap()]
        }

        fn sign(&self, header: &Value, claims: &Value) -> String {
            let text = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
            let random = aws_lc_rs::rand::SystemRandom::new();
            let signature = self.pair.sign(&random, text.as_bytes()).unwrap();
            format!("{text}.{}", B64.encode(signature.as_ref()))
        }
    }

    fn header() -> Value {
        json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" })
    }

    fn claims() -> Value {
        json!({ "iss": "https://op.example", "aud": "sekisho", "sub": "123", "nonce": "n", "email":
            "sato@example.jp", "email_verified": true, "exp": NOW.0 / 1000 + 300, "iat": NOW.0 / 1000,
            "groups": ["mail-approvers"] })
    }

    fn look(token: &str, keys: &[Jwk]) -> Result<Claims, Refused> {
        let expected = Expected { issuer: "https://op.example", client_id: "sekisho", nonce: "n", now: NOW };
        judge(token, keys, &expected)
    }

    #[test]
    fn a_sound_token_says_who() {
        let signer = Signer::new("k1");
        let found = look(&signer.sign(&header(), &claims()), &signer.keys()).unwrap();
        assert_eq!(found.address(false), Some(Address::parse("sato@example.jp").unwrap()));
        assert_eq!(found.texts("groups"), ["mail-approvers"]);
        let alone = look(&signer.sign(&json!({ "alg": "ES256" }), &claims()), &signer.keys());
        assert!(alone.is_ok(), "without a name, the only key");
    }

    #[test]
    fn hostile_tokens_are_refused() {
        let (signer, stranger) = (Signer::new("k1"), Signer::new("k1"));
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            signer.sign(&header(), &claims)
        };
        let seconds = NOW.0 / 1000;
        let none = format!("{}.{}.", B64.encode(r#"{"alg":"none"}"#), B64.encode(claims().to_string()));
        // The public key used as a shared secret.
        let text =
            format!("{}.{}", B64.encode(r#"{"alg":"HS256","kid":"k1"}"#), B64.encode(claims().to_string()));
        let secret =
            aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, signer.pair.public_key().as_ref());
        let confused =
            format!("{text}.{}", B64.encode(aws_lc_rs::hmac::sign(&secret, text.as_bytes()).as_ref()));
        let mut cut = signer.sign(&header(), &claims());
        cut.truncate(cut.len() - 4);
        for (token, part) in [
            (with("iss", json!("https://evil.example")), "another issuer"),
            (with("aud", json!("other")), "somebody else"),
            (with("aud", json!(["sekisho", "other"])), "for several"),
            (with("azp", json!("other")), "somebody else"),
            (with("nonce", json!("m")), "another request"),
            (with("nonce", Value::Null), "another request"),
            (with("exp", json!(seconds - 61)), "expired"),
            (with("exp", Value::Null), "when it expires"),
            (with("nbf", json!(seconds + 600)), "not valid yet"),
            (with("iat", json!(seconds + 600)), "future"),
            (with("iat", json!(seconds - 7_200)), "too old"),
            (with("sub", json!("")), "whom it is about"),
            (stranger.sign(&header(), &claims()), "not signed by"),
            (signer.sign(&json!({ "alg": "ES256", "kid": "k2" }), &claims()), "does not show"),
            (signer.sign(&json!({ "alg": "RS256", "kid": "k1" }), &claims()), "does not show"),
            (none, "header"),
            (confused, "not believed"),
            (cut, "not signed by"),
            ("a.b.c".to_owned(), "header"),
            (String::new(), "header"),
            ("a".repeat(100_000), "too long"),
        ] {
            let said = look(&token, &signer.keys()).unwrap_err().to_string();
            assert!(said.contains(part), "wanted `{part}`, said `{said}`");
        }
    }

    #[test]
    fn only_verified_addresses_count() {
        for (change, trusted, counts) in [
            (json!({ "email_verified": true }), false, true),
            (json!({ "email_verified": "true" }), false, true),
            (json!({ "email_verified": false }), false, false),
            (json!({ "email_verified": false }), true, false),
            (json!({ "email_verified": null }), false, false),
            (json!({ "email_verified": null }), true, true),
            (json!({ "email_verified": null, "xms_edov": true }), false, true),
            (json!({ "email_verified": null, "xms_edov": 1 }), false, true),
            (json!({ "email": null, "preferred_username": "sato@example.jp" }), false, false),
            (json!({ "email": null, "preferred_username": "sato@example.jp" }), true, true),
            (json!({ "email": "no address" }), true, false),
        ] {
            let mut all = claims();
            for (name, value) in change.as_object().unwrap() {
                all[name] = value.clone();
            }
            let claims = Claims(all.as_object().unwrap().clone());
            assert_eq!(claims.address(trusted).is_some(), counts, "{change} {trusted}");
        }
    }
}
