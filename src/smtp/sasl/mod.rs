//! The server side of SASL (RFC 4422) without I/O: reads what a client sends after AUTH, step by step.
//!
//! * [`Exchange`] one exchange: responses in, challenges and a [`Claim`] out
//! * [`scram`] SCRAM-SHA-256 (RFC 5802, RFC 7677)
//! * [`prepare`] normalises names and passwords for comparison
//!
//! This module has no access to accounts; the driver of the session verifies the claim.

pub mod prepare;
pub mod scram;

use prepare::prepared;
use secrecy::{ExposeSecret, SecretString};

/// Longest line of an exchange in octets, CRLF included (RFC 4954 §4 requires 12,288).
pub const MAX_LINE: usize = 12_288;
/// Longest user name in octets.
const MAX_USER: usize = 320;
/// Longest password in octets.
const MAX_PASSWORD: usize = 1_024;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// SCRAM-SHA-256 without channel binding (RFC 7677).
    ScramSha256,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN: asks for user name and password one after the other. It has no RFC.
    Login,
    /// OAUTHBEARER (RFC 7628).
    OauthBearer,
    /// XOAUTH2, the predecessor of OAUTHBEARER, which is still more common.
    Xoauth2,
}

impl Mechanism {
    /// All mechanisms, in order of preference.
    pub const ALL: [Self; 5] =
        [Self::ScramSha256, Self::Plain, Self::Login, Self::OauthBearer, Self::Xoauth2];

    /// The name it has in SMTP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::OauthBearer => "OAUTHBEARER",
            Self::Xoauth2 => "XOAUTH2",
        }
    }

    /// The mechanism with this name, compared case-insensitively.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of mechanisms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mechanisms(u8);

impl Mechanisms {
    /// The set of these mechanisms.
    pub fn of(list: &[Mechanism]) -> Self {
        Self(list.iter().fold(0, |set, mechanism| set | mechanism.bit()))
    }

    /// Whether `mechanism` is in the set.
    pub const fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The mechanisms in the set, in order of preference.
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |mechanism| self.contains(*mechanism))
    }
}

/// What a client claims about itself. The driver has to verify it.
#[derive(Clone, Debug)]
pub enum Claim {
    /// A user name and a password, both in prepared form (see [`prepare`]).
    Password {
        /// User name.
        user: String,
        /// Password; never empty.
        password: SecretString,
    },
    /// A bearer token, to be verified by its issuer.
    Token {
        /// OAUTHBEARER or XOAUTH2.
        mechanism: Mechanism,
        /// User name.
        user: String,
        /// The token, without the word `Bearer`.
        token: SecretString,
    },
    /// SCRAM has begun: the driver looks up the user's keys and calls
    /// [`Session::keys`](super::Session::keys).
    Lookup {
        /// User name.
        user: String,
    },
    /// SCRAM has ended.
    Proof {
        /// User name.
        user: String,
        /// Whether the client has proved that it knows the password.
        proven: bool,
    },
}

impl Claim {
    /// The user name that is claimed.
    pub fn user(&self) -> &str {
        match self {
            Self::Password { user, .. }
            | Self::Token { user, .. }
            | Self::Lookup { user }
            | Self::Proof { user, .. } => user,
        }
    }
}

/// What to do after a response.
#[derive(Debug)]
pub(super) enum Step {
    /// Send this challenge and wait for the next response.
    Challenge(Vec<u8>),
    /// Ask the driver to verify this claim.
    Claim(Claim),
    /// End the exchange with this reply: code with enhanced code, and text.
    Wrong(&'static str, &'static str),
}

/// The state of an exchange that waits for the client's next response.
#[derive(Debug)]
pub(super) enum Exchange {
    Plain,
    LoginUser,
    LoginPassword {
        user: String,
    },
    ScramFirst,
    /// The driver is looking up the user's keys.
    ScramLookup(scram::ClientFirst),
    ScramFinal(Box<scram::Server>),
    /// The server's signature was sent; the client acknowledges it with an empty response.
    ScramDone {
        user: String,
    },
    Token(Mechanism),
    /// A token was refused and the error was sent as a challenge. Any response fails the exchange.
    Refused,
}

