//! ZIP (with OOXML and ODF, which are ZIP) and gzip: every member is a leaf of its own. Our own
//! reader, so that nothing is allocated by what an archive claims.

use super::leaf::{Info, Leaf};
use super::spool::{Kept, length, read_at};
use super::{Context, DEPTH};
use flate2::read::{DeflateDecoder, MultiGzDecoder};
use memchr::memmem;
use std::io::{self, Read, Seek, SeekFrom};

/// A member may grow this many times once it is larger than `GROWTH_FROM`.
const GROWTH: u64 = 200;
const GROWTH_FROM: u64 = 4 * 1_024 * 1_024;
/// The longest comment a directory may end in, with its fixed part.
const TAIL: u64 = 65_535 + 22;

/// A member as the central directory tells it (APPNOTE 4.3.12).
struct Member {
    encrypted: bool,
    method: u16,
    packed: u64,
    unpacked: u64,
    local: u64,
    name: String,
}

/// Opens an archive; what cannot be opened is named.
pub(super) fn open(info: &Info, file: &mut Kept, cx: &mut Context<'_>) {
    if let Err(error) = members(info, file, cx) {
        cx.opaque(&info.path, info.label(), &format!("an archive that cannot be read: {error}"));
    }
}

fn members(info: &Info, file: &mut Kept, cx: &mut Context<'_>) -> io::Result<()> {
    let (mut at, end, shift) = directory(file)?;
    while at + 46 <= end {
        let fixed = read_at(file, at, 46)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Err(damaged("its directory is damaged"));
        }
        let lengths = [u16_at(&fixed, 28), u16_at(&fixed, 30), u16_at(&fixed, 32)].map(usize::from);
        let rest = read_at(file, at + 46, lengths.iter().sum())?;
        at += 46 + rest.len() as u64;
        if cx.budget.members == 0 {
            return Err(damaged("too many members"));
        }
        cx.budget.members -= 1;
        let (name, extra) = rest.split_at(lengths[0]);
        let (extra, comment) = extra.split_at(lengths[1]);
        let member = member(&fixed, name, extra, shift);
        let place = format!("{} › {}", info.place, member.name);
        cx.listener.header(&place, &[b"file name: ", name].concat());
        cx.listener.header(&place, format!("file name: {}", member.name).as_bytes());
        cx.listener.header(&place, &[b"comment: ", comment].concat());
        if member.name.ends_with('/') && member.unpacked == 0 {
            continue;
        }
        unpack(info, &member, file, cx)?;
    }
    Ok(())
}

fn unpack(info: &Info, member: &Member, file: &mut Kept, cx: &mut Context<'_>) -> io::Result<()> {
    let inner = info.inner(&member.name, "in an archive");
    let label = inner.place.clone();
    if member.encrypted {
        cx.opaque(&info.path, &label, "encrypted with a password");
        return Ok(());
    }
    let local = read_at(file, member.local, 30)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err(damaged("a member is not where the directory says"));
    }
    let start = member.local + 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
    file.seek(SeekFrom::Start(start))?;
    let packed = file.take(member.packed);
    let result = match member.method {
        0 => feed(inner, packed, member.packed, cx),
        8 => feed(inner, DeflateDecoder::new(packed), member.packed, cx),
        _ => {
            cx.opaque(&info.path, &label, "packed in a way that is not opened");
            return Ok(());
        }
    };
    if let Err(error) = result {
        cx.opaque(&info.path, &label, &format!("cannot be unpacked: {error}"));
    }
    Ok(())
}

/// Hands all that comes to a leaf, within bounds.
fn feed(info: Info, mut from: impl Read, packed: u64, cx: &mut Context<'_>) -> io::Result<()> {
    let mut leaf = Leaf::new(info);
    let mut piece = vec![0; 16 * 1_024];
    let mut total = 0u64;
    let result = loop {
        let read = match from.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => break Err(error),
        };
        total += read as u64;
        if read as u64 > cx.budget.unpacked {
            break Err(damaged("it unpacks to more than is looked at"));
        }
        if total > GROWTH_FROM && total > packed.saturating_mul(GROWTH) {
            break Err(damaged("it unpacks to far more than it takes"));
        }
        cx.budget.unpacked -= read as u64;
        leaf.feed(&piece[..read], cx);
    };
    leaf.finish(cx);
    result
}

