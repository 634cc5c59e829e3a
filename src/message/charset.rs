//! Character sets: one table of their names, and how each is read, for headers, bodies, file names and
//! encoded-words alike. What one reader of ours knows, every one does.
//!
//! Known is every name of the Encoding Standard, of Python's codecs, and the code pages that mail from
//! older and larger systems is written in.
//!
//! * [`names`] which name means what
//! * [`decoder`] octets in as they come, text out
//! * [`shifted`] ISO-2022 and HZ, which change their set within the text; [`johab`]; [`utf7`]
//! * [`tables`] sets of one octet a character that the Encoding Standard leaves out, EBCDIC among them

mod added;
mod decoder;
mod johab;
mod names;
mod shifted;
mod tables;
#[cfg(test)]
mod tests;
mod utf7;

pub use decoder::Decoder;
use encoding_rs::{BIG5, EUC_JP, EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8};

/// Longest name that is looked at.
pub(crate) const LONGEST_NAME: usize = 64;

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// ASCII by name; octets beyond it may be anything.
    Ascii,
    /// One that the Encoding Standard has.
    Standard(&'static Encoding),
    /// A set of one octet a character, by its number in the table.
    Table(usize),
    /// ISO-2022-JP, -KR, -CN with all their variants, and HZ.
    Shifted(shifted::Family),
    Johab,
    Utf7,
    /// Two or four octets a character.
    Wide(decoder::Wide),
}

impl Charset {
    /// UTF-8.
    pub const UTF_8: Self = Self(Kind::Standard(UTF_8));
    /// ISO-2022-JP with everything that is written under its name.
    pub const ISO_2022_JP: Self = Self(Kind::Shifted(shifted::Family::Japanese));
    /// What 8-bit text without a declared set may be, beside UTF-8.
    pub const GUESSES: [Self; 5] = [
        Self::ISO_2022_JP,
        Self(Kind::Standard(SHIFT_JIS)),
        Self(Kind::Standard(EUC_JP)),
        Self(Kind::Standard(GBK)),
        Self(Kind::Standard(BIG5)),
    ];

    /// The set of this name. Case, blanks, quotes and punctuation do not matter; a language suffix
    /// (RFC 2231 §5) is ignored.
    pub fn named(label: &[u8]) -> Option<Self> {
        names::find(label).map(Self)
    }

    /// The set that a byte order mark shows.
    pub fn by_mark(head: &[u8]) -> Option<Self> {
        if let Some(wide) = decoder::Wide::by_mark(head) {
            return Some(Self(Kind::Wide(wide)));
        }
        head.starts_with(b"\xef\xbb\xbf").then_some(Self::UTF_8)
    }

    /// The other order of octets, where the name leaves it open.
    pub fn other_order(self) -> Option<Self> {
        match self.0 {
            Kind::Wide(wide) => wide.other_order().map(|wide| Self(Kind::Wide(wide))),
            _ => None,
        }
    }

    /// Whether ASCII and UTF-8 are all that this name admits: such octets can be searched as they are.
    pub fn is_utf8_or_ascii(self) -> bool {
        matches!(self.0, Kind::Ascii) || self == Self::UTF_8
    }

    /// Whether the set shifts by escape sequences (ISO-2022), so that pieces may not stand alone.
    pub fn is_shifted(self) -> bool {
        matches!(self.0, Kind::Shifted(_))
    }

    /// Whether every character takes two octets or four (UTF-16, UTF-32).
    pub fn is_wide(self) -> bool {
        matches!(self.0, Kind::Wide(_))
    }

    /// A decoder for octets as they come.
    pub fn decoder(self) -> Decoder {
        Decoder::new(self.0)
    }

    /// Decodes a whole text, with U+FFFD for what is malformed.
    pub fn decode(self, bytes: &[u8]) -> String {
        if self == Self::UTF_8 {
            return String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
                .into_owned();
        }
        let mut out = String::with_capacity(bytes.len() + bytes.len() / 2);
        self.decoder().feed(bytes, true, &mut out);
        out
    }
}

/// Every text that octets of no declared set may be meant as.
pub fn readings(bytes: &[u8]) -> Vec<String> {
    let mut readings = vec![String::from_utf8_lossy(bytes).into_owned()];
    if !bytes.is_ascii() || bytes.contains(&0x1b) {
        readings.extend(Charset::GUESSES.iter().map(|charset| charset.decode(bytes)));
    }
    readings.dedup();
    readings
}

/// An encoding for two octets of a national set, both in 21 to 7E, with their high bits set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum National {
    Japanese,
    Chinese,
    Korean,
}

impl National {
    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Japanese => EUC_JP,
            Self::Chinese => GBK,
            Self::Korean => EUC_KR,
        }
    }
}
