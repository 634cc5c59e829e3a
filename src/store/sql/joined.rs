//! One read for all who ask for the same at the same time.

use crate::store::StoreError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OnceCell;

/// Answers each caller from a read that began after the call. While one read goes on, those who call wait together
/// for the next.
pub(in crate::store) struct Joined<T> {
    turn: tokio::sync::Mutex<()>,
    next: Mutex<Option<Arc<OnceCell<T>>>>,
}

impl<T> Default for Joined<T> {
    fn default() -> Self {
        Self { turn: tokio::sync::Mutex::default(), next: Mutex::default() }
    }
}

impl<T: Clone> Joined<T> {
    pub(in crate::store) async fn read<F>(&self, read: impl FnOnce() -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mine = Arc::clone(self.next().get_or_insert_with(Arc::default));
        let answer = mine.get_or_try_init(|| async {
            let _turn = self.turn.lock().await;
            // Whoever calls from now on waits for the next read.
            self.next().take_if(|next| Arc::ptr_eq(next, &mine));
            read().await
        });
        answer.await.cloned()
    }

    fn next(&self) -> MutexGuard<'_, Option<Arc<OnceCell<T>>>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};
    use tokio::sync::Semaphore;

    /// Everybody sees what was written before they asked, and those who wait share a read.
    #[tokio::test]
    async fn a_read_begins_after_everybody_it_answers_asked() {
        let (joined, written, reads) = (Joined::default(), AtomicU32::new(0), AtomicU32::new(0));
        let gate = Semaphore::new(0);
        let ask = || {
            joined.read(|| async {
                let seen = written.load(Ordering::Relaxed);
                reads.fetch_add(1, Ordering::Relaxed);
                gate.acquire().await.map(tokio::sync::SemaphorePermit::forget).unwrap();
                Ok(seen)
            })
        };
        let later = async {
            written.store(1, Ordering::Relaxed);
            let open = async { gate.add_permits(9) };
            let (one, two, ()) = tokio::join!(ask(), ask(), open);
            (one.unwrap(), two.unwrap())
        };
        let (first, later) = tokio::join!(ask(), later);
        assert_eq!((first.unwrap(), later), (0, (1, 1)));
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }

    /// One whose read fails does not answer the others.
    #[tokio::test]
    async fn a_read_that_fails_is_tried_again_by_the_next() {
        let (joined, reads) = (Joined::default(), AtomicU32::new(0));
        let ask = || {
            joined.read(|| async {
                match reads.fetch_add(1, Ordering::Relaxed) {
                    0 => Err(StoreError::Unavailable("gone".to_owned())),
                    read => Ok(read),
                }
            })
        };
        let (one, two) = tokio::join!(ask(), ask());
        assert!(one.is_err());
        assert_eq!(two.unwrap(), 1);
    }
}
