//! Dialogues as text files. A line begins with a mark:
//!
//! ```text
//! # a comment
//! @ from 127.0.0.2        the client's address (before anything else)
//! @ recipients 3          a limit of the listener
//! @ tls offered           STARTTLS is offered, or required (before anything else)
//! C: EHLO client          sent, with CRLF
//! C| a\r\nb\0             sent as it is, with \r \n \0 \\ and \xNN
//! S: 250 2.1.5 *          one line of reply; * stands for anything
//! S. closed               the server closes the connection
//! = messages 1            how many messages came in
//! = sender a@b.test       of the last message; <> for the null sender
//! = recipients x y        of the last message
//! = content a\r\n         of the last message, escapes as above
//! ```

use super::fake_intake::{FRIEND, Running, certificate};
use sekisho::listener::{Limits, TlsMode};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A blocking client that connects from a given address.
pub(crate) struct Client {
    pub(crate) reader: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(from: &str, to: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let from: SocketAddr = format!("{from}:0").parse().unwrap();
        socket.bind(&from.into()).unwrap();
        socket.connect(&to.into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(octets)
    }

    /// One line without its CRLF; `None` when the server has closed.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.reader.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(String::from_utf8_lossy(line.strip_suffix(b"\r\n").expect("CRLF")).into_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// The last line of the next reply.
    pub(crate) fn reply(&mut self) -> Option<String> {
        loop {
            let line = self.line()?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Some(line);
            }
        }
    }

    /// Sends a line and reads its reply; empty if the server has closed.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        let sent = self.send(format!("{line}\r\n").as_bytes());
        match sent {
            Ok(()) => self.reply().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// Greeting and EHLO.
    pub(crate) fn hello(from: &str, to: SocketAddr) -> Self {
        let mut client = Self::connect(from, to);
        assert!(client.reply().unwrap().starts_with("220 "));
        assert!(client.ask("EHLO client.test").starts_with("250 "));
        client
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        !matches!(self.reader.read(&mut [0; 64]), Ok(1..))
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        out.push(match bytes.next().expect("something behind the backslash") {
            b'r' => b'\r',
            b'n' => b'\n',
            b'0' => 0,
            b'x' => {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    out
}

/// `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

struct Play {
    limits: Limits,
    from: String,
    tls: Option<TlsMode>,
    running: Option<Running>,
    client: Option<Client>,
}

impl Play {
    fn client(&mut self) -> &mut Client {
        let running = self.running.get_or_insert_with(|| {
            Running::secured(self.limits.clone(), self.tls.map(|mode| certificate(mode, &[])))
        });
        self.client.get_or_insert_with(|| Client::connect(&self.from, running.address))
    }

    fn setting(&mut self, text: &str) {
        let (name, value) = text.split_once(' ').expect("name and value");
        match name {
            "from" => {
                value.clone_into(&mut self.from);
                self.client = None;
            }
            "tls" => {
                self.tls = Some(match value {
                    "offered" => TlsMode::Offered,
                    "required" => TlsMode::Required,
                    _ => panic!("no such mode"),
                });
            }
            "recipients" => self.limits.recipients = value.parse().unwrap(),
            "size" => self.limits.size = value.parse().unwrap(),
            "errors" => self.limits.errors = value.parse().unwrap(),
            _ => panic!("no such setting"),
        }
    }

    fn expect(&mut self, text: &str) {
        let messages = self.running.as_ref().map(Running::messages).unwrap_or_default();
        let (name, value) = text.split_once(' ').unwrap_or((text, ""));
        if name == "messages" {
            assert_eq!(messages.len().to_string(), value, "messages");
            return;
        }
        let last = messages.last().expect("a message");
        match name {
            "sender" => {
                let sender = last.envelope.sender.as_ref().map_or("<>", |sender| sender.as_str());
                assert_eq!(sender, value);
            }
            "recipients" => {
                let names: Vec<&str> =
                    last.envelope.recipients.iter().map(|to| to.address.as_str()).collect();
                assert_eq!(names.join(" "), value);
            }
            "content" => {
                let text = |octets: &[u8]| octets.escape_ascii().to_string();
                assert_eq!(text(&last.content), text(&unescape(value)));
            }
            _ => panic!("no such expectation"),
        }
    }

    fn step(&mut self, line: &str) {
        let (mark, text) = line.split_at(line.len().min(2));
        let text = text.strip_prefix(' ').unwrap_or(text);
        match mark {
            "" => {}
            "C:" => self.client().send(format!("{text}\r\n").as_bytes()).unwrap(),
            "C|" => self.client().send(&unescape(text)).unwrap(),
            "S:" => {
                let got = self.client().line().unwrap_or_else(|| panic!("closed; expected `{text}`"));
                assert!(fits(text, &got), "expected `{text}`\n     got `{got}`");
            }
            "S." => assert_eq!(self.client().line(), None, "the server does not close"),
            "@ " => self.setting(text),
            "= " => self.expect(text),
            _ if line.starts_with('#') => {}
            _ => panic!("a line without a mark"),
        }
    }
}

#[test]
fn dialogues_go_as_written() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dialogues");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    assert!(files.len() >= 10, "the dialogues are there");
    let mut failed = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut play = Play {
            limits: Limits::default(),
            from: FRIEND.to_owned(),
            tls: None,
            running: None,
            client: None,
        };
        for (number, line) in text.lines().enumerate() {
            let step = std::panic::AssertUnwindSafe(|| play.step(line));
            if let Err(panic) = std::panic::catch_unwind(step) {
                let why = panic.downcast_ref::<String>().cloned();
                let why = why.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                failed.push(format!("{}:{}: {}", path.display(), number + 1, why.unwrap_or_default()));
                break;
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
