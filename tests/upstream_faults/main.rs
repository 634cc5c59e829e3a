//! Every way in which a next hop can fail, and the resulting fate of each recipient.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")] // a test that cannot go on has failed

mod dialogue;
mod server;

use bytes::Bytes;
use sekisho::message::{Address, Recipient};
use sekisho::upstream::smarthost::{Credentials, Security, Smarthost, SmarthostConfig, Timeouts};
use sekisho::upstream::{Content, Fate, Outcome, Transaction, Upstream};
use server::{Certificates, Fault, Mode, STAGES, Script, Server, Stage};
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

fn certificates() -> Arc<Certificates> {
    let folder = tempfile::tempdir().unwrap().keep();
    Arc::new(Certificates::new(&folder, "localhost"))
}

fn config(port: u16, mode: Mode, certificates: &Certificates, wait: Duration) -> SmarthostConfig {
    let mut config = SmarthostConfig::new("localhost", port, "relay.example.jp");
    config.security = match mode {
        Mode::Plain => Security::Off,
        Mode::StartTls => Security::Required,
        Mode::Implicit => Security::Implicit,
    };
    config.plain_auth = true;
    config.ca_file = Some(certificates.ca_file.clone());
    config.credentials = Some(Credentials::password("relay", "geheim"));
    config.timeouts = Timeouts {
        connect: wait,
        greeting: wait,
        mail: wait,
        rcpt: wait,
        data: wait,
        block: wait,
        end: wait,
        quit: wait,
    };
    config
}

fn recipient(text: &str) -> Recipient {
    Recipient::plain(Address::parse(text).unwrap())
}

fn transaction(recipients: &[&str], body: &[u8]) -> Transaction {
    Transaction {
        sender: Some(Address::parse("a@example.jp").unwrap()),
        recipients: recipients.iter().map(|text| recipient(text)).collect(),
        header: Bytes::from_static(b"Subject: x\r\n"),
        body: Content::Inline(Bytes::copy_from_slice(body)),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
        reseal: None,
    }
}

/// A body that is read, or may be sent from a file.
fn stream(body: &[u8], file: Option<File>) -> Content {
    let stream = Box::new(std::io::Cursor::new(body.to_vec()));
    Content::Stream { stream, size: body.len() as u64, file }
}

fn file(octets: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(octets).unwrap();
    file
}

async fn send(smarthost: &Smarthost, mut transaction: Transaction) -> Outcome {
    smarthost.send(&mut transaction, Arc::new(|| true)).await
}

const PATIENT: Duration = Duration::from_secs(20);
const HURRIED: Duration = Duration::from_secs(3);
/// Cells run concurrently; more would cause timeouts on a small machine.
const AT_ONCE: usize = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Delivered,
    Deferred,
    Failed,
    Uncertain,
    NotTried,
}

fn kinds(outcome: &Outcome) -> Vec<Kind> {
    outcome
        .recipients
        .iter()
        .map(|fate| match fate {
            Fate::Delivered(_) => Kind::Delivered,
            Fate::Deferred(_) => Kind::Deferred,
            Fate::Failed(_) => Kind::Failed,
            Fate::Uncertain(_) => Kind::Uncertain,
            Fate::NotTried(_) => Kind::NotTried,
            Fate::Postponed(..) => panic!("nobody keeps to a rate here"),
        })
        .collect()
}

const FAULTS: [&str; 6] = ["drop", "4xx", "5xx", "stall", "garbage", "half-close"];

fn fault(name: &str) -> Fault {
    match name {
        "drop" => Fault::Drop,
        "4xx" => Fault::Say(b"451 4.3.0 not now\r\n".to_vec()),
        "5xx" => Fault::Say(b"554 5.3.0 never\r\n".to_vec()),
        "stall" => Fault::Stall,
        "garbage" => Fault::Say(b"\x00\xff\x1b[2Jwhat?\r\n".to_vec()),
        _ => Fault::HalfClose,
    }
}

/// The fate of the recipient that would have been accepted.
#[expect(clippy::match_same_arms, reason = "each with its own reason")]
fn expected(stage: Stage, fault: &str) -> Kind {
    match (stage, fault) {
        (Stage::Quit, _) => Kind::Delivered,
        // EHLO is unknown, so HELO is used, which is enough here
        (Stage::Ehlo, "5xx") => Kind::Delivered,
        // before MAIL nothing was said about this mail: a refused connection is not a bounce
        (Stage::Connect | Stage::Banner | Stage::Ehlo | Stage::StartTls | Stage::Auth, _) => Kind::Deferred,
        (_, "4xx") => Kind::Deferred,
        (_, "5xx") => Kind::Failed,
        (Stage::Dot, _) => Kind::Uncertain,
        // the whole content with its final dot was sent before the reply was read
        (Stage::Body, "garbage" | "half-close") => Kind::Uncertain,
        _ => Kind::Deferred,
    }
}

