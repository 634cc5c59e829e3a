//! The allow-list of header fields that a rewritten copy keeps (`docs/MAIL.md` §2).
//!
//! Fields that are not listed are dropped. Fields that are kept are still audited.

use super::draft::CopyOptions;
use crate::message::named::is_blind;

/// What happens to a field in a rewritten copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Kept unchanged.
    Keep,
    /// Dropped.
    Drop,
    /// Replaced by the new address fields, at the place of the first such field.
    Addressee,
    /// Kept if all of its mailboxes are internal.
    Sender,
    /// Kept unless it names somebody who is hidden from this copy.
    ReplyTo,
    /// Kept if all of its mailboxes are in From.
    DispositionNotificationTo,
    /// Kept unless it names somebody who is hidden from this copy.
    Received,
    /// Kept if the edits of this copy do not break the signature.
    DkimSignature,
    /// Kept if the message has a TNEF part.
    TnefCorrelator,
}

const KEPT: &[&str] = &[
    "accept-language",
    "auto-submitted",
    "autocrypt",
    "chat-version",
    "content-language",
    "date",
    "feedback-id",
    "from",
    "importance",
    "in-reply-to",
    "list-help",
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "message-id",
    "mime-version",
    "organization",
    "precedence",
    "priority",
    "references",
    "sensitivity",
    "subject",
    "thread-index",
    "thread-topic",
    "user-agent",
    "x-auto-response-suppress",
    "x-mailer",
    "x-ms-exchange-senderadcheck",
    "x-ms-has-attach",
    "x-priority",
];

/// Fields that name recipients for the last hop only. They are removed from all copies, also of passed mail.
const NEVER: &[&str] = &["apparently-to", "x-envelope-to"];

/// Prefix of the fields in which Exchange servers vouch for mail to each other. They belong in one organisation
/// only.
const NEVER_ANY: &str = "x-ms-exchange-organization-";

/// Whether a field is removed from all copies, also of passed mail.
pub(super) fn never_leaves(name: &[u8]) -> bool {
    is_blind(name)
        || NEVER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
        || name.get(..NEVER_ANY.len()).is_some_and(|start| start.eq_ignore_ascii_case(NEVER_ANY.as_bytes()))
}

/// Whether passed mail may leave this field out if it names somebody hidden. This applies to fields that
/// rewritten copies do not have either and that were written for machines. Address fields stay, because they
/// contain what the sender meant to show.
pub(super) fn may_go(name: &[u8], options: &CopyOptions) -> bool {
    const SHOWN: [&str; 8] = [
        "resent-to",
        "resent-cc",
        "resent-from",
        "resent-sender",
        "resent-reply-to",
        "mail-followup-to",
        "mail-reply-to",
        "comments",
    ];
    let shown = SHOWN.iter().any(|shown| name.eq_ignore_ascii_case(shown.as_bytes()));
    !shown && !never_leaves(name) && matches!(rule(name, options), Rule::Drop | Rule::Received)
}

/// The rule for a field in a rewritten copy. An exact name takes precedence over a prefix.
pub(super) fn rule(name: &[u8], options: &CopyOptions) -> Rule {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    match name.as_str() {
        "to" | "cc" => Rule::Addressee,
        "sender" => Rule::Sender,
        "reply-to" => Rule::ReplyTo,
        "disposition-notification-to" => Rule::DispositionNotificationTo,
        "received" => Rule::Received,
        "dkim-signature" => Rule::DkimSignature,
        "x-ms-tnef-correlator" => Rule::TnefCorrelator,
        other if KEPT.binary_search(&other).is_ok() => Rule::Keep,
        other if never_leaves(other.as_bytes()) => Rule::Drop,
        other if other.starts_with("content-") => Rule::Keep,
        other if options.also_keep.iter().any(|kept| kept == other) => Rule::Keep,
        _ => Rule::Drop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(KEPT.is_sorted());
    }

    #[test]
    fn fields_stay_or_go() {
        let options =
            CopyOptions { also_keep: vec!["x-campaign".into(), "bcc".into()], ..Default::default() };
        for (name, want) in [
            ("Subject", Rule::Keep),
            ("CONTENT-Type", Rule::Keep),
            ("Content-Class", Rule::Keep),
            ("X-Campaign", Rule::Keep),
            ("Bcc", Rule::Drop),
            ("Resent-To", Rule::Drop),
            ("X-Original-To", Rule::Drop),
            ("X-MS-Exchange-Organization-SCL", Rule::Drop),
            ("X-MS-Exchange-SenderADCheck", Rule::Keep),
            ("Authentication-Results", Rule::Drop),
            ("List-Post", Rule::Drop),
            ("Comments", Rule::Drop),
            ("Organization", Rule::Keep),
            ("Chat-Version", Rule::Keep),
            ("Chat-Group-Member-Added", Rule::Drop),
            ("Autocrypt", Rule::Keep),
            ("Autocrypt-Gossip", Rule::Drop),
            ("to", Rule::Addressee),
            ("dkim-signature", Rule::DkimSignature),
        ] {
            assert_eq!(rule(name.as_bytes(), &options), want, "{name}");
        }
        assert!(never_leaves(b"X-MS-Exchange-Organization-SCL"));
        for (name, goes) in [
            ("X-Odoo-Bcc", false),
            ("X-Spamd-Result", true),
            ("Envelope-To", true),
            ("X-MailCleaner-recipients", true),
            ("Received", true),
            ("Subject", false),
            ("References", false),
            ("Comments", false),
            ("Resent-To", false),
            ("Cc", false),
            ("X-Campaign", false),
        ] {
            assert_eq!(may_go(name.as_bytes(), &options), goes, "{name}");
        }
        assert!(never_leaves(b"BCC") && never_leaves(b"Resent-Bcc") && never_leaves(b"X-Odoo-Bcc"));
        assert!(!never_leaves(b"Cc") && !never_leaves(b"cc"));
    }
}
