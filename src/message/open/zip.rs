//! ZIP, and with it OOXML and ODF: every member is a leaf of its own. We have our own reader, so that nothing
//! is allocated by sizes that an archive claims.

use super::Context;
use super::budget::MEMBER;
use super::leaf::Info;
use super::packed::{self, Pump, Stop, charge, cost, damaged, dictionary};
use super::spool::{SpoolReader, length, read_at};
use flate2::read::DeflateDecoder;
use lzma_rust2::LzmaReader;
use memchr::memmem;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// Longest end-of-directory record, with its comment.
const TAIL: u64 = 65_535 + 22;

/// A member by its entry in the central directory (APPNOTE 4.3.12).
struct Member {
    encrypted: bool,
    /// LZMA: the packed data ends with a marker.
    marked: bool,
    method: u16,
    packed: u64,
    unpacked: u64,
    local: u64,
    name: String,
}

/// Opens an archive; names what cannot be opened.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    packed::archive(info, cx, |cx| members(info, file, cx));
}

fn members(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) -> Result<(), Stop> {
    let (mut at, end, shift) = directory(file)?;
    let comment = comment(file, end)?;
    cx.header(&info.place, &[b"comment: ", &comment[..]].concat());
    let mut taken = Taken::default();
    while at + 46 <= end {
        let fixed = read_at(file, at, 46)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Err(damaged("its directory is damaged").into());
        }
        let lengths = [u16_at(&fixed, 28), u16_at(&fixed, 30), u16_at(&fixed, 32)].map(usize::from);
        let rest = read_at(file, at + 46, lengths.iter().sum())?;
        at += 46 + rest.len() as u64;
        if cx.budget.members == 0 {
            return Err(Stop::TooMuch("too many members"));
        }
        cx.budget.members -= 1;
        charge(MEMBER, cx)?;
        let (name, extra) = rest.split_at(lengths[0]);
        let (extra, comment) = extra.split_at(lengths[1]);
        let member = member(&fixed, name, extra, shift);
        let inner = info.inner(&member.name, "in an archive");
        cx.header(&inner.place, &[b"file name: ", name].concat());
        if member.name.as_bytes() != name {
            cx.header(&inner.place, format!("file name: {}", member.name).as_bytes());
        }
        if !comment.is_empty() {
            cx.header(&inner.place, &[b"comment: ", comment].concat());
        }
        if member.name.ends_with('/') && member.unpacked == 0 {
            continue;
        }
        if !taken.take(member.local, member.packed) {
            return Err(Stop::TooMuch("an archive whose members lie over one another"));
        }
        unpack(inner, &member, file, cx)?;
    }
    Ok(())
}

/// Maximum number of members whose names are read for a preview.
const LOOKED_AT: usize = 2_000;

/// The names of an archive's members, to choose one for a preview.
pub(super) fn names(file: &mut SpoolReader) -> io::Result<Vec<String>> {
    Ok(listed(file)?.into_iter().map(|member| member.name).collect())
}

/// The first octets of a member, unpacked; `None` if there is no such member or its method is not supported.
pub(super) fn beginning(file: &mut SpoolReader, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
    let Some(member) = listed(file)?.into_iter().find(|member| member.name == name && !member.encrypted)
    else {
        return Ok(None);
    };
    let local = read_at(file, member.local, 30)?;
    let start =
        member.local.saturating_add(30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28)));
    file.seek(SeekFrom::Start(start))?;
    let (packed, mut out) = (file.take(member.packed), Vec::new());
    let read = match member.method {
        0 => packed.take(most).read_to_end(&mut out),
        8 => DeflateDecoder::new(packed).take(most).read_to_end(&mut out),
        _ => return Ok(None),
    };
    // Octets before a damaged place are kept.
    Ok(if out.is_empty() { read.map(|_| None)? } else { Some(out) })
}

fn listed(file: &mut SpoolReader) -> io::Result<Vec<Member>> {
    let (mut at, end, shift) = directory(file)?;
    let mut all = Vec::new();
    while at + 46 <= end && all.len() < LOOKED_AT {
        let fixed = read_at(file, at, 46)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            break;
        }
        let lengths = [u16_at(&fixed, 28), u16_at(&fixed, 30), u16_at(&fixed, 32)].map(usize::from);
        let rest = read_at(file, at + 46, lengths.iter().sum())?;
        at += 46 + rest.len() as u64;
        let (name, extra) = rest.split_at(lengths[0]);
        all.push(member(&fixed, name, &extra[..lengths[1]], shift));
    }
    Ok(all)
}

