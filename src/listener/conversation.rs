//! One client's session: drives the [`Session`] over a stream, passes messages to intake, and sends back
//! the replies.

use super::access::Admission;
use super::header_check::HeaderChecks;
use super::stream::Stream;
use super::transaction::Transaction;
use super::wire::{Over, Patience, Wire};
use super::{Shared, Shutdown, TlsMode, answers, journal, stopped};
use crate::accounts::guesses::Guess;
use crate::accounts::{Identity, Senders, Tenant};
use crate::intake::{Answer, ClientIntake, Reception};
use crate::message::Address;
use crate::smtp::{BareLf, Event, Fault, Session};
use crate::store::Origin;
use crate::tls::Peer;
use bytes::{Bytes, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Replies to pipelined commands are written once they exceed this many octets.
const OUTPUT: usize = 8 * 1024;

/// The client of a session.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// Address and port. IPv4-mapped IPv6 addresses are converted to IPv4.
    pub(super) peer: SocketAddr,
    /// Whether it may relay, and why.
    pub(super) admission: Admission,
    /// What happens to a bare LF in its content.
    pub(super) bare_lf: BareLf,
    /// The certificate it presented in the TLS handshake.
    pub(super) certificate: Option<Box<Peer>>,
}

/// A message whose content is being received.
struct Incoming {
    /// Where the content goes, or the answer if it was refused before its end.
    reception: Result<Reception, Answer>,
    recipients: usize,
    began: Instant,
    octets: u64,
}

/// One session from greeting to close.
pub(super) struct Conversation {
    wire: Wire,
    pub(super) session: Session,
    pub(super) client: Client,
    pub(super) shared: Arc<Shared>,
    /// The authenticated user.
    pub(super) identity: Option<Box<Identity>>,
    /// The failed-attempt accounting of a SCRAM exchange in progress.
    pub(super) guess: Option<Box<Guess>>,
    intake: Arc<dyn ClientIntake>,
    transaction: Option<Box<Transaction>>,
    incoming: Option<Box<Incoming>>,
    began: Instant,
    /// When the last reply was written. The command timeout starts here.
    answered: Instant,
}

impl Conversation {
    pub(super) fn new(
        stream: Stream,
        client: Client,
        shared: Arc<Shared>,
        intake: Arc<dyn ClientIntake>,
        shutdown: Shutdown,
    ) -> Self {
        let now = Instant::now();
        Self {
            wire: Wire::new(stream, shutdown),
            session: Session::new(Arc::clone(&shared.options), client.bare_lf),
            client,
            shared,
            identity: None,
            guess: None,
            intake,
            transaction: None,
            incoming: None,
            began: now,
            answered: now,
        }
    }

    /// Runs the session until it ends.
    pub(super) async fn run(mut self) {
        tracing::debug!(client = %self.client.peer, admission = ?self.client.admission, "connected");
        self.session.greet();
        let ended = self.talk().await;
        tracing::debug!(client = %self.client.peer, ?ended, "session ended");
        let last_words = match ended {
            Ok(()) | Err(Over::Gone) => None,
            Err(Over::TimedOut) if self.began.elapsed() >= self.shared.settings.limits.session => {
                Some(("421 4.4.2", "the session has lasted too long, closing"))
            }
            Err(Over::TimedOut) => Some(("421 4.4.2", "too slow, closing")),
            Err(Over::Drained) => Some(("421 4.3.2", "shutting down, try again later")),
        };
        self.incoming = None;
        if let Some((code, text)) = last_words {
            self.session.close(code, text);
            if self.flush().await.is_err() {
                return;
            }
        }
        if !matches!(ended, Err(Over::Gone)) {
            self.wire.close().await;
        }
    }

