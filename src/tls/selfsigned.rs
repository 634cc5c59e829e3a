//! Self-signed certificates: for trials, for clients configured to trust them, and until a real certificate
//! is issued.

use super::{PairFiles, Trouble};
use crate::clock::Timestamp;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// A certificate and its key in PEM.
#[derive(Clone)]
pub struct Made {
    /// The certificate.
    pub chain: String,
    /// The private key.
    pub key: String,
}

/// Creates a certificate (ECDSA P-256) for these host names or addresses, valid from yesterday until `days`
/// days from `now`.
///
/// # Errors
/// There is no name, a name is neither a host name nor an address, or the key cannot be generated. The
/// error is a text for the administrator.
pub fn make(names: &[String], days: u32, now: Timestamp) -> Result<Made, String> {
    let day = Duration::from_hours(24);
    let first = names.first().ok_or("a certificate needs a name")?;
    for name in names {
        let sound = name.len() <= 253
            && !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ':'));
        if !sound {
            return Err(format!("`{name}` is neither a host name nor an address"));
        }
    }
    let mut params = CertificateParams::new(names.to_vec()).map_err(|error| error.to_string())?;
    let mut subject = DistinguishedName::new();
    // A common name has at most 64 characters (RFC 5280, ub-common-name). Clients use the alternative
    // names.
    if first.len() <= 64 {
        subject.push(DnType::CommonName, first.as_str());
    } else {
        subject.push(DnType::CommonName, "sekisho");
    }
    params.distinguished_name = subject;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let date = |at: Timestamp| {
        let date = at.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).date();
        let (month, day) = (date.month().unsigned_abs(), date.day().unsigned_abs());
        rcgen::date_time_ymd(i32::from(date.year()), month, day)
    };
    params.not_before = date(now.minus(day));
    params.not_after = date(now.plus(day * days));
    let key = KeyPair::generate().map_err(|error| format!("no key could be generated: {error}"))?;
    let certificate = params.self_signed(&key).map_err(|error| error.to_string())?;
    Ok(Made { chain: certificate.pem(), key: key.serialize_pem() })
}

/// Writes certificate and key. Only the owner can read the key. Existing files are replaced atomically, the
/// key first.
///
/// # Errors
/// A file cannot be written.
pub fn write(made: &Made, files: &PairFiles) -> Result<(), Trouble> {
    replace(&files.key, &made.key, 0o600)?;
    replace(&files.chain, &made.chain, 0o644)
}

/// Replaces a file atomically: writes a new file beside it and renames that over the old one.
pub(super) fn replace(file: &Path, text: &str, mode: u32) -> Result<(), Trouble> {
    let wrong = |error: std::io::Error| Trouble::new(file, format!("it cannot be written: {error}"));
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = file.with_file_name(name);
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(wrong(error)),
        _ => {}
    }
    let mut open = std::fs::OpenOptions::new();
    let mut out = open.write(true).create_new(true).mode(mode).open(&beside).map_err(wrong)?;
    out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(wrong)?;
    std::fs::rename(&beside, file).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_name_that_is_none_is_refused() {
        let long = "x".repeat(300);
        for names in [&[][..], &["a b"], &[""], &["あ.example"], &[long.as_str()]] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert!(make(&names, 30, Timestamp(0)).is_err(), "{names:?}");
        }
        assert!(make(&[format!("{}.example", "x".repeat(60))], 30, Timestamp(0)).is_ok());
    }

    #[test]
    fn the_key_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let files = PairFiles { chain: folder.path().join("a.pem"), key: folder.path().join("a.key") };
        std::fs::write(&files.key, "old, and open to all").unwrap();
        for _ in 0..2 {
            let made = make(&["a.example".into()], 30, Timestamp(0)).unwrap();
            write(&made, &files).unwrap();
            let permissions = std::fs::metadata(&files.key).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o777, 0o600);
            assert_eq!(std::fs::read_to_string(&files.key).unwrap(), made.key);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside them");
    }
}
