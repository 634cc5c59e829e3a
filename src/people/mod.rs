//! Identity at the desk: signing in, sessions, roles, API tokens.
//!
//! * [`People`] the ways to sign in: password, passkey ([`passkeys`]), code by mail, OpenID provider
//!   ([`oidc`]), one-time link
//!
//! * [`session`] sessions, and when they end
//!
//! * [`code_mail`] the mail with a code
//!
//! * [`rates`] limits on attempts
//!
//! * [`scope`] what an API token may do
//!
//! * [`users`] accounts as an administrator sees them
//!
//! Roles are looked up for every request, so that changes of the configuration and of accounts apply at once.
//! A session ends when its account changes.

pub mod code_mail;
pub mod oidc;
pub mod passkeys;
pub mod rates;
pub mod scope;
pub mod session;
mod settings;
pub mod users;

pub use settings::{RoleNames, Settings};

use crate::accounts::guesses::{Guesses, Refused};
use crate::accounts::key;
use crate::clock::{Clock, Timestamp};
use crate::desk::principal::{Principal, Roles, Via};
use crate::message::Address;
use crate::notice::OwnIntake;
use crate::policy::verdict::Language;
use crate::smtp::sasl::prepare::prepared;
use crate::store::shared::{ATTEMPTS_COUNT, Limited, Once};
use crate::store::{ApiTokenRow, CodeRow, Store, StoreError};
use crate::token::{Digest, NoRandomness, Token};
use oidc::Provider;
use rates::Rates;
use scope::Scopes;
use secrecy::{ExposeSecret, SecretString};
use session::{By, StoredLogin};
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// How long a code is valid.
pub const CODE_LASTS: Duration = Duration::from_mins(10);
/// How often a code may be tried.
const CODE_TRIES: u32 = 5;
/// Digits of a code.
pub const CODE_DIGITS: usize = 8;
/// How long a one-time link is valid.
const ONCE_LASTS: Duration = Duration::from_hours(1);
/// Maximum number of characters of a name or a password.
const LONGEST: usize = 1_000;
/// A use is recorded if the last recorded use is this long ago.
const TOUCH: Duration = Duration::from_mins(1);

/// Why a sign-in was refused.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// The name, password, code or token is wrong; the client is not told which.
    #[error("wrong name, password, code or token")]
    Wrong,
    /// Too many attempts failed before; this one was not checked.
    #[error("too many attempts: try again later")]
    TooMany,
    /// This way to sign in is not offered.
    #[error("this way of signing in is not offered here")]
    Off,
    /// A service that is needed does not respond.
    #[error("signing in is not possible just now: {0}")]
    Down(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoRandomness> for Denied {
    fn from(error: NoRandomness) -> Self {
        Self::Down(error.to_string())
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::TooMany => Self::TooMany,
            Refused::Down(why) => Self::Down(why),
        }
    }
}

/// Everybody who may use the desk.
pub struct People {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    post: Arc<dyn OwnIntake>,
    guesses: Arc<Guesses>,
    rates: Rates,
    settings: RwLock<Arc<Settings>>,
}

