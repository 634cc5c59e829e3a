//! When people are told: notices that become one, reports that wait for the end, and what the journal takes a
//! mail for.

use crate::clock::Timestamp;
use crate::records::{AskWhy, NoticeKind};

/// When an open notice is due that takes in a second one of its kind: at the earlier of both. `None` is once
/// every delivery of the message is final.
pub fn merged(open: Option<Timestamp>, more: Option<Timestamp>) -> Option<Timestamp> {
    match (open, more) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Reports that need not wait any longer when the last delivery of a message is final.
pub const AT_THE_END: [NoticeKind; 2] = [NoticeKind::Failure, NoticeKind::Delivered];

/// The notice that the journal takes a mail to somebody who decides for.
pub fn of_ask(why: AskWhy) -> NoticeKind {
    match why {
        AskWhy::Asked | AskWhy::Deputy => NoticeKind::HeldApprovers,
        AskWhy::Escalated => NoticeKind::Escalated,
        AskWhy::Expiring => NoticeKind::ExpiringApprovers,
        AskWhy::AsIs => NoticeKind::AskedAsIs,
        AskWhy::Stopped => NoticeKind::Stopped,
        AskWhy::Settled => NoticeKind::Settled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_of_both() {
        let at = |moment: i64| Some(Timestamp(moment));
        for (open, more, due) in [
            (at(1), at(2), at(1)),
            (at(2), at(1), at(1)),
            (None, at(2), at(2)),
            (at(1), None, at(1)),
            (None, None, None),
        ] {
            assert_eq!(merged(open, more), due);
        }
    }
}
