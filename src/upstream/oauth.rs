//! Access tokens (OAuth 2.0, RFC 6749) for AUTH XOAUTH2. A token is fetched when needed and reused until
//! shortly before it expires. Only one fetch runs at a time.
//!
//! A service may replace the refresh token each time it is used. Relays that share a database keep it there
//! ([`TokenStore`]), and one of them uses it at a time: services end the access of whoever uses an old one.

#[cfg(test)]
mod tests;

use super::smarthost::Authorities;
use crate::token::Digest;
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Timeout for fetching a token.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to wait for another relay that fetches a token.
const PAUSE: Duration = Duration::from_millis(250);
/// Largest answer in octets.
const LARGEST: usize = 64 * 1024;
/// A token is not used any more from this long before it expires.
const EARLY: Duration = Duration::from_mins(2);
/// Lifetime in seconds of a token if the service does not tell it.
const USUAL_LIFE: u64 = 3_600;

/// How to request tokens.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The token endpoint.
    pub token_url: String,
    /// Our client id.
    pub client_id: String,
    /// Our client secret.
    pub client_secret: Option<SecretString>,
    /// The kind of grant.
    pub grant: Grant,
    /// The requested scope.
    pub scope: Option<String>,
}

/// The grant by which tokens are requested.
#[derive(Clone, Debug)]
pub enum Grant {
    /// Client credentials (RFC 6749 §4.4).
    ClientCredentials,
    /// A refresh token (§6).
    RefreshToken {
        /// The refresh token.
        token: SecretString,
        /// The file to write to when the service replaces the refresh token.
        file: PathBuf,
    },
}

/// Where relays that share a database keep a refresh token.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// What is stored under this name.
    ///
    /// # Errors
    /// The store cannot be asked; the text is for the administrator.
    async fn load(&self, name: &str) -> Result<Option<String>, String>;

    /// Replaces `was`. Returns false if another relay has replaced it.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn replace(&self, name: &str, was: Option<String>, new: String) -> Result<bool, String>;

    /// Takes the turn of this name for a time, or ends it with none. Returns false if another relay has it.
    ///
    /// # Errors
    /// The store cannot be asked.
    async fn turn(&self, name: &str, lasts: Duration) -> Result<bool, String>;
}

