//! Reads archived mail one message at a time: mbox files (RFC 4155, mboxrd), Maildirs, folders of messages.

use crate::config::reason;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Largest message that is read whole, in octets; a larger one is an error, and reading continues after it.
const LARGEST: usize = 256 << 20;
/// Longest line read in one piece.
const LINE: u64 = 1 << 20;
/// Maximum depth of a folder that is searched.
const DEEPEST: usize = 32;
/// Octets that are read to detect the type of a file.
const START: usize = 64 * 1024;

/// One message.
#[derive(Debug)]
pub(in crate::cli) struct Item {
    /// Where it was found: a file, or a file and a number.
    pub(in crate::cli) place: String,
    /// The file.
    pub(in crate::cli) path: PathBuf,
    /// Where it begins in the file.
    pub(in crate::cli) offset: u64,
    /// Where the next message begins.
    pub(in crate::cli) end: u64,
    /// Its octets, or the first of them if a limit was set.
    pub(in crate::cli) raw: Vec<u8>,
}

/// All messages below some paths, in the order of their names.
pub(in crate::cli) struct Archive {
    waiting: VecDeque<(PathBuf, usize)>,
    mbox: Option<Mbox>,
    /// Maximum number of octets kept of a message; the rest is skipped.
    heads: Option<usize>,
    /// The position at which an earlier run stopped; files before it are skipped.
    stopped: Option<(PathBuf, u64)>,
}

impl Archive {
    pub(in crate::cli) fn new(paths: &[PathBuf]) -> Self {
        let waiting = paths.iter().map(|path| (path.clone(), 0)).collect();
        Self { waiting, mbox: None, heads: None, stopped: None }
    }

    /// Reads at most this many octets of each message, however large it is.
    pub(in crate::cli) fn heads(self, most: usize) -> Self {
        Self { heads: Some(most), ..self }
    }

    /// Continues at a position.
    pub(in crate::cli) fn after(self, path: PathBuf, offset: u64) -> Self {
        Self { stopped: Some((path, offset)), ..self }
    }

    fn folder(&mut self, path: &Path, depth: usize) -> Result<(), String> {
        if depth >= DEEPEST {
            return Err(format!("{}: folders nested deeper than {DEEPEST}", path.display()));
        }
        let list = std::fs::read_dir(path).map_err(|error| said(path, &error))?;
        let mut inside: Vec<PathBuf> =
            list.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
        inside.sort();
        for path in inside.into_iter().rev() {
            // Maildir deliveries in progress, and symbolic links, which may form a cycle, are skipped.
            let partial = path.file_name().is_some_and(|name| name == "tmp");
            let link = path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_symlink());
            if !partial && !link {
                self.waiting.push_front((path, depth + 1));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, asked_for: bool) -> Result<Option<Item>, String> {
        let from = match &self.stopped {
            Some((stopped, _)) if stopped != path => return Ok(None),
            Some(_) => self.stopped.take().map_or(0, |(_, offset)| offset),
            None => 0,
        };
        let failed = |error| said(path, &error);
        let mut reader = BufReader::with_capacity(START, File::open(path).map_err(failed)?);
        let start = reader.fill_buf().map_err(failed)?;
        if start.starts_with(b"From ") || (is_mbox(path, asked_for) && begins_late(start)) {
            reader.seek(SeekFrom::Start(from)).map_err(failed)?;
            let limit = self.heads.unwrap_or(LARGEST);
            let (path, whole) = (path.to_owned(), self.heads.is_none());
            self.mbox = Some(Mbox { path, reader, number: 0, at: from, separator: None, limit, whole });
            return Ok(None);
        }
        if from > 0 || (!asked_for && !is_message(path, start)) {
            return Ok(None);
        }
        let mut raw = Vec::new();
        let limit = self.heads.unwrap_or(LARGEST + 1) as u64;
        reader.take(limit).read_to_end(&mut raw).map_err(failed)?;
        if self.heads.is_none() && raw.len() > LARGEST {
            return Err(format!("{}: larger than {LARGEST} octets", path.display()));
        }
        let end = u64::MAX;
        Ok(Some(Item { place: path.display().to_string(), path: path.to_owned(), offset: 0, end, raw }))
    }
}

/// Whether a file is read as an mbox if it has a separator line anywhere in its beginning.
fn is_mbox(path: &Path, asked_for: bool) -> bool {
    let named = |name: &std::ffi::OsStr| name.eq_ignore_ascii_case("mbox");
    asked_for || path.extension().is_some_and(named) || path.file_name().is_some_and(named)
}

/// An mbox with something else before its first mail.
fn begins_late(start: &[u8]) -> bool {
    field_of(start).is_none() && start.split(|byte| *byte == b'\n').skip(1).any(is_separator)
}

/// The name of the field at the start of a message.
fn field_of(start: &[u8]) -> Option<&[u8]> {
    let name = start.split(|byte| matches!(byte, b':' | b'\n')).next()?;
    let sound = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    (sound && start.get(name.len()) == Some(&b':')).then_some(name)
}

/// Whether a file in a folder is a message: by its name, by its Maildir, or by its first field.
fn is_message(path: &Path, start: &[u8]) -> bool {
    let name =
        |path: Option<&Path>| path.and_then(Path::file_name).map(|n| n.to_string_lossy().to_lowercase());
    let in_maildir = matches!(name(path.parent()).as_deref(), Some("cur" | "new"));
    let extension =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("eml") || e.eq_ignore_ascii_case("mbox"));
    if in_maildir || extension {
        return !start.is_empty();
    }
    let Some(field) = field_of(start) else { return false };
    // The last three are the first fields of single files written by `readpst`.
    let names: [&[u8]; 9] = [
        b"received",
        b"return-path",
        b"from",
        b"date",
        b"message-id",
        b"mime-version",
        b"status",
        b"delivered-to",
        b"x-libpst-forensic-sender",
    ];
    names.iter().any(|name| field.eq_ignore_ascii_case(name))
}

