//! The content of one message while it is received: the end of its header is found here, the header is checked
//! before anything of it is kept, and then header and body go on to what the message is for.

use super::share::Share;
use super::{Answer, Watcher};
use crate::message::gathering::{Gathering, HeaderTooLarge};
use async_trait::async_trait;
use bytes::Bytes;
use std::sync::Arc;

/// Octets processed before other tasks get a turn: a few milliseconds of work.
const TURN: usize = 64 * 1024;

/// What a session asks of a header: whether this client may send it. Returns the header as it is taken on, or
/// the answer that refuses the message.
pub type HeaderCheck = Box<dyn FnOnce(Bytes) -> Result<Bytes, Answer> + Send>;

/// What becomes of the content of a message: a mail to relay, or a journal copy to learn from. After an `Err`
/// nothing more comes. Dropping it discards everything.
#[async_trait]
pub trait Content: Send {
    /// Takes the complete header block, once, before any of the body.
    async fn header(&mut self, header: Bytes) -> Result<(), Answer>;

    /// The header block is over its limit. Header and body never come.
    fn header_too_large(&mut self, why: HeaderTooLarge) -> Result<(), Answer> {
        Err(Answer::TooLarge(why.to_string()))
    }

    /// Takes the next octets of the body, which begins with the empty line after the header.
    async fn body(&mut self, octets: Bytes) -> Result<(), Answer>;

    /// The final dot has come: decides, plans and commits; returns the answer to the client.
    async fn finish(self: Box<Self>) -> Answer;
}

/// The content of one message while it is received. Dropping it discards everything.
pub struct Reception {
    stage: Stage,
    content: Box<dyn Content>,
    watcher: Arc<dyn Watcher>,
    /// Its share of the memory for headers, until it is finished.
    share: Share,
    /// Octets processed since other tasks had a turn.
    processed: usize,
}

enum Stage {
    /// The header is incomplete, and not checked.
    Header(Gathering, Option<HeaderCheck>),
    /// The header was taken on.
    Body,
    /// Whatever comes is ignored, up to the final dot.
    Ignored,
}

impl Reception {
    /// Content that goes on to `content` once `check` has allowed its header. `watcher` is told of every answer
    /// that `content` gives.
    pub fn new(content: Box<dyn Content>, check: Option<HeaderCheck>, watcher: Arc<dyn Watcher>) -> Self {
        let stage = Stage::Header(Gathering::default(), check);
        Self { stage, content, watcher, share: Share::default(), processed: 0 }
    }

    /// Takes the next octets of the content: dots unstuffed, CRLF line ends, no bare CR, LF or NUL, without
    /// the final dot.
    ///
    /// # Errors
    /// The answer that refuses the message. Nothing more is written then; the session reads on to the final dot
    /// and sends the answer.
    pub async fn write(&mut self, octets: Bytes) -> Result<(), Answer> {
        self.processed += octets.len();
        match &mut self.stage {
            Stage::Ignored => {}
            Stage::Body => self.body(octets).await?,
            Stage::Header(gathering, check) => {
                let complete = gathering.feed(&octets);
                let gathered = match &complete {
                    Ok(Some((header, _))) => header.len(),
                    _ => gathering.octets(),
                };
                if !self.share.covers(gathered) {
                    tracing::warn!("refused: memory limit for incoming headers reached");
                    return Err(Answer::Unavailable);
                }
                match complete {
                    Ok(None) => {}
                    Ok(Some((header, body))) => {
                        let check = check.take();
                        self.header(header, check).await?;
                        self.body(body).await?;
                    }
                    // What cannot be checked is not taken on.
                    Err(why) if check.is_some() => return Err(Answer::TooLarge(why.to_string())),
                    Err(why) => {
                        self.stage = Stage::Ignored;
                        let taken = self.content.header_too_large(why);
                        self.watched(taken)?;
                    }
                }
            }
        }
        if self.processed >= TURN {
            // A fast client would keep this task running: let others run.
            self.processed = 0;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// The final dot has come: decides, plans and commits; returns the answer to the client.
    pub async fn finish(mut self) -> Answer {
        if let Stage::Header(gathering, check) = &mut self.stage {
            // No empty line came: all of it is header.
            let (header, check) = (gathering.end(), check.take());
            if let Err(answer) = self.header(header, check).await {
                return answer;
            }
        }
        let answer = self.content.finish().await;
        self.watcher.saw(&answer);
        answer
    }

    async fn header(&mut self, header: Bytes, check: Option<HeaderCheck>) -> Result<(), Answer> {
        let header = match check {
            Some(check) => check(header)?,
            None => header,
        };
        self.stage = Stage::Body;
        let taken = self.content.header(header).await;
        self.watched(taken)
    }

    async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
        if octets.is_empty() {
            return Ok(());
        }
        let taken = self.content.body(octets).await;
        self.watched(taken)
    }

    fn watched(&self, taken: Result<(), Answer>) -> Result<(), Answer> {
        if let Err(answer) = &taken {
            self.watcher.saw(answer);
        }
        taken
    }
}
