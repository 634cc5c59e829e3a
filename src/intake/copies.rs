//! Journal copies from mail hosts: who wrote with whom is recorded, and the copy itself is discarded.
//!
//! A copy that cannot be read, or from which nothing is learned, gets the same answer as any other: its
//! sender could do nothing about it, and a bounce would come back as the next copy. The host must retry only
//! if the store cannot record what was learned.

use super::accept::refused;
use super::{Answer, Content, Intake};
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Header;
use crate::message::copied::Reader;
use crate::message::gathering::HeaderTooLarge;
use crate::policy::learned::{Began, Learned, Source, Untaught};
use crate::store::Origin;
use async_trait::async_trait;
use bytes::Bytes;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tracing::{debug, warn};

/// The result of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ByResult {
    result: &'static str,
}

/// Counts of journal copies by result. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tally(Family<ByResult, Counter>);

impl Tally {
    /// Registers the metric. Every result starts at zero, so that the first unreadable copy shows up.
    pub fn register(&self, registry: &mut Registry) {
        for result in ["learned", "known", "nothing", "unreadable"] {
            drop(self.0.get_or_create(&ByResult { result }));
        }
        registry.register(
            "journal_copies",
            "Copies sent to the journal, by what they came to",
            self.0.clone(),
        );
    }

    fn count(&self, result: &'static str) {
        self.0.get_or_create(&ByResult { result }).inc();
    }
}

/// A copy that is being received.
struct Copied {
    intake: Intake,
    id: Id,
    received: Timestamp,
    /// The client, for the log.
    client: String,
    reader: Reader,
}

impl Intake {
    /// The content of a copy.
    pub(super) fn copy(&self, origin: &Origin) -> Box<dyn Content> {
        let received = self.clock().now();
        let client = match origin {
            Origin::Client { peer, .. } => peer.clone(),
            Origin::Own { .. } => String::new(),
        };
        let (id, reader) = (self.new_id(received), Reader::default());
        Box::new(Copied { intake: self.clone(), id, received, client, reader })
    }
}

#[async_trait]
impl Content for Copied {
    async fn header(&mut self, header: Bytes) -> Result<(), Answer> {
        // An empty copy has no header at all.
        if !header.is_empty() {
            self.reader.open(header, b"");
        }
        Ok(())
    }

    fn header_too_large(&mut self, _: HeaderTooLarge) -> Result<(), Answer> {
        self.reader.header_too_large();
        Ok(())
    }

    async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
        self.reader.feed(&octets);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Answer {
        let Self { intake, id, received, client, reader } = *self;
        let tally = intake.copies();
        let header = match reader.finish() {
            Ok(header) => header,
            Err(why) => {
                tally.count("unreadable");
                warn!(%id, client, %why, "a copy for the journal cannot be read: nothing is learned from it");
                return Answer::Noted(id);
            }
        };
        match intake.learn(&header, received).await {
            Ok(Some(new)) => tally.count(if new { "learned" } else { "known" }),
            Ok(None) => tally.count("nothing"),
            Err(Refusal::Unreadable) => {
                tally.count("unreadable");
                let why = "the people in its header cannot be read reliably";
                warn!(%id, client, why, "a copy for the journal cannot be read: nothing is learned from it");
            }
            Err(Refusal::Store(answer)) => return answer,
        }
        Answer::Noted(id)
    }
}

/// Why nothing was learned from a copy.
enum Refusal {
    /// The people that it shows cannot be read reliably. Its contents are not logged.
    Unreadable,
    /// The store failed: the host keeps the copy and retries.
    Store(Answer),
}

impl Intake {
    /// Records what a mail shows; returns whether it was new, or `None` if there is nothing to learn.
    async fn learn(&self, header: &Header, received: Timestamp) -> Result<Option<bool>, Refusal> {
        let organisation = std::sync::Arc::clone(&self.examiner().organisation);
        let learned = match Learned::read(&organisation, header, received, Source::Journal, Began(received)) {
            Ok(learned) => learned,
            Err(Untaught::Unreadable(_)) => return Err(Refusal::Unreadable),
            Err(why) => {
                debug!(%why, "nothing to learn from a copy for the journal");
                return Ok(None);
            }
        };
        let taught = self.store().learn(vec![learned], received).await;
        let taught = taught.map_err(|error| Refusal::Store(refused(&error)))?;
        Ok(Some(taught.learned > 0))
    }
}
