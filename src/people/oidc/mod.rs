//! OpenID Connect as a relying party: the code flow with PKCE (RFC 7636; OpenID Connect Core 1.0 §3.1).
//!
//! * [`Provider`] finds the endpoints, starts the flow and redeems the code
//!
//! * [`claims`] verifies an ID token
//!
//! * [`Flow`] binds one attempt to one browser: state, nonce and code verifier are derived from a secret in a
//!   cookie, so that the server keeps no state
//!
//! RFC 9700 describes the attacks that this prevents: mix-up of providers, injected codes, replayed state.

pub mod claims;

use super::RoleNames;
use crate::clock::{Clock, Timestamp};
use crate::desk::principal::Roles;
use crate::message::Address;
use crate::token::{Digest, Token, same};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use claims::{Claims, Expected, Refused};
use jsonwebtoken::jwk::Jwk;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Largest response, in octets.
const LARGEST: usize = 512 * 1024;
/// How long metadata and keys are cached.
const FRESH: Duration = Duration::from_hours(1);
/// Shortest time between two requests for keys, however many tokens name unknown ones.
const AGAIN: Duration = Duration::from_secs(30);
/// Maximum number of keys of a provider.
const MOST_KEYS: usize = 100;
/// Longest code or state that is accepted.
const LONGEST: usize = 4_096;

/// How a provider is used.
#[derive(Clone)]
pub struct Wanted {
    /// The label of the button.
    pub name: String,
    /// The issuer identifier.
    pub issuer: String,
    /// Our client id.
    pub client_id: String,
    /// Our client secret.
    pub client_secret: Option<SecretString>,
    /// Scopes that are requested, besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that lists groups.
    pub claim: String,
    /// Which groups give which role.
    pub roles: RoleNames,
    /// Addresses are trusted although the provider does not say that it verified them.
    pub trust_addresses: bool,
    /// Our redirect URI.
    pub redirect: String,
}

/// Why nobody was signed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// The provider does not respond, or its response is invalid; for the log.
    #[error("the provider cannot be asked: {0}")]
    Away(String),
    /// The response does not belong to the request, or is refused; for the log.
    #[error("what came back is refused: {0}")]
    Refused(String),
    /// The person is identified, but not by a verified address.
    #[error("the provider does not say that the address was verified")]
    NoAddress,
}

/// A person whom the provider identified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name in the journal.
    pub name: String,
    /// Their addresses, verified.
    pub addresses: Vec<Address>,
    /// Roles by groups.
    pub roles: Roles,
}

/// The provider's metadata (OpenID Connect Discovery 1.0 §3).
#[derive(Clone, Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    end_session_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207: the provider sends `iss` with its response.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: Option<String>,
    error: Option<String>,
}

/// The query of the redirect back to us.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Return {
    /// The authorization code.
    pub code: Option<String>,
    /// The state that we sent.
    pub state: Option<String>,
    /// The issuer that responds (RFC 9207).
    pub iss: Option<String>,
    /// The error, if there is no code.
    pub error: Option<String>,
}

/// One attempt in one browser.
#[derive(Clone, Debug)]
pub struct Flow(Token);

impl Flow {
    /// From the secret in the browser's cookie.
    pub fn of(secret: Token) -> Self {
        Self(secret)
    }

    fn state(&self) -> String {
        self.0.derived("state")
    }

    fn nonce(&self) -> String {
        self.0.derived("nonce")
    }

    fn verifier(&self) -> String {
        self.0.derived("code verifier")
    }

    /// The `S256` challenge (RFC 7636 §4.2).
    fn challenge(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.verifier().as_bytes());
        URL_SAFE_NO_PAD.encode(digest.as_ref())
    }
}

#[derive(Default)]
struct Cached {
    metadata: Option<(Arc<Metadata>, Timestamp)>,
    keys: Option<(Arc<Vec<Jwk>>, Timestamp)>,
}

/// An OpenID Connect provider.
pub struct Provider {
    wanted: Wanted,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    cached: Mutex<Cached>,
}

impl Provider {
    /// Sends no request yet. `client` must not follow redirects, and must have a timeout.
    pub fn new(wanted: Wanted, client: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { wanted, client, clock, cached: Mutex::default() }
    }

    /// The label of the button.
    pub fn name(&self) -> &str {
        &self.wanted.name
    }

