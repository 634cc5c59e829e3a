//! The addresses that a user may send from: in MAIL FROM, and in the From and Sender fields.

use super::Account;
use crate::message::address::{cross_check, parse_list};
use crate::message::{Address, Header};

/// A set of addresses and whole domains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    addresses: Vec<Address>,
    /// In comparison form.
    domains: Vec<String>,
    anybody: bool,
}

/// Why a message header is refused for its sender; the text of the reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// There is not exactly one From field with exactly one address, or it cannot be parsed reliably.
    #[error("the message must have exactly one From, with exactly one address")]
    NotOne,
    /// A Resent field cannot be parsed reliably.
    #[error("{0} cannot be parsed, so its author cannot be checked")]
    Unreadable(&'static str),
    /// An address that the sender may not use.
    #[error("{field} <{address}> is not an address of yours")]
    NotOwned {
        /// The field: `From`, `Sender`, `Resent-From` or `Resent-Sender`.
        field: &'static str,
        /// The address in it.
        address: Address,
    },
}

impl Senders {
    /// Adds an address, `*@domain`, or `*`.
    ///
    /// # Errors
    /// The pattern is not of these forms. The error is a text for the administrator.
    pub fn add(&mut self, pattern: &str) -> Result<(), String> {
        if pattern == "*" {
            self.anybody = true;
        } else if let Some(domain) = pattern.strip_prefix("*@") {
            let address = Address::parse(&format!("x@{domain}"));
            let address = address.map_err(|_| format!("`{domain}` in `{pattern}` is not a domain"))?;
            self.domains.push(address.domain_key().to_owned());
        } else {
            let address = Address::parse(pattern).map_err(|error| error.to_string())?;
            self.addresses.push(address);
        }
        Ok(())
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: &Self) {
        self.addresses.extend(others.addresses.iter().cloned());
        self.domains.extend(others.domains.iter().cloned());
        self.anybody |= others.anybody;
    }

    /// The set of these patterns.
    ///
    /// # Errors
    /// A pattern is malformed; see [`Self::add`].
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut all = Self::default();
        patterns.into_iter().try_for_each(|pattern| all.add(pattern))?;
        Ok(all)
    }

    /// This set with the addresses of an account added.
    #[must_use]
    pub fn with(&self, account: &Account) -> Self {
        let mut all = self.clone();
        all.addresses.extend(account.addresses.iter().cloned());
        all
    }

    /// Whether the address is in the set.
    pub fn contain(&self, address: &Address) -> bool {
        self.anybody
            || self.addresses.contains(address)
            || self.domains.iter().any(|domain| domain == address.domain_key())
    }

    /// Checks that a message header belongs to a sender with this set: there must be exactly one From with
    /// one address, and the addresses of From and Sender must be in the set (RFC 6409 §6.1).
    ///
    /// # Errors
    /// Why the header does not belong to the sender.
    pub fn own(&self, header: &Header) -> Result<(), Foreign> {
        let from = only(header, "from").ok_or(Foreign::NotOne)?;
        let sender = match header.named("sender").next() {
            Some(_) => only(header, "sender").ok_or(Foreign::NotOne)?,
            None => from.clone(),
        };
        for (field, address) in [("From", from), ("Sender", sender)] {
            if !self.contain(&address) {
                return Err(Foreign::NotOwned { field, address });
            }
        }
        self.resends(header)
    }

    /// Checks the addresses in the most recent Resent fields, which come first (RFC 5322 §3.6.6). Later ones
    /// may belong to others who resent the message before.
    fn resends(&self, header: &Header) -> Result<(), Foreign> {
        for (name, field) in [("resent-from", "Resent-From"), ("resent-sender", "Resent-Sender")] {
            let Some(newest) = header.named(name).next() else { continue };
            let list = parse_list(header.body(newest));
            if !list.problems.is_empty() || list.mailboxes.is_empty() {
                return Err(Foreign::Unreadable(field));
            }
            if let Some(other) = list.mailboxes.into_iter().find(|one| !self.contain(&one.address)) {
                return Err(Foreign::NotOwned { field, address: other.address });
            }
        }
        Ok(())
    }
}

