//! Sessions: what is kept of somebody who signed in, and when that ends.
//!
//! A session ends at its time, after so long without a request, when somebody signs out, and when the
//! account it came from is another than it was.

use super::{Denied, People, TOUCH};
use crate::accounts::Role;
use crate::clock::Timestamp;
use crate::desk::principal::{Principal, Roles, Via};
use crate::message::Address;
use crate::store::{SessionRow, StoreError};
use crate::token::{Digest, Token};
use serde::{Deserialize, Serialize};

/// Somebody who signed in, as the store keeps them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// What the record calls them.
    pub name: String,
    /// Their own addresses.
    pub addresses: Vec<Address>,
    /// The roles that they have by the account or the provider.
    pub roles: Roles,
    /// How they signed in.
    pub by: By,
}

/// How somebody signed in, and what must stay as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum By {
    /// By a password: the account, hashed.
    Password {
        /// The account as it was.
        stamp: String,
    },
    /// By a code that was mailed.
    Code,
    /// By a provider: what it is trusted with, hashed.
    Provider {
        /// As it was.
        stamp: String,
    },
    /// By the link that was printed once.
    Once,
    /// By a passkey.
    Passkey {
        /// Which.
        id: String,
        /// The account that stands behind it as it was, where one does.
        stamp: Option<String>,
        /// It was made after a code by mail: it gives what a code gives.
        code: bool,
    },
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub struct Signed {
    /// Who.
    pub who: Principal,
    /// Which session.
    pub session: Digest,
    /// They came by the provider, where they may be signed in as well.
    pub by_provider: bool,
}

/// One session of somebody, as they see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLine {
    /// When it began.
    pub made: Timestamp,
    /// When it was last used, to a minute or so.
    pub seen: Timestamp,
    /// How they came: `password`, `code`, `provider`, `passkey`, `once`.
    pub by: &'static str,
    /// It is the one that asks.
    pub here: bool,
}

/// The roles that an account has.
pub fn roles(list: &[Role]) -> Roles {
    Roles {
        approver: list.contains(&Role::Approver),
        auditor: list.contains(&Role::Auditor),
        admin: list.contains(&Role::Admin),
    }
}

impl People {
    /// Opens a session; what the browser shows from now on.
    pub(super) async fn sign_in(&self, kept: Kept) -> Result<Token, Denied> {
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

    /// Who shows this; `None` when the session ended.
    pub async fn signed(&self, token: &Token) -> Result<Option<Signed>, StoreError> {
        self.known_by(token, true).await
    }

    /// The same for what a page asks by itself: nobody is taken to be there by that.
    pub async fn still_signed(&self, token: &Token) -> Result<Option<Signed>, StoreError> {
        self.known_by(token, false).await
    }

    async fn known_by(&self, token: &Token, there: bool) -> Result<Option<Signed>, StoreError> {
        let now = self.clock.now();
        let Some(row) = self.store.session(token.digest(), now).await? else { return Ok(None) };
        let settings = self.settings();
        let kept: Option<Kept> = serde_json::from_str(&row.who).ok();
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
        // Whoever reads a mailbox is not the administrator of all mail by that.
        if by_code || matches!(kept.by, By::Passkey { code: true, .. }) {
            roles.admin = roles.admin && settings.admin_codes;
        }
        let weak = by_code && self.has_better(&kept.name, &kept.addresses).await?;
        let via = if weak { Via::Mailbox } else { Via::Login };
        let who = Principal { name: kept.name, addresses: kept.addresses, roles, via };
        Ok(Some(Signed { who, session: row.hash, by_provider }))
    }

    /// Sessions of whoever is signed in: when each began, when it was last used, how they came, and whether
    /// it is this one.
    pub async fn sessions(&self, signed: &Signed) -> Result<Vec<SessionLine>, StoreError> {
        let all = self.store.sessions_of(&signed.who.name, self.clock.now()).await?;
        let line = |row: SessionRow| {
            let kept: Option<Kept> = serde_json::from_str(&row.who).ok();
            SessionLine {
                made: row.made,
                seen: row.seen,
                by: kept.map_or("", |kept| by(&kept.by)),
                here: row.hash == signed.session,
            }
        };
        Ok(all.into_iter().map(line).collect())
    }

    /// Signs somebody out everywhere, here too; how many sessions ended.
    pub async fn sign_out_everywhere(&self, signed: &Signed) -> Result<usize, StoreError> {
        let ended = self.store.end_sessions_of(&signed.who.name).await?;
        tracing::info!(name = signed.who.name, ended, "somebody signed out everywhere");
        Ok(ended)
    }

    /// Signs out.
    pub async fn sign_out(&self, token: &Token) -> Result<(), StoreError> {
        self.store.end_session(token.digest()).await
    }

    fn unchanged(&self, kept: &Kept) -> bool {
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
