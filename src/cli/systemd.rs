//! What a relay tells systemd: that it is ready, that it reloads, that it lives, that it stops. Nothing,
//! where systemd did not start it.

use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::{Interval, interval};

/// Says it. That nobody listens is no reason to fail.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// A reload begins; `Ready` ends it, whether it went well or not.
pub(super) fn tell_reload() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Signs of life, twice as often as systemd asks for them; none where it does not.
pub(super) struct Pulse(Option<Interval>);

impl Pulse {
    pub(super) fn new() -> Self {
        let every = sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(1)));
        Self(every.map(interval))
    }

    /// Waits until the next one is due, and gives it.
    pub(super) async fn beat(&mut self) {
        match &mut self.0 {
            Some(interval) => {
                interval.tick().await;
                tell(&[NotifyState::Watchdog]);
            }
            None => std::future::pending().await,
        }
    }
}
