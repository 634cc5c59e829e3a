//! Who somebody is: signing in, sessions, roles, tokens of the API.
//!
//! * [`People`] the ways in: a password, a passkey ([`passkeys`]), a code by mail, a provider ([`oidc`]), a link
//!   printed once
//! * [`session`] what is kept of somebody who signed in, and when that ends
//! * [`code_mail`] the mail with a code
//! * [`rates`] how often somebody may try
//! * [`scope`] what a token of the API is good for
//! * [`users`] accounts as an administrator sees them
//!
//! Roles are looked up with every request, so that a change of the configuration or of the accounts
//! counts at once; a session whose account changed has ended.

pub mod code_mail;
pub mod oidc;
pub mod passkeys;
pub mod rates;
pub mod scope;
pub mod session;
mod settings;
pub mod users;

pub use settings::{RoleNames, Settings};

use crate::accounts::guesses::Guesses;
use crate::accounts::key;
use crate::clock::{Clock, Timestamp};
use crate::desk::principal::{Principal, Roles, Via};
use crate::message::Address;
use crate::notice::OwnIntake;
use crate::policy::verdict::Language;
use crate::smtp::sasl::prepare::prepared;
use crate::store::{ApiTokenRow, CodeRow, Store, StoreError};
use crate::token::{Digest, NoRandomness, Token};
use oidc::Provider;
use rates::Rates;
use scope::Scopes;
use secrecy::{ExposeSecret, SecretString};
use session::{By, Kept};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// How long a code is good for.
pub const CODE_LASTS: Duration = Duration::from_mins(10);
/// How often one may be tried.
const CODE_TRIES: u32 = 5;
/// Digits of a code.
pub const CODE_DIGITS: usize = 8;
/// How long a link that signs in once is good for.
const ONCE_LASTS: Duration = Duration::from_hours(1);
/// Most characters of a name or a password.
const LONGEST: usize = 1_000;
/// A use is written down when the last one is so long ago.
const TOUCH: Duration = Duration::from_mins(1);

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// Not the right name, password, code or token; which, nobody learns.
    #[error("this is not right")]
    Wrong,
    /// Too many were wrong before: this one was not looked at.
    #[error("too many attempts: try again later")]
    TooMany,
    /// There is no way in of this kind here.
    #[error("this way of signing in is not offered here")]
    Off,
    /// Whoever was to be asked cannot answer.
    #[error("signing in is not possible just now: {0}")]
    Down(String),
    /// The store cannot answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<NoRandomness> for Denied {
    fn from(error: NoRandomness) -> Self {
        Self::Down(error.to_string())
    }
}

/// Everybody who may come to the desk.
pub struct People {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    post: Arc<dyn OwnIntake>,
    guesses: Arc<Guesses>,
    rates: Rates,
    settings: RwLock<Arc<Settings>>,
    /// What browsers were asked to sign with a passkey.
    questions: passkeys::Questions,
    /// The one link that signs in once, while there is one.
    once: Mutex<Option<(Digest, Timestamp, Principal)>>,
}

