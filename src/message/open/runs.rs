//! Base64 within text: a file as a value of XML or JSON, in a calendar, in a `data:` address, between the lines
//! of PEM, or as the body of a quoted message. Each becomes a leaf of its own.
//!
//! Text is searched for letters of base64 without a gap, of which ordinary text has few, by a bit for each
//! octet. What they decode to decides: a known format, or markup, mail and the like. Plain text in
//! base64 is left to the search of the text around it, which reads it there.

mod escape;
mod lead;
mod letters;
#[cfg(test)]
mod tests;

use crate::message::walk::transfer::{Base64, base64_value};
use escape::{ESCAPE, Sign, escape};
use lead::{Lead, QUERY};
use letters::{Letters, is_letter};
use memchr::memmem;

/// The number of letters without a gap that may belong to a file: encoders write lines of 60 and more.
const SEED: usize = 56;
/// The number of letters by which it is decided what a run decodes to.
const HEAD: usize = 512;
/// How many of them tell, from where a file may begin: the mark of tar is the last.
const TELLING: usize = 352;
/// The fewest letters of a run that is looked at, if it ends before that.
const LEAST: usize = 24;
/// The most lines of a run at whose beginnings a file is looked for, as a name or the like may stand before it.
const LINES: usize = 8;
/// How far before such letters a file may begin: in the line before, or with escapes among its letters.
const BEFORE: usize = 4_096;
/// How far before a page of draw.io its tag may begin.
const NEAR: usize = 256;
/// Octets kept from before what comes next, so that pieces of any size show the same.
const KEPT: usize = SEED + BEFORE;

/// What has been found, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A file begins. If so, it is deflated without a head, so that its octets do not tell.
    Begin {
        /// See above.
        deflated: bool,
    },
    /// The next octets of the file.
    Data(Vec<u8>),
    /// The file has ended.
    End,
}

/// Finds files in a stream of text.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The end of what was read, and what is being read.
    window: Vec<u8>,
    /// How many octets of it were looked at.
    seen: usize,
    /// Where the last run ended.
    floor: usize,
    /// The letters that go on at its end are no file.
    skips: bool,
    letters: Letters,
    run: Option<Run>,
}

/// Letters in a row, over line ends and escapes.
#[derive(Debug, Default)]
struct Run {
    scanner: Scanner,
    /// The letters so far, until it is decided what they are.
    head: Vec<u8>,
    /// The places in `head` where the file may begin, besides the beginnings of lines.
    starts: Vec<usize>,
    /// What precedes a page of draw.io precedes it.
    page: bool,
    file: File,
}

#[derive(Debug, Default)]
enum File {
    #[default]
    Undecided,
    None,
    Open(Base64),
}

impl Runs {
    /// Takes the next octets of a text in UTF-8, and appends what is found in them.
    pub(super) fn feed(&mut self, bytes: &[u8], found: &mut Vec<Found>) {
        if let Some(run) = &mut self.run {
            let used = run.feed(bytes, found);
            if used == bytes.len() && !run.scanner.ended {
                return;
            }
            run.finish(found);
            self.run = None;
            self.forget();
            return self.feed(&bytes[used..], found);
        }
        let mut window = std::mem::take(&mut self.window);
        window.extend_from_slice(bytes);
        self.look(&window, found);
        if self.run.is_none() {
            let over = window.len().saturating_sub(KEPT);
            window.drain(..over);
            self.seen = self.seen.saturating_sub(over);
            self.floor = self.floor.saturating_sub(over);
            self.window = window;
        } else {
            self.forget();
        }
    }

    /// What comes next stands alone.
    fn forget(&mut self) {
        self.window.clear();
        (self.seen, self.floor, self.skips) = (0, 0, false);
    }

