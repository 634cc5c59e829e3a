//! Runs expensive work, such as opening containers, on blocking threads and with limited concurrency, so that
//! sessions, the desk and the upstreams are not delayed.

use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Timeout for waiting and working together. The work on one message is limited to about a second.
const DEADLINE: Duration = Duration::from_mins(1);

/// As many jobs at a time as there are processors, less one for everything else.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)))
});

/// The work was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// Too many messages are waiting.
    #[error("too many messages are being opened")]
    Late,
    /// The work panicked.
    #[error("the message could not be looked at")]
    Failed,
}

/// Runs `work` on a blocking thread when its turn comes. It keeps its turn until it ends, even if the caller
/// has stopped waiting.
///
/// # Errors
/// The work did not end within a minute, or it panicked.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, NotDone> {
    let turn = async {
        let permit = Arc::clone(&TURNS).acquire_owned().await.map_err(|_| NotDone::Failed)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(permit);
            done
        });
        done.await.map_err(|_| NotDone::Failed)
    };
    tokio::time::timeout(DEADLINE, turn).await.map_err(|_| NotDone::Late)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "work that takes its time, on a thread of its own")]
    async fn the_runtime_goes_on_and_a_panic_costs_one_message() {
        let busy: Vec<_> =
            (0..4).map(|_| tokio::spawn(apart(|| std::thread::sleep(Duration::from_millis(50))))).collect();
        let panicked = tokio::spawn(apart(|| panic!("a fault")));
        // This runtime has one thread; it must respond while the work runs.
        tokio::time::timeout(Duration::from_millis(40), tokio::task::yield_now()).await.unwrap();
        for work in busy {
            work.await.unwrap().unwrap();
        }
        assert!(matches!(panicked.await.unwrap(), Err(NotDone::Failed)));
        assert_eq!(apart(|| 7).await.unwrap(), 7);
    }
}
