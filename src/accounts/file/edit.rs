//! Edits the file of accounts. Each change is atomic and keeps comments and order. Only the owner can read
//! the file.

use super::{User, read, scram_text};
use crate::accounts::password::Hash;
use crate::accounts::{Role, key};
use crate::message::Address;
use crate::smtp::sasl::prepare::prepared;
use crate::smtp::sasl::scram::{ITERATIONS, Keys};
use secrecy::{ExposeSecret, SecretString};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// Octets of a SCRAM salt.
pub(super) const SALT: usize = 16;
/// Shortest password in characters.
const SHORTEST: usize = 8;

/// The file, locked for changes.
pub struct Editor {
    path: PathBuf,
    text: String,
    users: Vec<User>,
    /// User and group of a new file.
    owner: Option<(u32, u32)>,
    /// Keeps the folder locked.
    _lock: File,
}

impl Editor {
    /// Locks and reads the file, which need not exist. Waits while another process changes it.
    ///
    /// # Errors
    /// The folder cannot be locked, or the file cannot be read or parsed.
    pub fn open(path: &Path) -> Result<Self, String> {
        let folder = folder_of(path);
        let lock = File::open(folder).and_then(|folder| folder.lock().map(|()| folder));
        let lock = lock.map_err(|error| format!("{} cannot be locked: {error}", folder.display()))?;
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{} cannot be read: {error}", path.display())),
        };
        let users = read(path, &text)?;
        Ok(Self { path: path.to_owned(), text, users, owner: None, _lock: lock })
    }

    /// Gives a new file the owner of `what`, or of its folder if `what` does not exist, so that the relay's
    /// user can read what root writes.
    pub fn owned_like(&mut self, what: &Path) {
        let meta = fs::metadata(what).or_else(|_| fs::metadata(folder_of(what)));
        self.owner = meta.ok().map(|meta| (meta.uid(), meta.gid()));
    }

    /// All users in the order of the file.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.iter()
    }

    /// Adds a user at the end.
    ///
    /// # Errors
    /// The name is invalid or exists already, the password is too short, or the file cannot be written.
    pub fn add(
        &mut self,
        name: &str,
        addresses: &[Address],
        roles: &[Role],
        password: &SecretString,
    ) -> Result<(), String> {
        if prepared(name).as_deref() != Some(name) || name.trim() != name {
            return Err(format!("`{name}` is not a valid user name"));
        }
        if self.find(name).is_some() {
            return Err(format!("there is a user `{name}` already: `sekisho user passwd` sets a password"));
        }
        let mut text = self.text.clone();
        if !text.is_empty() {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            text.push('\n');
        }
        let _ = writeln!(text, "[[user]]\nname = {}", quoted(name));
        let list: Vec<String> = addresses.iter().map(|address| quoted(address.as_str())).collect();
        let _ = writeln!(text, "addresses = [{}]", list.join(", "));
        if !roles.is_empty() {
            text.push_str(&roles_line(roles));
        }
        text.push_str(&secrets(password)?);
        self.replace(text)
    }

    /// Removes a user.
    ///
    /// # Errors
    /// There is no such user, or the file cannot be written.
    pub fn remove(&mut self, name: &str) -> Result<(), String> {
        let lines: Vec<&str> = self.text.split_inclusive('\n').collect();
        let (from, to) = self.block(&lines, name)?;
        let text = lines[..from].concat() + &lines[to..].concat();
        let _ = self.find(name).map(|at| self.users.remove(at));
        self.replace(text)
    }

    /// Replaces a user's password.
    ///
    /// # Errors
    /// There is no such user, the password is too short, or the file cannot be written.
    pub fn set_password(&mut self, name: &str, password: &SecretString) -> Result<(), String> {
        let lines: Vec<&str> = self.text.split_inclusive('\n').collect();
        let (from, to) = self.block(&lines, name)?;
        let secret = |line: &&str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            matches!(key, "password" | "scram")
        };
        let mut block = String::new();
        let mut set = false;
        for line in &lines[from..to] {
            if !secret(line) {
                block.push_str(line);
            } else if !set {
                block.push_str(&secrets(password)?);
                set = true;
            }
        }
        let text = lines[..from].concat() + &block + &lines[to..].concat();
        self.replace(text)
    }

    /// Replaces a user's roles.
    ///
    /// # Errors
    /// There is no such user, or the file cannot be written.
    pub fn set_roles(&mut self, name: &str, roles: &[Role]) -> Result<(), String> {
        let lines: Vec<&str> = self.text.split_inclusive('\n').collect();
        let (from, to) = self.block(&lines, name)?;
        let is = |line: &str, key: &str| line.split('=').next().unwrap_or_default().trim() == key;
        let mut block = String::new();
        for line in lines[from..to].iter().filter(|line| !is(line, "roles")) {
            block.push_str(line);
            if is(line, "name") && !roles.is_empty() {
                if !line.ends_with('\n') {
                    block.push('\n');
                }
                block.push_str(&roles_line(roles));
            }
        }
        let text = lines[..from].concat() + &block + &lines[to..].concat();
        self.replace(text)
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.users.iter().position(|user| key(&user.account.name) == key(name))
    }

    /// The lines of a user: from the table header to the comments above the next header.
    fn block(&self, lines: &[&str], name: &str) -> Result<(usize, usize), String> {
        let at = self.find(name).ok_or_else(|| format!("there is no user `{name}`"))?;
        let is_header = |line: &str| line.split('#').next().is_some_and(|text| text.trim() == "[[user]]");
        let headers: Vec<usize> =
            lines.iter().enumerate().filter(|(_, line)| is_header(line)).map(|(number, _)| number).collect();
        if headers.len() != self.users.len() {
            let path = self.path.display();
            return Err(format!("{path} is not written as `sekisho user` writes it: change it by hand"));
        }
        let from = headers[at];
        let next = headers.get(at + 1).copied().unwrap_or(lines.len());
        let above = lines[from..next].iter().rev().take_while(|line| {
            let line = line.trim();
            line.is_empty() || line.starts_with('#')
        });
        let to = if next == lines.len() { next } else { next - above.count() };
        Ok((from, to))
    }

    /// Writes the new text to a temporary file and renames that over the old file.
    fn replace(&mut self, text: String) -> Result<(), String> {
        let users = read(&self.path, &text)?;
        let wrong = |error: std::io::Error| format!("{} cannot be written: {error}", self.path.display());
        let folder = folder_of(&self.path);
        let mut file = tempfile::Builder::new().prefix(".users-").tempfile_in(folder).map_err(wrong)?;
        file.write_all(text.as_bytes()).map_err(wrong)?;
        let ours = fs::metadata(file.path()).map(|new| (new.uid(), new.gid())).map_err(wrong)?;
        match (fs::metadata(&self.path), self.owner) {
            (Ok(old), _) if (old.uid(), old.gid()) != ours => {
                chown(file.path(), Some(old.uid()), Some(old.gid())).map_err(wrong)?;
            }
            // Only root may change the owner; a file created by another user stays theirs.
            (Err(_), Some((user, group))) if ours.0 == 0 => {
                chown(file.path(), Some(user), Some(group)).map_err(wrong)?;
            }
            _ => {}
        }
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600)).map_err(wrong)?;
        file.as_file().sync_all().map_err(wrong)?;
        file.persist(&self.path).map_err(|error| wrong(error.error))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(wrong)?;
        self.text = text;
        self.users = users;
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The lines `password` and `scram` for a password.
#[expect(clippy::disallowed_methods, reason = "a salt, which no history depends on")]
fn secrets(password: &SecretString) -> Result<String, String> {
    let password = prepared(password.expose_secret())
        .filter(|password| password.chars().count() >= SHORTEST)
        .ok_or_else(|| {
            format!("a password must have at least {SHORTEST} characters and no control characters")
        })?;
    let hash = Hash::make(&password)?;
    let salt: [u8; SALT] = rand::random();
    let rounds = NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN);
    let keys = Keys::derive(&password, salt.to_vec(), rounds);
    Ok(format!("password = {}\nscram = {}\n", quoted(hash.as_str()), quoted(&scram_text::write(&keys))))
}

fn roles_line(roles: &[Role]) -> String {
    let mut roles: Vec<String> = roles.iter().map(|role| quoted(role.text())).collect();
    roles.sort();
    roles.dedup();
    format!("roles = [{}]\n", roles.join(", "))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
