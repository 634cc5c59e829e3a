//! Caches right passwords for a minute, because mail clients authenticate for every message and the source
//! of accounts may be slow. The cache stores a keyed hash of name and password; the key exists only in
//! this process. Wrong passwords are not cached.

use super::{Account, key};
use crate::clock::{Clock, Timestamp};
use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long an entry is valid.
const FRESH: Duration = Duration::from_mins(1);
/// Most entries.
const MOST: usize = 10_000;

/// The cache of right passwords.
pub struct Remembered {
    clock: Arc<dyn Clock>,
    secret: hmac::Key,
    answers: Mutex<HashMap<Vec<u8>, (Account, Timestamp)>>,
}

impl Remembered {
    /// An empty cache.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a key, which no history depends on")]
        let secret: [u8; 32] = rand::random();
        Self { clock, secret: hmac::Key::new(hmac::HMAC_SHA256, &secret), answers: Mutex::default() }
    }

    fn hash(&self, user: &str, secret: &SecretString) -> Vec<u8> {
        let user = key(user);
        let mut context = hmac::Context::with_key(&self.secret);
        context.update(&(user.len() as u64).to_be_bytes());
        context.update(user.as_bytes());
        context.update(secret.expose_secret().as_bytes());
        context.sign().as_ref().to_vec()
    }

    /// The account, if these credentials were right within the last minute.
    pub fn recall(&self, user: &str, secret: &SecretString) -> Option<Account> {
        let now = self.clock.now();
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (account, at) = answers.get(&self.hash(user, secret))?;
        (*at <= now && now.since(*at) < FRESH).then(|| account.clone())
    }

    /// Adds credentials that were right.
    pub fn keep(&self, user: &str, secret: &SecretString, account: &Account) {
        let now = self.clock.now();
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST {
            answers.retain(|_, (_, at)| *at <= now && now.since(*at) < FRESH);
        }
        if answers.len() < MOST {
            answers.insert(self.hash(user, secret), (account.clone(), now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn for_a_minute_and_for_the_same_words_only() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let remembered = Remembered::new(clock.clone());
        let secret = |text: &str| SecretString::from(text.to_owned());
        let account = Account::named("hanako@example.co.jp");
        remembered.keep("hanako@example.co.jp", &secret("pencil"), &account);
        assert_eq!(remembered.recall("Hanako@example.co.jp", &secret("pencil")), Some(account));
        assert_eq!(remembered.recall("hanako@example.co.jp", &secret("pen")), None);
        assert_eq!(remembered.recall("hanako@example.co.j", &secret("ppencil")), None);
        clock.advance_millis(60_000);
        assert_eq!(remembered.recall("hanako@example.co.jp", &secret("pencil")), None);
    }
}
