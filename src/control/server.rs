//! The relay's side of the control socket.

use super::execute::execute;
use super::{Answer, Request, own_uid, user_name};
use crate::desk::Desk;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Longest request in octets.
const LONGEST_REQUEST: u64 = 1024 * 1024;
/// Timeout for the next request of a command.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most commands served at once.
const MOST_COMMANDS: usize = 32;

/// The bound socket. Dropping it removes the socket file.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Binds the socket, replacing a file left by a crash. The caller must hold the lock of the store, so
    /// that no other relay uses the socket.
    ///
    /// # Errors
    /// The socket file cannot be replaced or created.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Serves commands until the task is stopped.
    pub async fn run(self, desk: Desk) {
        let slots = Arc::new(Semaphore::new(MOST_COMMANDS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let desk = desk.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve(stream, &desk).await {
                            tracing::debug!(%error, "a connection on the control socket failed");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on the control socket");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Serves one connection: requests are answered one after the other.
async fn serve(stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let (read, mut write) = stream.into_split();
    if uid != 0 && Some(uid) != own_uid() {
        tracing::warn!(uid, "a command of another user was refused");
        let text = "this relay belongs to another user: run the command as that user, or as root";
        return write.write_all(&line(&Answer::Refused(text.to_owned()))).await;
    }
    let user = user_name(uid);
    let mut read = BufReader::new(read);
    loop {
        let mut text = Vec::new();
        let mut bounded = (&mut read).take(LONGEST_REQUEST);
        let count = tokio::time::timeout(PATIENCE, bounded.read_until(b'\n', &mut text)).await??;
        if count == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice::<Request>(&text) {
            Ok(request) => execute(desk, request, &user).await,
            Err(error) => Answer::Refused(format!(
                "the running relay does not understand this command ({error}); it may be another version"
            )),
        };
        write.write_all(&line(&answer)).await?;
    }
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(answer).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}
