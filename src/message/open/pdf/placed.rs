//! Readings of a page by the places of its texts. A file says where each text stands, but not what is a word:
//! a cell of a table, a word, and a letter of a word may each be placed alone. What stands close together is
//! read as one word, for several ideas of close, and in the order of the places too.

use super::pen::Spot;
use std::collections::BTreeSet;
use std::ops::Range;

/// Maximum number of pieces that are compared with each other.
const PIECES: usize = 20_000;
/// Texts at most so far apart are one word whatever is around them, in parts of the size of the font.
const CLOSE: f64 = 0.15;
/// Gaps up to which words with wide spacing are read as one.
const WIDE: [f64; 3] = [0.4, 1.0, f64::INFINITY];
/// How far a text may reach back over the one before it.
const BACK: f64 = -0.4;
/// How far across a text may stand and be on the same line, as what is raised is.
const RAISED: f64 = 0.5;
/// How far lines are apart at least that are sorted apart.
const LEVEL: f64 = 0.3;
/// How near the same text is drawn again to look bold, or to cast a shadow.
const TWICE: f64 = 0.2;
/// Letters of a piece that may be a part of a word with wide spacing, and the number of such pieces.
const SHORT: (usize, usize) = (2, 6);

/// Letters of a piece of unknown ones that may be a sign before a line or the like, and the number of different
/// such pieces from which they may be the letters of an address.
const SIGN: (usize, usize) = (2, 6);

/// What stands between local part and domain in the ways to write an address.
const SIGNS: [char; 5] = ['@', '＠', '﹫', '=', '%'];

/// A text drawn without a gap.
#[derive(Debug)]
struct Piece {
    text: Range<usize>,
    spot: Spot,
    /// Whether all its letters are known.
    known: bool,
    /// The lines as they were drawn have a break within this text, or none before it.
    differs: bool,
}

/// The texts of a page with their places.
#[derive(Debug, Default)]
pub(super) struct Placed {
    text: String,
    pieces: Vec<Piece>,
    /// The last text that was drawn, which may be a part of the last piece.
    last: Option<(Range<usize>, Spot)>,
    /// Short pieces of unknown letters, and whether there was a longer one, or one beside known letters.
    signs: BTreeSet<String>,
    unread: bool,
}

/// The gap between two texts on one line, in parts of the size of the font; `None` if they are on two.
fn gap(before: &Spot, after: &Spot) -> Option<f64> {
    let em = before.em.max(after.em);
    let level = is_parallel(before, after) && (before.across - after.across).abs() <= RAISED * em;
    level.then_some((after.from - before.to) / em)
}

fn is_parallel(one: &Spot, other: &Spot) -> bool {
    (one.angle - other.angle).abs() < 1.0
}

fn is_gap(gap: f64, limit: f64) -> bool {
    gap > limit || gap < BACK
}

impl Placed {
    /// Whether a text here is on the line of the one before it.
    pub(super) fn on_line(&self, spot: &Spot) -> bool {
        self.last.as_ref().is_some_and(|(_, last)| gap(last, spot).is_some())
    }

