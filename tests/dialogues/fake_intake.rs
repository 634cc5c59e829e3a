//! An intake that records messages and replies as the sender's local part says; and a listener that uses it.

use async_trait::async_trait;
use bytes::Bytes;
use sekisho::clock::Timestamp;
use sekisho::clock::{Clock, SystemClock};
use sekisho::id::Id;
use sekisho::intake::{Answer, ClientIntake, Content, HeaderCheck, Reception};
use sekisho::listener::{Limits, Listener, Role, Settings, Tally, Tls, TlsMode};
use sekisho::message::Envelope;
use sekisho::store::Origin;
use sekisho::tls::{ClientCas, NamePattern, PairFiles, Server, Source, selfsigned};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// The address of allowed clients.
pub(crate) const FRIEND: &str = "127.0.0.1";
/// The address of clients that may not relay.
pub(crate) const STRANGER: &str = "127.0.0.2";
/// Allowed; bare LFs are converted to CRLF.
pub(crate) const OLD_DEVICE: &str = "127.0.0.3";

/// A load balancer, which sends the client's address in a PROXY header.
pub(crate) const BALANCER: &str = "127.0.0.4";

/// One accepted message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) envelope: Envelope,
    pub(crate) content: Vec<u8>,
}

/// The id of every journal copy; differs from that of relayed mail.
pub(crate) fn copy_id() -> Id {
    Id::new(Timestamp(0), 1)
}

#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) messages: Mutex<Vec<Message>>,
    /// Journal copies.
    pub(crate) copies: Mutex<Vec<Vec<u8>>>,
    pub(crate) octets: std::sync::atomic::AtomicU64,
}

struct Recording {
    recorder: Arc<Recorder>,
    envelope: Envelope,
    content: Vec<u8>,
    keep: bool,
}

/// The id of every message.
pub(crate) fn id() -> Id {
    Id::new(Timestamp(0), 0)
}

fn scripted(envelope: &Envelope) -> &str {
    envelope.sender.as_ref().map_or("", |sender| sender.local())
}

pub(crate) struct Door(pub(crate) Arc<Recorder>);

#[async_trait]
impl ClientIntake for Door {
    async fn begin(
        &self,
        _: Origin,
        envelope: Envelope,
        check: Option<HeaderCheck>,
    ) -> Result<Reception, Answer> {
        match scripted(&envelope) {
            "full" => Err(Answer::Full),
            "away" => Err(Answer::Unavailable),
            other => {
                let keep = other != "discard";
                let recorder = Arc::clone(&self.0);
                let content = Recording { recorder, envelope, content: Vec::new(), keep };
                Ok(Reception::new(Box::new(content), check, Arc::new(())))
            }
        }
    }

    async fn copied(&self, _: Origin, check: Option<HeaderCheck>) -> Result<Reception, Answer> {
        let content = Copying { recorder: Arc::clone(&self.0), content: Vec::new() };
        Ok(Reception::new(Box::new(content), check, Arc::new(())))
    }
}

struct Copying {
    recorder: Arc<Recorder>,
    content: Vec<u8>,
}

#[async_trait]
impl Content for Copying {
    async fn header(&mut self, header: Bytes) -> Result<(), Answer> {
        self.body(header).await
    }

    async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
        self.content.extend_from_slice(&octets);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Answer {
        self.recorder.copies.lock().unwrap().push(self.content);
        Answer::Noted(copy_id())
    }
}

#[async_trait]
impl Content for Recording {
    async fn header(&mut self, header: Bytes) -> Result<(), Answer> {
        self.body(header).await
    }

    async fn body(&mut self, octets: Bytes) -> Result<(), Answer> {
        self.recorder.octets.fetch_add(octets.len() as u64, std::sync::atomic::Ordering::Relaxed);
        if scripted(&self.envelope) == "mime" {
            return Err(Answer::Mime("MIME parts nested deeper than 50".into()));
        }
        if self.keep {
            self.content.extend_from_slice(&octets);
        }
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Answer {
        match scripted(&self.envelope) {
            "held" => return Answer::Held(id(), "five strangers would see each other".into()),
            "rejected" => return Answer::Rejected("this is not sent from here".into()),
            "loop" => return Answer::Loop("more than 100 Received fields".into()),
            "slow" => tokio::time::sleep(Duration::from_millis(400)).await,
            _ => {}
        }
        let Self { recorder, envelope, content, .. } = *self;
        recorder.messages.lock().unwrap().push(Message { envelope, content });
        Answer::Queued(id())
    }
}

/// A certificate for `relay.test`, and the clients that may relay by certificate: CA file and name.
pub(crate) fn certificate(mode: TlsMode, clients: &[(&std::path::Path, &str)]) -> Tls {
    let folder = tempfile::tempdir().unwrap();
    let files = PairFiles { chain: folder.path().join("c.pem"), key: folder.path().join("c.key") };
    let fresh = selfsigned::make(&["relay.test".into()], 30, SystemClock.now()).unwrap();
    selfsigned::write(&fresh, &files).unwrap();
    let clients_of =
        clients.first().map_or(ClientCas::NotAsked, |(file, _)| ClientCas::File((*file).to_owned()));
    let server = Server::load(Source { pairs: vec![files], clients: clients_of }).unwrap();
    let client_names = clients.iter().map(|(_, name)| NamePattern::parse(name).unwrap()).collect();
    Tls { mode, server, client_names }
}

/// A running listener, which drains when dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) shutdown: watch::Sender<bool>,
    runtime: Option<tokio::runtime::Runtime>,
    task: Option<tokio::task::JoinHandle<()>>,
}

impl Running {
    pub(crate) fn with(limits: Limits) -> Self {
        Self::secured(limits, None)
    }

    pub(crate) fn secured(limits: Limits, tls: Option<Tls>) -> Self {
        Self::of(Role::Relay, limits, tls)
    }

    pub(crate) fn of(role: Role, limits: Limits, tls: Option<Tls>) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let recorder = Arc::new(Recorder::default());
        let settings = Settings {
            role,
            address: "127.0.0.1:0".parse().unwrap(),
            hostname: "relay.test".into(),
            postmaster_domain: "ours.test".into(),
            allow: vec![format!("{FRIEND}/32").parse().unwrap(), format!("{OLD_DEVICE}/32").parse().unwrap()],
            allow_bare_lf: vec![format!("{OLD_DEVICE}/32").parse().unwrap()],
            access: sekisho::listener::access::Access::default(),
            proxies: vec![format!("{BALANCER}/32").parse().unwrap()],
            tls,
            limits,
            tally: Tally::default(),
        };
        let (shutdown, stop) = watch::channel(false);
        let door = Arc::new(Door(Arc::clone(&recorder)));
        let listener = {
            let _inside = runtime.enter();
            Listener::bind(settings).unwrap()
        };
        let address = listener.address();
        let task = Some(runtime.spawn(listener.run(door, stop)));
        Self { address, recorder, shutdown, runtime: Some(runtime), task }
    }

    /// Waits until the drain is over.
    pub(crate) fn drained(&mut self) {
        if let (Some(runtime), Some(task)) = (&self.runtime, self.task.take()) {
            runtime.block_on(task).unwrap();
        }
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.recorder.messages.lock().unwrap().clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