fn said(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {}", path.display(), reason(error))
}

impl Iterator for Archive {
    type Item = Result<Item, String>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mbox) = &mut self.mbox {
                match mbox.next() {
                    Some(item) => return Some(item),
                    None => self.mbox = None,
                }
            }
            let (path, depth) = self.waiting.pop_front()?;
            let result = if path.is_dir() {
                self.folder(&path, depth).map(|()| None)
            } else {
                self.file(&path, depth == 0)
            };
            match result {
                Ok(Some(item)) => return Some(Ok(item)),
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Whether a line looks like an mbox separator: sender, day and time. A damaged mail before it need not end
/// with an empty line.
fn is_separator(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"From ") else { return false };
    let words: Vec<&[u8]> = rest.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    let time = |word: &[u8]| {
        word.len() >= 5 && word[2] == b':' && word.iter().all(|b| b.is_ascii_digit() || *b == b':')
    };
    let year = |word: &[u8]| word.len() == 4 && word.iter().all(u8::is_ascii_digit);
    words.len() >= 6 && words.iter().any(|word| time(word)) && words.iter().any(|word| year(word))
}

/// An mbox, read line by line. A `From ` line after an empty line (or at the start) begins a message; `>From
/// ` within one is unescaped (mboxrd).
struct Mbox {
    path: PathBuf,
    reader: BufReader<File>,
    number: usize,
    /// Octets read so far.
    at: u64,
    /// The offset of the separator of the current message.
    separator: Option<u64>,
    /// Maximum number of octets of a message.
    limit: usize,
    /// Whether a larger message is an error; otherwise it is truncated.
    whole: bool,
}

