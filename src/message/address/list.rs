//! Address fields: finds every mailbox, and reports every problem.
//!
//! The tokens of a field are gathered element by element, up to a comma or a semicolon (Outlook users type
//! those, and other programs write them), and then each element is parsed. Everything with an `@` is tried as
//! an address, even if the element makes no sense: a problem only holds the message, but a lost mailbox would
//! expose somebody.

use super::lex::{Kind, Lexer, Token};
use super::name::Name;
use super::{Address, AddressList, AddressProblem, Mailbox, printable};

/// Maximum number of mailboxes of one field. Beyond that the rest is not read, and the message is held.
pub(super) const MAX_MAILBOXES: usize = 10_000;
/// Maximum number of tokens of one element; names have some dozens. A longer element is read in pieces, with
/// a problem.
const MAX_TOKENS: usize = 10_000;
/// Maximum number of problems reported for one field.
const MAX_PROBLEMS: usize = 20;

/// Parses the body of an address field (RFC 5322 §3.4, with the obsolete forms of §4.4; RFC 6854; RFC 6532),
/// folding included. It never loses a mailbox: what cannot be parsed becomes a problem. A semicolon outside a
/// group separates mailboxes like a comma, and is not a problem.
pub fn parse_list(body: &[u8]) -> AddressList {
    let mut reader = Reader { body, list: AddressList::default(), element: Vec::new(), group: None };
    let mut lexer = Lexer::new(body);
    let mut angle = Angle::Outside;
    for token in lexer.by_ref() {
        angle = reader.take(token, angle);
        if reader.element.len() > MAX_TOKENS {
            reader.problem(0, "an address or name is too long to be read reliably");
            reader.element_ends();
        }
        if reader.list.mailboxes.len() > MAX_MAILBOXES {
            break;
        }
    }
    reader.element_ends();
    if let Some((at, true)) = reader.group {
        reader.problem(at, "a group is never closed");
    }
    if let Some(at) = lexer.deep_comment {
        reader.problem(at, "comments are nested too deep");
    }
    if reader.list.mailboxes.len() > MAX_MAILBOXES {
        reader.list.mailboxes.truncate(MAX_MAILBOXES);
        reader.list.problems.truncate(MAX_PROBLEMS - 1);
        reader.problem(0, "the field holds more mailboxes than are read");
    }
    reader.list
}

/// The state of the parser with respect to angle brackets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Angle {
    Outside,
    /// Just after `<`.
    Opened,
    /// Within `<@a,@b:c@d>`, before the colon: commas separate hosts here.
    Route,
    Inside,
}

struct Reader<'a> {
    body: &'a [u8],
    list: AddressList,
    /// The tokens of the current element.
    element: Vec<Token>,
    /// The open group: the position of its colon, and whether it has a mailbox.
    group: Option<(usize, bool)>,
}

