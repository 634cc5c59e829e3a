//! Reads message files, converts their line ends to CRLF, and derives an envelope from the header.

use super::Failure;
use crate::config::reason;
use crate::message::address::parse_list;
use crate::message::gathering::header_length;
use crate::message::{Address, Envelope, Header, Recipient};
use bytes::Bytes;
use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

/// Largest message that a command reads, in octets.
const LARGEST: u64 = 256 << 20;

/// Reads a message from a file, or from stdin for `-`, and converts its line ends to CRLF.
pub(super) fn read(path: &Path) -> Result<Bytes, Failure> {
    let wrong = |error: &std::io::Error| {
        Failure::failed(format!("cannot read {}: {}", path.display(), reason(error)))
    };
    let mut raw = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut raw).map_err(|error| wrong(&error))?;
    } else {
        let file = std::fs::File::open(path).map_err(|error| wrong(&error))?;
        file.take(LARGEST + 1).read_to_end(&mut raw).map_err(|error| wrong(&error))?;
    }
    if raw.len() as u64 > LARGEST {
        return Err(Failure::failed(format!("{} is larger than {LARGEST} octets", path.display())));
    }
    if raw.is_empty() {
        return Err(Failure::failed(format!("{} is empty: a message was expected", path.display())));
    }
    Ok(crlf(&raw))
}

/// Converts all line ends to CRLF: files on Unix systems have LF.
pub(super) fn crlf(raw: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(raw.len() + raw.len() / 32);
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\n").unwrap_or(line);
        text.extend_from_slice(content.strip_suffix(b"\r").unwrap_or(content));
        text.extend_from_slice(b"\r\n");
    }
    Bytes::from(text)
}

/// The envelope that a mail client would use: From, and To, Cc and Bcc.
pub(super) fn envelope(message: &Bytes) -> Envelope {
    let header = Header::parse(message.slice(..header_length(message))).ok();
    let addresses = |name: &str| -> Vec<Address> {
        let Some(header) = &header else { return Vec::new() };
        header
            .named(name)
            .flat_map(|field| parse_list(header.body(field)).mailboxes)
            .map(|mailbox| mailbox.address)
            .collect()
    };
    let mut seen = HashSet::new();
    let recipients: Vec<Recipient> = ["to", "cc", "bcc"]
        .into_iter()
        .flat_map(addresses)
        .filter(|address| seen.insert(address.clone()))
        .map(Recipient::plain)
        .collect();
    let sender = addresses("from").into_iter().next();
    Envelope {
        smtputf8: sender.iter().chain(recipients.iter().map(|to| &to.address)).any(Address::needs_utf8),
        sender,
        recipients,
        eight_bit: !message.is_ascii(),
        ret: None,
        envid: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_those_of_smtp() {
        let table: [(&[u8], &[u8]); 4] = [
            (b"a\nb\n", b"a\r\nb\r\n"),
            (b"a\r\nb", b"a\r\nb\r\n"),
            (b"a\r\n\nb\n", b"a\r\n\r\nb\r\n"),
            (b"a\rb\n", b"a\rb\r\n"),
        ];
        for (raw, wanted) in table {
            assert_eq!(crlf(raw), Bytes::from_static(wanted), "{raw:?}");
        }
    }

    #[test]
    fn the_envelope_is_the_one_a_client_would_use() {
        let message = crlf(b"From: A <a@x.jp>\nTo: b@y.jp, c@z.jp\nCc: B@Y.jp\nBcc: d@z.jp\n\nhi\n");
        let envelope = envelope(&message);
        let to: Vec<String> = envelope.recipients.iter().map(|to| to.address.to_string()).collect();
        assert_eq!(envelope.sender.unwrap().as_str(), "a@x.jp");
        assert_eq!(to.len(), 3, "{to:?}");
        assert_eq!(header_length(&message), message.len() - "\r\nhi\r\n".len());
    }
}
