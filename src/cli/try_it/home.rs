//! The folder that `try` works in: configuration, policy, database and outbox.

use super::super::Failure;
use crate::config::reason;
use crate::policy::rules::DEFAULT;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The first line of a configuration that `try` wrote, and may overwrite.
const OURS: &str = "# Written by `sekisho try`, and overwritten whenever it runs here.";

/// The folder.
#[derive(Debug)]
pub(super) struct Home {
    /// The folder itself.
    pub(super) folder: PathBuf,
    /// Its configuration.
    pub(super) config: PathBuf,
    /// Where the upstream stores mail.
    pub(super) outbox: PathBuf,
}

impl Home {
    /// Creates the folder (a new one if none is named) and writes its configuration and policy.
    pub(super) fn make(named: Option<&Path>, listen: SocketAddr, desk: SocketAddr) -> Result<Self, Failure> {
        let folder = match named {
            Some(folder) => {
                private_folder(folder).map_err(|error| cannot(folder, &error))?;
                std::path::absolute(folder).map_err(|error| cannot(folder, &error))?
            }
            None => tempfile::Builder::new()
                .prefix("sekisho-try-")
                .tempdir()
                .map_err(|error| cannot(&std::env::temp_dir(), &error))?
                .keep(),
        };
        let home = Self {
            config: folder.join("sekisho.toml"),
            outbox: folder.join("outbox"),
            folder: folder.clone(),
        };
        let present = std::fs::read_to_string(&home.config).unwrap_or_default();
        if home.config.exists() && !present.starts_with(OURS) {
            return Err(Failure::usage(format!(
                "{} was not written by `sekisho try`: name another --dir, or run `sekisho serve --config {}`",
                home.config.display(),
                home.config.display()
            )));
        }
        let policy = folder.join("policy").join("default.toml");
        private_folder(&folder.join("policy")).map_err(|error| cannot(&folder, &error))?;
        if !policy.exists() {
            std::fs::write(&policy, DEFAULT).map_err(|error| cannot(&policy, &error))?;
        }
        std::fs::write(&home.config, configuration(listen, desk))
            .map_err(|error| cannot(&home.config, &error))?;
        Ok(home)
    }
}

/// A folder that only its owner can read, because it will contain mail. An existing folder is left as it is.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}: {}", path.display(), reason(error)))
}

fn configuration(listen: SocketAddr, desk: SocketAddr) -> String {
    // The URL of the desk is unknown until a free port is chosen.
    let url = if desk.port() == 0 { String::new() } else { format!("url = \"http://{desk}\"\n") };
    format!(
        r#"{OURS}

[organisation]
domains = "sender"                     # the own domain of each sender is ours

[[listener]]
address = "{listen}"
allow = ["127.0.0.0/8", "::1"]         # this machine alone

[upstream]
address = "capture:outbox"             # a Maildir: nothing leaves this machine

[store]
url = "sqlite:sekisho.db"

[desk]
address = "{desk}"
{url}mail_codes = false                     # the link that is printed signs in

[policy]
files = ["policy/default.toml"]        # the shipped policy: change it and run `sekisho try` here again
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_written_can_be_read_and_a_strangers_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let home = Home::make(Some(folder.path()), at(2525), at(8025)).unwrap();
        let config = Config::find(Some(&home.config)).unwrap();
        assert_eq!(config.listeners[0].address, at(2525));
        assert_eq!(config.first_domain, None);
        Home::make(Some(folder.path()), at(0), at(0)).unwrap();
        std::fs::write(&home.config, "# mine\n").unwrap();
        assert_eq!(Home::make(Some(folder.path()), at(0), at(0)).unwrap_err().code, 2);
        assert_eq!(std::fs::read_to_string(&home.config).unwrap(), "# mine\n");
    }
}
