//! The state machine of one client's session: bytes in, events and replies out.
//!
//! The caller (the *driver*) owns the socket and makes the decisions. It calls [`Session::next`] with what
//! it has read, answers the events that need an answer, and writes [`Session::output`] whenever the
//! session waits for input. The replies to pipelined commands thus leave in one write (RFC 2920 §3.2).
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

/// Longest text of a reply line in octets. RFC 5321 §4.5.3.1.5 allows 512 with the code and CRLF.
const MAX_REPLY_TEXT: usize = 480;

/// The session ends after this many failed AUTH attempts.
const MAX_FAILURES: u32 = 5;

/// Whether the sessions of a listener offer or require STARTTLS (RFC 3207).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartTls {
    /// Not offered.
    #[default]
    Off,
    /// Clients may use it.
    Offered,
    /// Required: MAIL in plain text gets 530 5.7.0.
    Required,
}

/// The settings shared by all sessions of a listener.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our host name, used in the greeting and the reply to EHLO.
    pub hostname: String,
    /// Largest message in octets, announced as SIZE (RFC 1870).
    pub max_size: u64,
    /// How many octets beyond `max_size` are read and discarded while waiting for the final dot, so that
    /// the client gets 552 and not a broken connection.
    pub max_discard: u64,
    /// The session ends with 421 4.7.0 after this many refused commands since the last accepted message.
    pub max_errors: u32,
    /// Whether STARTTLS is offered or required.
    pub starttls: StartTls,
    /// Which AUTH is offered.
    pub auth: Offer,
}

/// Which AUTH mechanisms a session offers. They are offered over TLS only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The mechanisms; if empty, AUTH is not offered.
    pub mechanisms: Mechanisms,
    /// Whether MAIL needs AUTH first; without it, MAIL gets 530 5.7.0.
    pub required: bool,
}

/// A parsed MAIL command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `None` is the null sender.
    pub sender: Option<String>,
    /// Its parameters.
    pub params: MailParams,
}

/// A parsed RCPT command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rcpt {
    /// `None` is `<postmaster>`.
    pub recipient: Option<String>,
    /// Its parameters.
    pub params: RcptParams,
}

/// What the driver has to react to.
#[derive(Clone, Debug)]
pub enum Event {
    /// The input is used up: write the output and read more.
    Wait,
    /// EHLO or HELO. An open transaction was aborted.
    Greeted,
    /// RSET. An open transaction was aborted.
    Reset,
    /// AUTH: call [`Session::accept`] or [`Session::refuse`], or [`Session::keys`] for a lookup.
    Auth(Claim),
    /// STARTTLS: accept (220) or refuse it. After accepting, write the reply, do the handshake and call
    /// [`Session::secure`]. If the buffer still has input that arrived in plain text, close the
    /// connection instead: that input must not be treated as if it had arrived over TLS.
    StartTls,
    /// MAIL: call [`Session::accept`] or [`Session::refuse`].
    Mail(Mail),
    /// RCPT: accept or refuse it.
    Rcpt(Rcpt),
    /// DATA, with at least one recipient: accept (354) or refuse it.
    Data,
    /// The next part of the content.
    Content(Bytes),
    /// The final dot: call [`Session::answer`]. If there is a fault, the message must not be stored.
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

/// The question that the driver has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
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

/// The state machine; see the module documentation.
#[derive(Debug)]
pub struct Session {
    pub(super) options: Arc<Options>,
    pub(super) state: State,
    pub(super) helo: String,
    bare_lf: BareLf,
    lines: Lines,
    pending: Pending,
    errors: u32,
    /// Whether the connection uses TLS.
    pub(super) secured: bool,
    pub(super) authenticated: bool,
    /// Failed AUTH attempts.
    failures: u32,
    output: Vec<u8>,
}

impl Session {
    /// A session for a client that has just connected. Call [`Self::greet`] next.
    pub fn new(options: Arc<Options>, bare_lf: BareLf) -> Self {
        Self {
            options,
            state: State::Connected,
            helo: String::new(),
            bare_lf,
            lines: Lines::new(bare_lf),
            pending: Pending::Nothing,
            errors: 0,
            secured: false,
            authenticated: false,
            failures: 0,
            output: Vec::new(),
        }
    }