    async fn talk(&mut self) -> Result<(), Over> {
        let mut input = BytesMut::new();
        loop {
            match self.session.next(&mut input) {
                Event::Wait => {
                    self.flush().await?;
                    let patience = self.patience();
                    self.wire.read(&mut input, patience, &self.shared.settings.limits).await?;
                }
                Event::Greeted => self.greeted(&input),
                Event::Reset => self.transaction = None,
                Event::Auth(claim) => Box::pin(self.claimed(claim)).await,
                Event::Mail(mail) => match self.opened(mail) {
                    Ok(transaction) => {
                        self.transaction = Some(Box::new(transaction));
                        self.session.accept();
                    }
                    Err((code, text)) => self.session.refuse(code, &text),
                },
                Event::Rcpt(rcpt) => match self.recipient(rcpt) {
                    Ok(()) => self.session.accept(),
                    Err((code, text)) => self.session.refuse(code, &text),
                },
                Event::StartTls => Box::pin(self.start_tls(&input)).await?,
                Event::Data => self.begin(&input).await,
                Event::Content(octets) => self.content(octets).await,
                Event::End(fault) => self.end(fault).await,
                Event::Close => return self.flush().await,
            }
            if self.session.output().len() > OUTPUT {
                self.flush().await?;
            }
        }
    }

    async fn flush(&mut self) -> Result<(), Over> {
        if self.session.output().is_empty() {
            return Ok(());
        }
        self.wire.write(self.session.output(), &self.shared.settings.limits).await?;
        self.session.written();
        self.answered = Instant::now();
        Ok(())
    }

    /// How long to wait for more input. A command has a fixed deadline, which slow input does not extend.
    /// Content has a deadline for each block, and a total one that grows with the octets received.
    fn patience(&self) -> Patience {
        let limits = &self.shared.settings.limits;
        let deadline = match &self.incoming {
            Some(incoming) => {
                let earned = Duration::from_secs(self.session.content_octets() / limits.least_rate.max(1));
                (Instant::now() + limits.block).min(incoming.began + limits.content + earned)
            }
            None => self.answered + limits.command,
        };
        Patience {
            deadline: deadline.min(self.began + limits.session),
            in_content: self.session.in_content(),
        }
    }

    /// EHLO must be the last command of a pipelined group (RFC 2920 §3.1): a client that sends more has not
    /// waited to see what we offer.
    fn greeted(&mut self, input: &BytesMut) {
        self.transaction = None;
        if !input.is_empty() {
            self.session.close("554 5.5.1", "wait for the reply to EHLO");
        }
    }

    /// Whether the TLS handshake comes before the greeting.
    pub(super) fn is_implicit(&self) -> bool {
        self.shared.settings.tls.as_ref().is_some_and(|tls| tls.mode == TlsMode::Implicit)
    }

    /// Handles STARTTLS. Input that follows it in plain text may have been injected by anybody on the path,
    /// so it is discarded and the connection is closed (RFC 3207 §4.2).
    async fn start_tls(&mut self, input: &BytesMut) -> Result<(), Over> {
        if !input.is_empty() {
            tracing::warn!(client = %self.client.peer, "refused: input was sent after STARTTLS without waiting for the reply");
            self.shared.settings.tally.refuse("starttls");
            self.session.refuse("501 5.5.4", "wait for the reply to STARTTLS");
            self.session.close("421 4.7.0", "closing: input was sent after STARTTLS");
            return Ok(());
        }
        self.session.accept();
        self.flush().await?;
        self.transaction = None;
        self.shake_hands().await?;
        self.answered = Instant::now();
        Ok(())
    }

