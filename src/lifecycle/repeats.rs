//! Repeated messages: the same message is not accepted twice within a day. For each recipient this decides whether
//! the same fork arrived before, and what became of it.

use super::Refusal;
use crate::clock::Timestamp;
use crate::id::Id;
use crate::message::Fork;
use crate::records::HeldState;
use std::collections::HashSet;
use std::time::Duration;

/// How long a repeat is recognised.
pub const SPAN: Duration = Duration::from_hours(24);

/// An earlier message, as far as a repeat depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub id: Id,
    /// Its fork.
    pub fork: Fork,
    /// When it was received.
    pub received: Timestamp,
    /// Its recipients, in comparison form.
    pub people: HashSet<String>,
    /// The recipients whose copies were all [given up](super::delivery::Progress::is_given_up).
    pub given_up: HashSet<String>,
    /// The state of its hold, if it was ever held.
    pub held: Option<HeldState>,
    /// Whether its sender took it back and did not undo that.
    pub taken_back: bool,
}

impl Earlier {
    /// Whether a message with this fork, received then, is a repeat of it.
    pub fn is_same(&self, fork: &Fork, received: Timestamp) -> bool {
        self.fork == *fork && self.received > received.minus(SPAN)
    }

    /// Whether it was returned to its sender. If the sender sends it again, that is a new mail.
    pub fn went_back(&self) -> bool {
        self.taken_back || self.held.is_some_and(went_back)
    }

    /// Whether this recipient was to get it, and still may, or had it returned with the rest. The copies of a message
    /// that waits for a decision, or was returned, were withdrawn (by the final check, by an undone release, or by its
    /// sender): they have not failed.
    fn stands_for(&self, recipient: &str) -> bool {
        let withdrawn = self.taken_back || self.held.is_some_and(|held| held != HeldState::Released);
        self.people.contains(recipient) && (withdrawn || !self.given_up.contains(recipient))
    }
}

/// Whether a mail in this state was returned to its sender.
pub fn went_back(state: HeldState) -> bool {
    matches!(state, HeldState::Returned | HeldState::Expired)
}

/// What is known of earlier copies of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// Recipients for whom this fork arrived before and neither failed nor was returned, in comparison form.
    pub known: HashSet<String>,
    /// The latest message it arrived as, and whether that one waits for a decision.
    pub latest: Option<(Id, bool)>,
    /// Whether it arrived for one of these recipients and was returned to its sender. Then it was sent again, and
    /// earlier copies do not matter.
    pub back: bool,
    /// Those of the others who may have a copy of an earlier transaction, whichever, in comparison form: another one may
    /// be a duplicate.
    pub uncertain: HashSet<String>,
}

impl Before {
    /// Adds the latest message of the same fork for one recipient.
    pub fn add(&mut self, recipient: &str, earlier: &Earlier) {
        if !earlier.stands_for(recipient) {
            return;
        }
        if earlier.went_back() {
            self.back = true;
        } else {
            self.known.insert(recipient.to_owned());
            self.latest = Some((earlier.id, earlier.held == Some(HeldState::Held)));
        }
    }

    /// Refuses a message that repeats an earlier one for all of its recipients.
    ///
    /// # Errors
    /// [`Refusal::Known`], with the message it repeats.
    pub fn something_new<'a>(&self, mut recipients: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
        match self.latest {
            Some((original, held)) if recipients.all(|one| self.known.contains(one)) => {
                Err(Refusal::Known { original, held })
            }
            _ => Ok(()),
        }
    }
}

