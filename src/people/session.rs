//! Sessions: what is stored of somebody who signed in, and when a session ends.
//!
//! A session ends at its expiry, after some time without a request, on signing out, and when the account
//! behind it changes.

use super::{Denied, People, TOUCH};
use crate::accounts::Role;
use crate::clock::Timestamp;
use crate::desk::principal::{Principal, Roles, Via};
use crate::message::Address;
use crate::store::{SessionRow, StoreError};
use crate::token::{Digest, Token};
use serde::{Deserialize, Serialize};

/// Somebody who signed in, as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredLogin {
    /// The name in the journal.
    pub name: String,
    /// Their addresses.
    pub addresses: Vec<Address>,
    /// The roles given by the account or the provider.
    pub roles: Roles,
    /// How they signed in.
    pub by: By,
}

/// How somebody signed in, and what must stay unchanged for the session to go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum By {
    /// By a password.
    Password {
        /// A hash of the account at that time.
        stamp: String,
    },
    /// By a code that was mailed.
    Code,
    /// By an OpenID provider.
    Provider {
        /// A hash of what the provider was trusted with at that time.
        stamp: String,
    },
    /// By a one-time link.
    Once,
    /// By a passkey.
    Passkey {
        /// The id of the passkey.
        id: String,
        /// A hash of the account behind it at that time, if there is one.
        stamp: Option<String>,
        /// It was added after a code by mail, and gives what a code gives.
        code: bool,
    },
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The person.
    pub who: Principal,
    /// The session.
    pub session: Digest,
    /// They signed in through the provider, where they may still be signed in.
    pub by_provider: bool,
}

/// One session in the list that a person sees of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLine {
    /// When it began.
    pub made: Timestamp,
    /// When it was last used, to about a minute.
    pub seen: Timestamp,
    /// How they signed in: `password`, `code`, `provider`, `passkey`, `once`.
    pub by: &'static str,
    /// It is the current session.
    pub here: bool,
}

/// The roles of an account.
pub fn roles(list: &[Role]) -> Roles {
    Roles {
        approver: list.contains(&Role::Approver),
        auditor: list.contains(&Role::Auditor),
        admin: list.contains(&Role::Admin),
    }
}

impl People {
    /// Opens a session; returns the token for the browser.
    pub(super) async fn sign_in(&self, kept: StoredLogin) -> Result<Token, Denied> {
        let token = Token::new()?;
        let now = self.clock.now();
        let who = serde_json::to_string(&kept).map_err(|error| Denied::Down(error.to_string()))?;
        let row = SessionRow {
            hash: token.digest(),
            name: kept.name.clone(),
            who,
            made: now,
            seen: now,
            expires: now.plus(self.settings().session),
        };
        self.store.open_session(row).await?;
        tracing::info!(name = kept.name, by = by(&kept.by), "somebody signed in");
        Ok(token)
    }

    /// Who is signed in with this token; `None` if the session has ended.
    ///
    /// # Errors
    /// The store failed.
    pub async fn signed(&self, token: &Token) -> Result<Option<Signed>, StoreError> {
        self.known_by(token, true).await
    }

    /// The same for a request that a page sends by itself; it does not count as a use of the session.
    ///
    /// # Errors
    /// The store failed.
    pub async fn still_signed(&self, token: &Token) -> Result<Option<Signed>, StoreError> {
        self.known_by(token, false).await
    }

    async fn known_by(&self, token: &Token, there: bool) -> Result<Option<Signed>, StoreError> {
        let now = self.clock.now();
        let Some(row) = self.store.session(token.digest(), now).await? else { return Ok(None) };
        let settings = self.settings();
        let kept: Option<StoredLogin> = serde_json::from_str(&row.who).ok();
        let good = kept.filter(|kept| now.since(row.seen) < settings.idle && self.unchanged(kept));
        let Some(kept) = good else {
            self.store.end_session(row.hash).await?;
            return Ok(None);
        };
        if there && now.since(row.seen) > TOUCH {
            self.store.touch_session(row.hash, now).await?;
        }
        let mut roles = self.roles_now(&kept).await?;
        let by_provider = matches!(kept.by, By::Provider { .. });
        let by_code = matches!(kept.by, By::Code);
        // Access to a mailbox must not make somebody the administrator of all mail.
        if by_code || matches!(kept.by, By::Passkey { code: true, .. }) {
            roles.admin = roles.admin && settings.admin_codes;
        }
        let weak = by_code && self.has_better(&kept.name, &kept.addresses).await?;
        let via = if weak { Via::Mailbox } else { Via::Login };
        let who = Principal { name: kept.name, addresses: kept.addresses, roles, via };
        Ok(Some(Signed { who, session: row.hash, by_provider }))
    }

    /// The sessions of somebody who is signed in.
    ///
    /// # Errors
    /// The store failed.
    pub async fn sessions(&self, signed: &Signed) -> Result<Vec<SessionLine>, StoreError> {
        let all = self.store.sessions_of(&signed.who.name, self.clock.now()).await?;
        let line = |row: SessionRow| {
            let kept: Option<StoredLogin> = serde_json::from_str(&row.who).ok();
            SessionLine {
                made: row.made,
                seen: row.seen,
                by: kept.map_or("", |kept| by(&kept.by)),
                here: row.hash == signed.session,
            }
        };
        Ok(all.into_iter().map(line).collect())
    }

    /// Ends all sessions of somebody, this one included; returns how many.
    ///
    /// # Errors
    /// The store failed.
    pub async fn sign_out_everywhere(&self, signed: &Signed) -> Result<usize, StoreError> {
        let ended = self.store.end_sessions_of(&signed.who.name).await?;
        tracing::info!(name = signed.who.name, ended, "somebody signed out everywhere");
        Ok(ended)
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The store failed.
    pub async fn sign_out(&self, token: &Token) -> Result<(), StoreError> {
        self.store.end_session(token.digest()).await
    }

    fn unchanged(&self, kept: &StoredLogin) -> bool {
        let settings = self.settings();
        match &kept.by {
            By::Password { stamp } => {
                let now = settings.accounts.as_ref().and_then(|accounts| accounts.at_desk(&kept.name));
                now.is_some_and(|now| now.stamp == *stamp)
            }
            By::Code => settings.mail_codes,
            By::Passkey { stamp, .. } => {
                let now = settings.accounts.as_ref().and_then(|accounts| accounts.at_desk(&kept.name));
                let account = stamp.as_ref().is_none_or(|stamp| now.is_some_and(|now| now.stamp == *stamp));
                settings.passkeys.is_some() && account
            }
            By::Provider { stamp } => {
                settings.provider.as_ref().is_some_and(|provider| provider.stamp() == *stamp)
            }
            By::Once => true,
        }
    }
}

fn by(by: &By) -> &'static str {
    match by {
        By::Password { .. } => "password",
        By::Code => "code",
        By::Provider { .. } => "provider",
        By::Once => "once",
        By::Passkey { .. } => "passkey",
    }
}
