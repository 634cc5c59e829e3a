//! Accounts: who may send, with which password, and from which addresses.
//!
//! * [`Accounts`] a source of accounts: [`file`], [`ldap`] or [`upstream`]
//! * [`Authenticator`] verifies what clients claim, within the limits of [`guesses`]
//! * [`senders`] the addresses that a user may write in MAIL FROM and From
//! * [`tenant`] recognises our own mail from a mail host that many organisations share
//! * [`remembered`] caches right passwords for a minute
//! * [`password`] hashes passwords

mod authenticator;
pub mod file;
pub mod guesses;
pub mod ldap;
pub mod password;
pub mod remembered;
pub mod senders;
pub mod tenant;
pub mod upstream;

pub use authenticator::{Authenticator, Counts, Decision, Identity};
pub use senders::Senders;
pub use tenant::Tenant;

use crate::message::Address;
use crate::smtp::sasl::scram::Keys;
use crate::smtp::sasl::{Mechanism, Mechanisms};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The name, as spelt in the source of accounts.
    pub name: String,
    /// The account's own addresses. Notices go to the first.
    pub addresses: Vec<Address>,
}

impl Account {
    /// An account with this name. If the name is an address, it is the account's address.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let addresses = Address::parse(&name).into_iter().collect();
        Self { name, addresses }
    }
}

/// A role at the desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May decide on holds assigned to their addresses.
    Approver,
    /// May see everything except contents.
    Auditor,
    /// May see and do everything.
    Admin,
}

impl Role {
    /// The role as written in configuration and files.
    pub fn text(self) -> &'static str {
        match self {
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Approver, Self::Auditor, Self::Admin];
        let found = all.into_iter().find(|role| role.text() == text);
        found.ok_or_else(|| format!("`{text}` is not a role: there are approver, auditor and admin"))
    }
}

/// An account as the desk sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtDesk {
    /// Its roles.
    pub roles: Vec<Role>,
    /// Changes whenever roles, addresses or password change. Sessions with another stamp end.
    pub stamp: String,
}

/// The source of accounts is unavailable; a text for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Down(pub String);

/// A source of accounts. `Ok(None)` means either no such account or a wrong password. Implementations must not
/// reveal which, not even by the time they take.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// The mechanisms it supports.
    fn mechanisms(&self) -> Mechanisms;

    /// Verifies a password, which is in prepared form and not empty.
    ///
    /// # Errors
    /// The source is unavailable.
    async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down>;

    /// Verifies a bearer token.
    ///
    /// # Errors
    /// The source is unavailable.
    async fn token(
        &self,
        _mechanism: Mechanism,
        _user: &str,
        _token: &SecretString,
    ) -> Result<Option<Account>, Down> {
        Ok(None)
    }

    /// The SCRAM keys of a user, or made-up keys that no password matches if there are none.
    ///
    /// # Errors
    /// The source has no SCRAM keys, or is unavailable.
    fn keys(&self, _user: &str) -> Result<Keys, Down> {
        Err(Down("this source has no SCRAM keys".to_owned()))
    }

    /// Roles and stamp of a user; `None` if the user does not exist any more. A source without this
    /// information returns no roles.
    fn at_desk(&self, _user: &str) -> Option<AtDesk> {
        Some(AtDesk::default())
    }

    /// Checks that the source can be reached; returns a text for the administrator.
    ///
    /// # Errors
    /// The source is unavailable.
    async fn probe(&self) -> Result<String, Down>;

    /// The account of a user whose SCRAM proof was right.
    fn account(&self, _user: &str) -> Option<Account> {
        None
    }
}

/// The form in which user names are compared: in lower case, with spaces normalised. Directories ignore
/// additional spaces (RFC 4518 §2.6.1), so spellings that differ in them must share one limit on guesses.
pub fn key(user: &str) -> String {
    user.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_key_for_all_spellings_of_a_name() {
        for name in ["hanako sato", "Hanako Sato", " hanako  sato ", "HANAKO\u{3000}SATO"] {
            assert_eq!(super::key(name), "hanako sato", "{name:?}");
        }
        assert_ne!(super::key("hanakosato"), super::key("hanako sato"));
    }
}