impl People {
    /// Nobody is signed in yet. `guesses` is shared with SMTP, so that its limits apply to both together.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        post: Arc<dyn OwnIntake>,
        guesses: Arc<Guesses>,
        settings: Settings,
    ) -> Self {
        Self {
            store,
            rates: Rates::new(Arc::clone(&clock)),
            clock,
            post,
            guesses,
            settings: RwLock::new(Arc::new(settings)),
        }
    }

    /// The current settings.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the settings.
    pub fn replace(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// Whether `who` may do `what` once more, at most `most` times within an hour; relays that share a database
    /// count together.
    ///
    /// # Errors
    /// There were too many attempts, or the store failed.
    pub async fn admit(&self, what: &str, who: &str, most: usize) -> Result<(), Denied> {
        if !self.rates.admit(what, who, most, ATTEMPTS_COUNT) {
            return Err(Denied::TooMany);
        }
        if !self.store.is_shared() {
            return Ok(());
        }
        let name = Digest::of(&[b"attempt", what.as_bytes(), who.as_bytes()]);
        let admitted = self.store.attempt(vec![Limited { name, most }], self.clock.now()).await?;
        admitted.map(drop).ok_or(Denied::TooMany)
    }

    /// The OpenID Connect provider, if there is one.
    pub fn provider(&self) -> Option<Arc<Provider>> {
        self.settings().provider.clone()
    }

    /// Whether there are accounts with passwords.
    pub fn has_passwords(&self) -> bool {
        self.settings().accounts.is_some()
    }

    /// Whether codes are mailed.
    pub fn mails_codes(&self) -> bool {
        self.settings().mail_codes
    }

    /// Signs in by name and password.
    ///
    /// # Errors
    /// The password is wrong, there were too many attempts, or accounts or store do not respond.
    pub async fn by_password(
        &self,
        user: &str,
        password: &SecretString,
        from: IpAddr,
    ) -> Result<Token, Denied> {
        let accounts = self.settings().accounts.clone().ok_or(Denied::Off)?;
        let wanted = prepared(user.trim()).filter(|user| user.chars().count() <= LONGEST);
        let secret = prepared(password.expose_secret()).filter(|text| text.chars().count() <= LONGEST);
        let (Some(user), Some(secret)) = (wanted, secret) else { return Err(Denied::Wrong) };
        let guess = self.guesses.open(&key(&user), from).await?;
        let account = match accounts.password(&user, &SecretString::from(secret)).await {
            Ok(Some(account)) => account,
            Ok(None) => return Err(Denied::Wrong),
            Err(down) => {
                self.guesses.take_back(&guess);
                return Err(Denied::Down(down.0));
            }
        };
        self.guesses.right(&guess);
        let at_desk = accounts.at_desk(&account.name).ok_or(Denied::Wrong)?;
        let kept = StoredLogin {
            name: account.name.clone(),
            addresses: account.addresses,
            roles: session::roles(&at_desk.roles),
            by: By::Password { stamp: at_desk.stamp },
        };
        self.sign_in(kept).await
    }

    /// Mails a code to this address, for this browser, if the address may sign in. The link in the mail leads
    /// to `back`. Neither the answer nor its time reveals whether a code was sent.
    ///
    /// # Errors
    /// Codes are off, too many were requested, or there is no randomness or no store.
    pub async fn ask_code(
        self: &Arc<Self>,
        address: &Address,
        browser: &Token,
        language: Language,
        back: &str,
        from: IpAddr,
    ) -> Result<(), Denied> {
        if !self.mails_codes() {
            return Err(Denied::Off);
        }
        self.admit("code-source", &rates::source(from), 20).await?;
        let code = code()?;
        let now = self.clock.now();
        let row = CodeRow {
            browser: browser.digest(),
            person: address.clone(),
            code: code_digest(browser, &code),
            expires: now.plus(CODE_LASTS),
        };
        let gets_one = self.knows(address).await?
            && match self.admit("code-person", address.key(), 5).await {
                Ok(()) => true,
                Err(Denied::TooMany) => false,
                Err(other) => return Err(other),
            };
        if !gets_one {
            // An unusable code is stored, so that trying it behaves the same.
            self.store.put_code(CodeRow { code: browser.digest(), ..row }, now).await?;
            return Ok(());
        }
        self.store.put_code(row, now).await?;
        let settings = self.settings();
        let mail = code_mail::compose(&settings.letter, address, &code, language, back, now)
            .map_err(|error| Denied::Down(error.to_string()))?;
        let people = Arc::clone(self);
        tokio::spawn(async move {
            match people.post.own(mail).await {
                Ok(id) => tracing::info!(%id, "a code to sign in was mailed"),
                Err(error) => tracing::warn!(%error, "a code to sign in could not be mailed"),
            }
        });
        Ok(())
    }

    /// The address that this browser's code was sent to, while it is valid, and how many tries are left.
    ///
    /// # Errors
    /// The store failed.
    pub async fn code_sent(&self, browser: &Token) -> Result<Option<(Address, u32)>, StoreError> {
        let sent = self.store.code_sent(browser.digest(), self.clock.now()).await?;
        Ok(sent.map(|(address, tries)| (address, CODE_TRIES.saturating_sub(tries))))
    }

    /// Signs in with a code that was mailed at the request of this browser.
    ///
    /// # Errors
    /// The code is wrong, expired or tried too often, or the store failed.
    pub async fn by_code(&self, code: &str, browser: &Token, from: IpAddr) -> Result<Token, Denied> {
        if !self.mails_codes() {
            return Err(Denied::Off);
        }
        self.admit("code-try", &rates::source(from), 100).await?;
        let digits: String = code.chars().take(LONGEST).filter(char::is_ascii_digit).collect();
        let digest = code_digest(browser, &digits);
        let person = self.store.try_code(browser.digest(), digest, self.clock.now(), CODE_TRIES).await?;
        let address = person.ok_or(Denied::Wrong)?;
        // The configuration may have changed since the code was sent.
        if !self.knows(&address).await? {
            return Err(Denied::Wrong);
        }
        self.sign_in(StoredLogin {
            name: address.to_string(),
            addresses: vec![address],
            roles: Roles::default(),
            by: By::Code,
        })
        .await
    }

    /// Signs in a person whom the OpenID provider identified.
    ///
    /// # Errors
    /// There is no provider, the person is not known here, or the store failed.
    pub async fn by_provider(&self, person: oidc::Person) -> Result<Token, Denied> {
        let provider = self.provider().ok_or(Denied::Off)?;
        // An account at the provider alone gives no access.
        let mut known = person.roles != Roles::default();
        for address in &person.addresses {
            known = known || self.knows(address).await?;
        }
        if !known {
            return Err(Denied::Wrong);
        }
        self.sign_in(StoredLogin {
            name: person.name,
            addresses: person.addresses,
            roles: person.roles,
            by: By::Provider { stamp: provider.stamp() },
        })
        .await
    }

    /// Makes a link that signs this person in once; returns its path.
    ///
    /// # Errors
    /// The system gives no random bits, or the store failed.
    pub async fn once(&self, who: Principal) -> Result<String, Denied> {
        let token = Token::new()?;
        let login = StoredLogin { name: who.name, addresses: who.addresses, roles: who.roles, by: By::Once };
        let text = serde_json::to_string(&login).map_err(|error| Denied::Down(error.to_string()))?;
        let now = self.clock.now();
        self.store.put_once(Once::Login, token.digest(), text, now.plus(ONCE_LASTS), now).await?;
        Ok(format!("/login/once/{}", token.text()))
    }

    /// Signs in by that link: only from this machine, and only once, whichever relay is asked.
    ///
    /// # Errors
    /// The link is wrong, expired or used, or the store failed.
    pub async fn by_once(&self, token: &str, from: IpAddr) -> Result<Token, Denied> {
        let token = Token::read(token).filter(|_| from.to_canonical().is_loopback()).ok_or(Denied::Wrong)?;
        let kept = self.store.take_once(Once::Login, token.digest(), self.clock.now()).await?;
        let login = kept.and_then(|text| serde_json::from_str::<StoredLogin>(&text).ok());
        self.sign_in(login.ok_or(Denied::Wrong)?).await
    }

    /// Whether an address may sign in by mail: it is ours, or it has a role, or it was asked to decide.
    async fn knows(&self, address: &Address) -> Result<bool, StoreError> {
        let settings = self.settings();
        if settings.is_ours(address)
            || settings.roles_of("", std::slice::from_ref(address)) != Roles::default()
        {
            return Ok(true);
        }
        self.store.was_asked(&[address.key().to_owned()]).await
    }

    /// The current roles of somebody who is signed in.
    async fn roles_now(&self, kept: &StoredLogin) -> Result<Roles, StoreError> {
        let mut roles = kept.roles.or(self.settings().roles_of(&kept.name, &kept.addresses));
        if !roles.approver && !kept.addresses.is_empty() {
            let keys: Vec<String> = kept.addresses.iter().map(|address| address.key().to_owned()).collect();
            roles.approver = self.store.was_asked(&keys).await?;
        }
        Ok(roles)
    }

    /// Checks an API token; returns whose it is and what it may do.
    ///
    /// # Errors
    /// The token is wrong or expired, there were too many wrong ones, or the store failed.
    pub async fn by_token(&self, token: &str, from: IpAddr) -> Result<(Principal, Scopes), Denied> {
        let now = self.clock.now();
        let found = match Token::read(token) {
            Some(token) => self.store.api_token(token.digest(), now).await?,
            None => None,
        };
        let Some(row) = found else {
            self.admit("token-wrong", &rates::source(from), 100).await?;
            return Err(Denied::Wrong);
        };
        if row.used.is_none_or(|used| now.since(used) > TOUCH) {
            self.store.touch_api_token(row.hash, now).await?;
        }
        let scopes = Scopes::of(&row.scopes);
        let roles = scopes.roles();
        let name = format!("token {}", row.name);
        Ok((Principal { name, addresses: Vec::new(), roles, via: Via::Token }, scopes))
    }
}

