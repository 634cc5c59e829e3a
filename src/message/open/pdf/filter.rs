//! Stream filters (ISO 32000-1 7.4): Flate and LZW with predictors, `ASCII85`, `ASCIIHex`, run lengths. Image
//! filters are not decoded.

use super::super::Context;
use super::super::packed::{Stop, charge, cost, damaged};
use super::SPENT;
use super::lex::{Dict, Object, whole};
use flate2::{Decompress, FlushDecompress, Status};
use std::borrow::Cow;
use std::io::{self, Read};

/// Maximum number of filters of one stream.
pub(super) const FILTERS: usize = 4;
/// Units of work per octet that goes into a filter; what comes out may be nothing.
const READ: u64 = 2;

/// A filter of a stream, with its parameters.
pub(super) type Step<'a> = (&'a str, Option<&'a Dict>);

/// What came of decoding a stream.
pub(super) enum Unpacked<'a> {
    /// Its octets.
    Whole(Cow<'a, [u8]>),
    /// Its octets up to a damage, or in an order that is not known.
    Part(Cow<'a, [u8]>),
    /// A picture.
    Picture,
    /// It is packed in a way that is not known.
    Unknown,
}

/// Decodes a stream to at most `most` octets.
pub(super) fn unpack<'a>(
    steps: &[Step<'_>],
    packed: &'a [u8],
    most: usize,
    cx: &mut Context<'_>,
) -> Result<Unpacked<'a>, Stop> {
    if steps.len() > FILTERS {
        return Ok(Unpacked::Unknown);
    }
    let mut data = Cow::Borrowed(packed);
    let mut complete = true;
    // Many objects may name the same octets, so they cost something even if nothing is to be decoded.
    charge(READ * packed.len() as u64, cx)?;
    for &(filter, parameters) in steps {
        let room = most.min(usize::try_from(cx.budget.unpacked).unwrap_or(most));
        let (mut out, ended) = match filter {
            "FlateDecode" | "Fl" => flate(&data, room),
            "LZWDecode" | "LZW" => lzw(&data, room, parameters),
            "ASCII85Decode" | "A85" => (ascii85(&data, room), true),
            "ASCIIHexDecode" | "AHx" => (hex(&data), true),
            "RunLengthDecode" | "RL" => (run_lengths(&data, room), true),
            "DCTDecode" | "DCT" | "JPXDecode" | "CCITTFaxDecode" | "CCF" | "JBIG2Decode" => {
                return Ok(Unpacked::Picture);
            }
            _ => return Ok(Unpacked::Unknown),
        };
        let octets = out.len() as u64;
        if out.len() > room {
            return Err(Stop::TooMuch(SPENT));
        }
        charge((2 * cost::DEFLATE + READ) * octets, cx)?;
        cx.budget.unpacked -= octets;
        complete &= ended;
        if matches!(filter, "FlateDecode" | "Fl" | "LZWDecode" | "LZW") {
            complete &= parameters.is_none_or(|parameters| predicted(&mut out, parameters));
        }
        data = Cow::Owned(out);
    }
    Ok(if complete { Unpacked::Whole(data) } else { Unpacked::Part(data) })
}

/// Decodes deflated octets. It says if they end too early, and looks at no checksum, as viewers do.
pub(super) struct Inflate<'a> {
    rest: &'a [u8],
    state: Decompress,
    ended: bool,
}

impl<'a> Inflate<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        let text = data.trim_ascii_start();
        let rest = behind_head(data).or_else(|| behind_head(text)).unwrap_or(data);
        Self { rest, state: Decompress::new(false), ended: text.is_empty() }
    }
}

/// What follows the head of a zlib stream (RFC 1950 2.2).
fn behind_head(data: &[u8]) -> Option<&[u8]> {
    match data {
        [method, flags, rest @ ..]
            if method & 15 == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31) =>
        {
            Some(rest)
        }
        _ => None,
    }
}

impl Read for Inflate<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            let before = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(self.rest, out, FlushDecompress::None);
            let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
            let read = count(self.state.total_in(), before.0);
            let made = count(self.state.total_out(), before.1);
            self.rest = self.rest.get(read..).unwrap_or_default();
            self.ended = matches!(status, Ok(Status::StreamEnd));
            if made > 0 {
                return Ok(made);
            }
            status?;
            if read == 0 && !self.ended {
                return Err(damaged("it ends too early"));
            }
        }
        Ok(0)
    }
}

/// The octets, a little more than `most` if there are more, and whether none were lost. What was decoded before
/// an error is kept.
fn flate(data: &[u8], most: usize) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let ended = Inflate::new(data).take(most as u64 + 1).read_to_end(&mut out).is_ok();
    (out, ended)
}

/// Undoes predictors (7.4.4.4); returns whether they are known.
fn predicted(data: &mut Vec<u8>, parameters: &Dict) -> bool {
    let number = |key, otherwise| match parameters.get(key) {
        None | Some(Object::Null) => Some(otherwise),
        Some(Object::Number(number)) => Some(whole(*number)),
        Some(_) => None,
    };
    let (Some(predictor), Some(colors), Some(bits), Some(columns)) =
        (number("Predictor", 1), number("Colors", 1), number("BitsPerComponent", 8), number("Columns", 1))
    else {
        return false;
    };
    let each = (colors.min(64) * bits.min(64)).div_ceil(8).clamp(1, 64);
    let row = (columns.min(1_000_000) * colors.min(64) * bits.min(64)).div_ceil(8).max(1);
    match predictor {
        ..2 => true,
        2 => {
            for line in data.chunks_mut(row) {
                for at in each..line.len() {
                    line[at] = line[at].wrapping_add(line[at - each]);
                }
            }
            bits == 8
        }
        10.. => {
            png(data, row, each);
            true
        }
        _ => false,
    }
}

