//! One client's conversation as a state machine: bytes in, events and replies out.
//!
//! The driver owns the socket and the decisions. It calls [`Session::next`] with what it has read,
//! answers the events that ask for an answer, and writes [`Session::output`] whenever the session
//! waits: so the replies to a pipelined group leave in one piece (RFC 2920 §3.2).
//!
//! ```text
//! Connected ─EHLO─▶ Ready ─MAIL─▶ Mail ─DATA─▶ Content ─CRLF.CRLF─▶ Ready
//!                     ▲    RSET, EHLO, answer    │
//!                     └──────────────────────────┘
//! ```

use super::content::{BareLf, Content, Fault, Step};
use super::line::{Found, Lines};
use super::params::{MailParams, RcptParams};
use super::sasl::{Claim, Exchange, Mechanisms};
use bytes::{Buf, Bytes, BytesMut};
use std::sync::Arc;

/// Longest text of one reply line. RFC 5321 §4.5.3.1.5 allows 512 octets with the code and CRLF.
const MAX_REPLY_TEXT: usize = 480;

/// AUTH that fails so often ends the session.
const MAX_FAILURES: u32 = 5;

/// What STARTTLS (RFC 3207) is to the sessions of a listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// Not known here.
    #[default]
    Off,
    /// Clients may use it.
    Offered,
    /// Nothing is sent before it: 530 5.7.0.
    Required,
}

/// What all sessions of a listener have in common.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our name, in the greeting and the reply to EHLO.
    pub hostname: String,
    /// Most octets of one message: SIZE (RFC 1870).
    pub max_size: u64,
    /// How much more than `max_size` is read and thrown away in the hope of the final dot, so that the
    /// client learns 552 and not a broken connection.
    pub max_discard: u64,
    /// Refused commands since the last accepted message, at most; then 421 4.7.0.
    pub max_errors: u32,
    /// Whether a session in plain text may, or must, be secured.
    pub starttls: StartTls,
    /// AUTH.
    pub auth: Offer,
}

/// Which AUTH is offered; over TLS only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// None of them: AUTH is not offered.
    pub mechanisms: Mechanisms,
    /// 530 5.7.0 to MAIL before it.
    pub required: bool,
}

/// MAIL, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `None` is the null sender.
    pub sender: Option<String>,
    /// Its parameters.
    pub params: MailParams,
}

/// RCPT, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// `None` is `<postmaster>`.
    pub recipient: Option<String>,
    /// Its parameters.
    pub params: RcptParams,
}

/// What happened, as far as the driver needs to know.
#[derive(Clone, Debug)]
pub enum Event {
    /// Nothing more to be had from the input: write the output, read more.
    Wait,
    /// EHLO or HELO: greeted. Whatever transaction was open is gone.
    Greeted,
    /// RSET, or the like: whatever transaction was open is gone.
    Reset,
    /// AUTH: [`Session::accept`] or [`Session::refuse`] it; a lookup is answered by [`Session::keys`].
    Auth(Claim),
    /// STARTTLS: accept (220) or refuse it. Accepted: write the reply, shake hands, and say
    /// [`Session::secure`]. Input that came before must not be read as if it had come through TLS: with
    /// any left in the buffer, close.
    StartTls,
    /// MAIL: [`Session::accept`] or [`Session::refuse`] it.
    Mail(Mail),
    /// RCPT: accept or refuse it.
    Rcpt(Rcpt),
    /// DATA, with at least one recipient: accept (354) or refuse it.
    Data,
    /// Content, in order.
    Content(Bytes),
    /// The final dot: [`Session::answer`] it. With a fault nothing may be stored.
    End(Option<Fault>),
    /// Write the output and close.
    Close,
}

#[derive(Debug)]
pub(super) enum State {
    Connected,
    Ready,
    Auth(Exchange),
    Mail { utf8: bool, accepted: bool, refused: bool },
    Content(Content),
    Closed,
}

/// What the driver was asked and has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Lookup,
    Claim,
    Token,
    Mail { utf8: bool },
    Rcpt,
    Data,
    End { smuggling: bool },
    StartTls,
}

/// The state machine.
#[derive(Debug)]
pub struct Session {
    pub(super) options: Arc<Options>,
    pub(super) state: State,
    pub(super) helo: String,
    bare_lf: BareLf,
    lines: Lines,
    asked: Asked,
    errors: u32,
    /// The octets come through TLS.
    pub(super) secured: bool,
    pub(super) authenticated: bool,
    /// AUTH that failed.
    failures: u32,
    output: Vec<u8>,
}

impl Session {
    /// A session whose client has just connected. Nothing is said yet.
    pub fn new(options: Arc<Options>, bare_lf: BareLf) -> Self {
        Self {
            options,
            state: State::Connected,
            helo: String::new(),
            bare_lf,
            lines: Lines::new(bare_lf),
            asked: Asked::Nothing,
            errors: 0,
            secured: false,
            authenticated: false,
            failures: 0,
            output: Vec::new(),
        }
    }

