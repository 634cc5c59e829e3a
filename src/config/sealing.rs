//! DKIM keys and marks as typed values. The files that they name are read when the relay starts.

use super::{Base, Reporter, keys};
use crate::diagnostic::Diagnostic;
use crate::policy::organisation::domain_key;
use std::path::{Path, PathBuf};

/// The table `[dkim]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dkim {
    /// The keys.
    pub keys: Vec<DkimKey>,
    /// Unmodified mail is signed too, unless it has a signature of its From domain.
    pub sign_all: bool,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimKey {
    /// The domain it signs for, an A-label.
    pub domain: String,
    /// The selector that it is published under.
    pub selector: String,
    /// The file with the private key.
    pub file: PathBuf,
}

/// The table `[marks]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The header that the mail host's rule looks for, and the file with its secret.
    pub header: Option<(String, PathBuf)>,
    /// The file with the key of the loop marks.
    pub key_file: PathBuf,
    /// Whether the configuration names the file; if not, it is created.
    pub key_named: bool,
}

/// Reads a domain that signs, as an A-label.
///
/// # Errors
/// The text is not a domain name.
pub fn signing_domain(text: &str) -> Result<String, String> {
    let domain = domain_key(text)?;
    selector(&domain).ok_or_else(|| format!("`{text}` is not a domain name: write it as `example.co.jp`"))
}

/// A selector in lower case: labels of letters, digits and hyphens. `None` for anything else.
pub fn selector(text: &str) -> Option<String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (text.len() <= 253 && text.split('.').all(label)).then(|| text.to_ascii_lowercase())
}

pub(super) fn dkim(keys: keys::Dkim, base: &Base, reporter: &Reporter<'_>) -> Result<Dkim, Diagnostic> {
    let mut typed: Vec<DkimKey> = Vec::new();
    for key in keys.keys {
        let wrong = |why: String| reporter.wrong("[dkim]", "keys", why);
        let domain = signing_domain(&key.domain).map_err(wrong)?;
        let key = DkimKey { domain, selector: key.selector.0, file: base.join(&key.key) };
        if typed.iter().any(|other| other.domain == key.domain && other.selector == key.selector) {
            let DkimKey { domain, selector, .. } = key;
            return Err(wrong(format!("`keys` names selector `{selector}` of {domain} twice")));
        }
        typed.push(key);
    }
    Ok(Dkim { keys: typed, sign_all: keys.sign == keys::Sign::All })
}

pub(super) fn marks(
    keys: keys::Marks,
    base: &Base,
    database: &Path,
    by_mx: bool,
    reporter: &Reporter<'_>,
) -> Result<Marks, Diagnostic> {
    let header = match (keys.header, keys.secret_file) {
        (None, None) => None,
        (Some(name), Some(_)) if !name.0.starts_with("x-") => {
            let why = format!("`{}` may mean something to others: choose a name that begins with X-", name.0);
            return Err(reporter.wrong("[marks]", "header", why));
        }
        (Some(_), Some(_)) if by_mx => {
            let why = "mail that goes to the world by \"mx\" would show the secret to everybody: a mark is for one \
                       mail host that removes it";
            return Err(reporter.wrong("[marks]", "header", why));
        }
        (Some(name), Some(file)) => Some((name.0, base.join(&file))),
        (Some(_), None) => {
            return Err(reporter.wrong("[marks]", "header", "`header` needs a `secret_file` beside it"));
        }
        (None, Some(_)) => {
            return Err(reporter.wrong("[marks]", "secret_file", "`secret_file` needs a `header` beside it"));
        }
    };
    let beside = || {
        let mut name = database.as_os_str().to_owned();
        name.push(".key");
        PathBuf::from(name)
    };
    Ok(Marks {
        header,
        key_named: keys.key_file.is_some(),
        key_file: keys.key_file.map_or_else(beside, |file| base.join(&file)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_labels() {
        for text in ["s1", "sekisho-2026", "a.b"] {
            assert_eq!(selector(text).as_deref(), Some(text));
        }
        assert_eq!(selector("S1").as_deref(), Some("s1"));
        for text in ["", "-a", "a-", "a..b", "a;b", "a b", "_x", "ä"] {
            assert_eq!(selector(text), None, "{text}");
        }
    }
}