/// One cell of the matrix: stage × fault × mode × pipelining × recipients.
#[derive(Clone, Copy, Debug)]
struct Cell {
    stage: Stage,
    fault: &'static str,
    mode: Mode,
    pipelining: bool,
    mixed: bool,
}

impl Cell {
    fn expected(&self) -> Vec<Kind> {
        let mut first = expected(self.stage, self.fault);
        // after HELO there is neither STARTTLS nor AUTH
        if self.stage == Stage::Ehlo && self.fault == "5xx" {
            first = Kind::Deferred;
        }
        if !self.mixed {
            return vec![first];
        }
        let others = match (self.stage, self.fault) {
            (Stage::Connect | Stage::Banner | Stage::Ehlo | Stage::StartTls | Stage::Auth, _) => {
                [Kind::Deferred; 2]
            }
            (Stage::Mail, _) => [first; 2],
            (Stage::Rcpt, "drop" | "stall" | "garbage" | "half-close") => [Kind::Deferred; 2],
            _ => [Kind::Deferred, Kind::Failed],
        };
        vec![first, others[0], others[1]]
    }

    async fn run(self, certificates: Arc<Certificates>) -> Result<(), String> {
        let mut script = Script::new(self.mode).failing(self.stage, fault(self.fault));
        if !self.pipelining {
            script = script.without("PIPELINING");
        }
        let server = Server::start(script, Arc::clone(&certificates)).await;
        let wait = if self.fault == "stall" { HURRIED } else { PATIENT };
        let mut config = config(server.port, self.mode, &certificates, wait);
        config.transactions = 1;
        let smarthost = Smarthost::new(config).unwrap();
        let to: &[&str] = if self.mixed {
            &["ok@example.com", "later@example.com", "never@example.com"]
        } else {
            &["ok@example.com"]
        };
        let mut transaction = transaction(to, b"\r\nbody\r\n");
        if self.stage == Stage::Body && matches!(self.fault, "drop" | "stall") {
            // more than the socket buffers hold, so that the fault comes while sending
            let body = "0123456789abcdef 0123456789abcdef 0123456789abcdef\r\n".repeat(400_000);
            let as_file = self.pipelining == self.mixed;
            transaction.body = stream(body.as_bytes(), as_file.then(|| file(body.as_bytes())));
        }
        let outcome = send(&smarthost, transaction).await;
        smarthost.close().await;
        let got = kinds(&outcome);
        let printable = outcome.recipients.iter().all(|fate| {
            let (Fate::Delivered(text)
            | Fate::Deferred(text)
            | Fate::Failed(text)
            | Fate::Uncertain(text)
            | Fate::NotTried(text)
            | Fate::Postponed(text, _)) = fate;
            !text.is_empty() && text.chars().count() < 1_200 && !text.chars().any(char::is_control)
        });
        if got == self.expected() && printable {
            Ok(())
        } else {
            Err(format!("{self:?}: expected {:?}, got {outcome:?}", self.expected()))
        }
    }
}

async fn matrix(mode: Mode) {
    let certificates = certificates();
    let mut cells = tokio::task::JoinSet::new();
    let places = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut count = 0;
    for stage in STAGES {
        if stage == Stage::StartTls && mode != Mode::StartTls {
            continue;
        }
        for fault in FAULTS {
            for (pipelining, mixed) in [(true, false), (true, true), (false, false), (false, true)] {
                let cell = Cell { stage, fault, mode, pipelining, mixed };
                let (places, certificates) = (Arc::clone(&places), Arc::clone(&certificates));
                cells.spawn(async move {
                    let _place = places.acquire().await.unwrap();
                    cell.run(certificates).await
                });
                count += 1;
            }
        }
    }
    let failures: Vec<String> = cells.join_all().await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} of {count} cells:\n{}", failures.len(), failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_in_the_clear() {
    matrix(Mode::Plain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_with_starttls() {
    matrix(Mode::StartTls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_with_implicit_tls() {
    matrix(Mode::Implicit).await;
}
