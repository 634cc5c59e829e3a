//! Several upstreams for the same mail: those of the lowest priority share it by weight, the next
//! stand in while none of them can be reached.

use super::guard::Guarded;
use super::{Fate, Outcome, Transaction, Upstream};
use crate::clock::Entropy;
use async_trait::async_trait;
use std::sync::Arc;

/// One of them.
pub struct Member {
    /// Lower is tried first.
    pub priority: u16,
    /// Its share among those of one priority.
    pub weight: u16,
    /// The way itself.
    pub way: Guarded,
}

/// See the module.
pub struct Group {
    /// By priority.
    members: Vec<Member>,
    entropy: Arc<dyn Entropy>,
}

impl Group {
    /// At least one member.
    pub fn new(mut members: Vec<Member>, entropy: Arc<dyn Entropy>) -> Self {
        members.sort_by_key(|member| member.priority);
        Self { members, entropy }
    }

    /// The order of this attempt: by priority, and by lot within one.
    fn order(&self) -> Vec<&Member> {
        let mut order = Vec::new();
        for equals in self.members.chunk_by(|one, next| one.priority == next.priority) {
            let mut left: Vec<&Member> = equals.iter().collect();
            while !left.is_empty() {
                let weights: u64 = left.iter().map(|member| u64::from(member.weight)).sum();
                let mut lot = self.entropy.bits() % weights.max(1);
                let chosen = left
                    .iter()
                    .position(|member| {
                        let weight = u64::from(member.weight);
                        let hit = lot < weight;
                        lot = lot.saturating_sub(weight);
                        hit
                    })
                    .unwrap_or(0);
                order.push(left.remove(chosen));
            }
        }
        order
    }
}

#[async_trait]
impl Upstream for Group {
    fn name(&self) -> &str {
        self.members.first().map_or("", |member| member.way.name())
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let recipients = transaction.recipients.len();
        let (mut postponed, mut unreachable): (Option<Outcome>, Option<Outcome>) = (None, None);
        let mut paced_at = None;
        for member in self.order() {
            // a way that works and only keeps to its rate has no stand-in of another priority
            if paced_at.is_some_and(|priority| priority != member.priority) {
                break;
            }
            let outcome = member.way.send(transaction, Arc::clone(&last_look)).await;
            if outcome.unreachable && transaction.is_whole() {
                tracing::warn!(upstream = member.way.name(), why = outcome.reason(), "an upstream failed");
                unreachable = Some(outcome);
            } else if let Some(Fate::Postponed(_, until)) = outcome.recipients.first() {
                let earlier = match postponed.as_ref().and_then(|kept| kept.recipients.first()) {
                    Some(Fate::Postponed(_, kept)) => until < kept,
                    _ => true,
                };
                if member.way.is_open() {
                    paced_at = Some(member.priority);
                }
                if earlier {
                    postponed = Some(outcome);
                }
            } else {
                return outcome;
            }
        }
        match (paced_at, postponed, unreachable) {
            (Some(_), Some(postponed), _) | (None, Some(postponed), None) => postponed,
            (_, _, Some(unreachable)) => unreachable,
            _ => Outcome::unreachable(recipients, "4.3.5 there is no upstream"),
        }
    }

    async fn probe(&self) -> Result<String, String> {
        let mut said = Vec::new();
        for member in &self.members {
            said.push(member.way.probe().await?);
        }
        Ok(said.join("; "))
    }

    async fn close(&self) {
        for member in &self.members {
            member.way.close().await;
        }
    }
}
