//! Sets that switch within the text: ISO-2022-JP (RFC 1468, 1554, 2237, with the additions of CP50220 to
//! 50222 and JIS X 0213), ISO-2022-KR (RFC 1557), ISO-2022-CN (RFC 1922), HZ (RFC 1843).
//!
//! More lenient than the Encoding Standard: a shift sequence that nothing follows, or that selects the
//! current set, is not an error. Programs write both, and readers show nothing for them.

use super::National;
use encoding_rs::EUC_JP;
use std::sync::LazyLock;

/// The rules by which the text begins. The escape sequences of all families are accepted everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Japanese,
    Korean,
    Chinese,
    Hz,
}

/// The set that octets are read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Ascii,
    /// Half-width katakana.
    Kana,
    Double(National),
    /// JIS X 0212.
    Supplement,
    /// A two-octet set that is not supported.
    Unknown,
}

/// The state machine.
#[derive(Debug)]
pub(super) struct Shifted {
    family: Family,
    /// The current set.
    set: Set,
    /// The set that SO selects, and whether it is selected.
    out: Set,
    is_out: bool,
    /// SS2: the next character is of an unsupported set.
    single: bool,
    /// An escape sequence that is not complete.
    escape: Vec<u8>,
    lead: Option<u8>,
    /// Octets of complete characters, high bits set, that are still to be decoded.
    run: Vec<u8>,
}

