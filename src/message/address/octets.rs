//! Unencoded multi-byte characters in an address field. In `Shift_JIS`, GBK and Big5 the second octet of a
//! character may be a special character of the header syntax. `"ソ"` in `Shift_JIS` ends in a backslash before
//! the quote: a reader of octets stays inside the quotes, a reader of characters leaves them. If the readings
//! give different mailboxes, nobody can say which of them the recipient's mail program shows.

use super::{AddressList, parse_list};
use std::collections::BTreeSet;

/// Whether two octets form one character.
type IsPair = fn(u8, u8) -> bool;

/// `Shift_JIS` (JIS X 0208 appendix 1). Half-width katakana (A1–DF) are single octets.
fn shift_jis(first: u8, second: u8) -> bool {
    matches!(first, 0x81..=0x9f | 0xe0..=0xfc) && matches!(second, 0x40..=0x7e | 0x80..=0xfc)
}

/// GBK and Big5: every octet of the upper half can begin a character.
fn chinese(first: u8, second: u8) -> bool {
    matches!(first, 0x81..=0xfe) && matches!(second, 0x40..=0x7e | 0x80..=0xfe)
}

/// The first mailbox that a reader of characters sees and we do not, or the reverse; `None` if all readings
/// agree.
pub(super) fn other_reading(body: &[u8], ours: &AddressList) -> Option<String> {
    if std::str::from_utf8(body).is_ok() {
        return None;
    }
    let seen = |list: &AddressList| -> BTreeSet<String> {
        list.mailboxes.iter().map(|mailbox| mailbox.address.key().to_owned()).collect()
    };
    let known = seen(ours);
    for (is_pair, name) in [(shift_jis as IsPair, "Shift_JIS"), (chinese as IsPair, "GBK or Big5")] {
        let people = seen(&parse_list(&plain(body, is_pair)));
        if let Some(one) = people.symmetric_difference(&known).next() {
            return Some(format!("read as {name} it names other people: `{one}`"));
        }
    }
    None
}

/// The body with each two-octet character replaced by two letters.
fn plain(body: &[u8], is_pair: IsPair) -> Vec<u8> {
    let mut out = body.to_vec();
    let mut at = 0;
    while at + 1 < out.len() {
        if is_pair(out[at], out[at + 1]) {
            out[at..at + 2].fill(b'x');
            at += 2;
        } else {
            at += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{cross_check, parse_list};

    fn doubted(body: &[u8]) -> bool {
        let list = parse_list(body);
        !list.problems.is_empty() || cross_check(body, &list).is_some()
    }

    #[test]
    fn a_second_octet_that_means_something_is_doubted() {
        // ソ, 表, 十 in Shift_JIS end in a backslash; so do 許, 功 in Big5, and some characters of GBK.
        let ends: [&[u8]; 6] = [b"\x83\x5c", b"\x95\x5c", b"\x8f\x5c", b"\xb3\x5c", b"\xa5\x5c", b"\x81\x5c"];
        for name in ends {
            for hidden in ["a@one.example", "a@one.example, b@two.example", "<a@one.example>"] {
                let mut body = b"\"".to_vec();
                body.extend_from_slice(name);
                body.extend_from_slice(format!("\", {hidden}, \" <x@three.example>").as_bytes());
                assert!(doubted(&body), "{}", String::from_utf8_lossy(&body));
            }
        }
    }

    #[test]
    fn honest_names_are_read() {
        let bodies: [&[u8]; 4] = [
            // 山田 in Shift_JIS; ソニー, whose backslash is not at the end; 山田 in EUC-JP, and in UTF-8
            b"\"\x8e\x52\x93\x63\" <a@one.example>, b@two.example",
            b"\"\x83\x5c\x83\x6a\x81\x5b\" <a@one.example>",
            b"\"\xbb\xb3\xc5\xc4\" <a@one.example>",
            "\"山田\" <a@one.example>, b@two.example".as_bytes(),
        ];
        for body in bodies {
            assert!(!doubted(body), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn what_is_too_long_to_be_read_twice_is_doubted() {
        assert!(doubted(format!("a@one.example ({})", "x".repeat(600 * 1024)).as_bytes()));
    }
}
