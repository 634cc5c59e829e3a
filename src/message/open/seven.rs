//! 7z archives, by the `sevenz-rust2` crate: every member is a leaf of its own.

use super::Context;
use super::leaf::Info;
use super::packed::{self, DICTIONARY, Pump, Stop, charge, cost};
use super::spool::{SpoolReader, length};
use crate::message::open::budget::MEMBER;
use sevenz_rust2::{ArchiveReader, Error, Password};
use std::io::{Seek, SeekFrom};

/// Memory limit for unpacking, in KiB: the dictionary and some overhead.
const MEMORY: usize = DICTIONARY as usize / 1_024 + 1_024;
/// Units of work per folder: each sets up a dictionary, which may take all of the memory.
const FOLDER: u64 = 400 * MEMBER;

/// Opens an archive; names what cannot be opened.
pub(super) fn open(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) {
    packed::archive(info, cx, |cx| members(info, file, cx));
}

fn members(info: &Info, file: &mut SpoolReader, cx: &mut Context<'_>) -> Result<(), Stop> {
    let packed = length(file)?;
    file.seek(SeekFrom::Start(0))?;
    charge(FOLDER, cx)?;
    let mut archive = ArchiveReader::new_with_memory_limit(&mut *file, Password::empty(), MEMORY)
        .map_err(|error| told(&error))?;
    archive.set_thread_count(1);
    let known = archive.archive();
    if known.files.len() > cx.budget.members {
        return Err(Stop::TooMuch("too many members"));
    }
    cx.budget.members -= known.files.len();
    charge(MEMBER * known.files.len() as u64 + FOLDER * known.blocks.len() as u64, cx)?;
    for entry in &known.files {
        let place = info.inner(&entry.name, "").place;
        cx.header(&place, format!("file name: {}", entry.name).as_bytes());
    }
    let mut stopped = None;
    let result = archive.for_each_entries(|entry, reader| {
        if entry.is_directory || !entry.has_stream {
            return Ok(true);
        }
        let mut pump = Pump::new(info.inner(&entry.name, "in an archive"), packed);
        let taken = pump.take(reader, cost::LZMA, cx);
        let over = matches!(taken, Err(Stop::TooMuch(_)));
        pump.finish(taken, cx);
        stopped = over.then_some(());
        Ok(!over)
    });
    match result {
        Err(error) if stopped.is_none() => Err(told(&error)),
        _ => Ok(()),
    }
}

/// Error texts for administrators; the crate's are for programmers.
fn told(error: &Error) -> Stop {
    Stop::Broken(super::packed::damaged(match error {
        Error::PasswordRequired | Error::MaybeBadPassword(_) => "encrypted with a password",
        Error::UnsupportedCompressionMethod(method) if method.contains("AES") => "encrypted with a password",
        Error::UnsupportedCompressionMethod(_) => "packed in a way that is not opened",
        Error::MaxMemLimited { .. } => "it needs more memory than it is given",
        _ => "it is damaged",
    }))
}
