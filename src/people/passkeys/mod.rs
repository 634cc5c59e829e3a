//! Passkeys: a key that stays with its owner's device, bound to the desk's own host, in place of something
//! that can be read, guessed or passed on.
//!
//! * [`verify`] what browsers say, verified
//!
//! Whoever is signed in makes one; it stands for the way in by which it was made, and for no more: an account
//! that changed ends it, and one made after a code by mail gives what a code gives, but that it cannot be read
//! in a mailbox. Keys of people whom no account of ours names end after [`LASTS`], for nobody would tell us
//! that they left.

pub mod verify;

use super::session::{By, Kept, Signed};
use super::{Denied, People};
use crate::clock::Timestamp;
use crate::desk::principal::Roles;
use crate::message::Address;
use crate::store::{PasskeyRow, StoreError};
use crate::token::{Digest, Token};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use verify::{Key, Party};

/// How long a question may stay unanswered.
const PATIENCE: Duration = Duration::from_mins(5);
/// Most questions that are open at once; the oldest are forgotten first.
const MOST_OPEN: usize = 10_000;
/// How long a key lasts that no account stands behind.
pub const LASTS: Duration = Duration::from_hours(24 * 180);
/// Most keys of one person.
const MOST: usize = 20;
/// Longest name of one, in characters.
const LONGEST: usize = 60;

/// Questions that were put to browsers: each is answered once.
#[derive(Default)]
pub struct Questions(Mutex<HashMap<Digest, (Token, Timestamp)>>);

impl Questions {
    fn put(&self, whom: Digest, now: Timestamp) -> Result<Token, Denied> {
        let challenge = Token::new()?;
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST_OPEN {
            open.retain(|_, (_, until)| now < *until);
        }
        if open.len() >= MOST_OPEN {
            let oldest = open.iter().min_by_key(|(_, (_, until))| *until).map(|(whom, _)| *whom);
            oldest.map(|whom| open.remove(&whom));
        }
        open.insert(whom, (challenge.clone(), now.plus(PATIENCE)));
        Ok(challenge)
    }

    fn take(&self, whom: Digest, now: Timestamp) -> Option<Token> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&whom).filter(|(_, until)| now < *until).map(|(challenge, _)| challenge)
    }
}

/// What is kept of whom a key is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Owner {
    addresses: Vec<Address>,
    /// How they had signed in when they made it.
    how: How,
}

/// What stands behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum How {
    /// An account with a password.
    Account,
    /// A provider.
    Provider,
    /// A code by mail.
    Code,
}

/// What a browser says of a key that it made, each in base64url.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Made {
    /// The client data.
    pub client: String,
    /// The authenticator data.
    pub data: String,
    /// The public key.
    pub key: String,
    /// Its algorithm.
    pub algorithm: i64,
    /// What its owner calls it.
    pub label: String,
}

/// What a browser says of a key that it used, each in base64url.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Used {
    /// The credential's id.
    pub id: String,
    /// The client data.
    pub client: String,
    /// The authenticator data.
    pub data: String,
    /// The signature over both.
    pub signature: String,
}

fn octets(text: &str) -> Result<Vec<u8>, Denied> {
    URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|_| Denied::Wrong)
}

impl People {
    /// Whom passkeys are for, where browsers would make them.
    pub fn passkeys(&self) -> Option<Party> {
        self.settings().passkeys.clone()
    }

    /// A question to a browser: what it signs with the answer. `whom` is the session or the browser.
    pub fn passkey_question(&self, whom: Digest, from: IpAddr) -> Result<(Token, Party), Denied> {
        let party = self.passkeys().ok_or(Denied::Off)?;
        if !self.rates.admit("passkey", &super::rates::source(from), 200, Duration::from_hours(1)) {
            return Err(Denied::TooMany);
        }
        Ok((self.questions.put(whom, self.clock.now())?, party))
    }

