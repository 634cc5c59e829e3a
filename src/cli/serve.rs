//! `sekisho serve`: runs the relay until it is stopped.

use super::out;
use super::systemd::{Pulse, tell, tell_reload};
use super::{Context, Failure};
use crate::app::{App, Running, log};
use crate::config::Config;
use sd_notify::NotifyState;
use std::io::IsTerminal;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    log(context.out.json, "info");
    let config = context.config()?;
    threads()?.block_on(serve(context, config))
}

/// A runtime with one thread per core.
pub(super) fn threads() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}")))
}

/// Logs to stderr. `SEKISHO_LOG` sets the filter (`debug`, `sekisho::courier=trace`), `--json` the format.
pub(super) fn log(json: bool, default: &str) {
    let filter = EnvFilter::try_from_env("SEKISHO_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let ansi = out::color_on_stderr() && std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log::stderr())
        .with_ansi(ansi)
        // It would print its own errors to the same stderr, and panic if that fails.
        .log_internal_errors(false);
    // If a subscriber is installed already, it stays.
    let _ = if json { builder.json().try_init() } else { builder.with_target(false).try_init() };
}

async fn serve(context: &Context, config: Config) -> Result<(), Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure::failed(format!("cannot listen for signals: {error}")));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let file = config.file.clone();
    tracing::info!("{}", config.keep);
    let running = App::start(config).await?;
    let addresses = running.addresses();
    tracing::info!("ready {addresses}");
    tell(&[NotifyState::Ready, NotifyState::Status(&addresses)]);
    let mut pulse = Pulse::new();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hangup.recv() => {
                tell_reload();
                reload(&running, context, &file).await;
                tell(&[NotifyState::Ready]);
            }
            () = pulse.beat() => {}
            why = running.failed() => {
                tracing::error!("{why}");
                running.shutdown().await;
                return Err(Failure::failed(why));
            }
        }
    }
    tell(&[NotifyState::Stopping]);
    tracing::info!("shutting down: no new mail is accepted, transactions in progress may end");
    running.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reloads the configuration. If it has a mistake, everything stays as it was.
async fn reload(running: &Running, context: &Context, file: &std::path::Path) {
    let named = context.config.as_deref().unwrap_or(file);
    let result = match Config::find(Some(named)) {
        Ok(config) => running.reload(&config).await.map_err(Failure::from),
        Err(error) => Err(Failure::from(error)),
    };
    match result {
        Ok(()) => {
            tracing::info!(
                "reloaded: organisation, policy, people, notices, hooks, who may relay, upstreams, routes, certificates"
            );
        }
        Err(failure) => tracing::error!("not reloaded, the old configuration stays: {}", failure.text),
    }
}
