//! Passkeys: key pairs that stay on their owner's device and are bound to the desk's host name, so that
//! nothing can be read, guessed or passed on.
//!
//! * [`verify`] verifies the responses of browsers
//!
//! A passkey is added by somebody who is signed in, and allows no more than that session did: one that was
//! added after signing in with a code by mail allows what such a code allows. It ends with the account behind
//! it. Passkeys of people without an account here end after [`LASTS`],
//! because nobody would tell us that they left.

pub mod verify;

use super::session::{By, Signed, StoredLogin};
use super::{Denied, People};
use crate::clock::Timestamp;
use crate::desk::principal::Roles;
use crate::message::Address;
use crate::store::shared::Once;
use crate::store::{PasskeyRow, StoreError};
use crate::token::{Digest, Token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use verify::{Key, Party};

/// How long a challenge may stay unanswered.
const PATIENCE: Duration = Duration::from_mins(5);
/// How long a passkey without an account behind it is valid.
pub const LASTS: Duration = Duration::from_hours(24 * 180);
/// Maximum number of passkeys of one person.
const MOST: usize = 20;
/// Longest label, in characters.
const LONGEST: usize = 60;

/// Whose passkey it is, as stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Owner {
    addresses: Vec<Address>,
    /// How they were signed in when they added it.
    how: How,
}

/// What a passkey is backed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// An account with a password.
    Account,
    /// An OpenID provider.
    Provider,
    /// A code by mail.
    Code,
}

/// The response of a browser that created a passkey; the octets are in base64url.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Made {
    /// The client data.
    pub client: String,
    /// The authenticator data.
    pub data: String,
    /// The public key.
    pub key: String,
    /// Its COSE algorithm.
    pub algorithm: i64,
    /// The label that its owner chose.
    pub label: String,
}

/// The response of a browser that used a passkey; the octets are in base64url.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Used {
    /// The credential's id.
    pub id: String,
    /// The client data.
    pub client: String,
    /// The authenticator data.
    pub data: String,
    /// The signature over the authenticator data and the hash of the client data.
    pub signature: String,
}

fn octets(text: &str) -> Result<Vec<u8>, Denied> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Denied::Wrong)
}

impl People {
    /// The party that passkeys are made for; `None` if browsers would make none.
    pub fn passkeys(&self) -> Option<Party> {
        self.settings().passkeys.clone()
    }

    /// A new challenge for a browser. `whom` identifies the session or the browser.
    ///
    /// # Errors
    /// Passkeys are off, there were too many challenges, or there is no randomness.
    pub async fn passkey_question(&self, whom: Digest, from: IpAddr) -> Result<(Token, Party), Denied> {
        let party = self.passkeys().ok_or(Denied::Off)?;
        self.admit("passkey", &super::rates::source(from), 200).await?;
        let (challenge, now) = (Token::new()?, self.clock.now());
        let text = challenge.text().to_owned();
        self.store.put_once(Once::Challenge, whom, text, now.plus(PATIENCE), now).await?;
        Ok((challenge, party))
    }

    /// The challenge of this session or browser, which can be answered once, at any relay.
    async fn question(&self, whom: Digest) -> Result<Token, Denied> {
        let asked = self.store.take_once(Once::Challenge, whom, self.clock.now()).await?;
        asked.and_then(|text| Token::read(&text)).ok_or(Denied::Wrong)
    }

    /// Stores a passkey of somebody who is signed in. Who has one already and signed in by a mailed code must
    /// use that one first, so that somebody with access to the mailbox cannot add their own.
    ///
    /// # Errors
    /// Passkeys are off, the response is not valid, the person may not add one, or the store failed.
    pub async fn add_passkey(&self, signed: &Signed, made: &Made) -> Result<(), Denied> {
        let party = self.passkeys().ok_or(Denied::Off)?;
        let now = self.clock.now();
        let challenge = self.question(signed.session).await?;
        let session = self.store.session(signed.session, now).await?.ok_or(Denied::Wrong)?;
        let kept: StoredLogin = serde_json::from_str(&session.who).map_err(|_| Denied::Wrong)?;
        let how = match &kept.by {
            By::Password { .. } | By::Passkey { stamp: Some(_), .. } => How::Account,
            By::Provider { .. } => How::Provider,
            By::Code => How::Code,
            By::Passkey { stamp: None, code, .. } => {
                if *code {
                    How::Code
                } else {
                    How::Provider
                }
            }
            By::Once => return Err(Denied::Off),
        };
        let all = self.store.passkeys_of(&kept.name, &keys(&kept.addresses)).await?;
        if all.len() >= MOST || (matches!(kept.by, By::Code) && all.iter().any(|key| !over(key, now))) {
            return Err(Denied::Wrong);
        }
        let key = Key { algorithm: made.algorithm, info: octets(&made.key)? };
        let (id, count) =
            verify::made(&octets(&made.client)?, &octets(&made.data)?, &key, &challenge, &party)
                .map_err(|why| unsound(&kept.name, why))?;
        let owner = Owner { addresses: kept.addresses.clone(), how };
        let label: String = made.label.trim().chars().take(LONGEST).collect();
        let row = PasskeyRow {
            id,
            keys: keys(&kept.addresses),
            name: kept.name,
            label,
            who: serde_json::to_string(&owner).map_err(|error| Denied::Down(error.to_string()))?,
            algorithm: key.algorithm,
            key: key.info,
            count,
            made: now,
            used: None,
        };
        let name = row.name.clone();
        if !self.store.add_passkey(row).await? {
            return Err(Denied::Wrong);
        }
        tracing::info!(name, "a passkey was added");
        Ok(())
    }

