//! A connection before its first word: who it is, whether there is room, TLS where it comes first.

use super::access::Admission;
use super::conversation::{Client, Conversation};
use super::gate::{Gate, Pass};
use super::stream::Stream;
use super::{Place, Settings, Shutdown, TlsMode, proxy, stopped};
use crate::intake::Doorway;
use crate::smtp::BareLf;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpStream;

const TOO_MANY: &[u8] = b"421 4.7.0 too many connections, try again later\r\n";

/// A connection that was just accepted.
pub(super) struct Visit {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Arc<Place>,
    pub(super) shutdown: Shutdown,
}

impl Visit {
    /// Lets the client in, if there is room and it waits its turn.
    pub(super) fn admit(
        mut self,
        gate: &Arc<Gate>,
        doorway: &Arc<dyn Doorway>,
    ) -> Option<impl Future<Output = ()> + Send + 'static + use<>> {
        self.peer = SocketAddr::new(self.peer.ip().to_canonical(), self.peer.port());
        let settings = &self.place.settings;
        let proxied = among(&settings.proxies, self.peer.ip());
        let Some(mut pass) = gate.enter(settings.limits.sessions) else {
            self.refuse("sessions", "too many sessions", TOO_MANY);
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
        let doorway = Arc::clone(doorway);
        Some(async move {
            let conversation = if direct {
                let client = client(&self.place.settings, self.peer, true);
                Some(Conversation::new(
                    Stream::Plain(self.stream),
                    client,
                    self.place,
                    doorway,
                    self.shutdown,
                ))
            } else {
                // Boxed: what goes before must not make every session's future larger.
                Box::pin(self.prepare(proxied, &mut pass, doorway)).await
            };
            if let Some(conversation) = conversation {
                conversation.run().await;
            }
            drop(pass);
        })
    }

    /// What comes before the greeting: the balancer's header, then the handshake.
    async fn prepare(
        mut self,
        proxied: bool,
        pass: &mut Pass,
        doorway: Arc<dyn Doorway>,
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
        let client = client(&self.place.settings, self.peer, known);
        let mut conversation =
            Conversation::new(Stream::Plain(self.stream), client, self.place, doorway, self.shutdown);
        if conversation.is_implicit() && conversation.shake_hands().await.is_err() {
            return None;
        }
        Some(conversation)
    }

    /// The client's address, as the balancer says it.
    async fn announced(&mut self) -> Option<Option<SocketAddr>> {
        let deadline = self.place.settings.limits.proxy;
        let read = tokio::select! {
            biased;
            read = tokio::time::timeout(deadline, proxy::read(&mut self.stream)) => read,
            () = stopped(&mut self.shutdown) => return None,
        };
        let why = match read {
            Ok(Ok(address)) => return Some(address),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no PROXY header came in time".to_owned(),
        };
        tracing::warn!(balancer = %self.peer, why, "refused");
        self.place.settings.tally.refuse("proxy");
        None
    }

    fn is_implicit(&self) -> bool {
        self.place.settings.tls.as_ref().is_some_and(|tls| tls.mode == TlsMode::Implicit)
    }

    /// Whether there is room for one more of this client; says so if not.
    fn fits(&self, pass: &mut Pass, client: IpAddr) -> bool {
        let fits = pass.name(client, self.place.settings.limits.sessions_per_client);
        if !fits {
            self.refuse("sessions", "too many sessions", TOO_MANY);
        }
        fits
    }

    /// Whether the client waits for the greeting (RFC 5321 §4.3.1): who does not is a bot, or a confused
    /// proxy. Says so if not.
    fn waits(&self) -> bool {
        let mut octet = [std::mem::MaybeUninit::uninit()];
        let early = matches!(socket2::SockRef::from(&self.stream).peek(&mut octet), Ok(1..));
        if early {
            self.refuse("early", "spoke before the greeting", b"554 5.5.1 wait for the greeting\r\n");
        }
        !early
    }

    /// One reply, if the socket takes it at once and could be understood.
    fn refuse(&self, reason: &'static str, why: &str, reply: &[u8]) {
        tracing::info!(client = %self.peer, why, "refused");
        self.place.settings.tally.refuse(reason);
        if self.is_implicit() {
            return;
        }
        if let Err(error) = socket2::SockRef::from(&self.stream).send(reply) {
            tracing::debug!(client = %self.peer, %error, "cannot say why it is refused");
        }
    }
}

/// What the address alone says of a client. One whose address is not `known`, because the balancer did
/// not say it, is in no network.
fn client(settings: &Settings, peer: SocketAddr, known: bool) -> Client {
    let in_one_of = |nets: &[IpNet]| known && among(nets, peer.ip());
    Client {
        peer,
        admission: if known {
            settings.access.admission(&settings.allow, peer.ip())
        } else {
            Admission::Stranger
        },
        // A copy goes nowhere, so that nobody can be made to read two mails in it.
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
