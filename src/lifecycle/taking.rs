//! Taking back delayed mail, and undoing that: for all transactions of a mail.

use super::{Effect, UNDO};
use crate::clock::Timestamp;
use crate::journal::Event;
use crate::records::NoticeKind;

/// What follows when `by` takes back a delayed mail; for each transaction, how many copies could be withdrawn. One
/// notice covers all of them and has the link that undoes it. It is about the transaction that was `named`.
pub fn taken_back<K: Copy>(named: K, copies: &[(K, usize)], by: &str, at: Timestamp) -> Vec<Effect<K>> {
    let mut effects: Vec<Effect<K>> = copies
        .iter()
        .filter(|(_, copies)| *copies > 0)
        .flat_map(|(message, _)| {
            let event = Event::TakenBack { by: by.to_owned() };
            let mark = Effect::TakenBack { message: *message, by: by.to_owned(), at };
            [mark, Effect::Enter(*message, at, event)]
        })
        .collect();
    if !effects.is_empty() {
        effects.push(Effect::Notice(named, NoticeKind::TakenBack, Some(at)));
    }
    effects
}

/// What follows when another transaction of a mail that `by` took back arrives, and is withdrawn like the first.
pub fn taken_back_late<K: Copy>(message: K, copies: usize, by: &str, at: Timestamp) -> Vec<Effect<K>> {
    // People have been told of the mail already.
    let mut effects = taken_back(message, &[(message, copies)], by, at);
    effects.retain(|effect| !matches!(effect, Effect::Notice(..)));
    effects
}

/// Whether a take-back at that time can be undone now. It cannot if the mail was sent again since: recipients would
/// get it twice.
pub fn can_be_undone(taken_back: Timestamp, now: Timestamp, sent_again: bool) -> bool {
    !sent_again && taken_back > now.minus(UNDO)
}

/// The journal entry of a delayed transaction that somebody sends early.
pub fn sent_now(by: &str) -> Event {
    let how = "split, before its time".to_owned();
    Event::Released { by: by.to_owned(), how, dropped: Vec::new(), stood: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp(1_760_000_000_000);

    #[test]
    fn one_notice_for_all_that_was_withdrawn() {
        assert_eq!(taken_back(2, &[(1, 0), (2, 0)], "sato", NOW), []);
        let effects = taken_back(2, &[(1, 3), (2, 0), (3, 1)], "sato", NOW);
        let is_mark = |effect: &Effect<i32>, number: i32| matches!(effect, Effect::TakenBack { message, .. } if *message == number);
        let marked = |number| effects.iter().any(|effect| is_mark(effect, number));
        assert_eq!([1, 2, 3].map(marked), [true, false, true]);
        assert_eq!(effects.last(), Some(&Effect::Notice(2, NoticeKind::TakenBack, Some(NOW))));
        assert_eq!(effects.iter().filter(|one| matches!(one, Effect::Notice(..))).count(), 1);
        assert_eq!(taken_back_late(4, 1, "sato", NOW).len(), 2);
        assert_eq!(taken_back_late(4, 0, "sato", NOW), []);
    }

    #[test]
    fn a_day_to_undo_it() {
        let later = |millis: u64| NOW.plus(UNDO).minus(Duration::from_millis(millis));
        assert!(can_be_undone(NOW, later(1), false) && !can_be_undone(NOW, later(0), false));
        assert!(!can_be_undone(NOW, later(1), true));
    }
}
