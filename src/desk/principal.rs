//! Who asks something of the desk: their addresses, their roles, and how they came to be known.
//!
//! What a person may see and do is decided here and nowhere else, so that every surface (pages, links,
//! API, command line) gives the same answer.

use super::wish::How;
use crate::message::address::parse_list;
use crate::message::{Address, Header};
use crate::store::{HoldKind, Origin, StoredMessage};
use serde::{Deserialize, Serialize};

/// Somebody, as far as the desk knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// What the record calls them: a login, an address, or the operating system's user.
    pub name: String,
    /// Their own addresses: whose mail is their own.
    pub addresses: Vec<Address>,
    /// What they may be beyond a sender of their own mail.
    pub roles: Roles,
    /// How they came to be known.
    pub via: Via,
}

/// What somebody may be beyond a sender of their own mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// Decides on what is assigned to one of their addresses.
    pub approver: bool,
    /// Sees everything but contents; decides nothing.
    pub auditor: bool,
    /// Sees and does everything.
    pub admin: bool,
}

impl Roles {
    /// What either gives.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            approver: self.approver || other.approver,
            auditor: self.auditor || other.auditor,
            admin: self.admin || other.admin,
        }
    }
}

/// How somebody came to be known. A link may be followed by a mail scanner: it never discloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A link in a mail.
    Link,
    /// A login.
    Login,
    /// A login by a code that was mailed, where there is a better way in: it discloses nothing.
    Mailbox,
    /// A token of the API.
    Token,
    /// The command line on this machine.
    Console,
}

/// A held message, as far as it bears on who may see and decide it.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    /// Why it is held.
    pub kind: HoldKind,
    /// Whose it is: MAIL FROM, every From, and the address of who was authenticated.
    pub senders: &'a [Address],
    /// Who was asked to decide.
    pub approvers: &'a [Address],
}

/// What [`Standing`] borrows, taken from a message that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Why it is held; `Rule`, which allows the sender nothing but to take it back, where it is not.
    pub kind: HoldKind,
    /// MAIL FROM, every From, and the address of who was authenticated.
    pub senders: Vec<Address>,
    /// Who was asked to decide.
    pub approvers: Vec<Address>,
}

impl Whose {
    /// Of this message.
    pub fn of(message: &StoredMessage) -> Self {
        let mut senders: Vec<Address> = message.envelope.sender.iter().cloned().collect();
        if let Ok(header) = Header::parse(message.header.clone()) {
            let fields = header.named("from").flat_map(|field| parse_list(header.body(field)).mailboxes);
            senders.extend(fields.map(|mailbox| mailbox.address));
        }
        if let Origin::Client { identity: Some(identity), .. } = &message.origin {
            senders.extend(Address::parse(identity).ok());
        }
        let held = message.held.as_ref();
        let approvers = held.map(|held| held.approvers.as_slice()).unwrap_or_default();
        Self {
            kind: held.map_or(HoldKind::Rule, |held| held.kind),
            senders,
            approvers: approvers.iter().filter_map(|text| Address::parse(text).ok()).collect(),
        }
    }

    /// As it is asked about.
    pub fn standing(&self) -> Standing<'_> {
        Standing { kind: self.kind, senders: &self.senders, approvers: &self.approvers }
    }
}

impl Principal {
    /// The administrator on the command line of this machine.
    pub fn console(user: &str) -> Self {
        Self {
            name: user.to_owned(),
            addresses: Vec::new(),
            roles: Roles { admin: true, ..Roles::default() },
            via: Via::Console,
        }
    }

    /// Whoever follows a link that was sent to this address.
    pub fn by_link(address: &Address) -> Self {
        Self {
            name: address.to_string(),
            addresses: vec![address.clone()],
            roles: Roles::default(),
            via: Via::Link,
        }
    }

    /// Whoever follows a link that was sent to this address, as one of those who decide: they have its mailbox,
    /// as who signs in with a code that was mailed; and it shows nobody to anybody.
    pub fn approver_by_link(address: &Address) -> Self {
        let roles = Roles { approver: true, ..Roles::default() };
        Self { roles, via: Via::Mailbox, ..Self::by_link(address) }
    }

