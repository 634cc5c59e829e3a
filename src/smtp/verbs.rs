//! The commands, one function each (RFC 5321 §4.1.1).
//!
//! A known command that is not offered gets 502: STARTTLS and AUTH if they are not configured, BDAT
//! because CHUNKING is not advertised.

use super::path::{self, Path};
use super::session::{Event, Mail, Rcpt, Session, StartTls, State};
use super::{content::Fault, params};

/// HTTP methods. A client that sends one is a browser tricked into connecting to us (cross-protocol
/// scripting), so the session is closed.
const HTTP: [&str; 8] = ["GET", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "CONNECT", "PATCH"];
/// SMTP commands that are not offered.
const NOT_OFFERED: [&str; 8] = ["BDAT", "EXPN", "ETRN", "TURN", "SEND", "SOML", "SAML", "XCLIENT"];
/// Longest client name kept, in characters.
const NAME: usize = 255;
/// Used in `Received` fields for a client that gives no name.
const NAMELESS: &str = "unknown";

impl Session {
    /// Executes one command line. `None` if the reply is complete and the driver has nothing to do.
    pub(super) fn command(&mut self, line: &str) -> Option<Event> {
        let (verb, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        let is = |known: &str| verb.eq_ignore_ascii_case(known);
        let argument = rest.trim_matches(' ');
        match () {
            () if is("MAIL") => self.mail(rest),
            () if is("RCPT") => self.rcpt(rest),
            () if is("DATA") => self.data(argument),
            () if is("EHLO") => Some(self.ehlo(argument)),
            () if is("HELO") => Some(self.helo_verb(argument)),
            () if is("AUTH") => self.auth(argument),
            () if is("RSET") => self.rset(argument),
            () if is("NOOP") => self.noop(),
            () if is("VRFY") => self.vrfy(argument),
            () if is("HELP") => self.help(),
            () if is("STARTTLS") => self.starttls(argument),
            () if is("QUIT") => self.quit(argument),
            () if NOT_OFFERED.iter().any(|known| is(known)) => self.not_offered(),
            () if HTTP.iter().any(|known| is(known)) => {
                self.close("554 5.5.1", "this is no web server");
                Some(Event::Close)
            }
            () => self.error("500 5.5.1", "command not known"),
        }
    }

    fn ehlo(&mut self, name: &str) -> Event {
        self.introduce(name);
        let options = std::sync::Arc::clone(&self.options);
        self.put_more("250", &[&options.hostname]);
        self.put_more("250", &["PIPELINING"]);
        self.put_more("250", &["SIZE ", &options.max_size.to_string()]);
        if self.may_secure() {
            self.put_more("250", &["STARTTLS"]);
        }
        for keyword in ["8BITMIME", "SMTPUTF8", "DSN"] {
            self.put_more("250", &[keyword]);
        }
        if let Some(mechanisms) = self.mechanisms() {
            self.put_more("250", &["AUTH", &mechanisms]);
        }
        self.put("250", &["ENHANCEDSTATUSCODES"]);
        Event::Greeted
    }

    fn helo_verb(&mut self, name: &str) -> Event {
        self.introduce(name);
        let options = std::sync::Arc::clone(&self.options);
        self.put("250", &[&options.hostname]);
        Event::Greeted
    }

    /// Stores the client's name from EHLO or HELO. Any name is accepted, because RFC 5321 §4.1.4 forbids
    /// refusing mail for a wrong one. Characters outside printable ASCII become `?`.
    fn introduce(&mut self, name: &str) {
        let name = if name.is_empty() { NAMELESS } else { name };
        let printable = |letter: char| if letter.is_ascii_graphic() { letter } else { '?' };
        self.helo = name.chars().take(NAME).map(printable).collect();
        self.state = State::Ready;
    }

    /// Whether STARTTLS is offered at this point. It is not offered within TLS (RFC 3207 §4.2).
    fn may_secure(&self) -> bool {
        self.options.starttls != StartTls::Off && !self.secured
    }

    fn starttls(&mut self, argument: &str) -> Option<Event> {
        if self.secured {
            return self.error("503 5.5.1", "TLS is in use already");
        }
        if !self.may_secure() {
            return self.not_offered();
        }
        if !argument.is_empty() {
            return self.error("501 5.5.4", "STARTTLS takes no argument");
        }
        Some(self.ask_starttls())
    }

    fn not_offered(&mut self) -> Option<Event> {
        self.error("502 5.5.1", "command not offered here")
    }

    fn mail(&mut self, rest: &str) -> Option<Event> {
        if self.options.starttls == StartTls::Required && !self.secured {
            return self.error("530 5.7.0", "say STARTTLS first: mail is taken through TLS only");
        }
        match self.state {
            State::Ready => {}
            State::Connected => return self.error("503 5.5.1", "say EHLO first"),
            _ => return self.error("503 5.5.1", "a transaction is open already; RSET ends it"),
        }
        if self.options.auth.required && !self.authenticated {
            return self.error("530 5.7.0", "authentication required");
        }
        let Some(text) = after_keyword(rest, "FROM:") else {
            return self.error("501 5.5.2", "the form is MAIL FROM:<address>");
        };
        let (path, rest) = match path::parse(text) {
            Ok(parsed) => parsed,
            Err(why) => return self.error("501 5.1.7", why),
        };
        let params = match params::mail(rest) {
            Ok(params) => params,
            Err((code, why)) => return self.error(code, why),
        };
        let sender = match path {
            Path::Null => None,
            Path::Mailbox(address) => Some(address),
            Path::Postmaster => return self.error("501 5.1.7", "the address has no domain"),
        };
        if !params.smtputf8 && sender.as_ref().is_some_and(|address| !address.is_ascii()) {
            return self.error("553 5.6.7", "an address outside ASCII needs the SMTPUTF8 parameter");
        }
        if params.size.is_some_and(|size| size > self.options.max_size) {
            let (code, text) = Fault::TooLarge.reply();
            return self.error(code, text);
        }
        Some(self.ask_mail(Mail { sender, params }))
    }

    fn rcpt(&mut self, rest: &str) -> Option<Event> {
        let State::Mail { utf8, .. } = self.state else {
            return self.error("503 5.5.1", "say MAIL first");
        };
        let Some(text) = after_keyword(rest, "TO:") else {
            return self.refuse_rcpt("501 5.5.2", "the form is RCPT TO:<address>");
        };
        let (path, rest) = match path::parse(text) {
            Ok(parsed) => parsed,
            Err(why) => return self.refuse_rcpt("501 5.1.3", why),
        };
        let params = match params::rcpt(rest, utf8) {
            Ok(params) => params,
            Err((code, why)) => return self.refuse_rcpt(code, why),
        };
        let recipient = match path {
            Path::Null => return self.refuse_rcpt("501 5.1.3", "nobody can be written to at <>"),
            Path::Mailbox(address) => Some(address),
            Path::Postmaster => None,
        };
        if !utf8 && recipient.as_ref().is_some_and(|address| !address.is_ascii()) {
            return self.refuse_rcpt("553 5.6.7", "an address outside ASCII needs SMTPUTF8 at MAIL");
        }
        Some(self.ask_rcpt(Rcpt { recipient, params }))
    }

    /// Refuses a malformed RCPT. DATA then replies that there are no valid recipients.
    fn refuse_rcpt(&mut self, code: &'static str, why: &str) -> Option<Event> {
        if let State::Mail { refused, .. } = &mut self.state {
            *refused = true;
        }
        self.error(code, why)
    }

    fn data(&mut self, argument: &str) -> Option<Event> {
        match self.state {
            _ if !argument.is_empty() => self.error("501 5.5.4", "DATA takes no argument"),
            State::Mail { accepted: true, .. } => Some(self.ask_data()),
            State::Mail { refused: true, .. } => self.error("554 5.5.1", "no valid recipients"),
            State::Mail { .. } => self.error("503 5.5.1", "say RCPT first"),
            _ => self.error("503 5.5.1", "say MAIL first"),
        }
    }

    fn rset(&mut self, argument: &str) -> Option<Event> {
        if !argument.is_empty() {
            return self.error("501 5.5.4", "RSET takes no argument");
        }
        if matches!(self.state, State::Mail { .. }) {
            self.state = State::Ready;
        }
        self.put("250", &["2.0.0 reset"]);
        Some(Event::Reset)
    }

    fn noop(&mut self) -> Option<Event> {
        self.put("250", &["2.0.0 ok"]);
        None
    }

    fn vrfy(&mut self, argument: &str) -> Option<Event> {
        if argument.is_empty() {
            return self.error("501 5.5.4", "VRFY takes an address");
        }
        self.put("252", &["2.5.0 not verified; mail for it may be accepted"]);
        None
    }

    fn help(&mut self) -> Option<Event> {
        self.put("214", &["2.0.0 EHLO HELO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY HELP QUIT"]);
        None
    }

    fn quit(&mut self, argument: &str) -> Option<Event> {
        if !argument.is_empty() {
            return self.error("501 5.5.4", "QUIT takes no argument");
        }
        self.close("221 2.0.0", "bye");
        Some(Event::Close)
    }
}

/// The text after ` FROM:` or ` TO:`. Spaces after the colon are allowed because many devices send one.
fn after_keyword<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let text = rest.trim_start_matches(' ');
    let (found, path) = text.split_at_checked(keyword.len())?;
    found.eq_ignore_ascii_case(keyword).then(|| path.trim_start_matches(' '))
}
