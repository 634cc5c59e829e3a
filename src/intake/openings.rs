//! Where the containers in messages are opened: on threads that may be kept busy, few at a time, so that
//! sessions, the desk and the upstreams are served meanwhile.

use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest wait for a turn and for the work together. One message's budget of work is about a second.
const DEADLINE: Duration = Duration::from_mins(1);

/// As many messages at a time as there are processors, less one for everybody else.
static TURNS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new(processors.saturating_sub(1).max(1)))
});

/// The work could not be done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// Too many messages want to be opened.
    #[error("too many messages are being opened")]
    Late,
    /// It failed for a fault of ours.
    #[error("the message could not be looked at")]
    Failed,
}

/// Does the work apart from the runtime's threads, when its turn comes. A turn ends with the work, even
/// where nobody waits for it any more.
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
        // This runtime has one thread: it answers while others work.
        tokio::time::timeout(Duration::from_millis(40), tokio::task::yield_now()).await.unwrap();
        for work in busy {
            work.await.unwrap().unwrap();
        }
        assert!(matches!(panicked.await.unwrap(), Err(NotDone::Failed)));
        assert_eq!(apart(|| 7).await.unwrap(), 7);
    }
}