    /// Looks for runs in the window.
    fn look(&mut self, window: &[u8], found: &mut Vec<Found>) {
        let mut from = self.floor.max(self.seen.saturating_sub(SEED - 1));
        self.letters.read(window, from);
        if self.skips {
            from = self.letters.end(self.seen);
        }
        while let Some(seed) = self.letters.seed(from) {
            let back = self.floor.max(seed.start.saturating_sub(BEFORE));
            let Some((start, mut run)) = candidate(window, seed.start, back) else {
                from = self.letters.end(seed.end);
                self.skips = true;
                continue;
            };
            let used = run.feed(&window[start..], found);
            if !run.scanner.ended {
                self.run = Some(run);
                return;
            }
            run.finish(found);
            self.floor = start + used;
            (from, self.skips) = (self.floor, false);
        }
        self.skips &= from == window.len();
        self.seen = window.len();
    }

    /// The text has ended.
    pub(super) fn finish(&mut self, found: &mut Vec<Found>) {
        if let Some(mut run) = self.run.take() {
            run.finish(found);
        }
    }
}

/// The run that these letters belong to, and where it begins, not before `back`; `None` if it is no file.
fn candidate(window: &[u8], seed: usize, back: usize) -> Option<(usize, Run)> {
    if stands_apart(&window[back..seed]) && !may_begin(window, seed) {
        return None;
    }
    let places = beginnings(window, seed, back);
    let (start, page) = (places[0], precedes_page(&window[back..places[0]]));
    let may = |(index, &place): (usize, &usize)| (index == 0 || place != start) && may_begin(window, place);
    if !page && !places.iter().enumerate().any(may) {
        return None;
    }
    let starts = places.iter().map(|&place| letters_between(window, start, place)).collect();
    Some((start, Run { starts, page, ..Run::default() }))
}

/// The places where the file of these letters may begin, not before `from`; the first is where the run begins. What
/// stands before a file may look like letters too.
fn beginnings(window: &[u8], seed: usize, from: usize) -> [usize; 4] {
    let line = letters_before(window, seed, from);
    // The line before may have the first letters, if it was folded there.
    let start = line_before(&window[from..line]).map_or(line, |end| letters_before(window, from + end, from));
    // A hyphen or an underscore is a letter in addresses only.
    let plain = window[line..seed].iter().rposition(|&byte| !is_letter(byte)).map(|at| line + at + 1);
    [start, line, escaped(window, line, from).unwrap_or(start), plain.unwrap_or(start)]
}

/// How many letters stand between two places.
fn letters_between(window: &[u8], start: usize, to: usize) -> usize {
    let (mut scanner, mut out) = (Scanner::default(), Vec::new());
    scanner.feed(&window[start..to], &mut out);
    out.len() + scanner.token.len()
}

/// Whether these letters stand behind a blank within a line, or a quote: then they begin where they seem to.
fn stands_apart(before: &[u8]) -> bool {
    match before {
        [.., last, b' '] => !matches!(last, b' ' | b'\t' | b'>' | b'\r' | b'\n'),
        [.., b'"' | b'\''] => true,
        _ => false,
    }
}

/// Whether a file may begin at this place, by its first letters; also if an escape stands between them.
fn may_begin(window: &[u8], place: usize) -> bool {
    let (mut letters, mut count) = ([0; lead::LETTERS], 0);
    for &byte in window[place..].iter().take(4 * lead::LETTERS) {
        if base64_value(byte).is_some() {
            letters[count] = byte;
            count += 1;
            if count == lead::LETTERS {
                return lead::first(letters).is_none_or(|head| lead::may_lead(&head));
            }
        } else if !matches!(byte, b'\r' | b'\n' | b' ' | b'\t' | b'>') {
            return true;
        }
    }
    true
}

/// Whether the tag of a page of draw.io ends here, as it is or escaped.
fn precedes_page(before: &[u8]) -> bool {
    // Of `%3E` only the sign precedes what looks like letters.
    let ends = [&b">"[..], b"&gt;", b"%"].iter().any(|end| before.ends_with(end));
    ends && memmem::rfind(&before[before.len().saturating_sub(NEAR)..], b"diagram").is_some()
}

