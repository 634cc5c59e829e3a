//! What is done with a held transaction if others of the same mail were held before: a pure function of their
//! states and of this transaction.

use crate::examine::Examination;
use crate::id::Id;
pub(super) use crate::lifecycle::QUIET;
use crate::message::Address;
use crate::message::fork::Variant;
use crate::policy::facts::ShownIn;
use crate::store::{Awaited, GroupItems, HeldState, Release};
use std::collections::HashSet;

/// What is done with a held transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ForkAction {
    /// It is the first of its mail: it becomes an item of its own.
    Begin,
    /// The item still waits for a decision: it joins the item.
    Join(Id),
    /// The mail was released, and the approver saw this recipient and these contents: it is released in the
    /// same way.
    Follow(Id, Release),
    /// The mail was released, but the approver did not see this recipient or these contents: it is held as an
    /// addendum.
    Addendum(Id),
    /// The mail was returned: this transaction is not delivered either.
    Return(Id, HeldState),
}

/// What is done with a transaction of these contents; `named` says that its header names all of its recipients.
pub(super) fn action(group: &GroupItems, variant: Variant, named: bool) -> ForkAction {
    let items = &group.items;
    // The latest item, if a mail was sent again after it was returned.
    let Some(root) = items.iter().rev().find(|item| !item.addendum) else { return ForkAction::Begin };
    // A mail that was returned can be held again after another one was sent; a mail has only one waiting
    // item.
    let waiting = items.iter().rev().find(|item| item.state == HeldState::Held);
    match root.state {
        HeldState::Held => return ForkAction::Join(root.id),
        HeldState::Returned | HeldState::Expired => {
            let again = waiting.filter(|item| !item.addendum);
            return again.map_or(ForkAction::Return(root.id, root.state), |item| ForkAction::Join(item.id));
        }
        HeldState::Released => {}
    }
    let seen = items.iter().rev().find_map(|item| {
        let release = item.release.as_ref().filter(|_| item.state == HeldState::Released)?;
        item.variants.contains(&variant).then(|| (item.id, release.clone()))
    });
    if let Some((item, release)) = seen.filter(|_| named) {
        return ForkAction::Follow(item, release);
    }
    match waiting {
        Some(open) => ForkAction::Join(open.id),
        None => ForkAction::Addendum(root.id),
    }
}

/// Visible recipients that are not recipients of this transaction.
pub(super) fn awaited(seen: &Examination) -> Vec<Awaited> {
    let came: HashSet<&str> = seen.facts.recipients.iter().map(Address::key).collect();
    let shown = seen.facts.visible.iter().filter(|visible| {
        matches!(visible.field, ShownIn::To | ShownIn::Cc | ShownIn::ResentTo | ShownIn::ResentCc)
    });
    shown
        .filter(|visible| !came.contains(visible.mailbox.address.key()))
        .map(|visible| Awaited { key: visible.mailbox.address.key().to_owned(), outside: !visible.internal })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::Disclosure;
    use crate::store::GroupItem;
    use HeldState::{Expired, Held, Released, Returned};

    fn id(number: u64) -> Id {
        Id::new(Timestamp(1_760_000_000_000), number)
    }

    fn release() -> Release {
        Release { disclosure: Disclosure::Split, ..Release::default() }
    }

    fn item(number: u64, state: HeldState, addendum: bool, variants: &[Variant]) -> GroupItem {
        let release = (state == Released).then(release);
        GroupItem { id: id(number), state, addendum, release, variants: variants.to_vec() }
    }

    #[test]
    fn every_row_of_the_table() {
        let (seen, other) = (Variant::default(), crate::message::fork::Leaves::default().finish());
        let items = |list: &[GroupItem]| GroupItems { items: list.to_vec(), token: String::new() };
        let root = |state| item(1, state, false, &[seen]);
        for (group, variant, named, expected) in [
            (vec![], seen, true, ForkAction::Begin),
            (vec![root(Held)], other, false, ForkAction::Join(id(1))),
            (vec![root(Released)], seen, true, ForkAction::Follow(id(1), release())),
            (vec![root(Released)], seen, false, ForkAction::Addendum(id(1))),
            (vec![root(Released)], other, true, ForkAction::Addendum(id(1))),
            (vec![root(Returned)], other, false, ForkAction::Return(id(1), Returned)),
            (vec![root(Expired)], seen, true, ForkAction::Return(id(1), Expired)),
            // sent again after it was returned: its forks belong to the new item
            (vec![root(Returned), item(2, Held, false, &[seen])], seen, true, ForkAction::Join(id(2))),
            (
                vec![root(Expired), item(2, Released, false, &[seen])],
                seen,
                true,
                ForkAction::Follow(id(2), release()),
            ),
            // an addendum waits: contents that were seen follow, others join it
            (
                vec![root(Released), item(2, Held, true, &[other])],
                seen,
                true,
                ForkAction::Follow(id(1), release()),
            ),
            (vec![root(Released), item(2, Held, true, &[other])], other, true, ForkAction::Join(id(2))),
            // an addendum was decided: its contents were seen, its recipients were not
            (
                vec![root(Released), item(2, Released, true, &[other])],
                other,
                true,
                ForkAction::Follow(id(2), release()),
            ),
            (
                vec![root(Released), item(2, Released, true, &[other])],
                other,
                false,
                ForkAction::Addendum(id(1)),
            ),
            // one that was returned waits again, after another one was sent
            (vec![root(Held), item(2, Released, false, &[seen])], other, true, ForkAction::Join(id(1))),
            (vec![root(Held), item(2, Returned, false, &[seen])], seen, true, ForkAction::Join(id(1))),
            (
                vec![root(Released), item(2, Returned, true, &[other])],
                other,
                true,
                ForkAction::Addendum(id(1)),
            ),
        ] {
            assert_eq!(action(&items(&group), variant, named), expected, "{group:?} {named}");
        }
    }
}