    /// Puts the greeting into the output.
    pub fn greet(&mut self) {
        let options = Arc::clone(&self.options);
        self.put("220", &[&options.hostname, " ESMTP Sekisho"]);
    }

    /// Call this after the TLS handshake. It discards all state, because anybody on the network path may
    /// have sent the commands before TLS; the client has to send EHLO again (RFC 3207 §4.2).
    pub fn secure(&mut self) {
        self.secured = true;
        self.authenticated = false;
        self.state = State::Connected;
        self.helo.clear();
        self.lines = Lines::new(self.bare_lf);
        self.pending = Pending::Nothing;
    }

    /// Whether the connection uses TLS.
    pub fn is_secured(&self) -> bool {
        self.secured
    }

    /// The client's name from EHLO or HELO; empty before either.
    pub fn helo(&self) -> &str {
        &self.helo
    }

    /// Whether the session is between the 354 and the final dot.
    pub fn in_content(&self) -> bool {
        matches!(self.state, State::Content(_))
    }

    /// Octets of content read so far in this transaction.
    pub fn content_octets(&self) -> u64 {
        if let State::Content(content) = &self.state { content.octets() } else { 0 }
    }

    /// Replies that have not been written yet.
    pub fn output(&self) -> &[u8] {
        &self.output
    }

    /// Call this when the output was written. It clears the output and frees large buffers.
    pub fn written(&mut self) {
        self.output.clear();
        self.output.shrink_to(256);
    }

    /// Consumes `input` from the front up to the next event and returns that event.
    pub fn next(&mut self, input: &mut BytesMut) -> Event {
        if self.pending != Pending::Nothing {
            // The driver has not answered the last event, but the client needs a reply.
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
                        // some clients send a host name in a legacy charset; the name has no effect, so accept it
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
            // This comes before the check for the end, so that the result does not depend on how the
            // input was split.
            Step::End | Step::More if too_far => {
                let (code, text) = Fault::TooLarge.reply();
                self.close(code, text);
                Event::Close
            }
            Step::End => {
                let fault = content.fault();
                self.state = State::Ready;
                let smuggling = fault.is_some_and(|fault| fault != Fault::TooLarge);
                self.pending = Pending::End { smuggling };
                Event::End(fault)
            }
            Step::More => Event::Wait,
        }
    }

    /// Accepts AUTH (235), MAIL (250), RCPT (250), DATA (354) or STARTTLS (220).
    pub fn accept(&mut self) {
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Mail { utf8 } => {
                self.state = State::Mail { utf8, accepted: false, refused: false };
                self.put("250", &["2.1.0 sender ok"]);
            }
            Pending::Rcpt => {
                if let State::Mail { accepted, .. } = &mut self.state {
                    *accepted = true;
                }
                self.put("250", &["2.1.5 recipient ok"]);
            }
            Pending::Claim | Pending::Token => {
                self.state = State::Ready;
                self.authenticated = true;
                self.put("235", &["2.7.0 authenticated"]);
            }
            // A lookup is answered with keys; it cannot be accepted.
            Pending::Lookup => {
                self.pending = Pending::Lookup;
                self.refuse("454 4.7.0", "not now, try again later");
            }
            Pending::Data => {
                self.state = State::Content(Content::new(self.options.max_size, self.bare_lf));
                self.put("354", &["end with <CR><LF>.<CR><LF>"]);
            }
            Pending::StartTls => self.put("220", &["2.0.0 ready to start TLS"]),
            Pending::Nothing | Pending::End { .. } => {}
        }
    }

