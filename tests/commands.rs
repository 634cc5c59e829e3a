//! The commands of the real binary: exit codes, JSON, with a running relay and without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

fn sekisho(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a configuration that captures mail, and the shipped policy.
fn home() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("sekisho.toml"),
        "[organisation]\ndomains = [\"example.co.jp\"]\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nallow = [\"127.0.0.0/8\"]\n\
         [upstream]\naddress = \"capture:out\"\n\
         [desk]\naddress = \"127.0.0.1:0\"\n\
         [policy]\nfiles = [\"default.toml\"]\n",
    )
    .unwrap();
    let policy = Path::new(env!("CARGO_MANIFEST_DIR")).join("policy/default.toml");
    std::fs::copy(policy, folder.path().join("default.toml")).unwrap();
    folder
}

fn message(strangers: usize) -> String {
    let to: Vec<String> = (0..strangers).map(|n| format!("p{n}@organisation{n}.example")).collect();
    format!(
        "From: Hanako <hanako@example.co.jp>\nTo: {}\nSubject: =?UTF-8?B?6Kqs5piO5Lya?=\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0900\nMessage-ID: <{strangers}@example.co.jp>\n\nhello\n.dot\n",
        to.join(", ")
    )
}

#[test]
fn explain_works_with_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    for (strangers, action, deliveries) in [(1, "pass", 1), (6, "hold", 0), (12, "split", 12)] {
        let name = format!("{strangers}.eml");
        std::fs::write(folder.path().join(&name), message(strangers)).unwrap();
        let output = sekisho(folder.path(), &["explain", &name, "--json", "--copies", action]);
        assert_eq!(code(&output), 0, "{}", said(&output));
        let value = json(&output);
        assert_eq!(value["verdict"]["action"], action);
        assert_eq!(value["facts"]["external_addresses"].as_array().unwrap().len(), strangers);
        assert_eq!(value["facts"]["external_organisations"], strangers);
        assert_eq!(value["deliveries"].as_array().unwrap().len(), deliveries);
        let copies = std::fs::read_dir(folder.path().join(action)).unwrap().count();
        assert_eq!(copies, deliveries);
        assert!(value["rules"].as_array().unwrap().iter().all(|rule| rule["why"].is_string()));
    }
}

#[test]
fn mistakes_have_their_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let none = sekisho(folder.path(), &["held", "list"]);
    assert_eq!(code(&none), 2);
    assert!(said(&none).contains("/etc/sekisho/sekisho.toml"), "{}", said(&none));
    std::fs::write(folder.path().join("sekisho.toml"), "[organisation]\ndomians = []\n").unwrap();
    let wrong = sekisho(folder.path(), &["serve"]);
    assert_eq!(code(&wrong), 2);
    assert!(
        said(&wrong).contains("sekisho.toml:2:1") && said(&wrong).contains("domains"),
        "{}",
        said(&wrong)
    );
    assert_eq!(code(&sekisho(folder.path(), &["explode"])), 2);
    assert_eq!(code(&sekisho(folder.path(), &["explain", "missing.eml", "--config", "nowhere.toml"])), 2);
    let home = home();
    std::fs::remove_file(home.path().join("default.toml")).unwrap();
    let policy = sekisho(home.path(), &["serve"]);
    assert_eq!(code(&policy), 2);
    assert!(said(&policy).contains("default.toml"), "{}", said(&policy));
    assert_eq!(code(&sekisho(home.path(), &["held", "list"])), 1);
}

struct Relay(Child);

impl Relay {
    /// Starts `serve` and waits for its line `ready`; returns the addresses of SMTP and HTTP.
    fn start(folder: &Path) -> (Self, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
            .arg("serve")
            .current_dir(folder)
            .env("NO_COLOR", "1")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("ready ") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the relay ended before it was ready");
        }
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let after =
            |name: &str| line.split(name).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        (Self(child), after("smtp="), after("desk="))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a message and returns the answer to the final dot.
fn send(smtp: &str, message: &str, recipients: usize) -> String {
    let stream = TcpStream::connect(smtp).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    let mut say = |text: &str| {
        stream.write_all(text.as_bytes()).unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            if line.as_bytes().get(3) == Some(&b' ') {
                return line.trim_end().to_owned();
            }
        }
    };
    say("");
    say("EHLO client.example\r\n");
    say("MAIL FROM:<hanako@example.co.jp>\r\n");
    for n in 0..recipients {
        assert!(say(&format!("RCPT TO:<p{n}@organisation{n}.example>\r\n")).starts_with("250"));
    }
    assert!(say("DATA\r\n").starts_with("354"));
    let content = message.replace('\n', "\r\n").replace("\r\n.", "\r\n..");
    say(&format!("{content}.\r\n"))
}

