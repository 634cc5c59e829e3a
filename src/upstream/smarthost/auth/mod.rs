//! AUTH as a client (RFC 4954): chooses a mechanism and carries it out. The caller has checked that
//! credentials may be sent over this connection.

mod scram;

use super::capabilities::Capabilities;
use super::config::{Credentials, Secret, SmarthostConfig};
use super::connection::{Broken, Line, refused};
use super::mechanism::{AUTH_STAGE, Mechanism};
use crate::smtp::Reply;
use crate::upstream::tally::Trouble;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use scram::First;
use secrecy::{ExposeSecret, SecretString};

/// Authenticates with the configured mechanism, or with the best one offered.
pub(super) async fn authenticate(
    line: &mut Line,
    offers: &Capabilities,
    credentials: &Credentials,
    config: &SmarthostConfig,
) -> Result<Mechanism, Broken> {
    let possible: &[Mechanism] = match (&credentials.secret, &config.mechanism) {
        (_, Some(one)) => std::slice::from_ref(one),
        (Secret::Password(_), None) => &Mechanism::BY_PASSWORD,
        (Secret::Tokens(_), None) => &[Mechanism::Xoauth2],
    };
    let Some(mechanism) = possible.iter().copied().find(|mechanism| mechanism.is_offered(offers)) else {
        let names: Vec<String> = possible.iter().map(ToString::to_string).collect();
        return Err(Broken::Unfit(
            Trouble::Auth,
            format!("4.7.0 {} offers no AUTH {}", config.host, names.join(", ")),
        ));
    };
    let mut dialogue = Dialogue { line, config, username: &credentials.username };
    match (&credentials.secret, mechanism) {
        (Secret::Tokens(tokens), _) => dialogue.xoauth2(tokens).await,
        (Secret::Password(password), Mechanism::ScramSha256) => dialogue.scram(password).await,
        (Secret::Password(password), Mechanism::Login) => dialogue.login(password).await,
        (Secret::Password(password), _) => dialogue.plain(password).await,
    }?;
    Ok(mechanism)
}

struct Dialogue<'a> {
    line: &'a mut Line,
    config: &'a SmarthostConfig,
    username: &'a str,
}

impl Dialogue<'_> {
    async fn say(&mut self, command: &SecretString) -> Result<Reply, Broken> {
        self.line.ask(command.expose_secret(), self.config.timeouts.greeting, AUTH_STAGE).await
    }

    /// Sends AUTH with an initial response.
    async fn begin(&mut self, mechanism: Mechanism, response: &SecretString) -> Result<Reply, Broken> {
        let response = encoded(response.expose_secret());
        self.say(&SecretString::from(format!("AUTH {mechanism} {}", response.expose_secret()))).await
    }

    async fn plain(&mut self, password: &SecretString) -> Result<(), Broken> {
        let response = SecretString::from(format!("\0{}\0{}", self.username, password.expose_secret()));
        done(self.begin(Mechanism::Plain, &response).await?)
    }

    async fn login(&mut self, password: &SecretString) -> Result<(), Broken> {
        let mut reply = self.say(&SecretString::from("AUTH LOGIN".to_owned())).await?;
        for answer in [self.username, password.expose_secret()] {
            if reply.code() != 334 {
                return Err(refused(reply, AUTH_STAGE));
            }
            reply = self.say(&encoded(answer)).await?;
        }
        done(reply)
    }

    async fn scram(&mut self, password: &SecretString) -> Result<(), Broken> {
        let first = First::new(self.username, nonce()?);
        let reply = self.begin(Mechanism::ScramSha256, &SecretString::from(first.message())).await?;
        let challenge = challenge(reply)?;
        let password = password.clone();
        // thousands of PBKDF2 iterations take too long for a thread of the runtime
        let proven = tokio::task::spawn_blocking(move || first.prove(&challenge, &password))
            .await
            .map_err(|error| Broken::Local(format!("4.3.0 {error}")))?
            .map_err(|why| self.distrusted(why))?;
        let reply = self.say(&encoded(proven.message.expose_secret())).await?;
        if reply.code() == 235 {
            return Err(self.distrusted("the server did not prove that it knows the password"));
        }
        proven.verify(&challenge_text(reply)?).map_err(|why| self.distrusted(why))?;
        done(self.say(&SecretString::from(String::new())).await?)
    }

    /// Authenticates with a token. If it is refused, fetches a new one and tries once more: the token may
    /// have been revoked early.
    async fn xoauth2(&mut self, tokens: &crate::upstream::oauth::Tokens) -> Result<(), Broken> {
        let no_token =
            |why| Broken::Unfit(Trouble::Auth, format!("4.7.0 no access token could be fetched: {why}"));
        let token = tokens.token().await.map_err(no_token)?;
        let reply = self.bearer(&token).await?;
        if reply.code() != 535 {
            return done(reply);
        }
        tokens.forget(&token).await;
        let token = tokens.token().await.map_err(no_token)?;
        done(self.bearer(&token).await?)
    }

    async fn bearer(&mut self, token: &SecretString) -> Result<Reply, Broken> {
        let response = format!("user={}\x01auth=Bearer {}\x01\x01", self.username, token.expose_secret());
        let reply = self.begin(Mechanism::Xoauth2, &SecretString::from(response)).await?;
        if reply.code() == 334 {
            // the challenge tells the reason in JSON; after an empty response the server refuses
            return self.say(&SecretString::from(String::new())).await;
        }
        Ok(reply)
    }

    fn distrusted(&self, why: &str) -> Broken {
        Broken::Unfit(Trouble::Auth, format!("4.7.0 AUTH with {} was aborted: {why}", self.config.host))
    }
}

fn done(reply: Reply) -> Result<(), Broken> {
    if reply.code() == 235 { Ok(()) } else { Err(refused(reply, AUTH_STAGE)) }
}

/// The decoded text of a 334 reply.
fn challenge(reply: Reply) -> Result<String, Broken> {
    if reply.code() == 334 { challenge_text(reply) } else { Err(refused(reply, AUTH_STAGE)) }
}

fn challenge_text(reply: Reply) -> Result<String, Broken> {
    if reply.code() != 334 {
        return Err(refused(reply, AUTH_STAGE));
    }
    let text = reply.lines().first().map(String::as_str).unwrap_or_default();
    let decoded = BASE64.decode(text.trim()).ok().and_then(|octets| String::from_utf8(octets).ok());
    decoded.ok_or(Broken::Unexpected(reply, AUTH_STAGE))
}

fn encoded(text: &str) -> SecretString {
    SecretString::from(BASE64.encode(text))
}

fn nonce() -> Result<String, Broken> {
    let mut octets = [0; 18];
    aws_lc_rs::rand::fill(&mut octets).map_err(|_| Broken::Local("4.3.0 no randomness".to_owned()))?;
    Ok(BASE64.encode(octets))
}
