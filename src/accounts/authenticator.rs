//! Verifies what clients claim in AUTH, limits failed attempts, and tells which addresses a user may send
//! from.

use super::guesses::{Guess, Guesses, Refused};
use super::{Account, Accounts, Down, Senders, key};
use crate::message::Address;
use crate::smtp::sasl::scram::Keys;
use crate::smtp::sasl::{Claim, Mechanisms};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// An authenticated user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account's name.
    pub name: String,
    /// The account's first address, if it has one.
    pub address: Option<Address>,
    /// The addresses it may send from.
    pub senders: Senders,
}

impl Identity {
    /// The name for log and records: its address, or the account's name if it has none.
    pub fn label(&self) -> String {
        self.address.as_ref().map_or_else(|| self.name.clone(), |address| address.as_str().to_owned())
    }
}

/// The result of verifying a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The claim is right.
    Right(Box<Identity>),
    /// The credentials are wrong: 535 5.7.8.
    Wrong,
    /// Not checked, because of too many failed attempts: 454 4.7.0.
    TooMany,
    /// The source of accounts is unavailable: 454 4.7.0.
    Down(Down),
}

impl From<Refused> for Decision {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooMany => Self::TooMany,
            Refused::Down(why) => Self::Down(Down(why)),
        }
    }
}

impl Decision {
    fn word(&self) -> &'static str {
        match self {
            Self::Right(_) => "right",
            Self::Wrong => "wrong",
            Self::TooMany => "too-many",
            Self::Down(_) => "down",
        }
    }
}

/// Metrics. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    auth: Family<ByResult, Counter>,
    refused: Family<ByWhy, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByWhy {
    why: &'static str,
}

impl Counts {
    /// Counts a refused sender. `why` is `mail-from`, `header`, `tenant`, `relay` or `journal`.
    pub fn refused(&self, why: &'static str) {
        self.refused.get_or_create(&ByWhy { why }).inc();
    }

    /// Registers the metrics.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("auth", "AUTH attempts of clients, by result", self.auth.clone());
        registry.register("refused_senders", "Transactions refused for their sender", self.refused.clone());
    }
}

/// Verifies claims.
pub struct Authenticator {
    accounts: Arc<dyn Accounts>,
    guesses: Arc<Guesses>,
    send_as: HashMap<String, Senders>,
    counts: Counts,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").finish_non_exhaustive()
    }
}

impl Authenticator {
    /// An authenticator. `send_as` are the addresses that users may send from in addition to their own, by
    /// [`key`].
    pub fn new(
        accounts: Arc<dyn Accounts>,
        guesses: Arc<Guesses>,
        send_as: HashMap<String, Senders>,
        counts: Counts,
    ) -> Self {
        Self { accounts, guesses, send_as, counts }
    }

    /// The mechanisms that the source of accounts supports.
    pub fn mechanisms(&self) -> Mechanisms {
        self.accounts.mechanisms()
    }

    /// Verifies a password or a token.
    pub async fn judge(&self, claim: &Claim, client: IpAddr) -> Decision {
        let decision = match self.guesses.open(&key(claim.user()), client).await {
            Err(refused) => refused.into(),
            Ok(guess) => {
                let said = match claim {
                    Claim::Password { user, password } => self.accounts.password(user, password).await,
                    Claim::Token { mechanism, user, token } => {
                        self.accounts.token(*mechanism, user, token).await
                    }
                    Claim::Lookup { .. } | Claim::Proof { .. } => Ok(None),
                };
                self.settle(&guess, said)
            }
        };
        self.count(&decision);
        decision
    }

    /// Begins SCRAM: returns the user's keys (made up if there is no such user) and the attempt, which
    /// counts as failed until [`Self::proof`].
    ///
    /// # Errors
    /// There were too many failed attempts, or the source of accounts is unavailable.
    pub async fn lookup(&self, user: &str, client: IpAddr) -> Result<(Keys, Guess), Decision> {
        let found = match self.guesses.open(&key(user), client).await {
            Err(refused) => Err(refused.into()),
            Ok(guess) => match self.accounts.keys(user) {
                Ok(keys) => Ok((keys, guess)),
                Err(down) => {
                    self.guesses.take_back(&guess);
                    Err(Decision::Down(down))
                }
            },
        };
        if let Err(decision) = &found {
            self.count(decision);
        }
        found
    }

    /// Ends SCRAM. `proven` says whether the client's proof was right.
    pub fn proof(&self, user: &str, guess: &Guess, proven: bool) -> Decision {
        let account = if proven { self.accounts.account(user) } else { None };
        let decision = self.settle(guess, Ok(account));
        self.count(&decision);
        decision
    }

