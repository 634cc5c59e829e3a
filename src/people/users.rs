//! The accounts file of `sekisho user` as an administrator sees it at the desk, and changes of roles.
//! Passwords can be set only on the command line.

use super::{Denied, People};
use crate::accounts::file::edit::Editor;
use crate::accounts::{Role, key};
use crate::desk::principal::{Principal, Roles};
use crate::store::PasskeyRow;
use std::path::PathBuf;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserLine {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Roles by the file.
    pub roles: Vec<Role>,
    /// Roles by the configuration: `[desk.roles]`, approvers of policies and groups.
    pub configured: Roles,
}

/// Why roles were not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// Not an administrator, or the accounts are not in a file.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Administrators may not remove their own role, because they could not give it back.
    #[error("an administrator does not take their own role away")]
    Own,
    /// The file cannot be changed; the text is for people.
    #[error("{0}")]
    File(String),
}

impl People {
    /// All accounts in the file; `None` if accounts are elsewhere.
    ///
    /// # Errors
    /// The caller is not an administrator, or the file cannot be read.
    pub async fn users(&self, who: &Principal) -> Result<Option<Vec<UserLine>>, NotChanged> {
        let Some(path) = self.file_for(who)? else { return Ok(None) };
        let settings = self.settings();
        let read = tokio::task::spawn_blocking(move || {
            let editor = Editor::open(&path)?;
            let lines = editor.users().map(|user| UserLine {
                name: user.account.name.clone(),
                addresses: user.account.addresses.iter().map(ToString::to_string).collect(),
                roles: user.roles.clone(),
                configured: settings.roles_of(&user.account.name, &user.account.addresses),
            });
            Ok::<_, String>(lines.collect())
        });
        let lines = read.await.map_err(|error| NotChanged::File(error.to_string()))?;
        lines.map(Some).map_err(NotChanged::File)
    }

    /// Replaces the roles that the file gives an account. Its sessions end, because roles are part of the
    /// account.
    ///
    /// # Errors
    /// The caller is not an administrator or would lose their own role, or the file cannot be changed.
    pub async fn set_roles(&self, who: &Principal, name: &str, roles: Vec<Role>) -> Result<(), NotChanged> {
        let path = self.file_for(who)?.ok_or(Denied::Off)?;
        if key(name) == key(&who.name) && !roles.contains(&Role::Admin) {
            return Err(NotChanged::Own);
        }
        let (user, given) = (name.to_owned(), roles.clone());
        let written = tokio::task::spawn_blocking(move || Editor::open(&path)?.set_roles(&user, &given));
        let written = written.await.map_err(|error| NotChanged::File(error.to_string()))?;
        written.map_err(NotChanged::File)?;
        let roles: Vec<&str> = roles.iter().map(|role| role.text()).collect();
        tracing::info!(by = who.name, user = name, ?roles, "roles were changed at the desk");
        Ok(())
    }

    /// Everybody's passkeys, so that an administrator can remove those of people who left.
    ///
    /// # Errors
    /// The caller is not an administrator, or the store failed.
    pub async fn all_passkeys(&self, who: &Principal) -> Result<Vec<PasskeyRow>, NotChanged> {
        if !who.roles.admin {
            return Err(Denied::Wrong.into());
        }
        self.store.all_passkeys().await.map_err(|error| Denied::Store(error).into())
    }

    fn file_for(&self, who: &Principal) -> Result<Option<PathBuf>, NotChanged> {
        if !who.roles.admin {
            return Err(Denied::Wrong.into());
        }
        Ok(self.settings().accounts_file.clone())
    }
}
