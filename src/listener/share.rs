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
    octets: usize,
    granted: usize,
    /// How many octets of `\r\n\r\n`, the end of the header, were matched so far.
    matched: usize,
    ended: bool,
}

impl Default for Share {
    fn default() -> Self {
        // As if a CRLF preceded the message, so that an initial `\r\n` ends an empty header.
        Self { of: &SHARED, permits: None, octets: 0, granted: FREE, matched: 2, ended: false }
    }
}

impl Share {
    /// Accounts for the next content. Returns false if no memory is left for the header.
    pub(super) fn grows(&mut self, content: &[u8]) -> bool {
        if self.ended {
            return true;
        }
        for &octet in content {
            self.octets += 1;
            let wanted = if self.matched.is_multiple_of(2) { b'\r' } else { b'\n' };
            self.matched = match octet {
                _ if octet == wanted => self.matched + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.matched == 4 {
                self.ended = true;
                break;
            }
        }
        while self.granted < self.octets {
            let missing = (self.octets - self.granted).div_ceil(UNIT);
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
    fn headers_share_and_bodies_do_not_count() {
        static ROOM: Semaphore = Semaphore::const_new(100);
        let long = vec![b'x'; FREE + 60 * UNIT];
        let mut first = share(&ROOM);
        assert!(first.grows(&long));
        assert_eq!(ROOM.available_permits(), 40);
        let mut second = share(&ROOM);
        assert!(!long.chunks(1000).all(|piece| second.grows(piece)));
        drop(second);
        drop(first);
        assert_eq!(ROOM.available_permits(), 100);
        for header in ["A: b\r\nC: d\r\n\r\n", "\r\n", "A: b\r\n\r\r\n\r\n"] {
            for size in [1, 3, header.len()] {
                let mut short = share(&ROOM);
                assert!(header.as_bytes().chunks(size).all(|piece| short.grows(piece)));
                assert!(short.ended, "{header:?}");
                assert!((0..100).all(|_| short.grows(&long)));
                assert_eq!(ROOM.available_permits(), 100);
            }
        }
        let mut open = share(&ROOM);
        assert!(open.grows(b"A: b\r\nC: d\n\n\r\r\n"));
        assert!(!open.ended);
    }
}
