//! Splits input into command lines of bounded length. Only CRLF ends a line; a bare LF does too for
//! networks that the administrator has allowed it for.

use super::content::BareLf;

/// Longest command line in octets, CRLF included (`docs/PROMISES.md` promise 4). RFC 5321 §4.5.3.1.4
/// requires at least 512, plus what extensions add for parameters.
pub const MAX_LINE: usize = 2_048;

/// What stands at the front of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A line: its length, and the length of its line end, both in octets.
    Line(usize, usize),
    /// Discard this many octets: the rest of a line that was already refused.
    Skip(usize),
    /// Discard this many octets and refuse them with 500 5.5.2, for this reason.
    Wrong(usize, &'static str),
    /// No whole line yet.
    More,
}

/// Finds lines. After refusing a line before its end, it skips to the start of the next one.
#[derive(Debug, Default)]
pub(super) struct Lines {
    skipping: bool,
    /// Whether a bare LF ends a line as well.
    bare_lf: bool,
}

impl Lines {
    /// A reader for which a bare LF ends a line if `bare_lf` says to normalise it.
    pub(super) fn new(bare_lf: BareLf) -> Self {
        Self { skipping: false, bare_lf: bare_lf == BareLf::Normalise }
    }

    /// Looks for a line of at most `most` octets at the front of `input`. The caller removes what was
    /// found before the next call.
    pub(super) fn next(&mut self, input: &[u8], most: usize) -> Found {
        if self.skipping {
            return self.skip(input);
        }
        let front = &input[..input.len().min(most)];
        let Some(end) = memchr::memchr(b'\n', front) else {
            if front.len() < most {
                return Found::More;
            }
            self.skipping = true;
            // A trailing CR may be the first half of the line end, so it stays in the input.
            let held = usize::from(front.ends_with(b"\r"));
            return Found::Wrong(front.len() - held, "line too long");
        };
        let (line, ended) = match front[..end].strip_suffix(b"\r") {
            Some(line) => (line, 2),
            None if self.bare_lf => (&front[..end], 1),
            None => (&front[..end], 0),
        };
        if ended == 0 {
            // Refused at once, so that a person typing sees why. The line still continues to its CRLF.
            self.skipping = true;
            return Found::Wrong(end + 1, "a LF without CR; lines end in CRLF");
        }
        if memchr::memchr2(b'\r', 0, line).is_some() {
            return Found::Wrong(end + 1, "a bare CR or a NUL in a command");
        }
        Found::Line(line.len(), ended)
    }

    fn skip(&mut self, input: &[u8]) -> Found {
        let end = if self.bare_lf {
            memchr::memchr(b'\n', input).map(|at| at + 1)
        } else {
            memchr::memmem::find(input, b"\r\n").map(|at| at + 2)
        };
        if let Some(end) = end {
            self.skipping = false;
            return Found::Skip(end);
        }
        match input.len() - usize::from(input.ends_with(b"\r")) {
            0 => Found::More,
            useless => Found::Skip(useless),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds these pieces; returns lines and refusals in order.
    fn all(pieces: &[&[u8]], bare_lf: BareLf) -> Vec<String> {
        let mut lines = Lines::new(bare_lf);
        let mut input = Vec::new();
        let mut found = Vec::new();
        for piece in pieces {
            input.extend_from_slice(piece);
            loop {
                let taken = match lines.next(&input, MAX_LINE) {
                    Found::More => break,
                    Found::Skip(length) => length,
                    Found::Line(length, ended) => {
                        found.push(String::from_utf8_lossy(&input[..length]).into_owned());
                        length + ended
                    }
                    Found::Wrong(length, why) => {
                        found.push(format!("! {why}"));
                        length
                    }
                };
                input.drain(..taken);
            }
        }
        found
    }

    #[test]
    fn only_crlf_ends_a_line() {
        let fits = [&[b'x'; MAX_LINE - 2][..], b"\r\nA\r\n"].concat();
        let over = [&[b'x'; MAX_LINE - 1][..], b"\r\nA\r\n"].concat();
        let far = [&[b'x'; 3 * MAX_LINE][..], b"\n\r\nA\r\n"].concat();
        let x = "x".repeat(MAX_LINE - 2);
        let (long, bare) = ("! line too long", "! a LF without CR; lines end in CRLF");
        let inside = "! a bare CR or a NUL in a command";
        let cases: [(&[u8], Vec<&str>); 9] = [
            (b"A\r\nB\r\n", vec!["A", "B"]),
            (b"\r\nB\r\n", vec!["", "B"]),
            (b"A\nB\nC\r\nD\r\n", vec![bare, "D"]),
            (b"A\rB\r\nC\r\n", vec![inside, "C"]),
            (b"A\r\r\nC\r\n", vec![inside, "C"]),
            (b"A\0\r\nC\r\n", vec![inside, "C"]),
            (&fits, vec![&x, "A"]),
            (&over, vec![long, "A"]),
            (&far, vec![long, "A"]),
        ];
        for (input, expected) in cases {
            for cut in
                (0..=input.len()).filter(|cut| input.len() < 100 || cut % 61 == 0 || *cut > MAX_LINE - 5)
            {
                let (one, two) = input.split_at(cut);
                assert_eq!(all(&[one, two], BareLf::Refuse), expected, "cut at {cut} of {}", input.len());
            }
            let single: Vec<&[u8]> = input.chunks(1).collect();
            assert_eq!(all(&single, BareLf::Refuse), expected, "octet by octet");
        }
    }

    #[test]
    fn where_it_is_said_a_bare_lf_ends_a_line_too() {
        let inside = "! a bare CR or a NUL in a command";
        let over = [&[b'x'; MAX_LINE + 9][..], b"\nA\r\n"].concat();
        let cases: [(&[u8], Vec<&str>); 6] = [
            (b"A\r\nB\r\n", vec!["A", "B"]),
            (b"A\nB\nC\r\nD\r\n", vec!["A", "B", "C", "D"]),
            (b"\nB\n", vec!["", "B"]),
            (b"A\rB\nC\n", vec![inside, "C"]),
            (b"A\0\nC\n", vec![inside, "C"]),
            (&over, vec!["! line too long", "A"]),
        ];
        for (input, expected) in cases {
            for cut in 0..=input.len() {
                let (one, two) = input.split_at(cut);
                assert_eq!(all(&[one, two], BareLf::Normalise), expected, "cut at {cut} of {}", input.len());
            }
        }
    }
}
