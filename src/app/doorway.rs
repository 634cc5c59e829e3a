//! Wraps the intake: counts its answers, and reports them to subscribers.

use crate::config::Config;
use crate::desk::links::Links;
use crate::desk::{Desk, DeskError};
use crate::id::Id;
use crate::intake::{Answer, Intake, OwnMail, Watcher};
use crate::message::Address;
use crate::notice::OwnIntake;
use crate::notice::links::LinkMaker;
use crate::store::absences::Absence;
use crate::store::{LinkAction, StoreError, StoredMessage};
use crate::web::metrics::Answers;
use async_trait::async_trait;
use std::sync::Arc;
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

/// Creates the links in our mails.
pub(super) fn links(desk: &Desk, config: &Config) -> Arc<dyn LinkMaker> {
    Arc::new(Linked(Links::new(desk.clone(), config.desk.url.as_deref())))
}

struct Linked(Links);

#[async_trait]
impl LinkMaker for Linked {
    async fn links(
        &self,
        person: &Address,
        message: &StoredMessage,
        wanted: &[LinkAction],
    ) -> Result<Vec<String>, StoreError> {
        self.0.new_links(person, message, wanted).await.map_err(|error| match error {
            DeskError::Store(error) => error,
            other => StoreError::Unavailable(other.to_string()),
        })
    }

    fn page(&self, path: &str) -> Option<String> {
        self.0.page(path)
    }

    async fn away(&self) -> Result<Vec<Absence>, StoreError> {
        self.0.away().await.map_err(|error| match error {
            DeskError::Store(error) => error,
            other => StoreError::Unavailable(other.to_string()),
        })
    }
}

/// Passes our own mail to the intake.
pub(super) struct Back(pub(super) Intake);

#[async_trait]
impl OwnIntake for Back {
    async fn own(&self, mail: OwnMail) -> Result<Id, StoreError> {
        self.0.own(mail).await
    }

    async fn tell(&self, mail: OwnMail, asks: Vec<i64>) -> Result<Id, StoreError> {
        self.0.tell(mail, asks).await
    }
}