/// Where the line before ends, if nothing but an indentation follows, and a letter ends it.
fn line_before(text: &[u8]) -> Option<usize> {
    let end = text.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'>'))?;
    let line = text[..=end].strip_suffix(b"\n")?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    line.last().is_some_and(|&byte| is_letter(byte)).then_some(line.len())
}

/// The place after an escape of which only the end looks like letters: `\n`, `%2C`, `\u0022`.
fn escaped(window: &[u8], start: usize, from: usize) -> Option<usize> {
    match (*window[from..start].last()?, *window.get(start)?) {
        (b'\\', b'u') => Some(start + 5),
        (b'\\', b'n' | b'r' | b't') => Some(start + 1),
        (b'%', _) => Some(start + 2),
        _ => None,
    }
    .filter(|&at| at <= window.len())
}

/// The first of the letters that end at `to`, with the escapes among them.
fn letters_before(window: &[u8], to: usize, from: usize) -> usize {
    let mut at = to;
    loop {
        while at > from && base64_value(window[at - 1]).is_some() {
            at -= 1;
        }
        // The octet before is no letter; it may begin an escape, or end one.
        let Some(sign) = at.checked_sub(1).filter(|&sign| sign >= from) else { return at };
        let begins = match window[sign] {
            b'\\' | b'%' => Some(sign),
            b';' => window[from.max(sign.saturating_sub(ESCAPE))..sign]
                .iter()
                .rposition(|&byte| byte == b'&')
                .map(|amp| from.max(sign.saturating_sub(ESCAPE)) + amp),
            _ => None,
        };
        let stands =
            begins.map(|first| (first, escape(&window[first..window.len().min(first + ESCAPE + 1)])));
        match stands {
            Some((first, Some((Sign::Letter(_) | Sign::LineEnd, _)))) => at = first,
            _ => return at,
        }
    }
}

/// Takes the letters of a run from the text and finds its end.
#[derive(Debug, Default)]
struct Scanner {
    /// Where it is.
    place: Place,
    /// Letters of a line that may not belong to the run.
    token: Vec<u8>,
    escape: Vec<u8>,
    /// Line ends since the last letter.
    ends: u8,
    /// At which letters the first lines begin, after the first of all.
    lines: Vec<usize>,
    ended: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Letters,
    /// After blanks in a line: only its end may follow.
    Blanks,
    /// At the beginning of a line, or in its indentation.
    LineStart,
    /// In the first letters of a line.
    Token,
}

