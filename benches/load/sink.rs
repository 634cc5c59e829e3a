//! An SMTP sink for load and crash tests: accepts, counts and discards everything.
//!
//! It answers pipelined commands in one write, finds the final dot without copying the content, and can log
//! each transaction (the oracle of the crash proofs) or fail on purpose (`--fault`). It has two commands of
//! its own: `XSTAT` returns the counters, `XRESET` sets them to zero.

use anyhow::{Context, bail};
use bytes::BytesMut;
use clap::Parser;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// An SMTP sink.
#[derive(Parser)]
struct Options {
    /// Address to listen on; with port 0 the chosen address is printed.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Writes one line per transaction: microseconds, sender, recipients, Message-ID, size.
    #[arg(long)]
    log: Option<String>,
    /// `STAGE=ACTION:SHARE`, such as `dot=451:0.05`, `rcpt=550:0.01`, `dot=drop:0.01`. Stages: connect, mail,
    /// rcpt, data, dot, after (the message is accepted, but the answer is lost).
    #[arg(long)]
    fault: Vec<String>,
    /// Waits this long before the answer to the final dot.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
}

/// A fault: at which stage, what happens, how often.
struct Fault {
    stage: String,
    /// A reply; `None` closes the connection.
    reply: Option<String>,
    share: f64,
}

/// What all sessions share.
struct Shared {
    messages: AtomicU64,
    recipients: AtomicU64,
    octets: AtomicU64,
    first: AtomicU64,
    last: AtomicU64,
    faults: Vec<Fault>,
    log: Option<Mutex<std::fs::File>>,
    delay: Duration,
}

/// The current transaction.
#[derive(Default)]
struct Transaction {
    sender: String,
    recipients: Vec<String>,
}

/// What the session does after a command.
enum Next {
    Command,
    Data,
    Close,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let log = match &options.log {
        Some(path) => Some(Mutex::new(
            std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(|| path.clone())?,
        )),
        None => None,
    };
    let shared = Arc::new(Shared {
        messages: AtomicU64::new(0),
        recipients: AtomicU64::new(0),
        octets: AtomicU64::new(0),
        first: AtomicU64::new(0),
        last: AtomicU64::new(0),
        faults: options.fault.iter().map(|text| parse_fault(text)).collect::<anyhow::Result<_>>()?,
        log,
        delay: Duration::from_millis(options.delay_ms),
    });
    let listener = TcpListener::bind(&options.listen).await.with_context(|| options.listen.clone())?;
    println!("sink on {}", listener.local_addr()?);
    std::io::stdout().flush()?;
    loop {
        let (stream, _) = listener.accept().await?;
        let shared = Arc::clone(&shared);
        // A broken connection is not an error of the sink.
        tokio::spawn(async move { serve(stream, &shared).await.ok() });
    }
}

fn parse_fault(text: &str) -> anyhow::Result<Fault> {
    let Some((stage, rest)) = text.split_once('=') else { bail!("`{text}`: expected STAGE=ACTION:SHARE") };
    let Some((action, share)) = rest.split_once(':') else { bail!("`{text}`: expected STAGE=ACTION:SHARE") };
    let reply = (action != "drop").then(|| format!("{action} {}.3.0 on purpose\r\n", &action[..1]));
    Ok(Fault { stage: stage.to_owned(), reply, share: share.parse()? })
}

#[expect(clippy::disallowed_methods, reason = "the log is compared with those of other programs")]
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(fault) = misfortune(shared, "connect") {
        if let Some(reply) = &fault.reply {
            stream.write_all(reply.as_bytes()).await?;
        }
        return Ok(());
    }
    let mut input = BytesMut::with_capacity(1 << 16);
    let mut output = b"220 sink ESMTP\r\n".to_vec();
    let mut transaction = Transaction::default();
    loop {
        while let Some(end) = memchr::memchr(b'\n', &input) {
            let line = input.split_to(end + 1);
            match command(&line, &mut transaction, &mut output, shared) {
                Next::Command => {}
                Next::Close => {
                    stream.write_all(&output).await?;
                    return Ok(());
                }
                Next::Data => {
                    stream.write_all(&output).await?;
                    output.clear();
                    let content = content(&mut stream, &mut input, shared.log.is_some()).await?;
                    if !finish(&std::mem::take(&mut transaction), &content, &mut output, shared) {
                        return Ok(());
                    }
                    if !shared.delay.is_zero() {
                        tokio::time::sleep(shared.delay).await;
                    }
                }
            }
        }
        if !output.is_empty() {
            stream.write_all(&output).await?;
            output.clear();
        }
        if stream.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "faults fall as they do")]
fn misfortune<'a>(shared: &'a Shared, stage: &str) -> Option<&'a Fault> {
    shared.faults.iter().find(|fault| fault.stage == stage && rand::random::<f64>() < fault.share)
}

