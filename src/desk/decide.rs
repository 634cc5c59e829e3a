//! Decisions on held messages: who may release what, release and return.
//!
//! | held for | sender, by link | another person |
//! |---|---|---|
//! | only `ask` | split, take back | also bcc, as-is, drop recipients |
//! | a `hold` rule | take back | everything |
//! | the audit, unparseable | take back | as-is, acknowledging each named place; split or bcc only if the audit is clean |

use super::{Desk, DeskError};
use crate::examine::{Examination, Examiner};
use crate::id::Id;
use crate::journal::Event;
use crate::message::Address;
use crate::policy::Disclosure;
use crate::rewrite::Hit;
use crate::rewrite::plan::{Copies, Stamp};
use crate::store::{
    DeliveryState, HeldDecision, HeldState, HoldKind, InitialState, NewDelivery, NewNotice, NoticeKind,
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

/// How a message is released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// A copy of one's own for each.
    #[default]
    Split,
    /// One text for all, nobody named.
    Bcc,
    /// As the sender wrote it: everybody sees everybody.
    AsIs,
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Split => "split",
            Self::Bcc => "bcc",
            Self::AsIs => "as-is",
        })
    }
}

/// Who decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "actor")]
pub enum Actor {
    /// The sender, through a link in a notice: only ever what is safe.
    Sender {
        /// Whom the link was sent to.
        address: Address,
    },
    /// The administrator, on the command line.
    Admin {
        /// The operating system's user.
        user: String,
    },
}

impl Actor {
    /// The name that the record keeps.
    pub fn name(&self) -> &str {
        match self {
            Self::Sender { address } => address.as_str(),
            Self::Admin { user } => user,
        }
    }

    /// Whether this actor may release a message held for that reason in that way.
    pub fn may_release(&self, kind: HoldKind, how: How, drops: bool) -> bool {
        match self {
            Self::Admin { .. } => true,
            Self::Sender { .. } => kind == HoldKind::Ask && how == How::Split && !drops,
        }
    }
}

/// What a release did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// Which message.
    pub id: Id,
    /// How.
    pub how: How,
    /// How many copies leave.
    pub copies: usize,
    /// To whom.
    pub recipients: Vec<String>,
    /// Who was taken off.
    pub dropped: Vec<String>,
    /// Who had it already, before the second lock stopped the rest.
    pub had_it_already: Vec<String>,
    /// Places with hidden addresses that were acknowledged.
    pub acknowledged: Vec<Hit>,
}

impl Desk {
    /// Releases a held message: examines, plans and audits it anew, and commits the copies with the
    /// decision in one transaction. When the audit finds something, nothing changes.
    pub async fn release(
        &self,
        actor: &Actor,
        id: Id,
        how: How,
        drop: &[Address],
    ) -> Result<Released, DeskError> {
        let message = self.store.message(id).await?;
        let held = message.held.clone().ok_or(DeskError::NeverHeld(id))?;
        if !actor.may_release(held.kind, how, !drop.is_empty()) {
            return Err(DeskError::NotAllowed(format!(
                "{} may not release this message as {how}: another person has to",
                actor.name()
            )));
        }
        let recipients: HashSet<&Address> = message.envelope.recipients.iter().map(|r| &r.address).collect();
        if let Some(stranger) = drop.iter().find(|address| !recipients.contains(address)) {
            return Err(DeskError::NoRecipient(stranger.clone()));
        }
        let examiner = self.examiner.borrow().clone();
        let seen = self.examine(&examiner, &message).await?;
        let (copies, acknowledged) = plan(&examiner, &seen, &self.stamp(&message), how, drop)?;
        let already = self.delivered_already(id).await?;
        let deliveries: Vec<NewDelivery> = copies
            .deliveries
            .iter()
            .map(|delivery| delivery.only_for(|address| !already.contains(address)))
            .filter(|delivery| !delivery.recipients().is_empty())
            .map(|delivery| NewDelivery { delivery, state: InitialState::Ready })
            .collect();
        if deliveries.is_empty() {
            return Err(DeskError::NobodyLeft);
        }
        let released = Released {
            id,
            how,
            copies: deliveries.len(),
            recipients: deliveries
                .iter()
                .flat_map(|new| new.delivery.recipients())
                .map(|recipient| recipient.address.to_string())
                .collect(),
            dropped: drop.iter().map(ToString::to_string).collect(),
            had_it_already: already.iter().map(ToString::to_string).collect(),
            acknowledged,
        };
        let event = Event::Released {
            by: actor.name().to_owned(),
            how: how_recorded(&released),
            dropped: released.dropped.clone(),
        };
        self.store
            .decide(HeldDecision {
                id,
                state: HeldState::Released,
                by: actor.name().to_owned(),
                at: self.now(),
                decision: how.to_string(),
                deliveries,
                needles: copies.needles,
                ledger: copies.ledger,
                notices: Vec::new(),
                events: vec![event],
            })
            .await?;
        self.wake();
        Ok(released)
    }

