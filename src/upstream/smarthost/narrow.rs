//! Re-encodes a transaction for a next hop without 8BITMIME or SMTPUTF8, and signs it again if it was
//! signed.

use crate::dkim::{BodyHash, BodyHasher};
use crate::message::Header;
use crate::message::seven_bit::{SevenBit, unsigned};
use crate::message::spell_out as spelling;
use crate::upstream::{Content, Transaction};
use bytes::Bytes;
use std::io::SeekFrom;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader};

/// A converted body larger than this, in octets, is written to a temporary file.
const IN_MEMORY: usize = 1 << 20;
/// Octets read at a time.
const CHUNK: usize = 64 * 1024;

/// Why a transaction could not be re-encoded.
pub(super) enum Failure {
    /// It can never be re-encoded. The text begins with an enhanced status code.
    Never(String),
    /// It failed for now: the body cannot be read, or there is no room for the converted one.
    NotNow(String),
}

/// Converts header and body to 7-bit. After an error the body is used up.
pub(super) async fn narrow(transaction: &mut Transaction) -> Result<(), Failure> {
    let never = |why| Failure::Never(format!("5.6.3 the upstream lacks 8BITMIME, and {why}"));
    let mut machine = SevenBit::new(&transaction.header).map_err(never)?;
    let mut spool = Spool { out: Vec::new(), file: None, size: 0, hasher: BodyHasher::default() };
    match std::mem::replace(&mut transaction.body, Content::Spent) {
        Content::Inline(body) => machine.feed(&body, &mut spool.out).map_err(never)?,
        Content::Spent => return Err(Failure::NotNow("4.3.0 the body was sent already".to_owned())),
        Content::Stream { stream: mut body, size, .. } => {
            let (mut seen, mut chunk) = (0, vec![0; CHUNK]);
            loop {
                let count = body.read(&mut chunk).await.map_err(|error| unreadable(&error))?;
                if count == 0 {
                    break;
                }
                seen += count as u64;
                machine.feed(&chunk[..count], &mut spool.out).map_err(never)?;
                spool.spill().await?;
            }
            if seen != size {
                let why = format!("4.3.0 the stored body has {seen} octets instead of {size}");
                return Err(Failure::NotNow(why));
            }
        }
    }
    let converted = machine.finish(&mut spool.out).map_err(never)?;
    let (body, hash) = spool.content().await?;
    transaction.body = body;
    transaction.eight_bit = false;
    transaction.header = match &transaction.reseal {
        // the earlier signatures were removed, because the signed octets changed
        Some(seal) if converted.changed => {
            let sealed = seal.reseal(converted.header, hash).await;
            sealed.map_err(|why| Failure::NotNow(format!("4.3.0 {why}")))?
        }
        _ => converted.header,
    };
    Ok(())
}

/// Encodes the header as ASCII if it is not. After an error the body is used up.
pub(super) async fn spell_out(transaction: &mut Transaction) -> Result<(), Failure> {
    let never = |why: String| Failure::Never(format!("5.6.7 the upstream lacks SMTPUTF8, and {why}"));
    let header = Header::parse(transaction.header.clone())
        .map_err(|_| never("the header cannot be parsed".to_owned()))?;
    let spelt = spelling::spell_out(&header).map_err(|why| never(why.to_string()))?;
    transaction.smtputf8 = false;
    let Some(spelt) = spelt else { return Ok(()) };
    // remove the signatures, because the signed octets changed
    let spelt = Bytes::from(unsigned(spelt));
    transaction.header = match transaction.reseal.clone() {
        Some(seal) => {
            let hash = rehash(transaction).await?;
            let sealed = seal.reseal(spelt, hash).await;
            sealed.map_err(|why| Failure::NotNow(format!("4.3.0 {why}")))?
        }
        None => spelt,
    };
    Ok(())
}

/// Computes the body hash. The body in the transaction is replaced, so that it can be read again.
async fn rehash(transaction: &mut Transaction) -> Result<BodyHash, Failure> {
    let mut spool = Spool { out: Vec::new(), file: None, size: 0, hasher: BodyHasher::default() };
    match std::mem::replace(&mut transaction.body, Content::Spent) {
        Content::Inline(body) => spool.out.extend_from_slice(&body),
        Content::Spent => return Err(Failure::NotNow("4.3.0 the body was sent already".to_owned())),
        Content::Stream { stream: mut body, size, .. } => {
            let (mut seen, mut chunk) = (0, vec![0; CHUNK]);
            loop {
                let count = body.read(&mut chunk).await.map_err(|error| unreadable(&error))?;
                if count == 0 {
                    break;
                }
                seen += count as u64;
                spool.out.extend_from_slice(&chunk[..count]);
                spool.spill().await?;
            }
            if seen != size {
                let why = format!("4.3.0 the stored body has {seen} octets instead of {size}");
                return Err(Failure::NotNow(why));
            }
        }
    }
    let (body, hash) = spool.content().await?;
    transaction.body = body;
    Ok(hash)
}

fn unreadable(error: &std::io::Error) -> Failure {
    Failure::NotNow(format!("4.3.0 the stored body cannot be read: {error}"))
}

fn no_room(error: &std::io::Error) -> Failure {
    Failure::NotNow(format!("4.3.1 no room to re-encode the message: {error}"))
}

/// Collects the converted body, in memory or in a temporary file, and hashes it, because the signature in
/// the header is sent before the body.
struct Spool {
    out: Vec<u8>,
    file: Option<File>,
    size: u64,
    hasher: BodyHasher,
}

impl Spool {
    async fn spill(&mut self) -> Result<(), Failure> {
        if self.out.len() < IN_MEMORY {
            return Ok(());
        }
        if self.file.is_none() {
            let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
            let made = made.unwrap_or_else(|error| Err(std::io::Error::other(error)));
            self.file = Some(File::from_std(made.map_err(|error| no_room(&error))?));
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.out).await.map_err(|error| no_room(&error))?;
            self.size += self.out.len() as u64;
            self.hasher.feed(&self.out);
            self.out.clear();
        }
        Ok(())
    }

    async fn content(mut self) -> Result<(Content, BodyHash), Failure> {
        self.hasher.feed(&self.out);
        let hash = self.hasher.finish();
        let Some(mut file) = self.file.take() else {
            return Ok((Content::Inline(Bytes::from(self.out)), hash));
        };
        file.write_all(&self.out).await.map_err(|error| no_room(&error))?;
        file.flush().await.map_err(|error| no_room(&error))?;
        file.seek(SeekFrom::Start(0)).await.map_err(|error| no_room(&error))?;
        Ok((
            Content::Stream {
                stream: Box::new(BufReader::with_capacity(CHUNK, file)),
                size: self.size + self.out.len() as u64,
                file: None,
            },
            hash,
        ))
    }
}
