//! Finds addresses in base64 inside a text without decoding all of it.
//!
//! In base64, two letters hold the bits of an `@`. Its position in the group of three octets decides how many
//! each of them holds: six bits in one letter and two in the next, or four and four, or two and six (RFC 4648
//! §4). The search looks for the pairs of letters that can hold an `@`, and decodes the letters around a pair
//! only if the domain of a needle (an address searched for) may follow.

use super::escapes::Unescape;
use super::needles::{Needles, Spot};
use super::stream::Of;
use crate::message::walk::transfer::base64_value;
use memchr::{memchr_iter, memmem};
use std::ops::Range;

/// The minimum length of a run of base64 letters that is searched. For comparison, the six octets of `a@x.jp`
/// take eight letters.
const TOKEN: usize = 12;
/// If a line ends in at least this many base64 letters, the text may continue on the next line.
const WRAPPED: usize = 56;
/// How many pairs are tested together.
const MANY: usize = 16;
/// How many octets are decoded first, beginning with the group of the `@`.
const FEW: usize = 24;

/// The bits that stand for the position of an `@` in its group: first, second or third octet.
pub(super) const PLACES: [u8; 3] = [1, 2, 4];

/// For each octet, the positions of an `@` for which it can be the first letter of the pair.
pub(super) static EARLIER: [u8; 256] = letters(true);
/// For each octet, the positions of an `@` for which it can be the second letter of the pair. A line end has
/// all of them, because the second letter may be on the next line.
pub(super) static LATER: [u8; 256] = letters(false);

const fn letters(earlier: bool) -> [u8; 256] {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_";
    let mut table = [0; 256];
    let mut at = 0;
    while at < letters.len() {
        let value = if at < 64 { at } else { at - 2 };
        let first = if earlier { value == 16 } else { value < 16 };
        let second = if earlier { value % 16 == 4 } else { value < 4 };
        let third = if earlier { value % 4 == 1 } else { value == 0 };
        table[letters[at] as usize] = first as u8 | (second as u8) << 1 | (third as u8) << 2;
        at += 1;
    }
    if !earlier {
        table[b'\r' as usize] = 7;
        table[b'\n' as usize] = 7;
    }
    table
}

fn is_letter(octet: u8) -> bool {
    base64_value(octet).is_some()
}

/// Reports every address written in base64 whose `@` begins in `range`.
pub(super) fn search(needles: &Needles, text: &[u8], range: Range<usize>, found: &mut impl FnMut(u32)) {
    let last = range.end.min(text.len().saturating_sub(1));
    if range.start >= last {
        return;
    }
    let (earlier, later) = (&text[range.start..last], &text[range.start + 1..=last]);
    let pair = |(earlier, later): (&u8, &u8)| EARLIER[usize::from(*earlier)] & LATER[usize::from(*later)];
    escaped(needles, text, range.start..last, found);
    let mut search = Search { needles, text, run: Vec::new(), ways: [false; 4] };
    // Pairs that can hold an `@` are rare, so many pairs are tested at once first.
    for (index, (ones, others)) in earlier.chunks(MANY).zip(later.chunks(MANY)).enumerate() {
        let any = ones.iter().zip(others).fold(0, |any, both| any | pair(both));
        if any == 0 {
            continue;
        }
        for (at, both) in ones.iter().zip(others).enumerate() {
            let places = pair(both);
            if places != 0 {
                look(&mut search, range.start + index * MANY + at, places, found);
            }
        }
    }
}

/// `%40` in base64, for each place of its first octet in a group: the letters that are always the same, and how many
/// letters of the group come before them. Links to be counted have a query in base64.
const ESCAPED: [(&[u8], usize); 3] = [(b"JTQw", 0), (b"U0M", 2), (b"lND", 3)];

/// Whether base64 in this text may contain `%40`.
pub(super) fn may_escape(text: &[u8]) -> bool {
    percents(text).next().is_some()
}

