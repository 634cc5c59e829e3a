//! Hooks tell other programs about held messages and decisions: signed HTTP calls, repeated until they
//! succeed or expire.
//!
//! The store adds a call in the transaction of the change it is about; this task makes it. A call is a POST
//! of JSON without contents: no text, no subject, no recipients. Its header `Sekisho-Signature:
//! t=SECONDS,v1=HEX` has the HMAC-SHA-256 of `SECONDS.BODY` with the hook's secret; `Sekisho-Delivery` is the
//! same for every attempt, so that a receiver recognises a repeated call.
//!
//! A hook for a chat room (`format` Teams or Slack) gets a readable message instead: sender, number of
//! recipients, risks, deadline, and a button to the page. A second message tells the decision. These have no
//! signature: the URL is the secret, and is not logged.
//!
//! * `chat` messages for chat rooms
//! * `reach` the addresses that a hook may have: none in a private network that is not listed

mod chat;
mod reach;

use crate::clock::{Clock, Timestamp};
use crate::notice::words::outcome;
use crate::policy::verdict::Language;
use crate::store::{HoldKind, HookCall, HookTarget, Store, StoreError, StoredMessage};
use crate::upstream::smarthost::Authorities;
use aws_lc_rs::hmac;
use ipnet::IpNet;
use jiff::tz::TimeZone;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use reach::Reach;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::task::JoinSet;

/// Interval at which due calls are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// Pause after an error of the store.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// Timeout of one call.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most calls taken from the store at once.
const BATCH: usize = 200;
/// Seconds to wait before the next attempt; the last value repeats.
const WAITS: [u64; 6] = [5, 30, 120, 600, 1_800, 3_600];
/// Attempts before a call is given up, after about a day and a half.
const TRIES: u32 = 40;

/// One hook.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its URL and events.
    pub target: HookTarget,
    /// The format of its calls.
    pub format: Format,
    /// Private networks that its address may be in.
    pub allow: Vec<IpNet>,
}

/// The format of calls.
#[derive(Clone, Debug)]
pub enum Format {
    /// JSON for programs, signed with this key.
    Json(SecretString),
    /// Messages for people in a chat room.
    Chat(Chat),
}

/// Settings of a chat room.
#[derive(Clone, Debug)]
pub struct Chat {
    /// The product whose format is used.
    pub room: Room,
    /// The language of messages.
    pub language: Language,
    /// The URL of the desk.
    pub desk: Option<String>,
    /// The time zone of deadlines.
    pub zone: TimeZone,
}

/// A chat product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// A workflow of Microsoft Teams.
    Teams,
    /// An incoming webhook of Slack.
    Slack,
}

/// Metrics. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Tally(Family<ByResult, Counter>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

impl Tally {
    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("webhook_calls", "Calls to hooks, by result", self.0.clone());
    }

    fn count(&self, result: &'static str) {
        self.0.get_or_create(&ByResult { result }).inc();
    }
}

/// The task that makes the calls. Clones share one state.
#[derive(Clone)]
pub struct Caller {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    hooks: Arc<RwLock<BTreeMap<String, Ready>>>,
    tally: Tally,
}

/// Checks whether these hooks can be used, without calling them.
///
/// # Errors
/// Says what is wrong with one of them.
pub fn try_out(hooks: &[Hook]) -> Result<(), String> {
    ready(hooks).map(drop)
}

/// Prepares the hooks, by URL.
fn ready(hooks: &[Hook]) -> Result<BTreeMap<String, Ready>, String> {
    if hooks.is_empty() {
        return Ok(BTreeMap::new());
    }
    let authorities = Authorities::new(None)?;
    hooks.iter().map(|hook| Ok((hook.target.url.clone(), Ready::new(hook, &authorities)?))).collect()
}

/// A hook that is ready to be called.
#[derive(Clone)]
struct Ready {
    hook: Hook,
    client: reqwest::Client,
}

/// The JSON of a call.
#[derive(Serialize)]
struct Body<'a> {
    event: crate::store::HookEvent,
    id: crate::id::Id,
    at: String,
    state: crate::store::HeldState,
    held_for: crate::store::HoldKind,
    received: String,
    expires: String,
    sender: &'a str,
    recipients: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    /// How it was released: `split`, `bcc` or `as-is`.
    #[serde(skip_serializing_if = "Option::is_none")]
    released: Option<&'a str>,
}

impl<'a> Body<'a> {
    fn of(call: &'a HookCall) -> Self {
        // the reason of a return is a person's words about the mail, so it is not passed on
        let released = call.state == crate::store::HeldState::Released;
        Self {
            event: call.event,
            id: call.message,
            at: call.at.to_string(),
            state: call.state,
            held_for: call.kind,
            received: call.received.to_string(),
            expires: call.expires.to_string(),
            sender: &call.sender,
            recipients: call.recipients,
            by: call.by.as_deref(),
            released: call.decision.as_deref().filter(|_| released),
        }
    }
}

