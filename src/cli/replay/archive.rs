//! Kept mail, one message at a time: mbox files (RFC 4155, mboxrd), Maildirs, folders of messages.

use crate::config::reason;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Largest message that is replayed; the rest of a larger one is skipped.
const LARGEST: usize = 256 << 20;
/// Longest line read in one piece.
const LINE: u64 = 1 << 20;
/// Deepest folder looked into.
const DEEPEST: usize = 32;

/// One message.
#[derive(Debug)]
pub(super) struct Item {
    /// Where it was: a file, or a file and a number.
    pub(super) place: String,
    /// Its bytes.
    pub(super) raw: Vec<u8>,
}

/// All messages under some paths, in the order of their names.
pub(super) struct Archive {
    waiting: VecDeque<(PathBuf, usize)>,
    mbox: Option<Mbox>,
}

impl Archive {
    pub(super) fn new(paths: &[PathBuf]) -> Self {
        Self { waiting: paths.iter().map(|path| (path.clone(), 0)).collect(), mbox: None }
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
            // Maildir deliveries in progress, and links that may lead in a circle, are no mail.
            let partial = path.file_name().is_some_and(|name| name == "tmp");
            let link = path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_symlink());
            if !partial && !link {
                self.waiting.push_front((path, depth + 1));
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, asked_for: bool) -> Result<Option<Item>, String> {
        let mut reader = BufReader::new(File::open(path).map_err(|error| said(path, &error))?);
        let start = reader.fill_buf().map_err(|error| said(path, &error))?;
        if start.starts_with(b"From ") {
            self.mbox = Some(Mbox { path: path.to_owned(), reader, number: 0, begun: false });
            return Ok(None);
        }
        if !asked_for && !is_message(path, start) {
            return Ok(None);
        }
        let mut raw = Vec::new();
        let limit = LARGEST as u64 + 1;
        reader.take(limit).read_to_end(&mut raw).map_err(|error| said(path, &error))?;
        if raw.len() > LARGEST {
            return Err(format!("{}: larger than {LARGEST} octets", path.display()));
        }
        Ok(Some(Item { place: path.display().to_string(), raw }))
    }
}

/// Within a folder: a message by its name, by a Maildir around it, or by how it starts.
fn is_message(path: &Path, start: &[u8]) -> bool {
    let name =
        |path: Option<&Path>| path.and_then(Path::file_name).map(|n| n.to_string_lossy().to_lowercase());
    let in_maildir = matches!(name(path.parent()).as_deref(), Some("cur" | "new"));
    let extension =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("eml") || e.eq_ignore_ascii_case("mbox"));
    if in_maildir || extension {
        return !start.is_empty();
    }
    let field = start.split(|byte| matches!(byte, b':' | b'\n')).next().unwrap_or_default();
    let names: [&[u8]; 6] = [b"received", b"return-path", b"from", b"date", b"message-id", b"mime-version"];
    start.get(field.len()) == Some(&b':') && names.iter().any(|name| field.eq_ignore_ascii_case(name))
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

/// An mbox, read line by line. A line `From ` after an empty line (or at the start) begins a message;
/// `>From ` within one lost its first character on the way in (mboxrd).
struct Mbox {
    path: PathBuf,
    reader: BufReader<File>,
    number: usize,
    begun: bool,
}

impl Mbox {
    fn next(&mut self) -> Option<Result<Item, String>> {
        let mut raw = Vec::new();
        let mut too_large = false;
        let mut empty_before = true;
        loop {
            let mut line = Vec::new();
            match (&mut self.reader).take(LINE).read_until(b'\n', &mut line) {
                Err(error) => {
                    let text = said(&self.path, &error);
                    self.reader = BufReader::new(File::open("/dev/null").ok()?);
                    return Some(Err(text));
                }
                Ok(0) => break,
                Ok(_) => {}
            }
            if empty_before && line.starts_with(b"From ") {
                if std::mem::replace(&mut self.begun, true) {
                    break;
                }
                continue;
            }
            empty_before = matches!(line.as_slice(), b"\n" | b"\r\n");
            let quoted = line.iter().take_while(|byte| **byte == b'>').count();
            let line =
                if quoted > 0 && line[quoted..].starts_with(b"From ") { &line[1..] } else { &line[..] };
            too_large |= raw.len() + line.len() > LARGEST;
            if !too_large {
                raw.extend_from_slice(line);
            }
        }
        if raw.is_empty() {
            return None;
        }
        self.number += 1;
        let place = format!("{}#{}", self.path.display(), self.number);
        if too_large {
            return Some(Err(format!("{place}: larger than {LARGEST} octets")));
        }
        Some(Ok(Item { place, raw }))
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
        let all: Vec<Item> = Archive::new(&[folder.path().to_owned()]).map(Result::unwrap).collect();
        let texts: Vec<String> =
            all.iter().map(|item| String::from_utf8_lossy(&item.raw).into_owned()).collect();
        assert_eq!(texts.len(), 5, "{texts:?}");
        assert_eq!(texts[0], "Subject: 1\n\nFrom here\n\n");
        assert_eq!(texts[1], "Subject: 2\n\n>From there\n");
        assert!(all[1].place.ends_with("a/sent#2"));
        assert!(texts[3].contains("Subject: 4"), "{texts:?}");
    }
}
