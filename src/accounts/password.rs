//! Hashes and verifies passwords with argon2id.
//!
//! Each hash deliberately takes 19 MiB and some milliseconds (OWASP recommends 19 MiB and 2 iterations). Only a
//! few run at once, and a client that waits too long gets a temporary error.

use super::Down;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Most concurrent hashes, however many CPU cores there are.
const MOST_AT_ONCE: usize = 4;
/// How long a client may wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// Limits for hashes made elsewhere: memory in KiB, iterations, lanes.
const MOST: (u32, u32, u32) = (262_144, 16, 16);

/// A stored hash that can be verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Hash(String);

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hash")
    }
}

impl Hash {
    /// Hashes a prepared password with a new salt.
    ///
    /// # Errors
    /// The hash function failed. The error is a text for the administrator.
    pub fn make(password: &str) -> Result<Self, String> {
        let hash = Argon2::default().hash_password(password.as_bytes());
        hash.map(|hash| Self(hash.to_string()))
            .map_err(|error| format!("the password cannot be hashed: {error}"))
    }

    /// Parses a stored hash: `$argon2id$v=19$m=…,t=…,p=…$SALT$HASH`.
    ///
    /// # Errors
    /// It is not an argon2id hash, or its parameters exceed the limits. The error continues a sentence
    /// that begins with the name of the value.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = "is not an argon2id hash; `sekisho user passwd` writes one";
        let hash = PasswordHash::new(text).map_err(|_| wrong.to_owned())?;
        let known = hash.algorithm.as_str() == Algorithm::Argon2id.as_str() && hash.hash.is_some();
        let params = argon2::Params::try_from(&hash).ok().filter(|_| known).ok_or(wrong)?;
        if params.m_cost() > MOST.0 || params.t_cost() > MOST.1 || params.p_cost() > MOST.2 {
            return Err(format!("asks for more than {} KiB, {} rounds or {} lanes", MOST.0, MOST.1, MOST.2));
        }
        Ok(Self(text.to_owned()))
    }

    /// The hash as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn verify(&self, password: &str) -> bool {
        let Ok(hash) = PasswordHash::new(&self.0) else { return false };
        Argon2::default().verify_password(password.as_bytes(), &hash).is_ok()
    }
}

/// Verifies passwords, a few at a time.
#[derive(Clone, Debug)]
pub struct Hashing(Arc<Semaphore>);

impl Default for Hashing {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores.min(MOST_AT_ONCE))))
    }
}

impl Hashing {
    /// Whether the password matches the hash.
    ///
    /// # Errors
    /// Too many passwords are waiting to be verified.
    pub async fn verify(&self, hash: Hash, password: SecretString) -> Result<bool, Down> {
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Down("too many passwords to verify at once".to_owned())) };
        let work = move || {
            let right = hash.verify(password.expose_secret());
            drop(turn);
            right
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| Down(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_hashed_is_verified() {
        let hash = Hash::make("pencil").unwrap();
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        assert_eq!(Hash::read(hash.as_str()), Ok(hash.clone()));
        let hashing = Hashing::default();
        for (password, right) in [("pencil", true), ("pencil ", false), ("Pencil", false)] {
            let said = hashing.verify(hash.clone(), SecretString::from(password.to_owned())).await;
            assert_eq!(said, Ok(right), "{password}");
        }
    }

    #[test]
    fn only_argon2id_within_bounds_is_taken() {
        let sound = Hash::make("x").unwrap().0;
        for (text, part) in [
            ("pencil".to_owned(), "not an argon2id"),
            (String::new(), "not an argon2id"),
            ("$2b$12$abcdefghijklmnopqrstuv".to_owned(), "not an argon2id"),
            (sound.replace("argon2id", "argon2i"), "not an argon2id"),
            (sound.replace("m=19456", "m=4000000"), "asks for more"),
            (sound.replace("t=2", "t=999"), "asks for more"),
        ] {
            assert!(Hash::read(&text).unwrap_err().contains(part), "{text}");
        }
    }
}