/// Where base64 may have `%40`, and how many letters of its group come before. The letters beside hold some of its
/// bits too; if they are on another line, they do not tell.
fn percents(text: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let value = |at: Option<usize>| at.and_then(|at| text.get(at)).and_then(|letter| base64_value(*letter));
    ESCAPED.iter().flat_map(move |(letters, behind)| {
        memmem::find_iter(text, letters).map(move |at| (at, *behind)).filter(move |(at, behind)| {
            let (before, after) = (value(at.checked_sub(1)), value(Some(at + 3)));
            match behind {
                2 => before.is_none_or(|value| value % 16 == 2) && after.is_none_or(|value| value < 16),
                3 => before.is_none_or(|value| value % 4 == 0) && after.is_none_or(|value| value < 4),
                _ => true,
            }
        })
    })
}

/// Reports every address whose `@` is escaped and then written in base64.
fn escaped(needles: &Needles, text: &[u8], range: Range<usize>, found: &mut impl FnMut(u32)) {
    // Escapes take three octets each.
    let reach = needles.reach() * 4;
    for (at, behind) in percents(&text[range.clone()]) {
        let mut before = Backward { text, at: range.start + at };
        if behind > 0 && before.nth(behind - 1).is_none() {
            continue;
        }
        let after = Forward { text, at: before.at, run: before.at };
        let mut run: Vec<u8> = before.take(reach).collect();
        run.truncate(run.len() / 4 * 4);
        run.reverse();
        run.extend(after.take(reach));
        let mut plain = Vec::with_capacity(run.len());
        decode(&run, &mut plain);
        for _ in 0..2 {
            let (mut unescape, mut out) = (Unescape::default(), Vec::with_capacity(plain.len()));
            unescape.feed(&plain, &mut out);
            unescape.finish(&mut out);
            plain = out;
        }
        for at in memchr_iter(b'@', &plain) {
            let spot = Spot { text: &plain, at, of: Of::Words };
            super::stream::separator(needles, &spot, &mut |index, _| found(index));
        }
    }
}

/// Examines a pair whose first letter is at `at`.
fn look(search: &mut Search<'_>, at: usize, places: u8, found: &mut impl FnMut(u32)) {
    let text = search.text;
    let Some(later) = (Forward { text, at: at + 1, run: at }).next() else { return };
    let places = places & LATER[usize::from(later)];
    for (place, bit) in PLACES.into_iter().enumerate() {
        if places & bit != 0 && next_may_begin(search.needles, text, at, place) {
            around(search, at, place, found);
        }
    }
}

/// Whether the octet after the `@` may begin the domain of a needle. True if the letters directly after the
/// pair do not tell.
#[expect(clippy::cast_possible_truncation, reason = "an octet is cut out of two letters on purpose")]
fn next_may_begin(needles: &Needles, text: &[u8], at: usize, place: usize) -> bool {
    let Some(letters) = text.get(at..at + 4) else { return true };
    let value = |index: usize| base64_value(letters[index]).map(u32::from);
    // The octet takes the low bits of one letter and the high bits of the next.
    let octet = match place {
        0 => value(1).zip(value(2)).map(|(high, low)| high << 4 | low >> 2),
        1 => value(1).zip(value(2)).map(|(high, low)| high << 6 | low),
        // If the second letter of the pair is not here, it is on the next line, and this octet is unknown.
        _ => value(1).and(value(2).zip(value(3))).map(|(high, low)| high << 2 | low >> 4),
    };
    octet.is_none_or(|octet| needles.may_follow(&[octet as u8]))
}