    /// The greeting.
    pub fn greet(&mut self) {
        let options = Arc::clone(&self.options);
        self.put("220", &[&options.hostname, " ESMTP Sekisho"]);
    }

    /// From now on the octets come through TLS. What was said before may have been said by anybody: it
    /// is forgotten, and the client says EHLO again (RFC 3207 §4.2).
    pub fn secure(&mut self) {
        self.secured = true;
        self.authenticated = false;
        self.state = State::Connected;
        self.helo.clear();
        self.lines = Lines::new(self.bare_lf);
        self.asked = Asked::Nothing;
    }

    /// Whether the octets come through TLS.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// What the client calls itself; empty before EHLO or HELO.
    pub fn helo(&self) -> &str {
        &self.helo
    }

    /// Whether content is being read: between the 354 and the final dot.
    pub fn in_content(&self) -> bool {
        matches!(self.state, State::Content(_))
    }

    /// Octets of content read so far in this transaction.
    pub fn content_octets(&self) -> u64 {
        if let State::Content(content) = &self.state { content.octets() } else { 0 }
    }

    /// Replies that are waiting to be written.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// The output is written. Its memory goes back when it is more than a few lines' worth.
    pub fn written(&mut self) {
        self.output.clear();
        self.output.shrink_to(256);
    }

    /// Takes what it can from the front of `input` and says what it means.
    pub fn next(&mut self, input: &mut BytesMut) -> Event {
        if self.asked != Asked::Nothing {
            // The driver has nothing to say: it must not stay unsaid.
            self.refuse("451 4.3.0", "not now, try again later");
        }
        loop {
            match &mut self.state {
                State::Closed => return Event::Close,
                State::Content(_) => return self.content(input),
                State::Connected | State::Ready | State::Auth(_) | State::Mail { .. } => {}
            }
            match self.lines.next(input, self.longest(input)) {
                Found::More => return Event::Wait,
                Found::Skip(length) => input.advance(length),
                Found::Wrong(length, why) => {
                    input.advance(length);
                    self.break_off();
                    self.error("500 5.5.2", why);
                }
                Found::Line(length, ended) => {
                    let line = &input[..length];
                    let event = match std::str::from_utf8(line) {
                        _ if matches!(self.state, State::Auth(_)) => self.response(line),
                        Ok(line) => self.command(line),
                        // a computer named in the letters of its own country: the name decides nothing
                        Err(_) if is_greeting(line) => self.command(&String::from_utf8_lossy(line)),
                        Err(_) => self.error("500 5.5.2", "a command that is not UTF-8"),
                    };
                    input.advance(length + ended);
                    if let Some(event) = event {
                        return event;
                    }
                }
            }
        }
    }

    fn content(&mut self, input: &mut BytesMut) -> Event {
        let State::Content(content) = &mut self.state else { return Event::Wait };
        let step = content.next(input);
        let most = self.options.max_size.saturating_add(self.options.max_discard);
        let too_far = content.octets() > most;
        match step {
            Step::Octets(octets) => Event::Content(octets),
            // Looked at before the end is: how the octets came in pieces must not matter.
            Step::End | Step::More if too_far => {
                let (code, text) = Fault::TooLarge.reply();
                self.close(code, text);
                Event::Close
            }
            Step::End => {
                let fault = content.fault();
                self.state = State::Ready;
                let smuggling = fault.is_some_and(|fault| fault != Fault::TooLarge);
                self.asked = Asked::End { smuggling };
                Event::End(fault)
            }
            Step::More => Event::Wait,
        }
    }