    /// Gives a held message back to its sender.
    pub async fn give_back(&self, actor: &Actor, id: Id, reason: &str) -> Result<(), DeskError> {
        let message = self.store.message(id).await?;
        if message.held.is_none() {
            return Err(DeskError::NeverHeld(id));
        }
        let now = self.now();
        let event = Event::Returned { by: actor.name().to_owned(), reason: reason.to_owned() };
        self.store
            .decide(HeldDecision {
                id,
                state: HeldState::Returned,
                by: actor.name().to_owned(),
                at: now,
                decision: reason.to_owned(),
                deliveries: Vec::new(),
                needles: Vec::new(),
                ledger: None,
                notices: vec![NewNotice { kind: NoticeKind::Returned, due: now }],
                events: vec![event],
            })
            .await?;
        self.wake();
        Ok(())
    }

    /// Who has a copy already: after the second lock stopped a message half way, a release concerns
    /// only the rest.
    async fn delivered_already(&self, id: Id) -> Result<HashSet<Address>, DeskError> {
        let rows = self.store.deliveries(id).await?;
        let delivered = rows.into_iter().filter(|row| row.state == DeliveryState::Delivered);
        Ok(delivered.flat_map(|row| row.recipients).filter_map(|text| Address::parse(&text).ok()).collect())
    }
}

fn plan(
    examiner: &Examiner,
    seen: &Examination,
    stamp: &Stamp,
    how: How,
    drop: &[Address],
) -> Result<(Copies, Vec<Hit>), DeskError> {
    let disclosure = match how {
        How::Split => Disclosure::Split,
        How::Bcc => Disclosure::Bcc,
        How::AsIs => Disclosure::AsIs,
    };
    let unreadable = seen.index.as_ref().err().or(seen.facts.problems.first());
    if let Some(why) = unreadable
        && how != How::AsIs
    {
        return Err(DeskError::Unreadable(why.clone()));
    }
    match examiner.copies(seen, disclosure, stamp, drop) {
        Ok(copies) => Ok((copies, Vec::new())),
        Err(hits) if how == How::AsIs => Ok((examiner.as_written(seen, stamp, drop), hits)),
        Err(hits) => Err(DeskError::Audit(hits)),
    }
}

/// How a release is written down: with the places that were acknowledged.
fn how_recorded(released: &Released) -> String {
    let mut places: Vec<&str> = released.acknowledged.iter().map(|hit| hit.place.as_str()).collect();
    places.dedup();
    if places.is_empty() {
        released.how.to_string()
    } else {
        format!("{}, acknowledging {}", released.how, places.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_only_ever_does_what_is_safe() {
        let admin = Actor::Admin { user: "root".to_owned() };
        for kind in [HoldKind::Ask, HoldKind::Rule, HoldKind::Unsafe] {
            for how in [How::Split, How::Bcc, How::AsIs] {
                for drops in [false, true] {
                    let safe = kind == HoldKind::Ask && how == How::Split && !drops;
                    let sender = Actor::Sender { address: Address::parse("a@example.jp").unwrap() };
                    assert_eq!(sender.may_release(kind, how, drops), safe, "{kind:?} {how} {drops}");
                    assert!(admin.may_release(kind, how, drops));
                }
            }
        }
    }
}
