//! One next hop over SMTP (RFC 5321, client side): TLS, AUTH, connections used again, pipelining.
//!
//! * [`config`] what the admin says, and the time-outs
//! * `greet` connect, banner, EHLO, STARTTLS, AUTH; `tls` who is trusted; `auth` the mechanisms
//! * `exchange` one transaction
//! * `pool` idle connections
//! * `sessions` how many of them the next hop allows at once
//! * `narrow` re-encodes for a next hop without 8BITMIME
//!
//! How many transactions run at once is up to the courier, and so is how many start in a minute.

mod auth;
mod capabilities;
mod command;
pub mod config;
mod connection;
mod exchange;
mod greet;
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
pub use auth::Mechanism;
pub use config::{Addresses, Credentials, Secret, Security, SmarthostConfig, Timeouts, read_secret};
use connection::{Broken, Connection};
use exchange::Exchange;
use pool::Pool;
use sessions::{Open, Sessions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tls::Tls;
pub(super) use tls::is_usable_tlsa;
pub use tls::{Authorities, NoPin, Pin, Trust};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
pub use verify::Shown;

/// Recipients a transaction once the next hop refused more: every server takes as many
/// (RFC 5321 §4.5.3.1.8).
const CAUTIOUS_RECIPIENTS: usize = 100;

/// How long a transaction waits for a session, where the next hop allows few, before it makes way.
const TURN: Duration = Duration::from_secs(20);

/// A next hop.
pub struct Smarthost {
    name: String,
    config: SmarthostConfig,
    tls: Option<Tls>,
    pool: Arc<Pool>,
    /// Most recipients in one transaction, as far as we know.
    most: AtomicUsize,
    /// Most transactions over one connection, as far as we know.
    per_session: AtomicU32,
    sessions: Arc<Sessions>,
    /// Where transactions wait in order for one of few sessions.
    line: Mutex<()>,
}

/// What a transaction is sent over.
enum Turn {
    Kept(Box<Connection>),
    Fresh(Open),
}

impl Smarthost {
    /// Sets up TLS; does not connect. The error is a sentence for the admin.
    pub fn new(config: SmarthostConfig) -> Result<Self, String> {
        let tls = match config.security {
            Security::Off => None,
            security => Some(Tls::new(&config.host, config.trust()?, security, config.identity.clone())?),
        };
        let name = format!("{}:{}", config.host, config.port);
        // too many to have a line each in the metrics are counted under one name: a limit is of one
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

    /// One transaction over this connection. `Err` when the connection had died idle: nothing of the
    /// transaction was used up.
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

    /// Open fates; those beyond what the next hop takes at once are not tried.
    fn untried(&self, recipients: usize) -> Vec<Option<Fate>> {
        let most = self.most.load(Ordering::Relaxed);
        let beyond = || Fate::NotTried(format!("the upstream takes {most} recipients at once"));
        (0..recipients).map(|at| (at >= most).then(beyond)).collect()
    }

    /// A connection was refused for the session's sake. Whether the copy may be tried again at once: with
    /// fewer sessions, or over another one.
    fn makes_room(&self, reply: &Reply, connection: &Connection) -> bool {
        let earlier = connection.used.saturating_sub(1);
        if earlier > 0 && sessions::is_per_session(reply) {
            if self.per_session.swap(earlier, Ordering::Relaxed) != earlier {
                tracing::info!(upstream = %self.name, %reply, mails = earlier, "the upstream takes so many mails a session");
            }
            return self.sessions.believes();
        }
        let others = self.learn(reply, true);
        (others || earlier > 0) && self.sessions.believes()
    }

    /// Takes in that the next hop allows no more sessions than are open beside this one, which it had
    /// `greeted` or not. False when there are no others.
    fn learn(&self, reply: &Reply, greeted: bool) -> bool {
        let known = self.sessions.most();
        let Some(most) = self.sessions.crowded(greeted, Instant::now()) else { return false };
        if known != Some(most) {
            tracing::info!(upstream = %self.name, %reply, most, "the upstream allows so many sessions at once");
        }
        true
    }

    /// A connection that is kept, and was made with the certificate we show now.
    fn kept(&self) -> Option<Connection> {
        loop {
            let connection = self.pool.take()?;
            if connection.shown == self.shown() {
                return Some(connection);
            }
            tokio::spawn(connection.quit(self.config.timeouts.quit));
        }
    }

    /// Which of our certificates is shown now.
    fn shown(&self) -> Option<u64> {
        self.config.identity.as_ref().map(Identity::generation)
    }

    /// A connection for this transaction: one that is kept, or leave to open one; `None` where the next
    /// hop allows few and none came free in time.
    async fn turn(&self, fresh: bool) -> Option<Turn> {
        let deadline = Instant::now() + TURN;
        // in the order they came, or one place could take every turn
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
            // now and then one more may be tried: nobody rings for that
            let _ = timeout_at(deadline.min(now + Duration::from_secs(1)), freed).await;
        }
    }

    /// Opens a connection. The error is of a kind with what a session that breaks off says.
    async fn open(&self, mut open: Open) -> Result<Connection, Broken> {
        let shown = self.shown();
        match greet::open(&self.config, self.tls.as_ref()).await {
            Ok(mut connection) => {
                connection.shown = shown;
                open.greeted();
                connection.open = Some(open);
                Ok(connection)
            }
            Err(broken) => {
                let trouble = broken.trouble();
                tracing::warn!(upstream = %self.name, ?trouble, why = %broken, "a connection to the upstream is of no use");
                self.config.tally.failed(self.config.tally_as.unwrap_or(&self.name), trouble);
                Err(broken)
            }
        }
    }

    /// What a refused connection means for a copy that it saw nothing of. 421 while others of ours are
    /// open can only be about their number, whatever its words.
    fn turned_away(&self, recipients: usize, broken: &Broken) -> Outcome {
        if let Broken::Refused(reply, stage) = broken
            && (sessions::is_about_sessions(reply) || (reply.code() == 421 && *stage != auth::STAGE))
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

/// A refusal for the session's sake that nothing of ours explains is waited for like any other.
fn wait_as_told(fates: &mut [Fate], reply: &Reply) {
    let said = exchange::shown(reply);
    for fate in fates.iter_mut().filter(|fate| matches!(fate, Fate::NotTried(why) if *why == said)) {
        *fate = Fate::Deferred(said.clone());
    }
}

/// Makes the transaction fit what the next hop offers, where that can be done; else its fate.
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
    // the text of a header has a form that needs no extension; an address has none
    if (lacks_utf8 || narrows && !transaction.header.is_ascii()) && !command::has_utf8_address(transaction) {
        narrow::spell_out(transaction).await.map_err(failed)?;
    }
    fits(transaction)?;
    if narrows {
        narrow::narrow(transaction).await.map_err(failed)?;
        // it may have grown beyond what the next hop takes
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
                // only one that was kept ends so
                Err(broken) => {
                    tracing::debug!(upstream = %self.name, %broken, "a kept connection is gone; a fresh one is made");
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
            (Some(before), Some(after)) if after > before => ", our certificate shown",
            _ => ", our certificate not asked for",
        };
        let about = format!("{} takes mail ({}{ours})", self.name, connection.about);
        connection.quit(self.config.timeouts.quit).await;
        Ok(about)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
