//! Wraps the intake: counts its answers, and reports them to subscribers.

use crate::config::Config;
use crate::desk::links::Links;
use crate::desk::{Desk, DeskError};
use crate::id::Id;
use crate::intake::{Answer, Doorway, Intake, OwnMail, Reception};
use crate::message::{Address, Envelope};
use crate::notice::OwnIntake;
use crate::notice::links::LinkMaker;
use crate::store::absences::Absence;
use crate::store::{LinkAction, Origin, StoreError, StoredMessage};
use crate::web::metrics::Answers;
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Passes everything on to the intake.
pub(super) struct Observed {
    intake: Intake,
    watcher: Watcher,
}

#[derive(Clone)]
struct Watcher {
    answers: Answers,
    arrivals: broadcast::Sender<Answer>,
}

impl Watcher {
    fn saw(&self, answer: &Answer) {
        self.answers.count(answer);
        // usually there are no subscribers
        if self.arrivals.receiver_count() > 0 {
            let _ = self.arrivals.send(answer.clone());
        }
    }
}

impl Observed {
    pub(super) fn new(intake: Intake, answers: Answers, arrivals: broadcast::Sender<Answer>) -> Self {
        Self { intake, watcher: Watcher { answers, arrivals } }
    }
}

#[async_trait]
impl Doorway for Observed {
    async fn begin(&self, origin: Origin, envelope: Envelope) -> Result<Box<dyn Reception>, Answer> {
        match self.intake.begin(origin, envelope).await {
            Ok(inner) => Ok(Box::new(Watched { inner, watcher: self.watcher.clone() })),
            Err(answer) => {
                self.watcher.saw(&answer);
                Err(answer)
            }
        }
    }

    async fn copied(&self, origin: Origin) -> Result<Box<dyn Reception>, Answer> {
        let inner = self.intake.copied(origin).await?;
        Ok(Box::new(Watched { inner, watcher: self.watcher.clone() }))
    }
}

struct Watched {
    inner: Box<dyn Reception>,
    watcher: Watcher,
}

#[async_trait]
impl Reception for Watched {
    async fn write(&mut self, content: Bytes) -> Result<(), Answer> {
        let result = self.inner.write(content).await;
        if let Err(answer) = &result {
            self.watcher.saw(answer);
        }
        result
    }

    async fn finish(self: Box<Self>) -> Answer {
        let answer = self.inner.finish().await;
        self.watcher.saw(&answer);
        answer
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
