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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::Id;
    use crate::message::gathering::MAX_HEADER;
    use std::sync::Mutex;

    /// What came of a reception: header and body that the content got, and the answers that were seen.
    #[derive(Default)]
    struct Log {
        header: Option<Vec<u8>>,
        body: Vec<u8>,
        seen: Vec<Answer>,
    }

    struct Recorder {
        log: Arc<Mutex<Log>>,
        /// A header that is too large is taken on all the same, as of a journal copy.
        lenient: bool,
    }

    #[async_trait]
    impl Content for Recorder {
        async fn header(&mut self, header: Bytes) -> Result<(), Answer> {
            if header.starts_with(b"Loop") {
                return Err(Answer::Loop("again".to_owned()));
            }
            let before = self.log.lock().unwrap().header.replace(header.to_vec());
            assert!(before.is_none(), "a header comes once");
            Ok(())
        }

        fn header_too_large(&mut self, why: HeaderTooLarge) -> Result<(), Answer> {
            if self.lenient { Ok(()) } else { Err(Answer::TooLarge(why.to_string())) }
        }

        async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
            let mut log = self.log.lock().unwrap();
            assert!(log.header.is_some(), "the header comes first");
            log.body.extend_from_slice(&octets);
            Ok(())
        }

        async fn finish(self: Box<Self>) -> Answer {
            Answer::Queued(Id::new(Timestamp(0), 0))
        }
    }

    impl Watcher for Mutex<Log> {
        fn saw(&self, answer: &Answer) {
            self.lock().unwrap().seen.push(answer.clone());
        }
    }

    /// Sends a message in pieces; returns the answer and what came of it.
    async fn taken(message: &[u8], size: usize, check: Option<HeaderCheck>, lenient: bool) -> (Answer, Log) {
        let log = Arc::new(Mutex::new(Log::default()));
        let content = Recorder { log: Arc::clone(&log), lenient };
        let mut reception = Reception::new(Box::new(content), check, log.clone());
        for piece in message.chunks(size) {
            if let Err(answer) = reception.write(Bytes::copy_from_slice(piece)).await {
                return (answer, std::mem::take(&mut *log.lock().unwrap()));
            }
        }
        let answer = reception.finish().await;
        let log = std::mem::take(&mut *log.lock().unwrap());
        (answer, log)
    }

    #[tokio::test]
    async fn header_and_body_come_apart_however_they_arrive() {
        for (message, header, body) in [
            (&b"A: 1\r\nB: 2\r\n\r\nC: 3\r\n\r\n"[..], &b"A: 1\r\nB: 2\r\n"[..], &b"\r\nC: 3\r\n\r\n"[..]),
            (b"\r\nA: 1\r\n", b"", b"\r\nA: 1\r\n"),
            (b"A: 1\r\n", b"A: 1\r\n", b""),
            (b"", b"", b""),
        ] {
            for size in [1, 3, 64] {
                let (answer, log) = taken(message, size, None, false).await;
                assert_eq!((log.header.as_deref(), &log.body[..]), (Some(header), body));
                assert_eq!(log.seen, [answer], "it is told of the answer, once");
            }
        }
    }

    #[tokio::test]
    async fn nothing_is_kept_of_what_a_check_refuses() {
        let no = || -> Option<HeaderCheck> { Some(Box::new(|_| Err(Answer::Rejected("no".to_owned())))) };
        for message in [&b"A: 1\r\n\r\nbody\r\n"[..], b"A: 1\r\n"] {
            let (answer, log) = taken(message, 4, no(), false).await;
            assert_eq!(answer, Answer::Rejected("no".to_owned()));
            assert!(log.header.is_none() && log.body.is_empty() && log.seen.is_empty());
        }
        let strips = Some(Box::new(|_| Ok(Bytes::from_static(b"B: 2\r\n"))) as HeaderCheck);
        let (_, log) = taken(b"A: 1\r\n\r\nbody\r\n", 4, strips, false).await;
        assert_eq!((log.header.as_deref(), &log.body[..]), (Some(&b"B: 2\r\n"[..]), &b"\r\nbody\r\n"[..]));
        let (answer, log) = taken(b"Loop: 1\r\n\r\nbody\r\n", 4, None, false).await;
        assert_eq!(log.seen, [answer]);
    }

    #[tokio::test]
    async fn a_header_over_its_limit_is_refused_unless_nobody_checks_and_the_content_takes_it() {
        let message = vec![b'x'; MAX_HEADER + 1];
        let yes = || -> Option<HeaderCheck> { Some(Box::new(Ok)) };
        for (check, lenient, refused) in
            [(None, false, true), (None, true, false), (yes(), false, true), (yes(), true, true)]
        {
            let (answer, log) = taken(&message, 65_536, check, lenient).await;
            assert_eq!(matches!(answer, Answer::TooLarge(_)), refused, "{answer:?}");
            assert!(log.header.is_none() && log.body.is_empty());
        }
    }
}
