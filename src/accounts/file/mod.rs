//! Accounts in a file, `users.toml`:
//!
//! ```toml
//! [[user]]
//! name = "hanako"
//! addresses = ["hanako.sato@example.co.jp"]
//! roles = ["approver"]
//! password = "$argon2id$v=19$m=19456,t=2,p=1$…"
//! scram = "SCRAM-SHA-256$32768:SALT$STORED:SERVER"
//! ```
//!
//! [`edit`] changes the file. A running relay reloads it within a second; if it cannot be read, the
//! previous accounts stay.

pub mod edit;
mod scram_text;

use super::password::{Hash, Hashing};
use super::{Account, Accounts, AtDesk, Down, Role, key};
use crate::clock::{Clock, Timestamp};
use crate::message::Address;
use crate::smtp::sasl::prepare::prepared;
use crate::smtp::sasl::scram::{ITERATIONS, Keys};
use crate::smtp::sasl::{Mechanism, Mechanisms};
use async_trait::async_trait;
use aws_lc_rs::{digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::SecretString;
use serde::Deserialize;
use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Largest file in octets.
const LARGEST: u64 = 16 << 20;
/// Interval at which the file is checked for changes.
const FRESH: Duration = Duration::from_secs(1);

/// One user of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name and addresses.
    pub account: Account,
    /// The password's hash.
    pub password: Hash,
    /// SCRAM keys of the same password.
    pub scram: Option<Keys>,
    /// Roles at the desk.
    pub roles: Vec<Role>,
}

impl User {
    fn at_desk(&self) -> AtDesk {
        let mut context = digest::Context::new(&digest::SHA256);
        let addresses = self.account.addresses.iter().map(Address::as_str);
        let roles = self.roles.iter().map(|role| role.text());
        for part in std::iter::once(self.password.as_str()).chain(addresses).chain(roles) {
            context.update(part.as_bytes());
            context.update(b"\n");
        }
        AtDesk { roles: self.roles.clone(), stamp: STANDARD_NO_PAD.encode(context.finish().as_ref()) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    user: Vec<toml::Spanned<UserKeys>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserKeys {
    name: String,
    #[serde(default, deserialize_with = "written")]
    addresses: Vec<Address>,
    password: String,
    scram: Option<String>,
    #[serde(default)]
    roles: Vec<Role>,
}

/// Parses addresses from strings.
fn written<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Vec<Address>, D::Error> {
    let parse = |text: &String| Address::parse(text).map_err(serde::de::Error::custom);
    Vec::<String>::deserialize(reader)?.iter().map(parse).collect()
}

/// Parses the text of a file; returns the users in order.
///
/// # Errors
/// The text is malformed, or a name occurs twice. The error is a text with file and line.
pub fn read(path: &Path, text: &str) -> Result<Vec<User>, String> {
    let place = |at: usize| {
        let line = text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
        format!("{}:{line}", path.display())
    };
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        format!("{}: {}", place(at), error.message())
    })?;
    let mut users: Vec<User> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for spanned in document.user {
        let start = spanned.span().start;
        let keys = spanned.into_inner();
        let wrong = |why: String| format!("{}: user `{}`: {why}", place(start), keys.name);
        if prepared(&keys.name).as_deref() != Some(keys.name.as_str()) {
            return Err(wrong("the name is empty or has an invalid character".to_owned()));
        }
        if !names.insert(key(&keys.name)) {
            return Err(wrong("there is another user of that name".to_owned()));
        }
        let password = Hash::read(&keys.password).map_err(|why| wrong(format!("`password` {why}")))?;
        let scram = keys.scram.as_deref().map(scram_text::read).transpose();
        let scram = scram.map_err(|why| wrong(format!("`scram` {why}")))?;
        let mut account = Account::named(keys.name);
        account.addresses.extend(keys.addresses);
        users.push(User { account, password, scram, roles: keys.roles });
    }
    Ok(users)
}

/// Accounts in a file.
pub struct FileAccounts {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    hashing: Hashing,
    state: Mutex<State>,
    /// The key that derives made-up salts for unknown users. The same name always gets the same salt, which
    /// looks like a real one.
    pretence: hmac::Key,
}

struct State {
    users: Arc<Users>,
    looked: Timestamp,
    seen: Option<Seen>,
}

/// Identifies a version of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

#[derive(Default)]
struct Users {
    by_key: HashMap<String, User>,
    /// A hash to compare passwords of unknown users with, so that the reply takes as long as for known ones.
    decoy: Option<Hash>,
}

impl Users {
    fn new(users: Vec<User>, fallback: Option<Hash>) -> Self {
        let decoy = users.first().map(|user| user.password.clone()).or(fallback);
        Self { by_key: users.into_iter().map(|user| (key(&user.account.name), user)).collect(), decoy }
    }
}

fn load(path: &Path) -> Result<(Users, Seen), String> {
    let wrong = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let meta = std::fs::metadata(path).map_err(wrong)?;
    if meta.len() > LARGEST {
        return Err(format!("{} is larger than {LARGEST} octets", path.display()));
    }
    let seen = Seen { inode: meta.ino(), length: meta.len(), changed: (meta.mtime(), meta.mtime_nsec()) };
    let text = std::fs::read_to_string(path).map_err(wrong)?;
    let users = read(path, &text)?;
    let fallback = if users.is_empty() { Some(Hash::make("nobody's password")?) } else { None };
    Ok((Users::new(users, fallback), seen))
}

impl FileAccounts {
    /// Reads the file.
    ///
    /// # Errors
    /// The file does not exist, or cannot be read or parsed. The error is a text for the administrator.
    pub fn open(path: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, String> {
        if !path.exists() {
            return Err(format!("there is no {}: `sekisho user add NAME` creates it", path.display()));
        }
        let (users, seen) = load(&path)?;
        let state = State { users: Arc::new(users), looked: clock.now(), seen: Some(seen) };
        #[expect(clippy::disallowed_methods, reason = "a key, which no history depends on")]
        let secret: [u8; 32] = rand::random();
        let pretence = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        Ok(Self { path, clock, hashing: Hashing::default(), state: Mutex::new(state), pretence })
    }

    /// The users; reloads the file if it has changed.
    fn users(&self) -> Arc<Users> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if state.looked <= now && now.since(state.looked) < FRESH {
            return Arc::clone(&state.users);
        }
        state.looked = now;
        let meta = std::fs::metadata(&self.path);
        let there = meta.ok().map(|meta| Seen {
            inode: meta.ino(),
            length: meta.len(),
            changed: (meta.mtime(), meta.mtime_nsec()),
        });
        if there != state.seen {
            state.seen = there;
            match load(&self.path) {
                Ok((users, seen)) => {
                    tracing::info!(file = %self.path.display(), users = users.by_key.len(), "accounts reloaded");
                    state.users = Arc::new(users);
                    state.seen = Some(seen);
                }
                Err(why) => tracing::error!(%why, "accounts not reloaded, the previous ones stay in use"),
            }
        }
        Arc::clone(&state.users)
    }

