//! The texts of a PNG picture (PNG, third edition, §11.3.3): `tEXt`, `zTXt`, `iTXt`. A picture is not kept to be
//! opened; only its texts are, as it arrives.

use super::Context;
use super::budget::MEMBER;
use super::leaf::Info;
use super::packed::{self, Pump, Stop, charge, cost, damaged};
use super::spool::{SpoolReader, length, read_at};
use flate2::read::ZlibDecoder;
use memchr::memchr;

/// What a picture begins with.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Octets before the data of a chunk: its length and its type.
const HEAD: usize = 8;
/// Octets after the data of a chunk: its checksum.
const CHECKSUM: u64 = 4;
/// Longest text that is read, in octets as it is stored.
const LONGEST: u64 = 4 * 1_024 * 1_024;

/// Picks the chunks with text out of a picture.
#[derive(Debug)]
pub(super) struct Chunks {
    head: Vec<u8>,
    /// Octets until the next chunk, and whether they are kept.
    left: u64,
    keep: bool,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { head: Vec::new(), left: SIGNATURE.len() as u64, keep: false }
    }
}

impl Chunks {
    /// Takes the next octets of the picture; appends those of chunks with text, each with its head.
    pub(super) fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                if self.keep {
                    out.extend_from_slice(&bytes[..take]);
                }
                self.left -= take as u64;
                bytes = &bytes[take..];
                continue;
            }
            let take = bytes.len().min(HEAD - self.head.len());
            self.head.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if let &[a, b, c, d, ref kind @ ..] = self.head.as_slice()
                && kind.len() == 4
            {
                self.left = u64::from(u32::from_be_bytes([a, b, c, d])) + CHECKSUM;
                self.keep = matches!(kind, b"tEXt" | b"zTXt" | b"iTXt");
                if self.keep {
                    out.extend_from_slice(&self.head);
                }
                self.head.clear();
            }
        }
    }
}

/// Opens the texts that [`Chunks`] picked.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    packed::archive(info, cx, |cx| texts(info, file, cx));
}

fn texts(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) -> Result<(), Stop> {
    let (mut at, end) = (0, length(file)?);
    while at + HEAD as u64 <= end {
        if cx.budget.members == 0 {
            return Err(Stop::TooMuch("too many texts in a picture"));
        }
        cx.budget.members -= 1;
        charge(MEMBER, cx)?;
        let head = read_at(file, at, HEAD)?;
        let size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        at += HEAD as u64;
        if size > LONGEST {
            return Err(damaged("a text in it is longer than is read").into());
        }
        // A picture that is cut off is shown as far as it goes.
        let data = read_at(file, at, usize::try_from(size.min(end - at)).unwrap_or(0))?;
        at = at.saturating_add(size + CHECKSUM);
        text(info, &head[4..], &data, cx);
    }
    Ok(())
}

/// Passes on one text.
fn text(info: &Info, kind: &[u8], data: &[u8], cx: &mut Context<'_>) {
    let split = |bytes: &[u8]| memchr(0, bytes).map_or((bytes.len(), bytes.len()), |at| (at, at + 1));
    let (name, mut from) = split(data);
    cx.header(&info.place, &[b"name of a text: ", &data[..name]].concat());
    let mut packed = kind == b"zTXt";
    if packed {
        from += 1;
    } else if kind == b"iTXt" {
        packed = data.get(from) == Some(&1);
        let names = data.get(from + 2..).unwrap_or_default();
        // The language, and the name in that language.
        let (_, translated) = split(names);
        let (_, used) = split(&names[translated..]);
        cx.header(&info.place, &[b"name of a text: ", &names[..translated + used]].concat());
        from += 2 + translated + used;
    }
    let content = data.get(from..).unwrap_or_default();
    // Said to be text, so that a careless control character in it is no unknown format.
    let mut inner = info.inner("text of the picture", "in a picture");
    "text/plain".clone_into(&mut inner.content_type);
    let mut pump = Pump::new(inner, content.len() as u64);
    let result = if packed {
        pump.take(ZlibDecoder::new(content), cost::DEFLATE, cx)
    } else {
        pump.take(content, cost::DEFLATE, cx)
    };
    pump.finish(result, cx);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
        [&u32::try_from(data.len()).unwrap().to_be_bytes(), kind, data, b"\xa1b\xc3d"].concat()
    }

    #[test]
    fn texts_are_picked_out() {
        let texts = [chunk(b"tEXt", b"Author\0a@x.jp"), chunk(b"zTXt", b"Comment\0\0x")];
        let picture = [
            SIGNATURE,
            &chunk(b"IHDR", &[0; 13]),
            &texts[0],
            &chunk(b"IDAT", &[7; 3_000]),
            &texts[1],
            &chunk(b"IEND", b""),
        ]
        .concat();
        for size in [1, 7, 100, 10_000] {
            let (mut chunks, mut out) = (Chunks::default(), Vec::new());
            picture.chunks(size).for_each(|piece| chunks.feed(piece, &mut out));
            assert_eq!(out, texts.concat(), "by {size}");
        }
    }
}