    /// Whether one of these addresses is theirs.
    pub fn is_one_of(&self, addresses: &[Address]) -> bool {
        self.addresses.iter().any(|own| addresses.iter().any(|other| other.key() == own.key()))
    }

    /// It is their own mail.
    pub fn sent(&self, what: &Standing<'_>) -> bool {
        self.is_one_of(what.senders)
    }

    /// They were asked to decide, or decide on everything.
    pub fn decides(&self, what: &Standing<'_>) -> bool {
        self.roles.admin || (self.roles.approver && self.is_one_of(what.approvers))
    }

    /// Whether they may know that it exists. To everybody else it does not (404).
    pub fn may_see(&self, what: &Standing<'_>) -> bool {
        self.roles.auditor || self.sent(what) || self.decides(what)
    }

    /// Whether they may read what is written in it.
    pub fn may_read(&self, what: &Standing<'_>) -> bool {
        self.sent(what) || self.decides(what)
    }

    /// Whether they may release it in this way. What discloses, and what an approver was asked about,
    /// takes another person than the sender, and more than a link.
    pub fn may_release(&self, what: &Standing<'_>, how: How, drops: bool) -> bool {
        let safe = what.kind == HoldKind::Ask && how == How::Split && !drops;
        let weak = self.via == Via::Link || (self.via == Via::Mailbox && how == How::AsIs);
        let another = self.via == Via::Console || (!weak && self.decides(what) && !self.sent(what));
        another || (safe && (self.sent(what) || (self.decides(what) && self.via != Via::Link)))
    }

    /// Whether they may take it back (the sender) or give it back (who decides).
    pub fn may_return(&self, what: &Standing<'_>) -> bool {
        self.sent(what) || (self.decides(what) && self.via != Via::Link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    fn person(at: &str, roles: Roles, via: Via) -> Principal {
        Principal { name: at.to_owned(), addresses: vec![address(at)], roles, via }
    }

    const APPROVER: Roles = Roles { approver: true, auditor: false, admin: false };
    const AUDITOR: Roles = Roles { approver: false, auditor: true, admin: false };
    const ADMIN: Roles = Roles { approver: false, auditor: false, admin: true };

    #[test]
    fn who_may_release_what() {
        let (senders, approvers) = ([address("sato@example.jp")], [address("soumu@example.jp")]);
        let people = [
            (person("sato@example.jp", Roles::default(), Via::Link), "sender by link"),
            (person("SATO@example.jp", Roles::default(), Via::Login), "sender"),
            (person("sato@example.jp", ADMIN, Via::Login), "sender who is admin"),
            (person("soumu@example.jp", APPROVER, Via::Login), "approver"),
            (person("soumu@example.jp", APPROVER, Via::Link), "approver by link"),
            (person("soumu@example.jp", APPROVER, Via::Mailbox), "approver by mailbox"),
            (person("other@example.jp", APPROVER, Via::Login), "another's approver"),
            (person("audit@example.jp", AUDITOR, Via::Login), "auditor"),
            (person("boss@example.jp", ADMIN, Via::Login), "admin"),
            (Principal::console("root"), "console"),
        ];
        for kind in [HoldKind::Ask, HoldKind::Rule, HoldKind::Unsafe] {
            let what = Standing { kind, senders: &senders, approvers: &approvers };
            for how in [How::Split, How::Bcc, How::AsIs] {
                for drops in [false, true] {
                    let safe = kind == HoldKind::Ask && how == How::Split && !drops;
                    for (who, name) in &people {
                        let expected = match *name {
                            "approver" | "admin" | "console" => true,
                            "approver by mailbox" => how != How::AsIs,
                            "sender by link" | "sender" | "sender who is admin" => safe,
                            _ => false,
                        };
                        assert_eq!(
                            who.may_release(&what, how, drops),
                            expected,
                            "{name} {kind:?} {how} {drops}"
                        );
                    }
                }
            }
            for (who, name) in &people {
                let stranger = *name == "another's approver";
                assert_eq!(who.may_see(&what), !stranger, "{name}");
                assert_eq!(who.may_read(&what), !stranger && *name != "auditor", "{name}");
                let returns = !["another's approver", "auditor", "approver by link"].contains(name);
                assert_eq!(who.may_return(&what), returns, "{name}");
            }
        }
    }
}
