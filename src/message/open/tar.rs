//! tar (POSIX.1-2001 pax and ustar, GNU): every member is a leaf of its own.

use super::Context;
use super::leaf::Info;
use super::packed::{self, Pump, Stop, charge, cost, damaged};
use super::spool::{SpoolReader, length, read_at};
use crate::message::open::budget::MEMBER;
use std::io::{Read, Seek, SeekFrom};

const BLOCK: u64 = 512;
/// Longest name in a header block of its own.
const NAME: u64 = 8 * 1_024;

/// Opens an archive; names what cannot be opened.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    packed::archive(info, cx, |cx| members(info, file, cx));
}

fn members(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) -> Result<(), Stop> {
    let end = length(file)?;
    let (mut at, mut long) = (0, None);
    while at + BLOCK <= end {
        let head = read_at(file, at, 512)?;
        if head.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        if cx.budget.members == 0 {
            return Err(Stop::TooMuch("too many members"));
        }
        cx.budget.members -= 1;
        charge(MEMBER, cx)?;
        let size = size(&head[124..136]).filter(|size| at + BLOCK + size <= end);
        let size = size.ok_or_else(|| damaged("a member is cut short"))?;
        let start = at + BLOCK;
        at = start + size.next_multiple_of(BLOCK);
        match head[156] {
            b'L' | b'x' | b'g' => {
                let octets = usize::try_from(size.min(NAME)).unwrap_or(0);
                let text = read_at(file, start, octets)?;
                cx.header(&info.place, &[b"comment: ", &text[..]].concat());
                match head[156] {
                    b'L' => long = Some(until_nul(&text).to_vec()),
                    b'x' => long = pax_path(&text).map(<[u8]>::to_vec).or(long),
                    _ => {}
                }
            }
            kind => {
                let name = long.take().unwrap_or_else(|| name(&head));
                member(info, &name, matches!(kind, 0 | b'0' | b'7'), (start, size), file, cx)?;
            }
        }
    }
    Ok(())
}

fn member(
    info: &Info,
    name: &[u8],
    is_file: bool,
    (start, size): (u64, u64),
    file: &mut SpoolReader,
    cx: &mut Context<'_>,
) -> Result<(), Stop> {
    let shown = match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        // Japanese Windows writes its own code page without declaring it.
        Err(_) => encoding_rs::SHIFT_JIS.decode_without_bom_handling(name).0.into_owned(),
    };
    let inner = info.inner(&shown, "in an archive");
    cx.header(&inner.place, &[b"file name: ", name].concat());
    cx.header(&inner.place, format!("file name: {shown}").as_bytes());
    if !is_file {
        return Ok(());
    }
    file.seek(SeekFrom::Start(start))?;
    let mut pump = Pump::new(inner, size);
    let result = pump.take(file.take(size), cost::DEFLATE, cx);
    pump.finish(result, cx);
    Ok(())
}

/// A size in octal, or in base 256 as GNU tar writes large ones.
fn size(field: &[u8]) -> Option<u64> {
    if field[0] & 0x80 != 0 {
        return Some(field[4..].iter().fold(0, |size, &byte| size << 8 | u64::from(byte)));
    }
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches(|letter| matches!(letter, ' ' | '\0'));
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The name in the fixed header, with its prefix.
fn name(head: &[u8]) -> Vec<u8> {
    let (name, prefix) = (until_nul(&head[..100]), until_nul(&head[345..500]));
    if prefix.is_empty() || &head[257..263] != b"ustar\0" {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

/// The `path` record of a pax header: `LENGTH KEY=VALUE\n`.
fn pax_path(text: &[u8]) -> Option<&[u8]> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let at = memchr::memchr(b' ', line)?;
        line[at + 1..].strip_prefix(b"path=")
    })
}
