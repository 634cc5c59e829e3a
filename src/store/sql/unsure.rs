//! Leases whose commit ended without an answer: the database may have them for this node, but no slot of its courier
//! knows of them. The next claim takes them up, so that their copies need not wait until the leases end.

use super::claims::RawClaim;
use crate::id::Id;
use crate::store::{Claim, Lease};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lease that this node may have taken. Exactly one request took it, if it was taken: the number of a message's row
/// is used again after a commit that failed, but not the message's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Taken {
    pub(in crate::store) lease: Lease,
    pub(in crate::store) message: Id,
}

impl Taken {
    pub(in crate::store) fn of(claim: &Claim) -> Self {
        Self { lease: claim.lease, message: claim.message }
    }

    pub(in crate::store) fn of_raw(claim: &RawClaim) -> Self {
        Self { lease: claim.lease(), message: claim.message() }
    }
}

/// These leases.
#[derive(Debug, Default)]
pub(in crate::store) struct Unsure {
    leases: Mutex<Vec<Taken>>,
    /// Locked by a claim until it has ended: if another one could begin before, it could take a lease whose commit
    /// turns out to have failed, and that lease would then be taken up twice.
    claiming: tokio::sync::Mutex<()>,
}

impl Unsure {
    /// Waits for the claim that runs, if any.
    pub(in crate::store) async fn claiming(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.claiming.lock().await
    }

    fn leases(&self) -> MutexGuard<'_, Vec<Taken>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn add(&self, leases: impl IntoIterator<Item = Taken>) {
        self.leases().extend(leases);
    }

    pub(in crate::store) fn take(&self) -> Vec<Taken> {
        std::mem::take(&mut *self.leases())
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.leases().is_empty()
    }
}
