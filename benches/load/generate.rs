//! A load generator: a number of sessions sends a number of messages and records every answer.
//!
//! Prints one line of JSON: how many were accepted, how long it took, latencies. `--log` records each 250 as
//! it comes (time, Message-ID, recipients, answer); the crash proofs compare that with the log of the sink.

#[path = "../kinds/mod.rs"]
mod kinds;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::io::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How sessions use their connections.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// One connection per session, for all its messages.
    Keep,
    /// One connection per message; the latency is measured from connecting to the 250.
    Connect,
    /// Opens the sessions, sends EHLO, and waits for the end of standard input.
    Idle,
    /// Connections are greeted, secured and closed: no mail.
    Greet,
}

/// How connections are secured. Certificates are not verified, and sessions not resumed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Security {
    /// Plain text.
    Off,
    /// By STARTTLS.
    Starttls,
    /// From the first byte.
    Implicit,
}

/// A load generator.
#[derive(Parser, Clone)]
struct Options {
    /// Where to send; sessions are spread over several, and each connection that breaks is made to the next.
    #[arg(long, required = true)]
    target: Vec<String>,
    /// Concurrent sessions.
    #[arg(long, default_value_t = 10)]
    sessions: usize,
    /// Messages in all.
    #[arg(long, default_value_t = 1000)]
    count: u64,
    /// Size of a message in octets.
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// The kind of messages: one of `benches/kinds`.
    #[arg(long, default_value = "prose", value_parser = kind)]
    kind: &'static str,
    /// Recipients of each message.
    #[arg(long, default_value_t = 1)]
    recipients: usize,
    /// What sessions do.
    #[arg(long, value_enum, default_value_t = Mode::Keep)]
    mode: Mode,
    /// How connections are secured.
    #[arg(long, value_enum, default_value_t = Security::Off)]
    tls: Security,
    /// MAIL FROM and From.
    #[arg(long, default_value = "hanako.sato@example.co.jp")]
    from: String,
    /// Prefix of every Message-ID and recipient of this run.
    #[arg(long, default_value = "load")]
    prefix: String,
    /// The subject; a rule can match it.
    #[arg(long, default_value = "load")]
    subject: String,
    /// Records each 250 in this file.
    #[arg(long)]
    log: Option<String>,
    /// Reconnects when a connection breaks, instead of failing.
    #[arg(long)]
    persistent: bool,
    /// Sends a message again until it gets a 250, as mail servers do; it implies `--persistent`.
    #[arg(long)]
    retry: bool,
    /// Records what was said instead of a 250 in this file.
    #[arg(long)]
    errors: Option<String>,
    /// Each session waits this long after each message.
    #[arg(long, default_value_t = 0)]
    pause_ms: u64,
    /// Stops after this many seconds.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

/// What all sessions share.
struct Shared {
    options: Options,
    tls: Option<TlsConnector>,
    next: AtomicU64,
    taken: AtomicU64,
    failed: AtomicU64,
    latencies: Mutex<Vec<u64>>,
    log: Option<Mutex<std::fs::File>>,
    errors: Option<Mutex<std::fs::File>>,
    /// Connections that were made, by which the targets take turns.
    connections: AtomicUsize,
    mail: kinds::Mail,
    until: Instant,
    /// When this run began; part of the Message-IDs, so that each run sends new mail.
    run: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (log, errors) = (opened(options.log.as_ref())?, opened(options.errors.as_ref())?);
    let shared = Arc::new(Shared {
        mail: kinds::mail(options.kind, 1, options.size.saturating_sub(HEADER).max(64)),
        next: AtomicU64::new(0),
        taken: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        latencies: Mutex::new(Vec::new()),
        log,
        errors,
        connections: AtomicUsize::new(0),
        until: Instant::now() + Duration::from_secs(options.seconds),
        run: micros(),
        tls: connector(options.tls)?,
        options,
    });
    if shared.options.mode == Mode::Idle {
        return idle(&shared).await;
    }
    let started_at = micros();
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..shared.options.sessions {
        let shared = Arc::clone(&shared);
        tasks.push(tokio::spawn(async move { session(&shared).await }));
    }
    let mut errors = Vec::new();
    for task in tasks {
        if let Err(error) = task.await? {
            errors.push(error);
        }
    }
    report(&shared, started_at, started.elapsed());
    match errors.into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The file that lines are added to, if there is to be one.
fn opened(path: Option<&String>) -> anyhow::Result<Option<Mutex<std::fs::File>>> {
    let Some(path) = path else { return Ok(None) };
    let file =
        std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(|| path.clone())?;
    Ok(Some(Mutex::new(file)))
}

/// Adds a line to such a file.
fn note(file: Option<&Mutex<std::fs::File>>, line: &str) -> anyhow::Result<()> {
    let Some(file) = file else { return Ok(()) };
    Ok(file.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())?)
}

#[expect(clippy::disallowed_methods, reason = "the log is compared with those of other programs")]
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn report(shared: &Shared, started_at: u64, elapsed: Duration) {
    let mut all = shared.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    all.sort_unstable();
    let at = |share: usize| all.get(all.len() * share / 100).or(all.last()).copied().unwrap_or(0);
    println!(
        "{}",
        serde_json::json!({
            "taken": shared.taken.load(Ordering::SeqCst),
            "failed": shared.failed.load(Ordering::SeqCst),
            "started": started_at,
            "seconds": elapsed.as_secs_f64(),
            "p50_us": at(50), "p99_us": at(99), "max_us": all.last().copied().unwrap_or(0),
        })
    );
}

/// Approximate size of a header, in octets.
const HEADER: usize = 300;

fn kind(name: &str) -> Result<&'static str, String> {
    kinds::KINDS
        .into_iter()
        .find(|kind| *kind == name)
        .ok_or_else(|| format!("no such kind; there are {}", kinds::KINDS.join(", ")))
}

