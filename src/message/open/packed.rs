//! Compressed files: gzip, xz and LZMA contain one file each. The decompressed file becomes a leaf of its
//! own, within the budget of the message.

use super::budget::{MEMBER, STEP};
use super::formats::Reader;
use super::leaf::{Info, Leaf};
use super::spool::{SpoolReader, length, read_at};
use super::{Context, DEPTH, SPENT};
use flate2::bufread::{DeflateDecoder, GzDecoder};
use lzma_rust2::{Lzma2Reader, LzmaReader};
use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// Highest ratio of unpacked to packed size, checked once a file is larger than `GROWTH_FROM` octets.
const GROWTH: u64 = 200;
const GROWTH_FROM: u64 = 4 * 1_024 * 1_024;
/// Maximum memory for a dictionary, in octets.
pub(super) const DICTIONARY: u32 = 32 * 1_024 * 1_024;
/// Octets decompressed at a time.
const PIECE: usize = 16 * 1_024;

/// Units of work per unpacked octet.
pub(super) mod cost {
    /// Stored, or deflated.
    pub(in super::super) const DEFLATE: u64 = 4;
    /// LZMA and similar methods.
    pub(in super::super) const LZMA: u64 = 15;
}

/// Why unpacking stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The data is damaged.
    Broken(io::Error),
    /// It exceeds a limit.
    TooMuch(&'static str),
}

/// Opens an archive by its members; names it if that fails.
pub(super) fn archive(
    info: &Info,
    cx: &mut Context<'_>,
    members: impl FnOnce(&mut Context<'_>) -> Result<(), Stop>,
) {
    if info.depth >= DEPTH {
        return cx.too_deep(info, info.label());
    }
    match members(cx) {
        Ok(()) => {}
        Err(Stop::Broken(error)) => {
            cx.opaque(&info.path, info.label(), &format!("an archive that cannot be read: {error}"));
        }
        Err(Stop::TooMuch(why)) => cx.too_much(info, why),
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

pub(super) fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

/// The error of a reader that exceeded a limit.
pub(super) fn spent(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, why)
}

/// Whether an error was made by [`spent`].
pub(super) fn is_spent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::QuotaExceeded
}

/// Passes a file from a container to a leaf of its own.
pub(super) struct Pump {
    info: Info,
    leaf: Leaf,
    total: u64,
    packed: u64,
}

impl Pump {
    /// A file that occupies `packed` octets in its container.
    pub(super) fn new(info: Info, packed: u64) -> Self {
        Self { leaf: Leaf::new(info.clone()), info, total: 0, packed }
    }

    /// Passes on everything that `from` gives, within the limits; `each` is the cost of an octet.
    pub(super) fn take(&mut self, mut from: impl Read, each: u64, cx: &mut Context<'_>) -> Result<(), Stop> {
        let mut piece = vec![0; PIECE];
        loop {
            let read = match from.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.total += read as u64;
            if read as u64 > cx.budget.unpacked {
                cx.budget.unpacked = 0;
                return Err(Stop::TooMuch("it unpacks to more than is looked at"));
            }
            if self.total > GROWTH_FROM && self.total > self.packed.saturating_mul(GROWTH) {
                return Err(Stop::TooMuch("it unpacks to far more than it takes"));
            }
            cx.budget.unpacked -= read as u64;
            if !cx.budget.charge(each * read as u64) {
                return Err(Stop::TooMuch(SPENT));
            }
            self.leaf.feed(&piece[..read], cx);
        }
    }

    /// The file has ended. If it could not be unpacked, it is named; if it exceeded a limit, the message is
    /// held.
    pub(super) fn finish(self, result: Result<(), Stop>, cx: &mut Context<'_>) {
        let Self { info, leaf, .. } = self;
        leaf.finish(cx);
        match result {
            Ok(()) => {}
            Err(Stop::Broken(error)) => {
                cx.opaque(&info.path, &info.place, &format!("cannot be unpacked: {error}"));
            }
            Err(Stop::TooMuch(why)) => cx.too_much(&info, why),
        }
    }
}

/// Opens a compressed file.
pub(super) fn open(info: &Info, reader: Reader, file: &mut SpoolReader, cx: &mut Context<'_>) {
    if info.depth >= DEPTH {
        return cx.too_deep(info, info.label());
    }
    let packed = length(file).unwrap_or(0);
    let mut pump = Pump::new(info.inner(&inner_name(&info.name), "in an archive"), packed);
    let result = match file.seek(SeekFrom::Start(0)) {
        Err(error) => Err(error.into()),
        Ok(_) => match reader {
            Reader::Gzip => gzip(file, &mut pump, cx),
            Reader::Deflate => pump.take(DeflateDecoder::new(file), cost::DEFLATE, cx),
            Reader::Lzma => lzma(file, &mut pump, cx),
            _ => xz(file, &mut pump, cx),
        },
    };
    pump.finish(result, cx);
}

/// The name of the file inside.
fn inner_name(name: &str) -> String {
    let ending = name.rfind('.').map_or("", |at| name.get(at..).unwrap_or_default());
    let stem = &name[..name.len() - ending.len()];
    let inner = match ending.to_ascii_lowercase().as_str() {
        ".gz" | ".xz" | ".lzma" => stem.to_owned(),
        ".tgz" | ".txz" | ".tlz" => format!("{stem}.tar"),
        _ => String::new(),
    };
    if inner.is_empty() { "content".to_owned() } else { inner }
}

/// Several gzip members may follow each other (RFC 1952 §2.2).
fn gzip(file: &mut SpoolReader, pump: &mut Pump, cx: &mut Context<'_>) -> Result<(), Stop> {
    loop {
        charge(MEMBER, cx)?;
        pump.take(GzDecoder::new(&mut *file), cost::DEFLATE, cx)?;
        if !file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            return Ok(()); // the end, or padding
        }
    }
}