    fn settle(&self, guess: &Guess, said: Result<Option<Account>, Down>) -> Decision {
        match said {
            Ok(Some(account)) => {
                self.guesses.right(guess);
                Decision::Right(Box::new(self.identity(account)))
            }
            Ok(None) => Decision::Wrong,
            Err(down) => {
                self.guesses.take_back(guess);
                Decision::Down(down)
            }
        }
    }

    fn identity(&self, account: Account) -> Identity {
        let also = self.send_as.get(&key(&account.name)).cloned().unwrap_or_default();
        let senders = also.with(&account);
        Identity { address: account.addresses.into_iter().next(), name: account.name, senders }
    }

    fn count(&self, decision: &Decision) {
        self.counts.auth.get_or_create(&ByResult { result: decision.word() }).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};
    use crate::smtp::sasl::Mechanism;
    use secrecy::{ExposeSecret, SecretString};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// One account, `hanako` with the password `pencil`. The password `down` makes the source fail.
    #[derive(Default)]
    struct One {
        asked: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Accounts for One {
        fn mechanisms(&self) -> Mechanisms {
            Mechanisms::of(&[Mechanism::Plain])
        }
        async fn probe(&self) -> Result<String, Down> {
            Ok(String::new())
        }
        async fn password(&self, user: &str, password: &SecretString) -> Result<Option<Account>, Down> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match password.expose_secret() {
                "down" => Err(Down("away".into())),
                "pencil" if key(user) == "hanako" => Ok(Some(Account {
                    name: "hanako".into(),
                    addresses: vec![Address::parse("hanako@example.co.jp").unwrap()],
                })),
                _ => Ok(None),
            }
        }
    }

    fn claim(user: &str, password: &str) -> Claim {
        Claim::Password { user: user.into(), password: SecretString::from(password.to_owned()) }
    }

    fn authenticator(accounts: Arc<One>) -> Authenticator {
        let clock = Arc::new(ManualClock::at(Timestamp(0)));
        let send_as = HashMap::from([(key("Hanako"), Senders::of(["soumu@example.co.jp"]).unwrap())]);
        Authenticator::new(accounts, Arc::new(Guesses::new(clock)), send_as, Counts::default())
    }

    #[tokio::test]
    async fn ten_thousand_guesses_ask_the_source_twenty_times() {
        let accounts = Arc::new(One::default());
        let authenticator = authenticator(Arc::clone(&accounts));
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        assert!(matches!(authenticator.judge(&claim("Hanako", "pencil"), home).await, Decision::Right(_)));
        for number in 0..10_000_u32 {
            let from = IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number % 200));
            let user = if number % 2 == 0 { "hanako" } else { "HANAKO" };
            let said = authenticator.judge(&claim(user, &format!("guess {number}")), from).await;
            assert!(matches!(said, Decision::Wrong | Decision::TooMany));
        }
        assert_eq!(accounts.asked.load(Ordering::Relaxed), 1 + super::super::guesses::PER_ACCOUNT);
        let stranger: IpAddr = "10.0.0.7".parse().unwrap();
        assert_eq!(authenticator.judge(&claim("hanako", "pencil"), stranger).await, Decision::TooMany);
        let at_home = authenticator.judge(&claim("hanako", "pencil"), home).await;
        assert!(matches!(at_home, Decision::Right(_)), "a user from their usual source may sign in");
    }

    #[tokio::test]
    async fn an_identity_has_its_own_and_its_configured_addresses() {
        let authenticator = authenticator(Arc::default());
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        let Decision::Right(identity) = authenticator.judge(&claim("HANAKO", "pencil"), home).await else {
            panic!("not believed");
        };
        assert_eq!(identity.label(), "hanako@example.co.jp");
        for (address, owned) in
            [("hanako@example.co.jp", true), ("soumu@example.co.jp", true), ("taro@example.co.jp", false)]
        {
            assert_eq!(identity.senders.contain(&Address::parse(address).unwrap()), owned, "{address}");
        }
    }

    #[tokio::test]
    async fn a_source_that_is_down_uses_up_no_guess() {
        let authenticator = authenticator(Arc::default());
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..1_000 {
            let said = authenticator.judge(&claim("hanako", "down"), home).await;
            assert!(matches!(said, Decision::Down(_)));
        }
        assert!(matches!(authenticator.judge(&claim("hanako", "pencil"), home).await, Decision::Right(_)));
    }
}