/// Accepts any certificate: this measures load, not security.
#[derive(Debug)]
struct Any(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn connector(security: Security) -> anyhow::Result<Option<TlsConnector>> {
    if security == Security::Off {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Any(provider)))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Some(TlsConnector::from(Arc::new(config))))
}

/// A socket, or TLS over one.
trait Link: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Link for S {}
type Line = BufReader<Box<dyn Link>>;

async fn send(stream: &mut Line, octets: &[u8]) -> anyhow::Result<()> {
    stream.get_mut().write_all(octets).await?;
    Ok(stream.get_mut().flush().await?)
}

/// One connection, secured and greeted.
async fn connect(shared: &Shared) -> anyhow::Result<Line> {
    let (turn, targets) = (shared.connections.fetch_add(1, Ordering::SeqCst), &shared.options.target);
    let stream = TcpStream::connect(&targets[turn % targets.len()]).await?;
    stream.set_nodelay(true)?;
    let secure = async |stream: TcpStream| -> anyhow::Result<Box<dyn Link>> {
        let connector = shared.tls.as_ref().context("no TLS")?;
        let stream = connector.connect(ServerName::try_from("localhost")?, stream).await?;
        Ok(Box::new(stream) as Box<dyn Link>)
    };
    let mut stream: Line = match shared.options.tls {
        Security::Off => BufReader::new(Box::new(stream)),
        Security::Implicit => BufReader::new(secure(stream).await?),
        Security::Starttls => {
            let mut plain = BufReader::new(stream);
            expect(&mut plain, "220").await?;
            for (command, code) in [("EHLO generator.example", "250"), ("STARTTLS", "220")] {
                plain.get_mut().write_all(format!("{command}\r\n").as_bytes()).await?;
                expect(&mut plain, code).await?;
            }
            BufReader::new(secure(plain.into_inner()).await?)
        }
    };
    if shared.options.tls != Security::Starttls {
        expect(&mut stream, "220").await?;
    }
    send(&mut stream, b"EHLO generator.example\r\n").await?;
    expect(&mut stream, "250").await?;
    Ok(stream)
}

/// Reads one reply with all its lines; an error if its code is not `code`.
async fn expect<S: AsyncBufRead + Unpin>(stream: &mut S, code: &str) -> anyhow::Result<String> {
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            bail!("connection closed where a {code} was expected");
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            break;
        }
    }
    if !line.starts_with(code) {
        bail!("expected {code}, got {}", line.trim_end());
    }
    Ok(line)
}

