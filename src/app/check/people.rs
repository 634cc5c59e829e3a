//! Checks the identity provider of the desk before somebody fails to sign in.

use super::{Findings, own};
use crate::app::people::provider;
use crate::config::Config;

const DESK: &str = "desk";

/// Checks the files of `[desk.oidc]`; with `connect`, fetches the provider's metadata too.
pub(super) async fn check(config: &Config, connect: bool, found: &mut Findings) {
    let (Some(wanted), Some(url)) = (&config.desk.oidc, &config.desk.url) else { return };
    if let Some(file) = &wanted.client_secret_file {
        own::private(file, DESK, found);
    }
    let provider = match provider(wanted, url) {
        Ok(provider) => provider,
        Err(error) => return found.error(DESK, error.to_string()),
    };
    let issuer = &wanted.issuer;
    if !connect {
        return found.ok(DESK, format!("people sign in at {issuer}; --connect checks it"));
    }
    match provider.probe().await {
        Ok(keys) => found.ok(DESK, format!("people sign in at {issuer}, which has {keys} keys")),
        Err(why) => found.error(DESK, format!("[desk.oidc] {issuer}: {why}")),
    }
}
