//! A new connection until the greeting: connection limits, PROXY header, implicit TLS.

use super::access::Admission;
use super::conversation::{Client, Conversation};
use super::gate::{Gate, Pass};
use super::stream::Stream;
use super::{Settings, Shared, Shutdown, TlsMode, proxy, stopped};
use crate::intake::ClientIntake;
use crate::smtp::BareLf;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

const TOO_MANY: &[u8] = b"421 4.7.0 too many connections, try again later\r\n";

/// How long a drain waits for the PROXY header of a new connection.
const LAST_HEADER: Duration = Duration::from_secs(1);

/// A connection that was just accepted.
pub(super) struct Visit {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) shutdown: Shutdown,
}

impl Visit {
    /// Admits the client if the connection limits allow it and it has not spoken before the greeting.
    /// Returns the session to run.
    pub(super) fn admit(
        mut self,
        gate: &Arc<Gate>,
        intake: &Arc<dyn ClientIntake>,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        self.peer = SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port());
        let settings = &self.shared.settings;
        let proxied = among(&settings.proxies, self.peer.ip());
        let Some(mut pass) = gate.enter(settings.limits.sessions) else {
            self.refuse("sessions", "connection limit reached", TOO_MANY);
            return None;
        };
        if !proxied && !self.fits(&mut pass, self.peer.ip()) {
            return None;
        }
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(client = %self.peer, %error, "cannot set TCP_NODELAY");
        }
        let direct = !proxied && !self.is_implicit();
        if direct && !self.waits() {
            return None;
        }
        let intake = Arc::clone(intake);
        Some(async move {
            let conversation = if direct {
                let client = client(&self.shared.settings, self.peer, true);
                Some(Conversation::new(
                    Stream::Plain(self.stream),
                    client,
                    self.shared,
                    intake,
                    self.shutdown,
                ))
            } else {
                // Boxed, so that the preparation does not make the future of every session larger.
                Box::pin(self.prepare(proxied, &mut pass, intake)).await
            };
            if let Some(conversation) = conversation {
                conversation.run().await;
            }
            drop(pass);
        })
    }

    /// Reads the PROXY header and does the TLS handshake, if these come before the greeting.
    async fn prepare(
        mut self,
        proxied: bool,
        pass: &mut Pass,
        intake: Arc<dyn ClientIntake>,
    ) -> Option<Conversation> {
        let mut known = true;
        if proxied {
            match self.announced().await? {
                Some(address) => self.peer = SocketAddr::new(address.ip().to_canonical(), address.port()),
                None => known = false,
            }
            if !self.fits(pass, self.peer.ip()) || (!self.is_implicit() && !self.waits()) {
                return None;
            }
        }
        let client = client(&self.shared.settings, self.peer, known);
        let mut conversation =
            Conversation::new(Stream::Plain(self.stream), client, self.shared, intake, self.shutdown);
        if conversation.is_implicit() && conversation.shake_hands().await.is_err() {
            return None;
        }
        Some(conversation)
    }

    /// The client's address from the PROXY header. The outer `None` means that the connection was refused,
    /// the inner one that the load balancer did not tell the address.
    async fn announced(&mut self) -> Option<Option<SocketAddr>> {
        let deadline = self.shared.settings.limits.proxy;
        let mut reading = std::pin::pin!(proxy::read(&mut self.stream));
        let read = tokio::select! {
            biased;
            read = tokio::time::timeout(deadline, &mut reading) => read,
            // A client may be behind it already, who is then told 421.
            () = stopped(&mut self.shutdown) => {
                tokio::time::timeout(deadline.min(LAST_HEADER), &mut reading).await
            }
        };
        let why = match read {
            Ok(Ok(address)) => return Some(address),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the PROXY header timed out".to_owned(),
        };
        tracing::warn!(balancer = %self.peer, why, "refused");
        self.shared.settings.tally.refuse("proxy");
        None
    }

    fn is_implicit(&self) -> bool {
        self.shared.settings.tls.as_ref().is_some_and(|tls| tls.mode == TlsMode::Implicit)
    }

    /// Counts the session for this client; refuses it if the client has too many.
    fn fits(&self, pass: &mut Pass, client: IpAddr) -> bool {
        let fits = pass.name(client, self.shared.settings.limits.sessions_per_client);
        if !fits {
            self.refuse("sessions", "connection limit reached", TOO_MANY);
        }
        fits
    }

    /// Whether the client waits for the greeting (RFC 5321 §4.3.1). A client that does not is a bot or a
    /// misconfigured proxy, and is refused.
    fn waits(&self) -> bool {
        let mut octet = [std::mem::MaybeUninit::uninit()];
        let early = matches!(socket2::SockRef::from(&self.stream).peek(&mut octet), Ok(1..));
        if early {
            self.refuse("early", "client spoke before the greeting", b"554 5.5.1 wait for the greeting\r\n");
        }
        !early
    }

    /// Logs and counts a refused connection. In plain text it also sends a reply, without blocking.
    fn refuse(&self, reason: &'static str, why: &str, reply: &[u8]) {
        tracing::info!(client = %self.peer, why, "refused");
        self.shared.settings.tally.refuse(reason);
        if self.is_implicit() {
            return;
        }
        if let Err(error) = socket2::SockRef::from(&self.stream).send(reply) {
            tracing::debug!(client = %self.peer, %error, "cannot send the refusal");
        }
    }
}

/// The client, judged by its address alone. If the load balancer did not tell the address (`known` is
/// false), the client belongs to no network.
fn client(settings: &Settings, peer: SocketAddr, known: bool) -> Client {
    let in_one_of = |nets: &[IpNet]| known && among(nets, peer.ip());
    Client {
        peer,
        admission: if known {
            settings.access.admission(&settings.allow, peer.ip())
        } else {
            Admission::Stranger
        },
        // Journal copies are not relayed, so smuggling is no concern.
        bare_lf: if settings.role.is_journal() || in_one_of(&settings.allow_bare_lf) {
            BareLf::Normalise
        } else {
            BareLf::Refuse
        },
        certificate: None,
    }
}

fn among(nets: &[IpNet], address: IpAddr) -> bool {
    nets.iter().any(|net| net.contains(&address))
}
