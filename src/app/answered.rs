//! Counts the answers of the intake, and reports them to subscribers.

use crate::intake::{Answer, Watcher};
use crate::web::metrics::Answers;
use tokio::sync::broadcast;

/// Counts answers, and tells them to whoever listens.
#[derive(Clone)]
pub(super) struct Answered {
    pub(super) answers: Answers,
    pub(super) arrivals: broadcast::Sender<Answer>,
}

impl Watcher for Answered {
    fn saw(&self, answer: &Answer) {
        self.answers.count(answer);
        // usually there are no subscribers
        if self.arrivals.receiver_count() > 0 {
            let _ = self.arrivals.send(answer.clone());
        }
    }
}