/// The error sent to a client whose token is refused (RFC 7628 §3.2.2).
pub(super) const INVALID_TOKEN: &[u8] = br#"{"status":"invalid_token"}"#;

/// The reply to a malformed response.
const MALFORMED: Step = Step::Wrong("501 5.5.2", "the response is malformed for this mechanism");
/// The reply to a name or password that no account can have.
const NOBODY: Step = Step::Wrong("535 5.7.8", "the credentials are wrong");

impl Exchange {
    pub(super) fn new(mechanism: Mechanism) -> Self {
        match mechanism {
            Mechanism::ScramSha256 => Self::ScramFirst,
            Mechanism::Plain => Self::Plain,
            Mechanism::Login => Self::LoginUser,
            Mechanism::OauthBearer | Mechanism::Xoauth2 => Self::Token(mechanism),
        }
    }

    /// The first challenge, sent if the client gave no initial response.
    pub(super) fn opening(&self) -> &'static [u8] {
        if matches!(self, Self::LoginUser) { b"Username:" } else { b"" }
    }

    /// Processes the client's next response, already decoded from base64.
    pub(super) fn step(&mut self, response: &[u8]) -> Step {
        match self {
            Self::Plain => plain(response),
            Self::LoginUser => {
                let Some(user) = user(response) else { return NOBODY };
                *self = Self::LoginPassword { user };
                Step::Challenge(b"Password:".to_vec())
            }
            Self::LoginPassword { user } => password(std::mem::take(user), response),
            Self::ScramFirst => match scram::ClientFirst::read(response) {
                Ok(first) => {
                    let Some(user) = user(first.user.as_bytes()) else { return NOBODY };
                    *self = Self::ScramLookup(first);
                    Step::Claim(Claim::Lookup { user })
                }
                Err(why) => Step::Wrong("501 5.5.2", why),
            },
            Self::ScramFinal(server) => match server.verify(response) {
                Ok(Some(signature)) => {
                    let user = server.user().to_owned();
                    *self = Self::ScramDone { user };
                    Step::Challenge(signature)
                }
                Ok(None) => Step::Claim(Claim::Proof { user: server.user().to_owned(), proven: false }),
                Err(why) => Step::Wrong("501 5.5.2", why),
            },
            Self::ScramDone { user } if response.is_empty() => {
                Step::Claim(Claim::Proof { user: std::mem::take(user), proven: true })
            }
            // ScramLookup: the session passes no response on while it waits for the driver.
            Self::ScramLookup(_) | Self::ScramDone { .. } => MALFORMED,
            Self::Token(mechanism) => token(*mechanism, response),
            Self::Refused => NOBODY,
        }
    }

    /// Continues SCRAM with the keys from the driver; returns the server's first message.
    pub(super) fn keys(&mut self, keys: scram::Keys, nonce: &str) -> Option<Vec<u8>> {
        let Self::ScramLookup(first) = self else { return None };
        let user = prepared(&first.user)?;
        let (server, challenge) = scram::Server::new(std::mem::take(first), user, keys, nonce);
        *self = Self::ScramFinal(Box::new(server));
        Some(challenge)
    }
}

/// `[authzid] NUL authcid NUL passwd` (RFC 4616 §2).
fn plain(response: &[u8]) -> Step {
    let mut parts = response.split(|octet| *octet == 0);
    let (Some(acting), Some(name), Some(secret), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return MALFORMED;
    };
    let Some(name) = user(name) else { return NOBODY };
    // No user may act for another one.
    if !acting.is_empty() && user(acting).as_ref() != Some(&name) {
        return Step::Wrong("535 5.7.8", "acting for another user is not allowed");
    }
    password(name, secret)
}