    /// Keeps a key of whoever is signed in. Whoever has one already, and came by a code that was mailed, signs
    /// in with that one first: who reads a mailbox adds none of their own.
    pub async fn add_passkey(&self, signed: &Signed, made: &Made) -> Result<(), Denied> {
        let party = self.passkeys().ok_or(Denied::Off)?;
        let now = self.clock.now();
        let challenge = self.questions.take(signed.session, now).ok_or(Denied::Wrong)?;
        let session = self.store.session(signed.session, now).await?.ok_or(Denied::Wrong)?;
        let kept: Kept = serde_json::from_str(&session.who).map_err(|_| Denied::Wrong)?;
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
        tracing::info!(name, "a passkey was made");
        Ok(())
    }

    /// Signs in by a passkey.
    pub async fn by_passkey(&self, browser: &Token, used: &Used) -> Result<Token, Denied> {
        let party = self.passkeys().ok_or(Denied::Off)?;
        let now = self.clock.now();
        let challenge = self.questions.take(browser.digest(), now).ok_or(Denied::Wrong)?;
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
        let mut kept = Kept {
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

    /// Keys of whoever is signed in.
    pub async fn own_passkeys(&self, signed: &Signed) -> Result<Vec<PasskeyRow>, StoreError> {
        self.store.passkeys_of(&signed.who.name, &keys(&signed.who.addresses)).await
    }

    /// Takes a key away: one of their own, or, for an administrator, anybody's. Sessions that it opened end.
    pub async fn remove_passkey(&self, signed: &Signed, id: &str) -> Result<bool, Denied> {
        let id = octets(id)?;
        let row = self.store.passkey(id.clone()).await?.ok_or(Denied::Wrong)?;
        let own = self.own_passkeys(signed).await?.iter().any(|key| key.id == id);
        if !own && !signed.who.roles.admin {
            return Err(Denied::Wrong);
        }
        let removed = self.store.remove_passkey(id).await?;
        for session in self.store.sessions_of(&row.name, self.clock.now()).await? {
            let kept: Option<Kept> = serde_json::from_str(&session.who).ok();
            let opened = |kept: Kept| matches!(kept.by, By::Passkey { id, .. } if octets(&id).is_ok_and(|id| id == row.id));
            if session.hash != signed.session && kept.is_some_and(opened) {
                self.store.end_session(session.hash).await?;
            }
        }
        tracing::info!(by = signed.who.name, of = row.name, "a passkey was taken away");
        Ok(removed)
    }

    /// Whether a better way in than a code by mail exists for somebody.
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

/// Whether a key's time is over: nobody would say that its owner left.
fn over(row: &PasskeyRow, now: Timestamp) -> bool {
    let owner: Option<Owner> = serde_json::from_str(&row.who).ok();
    owner.is_none_or(|owner| owner.how != How::Account && now.since(row.made) >= LASTS)
}

fn keys(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(|address| address.key().to_owned()).collect()
}

fn unsound(name: &str, why: verify::Unsound) -> Denied {
    tracing::warn!(name, %why, "a passkey was not taken");
    Denied::Wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_once_and_in_time() {
        let questions = Questions::default();
        let now = Timestamp(1_790_000_000_000);
        let (one, other) = (Digest::of(&[b"one"]), Digest::of(&[b"other"]));
        let challenge = questions.put(one, now).unwrap();
        assert!(questions.take(other, now).is_none());
        assert_eq!(questions.take(one, now).unwrap().text(), challenge.text());
        assert!(questions.take(one, now).is_none(), "a second time");
        questions.put(one, now).unwrap();
        assert!(questions.take(one, now.plus(PATIENCE)).is_none(), "too late");
    }

    #[test]
    fn the_oldest_question_makes_room() {
        let questions = Questions::default();
        let now = Timestamp(1_790_000_000_000);
        for number in 0..=MOST_OPEN as u64 {
            let whom = Digest::of(&[&number.to_be_bytes()]);
            questions.put(whom, now.plus(Duration::from_millis(number))).unwrap();
        }
        assert!(questions.take(Digest::of(&[&0_u64.to_be_bytes()]), now).is_none());
        assert!(questions.take(Digest::of(&[&1_u64.to_be_bytes()]), now).is_some());
    }
}
