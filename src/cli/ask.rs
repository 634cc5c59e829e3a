//! Sends a request to the running relay, or executes it here if none runs.

use super::{Context, Failure};
use crate::app;
use crate::config::Config;
use crate::control::{self, Answer, Request};
use std::time::{Duration, Instant};

/// How long to wait for a relay that is starting or stopping.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sends a request and returns the answer; a refusal becomes a failure.
pub(super) fn ask(context: &Context, request: &Request) -> Result<Answer, Failure> {
    let config = context.config()?;
    match runtime()?.block_on(answer(&config, request))? {
        Answer::Refused(why) => Err(Failure::failed(why)),
        answer => Ok(answer),
    }
}

/// The answer is not of the expected type: the running relay may be another version.
pub(super) fn unexpected() -> Failure {
    Failure::failed("the running relay gave an unexpected answer; it may be another version")
}

/// A small runtime for a single command.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))
}

pub(super) async fn answer(config: &Config, request: &Request) -> Result<Answer, Failure> {
    let socket = control::socket_path(&config.database);
    let started = Instant::now();
    loop {
        match control::client::ask(&socket, request).await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => {}
            Err(error) => {
                return Err(Failure::failed(format!(
                    "cannot talk to the running relay at {}: {error}",
                    socket.display()
                )));
            }
        }
        if config.postgres.is_none() && !config.database.exists() {
            return Err(Failure::failed(format!(
                "there is no database at {} yet: `sekisho serve` makes it",
                config.database.display()
            )));
        }
        match app::offline_desk(config).await {
            Ok(offline) => {
                let user = control::own_uid().map_or_else(|| "unknown".to_owned(), control::user_name);
                return Ok(control::execute::execute(&offline.desk, request.clone(), &user).await);
            }
            // A relay holds the lock but does not listen yet, or no longer.
            Err(error) if error.is_locked() && started.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl From<app::StartError> for Failure {
    fn from(error: app::StartError) -> Self {
        let color = super::out::color_on_stderr();
        match error {
            app::StartError::Policy(diagnostics) => {
                let texts: Vec<String> = diagnostics.iter().map(|one| one.render(color)).collect();
                Self::usage(texts.join("\n\n"))
            }
            app::StartError::Configuration(text) => Self::usage(text),
            other => Self::failed(other.to_string()),
        }
    }
}