    /// Does the TLS handshake. If it fails, no SMTP reply can be sent any more.
    pub(super) async fn shake_hands(&mut self) -> Result<(), Over> {
        let shared = Arc::clone(&self.shared);
        let (Some(tls), Some(stream)) = (&shared.settings.tls, self.wire.take_plain()) else {
            return Err(Over::Gone);
        };
        let accept = tls.server.accept(stream, !tls.client_names.is_empty());
        let mut shutdown = self.wire.shutdown();
        let accepted = tokio::select! {
            biased;
            accepted = tokio::time::timeout(shared.settings.limits.handshake, accept) => accepted,
            // Nothing has been accepted from this client yet, so a drain does not wait for it.
            () = stopped(&mut shutdown) => return Err(Over::Gone),
        };
        let why = match accepted {
            Ok(Ok((stream, peer))) => {
                shared.settings.tally.handshake(true);
                self.wire.secure(stream);
                self.session.secure();
                self.introduced(&shared, peer);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it timed out".to_owned(),
        };
        shared.settings.tally.handshake(false);
        tracing::info!(client = %self.client.peer, why, "TLS handshake failed");
        Err(Over::Gone)
    }

    /// Records the client's certificate and lets the client relay if one of its names is allowed.
    fn introduced(&mut self, shared: &Shared, peer: Peer) {
        let client = self.client.peer;
        if let Some(why) = &peer.unverified {
            tracing::info!(%client, why, "the client's certificate does not verify");
        }
        let mut wanted = shared.settings.tls.iter().flat_map(|tls| &tls.client_names);
        let named = wanted.find_map(|want| peer.names.iter().find(|name| want.matches(name)));
        tracing::debug!(%client, names = ?peer.names, named, "secured");
        if named.is_some() && self.client.admission != Admission::Network {
            self.client.admission = Admission::Certificate;
        }
        self.client.certificate = (peer != Peer::default()).then(|| Box::new(peer));
    }

    fn recipient(&mut self, rcpt: crate::smtp::Rcpt) -> Result<(), (&'static str, String)> {
        let settings = &self.shared.settings;
        if !self.may_send() {
            settings.access.counts.refused(if settings.role.is_journal() { "journal" } else { "relay" });
            let not_yet = self.identity.is_none() && self.client.admission == Admission::Unknown;
            return Err((if not_yet { "451 4.7.0" } else { "550 5.7.1" }, self.unknown()));
        }
        let transaction = self.transaction.as_mut();
        let transaction = transaction.ok_or_else(|| ("503 5.5.1", "say MAIL first".to_owned()))?;
        transaction.add(rcpt, &settings.postmaster_domain, settings.limits.recipients)
    }

    /// Handles MAIL: refuses a sender address that this client may not use.
    fn opened(&self, mail: crate::smtp::Mail) -> Result<Transaction, (&'static str, String)> {
        let transaction = Transaction::open(mail)?;
        if self.shared.settings.role.is_journal() {
            // a journal copy has the sender address of the original mail
            return Ok(transaction);
        }
        let access = &self.shared.settings.access;
        let sender = transaction.sender();
        let (why, owned) = match (self.senders(), self.tenant()) {
            // Automatic replies have the null sender (RFC 3834 §3.3). Their From is still checked.
            (Some(senders), _) => ("mail-from", sender.is_none_or(|sender| senders.contain(sender))),
            (None, Some(tenant)) => ("tenant", tenant.sends_as(sender)),
            (None, None) => return Ok(transaction),
        };
        if owned {
            return Ok(transaction);
        }
        let client = self.client.peer;
        access.counts.refused(why);
        let sender = sender.map_or("", Address::as_str);
        let identity = self.label();
        tracing::info!(%client, identity, sender, why, "refused: sender address not allowed for this client");
        Err(("550 5.7.1", format!("<{sender}> is not an address of yours")))
    }

    /// The addresses this client may send from; `None` allows all.
    fn senders(&self) -> Option<&Senders> {
        match &self.identity {
            Some(identity) => Some(&identity.senders),
            None if self.client.admission == Admission::Network => {
                self.shared.settings.access.senders.as_ref()
            }
            None => None,
        }
    }

    /// The tenant whose secret the message must carry, if the client is on a shared host: the address of
    /// such a host does not tell whose mail it sends.
    pub(super) fn tenant(&self) -> Option<&Arc<Tenant>> {
        let shared = matches!(self.client.admission, Admission::Shared | Admission::Certificate);
        self.shared.settings.access.tenant.as_ref().filter(|_| shared && self.identity.is_none())
    }

    /// The checks to apply to the message header.
    fn checks(&self) -> HeaderChecks {
        if self.shared.settings.role.is_journal() {
            return self.checks_of_a_copy();
        }
        let access = &self.shared.settings.access;
        HeaderChecks {
            client: Some(self.client.peer),
            identity: self.label(),
            senders: self.senders().cloned(),
            tenant: self.tenant().cloned(),
            stripped: Arc::clone(&access.stripped),
            counts: access.counts.clone(),
        }
    }

    /// The text that tells this client why it may not relay.
    fn unknown(&self) -> String {
        let address = self.client.peer.ip();
        if self.client.admission == Admission::Unknown {
            return format!("it is not known yet whether {address} may relay here, try again later");
        }
        let certificate = match self.client.certificate.as_deref() {
            None => "",
            Some(Peer { unverified: Some(_), .. }) => ", and its certificate does not verify",
            Some(_) => ", and its certificate has no name that may relay",
        };
        if self.shared.settings.role.is_journal() {
            return self.no_source(certificate);
        }
        format!("relaying denied: {address} is not in a network that may relay here{certificate}")
    }

    /// Handles DATA: asks intake before the 354.
    async fn begin(&mut self, input: &BytesMut) {
        let Some(transaction) = self.transaction.take() else {
            return self.session.refuse("503 5.5.1", "say MAIL first");
        };
        let envelope = transaction.close();
        let recipients = envelope.recipients.len();
        let origin = Origin::Client {
            peer: self.client.peer.to_string(),
            helo: self.session.helo().to_owned(),
            identity: self.label(),
            secured: self.session.is_secured(),
        };
        let check = self.checks().check();
        let reception = if self.shared.settings.role.is_journal() {
            self.intake.copied(origin, check).await
        } else {
            self.intake.begin(origin, envelope, check).await
        };
        match reception {
            Ok(reception) => {
                let (reception, began) = (Ok(reception), Instant::now());
                self.incoming = Some(Box::new(Incoming { reception, recipients, began, octets: 0 }));
                self.session.accept();
            }
            Err(answer) => {
                self.log(&answer, recipients, 0);
                let (code, text) = answers::reply(&answer);
                self.session.refuse(code, &text);
                if !input.is_empty() {
                    // Input that did not wait for the 354 may be content, so it must not be read as commands.
                    self.session.close("421 4.7.0", "closing: input was sent before the reply to DATA");
                }
            }
        }
    }

    async fn content(&mut self, octets: Bytes) {
        let Some(incoming) = &mut self.incoming else { return };
        incoming.octets += octets.len() as u64;
        let Ok(reception) = &mut incoming.reception else { return };
        if let Err(answer) = reception.write(octets).await {
            incoming.reception = Err(answer);
        }
    }

    /// Handles the final dot.
    async fn end(&mut self, fault: Option<Fault>) {
        let Some(incoming) = self.incoming.take() else {
            return self.session.answer("451 4.3.0", "not now, try again later");
        };
        let Incoming { reception, recipients, octets, .. } = *incoming;
        let is_copy = self.shared.settings.role.is_journal();
        if let Some(fault) = fault.filter(|_| !is_copy) {
            drop(reception);
            let (code, text) = fault.reply();
            tracing::info!(client = %self.client.peer, recipients, octets, verdict = text, "refused");
            return self.session.answer(code, text);
        }
        let answer = match reception {
            Ok(reception) if fault.is_some() => journal::despite_a_fault(reception).await,
            Ok(reception) => reception.finish().await,
            Err(answer) => answer,
        };
        self.log(&answer, recipients, octets);
        let (code, text) = answers::reply(&answer);
        self.session.answer(code, &text);
    }

    fn log(&self, answer: &Answer, recipients: usize, octets: u64) {
        let client = self.client.peer;
        let verdict = answers::verdict(answer);
        match answer {
            Answer::Queued(id) | Answer::Held(id, _) | Answer::Noted(id) => {
                tracing::info!(%id, %client, recipients, octets, verdict, "accepted");
            }
            _ => tracing::info!(%client, recipients, octets, verdict, "refused"),
        }
    }
}
