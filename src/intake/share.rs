//! Limits the memory for headers being received, over all sessions. A header must be complete before it
//! can be parsed, so many long headers at once could exhaust memory. Above the limit, a message is
//! refused with a temporary error.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Octets of each header that do not count: most headers are shorter.
const FREE: usize = 8 * 1024;
/// Octets per semaphore permit.
const UNIT: usize = 1024;
/// Octets beyond `FREE` over all sessions. A parsed header takes about fifteen times its length until the
/// message is finished, so this amounts to about 120 MiB of memory.
const ALL: usize = 8 * 1024 * 1024;

static SHARED: Semaphore = Semaphore::const_new(ALL / UNIT);

/// The memory reserved for one message. Dropping it releases the memory.
#[derive(Debug)]
pub(super) struct Share {
    of: &'static Semaphore,
    permits: Option<SemaphorePermit<'static>>,
    granted: usize,
}

impl Default for Share {
    fn default() -> Self {
        Self { of: &SHARED, permits: None, granted: FREE }
    }
}

impl Share {
    /// Accounts for a header of so many octets. Returns false if no memory is left for it.
    pub(super) fn covers(&mut self, octets: usize) -> bool {
        if self.granted < octets {
            let missing = (octets - self.granted).div_ceil(UNIT);
            let Ok(permits) = self.of.try_acquire_many(u32::try_from(missing).unwrap_or(u32::MAX)) else {
                return false;
            };
            self.granted += missing * UNIT;
            match &mut self.permits {
                Some(kept) => kept.merge(permits),
                none => *none = Some(permits),
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(of: &'static Semaphore) -> Share {
        Share { of, ..Share::default() }
    }

    #[test]
    fn headers_share_what_there_is() {
        static ROOM: Semaphore = Semaphore::const_new(100);
        let long = FREE + 60 * UNIT;
        let mut first = share(&ROOM);
        assert!(first.covers(FREE) && ROOM.available_permits() == 100, "short headers cost nothing");
        assert!((0..=long).step_by(1_000).chain([long]).all(|octets| first.covers(octets)));
        assert_eq!(ROOM.available_permits(), 40);
        let mut second = share(&ROOM);
        assert!(!(0..long).step_by(1_000).all(|octets| second.covers(octets)));
        assert!(first.covers(long), "what was granted stays granted");
        drop(second);
        drop(first);
        assert_eq!(ROOM.available_permits(), 100);
    }
}
