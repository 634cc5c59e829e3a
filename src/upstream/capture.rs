//! `capture:DIR`: writes to a Maildir instead of sending to a next hop. Each transaction becomes one file,
//! as a mail delivery agent would write it: Return-Path, one Delivered-To for each recipient, then the
//! exact bytes of the copy.
//!
//! Meant for trials: files are not fsynced.

use super::{Content, Fate, Outcome, Transaction, Upstream};
use crate::clock::{Clock, Entropy};
use async_trait::async_trait;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::fs;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Octets read from a streamed body at a time.
const CHUNK: usize = 64 * 1024;

/// An upstream that writes every transaction to a Maildir.
pub struct Capture {
    name: String,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    written: AtomicU64,
}

/// Why a transaction was not written.
enum Refusal {
    /// The relay no longer owns the lease of the delivery.
    Withdrawn,
    /// The folder cannot be written.
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Capture {
    /// Captures into `folder`, which is created with the first message.
    pub fn new(folder: impl Into<PathBuf>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let folder = folder.into();
        let name = format!("capture:{}", folder.display());
        Self { name, folder, clock, entropy, written: AtomicU64::new(0) }
    }

    async fn make_folders(&self) -> io::Result<()> {
        for part in ["tmp", "new", "cur"] {
            // Captured mail is private: it may contain sign-in codes and links to the desk.
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(self.folder.join(part)).await?;
        }
        Ok(())
    }

    /// A unique file name from the time, a random number and a counter of this process.
    fn file_name(&self) -> String {
        let count = self.written.fetch_add(1, Ordering::Relaxed);
        let now = self.clock.now().0;
        format!("{}.M{:03}R{:016x}Q{count}.sekisho", now / 1000, now % 1000, self.entropy.bits())
    }

    async fn write(
        &self,
        transaction: &mut Transaction,
        last_look: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), Refusal> {
        self.make_folders().await?;
        let name = self.file_name();
        let partial = self.folder.join("tmp").join(&name);
        let result = self.write_and_move(&partial, &name, transaction, last_look).await;
        if result.is_err() {
            // if the file cannot be removed, nothing more can be done
            let _ = fs::remove_file(&partial).await;
        }
        result
    }

    async fn write_and_move(
        &self,
        partial: &Path,
        name: &str,
        transaction: &mut Transaction,
        last_look: &(dyn Fn() -> bool + Send + Sync),
    ) -> Result<(), Refusal> {
        let head = [delivery_fields(transaction).as_bytes(), &transaction.header].concat();
        match std::mem::replace(&mut transaction.body, Content::Spent) {
            Content::Inline(body) => {
                let mut file = create(partial).await?;
                file.write_all(&[head.as_slice(), &body].concat()).await?;
                file.flush().await?;
            }
            Content::Spent => return Err(io::Error::other("the body was sent already").into()),
            Content::Stream { stream: mut body, .. } => {
                let mut file = create(partial).await?;
                file.write_all(&head).await?;
                let mut chunk = vec![0; CHUNK];
                loop {
                    let count = body.read(&mut chunk).await?;
                    if count == 0 {
                        break;
                    }
                    file.write_all(&chunk[..count]).await?;
                }
                file.flush().await?;
            }
        }
        if !last_look() {
            return Err(Refusal::Withdrawn);
        }
        fs::rename(partial, self.folder.join("new").join(name)).await?;
        Ok(())
    }
}

/// Creates a file that only this user may read.
async fn create(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).await
}

/// The fields that a delivery agent adds before a message (RFC 5321 §4.4 for Return-Path).
fn delivery_fields(transaction: &Transaction) -> String {
    let sender = transaction.sender.as_ref().map_or("", |sender| sender.as_str());
    let mut fields = format!("Return-Path: <{sender}>\r\n");
    for recipient in &transaction.recipients {
        fields.push_str("Delivered-To: ");
        fields.push_str(recipient.address.as_str());
        fields.push_str("\r\n");
    }
    fields
}

