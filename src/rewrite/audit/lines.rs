//! Escaped line ends, as in a calendar, a script or quoted-printable text that was put into JSON, a link or XML. There
//! `\r\n` and a blank, `\` and `\n`, or `=3D` and `=0A` join lines, like the octets that they mean.
//!
//! This module only detects them. Joining works on the text after its escapes were decoded
//! ([`Digits::Lines`](super::escapes::Digits::Lines)).

/// The number of octets around an escaped line end that decide whether it joins lines.
const AROUND: usize = 32;

/// Whether these octets, or the boundary between `before` and them, contain an escaped line end that joins lines.
pub(super) fn may_join(before: &[u8], bytes: &[u8]) -> bool {
    let seam: Vec<u8> = before[before.len().saturating_sub(2 * AROUND)..]
        .iter()
        .chain(bytes.iter().take(2 * AROUND))
        .copied()
        .collect();
    joins_within(&seam) || joins_within(bytes)
}

#[expect(
    clippy::needless_bitwise_bool,
    reason = "asked of each octet: without branches it is asked of many at once"
)]
fn joins_within(text: &[u8]) -> bool {
    let is_sign = |one: u8, other: u8| {
        let other_small = other | 0x20;
        let digits = ((one == b'0') & (other_small == b'a')) | ((one == b'5') & (other_small == b'c'));
        (one == b'\\') | digits | ((one == b'&') & (other == b'#'))
    };
    pairs(text, is_sign)
        .filter_map(|at| line_feed(text, at))
        .any(|(start, end)| joins(&text[..start], &text[end..], text[start] == b'\\'))
}

/// How many octets are tested together.
const MANY: usize = 32;

/// The positions of pairs of octets for which `is_pair` is true. It is fast if they are rare, and if `is_pair` has no
/// branches.
pub(super) fn pairs(text: &[u8], is_pair: impl Fn(u8, u8) -> bool + Copy) -> impl Iterator<Item = usize> {
    let next = text.get(1..).unwrap_or_default();
    let is_pair = move |(one, other): (&u8, &u8)| is_pair(*one, *other);
    text.chunks(MANY).zip(next.chunks(MANY)).enumerate().flat_map(move |(index, (ones, others))| {
        let any = ones.iter().zip(others).fold(false, |any, both| any | is_pair(both));
        let mut flags = [0; MANY];
        if any {
            flags
                .iter_mut()
                .zip(ones.iter().zip(others))
                .for_each(|(flag, both)| *flag = u8::from(is_pair(both)));
        }
        let mut bits = bits(&flags);
        std::iter::from_fn(move || {
            let first = usize::try_from(bits.trailing_zeros()).ok().filter(|_| bits != 0)?;
            bits &= bits - 1;
            Some(index * MANY + first)
        })
    })
}

/// A bit for each of these octets, which are zero or one.
fn bits(flags: &[u8; MANY]) -> u32 {
    let (eights, _) = flags.as_chunks::<8>();
    // The product moves the bit of each octet to its place among the highest eight.
    let eight =
        |octets: &[u8; 8]| u64::from_le_bytes(*octets).wrapping_mul(0x0102_0408_1020_4080).to_be_bytes()[0];
    eights.iter().rev().fold(0, |bits, octets| bits << 8 | u32::from(eight(octets)))
}

/// The start and end of the escaped line feed that contains the pair at `at`, escaped once or twice: `\n`, `%0A`,
/// `=0A`, `&#10;`, `%250A`, `=3D0A`, `%5Cn`, `=5Cn`.
fn line_feed(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let after = &text[at..];
    let ways: &[&[u8]] = match after {
        [b'\\', b'n' | b'N', ..] => return Some((at, at + 2)),
        // The last one is `=0A` within JSON.
        [b'\\', ..] => &[b"\\u000a", b"\\x0a", b"\\u003d0a"],
        [b'&', ..] => &[b"&#10;", b"&#xa;", b"&#x0a;"],
        [b'5', _, b'n', ..] => return sign(&text[..at]).map(|start| (start, at + 3)),
        [b'0', ..] => return sign(&text[..at]).map(|start| (start, at + 2)),
        _ => return None,
    };
    ways.iter().find(|way| starts(after, way)).map(|way| (at, at + way.len()))
}

/// Where the `=`, `%`, `=3D`, `%25` or similar at the end of this text begins.
fn sign(text: &[u8]) -> Option<usize> {
    match text {
        [.., b'=' | b'%'] => Some(text.len() - 1),
        [.., b'=' | b'%', b'2', b'5'] | [.., b'=' | b'%', b'3', b'D' | b'd'] => Some(text.len() - 3),
        _ => None,
    }
}

