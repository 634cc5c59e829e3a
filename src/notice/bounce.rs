//! Explains a failed delivery in words, by the enhanced status code of the reply (RFC 3463, RFC 5248).

/// The phrase for an enhanced status code. Unspecific codes get the phrase of their class.
pub(super) fn phrase(status: &str) -> &'static str {
    let mut parts = status.split('.');
    let (class, subject, detail) = (parts.next(), parts.next(), parts.next());
    let temporary = class == Some("4");
    match (subject, detail) {
        // 5.1.10: the domain accepts no mail (RFC 7505 §4.2)
        (Some("1"), Some("2" | "10")) | (Some("4"), Some("3" | "4")) => "bounce-no-host",
        (Some("1"), Some("1" | "6")) => "bounce-no-address",
        (Some("1"), Some("3" | "4")) => "bounce-bad-address",
        (Some("1"), Some("7" | "8")) => "bounce-sender",
        (Some("2"), Some("1")) => "bounce-disabled",
        (Some("2"), Some("2")) => "bounce-full",
        (Some("2"), Some("3")) | (Some("3"), Some("4")) => "bounce-too-large",
        (Some("4"), Some("1" | "2")) => "bounce-no-answer",
        (Some("4"), Some("7")) => "bounce-expired",
        (Some("6"), _) if !temporary => "bounce-content",
        // temporary policy codes are used for greylisting and rate limits too
        (Some("7"), _) if !temporary => "bounce-policy",
        _ if temporary => "bounce-later",
        _ => "bounce-refused",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::locale::say;
    use crate::policy::verdict::Language;

    #[test]
    fn codes_are_told_in_words() {
        for (status, ja, en) in [
            ("5.1.1", "宛先のアドレスが存在しません", "The address does not exist"),
            ("5.2.2", "宛先のメールボックスがいっぱいです", "The mailbox is full"),
            ("4.2.2", "宛先のメールボックスがいっぱいです", "The mailbox is full"),
            ("5.7.1", "相手のメールサーバーの規則により拒否されました", "Refused by the other side's rules"),
            ("5.7.26", "相手のメールサーバーの規則により拒否されました", "Refused by the other side's rules"),
            (
                "4.7.1",
                "相手のメールサーバーが一時的に受け付けていません",
                "The mail server does not take it for now",
            ),
            ("4.4.1", "相手のメールサーバーに接続できません", "The mail server cannot be reached"),
            ("4.4.3", "宛先のメールサーバーが見つかりません", "No mail server was found for the address"),
            ("5.1.10", "宛先のメールサーバーが見つかりません", "No mail server was found for the address"),
            ("5.4.7", "期限までに配信できませんでした", "It could not be delivered in time"),
            ("5.0.0", "相手のメールサーバーが受け取りを拒否しました", "The mail server refused it"),
        ] {
            assert_eq!(say(Language::Ja, phrase(status), &[]), ja, "{status}");
            assert_eq!(say(Language::En, phrase(status), &[]), en, "{status}");
        }
    }

    #[test]
    fn whatever_a_code_is_there_are_words_for_it() {
        for status in (0..12).flat_map(|a| (0..30).map(move |b| format!("{}.{a}.{b}", 4 + (a + b) % 2))) {
            for language in [Language::En, Language::Ja] {
                assert!(!say(language, phrase(&status), &[]).contains("bounce-"), "{status}");
            }
        }
        assert_eq!(phrase(""), "bounce-refused");
    }
}