fn user(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_USER)?;
    prepared(name)
}

/// Rejects an empty password here: an LDAP server would accept it as an unauthenticated bind
/// (RFC 4513 §5.1.2).
fn password(user: String, password: &[u8]) -> Step {
    let password = std::str::from_utf8(password).ok().filter(|text| text.len() <= MAX_PASSWORD);
    match password.and_then(prepared) {
        Some(password) => Step::Claim(Claim::Password { user, password: SecretString::from(password) }),
        None => NOBODY,
    }
}

/// Parses `user=NAME ^A auth=Bearer TOKEN ^A ^A` (XOAUTH2) or
/// `n,a=NAME, ^A … auth=Bearer TOKEN ^A ^A` (OAUTHBEARER, RFC 7628 §3.1).
fn token(mechanism: Mechanism, response: &[u8]) -> Step {
    let Ok(text) = std::str::from_utf8(response) else { return MALFORMED };
    let Some(text) = text.strip_suffix("\u{1}\u{1}") else { return MALFORMED };
    let (first, pairs) = text.split_once('\u{1}').unwrap_or((text, ""));
    let name = match mechanism {
        Mechanism::Xoauth2 => first.strip_prefix("user=").map(str::to_owned),
        _ => bearer_user(first),
    };
    let token = pairs.split('\u{1}').find_map(|pair| pair.strip_prefix("auth="));
    let token = token.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        let sound = !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic());
        (scheme.eq_ignore_ascii_case("bearer") && sound).then_some(token)
    });
    match (name.and_then(|name| user(name.as_bytes())), token) {
        (Some(user), Some(token)) => {
            Step::Claim(Claim::Token { mechanism, user, token: SecretString::from(token.to_owned()) })
        }
        _ => MALFORMED,
    }
}

/// The user name in a GS2 header without channel binding: `n,a=NAME,`.
fn bearer_user(header: &str) -> Option<String> {
    let name = header.strip_prefix("n,a=").or_else(|| header.strip_prefix("y,a="))?.strip_suffix(',')?;
    scram::read_name(name)
}