#[async_trait]
impl Upstream for Capture {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(
        &self,
        transaction: &mut Transaction,
        last_look: Arc<dyn Fn() -> bool + Send + Sync>,
    ) -> Outcome {
        let recipients = transaction.recipients.len();
        match self.write(transaction, last_look.as_ref()).await {
            Ok(()) => {
                Outcome::all(recipients, &Fate::Delivered("250 2.0.0 stored in the Maildir".to_owned()))
            }
            Err(Refusal::Withdrawn) => {
                Outcome::all(recipients, &Fate::Deferred("4.3.2 aborted before the end".to_owned()))
            }
            Err(Refusal::Io(error)) => Outcome::unreachable(
                recipients,
                format!("4.3.0 the Maildir {} cannot be written: {error}", self.folder.display()),
            ),
        }
    }

    async fn probe(&self) -> Result<String, String> {
        let attempt = async {
            self.make_folders().await?;
            let partial = self.folder.join("tmp").join(self.file_name());
            fs::write(&partial, b"").await?;
            fs::remove_file(&partial).await
        };
        match attempt.await {
            Ok(()) => Ok(format!("{} is a Maildir and can be written", self.folder.display())),
            Err(error) => Err(format!("the Maildir {} cannot be written: {error}", self.folder.display())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, SystemEntropy, Timestamp};
    use crate::message::{Address, Recipient};
    use bytes::Bytes;

    fn capture(folder: &Path) -> Capture {
        Capture::new(folder, Arc::new(ManualClock::at(Timestamp(1_700_000_000_123))), Arc::new(SystemEntropy))
    }

    fn transaction(body: Content) -> Transaction {
        let recipient = |text: &str| Recipient::plain(Address::parse(text).unwrap());
        Transaction {
            sender: Some(Address::parse("a@example.jp").unwrap()),
            recipients: vec![recipient("b@example.com"), recipient("c@example.net")],
            header: Bytes::from_static(b"Subject: x\r\n"),
            body,
            smtputf8: false,
            eight_bit: false,
            ret: None,
            envid: None,
            reseal: None,
        }
    }

    fn kept(folder: &Path) -> Vec<String> {
        std::fs::read_dir(folder.join("new"))
            .map(|files| files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect())
            .unwrap_or_default()
    }

    const GOLDEN: &str = "Return-Path: <a@example.jp>\r\nDelivered-To: b@example.com\r\n\
        Delivered-To: c@example.net\r\nSubject: x\r\n\r\n.dots stay\r\nlast line";

    #[tokio::test]
    async fn each_transaction_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let capture = capture(&folder.path().join("deep/er"));
        let body = b"\r\n.dots stay\r\nlast line";
        let bodies = [
            Content::Inline(Bytes::from_static(body)),
            Content::Stream { stream: Box::new(body.as_slice()), size: body.len() as u64, file: None },
        ];
        for body in bodies {
            let outcome = capture.send(&mut transaction(body), Arc::new(|| true)).await;
            assert!(matches!(&outcome.recipients[..], [Fate::Delivered(_), Fate::Delivered(_)]));
        }
        assert_eq!(kept(&folder.path().join("deep/er")), [GOLDEN, GOLDEN]);
        assert!(std::fs::read_dir(folder.path().join("deep/er/tmp")).unwrap().next().is_none());
    }

    #[tokio::test]
    async fn a_lost_lease_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = capture(folder.path())
            .send(&mut transaction(Content::Inline(Bytes::new())), Arc::new(|| false))
            .await;
        assert!(matches!(&outcome.recipients[..], [Fate::Deferred(_), Fate::Deferred(_)]));
        assert!(kept(folder.path()).is_empty());
    }

    #[tokio::test]
    async fn an_unwritable_folder_defers() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let capture = capture(&file);
        let outcome = capture.send(&mut transaction(Content::Inline(Bytes::new())), Arc::new(|| true)).await;
        assert!(outcome.unreachable);
        let Fate::Deferred(why) = &outcome.recipients[0] else { panic!("{outcome:?}") };
        assert!(why.contains("cannot be written"), "{why}");
        assert!(capture.probe().await.is_err());
    }
}
