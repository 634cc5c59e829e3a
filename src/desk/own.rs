//! The mail that a person sent: its state, and what they can still do.

use super::principal::Principal;
use super::{Desk, DeskError};
use crate::clock::Timestamp;
use crate::store::{DeliveryState, HeldState, RecentRow};

/// Most mails that are shown.
const MOST: usize = 50;

/// The state of a mail, for its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailState {
    /// It was sent as it was written.
    AsWritten,
    /// It was sent individually, or names nobody outside.
    Apart,
    /// It is being sent.
    Leaving,
    /// It will be sent at this time.
    Waits(Timestamp),
    /// This many copies could not be delivered.
    Undelivered(usize),
    /// It is held.
    Held,
    /// An approver returned it.
    Returned,
    /// The hold expired.
    Expired,
    /// The sender took it back.
    TakenBack,
    /// It was rejected when it came, or removed from the queue.
    Refused,
}

/// What the sender can still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Can {
    /// Take it back.
    TakeBack,
    /// Send it now.
    SendNow,
    /// Undo the taking back.
    Undo,
    /// See the hold, and decide if they may.
    Decide,
}

/// One of a person's own mails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// The mail.
    pub row: RecentRow,
    /// Its state.
    pub stands: MailState,
    /// What can still be done.
    pub can: Vec<Can>,
}

impl Desk {
    /// The newest mails of a person.
    ///
    /// # Errors
    /// The store failed.
    pub async fn own(&self, who: &Principal) -> Result<Vec<Own>, DeskError> {
        let keys: Vec<String> = who.addresses.iter().map(|address| address.key().to_owned()).collect();
        let now = self.clock.now();
        let rows = self.store.recent(&keys, MOST).await?;
        Ok(rows.into_iter().map(|row| own(row, now)).collect())
    }
}

fn own(row: RecentRow, now: Timestamp) -> Own {
    let stands = stands(&row, now);
    let undo = row.undo_until.is_some_and(|until| now < until);
    let can = match stands {
        MailState::Waits(_) => vec![Can::TakeBack, Can::SendNow],
        MailState::Held => vec![Can::Decide, Can::TakeBack],
        MailState::TakenBack if undo => vec![Can::Undo],
        _ => Vec::new(),
    };
    Own { row, stands, can }
}

fn stands(row: &RecentRow, now: Timestamp) -> MailState {
    match &row.held {
        Some((HeldState::Held, ..)) => return MailState::Held,
        Some((HeldState::Returned, ..)) if row.undo_until.is_some() => return MailState::TakenBack,
        Some((HeldState::Returned, ..)) => return MailState::Returned,
        Some((HeldState::Expired, ..)) => return MailState::Expired,
        Some((HeldState::Released, ..)) | None => {}
    }
    let copies =
        |states: &[DeliveryState]| -> usize { states.iter().filter_map(|state| row.copies.get(state)).sum() };
    let all: usize = row.copies.values().sum();
    let failed = copies(&[DeliveryState::Failed]);
    let delivered = copies(&[DeliveryState::Delivered]);
    if let Some(leaves) = row.leaves.filter(|leaves| now < *leaves) {
        return MailState::Waits(leaves);
    }
    if row.held.is_none() && row.undo_until.is_some() {
        return MailState::TakenBack;
    }
    if failed > 0 {
        return MailState::Undelivered(failed);
    }
    if all == 0 || copies(&[DeliveryState::Dropped]) == all {
        return MailState::Refused;
    }
    if delivered < all {
        return MailState::Leaving;
    }
    let way = row.held.as_ref().map_or(Some(row.action.as_str()), |(_, decision, _)| decision.as_deref());
    if matches!(way, Some("split" | "bcc")) { MailState::Apart } else { MailState::AsWritten }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Id;
    use std::collections::BTreeMap;

    const NOW: Timestamp = Timestamp(1_790_000_000_000);

    fn row(action: &str, held: Option<(HeldState, &str)>, copies: &[(DeliveryState, usize)]) -> RecentRow {
        let id = Id::new(NOW, 0);
        RecentRow {
            id,
            received: NOW,
            subject: String::new(),
            recipients: Vec::new(),
            recipient_count: 2,
            action: action.to_owned(),
            held: held.map(|(state, how)| (state, Some(how.to_owned()), id)),
            undo_until: None,
            copies: copies.iter().copied().collect::<BTreeMap<_, _>>(),
            leaves: None,
        }
    }

    #[test]
    fn how_a_mail_stands_and_what_can_be_done() {
        use DeliveryState::{Delivered, Dropped, Failed, Ready, Waiting};
        let later = Some(NOW.plus(std::time::Duration::from_mins(5)));
        let (soon, before) = (later, Some(NOW.minus(std::time::Duration::from_mins(5))));
        let with = |mut row: RecentRow, leaves, undo| {
            row.leaves = leaves;
            row.undo_until = undo;
            row
        };
        for (row, wanted, can) in [
            (row("pass", None, &[(Delivered, 1)]), MailState::AsWritten, vec![]),
            (row("split", None, &[(Delivered, 2)]), MailState::Apart, vec![]),
            (row("split", None, &[(Delivered, 1), (Ready, 1)]), MailState::Leaving, vec![]),
            (row("pass", None, &[(Delivered, 1), (Failed, 1)]), MailState::Undelivered(1), vec![]),
            (row("pass", None, &[(Dropped, 1)]), MailState::Refused, vec![]),
            (row("reject", None, &[]), MailState::Refused, vec![]),
            (
                with(row("delay", None, &[(Waiting, 1)]), soon, None),
                MailState::Waits(soon.unwrap()),
                vec![Can::TakeBack, Can::SendNow],
            ),
            (with(row("delay", None, &[(Waiting, 1)]), before, None), MailState::Leaving, vec![]),
            (with(row("delay", None, &[(Dropped, 1)]), None, later), MailState::TakenBack, vec![Can::Undo]),
            (with(row("delay", None, &[(Dropped, 1)]), None, before), MailState::TakenBack, vec![]),
            (
                row("hold", Some((HeldState::Held, "")), &[]),
                MailState::Held,
                vec![Can::Decide, Can::TakeBack],
            ),
            (row("hold", Some((HeldState::Returned, "no")), &[]), MailState::Returned, vec![]),
            (
                with(row("hold", Some((HeldState::Returned, "")), &[]), None, later),
                MailState::TakenBack,
                vec![Can::Undo],
            ),
            (row("hold", Some((HeldState::Expired, "")), &[]), MailState::Expired, vec![]),
            (row("hold", Some((HeldState::Released, "split")), &[(Delivered, 2)]), MailState::Apart, vec![]),
            (
                row("hold", Some((HeldState::Released, "as-is")), &[(Delivered, 1)]),
                MailState::AsWritten,
                vec![],
            ),
            (row("hold", Some((HeldState::Released, "as-is")), &[(Ready, 1)]), MailState::Leaving, vec![]),
        ] {
            let found = own(row.clone(), NOW);
            assert_eq!((found.stands, found.can), (wanted, can), "{row:?}");
        }
    }
}
