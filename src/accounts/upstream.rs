//! Accounts at the upstream: a password is right if the upstream accepts it, over TLS with a verified
//! certificate. Passwords are not stored; the relay sends mail with its own account.

use super::remembered::Remembered;
use super::{Account, Accounts, Down};
use crate::clock::Clock;
use crate::smtp::sasl::{Mechanism, Mechanisms};
use async_trait::async_trait;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Timeout for one verification.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most concurrent verifications.
const AT_ONCE: usize = 8;

/// The credentials of a user.
#[derive(Clone, Debug)]
pub enum Proof {
    /// A password.
    Password(SecretString),
    /// A bearer token, to be passed on with the same mechanism.
    Token(Mechanism, SecretString),
}

/// Verifies credentials at the upstream.
#[async_trait]
pub trait Judge: Send + Sync + 'static {
    /// Whether the credentials are right.
    ///
    /// # Errors
    /// They cannot be verified now; a text for the log.
    async fn is_right(&self, user: &str, proof: Proof) -> Result<bool, String>;
}

/// Accounts at the upstream.
pub struct UpstreamAccounts {
    judge: Arc<dyn Judge>,
    turns: Semaphore,
    remembered: Remembered,
}

impl UpstreamAccounts {
    /// Accounts verified by `judge`.
    pub fn new(judge: Arc<dyn Judge>, clock: Arc<dyn Clock>) -> Self {
        Self { judge, turns: Semaphore::new(AT_ONCE), remembered: Remembered::new(clock) }
    }

    async fn ask(&self, user: &str, secret: &SecretString, proof: Proof) -> Result<Option<Account>, Down> {
        if let Some(account) = self.remembered.recall(user, secret) {
            return Ok(Some(account));
        }
        let all = async {
            let _turn = self.turns.acquire().await;
            self.judge.is_right(user, proof).await
        };
        match tokio::time::timeout(PATIENCE, all).await {
            Ok(Ok(true)) => {
                let account = Account::named(user);
                self.remembered.keep(user, secret, &account);
                Ok(Some(account))
            }
            Ok(Ok(false)) => Ok(None),
            Ok(Err(why)) => Err(Down(why)),
            Err(_) => Err(Down("the upstream does not answer in time".to_owned())),
        }
    }
}

#[async_trait]
impl Accounts for UpstreamAccounts {
    fn mechanisms(&self) -> Mechanisms {
        Mechanisms::of(&[Mechanism::Plain, Mechanism::Login, Mechanism::OauthBearer, Mechanism::Xoauth2])
    }

    async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down> {
        self.ask(user, password, Proof::Password(password.clone())).await
    }

    async fn probe(&self) -> Result<String, Down> {
        Ok("accounts are verified at the upstream".to_owned())
    }

    async fn token(
        &self,
        mechanism: Mechanism,
        user: &str,
        token: &SecretString,
    ) -> Result<Option<Account>, Down> {
        self.ask(user, token, Proof::Token(mechanism, token.clone())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use secrecy::ExposeSecret;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[derive(Default)]
    struct Server {
        asked: AtomicUsize,
    }

    #[async_trait]
    impl Judge for Server {
        async fn is_right(&self, user: &str, proof: Proof) -> Result<bool, String> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let (Proof::Password(secret) | Proof::Token(_, secret)) = proof;
            match secret.expose_secret() {
                "down" => Err("away".into()),
                secret => Ok(user == "hanako@example.co.jp" && secret == "pencil"),
            }
        }
    }

    #[tokio::test]
    async fn right_is_asked_for_once_a_minute_and_wrong_every_time() {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let server = Arc::new(Server::default());
        let accounts = UpstreamAccounts::new(server.clone(), clock.clone());
        let secret = |text: &str| SecretString::from(text.to_owned());
        let hanako = "hanako@example.co.jp";
        for _ in 0..3 {
            assert_eq!(accounts.password(hanako, &secret("pencil")).await, Ok(Some(Account::named(hanako))));
        }
        assert_eq!(server.asked.load(Ordering::Relaxed), 1);
        for _ in 0..3 {
            assert_eq!(accounts.password(hanako, &secret("pen")).await, Ok(None));
        }
        assert_eq!(server.asked.load(Ordering::Relaxed), 4);
        assert!(accounts.password(hanako, &secret("down")).await.is_err());
        clock.advance_millis(60_000);
        assert!(accounts.token(Mechanism::Xoauth2, hanako, &secret("pencil")).await.unwrap().is_some());
        assert_eq!(server.asked.load(Ordering::Relaxed), 6);
    }
}