/// Undoes the predictors of PNG in place: each row begins with the octet that says which, so what comes out is
/// never ahead of what goes in.
fn png(data: &mut Vec<u8>, row: usize, each: usize) {
    let (mut from, mut to) = (0, 0);
    while from < data.len() {
        let kind = data[from];
        let end = data.len().min(from + 1 + row);
        for (column, at) in (from + 1..end).enumerate() {
            let left = if column >= each { data[to - each] } else { 0 };
            let above = if to >= row { data[to - row] } else { 0 };
            let corner = if column >= each && to >= row + each { data[to - row - each] } else { 0 };
            let guess = match kind {
                1 => left,
                2 => above,
                3 => u8::midpoint(left, above),
                4 => paeth(left, above, corner),
                _ => 0,
            };
            data[to] = data[at].wrapping_add(guess);
            to += 1;
        }
        from = end;
    }
    data.truncate(to);
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let guess = i16::from(left) + i16::from(above) - i16::from(corner);
    let far = |byte: u8| (guess - i16::from(byte)).abs();
    if far(left) <= far(above) && far(left) <= far(corner) {
        left
    } else if far(above) <= far(corner) {
        above
    } else {
        corner
    }
}

/// LZW (7.4.4.2): codes of 9 to 12 bits; 256 clears the table, 257 ends the data. Also says whether every code
/// stands for something.
fn lzw(data: &[u8], most: usize, parameters: Option<&Dict>) -> (Vec<u8>, bool) {
    let early = parameters.and_then(|found| found.number("EarlyChange")).map_or(1, |early| early.min(1));
    let mut out: Vec<u8> = Vec::new();
    // The position of each code's text in the output.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let (mut bits, mut count, mut width) = (0u32, 0, 9);
    let mut last: Option<(usize, usize)> = None;
    for &byte in data {
        bits = bits << 8 | u32::from(byte);
        count += 8;
        if count < width {
            continue;
        }
        count -= width;
        let code = (bits >> count & ((1 << width) - 1)) as usize;
        match code {
            256 => {
                table.clear();
                (width, last) = (9, None);
                continue;
            }
            257 => break,
            _ => {}
        }
        let start = out.len();
        let (from, length) = match (code, table.get(code.wrapping_sub(258)), last) {
            (0..256, _, _) => (usize::MAX, 1),
            (_, Some(&known), _) => known,
            (_, None, Some((from, length))) if code == 258 + table.len() => (from, length + 1),
            _ => return (out, false),
        };
        if start > most {
            break;
        }
        for step in 0..length {
            let byte = if from == usize::MAX { u8::try_from(code).unwrap_or(0) } else { out[from + step] };
            out.push(byte);
        }
        if let Some((from, length)) = last
            && table.len() < 4_096 - 258
        {
            table.push((from, length + 1));
        }
        last = Some((start, length));
        width = match table.len() + 258 + early {
            ..512 => 9,
            512..1_024 => 10,
            1_024..2_048 => 11,
            _ => 12,
        };
    }
    (out, true)
}

/// `z` stands for four octets, so that they may be more than there are letters.
fn ascii85(data: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut group = Vec::with_capacity(5);
    let text = data.strip_prefix(b"<~").unwrap_or(data);
    for &byte in text {
        match byte {
            b'~' => break,
            b'z' if group.is_empty() => out.extend_from_slice(&[0; 4]),
            b'!'..=b'u' => group.push(u32::from(byte - b'!')),
            _ => {}
        }
        if group.len() == 5 {
            out.extend_from_slice(&word85(&group));
            group.clear();
        }
        if out.len() > most {
            return out;
        }
    }
    if group.len() > 1 {
        let short = group.len() - 1;
        group.resize(5, 84);
        out.extend_from_slice(&word85(&group)[..short]);
    }
    out
}

fn word85(group: &[u32]) -> [u8; 4] {
    group.iter().fold(0u32, |word, digit| word.wrapping_mul(85).wrapping_add(*digit)).to_be_bytes()
}

fn hex(data: &[u8]) -> Vec<u8> {
    let end = memchr::memchr(b'>', data).unwrap_or(data.len());
    let digits: Vec<u8> = data[..end].iter().copied().filter(u8::is_ascii_hexdigit).collect();
    let value = |digit: &u8| crate::message::walk::hex_digit(*digit);
    digits.chunks(2).map(|pair| value(&pair[0]) << 4 | pair.get(1).map_or(0, value)).collect()
}

fn run_lengths(data: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = data;
    while let [length, after @ ..] = rest {
        let length = usize::from(*length);
        match length {
            0..=127 => {
                let (run, after) = after.split_at(after.len().min(length + 1));
                out.extend_from_slice(run);
                rest = after;
            }
            128 => break,
            _ => {
                let Some((&byte, after)) = after.split_first() else { break };
                out.resize(out.len() + 257 - length, byte);
                rest = after;
            }
        }
        if out.len() > most {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_packing() {
        assert_eq!(ascii85(b"<~87cURD]i,\"Ebo80~>", 99), b"Hello World!");
        assert_eq!(hex(b"61 40 78 2>"), b"a@x ");
        assert_eq!(run_lengths(&[2, b'a', b'b', b'c', 254, b'x', 128, 9], 99), b"abcxxx");
        // 7.4.4.2, example 2.
        let packed = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(lzw(&packed, 99, None), (vec![45, 45, 45, 45, 45, 65, 45, 45, 45, 66], true));
    }
}
