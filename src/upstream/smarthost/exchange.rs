//! One mail transaction over an open connection: envelope, content, and a fate for each recipient.
//!
//! With PIPELINING (RFC 2920), MAIL, the RCPTs and DATA are sent in one write, content and final dot in
//! another: two round trips. Whatever goes wrong, every recipient gets a fate. `Uncertain` is possible
//! only after the final dot was sent.

use super::command;
use super::config::Timeouts;
use super::connection::{Broken, Connection};
use super::sessions::is_about_sessions;
use crate::smtp::{Reply, Stuffer};
use crate::upstream::{Content, Fate, Transaction};
use std::fs::File;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Most RCPTs in one write. Their replies must fit the socket's buffers while we are still writing.
const BATCH: usize = 100;
/// Octets of a streamed body that are collected before they are written.
const CHUNK: usize = 64 * 1024;
/// Octets of a file that are sent within one timeout.
const BLOCK: u64 = 256 * 1024;
/// The stage in errors.
const CONTENT: &str = "while the content was sent";
/// How long to wait for a reply after the upstream closed the connection during the content.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Longest reply text kept for the queue and for reports, in characters.
const KEPT: usize = 1_000;

/// A transaction in progress.
pub(super) struct Exchange<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) transaction: &'a mut Transaction,
    pub(super) timeouts: &'a Timeouts,
    pub(super) last_look: &'a (dyn Fn() -> bool + Send + Sync),
    /// The fate of each recipient; `None` until it is decided.
    pub(super) fates: Vec<Option<Fate>>,
    /// Whether sending the content has begun, so that the body is used up.
    pub(super) content_begun: bool,
    /// Whether the final dot was sent.
    pub(super) dotted: bool,
    /// Whether the upstream refused more recipients.
    pub(super) too_many: bool,
    /// The reply by which the upstream refused the session rather than the copy. The copy then counts as
    /// not tried.
    pub(super) crowded: Option<Reply>,
}