/// Whether a message was sent again since to one of its recipients: then undoing a take-back would send them two.
/// `later` are the later transactions of its mail.
pub fn sent_again<'a, P: IntoIterator<Item = &'a str>>(
    fork: Option<Fork>,
    people: impl IntoIterator<Item = &'a str>,
    later: impl IntoIterator<Item = (Option<Fork>, P)>,
) -> bool {
    let people: HashSet<&str> = people.into_iter().collect();
    later.into_iter().any(|(other, to)| other == fork && to.into_iter().any(|one| people.contains(one)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::fork::Variant;
    use crate::message::{Header, fork::Leaves};

    const NOW: Timestamp = Timestamp(1_760_000_000_000);

    fn fork(subject: &str) -> Fork {
        let header =
            format!("Date: Mon, 6 Oct 2025 10:00:00 +0900\r\nMessage-ID: <1@x>\r\nSubject: {subject}\r\n");
        let header = Header::parse(bytes::Bytes::from(header)).unwrap();
        let variant: Variant = Leaves::default().finish();
        Fork::of(None, &header, variant, None).unwrap()
    }

    fn set(people: &[&str]) -> HashSet<String> {
        people.iter().map(|one| (*one).to_owned()).collect()
    }

    fn earlier() -> Earlier {
        Earlier {
            id: Id::new(NOW, 1),
            fork: fork("one"),
            received: NOW,
            people: set(&["a", "b"]),
            given_up: set(&["b"]),
            held: None,
            taken_back: false,
        }
    }

    /// The copies of a returned message were withdrawn, by the final check or an undone release: it may come again.
    #[test]
    fn what_was_withdrawn_and_returned_may_come_again() {
        for (held, back) in
            [(HeldState::Held, false), (HeldState::Returned, true), (HeldState::Expired, true)]
        {
            let mut before = Before::default();
            before.add("b", &Earlier { held: Some(held), ..earlier() });
            assert_eq!(before.back, back, "{held}");
        }
    }

    /// The hold's state; whether it was taken back; for `a` (has it), `b` (given up) and `c` (not a recipient): what is
    /// known, and whether it was returned.
    #[test]
    fn every_row_of_the_table() {
        use HeldState::{Expired, Held, Released, Returned};
        for (held, taken_back, known, back) in [
            (None, false, &["a"][..], false),
            (Some(Held), false, &["a", "b"], false),
            (Some(Released), false, &["a"], false),
            (Some(Returned), false, &[], true),
            (Some(Expired), false, &[], true),
            (None, true, &[], true),
            (Some(Released), true, &[], true),
        ] {
            let earlier = Earlier { held, taken_back, ..earlier() };
            let mut before = Before::default();
            for to in ["a", "b", "c"] {
                before.add(to, &earlier);
            }
            assert_eq!((before.known.clone(), before.back), (set(known), back), "{held:?} {taken_back}");
            let waits = held == Some(Held);
            let refused = before.something_new(["a"].into_iter());
            let expected = Err(Refusal::Known { original: earlier.id, held: waits });
            assert_eq!(refused, if back { Ok(()) } else { expected });
            assert_eq!(before.something_new(["a", "c"].into_iter()), Ok(()));
        }
    }

    #[test]
    fn whoever_was_given_up_may_get_it_again() {
        for held in [None, Some(HeldState::Returned)] {
            let mut before = Before::default();
            let earlier = Earlier { given_up: set(&["a", "b"]), held, ..earlier() };
            before.add("a", &earlier);
            before.add("b", &earlier);
            assert_eq!(before.known, set(&[]), "{held:?}");
        }
    }

    #[test]
    fn the_same_is_the_same_fork_within_a_day() {
        assert!(earlier().is_same(&fork("one"), NOW.plus(SPAN).minus(Duration::from_millis(1))));
        assert!(!earlier().is_same(&fork("one"), NOW.plus(SPAN)));
        assert!(!earlier().is_same(&fork("two"), NOW));
    }

    #[test]
    fn who_got_it_again_would_get_two() {
        let people = ["a", "b"];
        let (one, two) = (Some(fork("one")), Some(fork("two")));
        assert!(sent_again(one, people, [(one, vec!["c", "b"])]));
        assert!(!sent_again(one, people, [(one, vec!["c"]), (two, vec!["a"]), (None, vec!["a"])]));
    }
}