/// Answers one command line.
fn command(line: &[u8], transaction: &mut Transaction, output: &mut Vec<u8>, shared: &Shared) -> Next {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    let verb = text.get(..4).unwrap_or(text).to_ascii_uppercase();
    let stage = match verb.as_str() {
        "MAIL" => "mail",
        "RCPT" => "rcpt",
        "DATA" => "data",
        _ => "",
    };
    if let Some(fault) = misfortune(shared, stage) {
        let Some(reply) = &fault.reply else { return Next::Close };
        output.extend_from_slice(reply.as_bytes());
        return Next::Command;
    }
    let reply: &[u8] = match verb.as_str() {
        "EHLO" => b"250-sink\r\n250-PIPELINING\r\n250-SIZE 0\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n",
        "MAIL" => {
            *transaction = Transaction { sender: angle(text), recipients: Vec::new() };
            b"250 2.1.0 ok\r\n"
        }
        "RCPT" => {
            transaction.recipients.push(angle(text));
            b"250 2.1.5 ok\r\n"
        }
        "DATA" if transaction.recipients.is_empty() => b"554 5.5.1 no recipients\r\n",
        "DATA" => {
            output.extend_from_slice(b"354 go ahead\r\n");
            return Next::Data;
        }
        "RSET" => {
            *transaction = Transaction::default();
            b"250 2.0.0 ok\r\n"
        }
        "HELO" | "NOOP" => b"250 2.0.0 ok\r\n",
        "XSTA" => {
            let value = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
            let line = format!(
                "250 messages={} recipients={} octets={} first={} last={}\r\n",
                value(&shared.messages),
                value(&shared.recipients),
                value(&shared.octets),
                value(&shared.first),
                value(&shared.last)
            );
            output.extend_from_slice(line.as_bytes());
            b""
        }
        "XRES" => {
            for counter in [&shared.messages, &shared.recipients, &shared.octets, &shared.first, &shared.last] {
                counter.store(0, Ordering::SeqCst);
            }
            b"250 2.0.0 zero\r\n"
        }
        "QUIT" => {
            output.extend_from_slice(b"221 2.0.0 bye\r\n");
            return Next::Close;
        }
        _ => b"500 5.5.2 what\r\n",
    };
    output.extend_from_slice(reply);
    Next::Command
}

/// The text between `<` and `>`.
fn angle(text: &str) -> String {
    let from = text.find('<').map_or(0, |at| at + 1);
    let to = text.rfind('>').unwrap_or(text.len());
    text.get(from..to).unwrap_or_default().to_owned()
}

/// What is known of a message's content.
#[derive(Default)]
struct Content {
    octets: u64,
    message_id: String,
    /// Whether there is a NUL in it, as where a file has a hole.
    nul: bool,
}

/// Reads up to the final dot, and looks at each octet if wished. What follows stays in `input`.
async fn content(stream: &mut TcpStream, input: &mut BytesMut, look: bool) -> anyhow::Result<Content> {
    let (mut octets, mut nul) = (0u64, false);
    let mut message_id = None;
    if input.starts_with(b".\r\n") {
        let _ = input.split_to(3);
        return Ok(Content::default());
    }
    loop {
        if message_id.is_none()
            && (input.len() >= 16_384 || memchr::memmem::find(input, b"\r\n\r\n").is_some())
        {
            message_id = Some(find_message_id(input));
        }
        if let Some(at) = memchr::memmem::find(input, b"\r\n.\r\n") {
            let message_id = message_id.unwrap_or_else(|| find_message_id(&input[..at + 2]));
            let last = input.split_to(at + 5);
            nul |= look && memchr::memchr(0, &last).is_some();
            return Ok(Content { octets: octets + at as u64 + 2, message_id, nul });
        }
        // Keep octets that may belong to the final dot.
        if message_id.is_some() && input.len() > 4 {
            let done = input.len() - 4;
            octets += done as u64;
            let part = input.split_to(done);
            nul |= look && memchr::memchr(0, &part).is_some();
        }
        input.reserve(1 << 17);
        if stream.read_buf(input).await? == 0 {
            bail!("connection closed inside a message");
        }
    }
}

fn find_message_id(block: &[u8]) -> String {
    let lower: Vec<u8> = block.iter().take(65_536).map(u8::to_ascii_lowercase).collect();
    let Some(at) = memchr::memmem::find(&lower, b"\nmessage-id:") else { return String::new() };
    let rest = &block[at + 12..];
    let from = memchr::memchr(b'<', rest).map_or(0, |at| at + 1);
    let to = memchr::memchr(b'>', rest).unwrap_or(rest.len());
    String::from_utf8_lossy(rest.get(from..to).unwrap_or_default()).into_owned()
}

/// Counts and logs a message and answers the final dot; `false` closes the connection.
fn finish(transaction: &Transaction, content: &Content, output: &mut Vec<u8>, shared: &Shared) -> bool {
    if let Some(fault) = misfortune(shared, "dot") {
        let Some(reply) = &fault.reply else { return false };
        output.extend_from_slice(reply.as_bytes());
        return true;
    }
    let now = micros();
    let number = shared.messages.fetch_add(1, Ordering::SeqCst) + 1;
    shared.recipients.fetch_add(transaction.recipients.len() as u64, Ordering::SeqCst);
    shared.octets.fetch_add(content.octets, Ordering::SeqCst);
    shared.first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).ok();
    shared.last.store(now, Ordering::SeqCst);
    if let Some(log) = &shared.log {
        let line = format!(
            "{now} {} {} {} {}{}\n",
            or_dash(&transaction.sender),
            transaction.recipients.join(","),
            content.message_id,
            content.octets,
            if content.nul { " NUL" } else { "" }
        );
        // The line is in the file before the answer is sent: every answered message is logged.
        if log.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes()).is_err() {
            return false;
        }
    }
    if misfortune(shared, "after").is_some() {
        return false;
    }
    output.extend_from_slice(format!("250 2.0.0 taken as {number}\r\n").as_bytes());
    true
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "<>" } else { text }
}