    /// The number of pieces that wait to be read.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.pieces.len() >= PIECES
    }

    /// Whether there were unknown letters that may be a part of an address. A few signs that stand alone are not:
    /// the dots before the items of a list, marks in a form.
    pub(super) fn is_unread(&self) -> bool {
        self.unread || self.signs.len() >= SIGN.1
    }

    /// Adds a text; `known` says whether all its letters are. `broken` says that it is apart from the one before in the lines as they are drawn.
    pub(super) fn add(&mut self, text: &str, known: bool, spot: Spot, broken: bool) {
        if text.is_empty() {
            return;
        }
        if let Some((range, last)) = &self.last
            && gap(last, &spot).is_some()
            && (last.from - spot.from).abs() <= TWICE * spot.em
            && &self.text[range.clone()] == text
        {
            return;
        }
        let start = self.text.len();
        self.text.push_str(text);
        let range = start..self.text.len();
        let joins = |piece: &&mut Piece| gap(&piece.spot, &spot).is_some_and(|gap| !is_gap(gap, CLOSE));
        if let Some(piece) = self.pieces.last_mut().filter(joins) {
            piece.text.end = range.end;
            piece.spot.to = spot.to;
            piece.spot.em = piece.spot.em.max(spot.em);
            piece.differs |= broken;
            piece.known &= known;
        } else {
            self.pieces.push(Piece { text: range.clone(), spot, known, differs: !broken });
        }
        self.last = Some((range, spot));
    }

    /// Appends the readings that may hold an address and differ from the lines as they were drawn. Clears all.
    pub(super) fn read(&mut self, out: &mut String) {
        if self.text.contains(SIGNS) {
            let pieces: Vec<&Piece> = self.pieces.iter().collect();
            for line in pieces.chunk_by(|before, after| gap(&before.spot, &after.spot).is_some()) {
                self.line(line, false, out);
            }
            self.sorted(out);
        }
        for piece in self.pieces.iter().filter(|piece| !piece.known) {
            let text = &self.text[piece.text.clone()];
            if text.chars().nth(SIGN.0).is_some() {
                self.unread = true;
            } else if self.signs.len() < SIGN.1 {
                self.signs.insert(text.to_owned());
            }
        }
        self.text.clear();
        self.pieces.clear();
        self.last = None;
    }

    /// Lines whose texts were not drawn one after the other.
    fn sorted(&self, out: &mut String) {
        let mut order: Vec<(usize, &Piece)> = self.pieces.iter().enumerate().collect();
        order.sort_by(|(_, one), (_, other)| {
            let (one, other) = (&one.spot, &other.spot);
            one.angle.total_cmp(&other.angle).then(one.across.total_cmp(&other.across))
        });
        let level = |(_, one): &(usize, &Piece), (_, other): &(usize, &Piece)| {
            is_parallel(&one.spot, &other.spot)
                && other.spot.across - one.spot.across <= LEVEL * one.spot.em.max(other.spot.em)
        };
        for line in order.chunk_by_mut(level) {
            line.sort_by(|(_, one), (_, other)| one.spot.from.total_cmp(&other.spot.from));
            if line.windows(2).any(|pair| pair[1].0 != pair[0].0 + 1) {
                let pieces: Vec<&Piece> = line.iter().map(|(_, piece)| *piece).collect();
                self.line(&pieces, true, out);
            }
        }
    }

    fn line(&self, pieces: &[&Piece], sorted: bool, out: &mut String) {
        if !pieces.iter().any(|piece| self.of(piece).contains(SIGNS)) {
            return;
        }
        let short = pieces.iter().filter(|piece| self.of(piece).chars().nth(SHORT.0).is_none()).count();
        let limits = if sorted || short >= SHORT.1 { &WIDE[..] } else { &WIDE[..1] };
        let mut last = self.reading(pieces, CLOSE);
        if sorted || pieces.iter().skip(1).any(|piece| piece.differs) || pieces[0].differs {
            out.push_str(&last);
            out.push('\n');
        }
        for limit in limits {
            let reading = self.reading(pieces, *limit);
            if reading != last {
                out.push_str(&reading);
                out.push('\n');
                last = reading;
            }
        }
    }

    fn of(&self, piece: &Piece) -> &str {
        &self.text[piece.text.clone()]
    }

    /// The line with a blank where a gap is wider than `limit`.
    fn reading(&self, pieces: &[&Piece], limit: f64) -> String {
        let mut text = String::new();
        let mut before: Option<&Spot> = None;
        for piece in pieces {
            let apart = |before: &Spot| gap(before, &piece.spot).is_none_or(|gap| is_gap(gap, limit));
            if before.is_some_and(apart) {
                text.push(' ');
            }
            text.push_str(self.of(piece));
            before = Some(&piece.spot);
        }
        text
    }
}