impl Reader<'_> {
    /// Handles a token; returns the state after it.
    fn take(&mut self, token: Token, angle: Angle) -> Angle {
        let Kind::Special(byte) = token.kind else {
            self.element.push(token);
            return if angle == Angle::Opened { Angle::Inside } else { angle };
        };
        let next = match (byte, angle) {
            (b'<', _) => Angle::Opened,
            (b'>', _) => Angle::Outside,
            (b'@', Angle::Opened) | (b',', Angle::Route) => Angle::Route,
            (b':', Angle::Outside) => {
                self.group_begins(token.span.start);
                return Angle::Outside;
            }
            (b',' | b';', _) => {
                self.element_ends();
                if byte == b';' {
                    self.group = None;
                }
                return Angle::Outside;
            }
            (b':', Angle::Route) | (_, Angle::Opened) => Angle::Inside,
            (_, other) => other,
        };
        self.element.push(token);
        next
    }

    /// A colon: the tokens before it are the name of the group.
    fn group_begins(&mut self, at: usize) {
        if self.element.iter().any(|token| self.body[token.span.clone()].contains(&b'@')) {
            self.problem(at, "an address stands where a group's name belongs");
            self.element_ends();
        }
        if self.group.is_some() {
            self.problem(at, "a group within a group");
        }
        self.element.clear();
        self.group = Some((at, false));
    }

    /// A comma, a semicolon or the end: parses the current element.
    fn element_ends(&mut self) {
        let tokens = std::mem::take(&mut self.element);
        if !tokens.is_empty() {
            let before = self.list.mailboxes.len();
            self.read_element(&tokens);
            if let (Some((_, filled)), true) = (&mut self.group, self.list.mailboxes.len() > before) {
                *filled = true;
            }
        }
        self.element = tokens;
        self.element.clear();
    }

    fn read_element(&mut self, tokens: &[Token]) {
        for token in tokens {
            if let Kind::Junk(why) = token.kind {
                self.problem(token.span.start, why);
            }
        }
        let open = tokens.iter().position(|token| token.kind == Kind::Special(b'<'));
        let read = match open {
            None => self.bare(tokens),
            Some(open) => self.bracketed(tokens, open),
        };
        if let Err(why) = read {
            let at = tokens.first().map_or(0, |token| token.span.start);
            self.problem(at, why);
            self.salvage(tokens);
        }
    }

    /// An element without angle brackets: only an address.
    fn bare(&mut self, tokens: &[Token]) -> Result<(), &'static str> {
        if !tokens.iter().any(|token| token.kind == Kind::Special(b'@')) {
            return Err("no address in it");
        }
        let address = self.address(tokens)?;
        let raw = address.as_str().as_bytes().to_vec();
        self.list.mailboxes.push(Mailbox { address, name: None, raw, name_is_safe: true });
        Ok(())
    }

    /// An element with angle brackets: a name if there is one, then `<address>`.
    fn bracketed(&mut self, tokens: &[Token], open: usize) -> Result<(), &'static str> {
        let (words, rest) = tokens.split_at(open);
        let close = rest.iter().position(|token| token.kind == Kind::Special(b'>'));
        let close = close.ok_or("an angle bracket is never closed")?;
        if close + 1 < rest.len() {
            return Err("something stands after the address");
        }
        if close == 1 {
            return Err("nothing stands between the angle brackets");
        }
        let address = self.address(without_route(&rest[1..close])?)?;
        if words.iter().any(|token| token.kind == Kind::Special(b'@')) {
            // Some clients write the address itself as the name, unquoted.
            let named = self.text(words).map_err(|_| "an unquoted name contains an address")?;
            // Outlook puts it between apostrophes.
            let named = named.trim_matches('\'');
            if Address::parse(named).as_ref() != Ok(&address) {
                return Err("two addresses stand in one place");
            }
        }
        if words.iter().any(|token| matches!(token.kind, Kind::Special(byte) if byte != b'@')) {
            return Err("an unquoted name contains a bracket");
        }
        let name = Name::read(self.body, words);
        let name_is_safe = name.as_ref().is_none_or(|name| name.is_safe_for(&address));
        let mut raw = Vec::new();
        if let Some(name) = &name {
            raw.extend_from_slice(&name.raw);
            raw.push(b' ');
        }
        raw.push(b'<');
        raw.extend_from_slice(address.as_str().as_bytes());
        raw.push(b'>');
        let name = name.map(|name| name.text).filter(|text| !text.is_empty());
        self.list.mailboxes.push(Mailbox { address, name, raw, name_is_safe });
        Ok(())
    }

    /// Parses exactly one address from all of these tokens. White space is allowed only around `@` and dots
    /// (obsolete syntax, RFC 5322 §4.4).
    fn address(&self, tokens: &[Token]) -> Result<Address, &'static str> {
        Address::parse(&self.text(tokens)?).map_err(|error| error.why)
    }

    /// The tokens of one address, joined.
    fn text(&self, tokens: &[Token]) -> Result<String, &'static str> {
        let mut text = Vec::new();
        for (index, token) in tokens.iter().enumerate() {
            let bytes = &self.body[token.span.clone()];
            if index > 0 && token.spaced && !is_joint(text.last()) && !is_joint(bytes.first()) {
                return Err("more than an address, without angle brackets or quotes");
            }
            match token.kind {
                Kind::Junk(why) => return Err(why),
                Kind::Special(byte) if byte != b'@' => return Err("a character that no address has"),
                Kind::Quoted => text.extend(bytes.iter().filter(|byte| !matches!(byte, b'\r' | b'\n'))),
                _ => text.extend_from_slice(bytes),
            }
        }
        String::from_utf8(text).map_err(|_| "an address with bytes that are not UTF-8")
    }

    /// Tries the tokens around every `@` as an address and counts what is found, so that a message with a
    /// problem still shows everybody it may reach.
    fn salvage(&mut self, tokens: &[Token]) {
        let ats = tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Special(b'@'));
        for (at, _) in ats {
            if self.list.mailboxes.len() > MAX_MAILBOXES {
                return;
            }
            let first = (0..at).rev().take(20).take_while(|index| joins(self.body, tokens, *index)).last();
            let last = (at + 1..tokens.len())
                .take(20)
                .take_while(|index| joins_back(self.body, tokens, *index))
                .last();
            let (Some(first), Some(last)) = (first, last) else { continue };
            if let Ok(address) = self.address(&tokens[first..=last]) {
                let raw = address.as_str().as_bytes().to_vec();
                self.list.mailboxes.push(Mailbox { address, name: None, raw, name_is_safe: true });
            }
        }
    }

    fn problem(&mut self, at: usize, why: &str) {
        if self.list.problems.len() >= MAX_PROBLEMS {
            return;
        }
        let excerpt = &self.body[at.min(self.body.len())..self.body.len().min(at + 120)];
        let excerpt: String = printable(&String::from_utf8_lossy(excerpt)).chars().take(30).collect();
        self.list.problems.push(AddressProblem { at, excerpt, why: why.to_owned() });
    }
}

/// What is left of `@a,@b:c@d` without its source route, which is ignored (RFC 5321 §4.1.1.3).
fn without_route(tokens: &[Token]) -> Result<&[Token], &'static str> {
    if tokens.first().map(|token| token.kind) != Some(Kind::Special(b'@')) {
        return Ok(tokens);
    }
    let colon = tokens.iter().position(|token| token.kind == Kind::Special(b':'));
    colon.map(|colon| &tokens[colon + 1..]).ok_or("a route without an address")
}

fn is_joint(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b'.' | b'@'))
}

/// Whether the token at `index` belongs to the local part of the `@` after it.
fn joins(body: &[u8], tokens: &[Token], index: usize) -> bool {
    let Some(next) = tokens.get(index + 1) else { return false };
    let near = !next.spaced
        || is_joint(body.get(next.span.start))
        || is_joint(body[tokens[index].span.clone()].last());
    near && matches!(tokens[index].kind, Kind::Atom | Kind::Quoted)
}

/// Whether the token at `index` belongs to the domain of the `@` before it.
fn joins_back(body: &[u8], tokens: &[Token], index: usize) -> bool {
    let near = !tokens[index].spaced
        || is_joint(body.get(tokens[index].span.start))
        || is_joint(body[tokens[index - 1].span.clone()].last());
    near && matches!(tokens[index].kind, Kind::Atom | Kind::Literal)
}