    /// Signs in with a passkey.
    ///
    /// # Errors
    /// Passkeys are off, the response is not valid, the passkey has ended, or the store failed.
    pub async fn by_passkey(&self, browser: &Token, used: &Used) -> Result<Token, Denied> {
        let party = self.passkeys().ok_or(Denied::Off)?;
        let now = self.clock.now();
        let challenge = self.question(browser.digest()).await?;
        let row = self.store.passkey(octets(&used.id)?).await?.ok_or(Denied::Wrong)?;
        let key = Key { algorithm: row.algorithm, info: row.key.clone() };
        let (client, data, signature) =
            (octets(&used.client)?, octets(&used.data)?, octets(&used.signature)?);
        let count = verify::used(&client, &data, &signature, &key, row.count, &challenge, &party)
            .map_err(|why| unsound(&row.name, why))?;
        if over(&row, now) {
            return Err(Denied::Wrong);
        }
        let owner: Owner = serde_json::from_str(&row.who).map_err(|_| Denied::Wrong)?;
        let mut kept = StoredLogin {
            name: row.name.clone(),
            addresses: owner.addresses,
            roles: Roles::default(),
            by: By::Passkey {
                id: URL_SAFE_NO_PAD.encode(&row.id),
                stamp: None,
                code: owner.how == How::Code,
            },
        };
        if owner.how == How::Account {
            let accounts = self.settings().accounts.clone().ok_or(Denied::Wrong)?;
            let now = accounts.at_desk(&row.name).ok_or(Denied::Wrong)?;
            kept.roles = super::session::roles(&now.roles);
            kept.by =
                By::Passkey { id: URL_SAFE_NO_PAD.encode(&row.id), stamp: Some(now.stamp), code: false };
        } else {
            let mut known = false;
            for address in &kept.addresses {
                known = known || self.knows(address).await?;
            }
            if !known {
                return Err(Denied::Wrong);
            }
        }
        self.store.use_passkey(row.id, count, now).await?;
        self.sign_in(kept).await
    }

    /// The passkeys of somebody who is signed in.
    ///
    /// # Errors
    /// The store failed.
    pub async fn own_passkeys(&self, signed: &Signed) -> Result<Vec<PasskeyRow>, StoreError> {
        self.store.passkeys_of(&signed.who.name, &keys(&signed.who.addresses)).await
    }

    /// Removes a passkey: one's own or, for an administrator, anybody's. Sessions that it opened end.
    ///
    /// # Errors
    /// There is no such passkey, it is somebody else's, or the store failed.
    pub async fn remove_passkey(&self, signed: &Signed, id: &str) -> Result<bool, Denied> {
        let id = octets(id)?;
        let row = self.store.passkey(id.clone()).await?.ok_or(Denied::Wrong)?;
        let own = self.own_passkeys(signed).await?.iter().any(|key| key.id == id);
        if !own && !signed.who.roles.admin {
            return Err(Denied::Wrong);
        }
        let removed = self.store.remove_passkey(id).await?;
        for session in self.store.sessions_of(&row.name, self.clock.now()).await? {
            let kept: Option<StoredLogin> = serde_json::from_str(&session.who).ok();
            let opened = |kept: StoredLogin| matches!(kept.by, By::Passkey { id, .. } if octets(&id).is_ok_and(|id| id == row.id));
            if session.hash != signed.session && kept.is_some_and(opened) {
                self.store.end_session(session.hash).await?;
            }
        }
        tracing::info!(by = signed.who.name, of = row.name, "a passkey was removed");
        Ok(removed)
    }

    /// Whether somebody has a better way to sign in than a code by mail.
    pub(super) async fn has_better(&self, name: &str, addresses: &[Address]) -> Result<bool, StoreError> {
        if self.provider().is_some() {
            return Ok(true);
        }
        if self.passkeys().is_none() {
            return Ok(false);
        }
        let now = self.clock.now();
        let all = self.store.passkeys_of(name, &keys(addresses)).await?;
        Ok(all.iter().any(|key| !over(key, now)))
    }
}

/// Whether a passkey without an account has reached its age limit.
fn over(row: &PasskeyRow, now: Timestamp) -> bool {
    let owner: Option<Owner> = serde_json::from_str(&row.who).ok();
    owner.is_none_or(|owner| owner.how != How::Account && now.since(row.made) >= LASTS)
}

fn keys(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|address| address.key().to_owned()).collect()
}

fn unsound(name: &str, why: verify::Unsound) -> Denied {
    tracing::warn!(name, %why, "a passkey was refused");
    Denied::Wrong
}
