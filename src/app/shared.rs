//! Uses the store for what relays that share a database decide together: rates of upstreams, limits on
//! password guesses, refresh tokens, and the certificate from an ACME authority.

use crate::accounts::guesses::SharedGuesses;
use crate::clock::Clock;
use crate::clock::Timestamp;
use crate::store::shared::{Drawn, Limited, Once, PaceDraw, PaceRate};
use crate::store::{Store, StoreError};
use crate::tls::acme::{self, Made};
use crate::token::Digest;
use crate::upstream::oauth::TokenStore;
use crate::upstream::pace::across::{SharedPace, Turn, Wanted};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long the answer to an ACME challenge is kept.
const CHALLENGED_FOR: Duration = Duration::from_hours(1);

/// Uses the store for what the relays decide together.
pub(super) struct Shared {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Shared {
    /// `None` if this database is not shared with other relays.
    pub(super) fn of(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Option<Arc<Self>> {
        let shared = || Arc::new(Self { store: Arc::clone(store), clock: Arc::clone(clock) });
        store.is_shared().then(shared)
    }
}

fn said(error: &StoreError) -> String {
    error.to_string()
}

#[async_trait]
impl SharedPace for Shared {
    async fn draw(&self, upstream: &str, wanted: &[Wanted], now: Timestamp) -> Result<Turn, String> {
        let rates = wanted.iter().map(|one| PaceRate {
            rate: one.rate.to_string(),
            count: one.rate.count,
            per: one.rate.per,
            sent: one.sent,
            price: one.price,
            block: one.block,
        });
        let draw = PaceDraw { upstream: upstream.to_owned(), rates: rates.collect(), now };
        Ok(match self.store.draw(draw).await.map_err(|error| said(&error))? {
            Drawn::Block => Turn::Block,
            Drawn::Once => Turn::Once,
            Drawn::Later { at, waiting, last } => Turn::Later { at, waiting, last },
        })
    }
}

#[async_trait]
impl SharedGuesses for Shared {
    async fn admit(&self, names: Vec<(String, usize)>) -> Result<Option<Vec<i64>>, String> {
        let limited =
            |(name, most): (String, usize)| Limited { name: Digest::of(&[b"guess", name.as_bytes()]), most };
        let names = names.into_iter().map(limited).collect();
        self.store.attempt(names, self.clock.now()).await.map_err(|error| said(&error))
    }

    async fn retract(&self, guess: Vec<i64>) {
        if let Err(error) = self.store.retract(guess).await {
            tracing::warn!(%error, "a right password counts as a guess for an hour");
        }
    }
}

#[async_trait]
impl TokenStore for Shared {
    async fn load(&self, name: &str) -> Result<Option<String>, String> {
        self.store.secret(name).await.map_err(|error| said(&error))
    }

    async fn replace(&self, name: &str, was: Option<String>, new: String) -> Result<bool, String> {
        self.store.replace_secret(name, was, new).await.map_err(|error| said(&error))
    }

    async fn turn(&self, name: &str, lasts: Duration) -> Result<bool, String> {
        self.store.lead(name, lasts).await.map_err(|error| said(&error))
    }
}

/// The stored form of a certificate.
#[derive(Serialize, Deserialize)]
struct Certificate {
    chain: String,
    key: String,
}

fn named(domain: &str) -> String {
    format!("certificate {domain}")
}

fn challenged(token: &str) -> Digest {
    Digest::of(&[b"acme", token.as_bytes()])
}

#[async_trait]
impl acme::Shared for Shared {
    async fn turn(&self, domain: &str, lasts: Duration) -> Result<bool, String> {
        self.store.lead(&named(domain), lasts).await.map_err(|error| said(&error))
    }

    async fn challenge(&self, token: &str, authorization: &str) -> Result<(), String> {
        let (name, now) = (challenged(token), self.clock.now());
        let until = now.plus(CHALLENGED_FOR);
        self.store
            .put_once(Once::Acme, name, authorization.to_owned(), until, now)
            .await
            .map_err(|error| said(&error))
    }

    async fn answer(&self, token: &str) -> Option<String> {
        let found = self.store.look_once(Once::Acme, challenged(token), self.clock.now()).await;
        found.inspect_err(|error| tracing::warn!(%error, "a challenge cannot be answered")).ok().flatten()
    }

    async fn certificate(&self, domain: &str) -> Result<Option<Made>, String> {
        let Some(text) = self.store.secret(&named(domain)).await.map_err(|error| said(&error))? else {
            return Ok(None);
        };
        // The parser's error might quote the private key, so it is not shown.
        let kept: Certificate =
            serde_json::from_str(&text).map_err(|_| "the stored certificate cannot be read".to_owned())?;
        Ok(Some(Made { chain: kept.chain, key: kept.key }))
    }

    async fn keep(&self, domain: &str, made: &Made) -> Result<(), String> {
        let kept = Certificate { chain: made.chain.clone(), key: made.key.clone() };
        let text = serde_json::to_string(&kept).map_err(|error| error.to_string())?;
        let was = self.store.secret(&named(domain)).await.map_err(|error| said(&error))?;
        self.store.replace_secret(&named(domain), was, text).await.map(drop).map_err(|error| said(&error))
    }
}
