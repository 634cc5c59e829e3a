//! Connecting again after a connection was lost: one attempt at a time, on a thread of its own, so that nobody waits
//! for a server that does not answer.

use super::db::Connection;
use super::readers::Connect;
use crate::store::StoreError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the first attempt is waited for. After that, requests are refused at once until it has succeeded,
const FIRST: Duration = Duration::from_secs(2);
/// and a later one is waited for so long.
const LATER: Duration = Duration::from_millis(100);
/// How long after a failed attempt the next one may begin.
const PAUSE: Duration = Duration::from_millis(500);

/// Makes connections.
pub(in crate::store) struct Reconnect {
    connect: Connect,
    /// Of the attempts to reach a server; a file is opened without one.
    state: Option<Mutex<State>>,
}

#[derive(Default)]
struct State {
    attempt: Option<Attempt>,
    /// Why the last attempt failed, and when.
    missing: Option<(String, Instant)>,
}

struct Attempt {
    began: Instant,
    answer: Receiver<Result<Connection, StoreError>>,
}

impl Reconnect {
    /// Connects to a server, which may not answer.
    pub(in crate::store) fn to_server(connect: Connect) -> Self {
        Self { connect, state: Some(Mutex::default()) }
    }

    /// Opens a file, however long that takes on a busy machine.
    pub(in crate::store) fn to_file(connect: Connect) -> Self {
        Self { connect, state: None }
    }

    /// A new connection, however long it takes: when a store is opened, nobody waits for an answer yet.
    pub(in crate::store) fn patiently(&self) -> Result<Connection, StoreError> {
        (self.connect)()
    }

    /// A new connection; an error after a moment if there is none yet.
    pub(in crate::store) fn connection(&self) -> Result<Connection, StoreError> {
        let Some(state) = &self.state else { return self.patiently() };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = match state.attempt.take() {
            Some(attempt) => attempt,
            None => match &state.missing {
                Some((why, at)) if at.elapsed() < PAUSE => return Err(StoreError::Unavailable(why.clone())),
                _ => self.begin()?,
            },
        };
        let most = if state.missing.is_none() { FIRST } else { LATER };
        match attempt.answer.recv_timeout(most.saturating_sub(attempt.began.elapsed())) {
            Ok(Ok(connection)) => {
                if state.missing.take().is_some() {
                    tracing::info!("the database is there again");
                }
                Ok(connection)
            }
            Ok(Err(error)) => {
                if state.missing.is_none() {
                    tracing::error!(%error, "the database is gone: 451 until it is back");
                }
                state.missing = Some((error.to_string(), Instant::now()));
                Err(error)
            }
            Err(RecvTimeoutError::Timeout) => {
                let waits = state.missing.as_ref().map(|(why, _)| why.clone());
                state.attempt = Some(attempt);
                let why =
                    waits.unwrap_or_else(|| "the database does not answer: is the server up?".to_owned());
                Err(StoreError::Unavailable(why))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(StoreError::Unavailable("the attempt to connect has ended".to_owned()))
            }
        }
    }

    fn begin(&self) -> Result<Attempt, StoreError> {
        let (tell, answer) = channel();
        let connect = self.connect.clone();
        std::thread::Builder::new()
            .name("store-connect".to_owned())
            .spawn(move || {
                // If the store was closed meanwhile, nobody wants the connection.
                let _ = tell.send(connect());
            })
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(Attempt { began: Instant::now(), answer })
    }
}