impl Scanner {
    /// Appends the letters among the octets; gives how many octets were used.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        while at < bytes.len() && !self.ended {
            if self.place == Place::Letters && self.escape.is_empty() {
                let rest = &bytes[at..];
                let letters =
                    rest.iter().position(|&byte| base64_value(byte).is_none()).unwrap_or(rest.len());
                out.extend_from_slice(&rest[..letters]);
                at += letters;
                if at == bytes.len() {
                    break;
                }
            }
            self.step(bytes[at], out);
            at += 1;
        }
        at
    }

    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        if !self.escape.is_empty() || matches!(byte, b'\\' | b'%' | b'&') {
            self.escape.push(byte);
            match escape(&self.escape) {
                Some((sign, _)) => {
                    self.escape.clear();
                    match sign {
                        Sign::Letter(letter) => self.letter(letter, out),
                        // An escaped line end is within a value, so what follows belongs to the run.
                        Sign::LineEnd => {
                            out.append(&mut self.token);
                            self.place = Place::Letters;
                        }
                        Sign::Other => self.end(true, out),
                    }
                }
                None if self.escape.len() > ESCAPE => self.end(true, out),
                None => {}
            }
            return;
        }
        match (self.place, byte) {
            (Place::Letters | Place::Blanks | Place::Token, b'\r' | b'\n') => {
                out.append(&mut self.token);
                if self.lines.len() < LINES {
                    self.lines.push(out.len());
                }
                self.ends = u8::from(byte == b'\n');
                self.place = Place::LineStart;
            }
            (Place::Letters | Place::Blanks, b' ' | b'\t') => self.place = Place::Blanks,
            (Place::LineStart, b' ' | b'\t' | b'>' | b'\r') => {}
            (Place::LineStart, b'\n') => {
                self.ends += 1;
                // An empty line.
                self.ended |= self.ends > 1;
            }
            (Place::LineStart | Place::Token, _) if base64_value(byte).is_some() => self.letter(byte, out),
            // The line was text, unless a mark or a tag ends it.
            (Place::Token, _) => self.end(!matches!(byte, b' ' | b'\t' | b'.' | b':' | b';' | b','), out),
            _ => self.ended = true,
        }
    }

    /// A letter after an escape or at the beginning of a line.
    fn letter(&mut self, letter: u8, out: &mut Vec<u8>) {
        match self.place {
            Place::LineStart | Place::Token => {
                self.place = Place::Token;
                self.token.push(letter);
                if self.token.starts_with(b"--") {
                    self.token.clear();
                    self.ended = true;
                } else if self.token.len() >= SEED {
                    out.append(&mut self.token);
                    self.place = Place::Letters;
                }
            }
            Place::Letters => out.push(letter),
            Place::Blanks => self.ended = true,
        }
    }

    /// The run has ended; `belongs` says whether the letters of its last line are part of it.
    fn end(&mut self, belongs: bool, out: &mut Vec<u8>) {
        if belongs {
            out.append(&mut self.token);
        }
        self.token.clear();
        self.ended = true;
    }
}

impl Run {
    /// Takes the next octets of the text; gives how many belong to the run.
    fn feed(&mut self, bytes: &[u8], found: &mut Vec<Found>) -> usize {
        let mut letters = std::mem::take(&mut self.head);
        let used = self.scanner.feed(bytes, &mut letters);
        self.take(letters, false, found);
        used
    }

    fn take(&mut self, letters: Vec<u8>, last: bool, found: &mut Vec<Found>) {
        match &mut self.file {
            File::None => {}
            File::Open(decoder) => decode(decoder, &letters, found),
            File::Undecided if letters.len() < HEAD && !last => self.head = letters,
            File::Undecided => self.decide(&letters, found),
        }
    }

    /// Decides by the first letters whether the run is a file.
    fn decide(&mut self, letters: &[u8], found: &mut Vec<Found>) {
        self.starts.extend_from_slice(&self.scanner.lines);
        self.starts.dedup();
        // However many there are already.
        let head = &letters[..letters.len().min(HEAD)];
        let lead = |&start: &usize| {
            let run = head.get(start..).filter(|run| run.len() >= LEAST)?;
            Some((start, lead::of(&run[..run.len().min(TELLING)], self.page)?))
        };
        let Some((start, lead)) = self.starts.iter().find_map(lead) else {
            self.file = File::None;
            return;
        };
        found.push(Found::Begin { deflated: lead == Lead::Deflated });
        let mut decoder = Base64::default();
        let begun = found.len();
        decode(&mut decoder, &letters[start..], found);
        if let Some(Found::Data(data)) = found.get_mut(begun)
            && lead == Lead::Query
        {
            data.drain(..QUERY.min(data.len()));
        }
        self.file = File::Open(decoder);
    }

    fn finish(&mut self, found: &mut Vec<Found>) {
        let mut letters = std::mem::take(&mut self.head);
        self.scanner.end(true, &mut letters);
        self.take(letters, true, found);
        if let File::Open(mut decoder) = std::mem::take(&mut self.file) {
            let mut out = Vec::new();
            decoder.finish(&mut out);
            found.push(Found::Data(out));
            found.push(Found::End);
        }
    }
}

fn decode(decoder: &mut Base64, letters: &[u8], found: &mut Vec<Found>) {
    let mut out = Vec::new();
    decoder.feed(letters, &mut out);
    found.push(Found::Data(out));
}
