//! Commits groups of requests to PostgreSQL; the writers of all nodes take turns.
//!
//! A group begins by taking the writers' lock, which ends with its transaction, however that ends: if a node stops in
//! the middle, the server ends its transaction. So each group sees everything that was committed, and nobody writes
//! between its reads and its writes.
//!
//! A group is first run quickly (see [`draft`](super::draft)); if that fails, once more with a savepoint for each
//! request, waiting for each answer; and if that fails, its requests run one by one. While no other node writes, a
//! quick group does not wait to hear so: it fails if one has.

use crate::store::StoreError;
use crate::store::sql::chain::{self, Ours};
use crate::store::sql::db::Connection;
use crate::store::sql::elsewhere;
use crate::store::sql::error::{Error, Failure, classify};
use crate::store::sql::health::Health;
use crate::store::sql::readers::Connect;
use crate::store::sql::reconnect::Reconnect;
use crate::store::sql::requests::{GROUP_REQUESTS, Requests};
use crate::store::sql::writer::{Job, answer};
use aws_lc_rs::hmac;
use crossbeam_channel::RecvTimeoutError;
use std::time::{Duration, Instant};

/// How long the writer sleeps if there are no requests.
const IDLE: Duration = Duration::from_secs(10);
/// After how long without use a connection is tested.
const STALE: Duration = Duration::from_secs(1);

/// The writer.
pub(super) struct Committer {
    connection: Option<Connection>,
    reconnect: Reconnect,
    /// When the connection last answered.
    asked: Instant,
    requests: Requests,
    health: Health,
    key: hmac::Key,
    ours: Ours,
    /// How many groups are not tried quickly.
    careful: u32,
    /// Before how many groups in succession no other node had written.
    alone: u32,
}

/// How many entries of the chain that other nodes wrote are read at once.
const AT_ONCE: i64 = if cfg!(test) { 3 } else { 20_000 };

/// After a quick group that failed, so many groups are not tried quickly.
const CAREFUL: u32 = 16;

/// After so many groups before which no other node had written, none is expected to.
const ALONE: u32 = if cfg!(test) { 1 } else { 8 };

/// Why a group was not committed.
enum Ended {
    /// It did not begin, so that its requests would not begin one by one, either.
    Before(Failure),
    /// Nothing of it is in the database.
    Not(Failure),
    /// The connection was lost before the server confirmed the commit.
    Unknown(String),
}

/// A group that was not committed.
struct Failed {
    why: StoreError,
    /// Whether it may be run again.
    again: bool,
}

impl Failed {
    fn for_good(why: StoreError) -> Self {
        Self { why, again: false }
    }
}

impl<E: Into<Failure>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Not(error.into())
    }
}

impl Committer {
    pub(super) fn new(
        connection: Connection,
        connect: Connect,
        requests: Requests,
        health: Health,
        key: hmac::Key,
        ours: Ours,
    ) -> Self {
        let (connection, asked, reconnect) =
            (Some(connection), Instant::now(), Reconnect::to_server(connect));
        Self { connection, reconnect, asked, requests, health, key, ours, careful: 0, alone: 0 }
    }