    /// Refuses AUTH, MAIL, RCPT, DATA or STARTTLS. `code` is a reply code with an enhanced code.
    pub fn refuse(&mut self, code: &'static str, text: &str) {
        match std::mem::replace(&mut self.pending, Pending::Nothing) {
            Pending::Rcpt => {
                if let State::Mail { refused, .. } = &mut self.state {
                    *refused = true;
                }
            }
            Pending::Token if code == "535 5.7.8" && self.failures + 1 < MAX_FAILURES => {
                self.failures += 1;
                return self.challenge_refused();
            }
            Pending::Claim | Pending::Token | Pending::Lookup => {
                self.state = State::Ready;
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.say(code, text);
                    return self.close("421 4.7.0", "too many failed attempts to authenticate, closing");
                }
            }
            // Refusing DATA ends the transaction.
            Pending::Data => self.state = State::Ready,
            Pending::End { smuggling: true } => {
                // The client may disagree with us about where lines end, and so about what is a
                // command. Nothing after such content is executed.
                self.say(code, text);
                return self.close("421 4.7.0", "closing after content with odd line ends");
            }
            Pending::Nothing | Pending::Mail { .. } | Pending::End { .. } | Pending::StartTls => {}
        }
        self.error(code, text);
    }

    /// Answers the final dot. `code` is a reply code with an enhanced code.
    pub fn answer(&mut self, code: &'static str, text: &str) {
        if code.starts_with('2') {
            self.pending = Pending::Nothing;
            self.errors = 0;
            self.say(code, text);
        } else {
            self.refuse(code, text);
        }
    }

    /// Sends a final reply; the next event is [`Event::Close`].
    pub fn close(&mut self, code: &'static str, text: &str) {
        self.say(code, text);
        self.pending = Pending::Nothing;
        self.state = State::Closed;
    }

    /// Asks the driver to verify a claim.
    pub(super) fn ask_claim(&mut self, claim: Claim) -> Event {
        self.pending = match claim {
            Claim::Lookup { .. } => Pending::Lookup,
            Claim::Token { .. } => Pending::Token,
            Claim::Password { .. } | Claim::Proof { .. } => Pending::Claim,
        };
        Event::Auth(claim)
    }

    /// Notes that the driver has answered.
    pub(super) fn answered(&mut self) {
        self.pending = Pending::Nothing;
    }

    /// Asks the driver about MAIL.
    pub(super) fn ask_mail(&mut self, mail: Mail) -> Event {
        self.pending = Pending::Mail { utf8: mail.params.smtputf8 };
        Event::Mail(mail)
    }

    /// Asks the driver about RCPT.
    pub(super) fn ask_rcpt(&mut self, rcpt: Rcpt) -> Event {
        self.pending = Pending::Rcpt;
        Event::Rcpt(rcpt)
    }

    /// Asks the driver about DATA.
    pub(super) fn ask_data(&mut self) -> Event {
        self.pending = Pending::Data;
        Event::Data
    }

    /// Asks the driver about STARTTLS.
    pub(super) fn ask_starttls(&mut self) -> Event {
        self.pending = Pending::StartTls;
        Event::StartTls
    }

    /// Refuses a command. Permanent refusals (5xx) are counted, and too many of them end the session.
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

    /// Adds a one-line reply. The text may come from anywhere, so it is cut and made printable ASCII.
    pub(super) fn say(&mut self, code: &'static str, text: &str) {
        let printable = |byte: u8| if (32..127).contains(&byte) { byte } else { b'?' };
        self.output.extend_from_slice(code.as_bytes());
        self.output.push(b' ');
        self.output.extend(text.bytes().take(MAX_REPLY_TEXT).map(printable));
        self.output.extend_from_slice(b"\r\n");
    }

    /// Adds a one-line reply with a fixed text.
    pub(super) fn put(&mut self, code: &'static str, text: &[&str]) {
        self.output.extend_from_slice(code.as_bytes());
        self.output.push(b' ');
        for part in text {
            self.output.extend_from_slice(part.as_bytes());
        }
        self.output.extend_from_slice(b"\r\n");
    }

    /// Adds a line of a reply that continues on the next line.
    pub(super) fn put_more(&mut self, code: &'static str, text: &[&str]) {
        let separator = self.output.len() + code.len();
        self.put(code, text);
        self.output[separator] = b'-';
    }
}

/// Whether the line is EHLO or HELO. The name that follows may contain any octets.
fn is_greeting(line: &[u8]) -> bool {
    line.get(..5)
        .is_some_and(|verb| verb.eq_ignore_ascii_case(b"EHLO ") || verb.eq_ignore_ascii_case(b"HELO "))
}