/// Stores a refresh token that has just been replaced. The service no longer takes the old one, so this is tried for
/// a while if the store fails.
async fn keep(shared: &dyn TokenStore, name: &str, was: Option<String>, new: String) {
    let began = Instant::now();
    loop {
        match shared.replace(name, was.clone(), new.clone()).await {
            Ok(true) => return,
            Ok(false) => return tracing::warn!("another relay has replaced the refresh token meanwhile"),
            Err(why) if began.elapsed() > PATIENCE => {
                return tracing::error!(
                    why,
                    "a new refresh token could not be stored: sign in again if it is refused"
                );
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// A refresh token as relays share it.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The hash of the token in the file: a new file counts more than what came of an old one.
    origin: String,
    token: String,
}

/// A source of access tokens. Clones share the current token.
#[derive(Clone)]
pub struct Tokens {
    settings: Arc<Settings>,
    client: reqwest::Client,
    state: Arc<Mutex<State>>,
    shared: Option<Arc<dyn TokenStore>>,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("token_url", &self.settings.token_url).finish_non_exhaustive()
    }
}

struct State {
    current: Option<(SecretString, Instant)>,
    /// The current refresh token, for [`Grant::RefreshToken`].
    refresh: Option<SecretString>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "secret")]
    access_token: Option<SecretString>,
    expires_in: Option<serde_json::Value>,
    #[serde(default, deserialize_with = "secret")]
    refresh_token: Option<SecretString>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Tokens {
    /// Sets up the HTTPS client. Fetches nothing.
    ///
    /// # Errors
    /// The client cannot be set up. The error is a text for the administrator.
    pub fn new(settings: Settings, authorities: &Authorities) -> Result<Self, String> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(authorities.client()?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|error| format!("the token service cannot be asked: {error}"))?;
        let refresh = match &settings.grant {
            Grant::ClientCredentials => None,
            Grant::RefreshToken { token, .. } => Some(token.clone()),
        };
        let state = Arc::new(Mutex::new(State { current: None, refresh }));
        Ok(Self { settings: Arc::new(settings), client, state, shared: None })
    }

    /// The same, with a refresh token that other relays share.
    #[must_use]
    pub fn shared(self, shared: Option<Arc<dyn TokenStore>>) -> Self {
        Self { shared, ..self }
    }

    /// The name and the origin of a shared refresh token. The origin is part of the name: two mailboxes of one
    /// registered client have tokens of their own.
    fn named(&self) -> Option<(&Arc<dyn TokenStore>, String, String)> {
        let Grant::RefreshToken { token, .. } = &self.settings.grant else { return None };
        let origin = Digest::of(&[b"refresh-token", token.expose_secret().as_bytes()]).text();
        let name = format!("oauth {} {} {origin}", self.settings.token_url, self.settings.client_id);
        self.shared.as_ref().map(|shared| (shared, name, origin))
    }

    /// Fetches with the refresh token that all relays share, one relay at a time.
    async fn fetch_shared(&self, state: &mut State) -> Result<Answer, String> {
        let Some((shared, name, origin)) = self.named() else { return self.fetch(state).await };
        let began = Instant::now();
        while !shared.turn(&name, 2 * PATIENCE).await? {
            if began.elapsed() > 2 * PATIENCE {
                return Err("another relay has been fetching a token for too long".to_owned());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let fetched = async {
            let was = shared.load(&name).await?;
            let stored: Option<Stored> = was.as_deref().and_then(|text| serde_json::from_str(text).ok());
            if let Some(stored) = stored.filter(|stored| stored.origin == origin) {
                state.refresh = Some(SecretString::from(stored.token));
            }
            let answer = self.fetch(state).await?;
            if let Some(refresh) = &answer.refresh_token {
                let token = refresh.expose_secret().to_owned();
                let new =
                    serde_json::to_string(&Stored { origin, token }).map_err(|error| error.to_string())?;
                state.refresh = Some(refresh.clone());
                keep(&**shared, &name, was, new).await;
            }
            Ok(Answer { refresh_token: None, ..answer })
        }
        .await;
        if let Err(why) = shared.turn(&name, Duration::ZERO).await {
            tracing::debug!(why, "the turn to fetch a token ends by itself");
        }
        fetched
    }

    /// Returns a valid token, fetching one if necessary.
    ///
    /// # Errors
    /// The token service cannot be reached or refuses. The error is a text without any secret.
    pub async fn token(&self) -> Result<SecretString, String> {
        let mut state = self.state.lock().await;
        if let Some((token, until)) = &state.current
            && Instant::now() < *until
        {
            return Ok(token.clone());
        }
        let answer = self.fetch_shared(&mut state).await.inspect_err(|why| {
            tracing::warn!(token_url = %self.settings.token_url, why, "no access token could be fetched");
        })?;
        let token = answer.access_token.ok_or("the answer has no access_token")?;
        let life = Duration::from_secs(answer.expires_in.as_ref().and_then(seconds).unwrap_or(USUAL_LIFE));
        let usable = life.saturating_sub(EARLY).max(life / 2);
        state.current = Some((token.clone(), Instant::now() + usable));
        if let Some(refresh) = answer.refresh_token {
            self.replace(&mut state, refresh).await;
        }
        Ok(token)
    }

    /// Call this when the next hop refused the token: it is not returned again.
    pub async fn forget(&self, token: &SecretString) {
        let mut state = self.state.lock().await;
        // another caller may have fetched a new one meanwhile
        if state.current.as_ref().is_some_and(|(kept, _)| kept.expose_secret() == token.expose_secret()) {
            state.current = None;
        }
    }

    async fn fetch(&self, state: &State) -> Result<Answer, String> {
        let settings = &self.settings;
        let mut form = vec![("client_id", settings.client_id.as_str())];
        if let Some(secret) = &settings.client_secret {
            form.push(("client_secret", secret.expose_secret()));
        }
        if let Some(scope) = &settings.scope {
            form.push(("scope", scope));
        }
        match &state.refresh {
            None => form.push(("grant_type", "client_credentials")),
            Some(refresh) => {
                form.push(("grant_type", "refresh_token"));
                form.push(("refresh_token", refresh.expose_secret()));
            }
        }
        let unreachable = |error: reqwest::Error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{}{}", error.without_url(), cause.unwrap_or_default())
        };
        let mut response =
            self.client.post(&settings.token_url).form(&form).send().await.map_err(unreachable)?;
        let status = response.status();
        let mut octets = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            octets.extend_from_slice(&chunk);
            if octets.len() > LARGEST {
                return Err("the answer is too large".to_owned());
            }
        }
        let answer: Result<Answer, _> = serde_json::from_slice(&octets);
        match answer {
            Ok(answer) if status.is_success() => Ok(answer),
            Ok(Answer { error: Some(error), error_description, .. }) => {
                let more: String = error_description.unwrap_or_default().chars().take(200).collect();
                Err(format!("the token service refused ({status}): {error} {more}").trim_end().to_owned())
            }
            _ => Err(format!("the token service answered {status} and no token")),
        }
    }

    /// Stores a new refresh token. The old one may be invalid from now on (RFC 6749 §6).
    async fn replace(&self, state: &mut State, refresh: SecretString) {
        let known = state.refresh.as_ref().map(ExposeSecret::expose_secret);
        if known == Some(refresh.expose_secret()) {
            return;
        }
        if let Grant::RefreshToken { file, .. } = &self.settings.grant
            && let Err(error) = write_secret(file.clone(), refresh.clone()).await
        {
            let file = file.display();
            tracing::warn!(%file, %error, "the new refresh token could not be saved: after a restart the old one is used");
        }
        state.refresh = Some(refresh);
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}

/// A number of seconds, which some services send as a string.
fn seconds(value: &serde_json::Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Replaces the file atomically. Only this user may read it.
async fn write_secret(file: PathBuf, secret: SecretString) -> std::io::Result<()> {
    let write = move || {
        use std::io::Write;
        let folder = file.parent().unwrap_or(std::path::Path::new("."));
        let mut fresh = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(fresh, "{}", secret.expose_secret())?;
        fresh.as_file().sync_all()?;
        fresh.persist(&file).map_err(|error| error.error)?;
        Ok(())
    };
    tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
}
