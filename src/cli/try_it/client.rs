//! A small mail client: sends one message to the relay by SMTP.

use crate::message::Envelope;
use crate::smtp::stuff::Stuffer;
use crate::smtp::{Reply, ReplyReader};
use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The relay is in this process, so an answer that takes longer never comes.
const PATIENCE: Duration = Duration::from_mins(2);

/// The relay's response to a message.
#[derive(Debug)]
pub(super) struct Sent {
    /// Its reply to the final dot, or to the command that it refused.
    pub(super) answer: String,
    /// Whether it accepted the message.
    pub(super) taken: bool,
    /// Recipients that it refused, with the reply.
    pub(super) refused: Vec<(String, String)>,
}

/// Sends a message in one transaction for all recipients, as mail clients do.
pub(super) async fn send(to: SocketAddr, envelope: &Envelope, message: &[u8]) -> io::Result<Sent> {
    match tokio::time::timeout(PATIENCE, converse(to, envelope, message)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the relay does not answer")),
    }
}

async fn converse(to: SocketAddr, envelope: &Envelope, message: &[u8]) -> io::Result<Sent> {
    let mut talk =
        Talk { stream: TcpStream::connect(to).await?, reader: ReplyReader::new(), unread: Vec::new() };
    let mut sent = Sent { answer: String::new(), taken: false, refused: Vec::new() };
    talk.reply().await?;
    talk.say("EHLO client.localhost\r\n").await?;
    let mut mail = format!("MAIL FROM:<{}> SIZE={}", text(envelope.sender.as_ref()), message.len());
    if envelope.eight_bit {
        mail.push_str(" BODY=8BITMIME");
    }
    if envelope.smtputf8 {
        mail.push_str(" SMTPUTF8");
    }
    mail.push_str("\r\n");
    let reply = talk.say(&mail).await?;
    if !reply.is_positive() {
        return Ok(sent.answered(&reply));
    }
    let mut last = reply;
    for recipient in &envelope.recipients {
        let reply = talk.say(&format!("RCPT TO:<{}>\r\n", recipient.address)).await?;
        if !reply.is_positive() {
            sent.refused.push((recipient.address.to_string(), words(&reply)));
            last = reply;
        }
    }
    if sent.refused.len() == envelope.recipients.len() {
        return Ok(sent.answered(&last));
    }
    let reply = talk.say("DATA\r\n").await?;
    if !reply.is_intermediate() {
        return Ok(sent.answered(&reply));
    }
    let reply = talk.content(message).await?;
    sent = sent.answered(&reply);
    // The result is known; an error now does not matter.
    let _ = talk.say("QUIT\r\n").await;
    Ok(sent)
}

fn text(address: Option<&crate::message::Address>) -> String {
    address.map(ToString::to_string).unwrap_or_default()
}

/// A reply on one line.
fn words(reply: &Reply) -> String {
    let mut text = String::new();
    let _ = write!(text, "{} {}", reply.code(), reply.lines().join(" "));
    text
}

impl Sent {
    fn answered(mut self, reply: &Reply) -> Self {
        self.taken = reply.is_positive();
        self.answer = words(reply);
        self
    }
}

struct Talk {
    stream: TcpStream,
    reader: ReplyReader,
    unread: Vec<u8>,
}

impl Talk {
    async fn say(&mut self, line: &str) -> io::Result<Reply> {
        self.stream.write_all(line.as_bytes()).await?;
        self.reply().await
    }

    async fn content(&mut self, message: &[u8]) -> io::Result<Reply> {
        let mut stuffer = Stuffer::new();
        let mut content = Vec::with_capacity(message.len() + 1024);
        let bare = |_| {
            io::Error::new(io::ErrorKind::InvalidData, "the message contains a bare CR: no relay accepts it")
        };
        stuffer.append(message, &mut content).map_err(bare)?;
        content.extend_from_slice(stuffer.finish().map_err(bare)?);
        self.stream.write_all(&content).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        loop {
            let (taken, reply) = self
                .reader
                .read(&self.unread)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            self.unread.drain(..taken);
            if let Some(reply) = reply {
                return Ok(reply);
            }
            let mut chunk = [0; 4096];
            let count = self.stream.read(&mut chunk).await?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the relay hung up"));
            }
            self.unread.extend_from_slice(&chunk[..count]);
        }
    }
}