/// The address in the only field of this name; `None` if there is not exactly one.
fn only(header: &Header, name: &str) -> Option<Address> {
    let mut fields = header.named(name);
    let (Some(field), None) = (fields.next(), fields.next()) else { return None };
    let list = parse_list(header.body(field));
    // Some mail programs would show another address: such a From is refused.
    if cross_check(header.body(field), &list).is_some() {
        return None;
    }
    match (list.problems.as_slice(), <[_; 1]>::try_from(list.mailboxes)) {
        ([], Ok([mailbox])) => Some(mailbox.address),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn hanako() -> Senders {
        let account = Account {
            name: "hanako".into(),
            addresses: vec![Address::parse("hanako.sato@example.co.jp").unwrap()],
        };
        Senders::of(["soumu@example.co.jp", "*@press.example.co.jp"]).unwrap().with(&account)
    }

    #[test]
    fn addresses_and_domains() {
        for (address, owned) in [
            ("hanako.sato@example.co.jp", true),
            ("Hanako.Sato@EXAMPLE.co.jp", true),
            ("soumu@example.co.jp", true),
            ("anybody@press.example.co.jp", true),
            ("x@sub.press.example.co.jp", false),
            ("press.example.co.jp@example.com", false),
            ("taro@example.co.jp", false),
            ("hanako.sato@example.com", false),
        ] {
            assert_eq!(hanako().contain(&Address::parse(address).unwrap()), owned, "{address}");
        }
        assert!(Senders::of(["*"]).unwrap().contain(&Address::parse("a@b.test").unwrap()));
        assert!(Senders::of(["*@"]).is_err() && Senders::of(["hanako"]).is_err());
    }

    #[test]
    fn headers() {
        let mine = "From: =?utf-8?B?5L2Q6Jek?= <hanako.sato@example.co.jp>\r\n";
        let cases = [
            (mine.to_owned(), Ok(())),
            ("from:hanako.sato@example.co.jp\r\n".to_owned(), Ok(())),
            ("From: \"taro@example.co.jp\" <hanako.sato@example.co.jp>\r\n".to_owned(), Ok(())),
            ("From: taro@example.co.jp\r\n".to_owned(), Err("From <taro@example.co.jp> is not")),
            (format!("{mine}{mine}"), Err("exactly one")),
            (format!("{mine}From : taro@example.co.jp\r\n"), Err("exactly one")),
            ("From: hanako.sato@example.co.jp, taro@example.co.jp\r\n".to_owned(), Err("exactly one")),
            ("From: <hanako.sato@example.co.jp> <taro@example.co.jp>\r\n".to_owned(), Err("exactly one")),
            ("From: undisclosed:;\r\n".to_owned(), Err("exactly one")),
            ("Subject: x\r\n".to_owned(), Err("exactly one")),
            // ISO-2022-JP can hide an address in quotes from parsers that work on decoded characters.
            (
                "From: \"\x1b$B\" <taro@example.co.jp>, \"\x1b(B\" <hanako.sato@example.co.jp>\r\n"
                    .to_owned(),
                Err("exactly one"),
            ),
            (format!("From: hanako.sato@example.co.jp ({})\r\n", "x".repeat(600_000)), Err("exactly one")),
            (format!("{mine}Sender: soumu@example.co.jp\r\n"), Ok(())),
            (format!("Resent-From: soumu@example.co.jp\r\n{mine}"), Ok(())),
            (format!("Resent-From: taro@example.co.jp\r\n{mine}"), Err("Resent-From <taro@example.co.jp>")),
            (format!("Resent-Sender: taro@example.co.jp\r\n{mine}"), Err("Resent-Sender <taro")),
            (format!("Resent-From: \"\r\n{mine}"), Err("cannot be parsed")),
            (
                format!("Resent-From: soumu@example.co.jp\r\nResent-From: taro@example.co.jp\r\n{mine}"),
                Ok(()),
            ),
            (format!("{mine}Sender: taro@example.co.jp\r\n"), Err("Sender <taro@example.co.jp>")),
            (format!("{mine}Sender: soumu@example.co.jp\r\nSender: x@y.test\r\n"), Err("exactly one")),
        ];
        for (text, expected) in cases {
            let header = Header::parse(Bytes::from(text.clone())).unwrap();
            match (hanako().own(&header), expected) {
                (Ok(()), Ok(())) => {}
                (Err(said), Err(part)) => assert!(said.to_string().contains(part), "{text}: {said}"),
                (said, _) => panic!("{text}: {said:?}"),
            }
        }
    }
}