    /// A hash of what the provider is trusted with; sessions end when it changes.
    pub fn stamp(&self) -> String {
        let wanted = &self.wanted;
        let roles = format!("{:?} {}", wanted.roles, wanted.trust_addresses);
        Digest::of(&[
            wanted.issuer.as_bytes(),
            wanted.client_id.as_bytes(),
            wanted.claim.as_bytes(),
            roles.as_bytes(),
        ])
        .text()
    }

    /// Fetches the metadata and the keys; returns how many keys can be used.
    ///
    /// # Errors
    /// The provider does not respond, or has no key that can be used.
    pub async fn probe(&self) -> Result<usize, Failed> {
        let metadata = self.metadata().await?;
        match self.keys(&metadata, AGAIN).await?.len() {
            0 => Err(Failed::Away("it has no key that could be used here".to_owned())),
            keys => Ok(keys),
        }
    }

    /// The URL at which somebody signs in.
    ///
    /// # Errors
    /// The metadata cannot be fetched, or its endpoint is invalid.
    pub async fn start(&self, flow: &Flow) -> Result<String, Failed> {
        let metadata = self.metadata().await?;
        let mut scope = "openid".to_owned();
        for more in self.wanted.scopes.iter().filter(|scope| *scope != "openid") {
            scope.push(' ');
            scope.push_str(more);
        }
        let (state, nonce, challenge) = (flow.state(), flow.nonce(), flow.challenge());
        let query = [
            ("response_type", "code"),
            ("client_id", &self.wanted.client_id),
            ("redirect_uri", &self.wanted.redirect),
            ("scope", &scope),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        Url::parse_with_params(&metadata.authorization_endpoint, query)
            .map(String::from)
            .map_err(|error| Failed::Away(format!("its authorization_endpoint is not a URL: {error}")))
    }

    /// Identifies the person who came back.
    ///
    /// # Errors
    /// The response is refused, the provider does not respond, or it gives no verified address.
    pub async fn finish(&self, back: &Return, flow: &Flow) -> Result<Person, Failed> {
        let refused = |why: &str| Failed::Refused(why.to_owned());
        let state = back.state.as_deref().unwrap_or_default();
        if state.len() > LONGEST || !same(state, &flow.state()) {
            return Err(refused("the state is not that of this browser"));
        }
        let metadata = self.metadata().await?;
        match &back.iss {
            Some(issuer) if *issuer != self.wanted.issuer => {
                return Err(refused("another provider sent them back"));
            }
            None if metadata.authorization_response_iss_parameter_supported => {
                return Err(refused("the provider did not name itself"));
            }
            _ => {}
        }
        if let Some(error) = &back.error {
            return Err(Failed::Refused(format!("the provider says {}", word(error))));
        }
        let code = back.code.as_deref().filter(|code| !code.is_empty() && code.len() <= LONGEST);
        let code = code.ok_or_else(|| refused("there is no code"))?;
        let token = self.redeem(&metadata, code, flow).await?;
        let claims = self.judge(&metadata, &token, flow).await?;
        self.person(&claims)
    }

    /// The URL that also signs out at the provider (OpenID Connect RP-Initiated Logout 1.0) and leads back to
    /// `back`.
    pub async fn sign_out(&self, back: &str) -> Option<String> {
        let metadata = self.metadata().await.ok()?;
        let query = [("client_id", self.wanted.client_id.as_str()), ("post_logout_redirect_uri", back)];
        Url::parse_with_params(metadata.end_session_endpoint.as_deref()?, query).map(String::from).ok()
    }

    async fn redeem(&self, metadata: &Metadata, code: &str, flow: &Flow) -> Result<String, Failed> {
        let verifier = flow.verifier();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.wanted.redirect),
            ("client_id", &self.wanted.client_id),
            ("code_verifier", &verifier),
        ];
        let mut request = self.client.post(&metadata.token_endpoint);
        if let Some(secret) = &self.wanted.client_secret {
            let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
            // The default is client_secret_basic (Discovery §3).
            if methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic")) {
                let part = |text: &str| {
                    let pair = Url::parse_with_params("x:", [("", text)]);
                    pair.map(|url| url.query().unwrap_or_default().trim_start_matches('=').to_owned())
                };
                let parts = (part(&self.wanted.client_id), part(secret.expose_secret()));
                let (Ok(id), Ok(secret)) = parts else {
                    return Err(Failed::Away("the client's name or secret cannot be sent".to_owned()));
                };
                request = request.basic_auth(id, Some(secret));
            } else {
                form.push(("client_secret", secret.expose_secret()));
            }
        }
        let answer: Redeemed = read(request.form(&form)).await?;
        match (answer.id_token, answer.error) {
            (Some(token), _) => Ok(token),
            (None, Some(error)) => Err(Failed::Refused(format!("the provider says {}", word(&error)))),
            (None, None) => Err(Failed::Refused("there is no ID token".to_owned())),
        }
    }

    /// Verifies the ID token; fetches the keys again if it names an unknown one.
    async fn judge(&self, metadata: &Metadata, token: &str, flow: &Flow) -> Result<Claims, Failed> {
        let nonce = flow.nonce();
        let expected = Expected {
            issuer: &self.wanted.issuer,
            client_id: &self.wanted.client_id,
            nonce: &nonce,
            now: self.clock.now(),
        };
        let keys = self.keys(metadata, FRESH).await?;
        match claims::judge(token, &keys, &expected) {
            Err(Refused::UnknownKey) => {
                let keys = self.keys(metadata, AGAIN).await?;
                claims::judge(token, &keys, &expected)
            }
            judged => judged,
        }
        .map_err(|why| Failed::Refused(why.to_string()))
    }

    fn person(&self, claims: &Claims) -> Result<Person, Failed> {
        let address = claims.address(self.wanted.trust_addresses).ok_or(Failed::NoAddress)?;
        let groups = claims.texts(&self.wanted.claim);
        Ok(Person {
            name: address.to_string(),
            addresses: vec![address],
            roles: self.wanted.roles.of(groups.iter().map(String::as_str)),
        })
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, Failed> {
        let mut cached = self.cached.lock().await;
        let now = self.clock.now();
        if let Some((metadata, at)) = &cached.metadata
            && *at <= now
            && now.since(*at) < FRESH
        {
            return Ok(Arc::clone(metadata));
        }
        let issuer = &self.wanted.issuer;
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata: Metadata = read(self.client.get(url)).await?;
        if metadata.issuer != *issuer {
            let says = word(&metadata.issuer);
            return Err(Failed::Away(format!(
                "it calls itself {says}, and [desk.oidc] issuer says {issuer}"
            )));
        }
        let secured = issuer.starts_with("https://");
        let end = metadata.end_session_endpoint.as_ref();
        let all = [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri];
        if let Some(wrong) = all.into_iter().chain(end).find(|url| secured && !url.starts_with("https://")) {
            return Err(Failed::Away(format!("its endpoint {} is not https", word(wrong))));
        }
        let metadata = Arc::new(metadata);
        cached.metadata = Some((Arc::clone(&metadata), now));
        Ok(metadata)
    }

    /// The provider's keys, no older than `fresh`.
    async fn keys(&self, metadata: &Metadata, fresh: Duration) -> Result<Arc<Vec<Jwk>>, Failed> {
        let mut cached = self.cached.lock().await;
        let now = self.clock.now();
        if let Some((keys, at)) = &cached.keys
            && *at <= now
            && now.since(*at) < fresh
        {
            return Ok(Arc::clone(keys));
        }
        let set: KeySet = read(self.client.get(&metadata.jwks_uri)).await?;
        // Keys of unknown types are skipped.
        let keys = set.keys.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value(key).ok());
        let keys: Arc<Vec<Jwk>> = Arc::new(keys.collect());
        cached.keys = Some((Arc::clone(&keys), now));
        Ok(keys)
    }
}

/// Reads a JSON response of bounded size, whatever its status.
async fn read<T: DeserializeOwned>(request: reqwest::RequestBuilder) -> Result<T, Failed> {
    // The URL may contain a secret.
    let away = |error: reqwest::Error| Failed::Away(error.without_url().to_string());
    let mut response = request.header("Accept", "application/json").send().await.map_err(away)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(away)? {
        if body.len() + chunk.len() > LARGEST {
            return Err(Failed::Away("its answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body)
        .map_err(|error| Failed::Away(format!("its answer ({status}) makes no sense: {error}")))
}

/// A text from the provider for the log: short and printable.
fn word(text: &str) -> String {
    text.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_browser_one_flow() {
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        let flow = Flow::of(one.clone());
        assert_eq!(flow.state(), Flow::of(one).state());
        assert_ne!(flow.state(), Flow::of(other).state());
        assert_ne!(flow.state(), flow.nonce());
        assert_eq!(flow.verifier().len(), 43, "RFC 7636 §4.1: 43 to 128 characters");
    }
}
