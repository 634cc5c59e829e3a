//! One next hop over SMTP (RFC 5321, client side): TLS, AUTH, connections used again, pipelining.
//!
//! * [`config`] what the admin says, and the time-outs
//! * `greet` connect, banner, EHLO, STARTTLS, AUTH; `tls` who is trusted; `auth` the mechanisms
//! * `exchange` one transaction
//! * `pool` idle connections
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
mod tls;
mod verify;

use super::{Fate, Outcome, Transaction, Upstream};
use async_trait::async_trait;
pub use auth::Mechanism;
pub use config::{Addresses, Credentials, Secret, Security, SmarthostConfig, Timeouts, read_secret};
use connection::{Broken, Connection};
use exchange::Exchange;
use pool::Pool;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tls::Tls;
pub(super) use tls::is_usable_tlsa;
pub use tls::{Authorities, NoPin, Pin, Trust};
pub use verify::Shown;

/// Recipients a transaction once the next hop refused more: every server takes as many
/// (RFC 5321 §4.5.3.1.8).
const CAUTIOUS_RECIPIENTS: usize = 100;

/// A next hop.
pub struct Smarthost {
    name: String,
    config: SmarthostConfig,
    tls: Option<Tls>,
    pool: Arc<Pool>,
    /// Most recipients in one transaction, as far as we know.
    most: AtomicUsize,
}

impl Smarthost {
    /// Sets up TLS; does not connect. The error is a sentence for the admin.
    pub fn new(config: SmarthostConfig) -> Result<Self, String> {
        let tls = match config.security {
            Security::Off => None,
            security => Some(Tls::new(&config.host, config.trust()?, security)?),
        };
        Ok(Self {
            name: format!("{}:{}", config.host, config.port),
            tls,
            pool: Pool::new(config.idle, config.timeouts.quit),
            most: AtomicUsize::new(usize::MAX),
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
            self.pool.put(connection);
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
        };
        let result = exchange.run().await;
        if exchange.too_many {
            self.most.store(CAUTIOUS_RECIPIENTS, Ordering::Relaxed);
        }
        let mut unreachable = false;
        let worked = result.is_ok();
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
        let recipients = exchange.fates.into_iter().flatten().collect();
        let reports = connection.offers.dsn;
        if worked {
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

    fn keep(&self, connection: Connection) {
        if connection.used < self.config.transactions && !connection.line.has_unread() {
            self.pool.put(connection);
        } else {
            tokio::spawn(connection.quit(self.config.timeouts.quit));
        }
    }
}

/// Makes the transaction fit what the next hop offers, where that can be done; else its fate.
async fn fit(transaction: &mut Transaction, connection: &Connection) -> Result<(), Fate> {
    let fits = |transaction: &Transaction| {
        command::misfit(transaction, &connection.offers).map_or(Ok(()), |why| Err(Fate::Failed(why)))
    };
    fits(transaction)?;
    if transaction.eight_bit && !connection.offers.eight_bit {
        narrow::narrow(transaction).await.map_err(|failure| match failure {
            narrow::Failure::Never(why) => Fate::Failed(why),
            narrow::Failure::NotNow(why) => Fate::Deferred(why),
        })?;
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
        if let Some(connection) = self.pool.take() {
            match self.over(connection, transaction, last_look.as_ref()).await {
                Ok(outcome) => return outcome,
                Err(broken) => {
                    tracing::debug!(upstream = %self.name, %broken, "a kept connection is gone; a fresh one is made");
                }
            }
        }
        let recipients = transaction.recipients.len();
        let result = match greet::open(&self.config, self.tls.as_ref()).await {
            Ok(connection) => self.over(connection, transaction, last_look.as_ref()).await,
            Err(broken) => {
                let trouble = broken.trouble();
                tracing::warn!(upstream = %self.name, ?trouble, why = %broken, "a connection to the upstream is of no use");
                self.config.tally.failed(self.config.tally_as.unwrap_or(&self.name), trouble);
                Err(broken)
            }
        };
        result.unwrap_or_else(|broken| Outcome::unreachable(recipients, broken.to_string()))
    }

    async fn probe(&self) -> Result<String, String> {
        let connection =
            greet::open(&self.config, self.tls.as_ref()).await.map_err(|broken| broken.to_string())?;
        let about = format!("{} takes mail ({})", self.name, connection.about);
        connection.quit(self.config.timeouts.quit).await;
        Ok(about)
    }

    async fn close(&self) {
        self.pool.close().await;
    }
}
