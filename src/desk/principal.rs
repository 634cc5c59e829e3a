//! Who makes a request to the desk: their addresses, their roles, and how they signed in.
//!
//! All permissions are decided in this file, so that pages, links, API and command line agree.

use super::wish::How;
use crate::message::address::parse_list;
use crate::message::{Address, Header};
use crate::store::{HoldKind, Origin, StoredMessage};
use serde::{Deserialize, Serialize};

/// A person, as the desk knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Their name in the journal: a login, an address, or the user name of the operating system.
    pub name: String,
    /// Their own addresses; mail from these is their own.
    pub addresses: Vec<Address>,
    /// Their roles.
    pub roles: Roles,
    /// How they were authenticated.
    pub via: Via,
}

/// The roles of a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Roles {
    /// Decides on messages assigned to one of their addresses.
    pub approver: bool,
    /// Sees everything except contents; decides nothing.
    pub auditor: bool,
    /// Sees and does everything.
    pub admin: bool,
}

impl Roles {
    /// The roles of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            approver: self.approver || other.approver,
            auditor: self.auditor || other.auditor,
            admin: self.admin || other.admin,
        }
    }
}

/// How a person was authenticated. Mail scanners follow links, so a link never discloses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A link in a mail.
    Link,
    /// A login.
    Login,
    /// A code sent by mail although a safer login exists. It must not disclose.
    Mailbox,
    /// An API token.
    Token,
    /// The command line on this machine.
    Console,
}

/// The people of a message, as far as permissions depend on them, and the kind of its hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parties {
    /// The kind of hold; `Rule` if it is not held, in which case the sender may only take it back.
    pub kind: HoldKind,
    /// Its senders: MAIL FROM, every From, and the address of the authenticated identity.
    pub senders: Vec<Address>,
    /// Its approvers.
    pub approvers: Vec<Address>,
}

impl Parties {
    /// Taken from a stored message.
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

    /// A person who follows a link that was sent to this address.
    pub fn by_link(address: &Address) -> Self {
        Self {
            name: address.to_string(),
            addresses: vec![address.clone()],
            roles: Roles::default(),
            via: Via::Link,
        }
    }

    /// An approver who follows a link that was sent to this address. They have the mailbox, as after signing
    /// in with a mailed code, and cannot disclose.
    pub fn approver_by_link(address: &Address) -> Self {
        let roles = Roles { approver: true, ..Roles::default() };
        Self { roles, via: Via::Mailbox, ..Self::by_link(address) }
    }

    /// Whether one of these addresses is theirs.
    pub fn is_one_of(&self, addresses: &[Address]) -> bool {
        self.addresses.iter().any(|own| addresses.iter().any(|other| other.key() == own.key()))
    }

    /// Whether it is their own mail.
    pub fn sent(&self, parties: &Parties) -> bool {
        self.is_one_of(&parties.senders)
    }

    /// Whether they are an approver of it, or decide on everything.
    pub fn decides(&self, parties: &Parties) -> bool {
        self.roles.admin || (self.roles.approver && self.is_one_of(&parties.approvers))
    }

    /// Whether they may know that it exists; otherwise it is not found (404).
    pub fn may_see(&self, parties: &Parties) -> bool {
        self.roles.auditor || self.sent(parties) || self.decides(parties)
    }

    /// Whether they may read its contents.
    pub fn may_read(&self, parties: &Parties) -> bool {
        self.sent(parties) || self.decides(parties)
    }

    /// Whether they may release it in this way. To disclose, or to decide what an approver was asked, takes a
    /// person other than the sender, and more than a link.
    pub fn may_release(&self, parties: &Parties, how: How, drops: bool) -> bool {
        let safe = parties.kind == HoldKind::Ask && how == How::Split && !drops;
        let weak = self.via == Via::Link || (self.via == Via::Mailbox && how == How::AsIs);
        let another = self.via == Via::Console || (!weak && self.decides(parties) && !self.sent(parties));
        another || (safe && (self.sent(parties) || (self.decides(parties) && self.via != Via::Link)))
    }

    /// Whether they may take it back (as the sender) or return it (as an approver).
    pub fn may_return(&self, parties: &Parties) -> bool {
        self.sent(parties) || (self.decides(parties) && self.via != Via::Link)
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
        let (senders, approvers) = (vec![address("sato@example.jp")], vec![address("soumu@example.jp")]);
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
            let parties = Parties { kind, senders: senders.clone(), approvers: approvers.clone() };
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
                            who.may_release(&parties, how, drops),
                            expected,
                            "{name} {kind:?} {how} {drops}"
                        );
                    }
                }
            }
            for (who, name) in &people {
                let stranger = *name == "another's approver";
                assert_eq!(who.may_see(&parties), !stranger, "{name}");
                assert_eq!(who.may_read(&parties), !stranger && *name != "auditor", "{name}");
                let returns = !["another's approver", "auditor", "approver by link"].contains(name);
                assert_eq!(who.may_return(&parties), returns, "{name}");
            }
        }
    }
}
