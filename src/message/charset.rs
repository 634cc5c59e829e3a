//! Character sets: one table of their names and one decoder for each, shared by headers, bodies, file names
//! and encoded-words.
//!
//! The table has every name of the Encoding Standard and of Python's codecs, and the code pages of older and
//! larger systems.
//!
//! * [`names`] what each name means
//! * [`decoder`] streaming decoders: octets in, text out
//! * [`shifted`] ISO-2022 and HZ, which switch between sets within the text; [`johab`]; [`utf7`]
//! * [`tables`] single-octet sets that the Encoding Standard does not have, such as EBCDIC

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

/// Longest name that is looked up.
pub(crate) const LONGEST_NAME: usize = 64;

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Declared as ASCII; octets outside ASCII may mean anything.
    Ascii,
    /// A set of the Encoding Standard.
    Standard(&'static Encoding),
    /// A single-octet set, by its index in the table.
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
    /// ISO-2022-JP with all extensions that occur under its name.
    pub const ISO_2022_JP: Self = Self(Kind::Shifted(shifted::Family::Japanese));
    /// Sets that 8-bit text without a declared set may be in, besides UTF-8.
    pub const GUESSES: [Self; 5] = [
        Self::ISO_2022_JP,
        Self(Kind::Standard(SHIFT_JIS)),
        Self(Kind::Standard(EUC_JP)),
        Self(Kind::Standard(GBK)),
        Self(Kind::Standard(BIG5)),
    ];

    /// Looks a set up by its name. Case, white space, quotes and punctuation are ignored, and so is a
    /// language suffix (RFC 2231 §5).
    pub fn named(label: &[u8]) -> Option<Self> {
        names::find(label).map(Self)
    }

    /// The set that a byte order mark indicates.
    pub fn by_mark(head: &[u8]) -> Option<Self> {
        if let Some(wide) = decoder::Wide::by_mark(head) {
            return Some(Self(Kind::Wide(wide)));
        }
        head.starts_with(b"\xef\xbb\xbf").then_some(Self::UTF_8)
    }

    /// The opposite byte order, if the name leaves the order open.
    pub fn other_order(self) -> Option<Self> {
        match self.0 {
            Kind::Wide(wide) => wide.other_order().map(|wide| Self(Kind::Wide(wide))),
            _ => None,
        }
    }

    /// Whether the name allows only ASCII and UTF-8, so that the octets can be searched directly.
    pub fn is_utf8_or_ascii(self) -> bool {
        matches!(self.0, Kind::Ascii) || self == Self::UTF_8
    }

    /// Whether the set switches by escape sequences (ISO-2022), so that pieces cannot be decoded alone.
    pub fn is_shifted(self) -> bool {
        matches!(self.0, Kind::Shifted(_))
    }

    /// Whether every character takes two octets or four (UTF-16, UTF-32).
    pub fn is_wide(self) -> bool {
        matches!(self.0, Kind::Wide(_))
    }

    /// A streaming decoder.
    pub fn decoder(self) -> Decoder {
        Decoder::new(self.0)
    }

    /// Decodes a whole text; malformed octets become U+FFFD.
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

/// Every plausible decoding of octets that have no declared set.
pub fn readings(bytes: &[u8]) -> Vec<String> {
    let mut readings = vec![String::from_utf8_lossy(bytes).into_owned()];
    if !bytes.is_ascii() || bytes.contains(&0x1b) {
        readings.extend(Charset::GUESSES.iter().map(|charset| charset.decode(bytes)));
    }
    readings.dedup();
    readings
}

/// The encoding of two-octet characters of a national set (both octets 21 to 7E) once their high bits are
/// set.
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