fn http(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: desk\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn until<T>(mut what: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = what() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "it did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_held_message_is_released_while_the_relay_runs_and_looked_at_when_it_does_not() {
    let home = home();
    let (relay, smtp, desk) = Relay::start(home.path());
    assert!(http(&desk, "/healthz").contains(" 200 "));
    assert!(http(&desk, "/readyz").contains(" 200 "));
    assert!(http(&desk, "/nothing").contains(" 404 "));
    let answer = send(&smtp, &message(6), 6);
    assert!(answer.starts_with("250 2.0.0 held as "), "{answer}");
    let list = json(&sekisho(home.path(), &["held", "list", "--json"]));
    let row = &list[0];
    assert_eq!(row["state"], "held");
    assert_eq!(row["recipients"].as_array().unwrap().len(), 6);
    let id = row["id"].as_str().unwrap().to_owned();
    let stranger = sekisho(home.path(), &["held", "release", &id, "--drop", "x@y.example"]);
    assert_eq!(code(&stranger), 1, "{}", said(&stranger));
    let released =
        sekisho(home.path(), &["held", "release", &id, "--drop", "p0@organisation0.example", "--json"]);
    assert_eq!(code(&released), 0, "{}", said(&released));
    assert_eq!(json(&released)["copies"], 5);
    let again = sekisho(home.path(), &["held", "release", &id]);
    assert_eq!(code(&again), 1);
    assert!(said(&again).contains("already released"), "{}", said(&again));
    until(|| {
        let rows = json(&sekisho(home.path(), &["queue", "list", &id, "--all", "--json"]));
        let all = rows.as_array().unwrap().clone();
        (all.len() == 5 && all.iter().all(|row| row["state"] == "delivered")).then_some(())
    });
    assert!(http(&desk, "/metrics").contains("sekisho_answers_total{answer=\"held\"} 1"));
    drop(relay);
    let list = json(&sekisho(home.path(), &["held", "list", "--json"]));
    assert_eq!(list[0]["state"], "released");
    let trace = json(&sekisho(home.path(), &["trace", &id, "--json"]));
    assert_eq!(trace[0]["message"]["id"], id.as_str());
    let report = json(&sekisho(home.path(), &["report", "--json"]));
    assert_eq!(report["held"]["released"], 1);
}

#[test]
fn replay_counts_what_would_have_been_exposed() {
    let folder = tempfile::tempdir().unwrap();
    let mbox = [1, 6, 12].map(|n| format!("From x Mon\n{}\n", message(n))).concat();
    std::fs::write(folder.path().join("sent.mbox"), mbox).unwrap();
    let output = sekisho(folder.path(), &["replay", "sent.mbox", "--json"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let value = json(&output);
    assert_eq!(value["messages"], 3);
    assert_eq!(value["exposures_prevented"], 6 * 5 + 12 * 11);
    assert_eq!(value["actions"]["split"], 1);
}

#[test]
fn try_tells_what_happened_and_how_to_release() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("six.eml"), message(6)).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sekisho"))
        .args(["try", "six.eml", "--listen", "127.0.0.1:0", "--desk", "127.0.0.1:0", "--dir", "here"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("held release ") {
        line.clear();
        assert!(out.read_line(&mut line).unwrap() > 0, "it ended without a word on the release");
    }
    let command: Vec<&str> = line.split("held release ").nth(1).unwrap().split_whitespace().collect();
    let released = sekisho(folder.path(), &["held", "release", command[0], command[1], command[2]]);
    assert_eq!(code(&released), 0, "{}", said(&released));
    let outbox = folder.path().join("here/outbox/new");
    until(|| (std::fs::read_dir(&outbox).map_or(0, Iterator::count) >= 6).then_some(()));
    let _ = child.kill();
    let _ = child.wait();
}

/// Everything below a folder that anybody but its owner may read or enter.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let mode = std::fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777;
        let wanted = if path.is_dir() { 0o700 } else { 0o600 };
        if mode != wanted {
            found.push(format!("{} has {mode:o}", path.display()));
        }
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Captured mail contains private mail, codes and links: only its owner may read it, whatever the umask.
#[test]
fn captured_mail_is_for_its_owner_alone() {
    let home = home();
    let (relay, smtp, _) = Relay::start(home.path());
    assert!(send(&smtp, &message(1), 1).starts_with("250"));
    let outbox = home.path().join("out");
    until(|| std::fs::read_dir(outbox.join("new")).is_ok_and(|mut all| all.next().is_some()).then_some(()));
    drop(relay);
    assert_eq!(open_to_others(&outbox), [""; 0]);

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("one.eml"), message(1)).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "umask 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_sekisho"), "try", "one.eml"])
        .args(["--listen", "127.0.0.1:0", "--desk", "127.0.0.1:0", "--dir", "here"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let outbox = folder.path().join("here/outbox");
    until(|| std::fs::read_dir(outbox.join("new")).is_ok_and(|mut all| all.next().is_some()).then_some(()));
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(open_to_others(&folder.path().join("here/outbox")), [""; 0]);
    let top = std::fs::metadata(folder.path().join("here")).unwrap().permissions().mode() & 0o777;
    assert_eq!(top, 0o700, "nobody else gets in at all");
}

/// The help of a command and of all its subcommands, with the words that are typed.
fn help(words: &[String], all: &mut Vec<(String, String)>) {
    let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
    arguments.push("--help");
    let output = sekisho(Path::new("."), &arguments);
    assert_eq!(code(&output), 0, "{words:?}: {}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let listed =
        text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: Vec<String> = listed
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect();
    all.push((format!("$ sekisho {}", arguments.join(" ")), without_commands(&text)));
    for name in names.into_iter().filter(|name| name != "help") {
        let below: Vec<String> = words.iter().cloned().chain([name]).collect();
        help(&below, all);
    }
}

/// A help text without its list of commands, which are listed with their own help.
fn without_commands(text: &str) -> String {
    let mut inside = false;
    let kept = text.lines().filter(|line| {
        inside = *line == "Commands:" || (inside && !line.is_empty());
        !inside
    });
    kept.fold(String::new(), |text, line| text + line + "\n")
}

/// `sekisho help` prints what `--help` prints, for a command too.
#[test]
fn help_is_a_command() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&[][..], &["report"], &["held", "release"]] {
        let asked: Vec<&str> = ["help"].into_iter().chain(command.iter().copied()).collect();
        let flagged: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let (asked, flagged) = (sekisho(folder.path(), &asked), sekisho(folder.path(), &flagged));
        assert_eq!(code(&asked), 0, "{}", said(&asked));
        assert_eq!(asked.stdout, flagged.stdout, "{command:?}");
    }
    assert_eq!(code(&sekisho(folder.path(), &["help", "explode"])), 2);
}

/// The help texts stay as they are: `SEKISHO_GOLDEN=write cargo test --test commands` records changes and new
/// commands.
#[test]
fn every_commands_help_is_as_it_was_meant() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help.txt");
    let mut all = Vec::new();
    help(&[], &mut all);
    if std::env::var_os("SEKISHO_GOLDEN").is_some_and(|wish| wish == "write") {
        let lines: Vec<String> = all.iter().flat_map(|(typed, said)| [typed.clone(), said.clone()]).collect();
        let text = lines.join("\n") + "\n";
        std::fs::write(&golden, text).unwrap();
    }
    let meant = std::fs::read_to_string(&golden).unwrap();
    let mut sections = 0;
    for section in meant.split("$ sekisho ").skip(1) {
        let (typed, then) = section.split_once('\n').unwrap();
        let now = all.iter().find(|(known, _)| *known == format!("$ sekisho {typed}"));
        let (_, now) = now.unwrap_or_else(|| panic!("`sekisho {typed}` is gone"));
        assert_eq!(
            now.trim_end(),
            then.trim_end(),
            "`sekisho {typed}` is not what {} says",
            golden.display()
        );
        sections += 1;
    }
    assert!(sections > 30, "only {sections} commands in {}", golden.display());
}
