//! Turns the answers of intake into SMTP replies (`docs/PROMISES.md` "Answers").

use crate::intake::Answer;
use std::borrow::Cow;

/// A reply: code with enhanced code, and text.
pub(super) type Said = (&'static str, Cow<'static, str>);

/// The reply to the final dot, or to DATA if intake refuses the message there.
pub(super) fn reply(answer: &Answer) -> Said {
    let own = |reason: &str, otherwise: &'static str| {
        if reason.is_empty() { Cow::Borrowed(otherwise) } else { Cow::Owned(reason.to_owned()) }
    };
    match answer {
        Answer::Queued(id) => ("250 2.0.0", format!("queued as {id}").into()),
        Answer::Held(id, reason) => ("250 2.0.0", format!("held as {id}: {reason}").into()),
        Answer::Noted(id) => ("250 2.0.0", format!("noted as {id}").into()),
        Answer::Rejected(reason) => ("550 5.7.1", own(reason, "refused by policy")),
        Answer::Loop(reason) => ("554 5.4.6", own(reason, "mail loop detected")),
        Answer::TooLarge(reason) => ("552 5.3.4", own(reason, "the header is too large")),
        Answer::Mime(reason) => ("554 5.6.0", own(reason, "the message's MIME structure is over the limits")),
        Answer::Full => ("452 4.3.1", "no room to store the message, try again later".into()),
        Answer::Unavailable => ("451 4.3.0", "the message cannot be stored now, try again later".into()),
    }
}

/// The answer as a word for the log.
pub(super) fn verdict(answer: &Answer) -> &'static str {
    match answer {
        Answer::Queued(_) => "queued",
        Answer::Held(..) => "held",
        Answer::Noted(_) => "noted",
        Answer::Rejected(_) => "rejected",
        Answer::Loop(_) => "loop",
        Answer::TooLarge(_) => "header too large",
        Answer::Mime(_) => "MIME over the limits",
        Answer::Full => "storage full",
        Answer::Unavailable => "store unavailable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::Id;

    #[test]
    fn every_answer_has_its_reply() {
        let id = Id::new(Timestamp(0), 0);
        let cases = [
            (Answer::Queued(id), format!("250 2.0.0 queued as {id}")),
            (
                Answer::Held(id, "five see each other".into()),
                format!("250 2.0.0 held as {id}: five see each other"),
            ),
            (Answer::Noted(id), format!("250 2.0.0 noted as {id}")),
            (Answer::Rejected("no".into()), "550 5.7.1 no".into()),
            (Answer::Rejected(String::new()), "550 5.7.1 refused by policy".into()),
            (Answer::Loop("round".into()), "554 5.4.6 round".into()),
            (Answer::TooLarge("big".into()), "552 5.3.4 big".into()),
            (Answer::Mime("deep".into()), "554 5.6.0 deep".into()),
            (Answer::Full, "452 4.3.1 no room to store the message, try again later".into()),
            (Answer::Unavailable, "451 4.3.0 the message cannot be stored now, try again later".into()),
        ];
        for (answer, expected) in cases {
            let (code, text) = reply(&answer);
            assert_eq!(format!("{code} {text}"), expected);
        }
    }
}
