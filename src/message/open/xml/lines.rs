//! The lines that a document shows. What programs put in place of letters, such as a picture or a note, ends a word
//! or stands in the middle of it, so a line with such a gap is read twice: parted there, and joined over it.

use memchr::{memchr, memrchr};

/// Octets of a line that are joined over a gap, on each side; no address is longer that is typed.
const SIDE: usize = 128;
/// So many octets after a gap are worth reading the line anew, if another gap follows.
const WORTH: usize = SIDE / 2;
/// How many gaps within gaps are told apart.
const WITHIN: usize = 32;
/// The length of an escape of OOXML.
const ESCAPE: usize = b"_x000D_".len();

/// Gathers what is shown.
#[derive(Debug, Default)]
pub(super) struct Lines {
    out: Vec<u8>,
    /// The end of what was shown, if it may be the beginning of an escape.
    held: Vec<u8>,
    /// The last octets of the line that earlier pieces began.
    tail: Vec<u8>,
    /// Letters were shown since the last end of a line.
    within: bool,
    /// The line around each gap that is open.
    around: Vec<Vec<u8>>,
    /// The last gap in this line.
    gap: Option<Gap>,
}

/// What stands on both sides of a gap.
#[derive(Debug)]
struct Gap {
    before: Vec<u8>,
    after: Vec<u8>,
    /// No more is taken.
    full: bool,
}

impl Gap {
    fn new(before: Vec<u8>) -> Self {
        Self { before, after: Vec::new(), full: false }
    }

    /// Takes more of what stands after it, as whole characters.
    fn take(&mut self, letters: &[u8]) {
        if self.full {
            return;
        }
        let room = SIDE - self.after.len();
        self.full = letters.len() > room;
        let mut end = letters.len().min(room);
        while end > 0 && letters.get(end).is_some_and(|&byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        self.after.extend_from_slice(&letters[..end]);
    }
}

impl Lines {
    /// The next piece of the document begins.
    pub(super) fn begin_piece(&mut self) {
        self.out.clear();
        self.out.append(&mut self.held);
    }

    /// The piece has ended; gives what it shows.
    pub(super) fn end_piece(&mut self) -> &[u8] {
        self.unescape();
        self.tail = self.line();
        &self.out
    }

    /// Letters are shown.
    pub(super) fn show(&mut self, letters: &[u8]) {
        self.blank(letters);
        self.within = true;
    }

    /// White space is shown.
    pub(super) fn blank(&mut self, blanks: &[u8]) {
        self.out.extend_from_slice(blanks);
        if let Some(gap) = &mut self.gap {
            gap.take(blanks);
        }
    }

    /// The line ends.
    pub(super) fn end(&mut self) {
        self.read_anew();
        self.out.push(b'\n');
        self.within = false;
    }

    /// The line ends, if it has letters.
    pub(super) fn end_shown(&mut self) {
        if self.within {
            self.end();
        }
    }

    /// A gap begins; what it shows until it ends is apart from the line around it.
    pub(super) fn enter(&mut self) {
        let line = self.before_gap();
        if self.around.len() < WITHIN {
            self.around.push(line);
        }
    }

    /// The gap has ended, and the line around it goes on.
    pub(super) fn leave(&mut self) {
        self.end_shown();
        self.gap = self.around.pop().filter(|before| !before.is_empty()).map(Gap::new);
    }

    /// A gap that shows no text.
    pub(super) fn pass_over(&mut self) {
        let before = self.before_gap();
        self.gap = (!before.is_empty()).then(|| Gap::new(before));
    }

    /// The line up to the gap that begins here, and the end of that line.
    fn before_gap(&mut self) -> Vec<u8> {
        let line = match self.gap.take_if(|gap| gap.after.len() < WORTH) {
            Some(gap) => last(&[gap.before, gap.after].concat()),
            None => self.line(),
        };
        self.end_shown();
        line
    }

    /// The end of the line as far as it was shown.
    fn line(&self) -> Vec<u8> {
        match memrchr(b'\n', &self.out) {
            Some(at) => last(&self.out[at + 1..]),
            None if self.out.len() >= SIDE => last(&self.out),
            None => last(&[&self.tail[..], &self.out].concat()),
        }
    }

    /// Joins the line over its last gap.
    fn read_anew(&mut self) {
        if let Some(gap) = self.gap.take()
            && !gap.after.is_empty()
        {
            self.out.push(b'\n');
            self.out.extend_from_slice(&gap.before);
            self.out.extend_from_slice(&gap.after);
        }
    }

    /// Decodes `_x000D_` and the like, by which OOXML writes characters that XML does not allow (ECMA-376 part 1,
    /// §22.4.2.4, `ST_Xstring`). Control characters end a line.
    fn unescape(&mut self) {
        if memchr(b'_', &self.out).is_none() {
            return;
        }
        let text = std::mem::take(&mut self.out);
        let mut rest = &text[..];
        while let Some(at) = memchr(b'_', rest) {
            self.out.extend_from_slice(&rest[..at]);
            rest = &rest[at..];
            if rest.len() < ESCAPE && begins_escape(rest) {
                self.held.extend_from_slice(rest);
                return;
            }
            match rest.get(..ESCAPE).and_then(escape) {
                Some(letter) if letter.is_control() && letter != '\t' => self.out.push(b'\n'),
                Some(letter) => self.out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
                None => {
                    self.out.push(b'_');
                    rest = &rest[1..];
                    continue;
                }
            }
            rest = &rest[ESCAPE..];
        }
        self.out.extend_from_slice(rest);
    }
}

/// The last octets that are joined to what follows, as whole characters.
fn last(line: &[u8]) -> Vec<u8> {
    let cut = &line[line.len().saturating_sub(SIDE)..];
    let broken = cut.iter().take(3).take_while(|&&byte| byte & 0xc0 == 0x80).count();
    cut[broken..].to_vec()
}

/// Whether an escape begins like this, up to its length.
fn begins_escape(text: &[u8]) -> bool {
    text.iter().take(ESCAPE).enumerate().all(|(at, byte)| match at {
        0 | 6 => *byte == b'_',
        1 => *byte == b'x',
        _ => byte.is_ascii_hexdigit(),
    })
}

/// The character that an escape stands for.
fn escape(text: &[u8]) -> Option<char> {
    let digits = text.get(2..6).filter(|_| begins_escape(text))?;
    char::from_u32(u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?)
}
