//! One ACME order: account, challenges, certificate.

use super::Settings;
use super::responder::Responder;
use crate::tls::selfsigned::{Made, replace};
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier,
    NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::Duration;

/// Largest account file in octets.
const LARGEST_ACCOUNT: u64 = 64 * 1024;

/// How to poll the authority for the state of an order.
fn patience() -> RetryPolicy {
    RetryPolicy::new().initial_delay(Duration::from_millis(500)).timeout(Duration::from_mins(2))
}

/// The account as stored, with the directory it belongs to.
#[derive(Deserialize, Serialize)]
struct StoredAccount {
    directory: String,
    credentials: AccountCredentials,
}

/// Orders a certificate and waits for it. The error is a text for the log.
pub(super) async fn order(settings: &Settings, standing: Option<&Responder>) -> Result<Made, String> {
    let account = account(settings).await?;
    let names: Vec<Identifier> = settings.domains.iter().cloned().map(Identifier::Dns).collect();
    let said = |error: Error| said(&error);
    let mut order = account.new_order(&NewOrder::new(&names)).await.map_err(said)?;
    // Answers challenges until it is dropped.
    let own = match standing {
        None => Some(Responder::bind(settings.address, None).await?),
        Some(_) => None,
    };
    if let Some(responder) = standing.or(own.as_ref()) {
        take_up(&mut order, responder).await?;
    }
    match order.poll_ready(&patience()).await.map_err(said)? {
        OrderStatus::Ready | OrderStatus::Valid => {}
        _ => return Err(refusal(&mut order).await),
    }
    let key = KeyPair::generate().map_err(|error| format!("no key could be generated: {error}"))?;
    let request = request(&settings.domains, &key).map_err(|error| error.to_string())?;
    order.finalize_csr(&request).await.map_err(said)?;
    let chain = order.poll_certificate(&patience()).await.map_err(said)?;
    Ok(Made { chain, key: key.serialize_pem() })
}

fn request(domains: &[String], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(domains.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

/// Answers the http-01 challenge of every name that is not authorised yet.
async fn take_up(order: &mut Order, responder: &Responder) -> Result<(), String> {
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        let mut authorization = next.map_err(|error| said(&error))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let Some(mut challenge) = authorization.challenge(ChallengeType::Http01) else {
            return Err("the authority offers no http-01 challenge".to_owned());
        };
        responder.answer(&challenge.token, challenge.key_authorization().as_str()).await?;
        let name = challenge.identifier().to_string();
        let doubts = |error| format!("the authority does not authorise {name}: {}", said(&error));
        challenge.set_ready().await.map_err(doubts)?;
    }
    Ok(())
}

/// Why the authority did not authorise the names.
async fn refusal(order: &mut Order) -> String {
    let mut text = "the authority does not authorise the names".to_owned();
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        let Ok(mut authorization) = next else { continue };
        let Ok(state) = authorization.refresh().await else { continue };
        let name = state.identifier().to_string();
        for problem in state.challenges.iter().filter_map(|challenge| challenge.error.as_ref()) {
            let _ = write!(text, "; {name}: {}", problem.detail.as_deref().unwrap_or("no reason given"));
        }
    }
    printable(&text)
}

/// The stored account, or a new one.
async fn account(settings: &Settings) -> Result<Account, String> {
    if let Some(kept) = kept(settings)? {
        return builder(settings)?.from_credentials(kept).await.map_err(|error| said(&error));
    }
    let contact: Vec<String> = settings.contact.iter().map(|address| format!("mailto:{address}")).collect();
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let (account, credentials) = builder(settings)?
        .create(&new, settings.directory.clone(), None)
        .await
        .map_err(|error| said(&error))?;
    let kept = StoredAccount { directory: settings.directory.clone(), credentials };
    let text = serde_json::to_string(&kept).map_err(|error| error.to_string())?;
    replace(&settings.account(), &text, 0o600).map_err(|trouble| trouble.to_string())?;
    Ok(account)
}

fn builder(settings: &Settings) -> Result<AccountBuilder, String> {
    match &settings.ca_file {
        Some(file) => Account::builder_with_root(file)
            .map_err(|error| format!("ca_file {}: {}", file.display(), said(&error))),
        None => Account::builder().map_err(|error| said(&error)),
    }
}

/// The stored account for this directory.
fn kept(settings: &Settings) -> Result<Option<AccountCredentials>, String> {
    let file = settings.account();
    let wrong = |why: String| format!("{}: {why}; remove it to create a new account", file.display());
    match std::fs::metadata(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
        Ok(meta) if meta.len() > LARGEST_ACCOUNT => return Err(wrong("it is too large".to_owned())),
        Ok(_) => {}
    }
    let text = std::fs::read(&file).map_err(|error| wrong(error.to_string()))?;
    // The parser's error might quote the private key, so it is not shown.
    let kept: StoredAccount =
        serde_json::from_slice(&text).map_err(|_| wrong("it does not contain an account".to_owned()))?;
    Ok((kept.directory == settings.directory).then_some(kept.credentials))
}

/// The text of an error; the authority's own text if there is one.
fn said(error: &Error) -> String {
    let mut text = match error {
        Error::Api(problem) => problem.detail.clone().unwrap_or_else(|| error.to_string()),
        other => other.to_string(),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !text.contains(&more) {
            let _ = write!(text, ": {more}");
        }
        cause = deeper.source();
    }
    printable(&text)
}

/// Makes a text from outside a single line of limited length.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(1_000).collect()
}
