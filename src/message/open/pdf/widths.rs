//! How far each code of a font moves the pen (ISO 32000-1 9.2.4, 9.7.4.3).

use super::lex::{Object, whole};

/// Maximum number of ranges of one font.
const RANGES: usize = 70_000;
/// The width of a code that nothing tells, in thousandths of the size.
const UNKNOWN: f64 = 556.0;

/// Widths of the printable characters of ASCII, in thousandths of the size of the font.
type Table = [u16; 95];

/// The widths of a font.
#[derive(Debug)]
pub(super) struct Widths {
    /// First and last code, and the width of each of them; sorted.
    ranges: Vec<(u32, u32, f32)>,
    /// The widths of codes in ASCII that stand in no range.
    standard: Option<&'static Table>,
    /// The width of all others.
    otherwise: f64,
    /// The size of the units of all these, in parts of the size of the font.
    unit: f64,
}

impl Default for Widths {
    fn default() -> Self {
        Self { ranges: Vec::new(), standard: Some(&SANS), otherwise: UNKNOWN, unit: 0.001 }
    }
}

impl Widths {
    /// Those of a simple font: `widths` from the code `first` on; of the standard fonts by their name if there are
    /// none. `unit` is the size of one unit in parts of the size of the font.
    pub(super) fn simple(name: &str, first: usize, widths: Option<&Object>, unit: f64) -> Self {
        let bold = name.contains("Bold");
        let italic = name.contains("Italic") || name.contains("Oblique");
        let (standard, otherwise) = match (name.contains("Times"), bold, italic) {
            _ if name.contains("Courier") => (None, 600.0),
            (true, false, false) => (Some(&SERIF), UNKNOWN),
            (true, true, false) => (Some(&SERIF_BOLD), UNKNOWN),
            (true, false, true) => (Some(&SERIF_ITALIC), UNKNOWN),
            (true, true, true) => (Some(&SERIF_BOLD_ITALIC), UNKNOWN),
            (false, true, _) => (Some(&SANS_BOLD), UNKNOWN),
            (false, false, _) => (Some(&SANS), UNKNOWN),
        };
        let mut ranges = Vec::new();
        if let Some(Object::Array(list)) = widths {
            for (code, width) in (first..=0xff).zip(list) {
                if let (Ok(code), Object::Number(width)) = (u32::try_from(code), width) {
                    ranges.push((code, code, narrow(*width)));
                }
            }
        }
        Self { ranges, standard, otherwise, unit }
    }

    /// Those of a composite font: `W` and `DW` (9.7.4.3).
    pub(super) fn composite(list: Option<&Object>, otherwise: f64) -> Self {
        let mut ranges = Vec::new();
        let mut codes: Vec<u32> = Vec::new();
        let Some(Object::Array(list)) = list else {
            return Self { ranges, standard: None, otherwise, unit: 0.001 };
        };
        for object in list {
            match (object, codes.as_slice()) {
                (Object::Array(widths), [first]) => {
                    for (code, width) in (*first..).zip(widths) {
                        if let Object::Number(width) = width {
                            ranges.push((code, code, narrow(*width)));
                        }
                    }
                    codes.clear();
                }
                (Object::Number(width), [start, end]) => {
                    ranges.push((*start, *end, narrow(*width)));
                    codes.clear();
                }
                (Object::Number(code), _) => codes.push(u32::try_from(whole(*code)).unwrap_or(u32::MAX)),
                _ => codes.clear(),
            }
            if ranges.len() > RANGES {
                break;
            }
        }
        ranges.sort_by_key(|range| range.0);
        Self { ranges, standard: None, otherwise, unit: 0.001 }
    }

    /// The width of this code, in parts of the size of the font.
    pub(super) fn of(&self, code: u32) -> f64 {
        let at = self.ranges.partition_point(|range| range.0 <= code);
        let known = at.checked_sub(1).map(|at| &self.ranges[at]).filter(|range| code <= range.1);
        let standard = || {
            let at = usize::try_from(code).ok()?.checked_sub(32)?;
            self.standard?.get(at).map(|width| f64::from(*width))
        };
        let width = known.map(|range| f64::from(range.2)).or_else(standard).unwrap_or(self.otherwise);
        width * self.unit
    }
}

