//! What people and upstreams may expect of the relay, kept beside it: who was promised what, who decided what, and
//! what the upstream saw. It never reads the store.

use crate::person::{GIVE_UP, Person, State};
use sekisho::clock::Timestamp;
use sekisho::desk::wish::How;
use sekisho::id::Id;
use sekisho::store::{Claim, DeliveryId, Lease};
use sekisho::upstream::Fate;
use std::collections::HashMap;
use std::time::Duration;

/// What the policy demands of a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pass,
    Split,
    Delay,
    Hold,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) id: Id,
    pub(crate) state: State,
    pub(crate) addendum: bool,
    pub(crate) undo_until: Option<Timestamp>,
    pub(crate) expires: Timestamp,
    how: How,
    leaves: Option<Timestamp>,
    moved: bool,
    /// How many transactions had come when it was decided.
    came_then: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) kind: Kind,
    pub(crate) people: Vec<Person>,
    /// How many of them the header names; the others are Bcc.
    pub(crate) named: usize,
    pub(crate) items: Vec<Item>,
    /// Its transactions: id, and when they were taken back.
    pub(crate) came: Vec<(Id, Option<Timestamp>)>,
    /// When each of them came.
    times: Vec<Timestamp>,
    /// Who was new in each of them.
    new: Vec<Vec<usize>>,
    /// The first transaction since it last went back.
    first: usize,
    pub(crate) began: Timestamp,
}

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) mails: Vec<Mail>,
    /// The token, the end, and the node of each lease.
    pub(crate) leases: HashMap<DeliveryId, (i64, Timestamp, usize)>,
    /// Returned, expired or taken back: the mails of our own about a message that the upstream took.
    pub(crate) told: HashMap<Id, u32>,
}

impl Mail {
    pub(crate) fn new(kind: Kind, people: &[String], named: usize, now: Timestamp) -> Self {
        let person = |address: &String| Person::new(address, kind, now);
        let people = people.iter().map(person).collect();
        Self {
            kind,
            people,
            named,
            items: Vec::new(),
            came: Vec::new(),
            times: Vec::new(),
            new: Vec::new(),
            first: 0,
            began: now,
        }
    }

    pub(crate) fn each(&mut self, state: State, mut act: impl FnMut(&mut Person)) -> usize {
        let mut count = 0;
        for person in self.people.iter_mut().filter(|person| person.state == state) {
            act(person);
            count += 1;
        }
        count
    }

    /// The item that waits for a decision.
    pub(crate) fn waiting(&self) -> Option<usize> {
        self.items.iter().rposition(|item| item.state == State::Held)
    }

    /// A transaction for these people was committed as `id`; `until` is when a new hold of it expires. Returns
    /// whether anybody was new.
    pub(crate) fn arrives(&mut self, to: &[usize], id: Id, now: Timestamp, until: Timestamp) -> bool {
        let is = |state: State| to.iter().any(|one| self.people[*one].state == state);
        let new = [State::Absent, State::Back, State::Failed, State::Dropped];
        let fresh: Vec<usize> =
            to.iter().copied().filter(|one| new.contains(&self.people[*one].state)).collect();
        let fresh: Vec<usize> =
            fresh.into_iter().filter(|one| !self.people[*one].is_dropped_on_its_way(now)).collect();
        if fresh.is_empty() {
            return false;
        }
        let again = is(State::Back);
        let taken = !again && self.came.get(self.first).is_some_and(|first| first.1.is_some());
        self.came.push((id, None));
        self.times.push(now);
        self.new.push(fresh.clone());
        let came = self.came.len() - 1;
        if again {
            self.first = came;
        }
        let named = to.iter().all(|one| *one < self.named);
        let (state, how, due, item) = match self.kind {
            Kind::Pass => (State::Going, How::AsIs, now, 0),
            Kind::Split => (State::Going, How::Split, now, 0),
            Kind::Delay if taken => {
                self.came[came].1 = Some(now);
                (State::Back, How::Split, now.plus(Duration::from_mins(10)), 0)
            }
            Kind::Delay => (State::Going, How::Split, now.plus(Duration::from_mins(10)), 0),
            Kind::Hold => self.placed(again, named, id, now, until),
        };
        for one in fresh {
            let person = &mut self.people[one];
            person.comes(state, how, due);
            (person.item, person.came) = (item, came);
        }
        true
    }

