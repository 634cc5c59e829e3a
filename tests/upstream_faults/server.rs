//! A next hop that fails on request.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The stage of the dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Connect,
    Banner,
    Ehlo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Body,
    Dot,
    Quit,
}

pub(crate) const STAGES: [Stage; 11] = [
    Stage::Connect,
    Stage::Banner,
    Stage::Ehlo,
    Stage::StartTls,
    Stage::Auth,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::Body,
    Stage::Dot,
    Stage::Quit,
];

/// A fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Drop,
    /// Sends these octets instead of the reply; the dialogue continues.
    Say(Vec<u8>),
    Stall,
    HalfClose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Plain,
    StartTls,
    Implicit,
}

/// The behaviour of the server.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) mode: Mode,
    /// EHLO keywords beside STARTTLS and AUTH.
    pub(crate) keywords: Vec<&'static str>,
    pub(crate) fault: Option<(Stage, Fault)>,
    /// Octets sent directly after the reply to STARTTLS, in the same segment.
    pub(crate) injection: &'static str,
    /// Most recipients accepted in one transaction.
    pub(crate) most: usize,
    /// Transactions after which the connection is closed without a reply.
    pub(crate) transactions: usize,
}

impl Script {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            keywords: vec![
                "PIPELINING",
                "SIZE 99999999",
                "8BITMIME",
                "SMTPUTF8",
                "DSN",
                "ENHANCEDSTATUSCODES",
            ],
            fault: None,
            injection: "",
            most: usize::MAX,
            transactions: usize::MAX,
        }
    }

    pub(crate) fn failing(mut self, stage: Stage, fault: Fault) -> Self {
        self.fault = Some((stage, fault));
        self
    }

    pub(crate) fn without(mut self, keyword: &str) -> Self {
        self.keywords.retain(|one| !one.starts_with(keyword));
        self
    }
}

/// What the server saw.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) connections: usize,
    pub(crate) commands: Vec<String>,
    /// Contents as received, final dot included.
    pub(crate) contents: Vec<Vec<u8>>,
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Seen>>,
}

/// Certificates for `localhost`.
pub(crate) struct Certificates {
    acceptor: TlsAcceptor,
    pub(crate) ca_file: PathBuf,
}

impl Certificates {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let ca_file = folder.join(format!("{name}-ca.pem"));
        std::fs::write(&ca_file, ca_pem).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), ca_file }
    }
}

impl Server {
    pub(crate) async fn start(script: Script, certificates: Arc<Certificates>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                let (script, certificates, seen) =
                    (script.clone(), Arc::clone(&certificates), Arc::clone(&shared));
                tokio::spawn(async move {
                    // many scripts make the client disconnect, which is not an error here
                    let _ = connection(stream, &script, &certificates, &seen).await;
                });
            }
        });
        Self { port, seen }
    }
}

/// The dialogue has ended.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Dialogue<'a> {
    wire: BufReader<Box<dyn Wire + 'a>>,
    script: &'a Script,
    seen: &'a Mutex<Seen>,
    fault: Option<(Stage, Fault)>,
}

async fn connection(
    mut stream: TcpStream,
    script: &Script,
    certificates: &Certificates,
    seen: &Mutex<Seen>,
) -> Result<(), Over> {
    let mut fault = script.fault.clone();
    if let Some((Stage::Connect, fault)) = &fault {
        return fail(&mut stream, fault).await;
    }
    if script.mode == Mode::Implicit {
        let stream = certificates.acceptor.accept(stream).await?;
        return dialogue(Box::new(stream), script, seen, fault, true).await;
    }
    let secured = {
        let mut dialogue =
            Dialogue { wire: BufReader::new(Box::new(&mut stream)), script, seen, fault: fault.take() };
        dialogue.say(Stage::Banner, "220 upstream").await?;
        let secured = dialogue.talk(script.mode == Mode::Plain).await?;
        fault = dialogue.fault;
        secured
    };
    if secured {
        let stream = certificates.acceptor.accept(stream).await?;
        dialogue(Box::new(stream), script, seen, fault, false).await?;
    }
    Ok(())
}

async fn dialogue(
    wire: Box<dyn Wire + '_>,
    script: &Script,
    seen: &Mutex<Seen>,
    fault: Option<(Stage, Fault)>,
    banner: bool,
) -> Result<(), Over> {
    let mut dialogue = Dialogue { wire: BufReader::new(wire), script, seen, fault };
    if banner {
        dialogue.say(Stage::Banner, "220 upstream").await?;
    }
    dialogue.talk(true).await?;
    Ok(())
}