impl People {
    /// Nobody is here yet. `guesses` are shared with SMTP: the same bounds hold for both together.
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
            questions: passkeys::Questions::default(),
            once: Mutex::new(None),
        }
    }

    /// What holds now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts other settings into force.
    pub fn replace(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// How often somebody may try something.
    pub fn rates(&self) -> &Rates {
        &self.rates
    }

    /// The provider of OpenID Connect, where there is one.
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
        let guess = self.guesses.begin(&key(&user), from).ok_or(Denied::TooMany)?;
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
        let kept = Kept {
            name: account.name.clone(),
            addresses: account.addresses,
            roles: session::roles(&at_desk.roles),
            by: By::Password { stamp: at_desk.stamp },
        };
        self.sign_in(kept).await
    }

    /// Mails a code to an address, for this browser, if it may get one; the link in the mail goes on to
    /// `back`. Nothing in the answer or in the time it takes tells whether it did.
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
        if !self.rates.admit("code-source", &rates::source(from), 20, Duration::from_hours(1)) {
            return Err(Denied::TooMany);
        }
        let code = code()?;
        let now = self.clock.now();
        let row = CodeRow {
            browser: browser.digest(),
            person: address.clone(),
            code: code_digest(browser, &code),
            expires: now.plus(CODE_LASTS),
        };
        let gets_one = self.knows(address).await?
            && self.rates.admit("code-person", address.key(), 5, Duration::from_hours(1));
        if !gets_one {
            // A code that nobody has takes its place, so that trying one answers alike.
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

    /// Where a code was sent at this browser's wish, while it is good, and how often one may still be tried.
    pub async fn code_sent(&self, browser: &Token) -> Result<Option<(Address, u32)>, StoreError> {
        let sent = self.store.code_sent(browser.digest(), self.clock.now()).await?;
        Ok(sent.map(|(address, tries)| (address, CODE_TRIES.saturating_sub(tries))))
    }

    /// Signs in by the code that was mailed to whoever asked in this browser.
    pub async fn by_code(&self, code: &str, browser: &Token, from: IpAddr) -> Result<Token, Denied> {
        if !self.mails_codes() {
            return Err(Denied::Off);
        }
        if !self.rates.admit("code-try", &rates::source(from), 100, Duration::from_hours(1)) {
            return Err(Denied::TooMany);
        }
        let digits: String = code.chars().take(LONGEST).filter(char::is_ascii_digit).collect();
        let digest = code_digest(browser, &digits);
        let person = self.store.try_code(browser.digest(), digest, self.clock.now(), CODE_TRIES).await?;
        let address = person.ok_or(Denied::Wrong)?;
        // The configuration may have changed since.
        if !self.knows(&address).await? {
            return Err(Denied::Wrong);
        }
        self.sign_in(Kept {
            name: address.to_string(),
            addresses: vec![address],
            roles: Roles::default(),
            by: By::Code,
        })
        .await
    }

    /// Signs in whom the provider vouches for.
    pub async fn by_provider(&self, person: oidc::Person) -> Result<Token, Denied> {
        let provider = self.provider().ok_or(Denied::Off)?;
        // Whoever has an account somewhere is nobody here yet.
        let mut known = person.roles != Roles::default();
        for address in &person.addresses {
            known = known || self.knows(address).await?;
        }
        if !known {
            return Err(Denied::Wrong);
        }
        self.sign_in(Kept {
            name: person.name,
            addresses: person.addresses,
            roles: person.roles,
            by: By::Provider { stamp: provider.stamp() },
        })
        .await
    }

    /// Makes the link that signs this person in once; its path.
    pub fn once(&self, who: Principal) -> Result<String, NoRandomness> {
        let token = Token::new()?;
        let until = self.clock.now().plus(ONCE_LASTS);
        *self.once.lock().unwrap_or_else(PoisonError::into_inner) = Some((token.digest(), until, who));
        Ok(format!("/login/once/{}", token.text()))
    }

    /// Follows that link: from this machine only, and once.
    pub async fn by_once(&self, token: &str, from: IpAddr) -> Result<Token, Denied> {
        let token = Token::read(token).filter(|_| from.to_canonical().is_loopback()).ok_or(Denied::Wrong)?;
        let who = {
            let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
            let fits = once
                .as_ref()
                .is_some_and(|(digest, until, _)| *digest == token.digest() && self.clock.now() < *until);
            if fits { once.take() } else { None }
        };
        let (_, _, who) = who.ok_or(Denied::Wrong)?;
        self.sign_in(Kept { name: who.name, addresses: who.addresses, roles: who.roles, by: By::Once }).await
    }

    /// Whether an address may sign in by mail: it is ours, or the configuration gives it something to do.
    async fn knows(&self, address: &Address) -> Result<bool, StoreError> {
        let settings = self.settings();
        if settings.is_ours(address)
            || settings.roles_of("", std::slice::from_ref(address)) != Roles::default()
        {
            return Ok(true);
        }
        self.store.was_asked(&[address.key().to_owned()]).await
    }

    /// The roles of somebody who is signed in, as they are now.
    async fn roles_now(&self, kept: &Kept) -> Result<Roles, StoreError> {
        let mut roles = kept.roles.or(self.settings().roles_of(&kept.name, &kept.addresses));
        if !roles.approver && !kept.addresses.is_empty() {
            let keys: Vec<String> = kept.addresses.iter().map(|address| address.key().to_owned()).collect();
            roles.approver = self.store.was_asked(&keys).await?;
        }
        Ok(roles)
    }

    /// A token of the API: who shows it, and what it is good for.
    pub async fn by_token(&self, token: &str, from: IpAddr) -> Result<(Principal, Scopes), Denied> {
        let now = self.clock.now();
        let found = match Token::read(token) {
            Some(token) => self.store.api_token(token.digest(), now).await?,
            None => None,
        };
        let Some(row) = found else {
            let source = rates::source(from);
            let admitted = self.rates.admit("token-wrong", &source, 100, Duration::from_hours(1));
            return Err(if admitted { Denied::Wrong } else { Denied::TooMany });
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

/// Makes a token of the API; what programs show. The error is a sentence.
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
        return Err(format!("`{name}` is no name for a token: letters, digits, `-`, `_` and `.`, up to 64"));
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

/// A fresh code.
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