    /// Where a transaction of a held mail belongs.
    fn placed(
        &mut self,
        again: bool,
        named: bool,
        id: Id,
        now: Timestamp,
        expires: Timestamp,
    ) -> (State, How, Timestamp, usize) {
        let item = |addendum| Item {
            id,
            state: State::Held,
            addendum,
            undo_until: None,
            expires,
            how: How::Split,
            leaves: None,
            moved: false,
            came_then: 0,
        };
        let root = self.items.iter().rposition(|item| !item.addendum && !item.moved);
        let waiting = self.waiting();
        let begin = |items: &mut Vec<Item>, addendum| {
            items.push(item(addendum));
            (State::Held, How::Split, now, items.len() - 1)
        };
        let Some(root) = root else { return begin(&mut self.items, false) };
        match self.items[root].state {
            State::Held => (State::Held, How::Split, now, root),
            State::Back => match waiting.filter(|item| !self.items[*item].addendum) {
                Some(item) => (State::Held, How::Split, now, item),
                None if again => begin(&mut self.items, false),
                None => (State::Back, How::Split, now, root),
            },
            _ => {
                let seen = self.items.iter().rposition(|item| item.state == State::Going && !item.moved);
                if let Some(seen) = seen.filter(|_| named) {
                    let item = &self.items[seen];
                    let due = item.leaves.map_or(now, |leaves| leaves.max(now));
                    return (State::Going, item.how, due, seen);
                }
                match waiting {
                    Some(item) => (State::Held, How::Split, now, item),
                    None => begin(&mut self.items, true),
                }
            }
        }
    }

    /// Somebody released what waits.
    pub(crate) fn released(
        &mut self,
        how: How,
        dropped: &[usize],
        leaves: Option<Timestamp>,
        now: Timestamp,
    ) {
        let at = self.waiting().expect("it waits");
        let item = &mut self.items[at];
        item.came_then = self.came.len();
        (item.state, item.how, item.leaves, item.undo_until) = (State::Going, how, leaves, leaves);
        let due = leaves.unwrap_or(now);
        for (number, person) in self.people.iter_mut().enumerate() {
            if person.state == State::Held && person.item == at {
                let off = dropped.contains(&number);
                person.state = if off { State::Removed } else { State::Going };
                (person.how, person.due, person.queued) = (how, due, due);
                person.attempts = 0;
            }
        }
    }

    /// What waits went back to its sender.
    pub(crate) fn went_back(&mut self, undo_until: Option<Timestamp>) {
        let at = self.waiting().expect("it waits");
        (self.items[at].state, self.items[at].undo_until) = (State::Back, undo_until);
        self.items[at].came_then = self.came.len();
        self.each(State::Held, |person| person.state = State::Back);
    }

    /// Whether a release can still be undone.
    pub(crate) fn can_be_undone(&self, item: usize, now: Timestamp) -> bool {
        let unsent = |person: &&Person| {
            person.item == item && !matches!(person.state, State::Absent | State::Held | State::Back)
        };
        let whole = self.people.iter().filter(unsent).all(|person| {
            person.state == State::Removed
                || person.state == State::Dropped && person.attempts == 0
                || person.state == State::Going && person.due > now && person.attempts == 0
        });
        self.items[item].undo_until.is_some_and(|until| until > now) && whole
    }

    /// A decision on an item was undone: it waits again.
    pub(crate) fn waits_again(&mut self, item: usize, expires: Timestamp) {
        let into = self.waiting().unwrap_or(item);
        let state = self.items[item].state;
        for person in &mut self.people {
            let with = match state {
                State::Back => person.state == State::Back,
                _ => matches!(person.state, State::Going | State::Removed | State::Dropped),
            };
            if with && person.item == item {
                (person.state, person.item) = (State::Held, into);
            }
        }
        self.items[item].moved = into != item;
        if !self.items[item].addendum {
            // What was an addendum to it is the mail's item now.
            self.items[into].addendum = false;
        }
        if into == item {
            self.items[item].state = State::Held;
            (self.items[item].undo_until, self.items[item].expires) = (None, expires);
        }
    }

    /// Whether the members of an item were moved into another one.
    pub(crate) fn moved(&self, item: usize) -> bool {
        self.items[item].moved
    }

    /// Whether another transaction came after the decision on an item: it may have been sent again.
    pub(crate) fn came_since(&self, item: usize) -> bool {
        self.came.len() > self.items[item].came_then
    }

    /// Whether a copy is put off and was never tried.
    pub(crate) fn is_put_off(person: &Person, now: Timestamp) -> bool {
        person.state == State::Going && person.due > now && person.attempts == 0
    }

    /// The sender took back what is put off; returns how many people that concerns.
    pub(crate) fn taken_back(&mut self, now: Timestamp) -> usize {
        let (came, mut count) = (&mut self.came, 0);
        for person in self.people.iter_mut().filter(|person| Self::is_put_off(person, now)) {
            person.state = State::Back;
            came[person.came].1 = Some(now);
            count += 1;
        }
        count
    }

