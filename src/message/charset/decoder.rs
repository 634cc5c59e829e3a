//! Streaming decoders for all supported sets. The input may be split anywhere.

use super::added::Added;
use super::shifted::Shifted;
use super::utf7::Utf7;
use super::{Kind, johab, tables};
use encoding_rs::WINDOWS_1252;

/// Octets given to an `encoding_rs` decoder at a time.
const STEP: usize = 8 * 1_024;

/// A streaming decoder.
pub struct Decoder(Machine);

enum Machine {
    Standard(Box<encoding_rs::Decoder>),
    /// EUC-JP and `Shift_JIS`, with the additions of JIS X 0213.
    Japanese(Box<(Added, encoding_rs::Decoder)>),
    Table(&'static tables::Table),
    Shifted(Box<Shifted>),
    /// The first octet of a character, if its second is still to come.
    Johab(Option<u8>),
    Utf7(Utf7),
    Wide(Wide),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    pub(super) fn new(kind: Kind) -> Self {
        Self(match kind {
            Kind::Ascii => Machine::Standard(Box::new(WINDOWS_1252.new_decoder())),
            Kind::Standard(encoding) => match Added::to(encoding) {
                Some(added) => Machine::Japanese(Box::new((added, encoding.new_decoder()))),
                None => Machine::Standard(Box::new(encoding.new_decoder())),
            },
            Kind::Table(number) => Machine::Table(tables::get(number)),
            Kind::Shifted(family) => Machine::Shifted(Box::new(Shifted::new(family))),
            Kind::Johab => Machine::Johab(None),
            Kind::Utf7 => Machine::Utf7(Utf7::default()),
            Kind::Wide(wide) => Machine::Wide(wide),
        })
    }

    /// Decodes the next octets and appends them to `out`; `last` says that no more follow.
    pub fn feed(&mut self, bytes: &[u8], last: bool, out: &mut String) {
        match &mut self.0 {
            Machine::Standard(decoder) => standard(decoder, bytes, last, out),
            Machine::Japanese(both) => {
                let (added, decoder) = &mut **both;
                let mut octets = Vec::with_capacity(bytes.len() + 1);
                added.feed(bytes, last, &mut octets);
                standard(decoder, &octets, last, out);
            }
            Machine::Table(table) => out.extend(bytes.iter().map(|&byte| table[usize::from(byte)])),
            Machine::Shifted(machine) => machine.feed(bytes, last, out),
            Machine::Johab(lead) => johab::feed(lead, bytes, last, out),
            Machine::Utf7(machine) => machine.feed(bytes, out),
            Machine::Wide(wide) => wide.feed(bytes, last, out),
        }
    }
}

fn standard(decoder: &mut encoding_rs::Decoder, mut bytes: &[u8], last: bool, out: &mut String) {
    loop {
        let (piece, rest) = bytes.split_at(bytes.len().min(STEP));
        let last = last && rest.is_empty();
        let room = decoder.max_utf8_buffer_length(piece.len()).unwrap_or(4 * STEP);
        out.reserve(room);
        let _ = decoder.decode_to_string(piece, out, last);
        bytes = rest;
        if bytes.is_empty() {
            return;
        }
    }
}

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Big,
    Little,
    /// A byte order mark decides; without one it is [`Order::Little`], as in browsers.
    Unknown,
}

/// UTF-16 and UTF-32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wide {
    /// Octets per code unit: 2 or 4.
    width: u8,
    order: Order,
    unit: [u8; 4],
    filled: u8,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

impl Wide {
    pub(super) const fn new(width: u8, order: Order) -> Self {
        Self { width, order, unit: [0; 4], filled: 0, high: None }
    }

    /// By the byte order mark at the start of a text.
    pub(super) fn by_mark(head: &[u8]) -> Option<Self> {
        Some(match head {
            [0xff, 0xfe, 0, 0, ..] => Self::new(4, Order::Little),
            [0, 0, 0xfe, 0xff, ..] => Self::new(4, Order::Big),
            [0xff, 0xfe, ..] => Self::new(2, Order::Little),
            [0xfe, 0xff, ..] => Self::new(2, Order::Big),
            _ => return None,
        })
    }

    /// The opposite of the order that is assumed without a mark.
    pub(super) fn other_order(self) -> Option<Self> {
        (self.order == Order::Unknown).then_some(Self::new(self.width, Order::Big))
    }

    fn feed(&mut self, bytes: &[u8], last: bool, out: &mut String) {
        for &byte in bytes {
            self.unit[usize::from(self.filled)] = byte;
            self.filled += 1;
            if self.filled == self.width {
                self.filled = 0;
                self.take(out);
            }
        }
        if last && (self.filled > 0 || self.high.take().is_some()) {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }

    fn take(&mut self, out: &mut String) {
        if self.order == Order::Unknown {
            self.order = match Self::by_mark(&self.unit[..usize::from(self.width)]) {
                Some(marked) => marked.order,
                None => Order::Little,
            };
        }
        let unit = &self.unit[..usize::from(self.width)];
        let join = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        let code = match self.order {
            Order::Big => unit.iter().fold(0, join),
            _ => unit.iter().rev().fold(0, join),
        };
        match u16::try_from(code).ok().filter(|_| self.width == 2) {
            Some(unit) => self.pair(unit, out),
            None if code == 0xfeff => {}
            None => out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
    }

    /// UTF-16: a character may take two units.
    fn pair(&mut self, unit: u16, out: &mut String) {
        if (0xd800..0xdc00).contains(&unit) && self.high.is_none() {
            self.high = Some(unit);
        } else if unit != 0xfeff {
            let units = self.high.take().into_iter().chain(std::iter::once(unit));
            out.extend(char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
    }
}
