//! What sessions share of memory for headers: a header is gathered whole before it can be read, so that many
//! long ones at once would add up. A client beyond the share is told to come again.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Octets of a header that no share is asked for: most headers are shorter.
const FREE: usize = 8 * 1024;
/// One permit is good for so many octets.
const UNIT: usize = 1024;
/// Octets beyond the free ones, over all sessions. Read, a header takes some fifteen times its length, most of
/// it for mailboxes and texts, until its mail is over: this is 120 MiB then.
const ALL: usize = 8 * 1024 * 1024;

static SHARED: Semaphore = Semaphore::const_new(ALL / UNIT);

/// The share of one message under way; given back when it is over.
#[derive(Debug)]
pub(super) struct Share {
    of: &'static Semaphore,
    permits: Option<SemaphorePermit<'static>>,
    octets: usize,
    granted: usize,
    /// How much of the header's end was seen: `\r\n\r\n`, or `\r\n` at the very beginning.
    matched: usize,
    ended: bool,
}

impl Default for Share {
    fn default() -> Self {
        // the line end of an imagined line before the first: an empty header ends at once
        Self { of: &SHARED, permits: None, octets: 0, granted: FREE, matched: 2, ended: false }
    }
}

impl Share {
    /// Takes in the next content. False when the header has grown beyond what is left for it.
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