/// A font may have tens of thousands of widths, so they are kept short.
#[expect(clippy::cast_possible_truncation, reason = "a width needs few digits")]
fn narrow(width: f64) -> f32 {
    width as f32
}

// The standard fonts (9.6.2.2) need no widths in a file.
const SANS: Table = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278,
    500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469,
    556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556, 556, 556, 333, 500,
    278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];
const SANS_BOLD: Table = [
    278, 333, 474, 556, 556, 889, 722, 238, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556, 556, 556,
    556, 556, 556, 556, 556, 333, 333, 584, 584, 584, 611, 975, 722, 722, 722, 722, 667, 611, 778, 722, 278,
    556, 722, 611, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 333, 278, 333, 584,
    556, 333, 556, 611, 556, 611, 556, 333, 611, 611, 278, 278, 556, 278, 889, 611, 611, 611, 611, 389, 556,
    333, 611, 556, 778, 556, 556, 500, 389, 280, 389, 584,
];
const SERIF: Table = [
    250, 333, 408, 500, 500, 833, 778, 180, 333, 333, 500, 564, 250, 333, 250, 278, 500, 500, 500, 500, 500,
    500, 500, 500, 500, 500, 278, 278, 564, 564, 564, 444, 921, 722, 667, 667, 722, 611, 556, 722, 722, 333,
    389, 722, 611, 889, 722, 722, 556, 722, 667, 556, 611, 722, 722, 944, 722, 722, 611, 333, 278, 333, 469,
    500, 333, 444, 500, 444, 500, 444, 333, 500, 500, 278, 278, 500, 278, 778, 500, 500, 500, 500, 333, 389,
    278, 500, 500, 722, 500, 500, 444, 480, 200, 480, 541,
];
const SERIF_BOLD: Table = [
    250, 333, 555, 500, 500, 1000, 833, 278, 333, 333, 500, 570, 250, 333, 250, 278, 500, 500, 500, 500, 500,
    500, 500, 500, 500, 500, 333, 333, 570, 570, 570, 500, 930, 722, 667, 722, 722, 667, 611, 778, 778, 389,
    500, 778, 667, 944, 722, 778, 611, 778, 722, 556, 667, 722, 722, 1000, 722, 722, 667, 333, 278, 333, 581,
    500, 333, 500, 556, 444, 556, 444, 333, 500, 556, 278, 333, 556, 278, 833, 556, 500, 556, 556, 444, 389,
    333, 556, 500, 722, 500, 500, 444, 394, 220, 394, 520,
];
const SERIF_ITALIC: Table = [
    250, 333, 420, 500, 500, 833, 778, 214, 333, 333, 500, 675, 250, 333, 250, 278, 500, 500, 500, 500, 500,
    500, 500, 500, 500, 500, 333, 333, 675, 675, 675, 500, 920, 611, 611, 667, 722, 611, 611, 722, 722, 333,
    444, 667, 556, 833, 667, 722, 611, 722, 611, 500, 556, 722, 611, 833, 611, 556, 556, 389, 278, 389, 422,
    500, 333, 500, 500, 444, 500, 444, 278, 500, 500, 278, 278, 444, 278, 722, 500, 500, 500, 500, 389, 389,
    278, 500, 444, 667, 444, 444, 389, 400, 275, 400, 541,
];
const SERIF_BOLD_ITALIC: Table = [
    250, 389, 555, 500, 500, 833, 778, 278, 333, 333, 500, 570, 250, 333, 250, 278, 500, 500, 500, 500, 500,
    500, 500, 500, 500, 500, 333, 333, 570, 570, 570, 500, 832, 667, 667, 667, 722, 667, 667, 722, 778, 389,
    500, 667, 611, 889, 722, 722, 611, 722, 667, 556, 611, 722, 667, 889, 667, 611, 611, 333, 278, 333, 570,
    500, 333, 500, 500, 444, 500, 444, 333, 500, 556, 278, 278, 500, 278, 778, 556, 500, 500, 500, 389, 389,
    278, 556, 444, 667, 500, 444, 389, 348, 220, 348, 570,
];