impl Mbox {
    fn next(&mut self) -> Option<Result<Item, String>> {
        let (mut raw, mut line) = (Vec::new(), Vec::new());
        let (mut too_large, mut empty_before) = (false, true);
        let began = self.separator.unwrap_or(self.at);
        let next = loop {
            line.clear();
            let from = self.at;
            match (&mut self.reader).take(LINE).read_until(b'\n', &mut line) {
                Err(error) => {
                    let text = said(&self.path, &error);
                    self.reader = BufReader::new(File::open("/dev/null").ok()?);
                    return Some(Err(text));
                }
                Ok(0) => break None,
                Ok(count) => self.at += count as u64,
            }
            if line.starts_with(b"From ") && (empty_before || is_separator(&line)) {
                if self.separator.is_some() || !raw.is_empty() {
                    break Some(from);
                }
                self.separator = Some(from);
                continue;
            }
            empty_before = matches!(line.as_slice(), b"\n" | b"\r\n");
            let quoted = line.iter().take_while(|byte| **byte == b'>').count();
            let line =
                if quoted > 0 && line[quoted..].starts_with(b"From ") { &line[1..] } else { &line[..] };
            too_large |= raw.len() + line.len() > self.limit;
            if !too_large {
                raw.extend_from_slice(line);
            }
        };
        self.separator = next;
        if raw.is_empty() && next.is_none() {
            return None;
        }
        self.number += 1;
        let place = format!("{}#{}", self.path.display(), self.number);
        if too_large && self.whole {
            return Some(Err(format!("{place}: larger than {LARGEST} octets")));
        }
        let end = next.unwrap_or(self.at);
        Some(Ok(Item { place, path: self.path.clone(), offset: began, end, raw }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_archive_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        at("a/sent", "From a Mon\nSubject: 1\n\n>From here\n\nFrom b Tue\nSubject: 2\n\n>>From there\n");
        at("b/cur/1.x", "Subject: 3\n\nhi\n");
        at("b/tmp/2.x", "Subject: not yet\n\n");
        at("c/4.eml", "Subject: 4\n\nhi\n");
        at("c/notes.txt", "Shopping list: bread\n");
        at("c/5", "Received: from x\nSubject: 5\n\nhi\n");
        at("d/Inbox/6", "Status: RO\nFrom: a@x.example\nSubject: 6\n\nhi\n");
        at("d/Inbox/6-report.pdf", "%PDF-1.7\n");
        let all: Vec<Item> = Archive::new(&[folder.path().to_owned()]).map(Result::unwrap).collect();
        let texts: Vec<String> =
            all.iter().map(|item| String::from_utf8_lossy(&item.raw).into_owned()).collect();
        assert_eq!(texts.len(), 6, "{texts:?}");
        assert_eq!(texts[0], "Subject: 1\n\nFrom here\n\n");
        assert_eq!(texts[1], "Subject: 2\n\n>From there\n");
        assert!(all[1].place.ends_with("a/sent#2"));
        assert!(texts[3].contains("Subject: 4"), "{texts:?}");
    }

    const MBOX: &str = "GARBAGE\0\0\nmore\n\
        From a@x.example Mon Nov 10 10:00:00 2025\nSubject: 1\n\nhi\n\
        \u{1}\u{2} damaged, and no empty line\n\
        From b@x.example Tue Nov 11 10:00:00 2025\nSubject: 2\n\n>From here on it is text.\n\n\
        From c@x.example Wed Nov 12 10:00:00 2025\nSubject: 3\n";

    fn read(archive: Archive) -> Vec<(String, u64, u64)> {
        let subject = |raw: &[u8]| String::from_utf8_lossy(&raw[..raw.len().min(10)]).into_owned();
        archive.map(|item| item.map(|item| (subject(&item.raw), item.offset, item.end)).unwrap()).collect()
    }

    #[test]
    fn a_damaged_mailbox_is_read_on_and_from_any_of_its_mails() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mbox");
        std::fs::write(&path, MBOX).unwrap();
        let at = |text: &str| MBOX.find(text).unwrap() as u64;
        let all = read(Archive::new(std::slice::from_ref(&path)));
        let (one, two, three) = (at("From a@"), at("From b@"), at("From c@"));
        assert_eq!(
            all,
            [
                ("GARBAGE\0\0\n".to_owned(), 0, one),
                ("Subject: 1".to_owned(), one, two),
                ("Subject: 2".to_owned(), two, three),
                ("Subject: 3".to_owned(), three, MBOX.len() as u64),
            ]
        );
        for (number, (_, _, end)) in all.iter().enumerate() {
            let rest = read(Archive::new(&[folder.path().to_owned()]).after(path.clone(), *end));
            assert_eq!(rest, all[number + 1..], "after {number}");
        }
        let heads: Vec<Item> = Archive::new(&[path]).heads(12).map(Result::unwrap).collect();
        assert!(heads.len() == 4 && heads.iter().all(|item| item.raw.len() <= 12));
    }

    #[test]
    fn files_before_the_place_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["1.eml", "2.eml", "3.eml"] {
            std::fs::write(folder.path().join(name), format!("Subject: {name}\n\n")).unwrap();
        }
        let all = || Archive::new(&[folder.path().to_owned()]);
        let rest = read(all().after(folder.path().join("2.eml"), u64::MAX));
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].0, "Subject: 3");
        assert_eq!(read(all().after(folder.path().join("0.eml"), 0)).len(), 0, "the place is gone");
    }
}
