//! Why a relay does not start.

use crate::config::reason;
use crate::diagnostic::Diagnostic;
use crate::store::StoreError;
use std::path::PathBuf;

/// Why a relay does not start (or a command cannot work in its place).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Mistakes in policy files.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Policy(Vec<Diagnostic>),
    /// The configuration asks for what cannot be had (a password file that cannot be read, …).
    #[error("{0}")]
    Configuration(String),
    /// Another relay, or a command in its place, works on the database.
    #[error("another relay works on the database {}: stop it first, or configure another one", .0.display())]
    Locked(PathBuf),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A socket.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        why: String,
    },
}

impl StartError {
    /// Somebody else holds the database's lock.
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
