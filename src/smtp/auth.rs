//! AUTH in a session (RFC 4954). Offered over TLS only; the client can cancel it with `*`.

use super::line;
use super::sasl::scram::Keys;
use super::sasl::{self, Exchange, Mechanism, Step};
use super::session::{Event, Session, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

impl Session {
    /// Whether the client has authenticated.
    pub fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// The mechanisms for the AUTH line of the EHLO reply, each preceded by a space. `None` if AUTH is not
    /// offered at this point.
    pub(super) fn mechanisms(&self) -> Option<String> {
        let offered = self.options.auth.mechanisms;
        let now = self.secured && !offered.is_empty();
        now.then(|| offered.iter().flat_map(|mechanism| [" ", mechanism.name()]).collect())
    }

    /// The longest line accepted at this point, in octets. AUTH and its exchange get a higher limit than
    /// other commands because tokens are long.
    pub(super) fn longest(&self, input: &[u8]) -> usize {
        let verb = input.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        let exchange = matches!(self.state, State::Auth(_));
        if exchange || (verb && self.mechanisms().is_some()) { sasl::MAX_LINE } else { line::MAX_LINE }
    }

    /// Aborts a running exchange, because a line of it could not be read.
    pub(super) fn break_off(&mut self) {
        if matches!(self.state, State::Auth(_)) {
            self.state = State::Ready;
        }
    }

    pub(super) fn auth(&mut self, argument: &str) -> Option<Event> {
        if self.options.auth.mechanisms.is_empty() {
            return self.error("502 5.5.1", "command not offered here");
        }
        match self.state {
            State::Ready => {}
            State::Connected => return self.error("503 5.5.1", "say EHLO first"),
            _ => return self.error("503 5.5.1", "AUTH has no place in a transaction"),
        }
        if self.authenticated {
            return self.error("503 5.5.1", "authenticated already");
        }
        let (name, initial) = match argument.split_once(' ') {
            Some((name, initial)) => (name, Some(initial.trim_matches(' '))),
            None => (argument, None),
        };
        if name.is_empty() {
            return self.error("501 5.5.4", "AUTH takes a mechanism");
        }
        let known = Mechanism::named(name).filter(|known| self.options.auth.mechanisms.contains(*known));
        let Some(mechanism) = known else {
            return self.error("504 5.5.4", "that mechanism is not offered here");
        };
        if !self.secured {
            return self.error("538 5.7.11", "encryption required: begin TLS first");
        }
        let exchange = Exchange::new(mechanism);
        match initial {
            None => {
                let opening = BASE64.encode(exchange.opening());
                self.state = State::Auth(exchange);
                self.put("334", &[&opening]);
                None
            }
            // `=` stands for an empty initial response (RFC 4954 §4).
            Some("=") => {
                self.state = State::Auth(exchange);
                self.step(&[])
            }
            Some(initial) => {
                self.state = State::Auth(exchange);
                self.response(initial.as_bytes())
            }
        }
    }

    /// Handles one line of an exchange: the client's response in base64, or `*` to cancel.
    pub(super) fn response(&mut self, line: &[u8]) -> Option<Event> {
        if line == b"*" {
            self.state = State::Ready;
            return self.error("501 5.7.0", "authentication cancelled");
        }
        if let Ok(response) = BASE64.decode(line) {
            self.step(&response)
        } else {
            self.state = State::Ready;
            self.error("501 5.5.2", "the response is not in base64")
        }
    }

    fn step(&mut self, response: &[u8]) -> Option<Event> {
        let State::Auth(exchange) = &mut self.state else { return None };
        match exchange.step(response) {
            Step::Challenge(challenge) => {
                self.put("334", &[&BASE64.encode(challenge)]);
                None
            }
            Step::Claim(claim) => Some(self.ask_claim(claim)),
            Step::Wrong(code, why) => {
                self.state = State::Ready;
                self.error(code, why)
            }
        }
    }

    /// Begins the refusal of a token. It takes two steps: the server sends the error as a challenge, and
    /// fails the exchange after the client's response (RFC 7628 §3.2.3).
    pub(super) fn challenge_refused(&mut self) {
        self.state = State::Auth(Exchange::Refused);
        self.put("334", &[&BASE64.encode(sasl::INVALID_TOKEN)]);
    }

    /// Answers [`Claim::Lookup`]. `keys` belong to the user, or are made up if there is no such user.
    /// `nonce` is the server's part of the nonce: printable ASCII without a comma (RFC 5802 §5.1).
    pub fn keys(&mut self, keys: Keys, nonce: &str) {
        let State::Auth(exchange) = &mut self.state else { return };
        match exchange.keys(keys, nonce) {
            Some(challenge) => {
                self.answered();
                self.put("334", &[&BASE64.encode(challenge)]);
            }
            None => self.refuse("454 4.7.0", "not now, try again later"),
        }
    }
}
