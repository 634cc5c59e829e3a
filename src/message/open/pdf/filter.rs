//! Stream filters (ISO 32000-1 7.4): Flate and LZW with predictors, `ASCII85`, `ASCIIHex`, run lengths. Image
//! filters are not decoded.

use super::super::Context;
use super::super::packed::{Stop, cost};
use super::SPENT;
use super::lex::{Dict, Object};
use std::io::Read;

/// Decodes a stream to at most `most` octets, as far as possible. `None` for an image or an unknown filter.
pub(super) fn unpack(
    dict: &Dict,
    packed: &[u8],
    most: usize,
    cx: &mut Context<'_>,
) -> Result<Option<Vec<u8>>, Stop> {
    let filters: Vec<&str> = match dict.get("Filter").or(dict.get("F")) {
        Some(Object::Name(name)) => vec![name],
        Some(Object::Array(list)) => list
            .iter()
            .filter_map(|object| match object {
                Object::Name(name) => Some(name.as_str()),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let parameters = |index: usize| match dict.get("DecodeParms").or(dict.get("DP")) {
        Some(Object::Dict(dict)) => Some(dict),
        Some(Object::Array(list)) => match list.get(index) {
            Some(Object::Dict(dict)) => Some(dict),
            _ => None,
        },
        _ => None,
    };
    let mut data = packed.to_vec();
    for (index, filter) in filters.into_iter().take(4).enumerate() {
        data = match filter {
            "FlateDecode" | "Fl" => predicted(flate(&data, most), parameters(index)),
            "LZWDecode" | "LZW" => predicted(lzw(&data, most, parameters(index)), parameters(index)),
            "ASCII85Decode" | "A85" => ascii85(&data),
            "ASCIIHexDecode" | "AHx" => hex(&data),
            "RunLengthDecode" | "RL" => run_lengths(&data, most),
            _ => return Ok(None),
        };
        let octets = data.len() as u64;
        if octets > cx.budget.unpacked || !cx.budget.charge(2 * cost::DEFLATE * octets) {
            return Err(Stop::TooMuch(SPENT));
        }
        cx.budget.unpacked -= octets;
    }
    Ok(Some(data))
}

fn flate(data: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    // What was decoded before an error is kept.
    let _ = flate2::read::ZlibDecoder::new(data).take(most as u64).read_to_end(&mut out);
    if out.is_empty() {
        let _ = flate2::read::DeflateDecoder::new(data).take(most as u64).read_to_end(&mut out);
    }
    out
}

/// Undoes PNG predictors (7.4.4.4).
fn predicted(data: Vec<u8>, parameters: Option<&Dict>) -> Vec<u8> {
    let Some(parameters) = parameters else { return data };
    if parameters.number("Predictor").unwrap_or(1) < 10 {
        return data;
    }
    let each = parameters.number("Colors").unwrap_or(1) * parameters.number("BitsPerComponent").unwrap_or(8);
    let each = each.div_ceil(8).clamp(1, 64);
    let row = (parameters.number("Columns").unwrap_or(1).min(1_000_000) * each).max(1);
    let mut out: Vec<u8> = Vec::with_capacity(data.len());
    let mut above = vec![0u8; row];
    for line in data.chunks(row + 1) {
        let mut here = vec![0u8; row];
        for (at, &byte) in line[1..].iter().enumerate() {
            let left = if at >= each { here[at - each] } else { 0 };
            let corner = if at >= each { above[at - each] } else { 0 };
            let guess = match line[0] {
                1 => left,
                2 => above[at],
                3 => u8::midpoint(left, above[at]),
                4 => paeth(left, above[at], corner),
                _ => 0,
            };
            here[at] = byte.wrapping_add(guess);
        }
        out.extend_from_slice(&here[..line.len() - 1]);
        above = here;
    }
    out
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

/// LZW (7.4.4.2): codes of 9 to 12 bits; 256 clears the table, 257 ends the data.
fn lzw(data: &[u8], most: usize, parameters: Option<&Dict>) -> Vec<u8> {
    let early = parameters.and_then(|found| found.number("EarlyChange")).unwrap_or(1);
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
            (_, None, Some((from, length))) => (from, length + 1),
            (_, None, None) => break,
        };
        if start + length > most {
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
    out
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
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
            out.truncate(most);
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
        assert_eq!(ascii85(b"<~87cURD]i,\"Ebo80~>"), b"Hello World!");
        assert_eq!(hex(b"61 40 78 2>"), b"a@x ");
        assert_eq!(run_lengths(&[2, b'a', b'b', b'c', 254, b'x', 128, 9], 99), b"abcxxx");
        // 7.4.4.2, example 2.
        let packed = [0x80, 0x0b, 0x60, 0x50, 0x22, 0x0c, 0x0c, 0x85, 0x01];
        assert_eq!(lzw(&packed, 99, None), [45, 45, 45, 45, 45, 65, 45, 45, 45, 66]);
    }
}
