//! Errors at the start of a relay.

use crate::config::reason;
use crate::diagnostic::Diagnostic;
use crate::store::StoreError;
use std::path::PathBuf;

/// Why a relay, or a command that works without one, cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mistakes in policy files.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Diagnostic>),
    /// A setting that cannot be carried out, for example an unreadable password file.
    #[error("{0}")]
    Configuration(String),
    /// Another relay or a command is using the database.
    #[error("another relay works on the database {}: stop it first, or configure another one", .0.display())]
    Locked(PathBuf),
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A socket could not be bound.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Its address.
        address: String,
        /// The reason.
        why: String,
    },
}

impl StartError {
    /// Whether another process holds the lock of the database.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked(_))
    }

    pub(super) fn listen(address: &impl ToString, error: &std::io::Error) -> Self {
        let why = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another port".to_owned()
            }
            std::io::ErrorKind::PermissionDenied => {
                "this user may not: ports below 1024 need CAP_NET_BIND_SERVICE".to_owned()
            }
            _ => reason(error),
        };
        Self::Listen { address: address.to_string(), why }
    }
}
