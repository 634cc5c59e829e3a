//! The end of a history: time runs on until nothing is due, and then every promise is checked.

use crate::person::State;
use crate::world::{START, World};
use sekisho::journal::Event;
use sekisho::store::DeliveryState::{
    self, Delivered, Dropped, Failed, Paused, Ready, Sending, Uncertain, Waiting,
};
use sekisho::store::QueueFilter;
use std::collections::HashMap;
use std::time::Duration;

/// More rounds than any history needs: thirty copies that are put off for five days have some 4,000 tries.
const ROUNDS: usize = 10_000;

/// The states of all deliveries, to check that each moves only where it may.
pub(crate) type Seen = HashMap<String, DeliveryState>;

fn may_follow(from: DeliveryState, to: DeliveryState) -> bool {
    match from {
        Ready | Waiting | Uncertain => !matches!(to, Delivered | Failed),
        Sending => !matches!(to, Paused),
        // A copy that was on its way when it was dropped may have arrived; what was taken back may wait again.
        Dropped => matches!(to, Dropped | Delivered | Failed | Waiting),
        Paused => matches!(to, Paused | Ready | Dropped),
        Delivered | Failed => to == from,
    }
}

impl World<'_> {
    /// Compares the states of all deliveries with those of the step before. `several` steps may have happened.
    pub(crate) async fn look(&mut self, seen: &mut Seen) {
        let all = QueueFilter { all: true, ..QueueFilter::default() };
        for row in self.stores[0].queue(&all).await.unwrap() {
            let before = seen.insert(row.id.clone(), row.state);
            let fine = before.is_none_or(|before| before == row.state || may_follow(before, row.state));
            assert!(fine, "{} was {before:?}, and is {}", row.id, row.state);
        }
    }

    /// Lets time run until nothing is due any more.
    pub(crate) async fn settle(&mut self, seen: &mut Seen) {
        self.settling = true;
        self.say("from now on nothing goes wrong");
        for node in &mut self.nodes {
            node.frozen = false;
        }
        for _ in 0..ROUNDS {
            self.expire().await;
            self.tell().await;
            self.look(seen).await;
            self.claim(0, 50).await;
            for node in 0..2 {
                while !self.nodes[node].jobs.is_empty() {
                    self.look(seen).await;
                    self.go_on(node).await;
                }
            }
            self.look(seen).await;
            let held = self.model.mails.iter().filter_map(|mail| Some(mail.items[mail.waiting()?].expires));
            let held = held.min().map(|expires| expires.plus(Duration::from_millis(1)));
            let due =
                [self.stores[0].next_due().await.unwrap(), self.stores[0].next_notice().await.unwrap(), held];
            let Some(next) = due.into_iter().flatten().min() else { return };
            let span = next.since(self.now());
            if !span.is_zero() {
                self.pass(span).await;
            }
        }
        panic!("it never ends");
    }

    pub(crate) async fn check(&self) {
        for mail in &self.model.mails {
            for person in mail.people.iter().filter(|person| person.acked) {
                let fine = match person.state {
                    State::Delivered => person.took > 0,
                    State::Failed => person.reports > 0,
                    State::Back | State::Removed | State::Dropped => true,
                    State::Absent | State::Going | State::Held => false,
                };
                assert!(fine, "{} got a 250, and is lost: {person:?}", person.address);
            }
            // Whoever has mail back was told.
            let back = mail.items.iter().any(|item| item.state == State::Back);
            let ids = mail.came.iter().map(|came| &came.0).chain(mail.items.iter().map(|item| &item.id));
            let told: u32 = ids.filter_map(|id| self.model.told.get(id)).sum();
            assert!(!back || told > 0, "nobody was told that {:?} went back", mail.items);
            self.journals(mail).await;
        }
        let verified = self.stores[0].verify_chain().await.unwrap();
        assert_eq!(verified.broken, None);
        assert!(self.now().since(START) < Duration::from_hours(24 * 24), "it took too long");
    }

    /// Each transaction has its entries, and the decisions stand in the journal.
    async fn journals(&self, mail: &crate::model::Mail) {
        for (id, _) in &mail.came {
            let journal = self.stores[0].journal(*id).await.unwrap();
            let count =
                |wanted: fn(&Event) -> bool| journal.iter().filter(|entry| wanted(&entry.event)).count();
            assert_eq!(count(|event| matches!(event, Event::Accepted { .. })), 1, "{id}");
            let ended = count(|event| {
                matches!(event, Event::Released { .. } | Event::Returned { .. } | Event::Expired {})
            });
            let item = mail.items.iter().find(|item| item.id == *id);
            let decided = item.is_some_and(|item| item.state == State::Going);
            assert!(!decided || ended > 0, "a release of {id} is not in the journal");
        }
    }
}