    /// Taking back was undone by this transaction: for all that came from an hour before it on, where nothing was sent
    /// again since. Returns how many people that concerns.
    pub(crate) fn untaken(&mut self, by: usize, now: Timestamp) -> usize {
        let (mut count, day) = (0, Duration::from_hours(24));
        let since = self.times[by].minus(Duration::from_hours(1));
        for came in 0..self.came.len() {
            if self.times[came] < since {
                continue;
            }
            let again = self.new[came + 1..].iter().flatten().any(|one| self.new[came].contains(one));
            let in_time = self.came[came].1.is_some_and(|at| at > now.minus(day));
            if again || !in_time {
                continue;
            }
            self.came[came].1 = None;
            let taken = |person: &&mut Person| person.state == State::Back && person.came == came;
            for person in self.people.iter_mut().filter(taken) {
                (person.state, person.due) = (State::Going, person.queued.max(now));
                count += 1;
            }
        }
        count
    }
}

impl Model {
    /// The mail and the number of a recipient.
    pub(crate) fn person(&mut self, address: &str) -> Option<&mut Person> {
        self.mails.iter_mut().flat_map(|mail| &mut mail.people).find(|person| person.address == address)
    }

    pub(crate) fn is_current(&self, lease: Lease) -> bool {
        self.leases.get(&lease.delivery).is_some_and(|(token, ..)| *token == lease.token)
    }

    /// A node claimed a copy.
    pub(crate) fn claimed(&mut self, claim: &Claim, node: usize, now: Timestamp, until: Timestamp) {
        let before = self.leases.insert(claim.lease.delivery, (claim.lease.token, until, node));
        if let Some((token, ends, _)) = before {
            assert!(ends <= now, "claimed while another node has a lease on it until {ends}");
            assert!(token < claim.lease.token, "the fencing token did not grow");
        }
        for to in claim.delivery.recipients() {
            let Some(person) = self.person(to.address.as_str()) else { continue };
            assert_eq!(person.state, State::Going, "claimed for {}", person.address);
            if before.is_some() {
                person.lost = true;
            } else {
                assert!(person.due <= now, "{} is not due before {}", person.address, person.due);
            }
            person.attempts += 1;
            assert_eq!(person.attempts, claim.attempt, "attempts for {}", person.address);
            assert!(
                now.since(person.queued) < GIVE_UP + Duration::from_hours(12),
                "{} is tried for too long",
                person.address
            );
            assert!(!person.may_have_it() || claim.possible_duplicate, "{} is not marked", person.address);
            person.lease = Some(claim.lease);
        }
    }

    /// The leases that a node renewed, as it believes.
    pub(crate) fn renewed(&mut self, leases: &[Lease], until: Timestamp) {
        for lease in leases {
            if self.is_current(*lease)
                && let Some((_, ends, _)) = self.leases.get_mut(&lease.delivery)
            {
                *ends = until;
            }
        }
    }

    /// A node (or each) lost what it had in memory, and recovered.
    pub(crate) fn recovered(&mut self, node: Option<usize>, now: Timestamp) {
        let lost = |of: usize| node.is_none_or(|node| node == of);
        let leases: HashMap<_, _> = self.leases.extract_if(|_, (.., of)| lost(*of)).collect();
        for person in self.mails.iter_mut().flat_map(|mail| &mut mail.people) {
            if person.lease.is_some_and(|lease| leases.contains_key(&lease.delivery)) {
                (person.lost, person.due, person.lease) = (true, now, None);
            }
        }
    }

    /// The upstream took a copy for this recipient, in which these addresses can be read.
    pub(crate) fn took(&mut self, to: &str, lease: Lease, shows: &str) {
        assert!(self.is_current(lease), "sent under a lease that another node has taken over");
        let mail = self.mails.iter().find(|mail| mail.people.iter().any(|person| person.address == to));
        let Some(mail) = mail else { return };
        let me = mail.people.iter().find(|person| person.address == to).expect("it is one of them");
        assert!(matches!(me.state, State::Going | State::Dropped), "sent to {to}, who is {:?}", me.state);
        for (number, other) in mail.people.iter().enumerate().filter(|(_, other)| other.address != to) {
            // As-is shows what the sender wrote, without those whom the approver of this item took off.
            let off = other.state == State::Removed && other.item == me.item;
            let hidden = me.how != How::AsIs || number >= mail.named || off;
            assert!(!hidden || !shows.contains(&other.address), "{to} sees {}", other.address);
        }
        let person = self.person(to).expect("it was found");
        assert!(person.took == 0 || person.may_have_it(), "{to} gets it twice without a reason");
        person.took += 1;
    }

    /// What a node recorded, and whether the store took it.
    pub(crate) fn recorded(&mut self, claim: &Claim, fates: &[Fate], taken: bool, now: Timestamp) {
        assert_eq!(taken, self.is_current(claim.lease), "the fencing of {:?}", claim.lease);
        if !taken {
            return;
        }
        self.leases.remove(&claim.lease.delivery);
        for (to, fate) in claim.delivery.recipients().iter().zip(fates) {
            let Some(person) = self.person(to.address.as_str()) else { continue };
            person.ended(claim.lease, fate, now);
        }
    }
}