impl Exchange<'_> {
    /// Runs the transaction. After an error the connection can no longer be used, and the caller decides
    /// the fates still open.
    pub(super) async fn run(&mut self) -> Result<(), Broken> {
        self.connection.used += 1;
        let pipelined = self.envelope().await?;
        if self.is_settled() {
            return self.leave_without_content(pipelined).await;
        }
        let reply = if let Some(reply) = pipelined {
            reply
        } else {
            self.connection.line.write(b"DATA\r\n", self.timeouts.data, "before DATA").await?;
            self.connection.line.reply(self.timeouts.data, "after DATA").await?
        };
        if reply.code() == 354 {
            let reply = self.content().await?;
            self.connection.dirty = false;
            return self.verdict(&reply, "after the final dot");
        }
        self.connection.dirty = true;
        self.verdict(&reply, "after DATA")
    }

    /// Gives `fate` to all recipients whose fate is open.
    pub(super) fn settle(&mut self, fate: &Fate) {
        for open in self.fates.iter_mut().filter(|open| open.is_none()) {
            *open = Some(fate.clone());
        }
    }

    /// Sends RSET if needed, MAIL and all RCPTs. With PIPELINING it also sends DATA and returns the reply
    /// to it.
    async fn envelope(&mut self) -> Result<Option<Reply>, Broken> {
        let pipelining = self.connection.offers.pipelining;
        let batch = if pipelining { BATCH } else { 1 };
        let recipients: Vec<usize> = (0..self.fates.len()).filter(|&at| self.fates[at].is_none()).collect();
        self.begin(pipelining).await?;
        let mut mail_unanswered = pipelining;
        let mut batches = recipients.chunks(batch);
        while !self.is_settled()
            && let Some(batch) = batches.next()
        {
            let with_data = pipelining && batches.len() == 0;
            self.send_batch(batch, with_data).await?;
            if std::mem::take(&mut mail_unanswered) {
                self.read_beginning().await?;
            }
            for &at in batch {
                self.read_rcpt(at).await?;
            }
            if with_data {
                return Ok(Some(self.connection.line.reply(self.timeouts.data, "after DATA").await?));
            }
            if self.too_many {
                for &at in batches.by_ref().flatten() {
                    self.fates[at] = Some(Fate::NotTried("452 4.5.3 too many recipients".to_owned()));
                }
            }
        }
        Ok(None)
    }

    fn is_settled(&self) -> bool {
        self.fates.iter().all(Option::is_some)
    }

    /// Prepares RSET and MAIL; without PIPELINING it also sends them and reads the replies.
    async fn begin(&mut self, pipelining: bool) -> Result<(), Broken> {
        let Connection { line, out, offers, dirty, .. } = &mut *self.connection;
        out.clear();
        if *dirty && !pipelining {
            let reply = line.ask("RSET", self.timeouts.mail, "after RSET").await?;
            if !reply.is_positive() {
                return Err(Broken::Unexpected(reply, "after RSET"));
            }
            *dirty = false;
        } else if *dirty {
            out.extend_from_slice(b"RSET\r\n");
        }
        command::mail(self.transaction, offers, out);
        if pipelining {
            return Ok(());
        }
        line.write(out, self.timeouts.mail, "before MAIL").await?;
        out.clear();
        self.read_beginning().await
    }

    async fn send_batch(&mut self, batch: &[usize], with_data: bool) -> Result<(), Broken> {
        let Connection { line, out, offers, .. } = &mut *self.connection;
        for &at in batch {
            command::rcpt(&self.transaction.recipients[at], offers, out);
        }
        if with_data {
            out.extend_from_slice(b"DATA\r\n");
        }
        let sent = line.write(out, self.timeouts.rcpt, "before RCPT").await;
        out.clear();
        sent
    }

    /// Reads the replies to RSET and MAIL. If MAIL is refused, that decides the fate of all recipients.
    async fn read_beginning(&mut self) -> Result<(), Broken> {
        if std::mem::take(&mut self.connection.dirty) {
            let reply = self.connection.line.reply(self.timeouts.mail, "after RSET").await?;
            if !reply.is_positive() {
                return Err(Broken::Unexpected(reply, "after RSET"));
            }
        }
        let reply = self.connection.line.reply(self.timeouts.mail, "after MAIL").await?;
        if reply.is_positive() {
            self.connection.dirty = true;
            return Ok(());
        }
        // a demand for authentication or TLS refuses the session, not the message
        if matches!(reply.code(), 530 | 535 | 538) {
            return Err(Broken::Refused(reply, "after MAIL"));
        }
        self.verdict(&reply, "after MAIL")
    }

    async fn read_rcpt(&mut self, at: usize) -> Result<(), Broken> {
        let reply = self.connection.line.reply(self.timeouts.rcpt, "after RCPT").await?;
        if self.fates[at].is_some() {
            // MAIL was refused: the reply to MAIL counts, not the 503 that follows from it
            return Ok(());
        }
        if reply.code() == 421 {
            if is_about_sessions(&reply) {
                let fate = self.crowd(&reply);
                self.settle(&fate);
            }
            return Err(Broken::Refused(reply, "after RCPT"));
        }
        self.fates[at] = match reply.code() {
            200..=299 => None,
            // 552 is treated as 452 here (RFC 5321 §4.5.3.1.10)
            452 | 552 if self.is_too_many(at, &reply) => {
                self.too_many = true;
                Some(Fate::NotTried(shown(&reply)))
            }
            400..=499 if is_about_sessions(&reply) => Some(self.crowd(&reply)),
            400..=499 | 552 => Some(Fate::Deferred(shown(&reply))),
            500..=599 => Some(Fate::Failed(shown(&reply))),
            _ => return Err(Broken::Unexpected(reply, "after RCPT")),
        };
        Ok(())
    }

    /// Whether a 452 or 552 means too many recipients and not a full mailbox. The enhanced code tells
    /// (x.5.3). Without one it counts as too many if other recipients were accepted before, because then
    /// another transaction makes progress.
    fn is_too_many(&self, at: usize, reply: &Reply) -> bool {
        let others = self.fates[..at].iter().any(Option::is_none);
        others && reply.enhanced().is_none_or(|code| code.subject == 5 && code.detail == 3)
    }

    /// Ends a transaction without accepted recipients. If DATA got a 354 all the same, sends a lone dot and
    /// ignores the reply (RFC 2920 §3.1).
    async fn leave_without_content(&mut self, data: Option<Reply>) -> Result<(), Broken> {
        if data.is_some_and(|reply| reply.code() == 354) {
            let limit = self.timeouts.end;
            self.connection.line.write(b".\r\n", limit, "after DATA").await?;
            self.connection.line.reply(limit, "after the final dot").await?;
            self.connection.dirty = false;
        }
        Ok(())
    }

    /// Sends header, body and final dot; returns the reply.
    async fn content(&mut self) -> Result<Reply, Broken> {
        self.content_begun = true;
        let mut stuffer = Stuffer::new();
        let mut out = std::mem::take(&mut self.connection.out);
        out.clear();
        append(&mut stuffer, &self.transaction.header, &mut out)?;
        match std::mem::replace(&mut self.transaction.body, Content::Spent) {
            Content::Inline(body) => append(&mut stuffer, &body, &mut out)?,
            Content::Spent => return Err(Broken::Local("4.3.0 the body was sent already".to_owned())),
            Content::Stream { stream, size, file } => {
                let file = file.filter(|_| self.connection.line.takes_files());
                let is_sent = match file {
                    Some(file) => self.file(&file, size, &mut out).await?,
                    None => false,
                };
                if !is_sent {
                    self.stream(stream, size, &mut stuffer, &mut out).await?;
                }
            }
        }
        out.extend_from_slice(stuffer.finish().map_err(|_| bare_line_end())?);
        if !(self.last_look)() {
            return Err(Broken::Local("4.3.2 aborted before the final dot".to_owned()));
        }
        self.write_content(&out).await?;
        // a failed write did not send the last octet, so until here the message was not handed over
        self.dotted = true;
        self.connection.out = out;
        self.connection.line.reply(self.timeouts.end, "after the final dot").await
    }

    /// Sends a body as it is read.
    async fn stream(
        &mut self,
        mut body: Box<dyn AsyncBufRead + Send + Unpin>,
        size: u64,
        stuffer: &mut Stuffer,
        out: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        let mut seen = 0;
        loop {
            let piece = body.fill_buf().await.map_err(|error| unreadable(&error))?;
            if piece.is_empty() {
                break;
            }
            let size = piece.len();
            self.piece(stuffer, piece, out).await?;
            body.consume(size);
            seen += size as u64;
        }
        if seen == size { Ok(()) } else { Err(other_size(seen, size)) }
    }

    /// Sends a body that needs no change, without reading it: whole lines, none of which begins with a dot. The
    /// header before it ends a line, so the final dot follows it directly. Returns whether it was sent: not all file
    /// systems can do that, and then nothing of it was.
    async fn file(&mut self, file: &File, size: u64, out: &mut Vec<u8>) -> Result<bool, Broken> {
        let found = file.metadata().map_err(|error| unreadable(&error))?.len();
        if found != size {
            return Err(other_size(found, size));
        }
        self.write_content(out).await?;
        out.clear();
        let mut from = 0;
        while from < size {
            let to = size.min(from + BLOCK);
            let sent =
                self.connection.line.send_file(file, &mut from, to, self.timeouts.block, CONTENT).await;
            if from == 0 && matches!(sent, Err(Broken::Io(..))) {
                return Ok(false);
            }
            self.or_last_words(sent).await?;
        }
        Ok(true)
    }

    /// Sends a piece of a body. Long runs of it are sent from where they are; `out` collects what comes before.
    async fn piece(
        &mut self,
        stuffer: &mut Stuffer,
        mut piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Broken> {
        while !piece.is_empty() {
            let (run, dot) = stuffer.run(piece).map_err(|_| bare_line_end())?;
            if out.len() + run.len() > CHUNK {
                if !out.is_empty() {
                    self.write_content(out).await?;
                    out.clear();
                }
                for block in run.chunks(CHUNK) {
                    self.write_content(block).await?;
                }
            } else {
                out.extend_from_slice(run);
            }
            if dot {
                out.push(b'.');
            }
            piece = &piece[run.len()..];
        }
        Ok(())
    }

    /// Writes content.
    async fn write_content(&mut self, octets: &[u8]) -> Result<(), Broken> {
        let written = self.connection.line.write(octets, self.timeouts.block, CONTENT).await;
        self.or_last_words(written).await
    }

    /// If the upstream closed the connection, a reply it sent before counts.
    async fn or_last_words(&mut self, written: Result<(), Broken>) -> Result<(), Broken> {
        let Err(broken) = written else { return Ok(()) };
        match self.connection.line.reply(LAST_WORDS, CONTENT).await {
            Ok(reply) if reply.is_permanent() => {
                let fate = Fate::Failed(placed(&reply, "after DATA"));
                self.settle(&fate);
                Err(broken)
            }
            Ok(reply) => Err(Broken::Refused(reply, CONTENT)),
            Err(_) => Err(broken),
        }
    }

    /// Notes that the upstream refused the session rather than the copy.
    fn crowd(&mut self, reply: &Reply) -> Fate {
        self.crowded = Some(reply.clone());
        Fate::NotTried(shown(reply))
    }

    /// Decides the fate of all open recipients by a reply.
    fn verdict(&mut self, reply: &Reply, stage: &'static str) -> Result<(), Broken> {
        let fate = match reply.code() {
            200..=299 if self.dotted => Fate::Delivered(shown(reply)),
            400..=499 if is_about_sessions(reply) => self.crowd(reply),
            400..=499 => Fate::Deferred(shown(reply)),
            500..=599 => Fate::Failed(placed(reply, stage)),
            _ => return Err(Broken::Unexpected(reply.clone(), stage)),
        };
        self.settle(&fate);
        if reply.code() == 421 { Err(Broken::Refused(reply.clone(), stage)) } else { Ok(()) }
    }
}

fn unreadable(error: &io::Error) -> Broken {
    Broken::Local(format!("4.3.0 the stored body cannot be read: {error}"))
}

fn other_size(found: u64, size: u64) -> Broken {
    Broken::Local(format!("4.3.0 the stored body has {found} octets instead of {size}"))
}

fn append(stuffer: &mut Stuffer, octets: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
    stuffer.append(octets, out).map_err(|_| bare_line_end())
}

/// A bare CR or LF in stored content. Intake accepts none, so the store is damaged: the copy is deferred
/// and never sent.
fn bare_line_end() -> Broken {
    Broken::Local("4.6.0 the stored content has a bare CR or LF; it is not sent".to_owned())
}

/// The text of a refusal. The stage is added if there is no enhanced code that tells the cause.
fn placed(reply: &Reply, stage: &str) -> String {
    let said = shown(reply);
    if reply.enhanced().is_some() { said } else { format!("{said} ({stage})") }
}

/// The text of a reply for the queue and for reports.
pub(super) fn shown(reply: &Reply) -> String {
    let mut text = reply.to_string();
    if let Some((end, _)) = text.char_indices().nth(KEPT) {
        text.truncate(end);
    }
    text
}