/// The archive's comment (APPNOTE 4.3.16).
fn comment(file: &mut SpoolReader, end: u64) -> io::Result<Vec<u8>> {
    let size = length(file)?;
    let from = end.min(size);
    read_at(file, from, usize::try_from((size - from).min(TAIL)).unwrap_or(0))
}

/// The ranges that members occupy in the file. No two may overlap, or a small file could cause as much work
/// as a large one.
#[derive(Default)]
struct Taken(BTreeMap<u64, u64>);

impl Taken {
    /// Whether the range of a member, header included, is free (APPNOTE 4.3.7); then it is taken.
    fn take(&mut self, start: u64, packed: u64) -> bool {
        let end = start.saturating_add(30).saturating_add(packed);
        let before = self.0.range(..=start).next_back().is_some_and(|(_, &until)| until > start);
        let after = self.0.range(start..).next().is_some_and(|(&from, _)| from < end);
        self.0.insert(start, end);
        !before && !after
    }
}

fn unpack(inner: Info, member: &Member, file: &mut SpoolReader, cx: &mut Context<'_>) -> io::Result<()> {
    let (path, label) = (inner.path.clone(), inner.place.clone());
    if member.encrypted {
        cx.opaque(&path, &label, "encrypted with a password");
        return Ok(());
    }
    let local = read_at(file, member.local, 30)?;
    if !local.starts_with(b"PK\x03\x04") {
        return Err(damaged("a member is not where the directory says"));
    }
    let start = member.local + 30 + u64::from(u16_at(&local, 26)) + u64::from(u16_at(&local, 28));
    file.seek(SeekFrom::Start(start))?;
    let packed = file.take(member.packed);
    let mut pump = Pump::new(inner, member.packed);
    let result = match member.method {
        0 => pump.take(packed, cost::DEFLATE, cx),
        8 => pump.take(DeflateDecoder::new(packed), cost::DEFLATE, cx),
        14 => lzma(packed, member, &mut pump, cx),
        _ => Err(damaged("packed in a way that is not opened").into()),
    };
    pump.finish(result, cx);
    Ok(())
}

/// LZMA in ZIP: a version, the length of the properties, the properties (APPNOTE 5.8.8).
fn lzma(mut packed: impl Read, member: &Member, pump: &mut Pump, cx: &mut Context<'_>) -> Result<(), Stop> {
    let mut head = [0; 9];
    packed.read_exact(&mut head)?;
    let size = u32_at(&head, 5);
    if u16_at(&head, 2) != 5 {
        return Err(damaged("its properties are damaged").into());
    }
    dictionary(size, cx)?;
    // With an end marker (flag 1) the recorded length need not be right.
    let length = if member.marked { u64::MAX } else { member.unpacked };
    pump.take(LzmaReader::new_with_props(packed, length, head[4], size, None)?, cost::LZMA, cx)
}

/// The offsets at which the central directory begins and ends, and by how much all offsets are shifted (a
/// program may precede the archive). APPNOTE 4.3.14 to 4.3.16.
fn directory(file: &mut SpoolReader) -> io::Result<(u64, u64, u64)> {
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
        marked: flags & 2 != 0,
        method: u16_at(fixed, 10),
        packed: u64::from(u32_at(fixed, 20)),
        unpacked: u64::from(u32_at(fixed, 24)),
        local: u64::from(u32_at(fixed, 42)),
        name: match std::str::from_utf8(name) {
            Ok(name) => name.to_owned(),
            // Japanese Windows writes its own code page without declaring it.
            Err(_) => encoding_rs::SHIFT_JIS.decode_without_bom_handling(name).0.into_owned(),
        },
    };
    wide_sizes(&mut member, extra);
    member.local = member.local.saturating_add(shift);
    member
}

/// Sizes over 4 GiB are in an extra field (APPNOTE 4.5.3).
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

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |pair| u16::from_le_bytes([pair[0], pair[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