impl Caller {
    /// Creates a caller without hooks.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, tally: Tally) -> Self {
        Self { store, clock, hooks: Arc::default(), tally }
    }

    /// The metrics.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Replaces the hooks; queued calls to others are dropped.
    ///
    /// # Errors
    /// Says what is wrong with a hook; nothing has changed then.
    pub async fn replace(&self, hooks: &[Hook]) -> Result<(), String> {
        let ready = ready(hooks)?;
        let targets = hooks.iter().map(|hook| hook.target.clone()).collect();
        self.store.set_hooks(targets).await.map_err(|error| error.to_string())?;
        *self.hooks.write().unwrap_or_else(PoisonError::into_inner) = ready;
        Ok(())
    }

    /// Makes due calls until the task is stopped.
    pub async fn run(self) {
        loop {
            let pause = match self.round().await {
                Ok(BATCH..) => continue,
                Ok(_) => EVERY,
                Err(error) => {
                    tracing::warn!(%error, "calls to hooks are delayed");
                    AFTER_FAILURE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes the calls that are due now, the hooks concurrently; returns how many it processed.
    async fn round(&self) -> Result<usize, StoreError> {
        let hooks = self.hooks.read().unwrap_or_else(PoisonError::into_inner).clone();
        if hooks.is_empty() {
            return Ok(0);
        }
        let due = self.store.due_hooks(self.clock.now(), BATCH).await?;
        let looked = due.len();
        let mut by_hook: BTreeMap<String, Vec<HookCall>> = BTreeMap::new();
        for call in due {
            by_hook.entry(call.url.clone()).or_default().push(call);
        }
        let mut tasks = JoinSet::new();
        for (url, calls) in by_hook {
            match hooks.get(&url) {
                Some(ready) => {
                    let (caller, ready) = (self.clone(), ready.clone());
                    tasks.spawn(async move { caller.call_all(&ready, calls).await });
                }
                // it was removed from the configuration just now
                None => {
                    for call in calls {
                        self.store.end_hook(call.id).await?;
                    }
                }
            }
        }
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(result) => result?,
                Err(error) => tracing::error!(%error, "a task that calls a hook failed"),
            }
        }
        Ok(looked)
    }

    /// Makes the calls of one hook in order. When one fails, the others wait too.
    async fn call_all(&self, ready: &Ready, calls: Vec<HookCall>) -> Result<(), StoreError> {
        let mut failed: Option<String> = None;
        for call in calls {
            if !self.store.keep_hook(call.id).await? {
                continue;
            }
            if failed.is_none() {
                failed = self.call(ready, &call).await.err();
            }
            match &failed {
                None => {
                    tracing::info!(id = %call.message, url = ready.shown(), event = ?call.event, "a hook was called");
                    self.tally.count("ok");
                    self.store.end_hook(call.id).await?;
                }
                Some(why) => self.put_off(ready, &call, why).await?,
            }
        }
        Ok(())
    }

    /// Makes one call; the error says what went wrong, without secrets.
    async fn call(&self, ready: &Ready, call: &HookCall) -> Result<(), String> {
        match &ready.hook.format {
            Format::Json(secret) => ready.signed(secret, call, self.clock.now()).await,
            Format::Chat(chat) => {
                let message = match self.store.message(call.message).await {
                    Ok(message) => Some(message),
                    Err(StoreError::NotFound(_)) => None,
                    Err(error) => return Err(error.to_string()),
                };
                let told = chat.told(call, message.as_ref(), self.clock.now());
                ready
                    .post(&match chat.room {
                        Room::Teams => chat::teams(&told),
                        Room::Slack => chat::slack(&told),
                    })
                    .await
            }
        }
    }

    async fn put_off(&self, ready: &Ready, call: &HookCall, why: &str) -> Result<(), StoreError> {
        let (id, url, attempt) = (call.message, ready.shown(), call.attempts + 1);
        if attempt >= TRIES {
            tracing::error!(%id, url, attempt, why, "a call to a hook was given up");
            self.tally.count("given-up");
            return self.store.end_hook(call.id).await;
        }
        tracing::warn!(%id, url, attempt, why, "a call to a hook failed and will be repeated");
        self.tally.count("failed");
        self.store.retry_hook(call.id, self.clock.now().plus(wait(call.attempts))).await
    }
}

/// How long to wait after this many attempts.
fn wait(attempts: u32) -> Duration {
    let index = usize::try_from(attempts).unwrap_or(usize::MAX).min(WAITS.len() - 1);
    Duration::from_secs(WAITS[index])
}

impl Ready {
    fn new(hook: &Hook, authorities: &Authorities) -> Result<Self, String> {
        let url = &hook.target.url;
        let reach = Reach::new(&hook.allow);
        reach.literal(url)?;
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tls_backend_preconfigured(authorities.client()?)
            .timeout(PATIENCE)
            .connect_timeout(PATIENCE)
            .dns_resolver(Arc::new(reach))
            .user_agent(concat!("Sekisho/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("the webhook {url} cannot be called: {error}"))?;
        Ok(Self { hook: hook.clone(), client })
    }

    /// The URL for logs; for a chat room only its host, because the rest is secret.
    fn shown(&self) -> String {
        let url = &self.hook.target.url;
        match &self.hook.format {
            Format::Json(_) => url.clone(),
            Format::Chat(_) => {
                let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
                format!("{}…", host.unwrap_or_default())
            }
        }
    }

    /// Sends one message to a chat room.
    async fn post(&self, payload: &serde_json::Value) -> Result<(), String> {
        let body = serde_json::to_vec(payload).map_err(|error| error.to_string())?;
        let request = self.client.post(&self.hook.target.url).header("Content-Type", "application/json");
        send(request.body(body)).await
    }

    /// Makes one signed call.
    async fn signed(&self, secret: &SecretString, call: &HookCall, now: Timestamp) -> Result<(), String> {
        let body = serde_json::to_vec(&Body::of(call)).map_err(|error| error.to_string())?;
        let signature = signature(secret, now, &body);
        let event = if call.state == crate::store::HeldState::Held { "held" } else { "decided" };
        let request = self
            .client
            .post(&self.hook.target.url)
            .header("Content-Type", "application/json")
            .header("Sekisho-Event", event)
            .header("Sekisho-Delivery", call.id.to_string())
            .header("Sekisho-Signature", signature)
            .body(body);
        send(request).await
    }
}

/// Sends a request. Only the status of the response counts; the body is not read.
async fn send(request: reqwest::RequestBuilder) -> Result<(), String> {
    let answer = request.send().await.map_err(|error| causes(&error.without_url()))?;
    let status = answer.status();
    if status.is_success() { Ok(()) } else { Err(format!("it answered {}", status.as_u16())) }
}

impl Chat {
    /// What a message to a chat room says, with what is still known about the held message.
    fn told(&self, call: &HookCall, message: Option<&StoredMessage>, now: Timestamp) -> chat::ChatNews {
        let held = message.and_then(|message| message.held.as_ref());
        let news = match call.event {
            crate::store::HookEvent::Held => chat::News::Held {
                deadline: moment(call.expires, &self.zone, now, self.language),
                alone: call.kind == HoldKind::Ask,
            },
            crate::store::HookEvent::Decided => chat::News::Decided {
                key: outcome(call.state, call.decision.as_deref()),
                by: call.by.clone().unwrap_or_default(),
            },
        };
        let risks = held.map(|held| held.risks.as_slice()).unwrap_or_default();
        let people = held.map(|held| held.recipients.as_slice()).unwrap_or_default();
        chat::ChatNews {
            language: self.language,
            subject: message.map(|message| message.subject.clone()).unwrap_or_default(),
            sender: call.sender.clone(),
            people: people.iter().take(chat::NAMED).cloned().collect(),
            recipients: call.recipients,
            risks: risks.iter().map(|risk| risk.line(self.language)).collect(),
            news,
            page: self.desk.as_ref().map(|url| format!("{url}/held/{}", call.message)),
        }
    }
}

/// A moment as people write it.
fn moment(at: Timestamp, zone: &TimeZone, now: Timestamp, language: Language) -> String {
    match language {
        Language::En => at.english(zone, now),
        Language::Ja => at.japanese(zone, now),
    }
}

/// An error with its causes.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let _ = write!(text, ": {next}");
        cause = next.source();
    }
    text.chars().take(400).collect()
}

/// `t=SECONDS,v1=HEX`
fn signature(secret: &SecretString, now: Timestamp, body: &[u8]) -> String {
    let seconds = now.0.div_euclid(1_000);
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{seconds}.").as_bytes());
    context.update(body);
    let mut out = format!("t={seconds},v1=");
    for byte in context.sign().as_ref() {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_moment_and_body() {
        let secret = SecretString::from("a secret of the receiver");
        let signed = signature(&secret, Timestamp(1_700_000_000_999), b"{}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"a secret of the receiver");
        let mut expected = String::new();
        for byte in hmac::sign(&key, b"1700000000.{}").as_ref() {
            let _ = write!(expected, "{byte:02x}");
        }
        assert_eq!(signed, format!("t=1700000000,v1={expected}"));
        assert_ne!(signed, signature(&secret, Timestamp(1_700_000_001_000), b"{}"));
    }

    #[test]
    fn waits_grow_and_end() {
        let all: u64 = (0..TRIES).map(|attempt| wait(attempt).as_secs()).sum();
        assert_eq!((wait(0).as_secs(), wait(3).as_secs(), wait(u32::MAX).as_secs()), (5, 600, 3_600));
        assert!((24 * 3_600..48 * 3_600).contains(&all), "{all}");
    }
}