fn starts(text: &[u8], with: &[u8]) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// The ways to write a carriage return before a line feed.
const RETURNS: [&[u8]; 13] = [
    b"\\r",
    b"%0d",
    b"%250d",
    b"%3d0d",
    b"=0d",
    b"=3d0d",
    b"=250d",
    b"%5cr",
    b"=5cr",
    b"\\u000d",
    b"\\u003d0d",
    b"&#13;",
    b"&#xd;",
];
/// The ways to write the end of a line that continues: the soft line break of quoted-printable, and the backslash of
/// scripts, escaped or not.
const SOFT: [&[u8]; 3] = [b"=", b"3d", b"5c"];
/// The ways to write the blank at the start of a folded line or at the end of a flowed line.
const BLANKS: [&[u8]; 19] = [
    b" ",
    b"\t",
    b"\\t",
    b"\\\\t",
    b"%5ct",
    b"=5ct",
    b"%20",
    b"%09",
    b"%2520",
    b"%2509",
    b"%3d20",
    b"%3d09",
    b"+",
    b"=20",
    b"=09",
    b"=3d20",
    b"=3d09",
    b"\\u003d20",
    b"\\u003d09",
];

/// Whether some reader joins these two lines. `is_backslash` says that the line feed is written as `\n`.
fn joins(before: &[u8], after: &[u8], is_backslash: bool) -> bool {
    let before = &before[before.len().saturating_sub(AROUND)..];
    // One more backslash means that the text is escaped twice; two more mean that the line ends in a backslash.
    let most = usize::from(is_backslash);
    let mut line = before;
    let mut soft = false;
    for endings in [&[][..], &RETURNS] {
        line = without(line, endings).unwrap_or(line);
        let backslashes = line.iter().rev().take_while(|byte| **byte == b'\\').count();
        line = &line[..line.len() - backslashes];
        soft |= backslashes > most || SOFT.iter().any(|sign| ends(line, sign));
    }
    if soft {
        return true;
    }
    let shows = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_graphic() || *byte >= 0x80);
    let blank = BLANKS.iter().find(|blank| starts(after, blank)).map_or(0, |blank| blank.len());
    let flowed = without(line, &BLANKS);
    // An address contains no blanks and no empty lines.
    shows(after.get(blank)) && flowed.map_or(blank > 0 && shows(line.last()), |line| shows(line.last()))
}

fn ends(text: &[u8], with: &[u8]) -> bool {
    text.len() >= with.len() && text[text.len() - with.len()..].eq_ignore_ascii_case(with)
}

/// The text without the first of these endings that it has.
fn without<'a>(text: &'a [u8], endings: &[&[u8]]) -> Option<&'a [u8]> {
    endings.iter().find(|ending| ends(text, ending)).map(|ending| &text[..text.len() - ending.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_lines_that_are_one() {
        for (text, expected) in [
            (r"EMAIL:taro@exam\r\n ple.com", true),
            (r"EMAIL:taro@exam\n\tple.com", true),
            (r"taro@exam\\r\\n ple.com", true),
            (r"taro@exam\\\nple.com", true),
            (r"taro@exam\\\r\nple.com", true),
            (r"taro@exam\\\\\\r\\nple.com", true),
            (r"taro@exam=\r\nple.com", true),
            (r"taro@exam\u003d\r\nple.com", true),
            (r"taro@exam \r\nple.com", true),
            ("taro@exam%0D%0A%20ple.com", true),
            ("taro@exam%0a+ple.com", true),
            ("taro@exam%5C%0Aple.com", true),
            ("taro@exam%250D%250A%2520ple.com", true),
            ("taro@exam%5Cr%5Cn ple.com", true),
            ("taro@exam=0D=0A ple.com", true),
            ("taro@exam=3D=0Aple.com", true),
            ("taro@exam&#13;&#10; ple.com", true),
            ("taro@exam&#xA; ple.com", true),
            (r"members:\ntaro@example.com\nx", false),
            (r"C:\new C:\n", false),
            ("to=x%0Ataro=0Ay%20z&#10;x", false),
            (r"taro\=0Aple.com", true),
            (r"ta \\nro", true),
            (r"ta \u003d0Aro", true),
            (r"members\\ntaro", false),
        ] {
            for at in 0..text.len() {
                let (before, after) = text.as_bytes().split_at(at);
                assert_eq!(may_join(b"", before) || may_join(before, after), expected, "{text} cut at {at}");
            }
        }
    }
}
