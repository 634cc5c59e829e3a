//! Several upstreams for the same mail. Those with the lowest `priority` value share it by weight; those
//! with the next value are used while none of the first can be reached.

use super::guard::Guarded;
use super::{Fate, Outcome, Transaction, Upstream};
use crate::clock::Entropy;
use async_trait::async_trait;
use std::sync::Arc;

/// One upstream of a group.
pub struct Member {
    /// Lower is tried first.
    pub priority: u16,
    /// Its share of the mail among upstreams of the same priority.
    pub weight: u16,
    /// The upstream.
    pub upstream: Guarded,
}

/// A group of upstreams; see the module documentation.
pub struct UpstreamGroup {
    /// Sorted by priority.
    members: Vec<Member>,
    entropy: Arc<dyn Entropy>,
}

impl UpstreamGroup {
    /// A group of these members, of which there must be at least one.
    pub fn new(mut members: Vec<Member>, entropy: Arc<dyn Entropy>) -> Self {
        members.sort_by_key(|member| member.priority);
        Self { members, entropy }
    }

    /// The order in which to try the members: by priority, and at random by weight within one priority.
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
impl Upstream for UpstreamGroup {
    fn name(&self) -> &str {
        self.members.first().map_or("", |member| member.upstream.name())
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
            // an upstream that works and has only reached its rate is not replaced by a lower priority
            if paced_at.is_some_and(|priority| priority != member.priority) {
                break;
            }
            let outcome = member.upstream.send(transaction, Arc::clone(&last_look)).await;
            if outcome.unreachable && transaction.is_whole() {
                tracing::warn!(
                    upstream = member.upstream.name(),
                    why = outcome.reason(),
                    "an upstream failed"
                );
                unreachable = Some(outcome);
            } else if let Some(Fate::Postponed(_, until)) = outcome.recipients.first() {
                let earlier = match postponed.as_ref().and_then(|kept| kept.recipients.first()) {
                    Some(Fate::Postponed(_, kept)) => until < kept,
                    _ => true,
                };
                if member.upstream.is_working() {
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
            said.push(member.upstream.probe().await?);
        }
        Ok(said.join("; "))
    }

    async fn close(&self) {
        for member in &self.members {
            member.upstream.close().await;
        }
    }
}
