//! Accounts of the file that `sekisho user` writes, as an administrator sees them at the desk, and the
//! change of their roles. Passwords are set on the command line alone.

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
    /// Roles that the file gives.
    pub roles: Vec<Role>,
    /// Roles that the configuration gives: `[desk.roles]`, approvers of policies and groups.
    pub configured: Roles,
}

/// Why roles were not changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// Not an administrator, or no accounts in a file.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Somebody takes their own power away, by which they could not give it back.
    #[error("an administrator does not take their own role away")]
    Own,
    /// The file cannot be changed, in a sentence.
    #[error("{0}")]
    File(String),
}

impl People {
    /// Everybody in the file of accounts; nothing where accounts are elsewhere.
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

    /// Gives an account these roles in place of those that the file gave it. Its sessions end: roles are
    /// part of what must stay as it was.
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

    /// Everybody's passkeys: an administrator takes away those of whoever left.
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