impl Shifted {
    pub(super) fn new(family: Family) -> Self {
        let out = match family {
            Family::Japanese => Set::Kana,
            Family::Korean => Set::Double(National::Korean),
            Family::Chinese | Family::Hz => Set::Double(National::Chinese),
        };
        Self {
            family,
            set: Set::Ascii,
            out,
            is_out: false,
            single: false,
            escape: Vec::new(),
            lead: None,
            run: Vec::new(),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], last: bool, out: &mut String) {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if let Some((set, after)) = usual_shift(rest).filter(|_| self.escape.is_empty()) {
                self.shift(|machine| machine.set = set, out);
                rest = after;
                continue;
            }
            let run = self.plain(rest, out);
            rest = &rest[run..];
            if run == 0 {
                self.octet(first, out);
                rest = &rest[1..];
            }
        }
        self.flush(out);
        if last && (self.lead.take().is_some() || !self.escape.is_empty()) {
            self.escape.clear();
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Takes what is neither a shift nor the beginning of one, in the current set; gives how many octets.
    fn plain(&mut self, bytes: &[u8], out: &mut String) -> usize {
        if !self.escape.is_empty() || self.lead.is_some() {
            return 0;
        }
        match self.now() {
            Set::Ascii => {
                let is_plain = |octet: &u8| matches!(octet, b' '..=b'}' | b'\t' | b'\r');
                let length = bytes.iter().take_while(|octet| is_plain(octet)).count();
                if length > 0 {
                    self.flush(out);
                    out.push_str(std::str::from_utf8(&bytes[..length]).unwrap_or_default());
                }
                length
            }
            Set::Double(national) => {
                let (pairs, _) = bytes.as_chunks::<2>();
                if national == National::Japanese {
                    self.flush(out);
                    return 2 * japanese(pairs, out);
                }
                let start = self.run.len();
                let plain = pairs.iter().take_while(|pair| is_plain(**pair));
                self.run.extend(plain.flatten().map(|octet| octet | 0x80));
                self.run.len() - start
            }
            _ => 0,
        }
    }

    fn now(&self) -> Set {
        match (self.single, self.is_out) {
            (true, _) => Set::Unknown,
            (_, true) => self.out,
            _ => self.set,
        }
    }

    fn octet(&mut self, byte: u8, out: &mut String) {
        if !self.escape.is_empty() {
            self.escape.push(byte);
            return self.sequence(out);
        }
        let tilde = byte == b'~' && self.family == Family::Hz && self.lead.is_none();
        match byte {
            0x1b => self.escape.push(byte),
            _ if tilde => self.escape.push(byte),
            0x0e => self.shift(|machine| machine.is_out = true, out),
            0x0f => self.shift(|machine| machine.is_out = false, out),
            b'\n' => {
                // Each line begins in ASCII (RFC 1468, RFC 1843).
                self.shift(|machine| (machine.set, machine.is_out) = (Set::Ascii, false), out);
                out.push('\n');
            }
            _ => self.character(byte, out),
        }
    }

    fn shift(&mut self, change: impl Fn(&mut Self), out: &mut String) {
        self.flush(out);
        if self.lead.take().is_some() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
        change(self);
    }

    fn character(&mut self, byte: u8, out: &mut String) {
        let set = self.now();
        let low = byte & 0x7f;
        match set {
            _ if low <= 0x20 || low == 0x7f => {
                self.shift(|_| {}, out);
                out.push(char::from(low));
            }
            Set::Ascii if byte.is_ascii() => out.push(char::from(byte)),
            // JIS8 writes katakana with the high bit set.
            Set::Ascii | Set::Kana => out.push(katakana(low)),
            Set::Double(_) | Set::Supplement | Set::Unknown => {
                let Some(first) = self.lead.take() else {
                    self.lead = Some(low);
                    return;
                };
                self.single = false;
                let added =
                    (set == Set::Double(National::Japanese)).then(|| added_by_0213(first, low)).flatten();
                if let Some(letter) = added {
                    self.flush(out);
                    return out.push(letter);
                }
                match set {
                    Set::Supplement => self.run.extend([0x8f, first | 0x80, low | 0x80]),
                    Set::Unknown => out.push(char::REPLACEMENT_CHARACTER),
                    _ => self.run.extend([first | 0x80, low | 0x80]),
                }
            }
        }
    }

    /// Decodes the gathered octets, which are all of one set.
    fn flush(&mut self, out: &mut String) {
        if self.run.is_empty() {
            return;
        }
        let national = match self.now() {
            Set::Double(national) => national,
            _ => National::Japanese,
        };
        out.push_str(&national.encoding().decode_without_bom_handling(&self.run).0);
        self.run.clear();
    }

    /// Interprets an escape sequence once it is complete: shifts, designations, the tildes of HZ.
    fn sequence(&mut self, out: &mut String) {
        let japanese = Set::Double(National::Japanese);
        let (chinese, korean) = (Set::Double(National::Chinese), Set::Double(National::Korean));
        let set = match self.escape.as_slice() {
            [0x1b] | [0x1b, b'$' | b'(' | b'&' | b'.' | b'-'] | [0x1b, b'$', b'(' | b')' | b'*' | b'+'] => {
                return;
            }
            [0x1b, b'(', b'I'] => Set::Kana,
            [0x1b, b'(', _] | [b'~', b'}'] => Set::Ascii,
            [0x1b, b'$', b'A'] | [0x1b, b'$', b'(', b'A'] | [b'~', b'{'] => chinese,
            [0x1b, b'$', b'@' | b'B'] | [0x1b, b'$', b'(', b'@' | b'B' | b'O' | b'Q'] => japanese,
            [0x1b, b'$', b'(', b'C'] => korean,
            [0x1b, b'$', b'(', b'D'] => Set::Supplement,
            [0x1b, b'$', b'(', _] => Set::Unknown,
            [0x1b, b'$', b')', kind] => {
                let set = match kind {
                    b'C' => korean,
                    b'A' | b'E' => chinese,
                    _ => Set::Unknown,
                };
                return self.done(|machine| machine.out = set, out);
            }
            [0x1b, b'N'] => return self.done(|machine| machine.single = true, out),
            // Announcements of a later edition of a set, and sets that contain no ASCII.
            [0x1b, b'&' | b'.' | b'-', _] | [0x1b, b'$', b'*' | b'+', _] | [b'~', b'\n'] => {
                return self.done(|_| {}, out);
            }
            [b'~', b'~'] => {
                self.done(|_| {}, out);
                return out.push('~');
            }
            other => {
                // Not an escape sequence: the octets are text.
                let other = other.to_vec();
                self.done(|_| {}, out);
                out.push(if other[0] == b'~' { '~' } else { char::REPLACEMENT_CHARACTER });
                other[1..].iter().for_each(|&byte| self.octet(byte, out));
                return;
            }
        };
        self.done(|machine| machine.set = set, out);
    }

    fn done(&mut self, change: impl Fn(&mut Self), out: &mut String) {
        self.escape.clear();
        self.shift(change, out);
    }
}

/// The escape sequences that all Japanese mail has, with the sets they select and what follows them.
fn usual_shift(bytes: &[u8]) -> Option<(Set, &[u8])> {
    match bytes {
        [0x1b, b'$', b'B', after @ ..] => Some((Set::Double(National::Japanese), after)),
        [0x1b, b'(', b'B', after @ ..] => Some((Set::Ascii, after)),
        _ => None,
    }
}

/// Whether two octets are a character that no rule but the set's is about: the row that JIS X 0213 added to, and what
/// shifts in HZ (`~`), are looked at one by one.
fn is_plain([row, cell]: [u8; 2]) -> bool {
    matches!(row, 0x21 | 0x23..=0x7d) && matches!(cell, 0x21..=0x7e)
}

/// The characters of JIS X 0208 by [`place`], in UTF-8 with their length, as the Encoding Standard has them: most Japanese
/// mail consists of these. What is not plain has no length.
static JAPANESE: LazyLock<Box<[[u8; 4]; PLACES]>> = LazyLock::new(|| {
    let mut table = Box::new([[0; 4]; PLACES]);
    for row in 0x21..0x7f_u8 {
        for cell in (0x21..0x7f_u8).filter(|cell| is_plain([row, *cell])) {
            let pair = [row | 0x80, cell | 0x80];
            let (text, _) = EUC_JP.decode_without_bom_handling(&pair);
            if let Some(letter) = text.chars().next()
                && let Ok(length @ 1..=3) = u8::try_from(letter.len_utf8())
            {
                letter.encode_utf8(&mut table[place([row, cell])]);
                table[place([row, cell])][3] = length;
            }
        }
    }
    table
});

/// The number of pairs of seven bits.
const PLACES: usize = 1 << 14;
/// The number of characters decoded at once: more than a line has.
const AT_ONCE: usize = 64;

/// The place of a character whose octets have seven bits.
fn place([row, cell]: [u8; 2]) -> usize {
    usize::from(row & 0x7f) << 7 | usize::from(cell & 0x7f)
}

/// Decodes the characters of JIS X 0208 that are plain, up to the first other one; gives how many.
fn japanese(pairs: &[[u8; 2]], out: &mut String) -> usize {
    let table: &[[u8; 4]; PLACES] = &JAPANESE;
    let mut decoded = 0;
    for some in pairs.chunks(AT_ONCE) {
        // Each character is written with its length behind it, which the next one replaces.
        let mut text = [0; 3 * AT_ONCE + 1];
        let (mut end, mut taken) = (0, 0);
        for pair in some {
            let letter = table[place(*pair)];
            let Some(here) = text.get_mut(end..end + 4) else { break };
            if letter[3] == 0 || (pair[0] | pair[1]) > 0x7f {
                break;
            }
            here.copy_from_slice(&letter);
            end += usize::from(letter[3]);
            taken += 1;
        }
        // Whole letters are valid.
        out.push_str(simdutf8::basic::from_utf8(&text[..end]).unwrap_or_default());
        decoded += taken;
        if taken < some.len() {
            break;
        }
    }
    decoded
}

/// The full-width forms of ASCII characters that JIS X 0213 added.
fn added_by_0213(first: u8, second: u8) -> Option<char> {
    let added = ['＇', '＂', '－', '～'];
    (first == 0x22).then(|| added.get(usize::from(second.checked_sub(0x2f)?)).copied()).flatten()
}

/// Katakana of JIS X 0201.
fn katakana(low: u8) -> char {
    match low {
        0x21..=0x5f => char::from_u32(0xff40 + u32::from(low)).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::REPLACEMENT_CHARACTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each character of two octets stands for one, the one that a run of them is decoded to.
    #[test]
    fn the_table_of_japanese_is_the_encoding_standard_s() {
        for row in 0..=0xff_u8 {
            for cell in 0..=0xff_u8 {
                let mut found = String::new();
                let number = japanese(&[[row, cell]; 2], &mut found);
                if !is_plain([row, cell]) {
                    assert_eq!((number, found.as_str()), (0, ""), "{row:x} {cell:x}");
                    continue;
                }
                let pair = [row | 0x80, cell | 0x80];
                let (text, _) = EUC_JP.decode_without_bom_handling(&pair);
                assert_eq!((number, found), (2, text.repeat(2)), "{row:x} {cell:x}");
                let twice = [pair, pair].concat();
                assert_eq!(EUC_JP.decode_without_bom_handling(&twice).0, text.repeat(2));
            }
        }
    }

    proptest! {
        /// What is taken in runs is what octets taken one by one are.
        #[test]
        fn runs_are_what_their_octets_are(
            pieces in prop::collection::vec(prop_oneof![
                prop::sample::select(vec!["\x1b$B", "\x1b(B", "\x1b$@", "\x1b(J", "\x1b(I", "\x1b$(D", "\x1b", "\x0e", "\x0f", "\n", "~{", "~}", "~"])
                    .prop_map(|text| text.as_bytes().to_vec()),
                prop::collection::vec(0x21..0x7f_u8, 0..40),
                prop::collection::vec(any::<u8>(), 0..6),
                Just([0x30, 0x21].repeat(1_200)),
            ], 0..12),
            family in prop::sample::select(vec![Family::Japanese, Family::Korean, Family::Chinese, Family::Hz]),
        ) {
            let octets = pieces.concat();
            let (mut whole, mut single) = (String::new(), String::new());
            Shifted::new(family).feed(&octets, true, &mut whole);
            let mut one_by_one = Shifted::new(family);
            for octet in &octets {
                one_by_one.feed(&[*octet], false, &mut single);
            }
            one_by_one.feed(&[], true, &mut single);
            prop_assert_eq!(whole, single);
        }
    }
}
