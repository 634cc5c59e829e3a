//! Who may send, and as whom: accounts, their passwords, and the addresses that are theirs.
//!
//! * [`Accounts`] where accounts are: [`file`], [`ldap`], [`upstream`]
//! * [`Authenticator`] judges what clients claim, within the bounds of [`guesses`]
//! * [`senders`] which addresses an identity may write in MAIL FROM and From
//! * [`tenant`] whose mail it is that comes from a host many share
//! * [`remembered`] an answer that need not be asked for twice within a minute

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

/// An account, as its source knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name, as its source writes it.
    pub name: String,
    /// The addresses that are its own; the first is where notices go.
    pub addresses: Vec<Address>,
}

impl Account {
    /// An account whose name may be its address.
    pub fn named(name: impl Into<String>) -> Self {
        let name = name.into();
        let addresses = Address::parse(&name).into_iter().collect();
        Self { name, addresses }
    }
}

/// What somebody may be at the desk, beyond a sender of their own mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Decides on what is assigned to their addresses.
    Approver,
    /// Sees everything but contents.
    Auditor,
    /// Sees and does everything.
    Admin,
}

impl Role {
    /// As it is written.
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
        found.ok_or_else(|| format!("`{text}` is no role: there are approver, auditor and admin"))
    }
}

/// What an account is at the desk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AtDesk {
    /// Its roles.
    pub roles: Vec<Role>,
    /// Another text whenever roles, addresses or password are others.
    pub stamp: String,
}

/// The source cannot answer now; for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Down(pub String);

/// Where accounts are. `Ok(None)` is "no": no such account, or not its password; which of the two, nobody
/// learns, not by the time it takes either.
#[async_trait::async_trait]
pub trait Accounts: Send + Sync + 'static {
    /// Which mechanisms it can serve.
    fn mechanisms(&self) -> Mechanisms;

    /// Whether the password (prepared, not empty) is this user's.
    async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down>;

    /// Whether the bearer token is this user's.
    async fn token(
        &self,
        _mechanism: Mechanism,
        _user: &str,
        _token: &SecretString,
    ) -> Result<Option<Account>, Down> {
        Ok(None)
    }

    /// The SCRAM keys of this user; where there are none, such as nobody can know the password of.
    fn keys(&self, _user: &str) -> Result<Keys, Down> {
        Err(Down("this source has no SCRAM keys".to_owned()))
    }

    /// What a user is at the desk; `None` where there is no such user any more. A source that cannot say
    /// gives no roles.
    fn at_desk(&self, _user: &str) -> Option<AtDesk> {
        Some(AtDesk::default())
    }

    /// Whether it can be reached, in a sentence.
    async fn probe(&self) -> Result<String, Down>;

    /// The account of a user whose SCRAM proof was right.
    fn account(&self, _user: &str) -> Option<Account> {
        None
    }
}

/// The form in which user names are compared: people write their own in any case, and directories take
/// no notice of blanks around and between words (RFC 4518 §2.6.1), so a name with more of them is no
/// other to guess at.
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