    /// Made-up keys for an unknown user; no password matches them.
    fn made_up(&self, user: &str) -> Keys {
        let part = |what: &str| hmac::sign(&self.pretence, format!("{what} {user}").as_bytes());
        let octets = |tag: &hmac::Tag| {
            let mut all = [0; 32];
            all.copy_from_slice(tag.as_ref());
            all
        };
        let salt = part("salt").as_ref()[..edit::SALT].to_vec();
        Keys {
            salt,
            iterations: ITERATIONS,
            stored: octets(&part("stored")),
            server: octets(&part("server")),
        }
    }
}

#[async_trait]
impl Accounts for FileAccounts {
    fn mechanisms(&self) -> Mechanisms {
        Mechanisms::of(&[Mechanism::ScramSha256, Mechanism::Plain, Mechanism::Login])
    }

    async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down> {
        let users = self.users();
        let user = users.by_key.get(&key(user));
        let hash = user.map(|user| &user.password).or(users.decoy.as_ref());
        let Some(hash) = hash.cloned() else { return Ok(None) };
        let right = self.hashing.verify(hash, password.clone()).await?;
        Ok(user.filter(|_| right).map(|user| user.account.clone()))
    }

    async fn probe(&self) -> Result<String, Down> {
        Ok(format!("{} users in {}", self.users().by_key.len(), self.path.display()))
    }

    fn keys(&self, user: &str) -> Result<Keys, Down> {
        let user = key(user);
        let known = self.users().by_key.get(&user).and_then(|known| known.scram.clone());
        let made_up = self.made_up(&user);
        Ok(known.unwrap_or(made_up))
    }

    fn at_desk(&self, user: &str) -> Option<AtDesk> {
        self.users().by_key.get(&key(user)).map(User::at_desk)
    }

    fn account(&self, user: &str) -> Option<Account> {
        self.users().by_key.get(&key(user)).map(|user| user.account.clone())
    }
}

#[cfg(test)]
mod tests;
