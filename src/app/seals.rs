//! Reads DKIM keys and marks from the files that the configuration names.

use super::StartError;
use crate::config::{Config, DkimKey, read_file, reason};
use crate::courier::{SealSettings, Signed};
use crate::desk::explain::PreviewSeals;
use crate::dkim::{Keyring, SigningKey};
use crate::marks::{KEY, Marks};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use secrecy::SecretString;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

/// Fewest characters of a secret that a mail host's rule compares.
const SHORTEST_SECRET: usize = 16;

/// Reads every key and secret; creates the key of the loop mark if there is none yet.
pub(super) fn read(config: &Config) -> Result<Arc<SealSettings>, StartError> {
    Ok(Arc::new(SealSettings {
        keys: keyring(config)?,
        signed: if config.dkim.sign_all { Signed::All } else { Signed::Ours },
        marks: Arc::new(marks(config)?),
    }))
}

/// Keys and marks for copies that are only previewed. What cannot be read is left out and listed; no key is
/// created; the secret of the marking header is neither read nor shown.
pub fn preview_seals(config: &Config) -> Arc<PreviewSeals> {
    let mut lacking = Vec::new();
    let mut keys = Vec::new();
    for key in &config.dkim.keys {
        match signing_key(key) {
            Ok(key) => keys.push(key),
            Err(error) => lacking.push(format!("not signed by {} ({}): {error}", key.domain, key.selector)),
        }
    }
    let keys = Keyring::new(keys).unwrap_or_else(|why| {
        lacking.push(format!("not signed: {why}"));
        Keyring::default()
    });
    let key = loop_key(&config.marks.key_file).unwrap_or_else(|error| {
        lacking.push(format!("without the loop mark: {error}"));
        None
    });
    let header = config.marks.header.as_ref().map(|(name, _)| {
        lacking.push(format!("{name} is shown without its secret"));
        (name.clone(), SecretString::from("(secret)"))
    });
    let marks = Arc::new(Marks::shown(config.hostname.clone(), key.as_ref(), header));
    let signed = if config.dkim.sign_all { Signed::All } else { Signed::Ours };
    Arc::new(PreviewSeals { seals: SealSettings { keys, signed, marks }, lacking })
}

/// Reads the DKIM keys.
///
/// # Errors
/// A key cannot be read, or two keys conflict.
pub fn keyring(config: &Config) -> Result<Keyring, StartError> {
    let keys = config.dkim.keys.iter().map(signing_key).collect::<Result<Vec<_>, _>>()?;
    Keyring::new(keys).map_err(|why| wrong(&config.file, &why))
}

/// Reads one DKIM key.
///
/// # Errors
/// The file cannot be read, or has no usable key.
pub fn signing_key(key: &DkimKey) -> Result<SigningKey, StartError> {
    let what = format!("the DKIM key of {} (selector {})", key.domain, key.selector);
    let pem = read_file(&key.file, &what).map_err(|error| StartError::Configuration(error.to_string()))?;
    SigningKey::from_pem(&key.domain, &key.selector, &pem)
        .map_err(|error| wrong(&key.file, &format!("{what} cannot be used: {error}")))
}

fn wrong(file: &Path, why: &str) -> StartError {
    StartError::Configuration(format!("{}: {why}", file.display()))
}

fn marks(config: &Config) -> Result<Marks, StartError> {
    let wanted = &config.marks;
    let header = mark_header(config)?;
    let key = match loop_key(&wanted.key_file)? {
        Some(key) => key,
        None if wanted.key_named => {
            let why = format!(
                "the key of the loop mark does not exist; create one with `head -c {KEY} /dev/urandom > {}`",
                wanted.key_file.display()
            );
            return Err(wrong(&wanted.key_file, &why));
        }
        None => make_loop_key(&wanted.key_file)?,
    };
    Ok(Marks::new(config.hostname.clone(), &key, header))
}

/// The header that the mail host's rule looks for, with its secret.
pub(super) fn mark_header(config: &Config) -> Result<Option<(String, SecretString)>, StartError> {
    let header = config.marks.header.as_ref();
    header.map(|(name, file)| Ok((name.clone(), secret(file)?))).transpose()
}

/// Reads the secret of the mail host's rule: one line, with characters that neither a header nor a rule
/// changes.
fn secret(file: &Path) -> Result<SecretString, StartError> {
    let text = read_file(file, "the secret of the mark")
        .map_err(|error| StartError::Configuration(error.to_string()))?;
    let text = text.trim();
    if text.len() < SHORTEST_SECRET || text.len() > 200 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = format!(
            "the secret of the mark must be one line of {SHORTEST_SECRET} to 200 letters, digits and signs, such as \
             `openssl rand -hex 24` prints"
        );
        return Err(wrong(file, &why));
    }
    Ok(SecretString::from(text))
}

/// Reads the key of the loop mark; `None` if the file does not exist.
fn loop_key(file: &Path) -> Result<Option<[u8; KEY]>, StartError> {
    match std::fs::read(file) {
        Ok(octets) => <[u8; KEY]>::try_from(octets.as_slice()).map(Some).map_err(|_| {
            wrong(file, &format!("the key of the loop mark has {} octets instead of {KEY}", octets.len()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => {
            Err(wrong(file, &format!("the key of the loop mark cannot be read: {}", reason(&error))))
        }
    }
}

fn make_loop_key(file: &Path) -> Result<[u8; KEY], StartError> {
    let failed = |why: String| wrong(file, &format!("the key of the loop mark cannot be created: {why}"));
    let mut key = [0; KEY];
    SystemRandom::new().fill(&mut key).map_err(|_| failed("no random numbers".to_owned()))?;
    write_private(file, &key).map_err(|error| failed(reason(&error)))?;
    Ok(key)
}

/// Writes a new file that only we can read, durably.
///
/// # Errors
/// The file exists already, or cannot be written.
pub fn write_private(file: &Path, octets: &[u8]) -> std::io::Result<()> {
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    new.write_all(octets)?;
    new.sync_all()?;
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loop_key_is_made_once_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("k");
        assert_eq!(loop_key(&file).unwrap(), None);
        let made = make_loop_key(&file).unwrap();
        assert_eq!(loop_key(&file).unwrap(), Some(made));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(make_loop_key(&file).is_err(), "an existing key was overwritten");
        std::fs::write(&file, b"short").unwrap();
        assert!(loop_key(&file).unwrap_err().to_string().contains("5 octets instead of 32"));
    }

    #[test]
    fn secrets_fit_into_a_header() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("s");
        for (text, good) in [
            ("0123456789abcdef\n", true),
            ("short\n", false),
            ("0123456789abcdef\r\nBcc: x@y", false),
            ("0123456789abcdef é", false),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(secret(&file).is_ok(), good, "{text}");
        }
        let missing = secret(&folder.path().join("gone")).unwrap_err().to_string();
        assert!(missing.contains("gone") && missing.contains("cannot be read"), "{missing}");
    }
}