/// Opens a gzip file.
pub(super) fn open_gzip(info: &Info, file: &mut Kept, cx: &mut Context<'_>) {
    let packed = length(file).unwrap_or(0);
    if info.depth >= DEPTH || file.seek(SeekFrom::Start(0)).is_err() {
        return;
    }
    let name = info.name.strip_suffix(".gz").filter(|name| !name.is_empty()).unwrap_or("content").to_owned();
    if let Err(error) = feed(info.inner(&name, "in an archive"), MultiGzDecoder::new(file), packed, cx) {
        cx.opaque(&info.path, info.label(), &format!("cannot be unpacked: {error}"));
    }
}

/// Where the central directory begins and ends, and how far everything is shifted (a program may
/// stand before an archive). APPNOTE 4.3.14 to 4.3.16.
fn directory(file: &mut Kept) -> io::Result<(u64, u64, u64)> {
    let size = length(file)?;
    let from = size.saturating_sub(TAIL);
    let tail = read_at(file, from, usize::try_from(size - from).unwrap_or(0))?;
    let found = memmem::rfind(&tail, b"PK\x05\x06").filter(|&at| at + 22 <= tail.len());
    let at = found.ok_or_else(|| damaged("it has no directory"))?;
    let end = from + at as u64;
    let (bytes, start) = (u32_at(&tail, at + 12), u32_at(&tail, at + 16));
    if bytes == u32::MAX || start == u32::MAX {
        let locator = read_at(file, end.saturating_sub(20), 20)?;
        let record = read_at(file, u64_at(&locator, 8), 56)?;
        if !locator.starts_with(b"PK\x06\x07") || !record.starts_with(b"PK\x06\x06") {
            return Err(damaged("its directory is damaged"));
        }
        let (bytes, start) = (u64_at(&record, 40), u64_at(&record, 48));
        return Ok((start, start.saturating_add(bytes).min(size), 0));
    }
    let (bytes, start) = (u64::from(bytes), u64::from(start));
    let real = end.checked_sub(bytes).ok_or_else(|| damaged("its directory is damaged"))?;
    Ok((real, end, real.saturating_sub(start)))
}

fn member(fixed: &[u8], name: &[u8], extra: &[u8], shift: u64) -> Member {
    let flags = u16_at(fixed, 8);
    let mut member = Member {
        encrypted: flags & 1 != 0,
        method: u16_at(fixed, 10),
        packed: u64::from(u32_at(fixed, 20)),
        unpacked: u64::from(u32_at(fixed, 24)),
        local: u64::from(u32_at(fixed, 42)),
        name: match std::str::from_utf8(name) {
            Ok(name) => name.to_owned(),
            // Windows in Japanese writes its own code page and says nothing.
            Err(_) => encoding_rs::SHIFT_JIS.decode_without_bom_handling(name).0.into_owned(),
        },
    };
    wide_sizes(&mut member, extra);
    member.local = member.local.saturating_add(shift);
    member
}

/// Sizes over 4 GiB stand in an extra field (APPNOTE 4.5.3).
fn wide_sizes(member: &mut Member, mut extra: &[u8]) {
    while extra.len() >= 4 {
        let (id, size) = (u16_at(extra, 0), usize::from(u16_at(extra, 2)));
        let field = extra.get(4..4 + size).unwrap_or_default();
        if id == 1 {
            let mut at = 0;
            for value in [&mut member.unpacked, &mut member.packed, &mut member.local] {
                if *value == u64::from(u32::MAX) && field.len() >= at + 8 {
                    *value = u64_at(field, at);
                    at += 8;
                }
            }
            return;
        }
        extra = extra.get(4 + size..).unwrap_or_default();
    }
}

fn damaged(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