/// Examines an `@` that is the octet `place` of its group and whose pair begins at `at`. Decodes a few octets
/// first, and the rest of the run only if the domain of a needle may follow the `@`.
fn around(search: &mut Search<'_>, at: usize, place: usize, found: &mut impl FnMut(u32)) {
    let (needles, text) = (search.needles, search.text);
    // The first letter of the group is `place` letters before the pair.
    let mut before = Backward { text, at };
    if (place > 0 && before.nth(place - 1).is_none()) || search.has_searched(before.at) {
        return;
    }
    let mut group = Vec::with_capacity(4 * FEW / 3 + 4);
    let mut after = Forward { text, at: before.at, run: before.at };
    group.extend(after.by_ref().take(4 * FEW / 3));
    let mut octets = Vec::with_capacity(group.len());
    decode(&group, &mut octets);
    if !needles.may_be_followed(octets.get(place + 1..).unwrap_or_default(), octets.len() >= FEW) {
        return;
    }
    let reach = needles.reach().div_ceil(3) * 4;
    let mut start: Vec<u8> = before.by_ref().take(reach).collect();
    let length = start.len();
    start.truncate(length / 4 * 4);
    start.reverse();
    octets.clear();
    decode(&start, &mut octets);
    let first = octets.len();
    let all = search.rest_of_run(at, place);
    if length + all.len() >= TOKEN {
        decode(&all, &mut octets);
        for spot in memchr_iter(b'@', &octets[first..]) {
            super::stream::separator(
                needles,
                &Spot { text: &octets, at: first + spot, of: Of::Words },
                &mut |index, _| found(index),
            );
        }
    }
}

/// A search. It remembers the run of letters that was decoded last. A run can be divided into groups in four
/// ways, and each way is decoded only once.
struct Search<'a> {
    needles: &'a Needles,
    text: &'a [u8],
    /// The positions of the run's letters in the text.
    run: Vec<usize>,
    /// Which of the four ways were decoded.
    ways: [bool; 4],
}

impl Search<'_> {
    /// Whether the group that begins at `at` was already decoded together with an earlier group.
    fn has_searched(&self, at: usize) -> bool {
        self.run.binary_search(&at).is_ok_and(|index| self.ways[index % 4])
    }

    /// The letters from the beginning of the group to the end of their run. The caller searches them, so
    /// their way counts as decoded.
    fn rest_of_run(&mut self, at: usize, place: usize) -> Vec<u8> {
        let text = self.text;
        let mut before = Backward { text, at };
        if place > 0 {
            before.nth(place - 1);
        }
        let start = before.at;
        if self.run.binary_search(&start).is_err() {
            self.run.clear();
            self.ways = [false; 4];
            let mut letters = Forward { text, at: start, run: start };
            while letters.next().is_some() {
                self.run.push(letters.at - 1);
            }
        }
        let index = self.run.binary_search(&start).unwrap_or(0);
        self.ways[index % 4] = true;
        self.run[index..].iter().map(|&at| text[at]).collect()
    }
}

/// Decodes letters in groups of four. If the last group is incomplete, only its whole octets are decoded.
#[expect(clippy::cast_possible_truncation, reason = "octets are cut out of a group of 24 bits on purpose")]
fn decode(letters: &[u8], out: &mut Vec<u8>) {
    for group in letters.chunks(4) {
        let mut bits = 0_u32;
        for index in 0..4 {
            bits = bits << 6 | group.get(index).and_then(|&letter| base64_value(letter)).map_or(0, u32::from);
        }
        let whole = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        out.extend_from_slice(&whole[..(group.len() * 3 / 4).min(3)]);
    }
}

/// Whether the line that ends at `end` is long enough that the text may continue on the next line. The caller
/// knows that the last `known` octets of the line are letters.
fn is_long(text: &[u8], end: usize, known: usize) -> bool {
    let missing = WRAPPED.saturating_sub(known);
    let before = &text[..end - known];
    before.len() >= missing && before[before.len() - missing..].iter().all(|&octet| is_letter(octet))
}

/// The letters from a position on. After a long line, they continue on the next line.
struct Forward<'a> {
    text: &'a [u8],
    at: usize,
    /// Where the letters directly before `at` on this line begin, as far as is known.
    run: usize,
}

impl Iterator for Forward<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let octet = *self.text.get(self.at)?;
        if is_letter(octet) {
            self.at += 1;
            return Some(octet);
        }
        let after = self.at + line_end(&self.text[self.at..])?;
        let next = *self.text.get(after)?;
        if !is_letter(next) || !is_long(self.text, self.at, self.at - self.run) {
            return None;
        }
        (self.at, self.run) = (after + 1, after);
        Some(next)
    }
}