/// Adds an API token; returns its secret text.
///
/// # Errors
/// The name is invalid or taken, `expires` is past, or the store failed. The text is for people.
pub async fn add_token(
    store: &dyn Store,
    name: &str,
    scopes: Scopes,
    expires: Option<Timestamp>,
    by: &str,
    now: Timestamp,
) -> Result<String, String> {
    let sound = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !sound {
        return Err(format!(
            "`{name}` is not a valid name for a token: letters, digits, `-`, `_` and `.`, up to 64"
        ));
    }
    if expires.is_some_and(|at| at <= now) {
        return Err("the token would have ended already".to_owned());
    }
    let token = Token::new().map_err(|error| error.to_string())?;
    let row = ApiTokenRow {
        name: name.to_owned(),
        hash: token.digest(),
        scopes: scopes.texts(),
        made_by: by.to_owned(),
        made: now,
        used: None,
        expires,
    };
    match store.add_api_token(row).await {
        Ok(true) => Ok(token.text().to_owned()),
        Ok(false) => {
            Err(format!("there is a token `{name}` already: `sekisho token remove {name}` takes it away"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A random code.
fn code() -> Result<String, NoRandomness> {
    let token = Token::new()?;
    let bits = u64::from_be_bytes(token.digest().0[..8].try_into().map_err(|_| NoRandomness)?);
    Ok(format!("{:0width$}", bits % 10_u64.pow(8), width = CODE_DIGITS))
}

fn code_digest(browser: &Token, code: &str) -> Digest {
    Digest::of(&[b"code", browser.text().as_bytes(), code.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_eight_digits_and_fit_one_browser() {
        let code = code().unwrap();
        assert_eq!(code.len(), CODE_DIGITS);
        assert!(code.bytes().all(|byte| byte.is_ascii_digit()));
        let (one, other) = (Token::new().unwrap(), Token::new().unwrap());
        assert_eq!(code_digest(&one, &code), code_digest(&one, &code));
        assert_ne!(code_digest(&one, &code), code_digest(&other, &code));
    }
}
