//! When people are told: notices that are merged, reports that wait for the last delivery, and the journal's name
//! for a notice.

use crate::clock::Timestamp;
use crate::records::{AskWhy, NoticeKind};

/// When two merged notices of one kind are due: at the earlier time. `None` means when every delivery of the
/// message is final.
pub fn merged(open: Option<Timestamp>, more: Option<Timestamp>) -> Option<Timestamp> {
    match (open, more) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Reports that are due when the last delivery of a message is final.
pub const AT_THE_END: [NoticeKind; 2] = [NoticeKind::Failure, NoticeKind::Delivered];

/// The notice kind under which the journal records a mail to an approver.
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
