//! One next hop over SMTP (RFC 5321, client side): TLS, AUTH, connection reuse, pipelining.
//!
//! * [`config`] configuration and timeouts
//! * `greet` connect, greeting, EHLO, STARTTLS, AUTH; `tls` certificates; `auth` AUTH mechanisms
//! * `exchange` one transaction
//! * `pool` idle connections
//! * `sessions` how many sessions the next hop allows at once
//! * `narrow` re-encodes for a next hop without 8BITMIME or SMTPUTF8
//! * `verify` verifies other people's credentials at the next hop
//!
//! The courier decides how many transactions run at once.

mod auth;
mod capabilities;
mod command;
pub mod config;
mod connection;
mod exchange;
mod greet;
mod mechanism;
mod narrow;
mod pool;
mod sessions;
#[cfg(test)]
mod sessions_tests;
mod tls;
mod verify;

use super::{Fate, Outcome, Transaction, Upstream};
use crate::smtp::Reply;
use crate::tls::Identity;
use async_trait::async_trait;
pub use config::{Addresses, Credentials, Secret, SmarthostConfig, Timeouts, read_secret};
use connection::{Broken, Connection};
use exchange::Exchange;
pub use mechanism::Mechanism;
use pool::Pool;
use sessions::{SessionSlot, Sessions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tls::Tls;
pub(super) use tls::is_usable_tlsa;
pub use tls::{Authorities, InvalidPin, Pin, Security, Trust};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
pub use verify::ForeignCredentials;

/// Most recipients per transaction after the next hop refused more. Every server must accept 100
/// (RFC 5321 §4.5.3.1.8).
const CAUTIOUS_RECIPIENTS: usize = 100;

/// How long a transaction waits for a free session if the next hop limits them.
const TURN: Duration = Duration::from_secs(20);

/// One next hop; see the module documentation.
pub struct Smarthost {
    name: String,
    config: SmarthostConfig,
    tls: Option<Tls>,
    pool: Arc<Pool>,
    /// Most recipients per transaction, as far as is known.
    most: AtomicUsize,
    /// Most transactions per connection, as far as is known.
    per_session: AtomicU32,
    sessions: Arc<Sessions>,
    /// Makes transactions wait in order if sessions are limited.
    line: Mutex<()>,
}

/// A connection, or permission to open one.
enum Turn {
    Kept(Box<Connection>),
    Fresh(SessionSlot),
}

impl Smarthost {
    /// Sets up TLS; does not connect.
    ///
    /// # Errors
    /// The CA file cannot be read, or TLS cannot be set up for this host. The error is a text for the
    /// administrator.
    pub fn new(config: SmarthostConfig) -> Result<Self, String> {
        let tls = match config.security {
            Security::Off => None,
            security => Some(Tls::new(&config.host, config.trust()?, security, config.identity.clone())?),
        };
        let name = format!("{}:{}", config.host, config.port);
        // hosts that share a name in the metrics do not report a limit, which is per host
        let shown = config.tally_as.is_none().then(|| (config.tally.clone(), name.clone()));
        Ok(Self {
            tls,
            pool: Pool::new(config.idle, config.timeouts.quit),
            most: AtomicUsize::new(usize::MAX),
            per_session: AtomicU32::new(config.transactions),
            sessions: Sessions::new(shown, config.sessions_limit),
            line: Mutex::new(()),
            name,
            config,
        })
    }

    /// Sends one transaction over this connection. The error means that an idle connection had died, and
    /// that the transaction can be sent over another one.
    async fn over(
        &self,
        mut connection: Connection,
        transaction: &mut Transaction,
        last_look: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<Outcome, Broken> {
        if let Err(fate) = fit(transaction, &connection).await {
            self.wait_for_next(connection);
            return Ok(Outcome::all(transaction.recipients.len(), &fate));
        }
        let reused = connection.used > 0;
        let fates = self.untried(transaction.recipients.len());
        let mut exchange = Exchange {
            connection: &mut connection,
            transaction,
            timeouts: &self.config.timeouts,
            last_look,
            fates,
            content_begun: false,
            dotted: false,
            too_many: false,
            crowded: None,
        };
        let result = exchange.run().await;
        if exchange.too_many {
            self.most.store(CAUTIOUS_RECIPIENTS, Ordering::Relaxed);
        }
        let mut unreachable = false;
        let crowded = exchange.crowded.take();
        let worked = result.is_ok() && crowded.is_none();
        if let Err(broken) = result {
            let ours = matches!(broken, Broken::Local(_));
            if reused && !ours && !exchange.content_begun {
                return Err(broken);
            }
            unreachable = !ours;
            let why = broken.to_string();
            let fate = if exchange.dotted { Fate::Uncertain(why) } else { Fate::Deferred(why) };
            exchange.settle(&fate);
        }
        let mut recipients: Vec<Fate> = exchange.fates.into_iter().flatten().collect();
        let reports = connection.offers.dsn;
        if recipients.iter().any(|fate| matches!(fate, Fate::Delivered(_))) {
            self.sessions.served();
        }
        if let Some(reply) = crowded {
            if self.makes_room(&reply, &connection) {
                unreachable = false;
            } else {
                wait_as_told(&mut recipients, &reply);
            }
            tokio::spawn(connection.quit(self.config.timeouts.quit));
        } else if worked {
            self.keep(connection);
        }
        Ok(Outcome { recipients, unreachable, reports })
    }

    /// One open fate for each recipient. Recipients beyond the next hop's limit count as not tried.
    fn untried(&self, recipients: usize) -> Vec<Option<Fate>> {
        let most = self.most.load(Ordering::Relaxed);
        let beyond = || Fate::NotTried(format!("the upstream accepts {most} recipients at once"));
        (0..recipients).map(|at| (at >= most).then(beyond)).collect()
    }

    /// Handles a refusal of the session rather than the copy: learns the limit. Returns whether the copy
    /// may be tried again at once, with fewer sessions or over another one.
    fn makes_room(&self, reply: &Reply, connection: &Connection) -> bool {
        let earlier = connection.used.saturating_sub(1);
        if earlier > 0 && sessions::is_per_session(reply) {
            if self.per_session.swap(earlier, Ordering::Relaxed) != earlier {
                tracing::info!(upstream = %self.name, %reply, mails = earlier, "the upstream limits messages per session");
            }
            return self.sessions.believes();
        }
        let others = self.learn(reply, true);
        (others || earlier > 0) && self.sessions.believes()
    }

    /// Learns that the next hop allows no more sessions than are open besides this one. `greeted` says
    /// whether it had accepted this one. Returns false if there are no others.
    fn learn(&self, reply: &Reply, greeted: bool) -> bool {
        let known = self.sessions.most();
        let Some(most) = self.sessions.crowded(greeted, Instant::now()) else { return false };
        if known != Some(most) {
            tracing::info!(upstream = %self.name, %reply, most, "the upstream limits concurrent sessions");
        }
        true
    }

    /// An idle connection that was opened with our current client certificate.
    fn kept(&self) -> Option<Connection> {
        loop {
            let connection = self.pool.take()?;
            if connection.shown == self.shown() {
                return Some(connection);
            }
            tokio::spawn(connection.quit(self.config.timeouts.quit));
        }
    }

    /// The generation of our current client certificate.
    fn shown(&self) -> Option<u64> {
        self.config.identity.as_ref().map(Identity::generation)
    }

    /// An idle connection, or permission to open one. If `fresh`, prefers to open one. `None` if sessions
    /// are limited and none became free in time.
    async fn turn(&self, fresh: bool) -> Option<Turn> {
        let deadline = Instant::now() + TURN;
        // in order of arrival, or one worker could get every session
        let _line = match self.sessions.most() {
            Some(_) => Some(timeout_at(deadline, self.line.lock()).await.ok()?),
            None => None,
        };
        loop {
            let freed = self.sessions.freed();
            let kept = || self.kept().map(|kept| Turn::Kept(Box::new(kept)));
            let opened = || self.sessions.enter(Instant::now()).map(Turn::Fresh);
            let turn = if fresh { opened().or_else(kept) } else { kept().or_else(opened) };
            if turn.is_some() {
                return turn;
            }
            let now = Instant::now();
            if now >= deadline {
                return None;
            }
            // wake up every second, because trying one session more becomes allowed without a notification
            let _ = timeout_at(deadline.min(now + Duration::from_secs(1)), freed).await;
        }
    }

    /// Opens a connection; logs and counts a failure.
    async fn open(&self, mut slot: SessionSlot) -> Result<Connection, Broken> {
        let shown = self.shown();
        match greet::open(&self.config, self.tls.as_ref()).await {
            Ok(mut connection) => {
                connection.shown = shown;
                slot.greeted();
                connection.slot = Some(slot);
                Ok(connection)
            }
            Err(broken) => {
                let trouble = broken.trouble();
                tracing::warn!(upstream = %self.name, ?trouble, why = %broken, "cannot connect to the upstream");
                self.config.tally.failed(self.config.tally_as.unwrap_or(&self.name), trouble);
                Err(broken)
            }
        }
    }

    /// The outcome for a copy if opening a connection failed. A 421 while other sessions of ours are open is
    /// taken to be about their number, whatever its text.
    fn turned_away(&self, recipients: usize, broken: &Broken) -> Outcome {
        if let Broken::Refused(reply, stage) = broken
            && (sessions::is_about_sessions(reply)
                || (reply.code() == 421 && *stage != mechanism::AUTH_STAGE))
            && self.learn(reply, false)
            && self.sessions.believes()
        {
            return Outcome::all(recipients, &Fate::NotTried(broken.to_string()));
        }
        Outcome::unreachable(recipients, broken.to_string())
    }

    fn wait_for_next(&self, connection: Connection) {
        self.pool.put(connection);
        self.sessions.free();
    }

    fn keep(&self, connection: Connection) {
        let most = self.per_session.load(Ordering::Relaxed);
        if connection.used < most && !connection.line.has_unread() {
            self.wait_for_next(connection);
        } else {
            tokio::spawn(connection.quit(self.config.timeouts.quit));
        }
    }
}

/// Treats a refusal of the session as a temporary failure of the copy, because the limits we know do not
/// explain it.
fn wait_as_told(fates: &mut [Fate], reply: &Reply) {
    let said = exchange::shown(reply);
    for fate in fates.iter_mut().filter(|fate| matches!(fate, Fate::NotTried(why) if *why == said)) {
        *fate = Fate::Deferred(said.clone());
    }
}

/// Re-encodes the transaction if the next hop lacks an extension. The error is the fate if that is not
/// possible.
async fn fit(transaction: &mut Transaction, connection: &Connection) -> Result<(), Fate> {
    let fits = |transaction: &Transaction| {
        command::misfit(transaction, &connection.offers).map_or(Ok(()), |why| Err(Fate::Failed(why)))
    };
    let failed = |failure| match failure {
        narrow::Failure::Never(why) => Fate::Failed(why),
        narrow::Failure::NotNow(why) => Fate::Deferred(why),
    };
    let lacks_utf8 = transaction.smtputf8 && !connection.offers.smtputf8;
    let narrows = transaction.eight_bit && !connection.offers.eight_bit;
    // header text can be encoded as ASCII, an envelope address cannot
    if (lacks_utf8 || narrows && !transaction.header.is_ascii()) && !command::has_utf8_address(transaction) {
        narrow::spell_out(transaction).await.map_err(failed)?;
    }
    fits(transaction)?;
    if narrows {
        narrow::narrow(transaction).await.map_err(failed)?;
        // it may have grown beyond the size limit of the next hop
        fits(transaction)?;
    }
    Ok(())
}

#[async_trait]
impl Upstream for Smarthost {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let recipients = transaction.recipients.len();
        let mut fresh = false;
        loop {
            let connection = match self.turn(fresh).await {
                Some(Turn::Kept(connection)) => *connection,
                Some(Turn::Fresh(open)) => match self.open(open).await {
                    Ok(connection) => connection,
                    Err(broken) => return self.turned_away(recipients, &broken),
                },
                None => {
                    let why = format!("{} allows few sessions at once, and all are in use", self.name);
                    return Outcome::all(recipients, &Fate::NotTried(why));
                }
            };
            match self.over(connection, transaction, last_look.as_ref()).await {
                Ok(outcome) => return outcome,
                // only an idle connection fails in this way
                Err(broken) => {
                    tracing::debug!(upstream = %self.name, %broken, "an idle connection was closed; opening a new one");
                    fresh = true;
                }
            }
        }
    }

    async fn probe(&self) -> Result<String, String> {
        let asked = || self.config.identity.as_ref().map(Identity::asked);
        let before = asked();
        let connection =
            greet::open(&self.config, self.tls.as_ref()).await.map_err(|broken| broken.to_string())?;
        let ours = match (before, asked()) {
            (None, _) | (_, None) => "",
            (Some(before), Some(after)) if after > before => ", our certificate was presented",
            _ => ", our certificate was not requested",
        };
        let about = format!("{} accepts connections ({}{ours})", self.name, connection.about);
        connection.quit(self.config.timeouts.quit).await;
        Ok(about)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