/// The initial response that a client sends for a token.
pub fn token_response(mechanism: Mechanism, user: &str, token: &SecretString) -> SecretString {
    let token = token.expose_secret();
    SecretString::from(match mechanism {
        Mechanism::OauthBearer => {
            let user = user.replace('=', "=3D").replace(',', "=2C");
            format!("n,a={user},\u{1}auth=Bearer {token}\u{1}\u{1}")
        }
        _ => format!("user={user}\u{1}auth=Bearer {token}\u{1}\u{1}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one response to a new exchange; returns a description of the result.
    fn one(mechanism: Mechanism, response: &[u8]) -> String {
        told(Exchange::new(mechanism).step(response))
    }

    fn told(step: Step) -> String {
        match step {
            Step::Challenge(text) => format!("? {}", String::from_utf8_lossy(&text)),
            Step::Claim(Claim::Password { user, password }) => {
                format!("{user} / {}", password.expose_secret())
            }
            Step::Claim(Claim::Token { user, token, .. }) => {
                format!("{user} bears {}", token.expose_secret())
            }
            Step::Claim(Claim::Lookup { user }) => format!("{user}?"),
            Step::Claim(Claim::Proof { user, proven }) => format!("{user} {proven}"),
            Step::Wrong(code, _) => code.to_owned(),
        }
    }

    #[test]
    fn responses_are_read() {
        use Mechanism::{Login, OauthBearer, Plain, ScramSha256, Xoauth2};
        let long = format!("\0{}\0p", "u".repeat(400));
        let cases: &[(Mechanism, &[u8], &str)] = &[
            (Plain, b"\0hanako\0secret", "hanako / secret"),
            (Plain, b"hanako\0hanako\0secret", "hanako / secret"),
            (Plain, b"taro\0hanako\0secret", "535 5.7.8"),
            (Plain, "\0花子\0ﾊﾟｽ".as_bytes(), "花子 / パス"),
            (Plain, b"\0hanako\0", "535 5.7.8"),
            (Plain, b"\0\0secret", "535 5.7.8"),
            (Plain, b"hanako\0secret", "501 5.5.2"),
            (Plain, b"\0hanako\0secret\0x", "501 5.5.2"),
            (Plain, b"", "501 5.5.2"),
            (Plain, b"\0\xff\0secret", "535 5.7.8"),
            (Plain, b"\0hana\nko\0secret", "535 5.7.8"),
            (Plain, long.as_bytes(), "535 5.7.8"),
            (Login, b"hanako", "? Password:"),
            (Login, b"", "535 5.7.8"),
            (ScramSha256, b"n,,n=hanako,r=abc", "hanako?"),
            (ScramSha256, b"y,,n=hana=2Cko=3D,r=abc", "hana,ko=?"),
            (ScramSha256, b"n,a=hanako,n=hanako,r=abc", "hanako?"),
            (ScramSha256, b"n,a=taro,n=hanako,r=abc", "501 5.5.2"),
            (ScramSha256, b"p=tls-unique,,n=hanako,r=abc", "501 5.5.2"),
            (ScramSha256, b"n,,n=hanako", "501 5.5.2"),
            (ScramSha256, b"n,,m=x,n=hanako,r=abc", "501 5.5.2"),
            (ScramSha256, b"n,,n=han=41,r=abc", "501 5.5.2"),
            (ScramSha256, b"n,,n=,r=abc", "535 5.7.8"),
            (Xoauth2, b"user=h@e.jp\x01auth=Bearer tok\x01\x01", "h@e.jp bears tok"),
            (Xoauth2, b"user=h@e.jp\x01auth=Basic tok\x01\x01", "501 5.5.2"),
            (Xoauth2, b"user=h@e.jp\x01\x01", "501 5.5.2"),
            (
                OauthBearer,
                b"n,a=h@e.jp,\x01host=x\x01port=587\x01auth=Bearer tok\x01\x01",
                "h@e.jp bears tok",
            ),
            (OauthBearer, b"n,,\x01auth=Bearer tok\x01\x01", "501 5.5.2"),
        ];
        for (mechanism, response, expected) in cases {
            let text = String::from_utf8_lossy(response);
            assert_eq!(one(*mechanism, response), *expected, "{} {text:?}", mechanism.name());
        }
    }

    #[test]
    fn login_asks_twice() {
        let mut exchange = Exchange::new(Mechanism::Login);
        assert_eq!(exchange.opening(), b"Username:");
        assert_eq!(told(exchange.step(b"hanako")), "? Password:");
        assert_eq!(told(exchange.step(b"secret")), "hanako / secret");
    }

    #[test]
    fn tokens_are_passed_on_as_they_were_read() {
        for mechanism in [Mechanism::OauthBearer, Mechanism::Xoauth2] {
            let sent = token_response(mechanism, "h,a=b@e.jp", &SecretString::from("t0k.en".to_owned()));
            assert_eq!(one(mechanism, sent.expose_secret().as_bytes()), "h,a=b@e.jp bears t0k.en");
        }
    }

    #[test]
    fn sets_of_mechanisms() {
        let set = Mechanisms::of(&[Mechanism::Login, Mechanism::Plain]);
        assert_eq!(set.iter().map(Mechanism::name).collect::<Vec<_>>(), ["PLAIN", "LOGIN"]);
        assert!(Mechanisms::default().is_empty() && !set.contains(Mechanism::Xoauth2));
        assert_eq!(Mechanism::named("scram-sha-256"), Some(Mechanism::ScramSha256));
        assert_eq!(Mechanism::named("NTLM"), None);
    }
}
