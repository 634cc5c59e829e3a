//! Settings for signing in.

use super::code_mail::Letter;
use super::oidc::Provider;
use super::passkeys::verify::Party;
use crate::accounts::{Accounts, key};
use crate::desk::principal::Roles;
use crate::message::Address;
use crate::policy::Organisation;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Names that give a role: logins, addresses, or groups of a provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleNames {
    /// Approvers.
    pub approver: Vec<String>,
    /// Auditors.
    pub auditor: Vec<String>,
    /// Admins.
    pub admin: Vec<String>,
}

impl RoleNames {
    /// The roles of somebody with one of these names; case is ignored.
    pub fn of<'a>(&self, names: impl Iterator<Item = &'a str>) -> Roles {
        let names: Vec<String> = names.filter(|name| !name.is_empty()).map(key).collect();
        let has = |list: &[String]| list.iter().any(|wanted| names.contains(&key(wanted)));
        Roles { approver: has(&self.approver), auditor: has(&self.auditor), admin: has(&self.admin) }
    }
}

/// Settings for signing in.
#[derive(Clone)]
pub struct Settings {
    /// Longest time that somebody stays signed in.
    pub session: Duration,
    /// Longest time without a request.
    pub idle: Duration,
    /// Whether codes are mailed.
    pub mail_codes: bool,
    /// Whether a mailed code is enough for somebody whom the configuration names as an administrator.
    pub admin_codes: bool,
    /// The party that passkeys are made for; `None` if browsers would make none.
    pub passkeys: Option<Party>,
    /// Accounts with passwords.
    pub accounts: Option<Arc<dyn Accounts>>,
    /// The file of the accounts, if they are in one.
    pub accounts_file: Option<PathBuf>,
    /// The OpenID Connect provider.
    pub provider: Option<Arc<Provider>>,
    /// Which addresses are internal.
    pub organisation: Arc<Organisation>,
    /// Who has which role.
    pub roles: RoleNames,
    /// How the mail with a code is written.
    pub letter: Letter,
}

impl Settings {
    /// Whether an address is ours. If every sender's own domain is ours, no address alone is.
    pub fn is_ours(&self, address: &Address) -> bool {
        !self.organisation.depends_on_sender() && self.organisation.is_internal(address)
    }

    /// The roles that the configuration gives to a login with these addresses.
    pub fn roles_of(&self, name: &str, addresses: &[Address]) -> Roles {
        let names = std::iter::once(name).chain(addresses.iter().map(Address::as_str));
        self.roles.of(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_have_roles_in_any_case() {
        let roles = RoleNames {
            approver: vec!["Soumu@example.jp".to_owned()],
            auditor: vec!["kansa".to_owned()],
            admin: Vec::new(),
        };
        assert!(roles.of(["x", "soumu@EXAMPLE.jp"].into_iter()).approver);
        assert!(roles.of(["Kansa"].into_iter()).auditor);
        assert_eq!(roles.of(["", "other"].into_iter()), Roles::default());
    }
}
