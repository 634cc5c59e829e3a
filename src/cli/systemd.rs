//! Notifies systemd: ready, reloading, alive (watchdog), stopping. Does nothing if systemd did not start the
//! process.

use sd_notify::NotifyState;
use std::time::Duration;
use tokio::time::{Interval, interval};

/// Sends the states; errors are ignored.
pub(super) fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "cannot notify systemd");
    }
}

/// A reload begins; `Ready` ends it, whether it succeeded or not.
pub(super) fn tell_reload() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Watchdog notifications, twice as often as systemd requires; none if it requires none.
pub(super) struct Pulse(Option<Interval>);

impl Pulse {
    pub(super) fn new() -> Self {
        let every = sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(1)));
        Self(every.map(interval))
    }

    /// Waits until the next notification is due, and sends it.
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
