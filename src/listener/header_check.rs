//! Checks a message's header before any of it reaches intake: the author addresses must belong to the
//! client, and a required tenant secret must be present. Removes fields that carry secrets.

use crate::accounts::{Counts, Senders, Tenant};
use crate::intake::{Answer, HeaderCheck};
use crate::message::Header;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;

/// The checks for one message.
#[derive(Clone, Debug, Default)]
pub(super) struct HeaderChecks {
    /// The client, for the log.
    pub(super) client: Option<SocketAddr>,
    /// The authenticated user, for the log.
    pub(super) identity: Option<String>,
    /// Addresses the message may be from; `None` allows all.
    pub(super) senders: Option<Senders>,
    /// The tenant whose secret the message must carry.
    pub(super) tenant: Option<Arc<Tenant>>,
    /// Names of the fields to remove.
    pub(super) stripped: Arc<[String]>,
    /// Counts for the metrics.
    pub(super) counts: Counts,
}

impl HeaderChecks {
    /// What intake asks before it keeps anything of the header; `None` if there is nothing to check.
    pub(super) fn check(self) -> Option<HeaderCheck> {
        if self.senders.is_none() && self.tenant.is_none() && self.stripped.is_empty() {
            return None;
        }
        Some(Box::new(move |header| self.examine(&header)))
    }

    /// Checks a complete header block; returns it without the fields that carry secrets.
    fn examine(&self, block: &Bytes) -> Result<Bytes, Answer> {
        let Ok(header) = Header::parse(block.clone()) else {
            return self.unreadable(block);
        };
        if let Some(tenant) = &self.tenant
            && !tenant.vouched(&header)
        {
            return Err(
                self.refuse("tenant", "the message does not carry the secret of a tenant that may send here")
            );
        }
        if let Some(senders) = &self.senders
            && let Err(foreign) = senders.own(&header)
        {
            return Err(self.refuse("header", &foreign.to_string()));
        }
        Ok(self.strip(&header))
    }

    /// Handles a header that cannot be parsed. If no check applies, intake will hold the message;
    /// otherwise it is refused.
    fn unreadable(&self, block: &Bytes) -> Result<Bytes, Answer> {
        let lower = block.to_ascii_lowercase();
        let secret = self
            .stripped
            .iter()
            .any(|name| memchr::memmem::find(&lower, name.to_ascii_lowercase().as_bytes()).is_some());
        if self.senders.is_some() || self.tenant.is_some() || secret {
            return Err(self.refuse("header", "the header cannot be parsed, so its author cannot be checked"));
        }
        Ok(block.clone())
    }

    fn strip(&self, header: &Header) -> Bytes {
        let secret =
            |name: &[u8]| self.stripped.iter().any(|stripped| name.eq_ignore_ascii_case(stripped.as_bytes()));
        let fields = header.fields();
        if !fields.iter().any(|field| secret(header.name(field))) {
            return header.bytes().clone();
        }
        let mut kept = BytesMut::with_capacity(header.bytes().len());
        for field in fields.iter().filter(|field| !secret(header.name(field))) {
            kept.extend_from_slice(&header.bytes()[field.whole.clone()]);
        }
        kept.freeze()
    }