/// Carries out a fault; the dialogue continues only after `Say`.
async fn fail(wire: &mut (impl AsyncRead + AsyncWrite + Unpin), fault: &Fault) -> Result<(), Over> {
    match fault {
        Fault::Drop => return Err(Over),
        Fault::Say(octets) => wire.write_all(octets).await?,
        Fault::Stall => tokio::time::sleep(Duration::from_secs(30)).await,
        Fault::HalfClose => wire.shutdown().await?,
    }
    wire.flush().await?;
    if !matches!(fault, Fault::Say(_)) {
        // reads until the client disconnects
        let mut chunk = [0; 4096];
        while wire.read(&mut chunk).await? > 0 {}
        return Err(Over);
    }
    Ok(())
}

impl Dialogue<'_> {
    /// Replies, or carries out the fault of this stage.
    async fn say(&mut self, stage: Stage, text: &str) -> Result<(), Over> {
        if self.fault.as_ref().is_some_and(|(at, _)| *at == stage) {
            let (_, fault) = self.fault.take().unwrap();
            if stage == Stage::Banner && !matches!(fault, Fault::Say(_)) {
                self.wire.write_all(b"220-half a banner\r\n").await?;
            }
            return fail(&mut self.wire, &fault).await;
        }
        self.wire.write_all(format!("{text}\r\n").as_bytes()).await?;
        self.wire.flush().await?;
        Ok(())
    }

    /// Handles commands until QUIT or the end; `true` once STARTTLS was accepted.
    async fn talk(&mut self, secured: bool) -> Result<bool, Over> {
        let (mut accepted, mut transactions) = (0, 0);
        loop {
            let mut line = String::new();
            if self.wire.read_line(&mut line).await? == 0 {
                return Err(Over);
            }
            let line = line.trim_end().to_owned();
            self.seen.lock().unwrap().commands.push(line.clone());
            let verb = line.split([' ', ':']).next().unwrap().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "HELO" => {
                    let mut text = "250-upstream greets you".to_owned();
                    if !secured {
                        text.push_str("\r\n250-STARTTLS");
                    }
                    for keyword in &self.script.keywords {
                        text.push_str("\r\n250-");
                        text.push_str(keyword);
                    }
                    text.push_str("\r\n250 AUTH PLAIN LOGIN");
                    self.say(Stage::Ehlo, &text).await?;
                }
                "STARTTLS" => {
                    let faulty = self.fault.as_ref().is_some_and(|(at, _)| *at == Stage::StartTls);
                    self.say(Stage::StartTls, &format!("220 go on{}", self.script.injection)).await?;
                    if !faulty {
                        return Ok(true);
                    }
                }
                "AUTH" => self.say(Stage::Auth, "235 2.7.0 welcome").await?,
                "MAIL" => {
                    accepted = 0;
                    self.say(Stage::Mail, "250 2.1.0 sender").await?;
                }
                "RCPT" => {
                    let answer = if line.contains("<later@") {
                        "450 4.2.1 later"
                    } else if line.contains("<never@") {
                        "550 5.1.1 no such user"
                    } else if accepted >= self.script.most {
                        "452 4.5.3 too many"
                    } else {
                        accepted += 1;
                        "250 2.1.5 recipient"
                    };
                    self.say(Stage::Rcpt, answer).await?;
                }
                "DATA" => {
                    let faulty = self.fault.as_ref().is_some_and(|(at, _)| *at == Stage::Data);
                    self.say(Stage::Data, "354 go on").await?;
                    if !faulty {
                        self.content().await?;
                        transactions += 1;
                        if transactions >= self.script.transactions {
                            return Err(Over);
                        }
                    }
                }
                "QUIT" => {
                    self.say(Stage::Quit, "221 bye").await?;
                    return Err(Over);
                }
                _ => self.say(Stage::Connect, "250 2.0.0 fine").await?,
            }
        }
    }

    async fn content(&mut self) -> Result<(), Over> {
        let mut content = Vec::new();
        let mut answered = false;
        while !content.ends_with(b"\r\n.\r\n") && content != b".\r\n" {
            if self.wire.read_until(b'\n', &mut content).await? == 0 {
                return Err(Over);
            }
            if self.fault.as_ref().is_some_and(|(at, _)| *at == Stage::Body) {
                self.say(Stage::Body, "").await?;
                answered = true;
            }
        }
        self.seen.lock().unwrap().contents.push(content);
        if answered { Ok(()) } else { self.say(Stage::Dot, "250 2.0.0 taken").await }
    }
}
