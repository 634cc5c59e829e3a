//! Listeners for journal copies. Copies are trusted, so their sources must be named.

use super::Reporter;
use super::accounts::ListenerAuth;
use super::keys::{self, Listener};
use crate::diagnostic::Diagnostic;
use crate::listener::Role;

const LISTENER: &str = "role = \"journal\"";

/// The role of a listener.
pub(super) fn role(keys: &Listener, reporter: &Reporter<'_>) -> Result<Role, Diagnostic> {
    let wrong = |key: &str, why: &str| Err(reporter.wrong(LISTENER, key, why));
    if keys.role == keys::Role::Relay {
        return match keys.users.as_slice() {
            [] => Ok(Role::Relay),
            _ => wrong("users", "`users` goes with role = \"journal\": on a relay every account may send"),
        };
    }
    if keys.senders.is_some() {
        return wrong(
            "senders",
            "`senders` means nothing with role = \"journal\": copies are of anybody's mail",
        );
    }
    if keys.allow.iter().any(|net| net.0.prefix_len() == 0) {
        let why = "`allow` names the whole world: copies are trusted, so name the mail hosts that send them";
        return wrong("allow", why);
    }
    if keys.auth != ListenerAuth::Off && keys.users.is_empty() {
        let why = "`auth` with role = \"journal\" needs `users`, the accounts of the mail hosts: copies are \
                   trusted, so that not everybody with a password may send them";
        return wrong("auth", why);
    }
    if keys.auth == ListenerAuth::Off && !keys.users.is_empty() {
        return wrong("users", "`users` needs `auth` in the same listener");
    }
    if !keys.spf.is_empty() && keys.tenant.is_none() {
        let why = "`spf` with role = \"journal\" needs `tenant`: every customer of that mail host could say who \
                   knows whom here";
        return wrong("spf", why);
    }
    let named = !keys.allow.is_empty()
        || !keys.client_certificates.is_empty()
        || !keys.spf.is_empty()
        || keys.auth != ListenerAuth::Off;
    if !named {
        let why = "role = \"journal\" accepts copies only from named sources: set `allow`, `client_certificates`, \
                   `auth` with `users`, or `spf` with `tenant`";
        return wrong("role", why);
    }
    Ok(Role::Journal { users: keys.users.clone().into() })
}
