//! Claims due deliveries in batches as workers become free, and renews their leases.

use super::Courier;
use super::board::Room;
use crate::clock::Timestamp;
use std::sync::Arc;
use std::time::Duration;

/// Claims due deliveries until the courier drains.
pub(super) async fn claim(courier: Arc<Courier>) {
    while !courier.board.is_draining() {
        let pause = courier.claim_once().await;
        tokio::select! {
            () = courier.board.changed() => {}
            () = tokio::time::sleep(pause) => {}
            () = courier.drained() => return,
        }
    }
}

/// Renews all leases periodically.
pub(super) async fn renew(courier: Arc<Courier>) {
    loop {
        tokio::time::sleep(courier.settings.renew).await;
        courier.renew_once().await;
    }
}

impl Courier {
    /// Claims deliveries if any are due and there is room. Returns how long to wait before the next call.
    async fn claim_once(&self) -> Duration {
        let now = self.clock.now();
        if !self.board.is_behind() {
            match self.store.next_due().await {
                Ok(Some(due)) if due <= now => {}
                Ok(due) => return self.pause(due, now),
                Err(_) => return self.settings.poll,
            }
        }
        let room = match self.board.room(now) {
            Room::For(room) => room,
            Room::None(until) => return self.pause(until, now),
        };
        let mine = self.board.leases();
        match self.store.claim_beside(now, room, self.settings.lease, &mine).await {
            Ok(claims) => {
                // The store renewed `mine` too, but does not say which of them another node had taken over: only
                // `renew_once` tells the board how long a lease lasts.
                let all = claims.len() < room;
                self.board.claimed(claims, room, now);
                // if fewer than `room` were claimed, anything else that is due is a notice, which the
                // courier does not send
                if all { self.settings.poll } else { Duration::ZERO }
            }
            Err(error) => {
                tracing::warn!(%error, "deliveries could not be claimed");
                self.board.claimed(Vec::new(), room, now);
                self.settings.poll
            }
        }
    }

    /// How long to wait until `until`, at most one poll interval: people and other nodes can change what
    /// is due.
    fn pause(&self, until: Option<Timestamp>, now: Timestamp) -> Duration {
        until.map_or(self.settings.poll, |until| until.since(now).min(self.settings.poll))
    }

    async fn renew_once(&self) {
        let leases = self.board.leases();
        if leases.is_empty() {
            return;
        }
        let until = self.clock.now().plus(self.settings.lease);
        match self.store.renew(&leases, until).await {
            Ok(lost) => {
                for lease in &lost {
                    tracing::warn!(delivery = %lease.delivery, "a lease was lost");
                }
                self.board.renewed(&leases, &lost, until);
            }
            Err(error) => tracing::warn!(%error, "leases could not be renewed"),
        }
    }
}