    /// Runs until there can be no more requests.
    pub(super) fn run(mut self) {
        loop {
            match self.requests.first(IDLE) {
                Ok(group) => self.commit(group),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Commits requests together with those that arrive meanwhile.
    fn commit(&mut self, mut group: Vec<Box<dyn Job>>) {
        let quick = self.careful == 0;
        self.careful = self.careful.saturating_sub(1);
        let alone = quick && self.alone >= ALONE;
        let mut ended = self.transact(&mut group, GROUP_REQUESTS, quick);
        if quick && self.may_repeat(&ended) {
            if alone {
                self.alone = 0;
            } else {
                self.careful = CAREFUL;
            }
            let most = group.len();
            ended = self.transact(&mut group, most, false);
        }
        if group.len() == 1 || !self.may_repeat(&ended) {
            return answer(group, ended.err().map(|ended| ended.why).as_ref());
        }
        for job in group {
            let mut alone = vec![job];
            let failed = self.transact(&mut alone, 1, false).err().map(|ended| ended.why);
            answer(alone, failed.as_ref());
        }
    }

    /// Whether nothing of a group is in the database, and its requests may be run again.
    fn may_repeat(&self, ended: &Result<(), Failed>) -> bool {
        self.connection.is_some() && ended.as_ref().is_err_and(|failed| failed.again)
    }

    /// Runs a group in one transaction; it grows to at most `most` requests.
    fn transact(&mut self, group: &mut Vec<Box<dyn Job>>, most: usize, quick: bool) -> Result<(), Failed> {
        self.health.check().map_err(Failed::for_good)?;
        let connection = self.connected().map_err(Failed::for_good)?;
        let ended = self.try_transact(&connection, group, most, quick);
        self.asked = Instant::now();
        if ended.is_err() {
            self.requests.rolled_back();
        }
        let (failure, again) = match ended {
            Ok((took, ours)) => {
                self.requests.committed(group);
                self.requests.flushed(took);
                self.ours = ours;
                self.connection = Some(connection);
                return Ok(());
            }
            Err(Ended::Unknown(why)) => return Err(Failed::for_good(StoreError::Uncertain(why))),
            Err(Ended::Before(failure)) => (failure, false),
            Err(Ended::Not(failure)) => (failure, true),
        };
        let why = failure.named();
        // Statements that were sent ahead may fail once more. Either way the transaction is over, or the connection
        // is.
        connection.begin_group(false);
        connection.forget_numbers();
        let _ = connection.settle();
        if !connection.is_over() && connection.control("ROLLBACK").and_then(|()| connection.settle()).is_ok()
        {
            self.connection = Some(connection);
        } else {
            tracing::warn!(error = %why, "the connection to the database is lost");
        }
        if !quick || !again {
            self.health.note(&why);
        }
        Err(Failed { why, again })
    }

    /// The connection, or a new one. A connection that was idle is tested first.
    fn connected(&mut self) -> Result<Connection, StoreError> {
        if let Some(connection) = self.connection.take() {
            let stands = self.asked.elapsed() < STALE
                || connection.control("SELECT 1").and_then(|()| connection.settle()).is_ok();
            if stands && !connection.is_over() {
                return Ok(connection);
            }
        }
        self.reconnect.connection()
    }

    /// Returns how long the commit took, and the new end of the chain.
    fn try_transact(
        &mut self,
        connection: &Connection,
        group: &mut Vec<Box<dyn Job>>,
        most: usize,
        quick: bool,
    ) -> Result<(Duration, Ours), Ended> {
        connection.begin_group(quick);
        let ours = self.begin(connection, quick).map_err(Ended::Before)?;
        self.requests.run(connection, group, most)?;
        let ours = chain::link(connection, &self.key, &ours)?;
        let began = Instant::now();
        if let Err(error) = connection.commit() {
            return Err(match &error {
                Error::Postgres(said) if said.as_db_error().is_some() && !connection.is_over() => {
                    error.into()
                }
                // The commit was not sent.
                Error::Assumed => error.into(),
                _ => Ended::Unknown(classify(&error).to_string()),
            });
        }
        Ok((began.elapsed(), ours))
    }

    /// Begins a transaction with the writers' lock, and takes in what other nodes wrote. Returns the end of the chain.
    ///
    /// If that is much, because this node was stopped or cut off for long, it is taken in piece by piece, and the other
    /// nodes write in between.
    fn begin(&mut self, connection: &Connection, quick: bool) -> Result<Ours, Failure> {
        let mut most = AT_ONCE;
        loop {
            connection.control("BEGIN")?;
            connection.control(super::WRITERS_LOCK)?;
            if quick && self.alone >= ALONE {
                elsewhere::assume_none(connection, &self.ours)?;
                return Ok(self.ours.clone());
            }
            let elsewhere = elsewhere::read(connection, &self.key, &self.ours, most)?.map_err(|why| {
                tracing::error!(%why, "the journal was changed by somebody else");
                self.health.stop(&why);
                StoreError::Unavailable(why)
            })?;
            if let Some(highest) = elsewhere.highest {
                connection.skip_numbers(highest);
            }
            self.requests.repeats().catch_up(connection, &elsewhere.accepted)?;
            if !elsewhere.more {
                self.alone = if elsewhere.end == self.ours { self.alone.saturating_add(1) } else { 0 };
                return Ok(elsewhere.end);
            }
            if elsewhere.end == self.ours {
                // One group wrote more than that.
                most *= 2;
            }
            connection.commit()?;
            self.ours = elsewhere.end;
        }
    }
}