    /// Says yes to AUTH (235), MAIL (250), RCPT (250), DATA (354) or STARTTLS (220).
    pub fn accept(&mut self) {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Mail { utf8 } => {
                self.state = State::Mail { utf8, accepted: false, refused: false };
                self.put("250", &["2.1.0 sender ok"]);
            }
            Asked::Rcpt => {
                if let State::Mail { accepted, .. } = &mut self.state {
                    *accepted = true;
                }
                self.put("250", &["2.1.5 recipient ok"]);
            }
            Asked::Claim | Asked::Token => {
                self.state = State::Ready;
                self.authenticated = true;
                self.put("235", &["2.7.0 authenticated"]);
            }
            // A question that has no yes.
            Asked::Lookup => {
                self.asked = Asked::Lookup;
                self.refuse("454 4.7.0", "not now, try again later");
            }
            Asked::Data => {
                self.state = State::Content(Content::new(self.options.max_size, self.bare_lf));
                self.put("354", &["end with <CR><LF>.<CR><LF>"]);
            }
            Asked::StartTls => self.put("220", &["2.0.0 ready to start TLS"]),
            Asked::Nothing | Asked::End { .. } => {}
        }
    }

    /// Says no to AUTH, MAIL, RCPT or DATA. `code` is a reply code with its enhanced code.
    pub fn refuse(&mut self, code: &'static str, text: &str) {
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Rcpt => {
                if let State::Mail { refused, .. } = &mut self.state {
                    *refused = true;
                }
            }
            Asked::Token if code == "535 5.7.8" && self.failures + 1 < MAX_FAILURES => {
                self.failures += 1;
                return self.challenge_refused();
            }
            Asked::Claim | Asked::Token | Asked::Lookup => {
                self.state = State::Ready;
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.say(code, text);
                    return self.close("421 4.7.0", "too many failed attempts to authenticate, closing");
                }
            }
            // A transaction that may not have content is over.
            Asked::Data => self.state = State::Ready,
            Asked::End { smuggling: true } => {
                // Somebody upstream of us may see other line ends, and so other commands, than we do:
                // nothing that follows such content is carried out.
                self.say(code, text);
                return self.close("421 4.7.0", "closing after content with odd line ends");
            }
            Asked::Nothing | Asked::Mail { .. } | Asked::End { .. } | Asked::StartTls => {}
        }
        self.error(code, text);
    }

    /// The reply to the final dot.
    pub fn answer(&mut self, code: &'static str, text: &str) {
        if code.starts_with('2') {
            self.asked = Asked::Nothing;
            self.errors = 0;
            self.say(code, text);
        } else {
            self.refuse(code, text);
        }
    }

    /// Last words: the reply, then [`Event::Close`].
    pub fn close(&mut self, code: &'static str, text: &str) {
        self.say(code, text);
        self.asked = Asked::Nothing;
        self.state = State::Closed;
    }

    /// Asks the driver about what a client claims to be.
    pub(super) fn ask_claim(&mut self, claim: Claim) -> Event {
        self.asked = match claim {
            Claim::Lookup { .. } => Asked::Lookup,
            Claim::Token { .. } => Asked::Token,
            Claim::Password { .. } | Claim::Proof { .. } => Asked::Claim,
        };
        Event::Auth(claim)
    }

    /// What was asked is answered by a question of our own.
    pub(super) fn answered(&mut self) {
        self.asked = Asked::Nothing;
    }

    /// Asks the driver about MAIL.
    pub(super) fn ask_mail(&mut self, mail: Mail) -> Event {
        self.asked = Asked::Mail { utf8: mail.params.smtputf8 };
        Event::Mail(mail)
    }

    /// Asks the driver about RCPT.
    pub(super) fn ask_rcpt(&mut self, rcpt: Rcpt) -> Event {
        self.asked = Asked::Rcpt;
        Event::Rcpt(rcpt)
    }

    /// Asks the driver about DATA.
    pub(super) fn ask_data(&mut self) -> Event {
        self.asked = Asked::Data;
        Event::Data
    }

    /// Asks the driver about STARTTLS.
    pub(super) fn ask_starttls(&mut self) -> Event {
        self.asked = Asked::StartTls;
        Event::StartTls
    }

    /// A refused command: counted when it is a permanent refusal, and too many of them end the session.
    pub(super) fn error(&mut self, code: &'static str, text: &str) -> Option<Event> {
        self.say(code, text);
        if code.starts_with('5') {
            self.errors += 1;
            if self.errors >= self.options.max_errors {
                self.close("421 4.7.0", "too many errors, closing");
                return Some(Event::Close);
            }
        }
        None
    }

    /// One line of reply. The text is made printable ASCII and short: it may come from anywhere.
    pub(super) fn say(&mut self, code: &'static str, text: &str) {
        let printable = |byte: u8| if (32..127).contains(&byte) { byte } else { b'?' };
        self.output.extend_from_slice(code.as_bytes());
        self.output.push(b' ');
        self.output.extend(text.bytes().take(MAX_REPLY_TEXT).map(printable));
        self.output.extend_from_slice(b"\r\n");
    }

    /// A reply of our own words.
    pub(super) fn put(&mut self, code: &'static str, text: &[&str]) {
        self.output.extend_from_slice(code.as_bytes());
        self.output.push(b' ');
        for part in text {
            self.output.extend_from_slice(part.as_bytes());
        }
        self.output.extend_from_slice(b"\r\n");
    }

    /// A line of a reply that goes on.
    pub(super) fn put_more(&mut self, code: &'static str, text: &[&str]) {
        let separator = self.output.len() + code.len();
        self.put(code, text);
        self.output[separator] = b'-';
    }
}

/// Whether the line is EHLO or HELO, whatever the octets of the name behind it.
fn is_greeting(line: &[u8]) -> bool {
    line.get(..5)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO ") || verb.eq_ignore_ascii_case(b"HELO "))
}