fn lzma(file: &mut SpoolReader, pump: &mut Pump, cx: &mut Context<'_>) -> Result<(), Stop> {
    let head = read_at(file, 0, 5)?;
    dictionary(u32::from_le_bytes([head[1], head[2], head[3], head[4]]), cx)?;
    file.seek(SeekFrom::Start(0))?;
    pump.take(LzmaReader::new_mem_limit(&mut *file, u32::MAX, None)?, cost::LZMA, cx)
}

/// Charges for setting up a dictionary of this many octets, unless it is too large.
pub(super) fn dictionary(size: u32, cx: &mut Context<'_>) -> Result<(), Stop> {
    if size > DICTIONARY {
        return Err(damaged("it needs more memory than it is given").into());
    }
    charge(MEMBER + u64::from(size) / 8, cx)
}

pub(super) fn charge(units: u64, cx: &mut Context<'_>) -> Result<(), Stop> {
    if cx.budget.charge(units) { Ok(()) } else { Err(Stop::TooMuch(SPENT)) }
}

/// The xz container: streams of blocks, each with a dictionary of its own. We parse it ourselves so that each
/// block is charged before memory is allocated for it. Checksums are not verified.
fn xz(file: &mut SpoolReader, pump: &mut Pump, cx: &mut Context<'_>) -> Result<(), Stop> {
    let mut at = 0;
    let end = length(file)?;
    while at + 12 <= end {
        let head = read_at(file, at, 12)?;
        if head.starts_with(&[0; 4]) {
            at += 4; // stream padding
            charge(STEP, cx)?;
            continue;
        }
        if !head.starts_with(b"\xfd7zXZ\0") {
            return Err(damaged("it is not an xz stream").into());
        }
        let check = match head[7] & 15 {
            0 => 0,
            kind => 4 << ((kind - 1) / 3),
        };
        at = blocks(file, at + 12, check, pump, cx)?;
    }
    Ok(())
}

/// The blocks of one stream; returns the offset at which the stream ends.
fn blocks(
    file: &mut SpoolReader,
    mut at: u64,
    check: u64,
    pump: &mut Pump,
    cx: &mut Context<'_>,
) -> Result<u64, Stop> {
    loop {
        let size = u64::from(read_at(file, at, 1)?[0]);
        if size == 0 {
            return index(file, at).map_err(Stop::from);
        }
        let header = read_at(file, at, (usize::try_from(size).unwrap_or(0) + 1) * 4)?;
        let flags = header[1];
        let mut here = 2;
        for _ in 0..(flags >> 6 & 1) + (flags >> 7) {
            number(&header, &mut here)?;
        }
        let lzma2 = flags.trailing_zeros() >= 2
            && number(&header, &mut here)? == 0x21
            && number(&header, &mut here)? == 1;
        let property = header.get(here).copied().filter(|&property| lzma2 && property < 38);
        let property = property.ok_or_else(|| damaged("it is packed in a way that is not opened"))?;
        let size = (2 | u32::from(property & 1)) << (property / 2 + 11);
        dictionary(size, cx)?;
        let start = at + header.len() as u64;
        file.seek(SeekFrom::Start(start))?;
        pump.take(Lzma2Reader::new(&mut *file, size, None), cost::LZMA, cx)?;
        let used = file.stream_position()? - start;
        at = start + used.next_multiple_of(4) + check;
    }
}

/// The index after the blocks, and the footer; returns the offset at which they end.
fn index(file: &mut SpoolReader, at: u64) -> io::Result<u64> {
    file.seek(SeekFrom::Start(at + 1))?;
    let mut used = 1;
    let records = stream_number(file, &mut used)?;
    for _ in 0..records.saturating_mul(2) {
        stream_number(file, &mut used)?;
    }
    Ok(at + used.next_multiple_of(4) + 4 + 12)
}

fn stream_number(file: &mut SpoolReader, used: &mut u64) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        *used += 1;
        value |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(damaged("a number is too long"))
}

fn number(header: &[u8], here: &mut usize) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *header.get(*here).ok_or_else(|| damaged("a block is damaged"))?;
        *here += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(damaged("a number is too long"))
}
