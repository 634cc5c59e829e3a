//! Journal copies: which clients may send them, that none is relayed, and that a malformed one is not
//! rejected.

use super::fake_intake::{FRIEND, Running, STRANGER, copy_id, id};
use super::script::Client;
use sekisho::listener::{Limits, Role};

fn journal() -> Running {
    Running::of(Role::Journal { users: Vec::new().into() }, Limits::default(), None)
}

/// A copy, its reply.
fn sent(client: &mut Client, sender: &str, content: &[u8]) -> String {
    assert!(client.ask(&format!("MAIL FROM:<{sender}>")).starts_with("250 "), "{sender}");
    assert!(client.ask("RCPT TO:<journal@relay.test>").starts_with("250 "));
    assert!(client.ask("DATA").starts_with("354 "));
    client.send(content).unwrap();
    client.ask("\r\n.")
}

#[test]
fn who_is_no_source_is_told_so_in_one_line() {
    let running = journal();
    let mut client = Client::hello(STRANGER, running.address);
    assert!(client.ask("MAIL FROM:<>").starts_with("250 "));
    let reply = client.ask("RCPT TO:<journal@relay.test>");
    assert_eq!(reply.trim_end(), "550 5.7.1 127.0.0.2 may not send copies for the journal here");
    assert!(client.ask("DATA").starts_with("554 5.5.1 "));
    assert!(running.recorder.copies.lock().unwrap().is_empty());
}

/// A copy has the sender of the original mail; its faults are not the mail host's.
#[test]
fn every_copy_of_a_source_is_taken_and_none_is_relayed() {
    let running = journal();
    let mut client = Client::hello(FRIEND, running.address);
    let noted = format!("250 2.0.0 noted as {}", copy_id());
    let table: [(&str, &[u8]); 6] = [
        ("", b"From: a@x.test\r\n\r\nx"),
        ("anybody@elsewhere.test", b"From: anybody@elsewhere.test\r\n\r\nx"),
        ("", b"From: a@x.test\n\nbare line feeds\n"),
        ("", b"From: a@x.test\r\n\r\na NUL\0 in it"),
        ("", b"From: a@x.test\r\n\r\na CR\r in it"),
        ("", b"no header at all"),
    ];
    for (sender, content) in table {
        assert_eq!(sent(&mut client, sender, content).trim_end(), noted, "{content:?}");
    }
    let broken = running.recorder.copies.lock().unwrap()[3].clone();
    assert!(broken.ends_with(b"\0"), "what was not read is marked: {broken:?}");
    assert_eq!(running.recorder.copies.lock().unwrap().len(), table.len());
    assert!(running.messages().is_empty(), "a copy was relayed");
}

#[test]
fn a_relay_takes_no_copies() {
    let running = Running::with(Limits::default());
    let mut client = Client::hello(FRIEND, running.address);
    assert_eq!(sent(&mut client, "a@x.test", b"\r\nx").trim_end(), format!("250 2.0.0 queued as {}", id()));
    assert!(running.recorder.copies.lock().unwrap().is_empty());
}