/// The letters before a position, nearest first. If the line before is long, they continue there.
struct Backward<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Backward<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let octet = *self.text.get(self.at.checked_sub(1)?)?;
        if is_letter(octet) {
            self.at -= 1;
            return Some(octet);
        }
        let before = &self.text[..self.at];
        let line = before.strip_suffix(b"\n")?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !is_long(line, line.len(), 0) {
            return None;
        }
        self.at = line.len() - 1;
        line.last().copied()
    }
}

/// The length of the line end that the text begins with, in octets.
fn line_end(text: &[u8]) -> Option<usize> {
    match text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n', ..] => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Address;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn needles() -> Needles {
        let all = ["p3@org3.co.jp", "taro@a.example", "a@x.jp", "long.local-part+tag@sub.domain.example.org"];
        Needles::new(all.into_iter().map(|one| Address::parse(one).unwrap()).collect())
    }

    /// A slow search to compare with. It decodes every run from each of its first four letters.
    fn slowly(needles: &Needles, text: &[u8], found: &mut impl FnMut(u32)) {
        let mut at = 0;
        while at < text.len() {
            if !is_letter(text[at]) {
                at += 1;
                continue;
            }
            let letters = Forward { text, at, run: at };
            let run: Vec<u8> = letters.collect();
            for offset in 0..4 {
                let mut octets = Vec::new();
                decode(run.get(offset..).unwrap_or_default(), &mut octets);
                for spot in memchr::memchr_iter(b'@', &octets).filter(|_| run.len() >= TOKEN) {
                    super::super::stream::separator(
                        needles,
                        &Spot { text: &octets, at: spot, of: Of::Words },
                        &mut |index, _| found(index),
                    );
                }
            }
            let mut end = Forward { text, at, run: at };
            while end.next().is_some() {}
            at = end.at.max(at + 1);
        }
    }

    fn both(text: &[u8]) -> (Vec<u32>, Vec<u32>) {
        let needles = needles();
        let (mut fast, mut slow) = (Vec::new(), Vec::new());
        search(&needles, text, 0..text.len(), &mut |index| fast.push(index));
        slowly(&needles, text, &mut |index| slow.push(index));
        for found in [&mut fast, &mut slow] {
            found.sort_unstable();
            found.dedup();
        }
        (fast, slow)
    }

    proptest! {
        /// Addresses among other octets, in either base64 alphabet, wrapped at any width, with the first
        /// letters missing or not.
        #[test]
        fn finds_what_decoding_everything_finds(
            before in proptest::collection::vec(any::<u8>(), 0..200),
            which in 0_usize..4,
            after in proptest::collection::vec(any::<u8>(), 0..100),
            url_safe in any::<bool>(),
            width in 20_usize..90,
            feeds in any::<bool>(),
            cut in 0_usize..8,
            around in "[ -~]{0,6}",
        ) {
            let address = ["p3@org3.co.jp", "taro@a.example", "a@x.jp", "long.local-part+tag@sub.domain.example.org"][which];
            let octets = [&before, b" ".as_slice(), address.as_bytes(), b" ", &after].concat();
            let encoded = if url_safe { URL_SAFE_NO_PAD.encode(&octets) } else { STANDARD.encode(&octets) };
            let mut text = around.clone().into_bytes();
            for line in encoded.as_bytes()[cut.min(encoded.len())..].chunks(width) {
                text.extend_from_slice(line);
                text.extend_from_slice(if feeds { b"\n" } else { b"\r\n" });
            }
            text.extend_from_slice(around.as_bytes());
            let (fast, slow) = both(&text);
            prop_assert!(slow.iter().all(|index| fast.contains(index)), "{fast:?} {slow:?}");
        }
    }

    #[test]
    fn a_token_at_every_place_of_a_group_is_found() {
        for pad in 0..6 {
            let text = format!("x={};", STANDARD.encode(format!("{}<p3@org3.co.jp>", "-".repeat(pad))));
            assert_eq!(both(text.as_bytes()).0, [0], "{pad}");
        }
        assert!(both(b"YUB4").0.is_empty(), "too short to be one");
    }
}