    fn refuse(&self, why: &'static str, text: &str) -> Answer {
        tracing::info!(client = ?self.client, identity = self.identity, why, text, "refused: sender address not allowed for this client");
        self.counts.refused(why);
        Answer::Rejected(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::id::Id;
    use crate::intake::{Content, Reception};
    use crate::message::gathering::MAX_HEADER;
    use async_trait::async_trait;
    use secrecy::SecretString;
    use std::sync::Mutex;

    /// Stores what it receives.
    struct Recorder(Arc<Mutex<Vec<u8>>>);

    #[async_trait]
    impl Content for Recorder {
        async fn header(&mut self, header: Bytes) -> Result<(), Answer> {
            self.0.lock().unwrap().extend_from_slice(&header);
            Ok(())
        }
        async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
            self.0.lock().unwrap().extend_from_slice(&octets);
            Ok(())
        }
        async fn finish(self: Box<Self>) -> Answer {
            Answer::Queued(Id::new(Timestamp(0), 0))
        }
    }

    /// Sends a message in pieces of `size` octets; returns what reaches intake, or why it is refused.
    async fn kept(checks: HeaderChecks, message: &[u8], size: usize) -> Result<Vec<u8>, String> {
        let all = Arc::new(Mutex::new(Vec::new()));
        let recorder = Box::new(Recorder(Arc::clone(&all)));
        let mut checked = Reception::new(recorder, checks.check(), Arc::new(()));
        for piece in message.chunks(size) {
            if let Err(answer) = checked.write(Bytes::copy_from_slice(piece)).await {
                assert!(all.lock().unwrap().is_empty(), "something was stored before the header was checked");
                return Err(format!("{answer:?}"));
            }
        }
        match checked.finish().await {
            Answer::Queued(_) => Ok(all.lock().unwrap().clone()),
            answer => {
                assert!(all.lock().unwrap().is_empty());
                Err(format!("{answer:?}"))
            }
        }
    }

    fn hanako() -> HeaderChecks {
        HeaderChecks {
            senders: Some(Senders::of(["hanako@example.co.jp"]).unwrap()),
            ..HeaderChecks::default()
        }
    }

    fn tenant() -> HeaderChecks {
        let secrets = vec![SecretString::from("0123456789abcdef".to_owned())];
        let tenant = Tenant::new(&["example.co.jp".into()], "X-Sekisho-Tenant", secrets).unwrap();
        let stripped = Arc::from(["X-Sekisho-Tenant".to_owned()]);
        HeaderChecks { tenant: Some(Arc::new(tenant)), stripped, ..HeaderChecks::default() }
    }

    type Case<'a> = (HeaderChecks, &'a [u8], Result<&'a [u8], &'a str>);

    #[tokio::test]
    async fn the_header_is_looked_at_before_anything_is_kept() {
        let mine = b"From: hanako@example.co.jp\r\nSubject: x\r\n\r\nFrom: taro@example.co.jp\r\n".as_slice();
        let cases: &[Case<'_>] = &[
            (hanako(), mine, Ok(mine)),
            (hanako(), b"From: taro@example.co.jp\r\n\r\nx\r\n", Err("<taro@example.co.jp> is not")),
            (hanako(), b"From: hanako@example.co.jp\r\n", Ok(b"From: hanako@example.co.jp\r\n")),
            (hanako(), b"From: taro@example.co.jp\r\n", Err("is not an address of yours")),
            (hanako(), b"\r\nFrom: hanako@example.co.jp\r\n", Err("exactly one From")),
            (hanako(), b"From: hanako@example.co.jp\r\nno field\r\n\r\nx\r\n", Err("cannot be parsed")),
            (
                tenant(),
                b"A: 1\r\nx-sekisho-TENANT: 0123456789abcdef\r\nB: 2\r\n\r\nX-Sekisho-Tenant: 0123456789abcdef\r\n",
                Ok(b"A: 1\r\nB: 2\r\n\r\nX-Sekisho-Tenant: 0123456789abcdef\r\n"),
            ),
            (tenant(), b"A: 1\r\nX-Sekisho-Tenant: 0123456789abcdee\r\n\r\nx\r\n", Err("secret of a tenant")),
            (tenant(), b"A: 1\r\n\r\nX-Sekisho-Tenant: 0123456789abcdef\r\n", Err("secret of a tenant")),
            (
                HeaderChecks { tenant: None, ..tenant() },
                b"X-Sekisho-Tenant: whatever\r\n folded\r\nB: 2\r\n\r\nx\r\n",
                Ok(b"B: 2\r\n\r\nx\r\n"),
            ),
            (HeaderChecks { tenant: None, ..tenant() }, b"no field\r\n\r\nx\r\n", Ok(b"no field\r\n\r\nx\r\n")),
            (
                HeaderChecks { tenant: None, ..tenant() },
                b"no field\r\nX-Sekisho-Tenant: y\r\n\r\nx\r\n",
                Err("cannot be parsed"),
            ),
        ];
        for (checks, message, expected) in cases {
            for size in [1, 7, message.len()] {
                let text = String::from_utf8_lossy(message);
                match (kept(checks.clone(), message, size).await, expected) {
                    (Ok(kept), Ok(wanted)) => assert_eq!(kept, *wanted, "{text}"),
                    (Err(said), Err(part)) => assert!(said.contains(part), "{text}: {said}"),
                    (said, _) => panic!("{text}: {said:?}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_header_without_end_is_too_large() {
        let message = [b"From: ".as_slice(), &vec![b'x'; MAX_HEADER]].concat();
        assert!(kept(hanako(), &message, 65_536).await.unwrap_err().contains("TooLarge"));
    }
}