async fn session(shared: &Shared) -> anyhow::Result<()> {
    let options = &shared.options;
    let (mut stream, mut again) = (None, None);
    while Instant::now() < shared.until {
        let number = again.take().unwrap_or_else(|| shared.next.fetch_add(1, Ordering::SeqCst));
        if number >= options.count {
            break;
        }
        match one(shared, number, &mut stream).await {
            Ok(()) => {}
            Err(error) => {
                stream = None;
                shared.failed.fetch_add(1, Ordering::SeqCst);
                note(shared.errors.as_ref(), &format!("{} {number} {error}\n", micros()))?;
                if !(options.persistent || options.retry) {
                    return Err(error);
                }
                again = options.retry.then_some(number);
                tokio::time::sleep(Duration::from_millis(if options.retry { 200 } else { 20 })).await;
            }
        }
        if shared.options.pause_ms > 0 {
            tokio::time::sleep(Duration::from_millis(shared.options.pause_ms)).await;
        }
    }
    if let Some(mut stream) = stream {
        send(&mut stream, b"QUIT\r\n").await.ok();
    }
    Ok(())
}

/// Sends message `number` on the session's connection, or on a new one.
async fn one(shared: &Shared, number: u64, kept: &mut Option<Line>) -> anyhow::Result<()> {
    let options = &shared.options;
    let started = Instant::now();
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => connect(shared).await?,
    };
    if options.mode == Mode::Greet {
        send(&mut stream, b"QUIT\r\n").await?;
        expect(&mut stream, "221").await?;
        took(shared, started);
        return Ok(());
    }
    let recipients: Vec<String> =
        (0..options.recipients).map(|n| format!("{}-{number}-{n}@host{n}.example", options.prefix)).collect();
    let mut commands = format!("MAIL FROM:<{}>\r\n", options.from);
    for recipient in &recipients {
        commands.push_str("RCPT TO:<");
        commands.push_str(recipient);
        commands.push_str(">\r\n");
    }
    commands.push_str("DATA\r\n");
    send(&mut stream, commands.as_bytes()).await?;
    for _ in 0..=recipients.len() {
        expect(&mut stream, "250").await?;
    }
    expect(&mut stream, "354").await?;
    let id = format!("{}-{number}.{}@example.co.jp", options.prefix, shared.run);
    let header = format!(
        "From: <{}>\r\nTo: {}\r\nSubject: {}\r\nDate: Tue, 24 Nov 2026 14:40:00 +0900\r\nMessage-ID: <{id}>\r\nMIME-Version: 1.0\r\n{}",
        options.from,
        recipients.join(",\r\n "),
        options.subject,
        shared.mail.head
    );
    // No line of any kind begins with a dot.
    let content = shared.mail.body.as_slice();
    // One write if it fits, like the library of a mail client.
    if content.len() <= 65_536 {
        let mut whole = header.into_bytes();
        whole.extend_from_slice(content);
        whole.extend_from_slice(b".\r\n");
        send(&mut stream, &whole).await?;
    } else {
        stream.get_mut().write_all(header.as_bytes()).await?;
        stream.get_mut().write_all(content).await?;
        send(&mut stream, b".\r\n").await?;
    }
    let answer = expect(&mut stream, "250").await?;
    took(shared, started);
    let line = format!("{} {id} {} {}\n", micros(), recipients.join(","), answer.trim_end());
    note(shared.log.as_ref(), &line)?;
    if options.mode == Mode::Connect {
        send(&mut stream, b"QUIT\r\n").await?;
    } else {
        *kept = Some(stream);
    }
    Ok(())
}

/// Counts a message that was accepted.
fn took(shared: &Shared, started: Instant) {
    let took = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    shared.taken.fetch_add(1, Ordering::SeqCst);
    shared.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(took);
}

/// Opens sessions and keeps them open until standard input ends.
async fn idle(shared: &Shared) -> anyhow::Result<()> {
    let mut open = Vec::new();
    for _ in 0..shared.options.sessions {
        open.push(connect(shared).await?);
    }
    println!("{}", serde_json::json!({ "open": open.len() }));
    std::io::stdout().flush()?;
    let mut line = String::new();
    BufReader::new(tokio::io::stdin()).read_line(&mut line).await?;
    Ok(())
}
