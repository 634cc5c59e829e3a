//! Slow clients, floods, large messages, drains: every limit, reached over a socket.

use super::fake_intake::{BALANCER, FRIEND, OLD_DEVICE, Running};
use super::script::Client;
use sekisho::listener::Limits;
use std::sync::atomic::Ordering;
use std::thread::sleep;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(300);
/// Far longer than any timeout here: a client that waits this long was forgotten.
const LATE: Duration = Duration::from_secs(8);

fn begin(client: &mut Client, sender: &str) {
    assert!(client.ask(&format!("MAIL FROM:<{sender}>")).starts_with("250 "));
    assert!(client.ask("RCPT TO:<r@d.test>").starts_with("250 "));
    assert!(client.ask("DATA").starts_with("354 "));
}

#[test]
fn an_idle_client_is_let_go() {
    let running = Running::with(Limits { command: SOON, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    assert!(client.reply().unwrap().starts_with("421 4.4.2 "));
    assert!(client.is_closed());
}

/// Sends one octet after another; returns the server's last line.
fn drip(client: &mut Client, octet: u8) -> String {
    let began = Instant::now();
    client.reader.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    while began.elapsed() < LATE {
        if client.send(&[octet]).is_err() {
            break;
        }
        let mut peeked = [0; 1];
        if client.reader.get_ref().peek(&mut peeked).is_ok() {
            return client.line().unwrap_or_default();
        }
    }
    String::new()
}

#[test]
fn dripping_a_command_does_not_extend_its_deadline() {
    let running = Running::with(Limits { command: SOON, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    assert!(drip(&mut client, b'x').starts_with("421 4.4.2 "));
}

#[test]
fn dripping_content_does_not_extend_its_deadline() {
    let running = Running::with(Limits { content: SOON, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    begin(&mut client, "a@b.test");
    assert!(drip(&mut client, b'x').starts_with("421 4.4.2 "));
    assert!(running.messages().is_empty());
}

#[test]
fn content_that_stops_is_given_up() {
    let running = Running::with(Limits { block: SOON, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    begin(&mut client, "a@b.test");
    client.send(b"some\r\n").unwrap();
    assert!(client.reply().unwrap().starts_with("421 4.4.2 "));
    assert!(running.messages().is_empty());
}

#[test]
fn a_session_does_not_last_for_ever() {
    let running = Running::with(Limits { session: SOON, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    let began = Instant::now();
    let mut last = String::new();
    while began.elapsed() < LATE && !last.starts_with("421") {
        last = client.ask("NOOP");
        sleep(Duration::from_millis(20));
        if client.reader.buffer().is_empty() && began.elapsed() > SOON * 2 {
            last = client.reply().unwrap_or_default();
        }
    }
    assert!(last.starts_with("421 4.4.2 "), "{last}");
}

#[test]
fn sessions_are_counted() {
    let limits = Limits { sessions: 3, sessions_per_client: 2, ..Limits::default() };
    let running = Running::with(limits);
    let first = Client::hello(FRIEND, running.address);
    let _second = Client::hello(FRIEND, running.address);
    let mut refused = Client::connect(FRIEND, running.address);
    assert!(refused.reply().unwrap().starts_with("421 4.7.0 "));
    assert!(refused.is_closed());
    let _third = Client::hello(OLD_DEVICE, running.address);
    let mut refused = Client::connect(OLD_DEVICE, running.address);
    assert!(refused.reply().unwrap().starts_with("421 4.7.0 "));
    drop(first);
    let began = Instant::now();
    loop {
        let mut again = Client::connect(FRIEND, running.address);
        if again.reply().is_some_and(|reply| reply.starts_with("220 ")) {
            break;
        }
        assert!(began.elapsed() < LATE, "the place of the one that left stays taken");
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_comes_with_ehlo_is_not_carried_out() {
    let running = Running::with(Limits::default());
    let mut client = Client::connect(FRIEND, running.address);
    assert!(client.reply().unwrap().starts_with("220 "));
    client.send(b"EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nx\r\n.\r\n").unwrap();
    assert!(client.reply().unwrap().starts_with("250 "));
    assert!(client.reply().unwrap().starts_with("554 5.5.1 "));
    assert!(client.is_closed());
    assert!(running.messages().is_empty());
}

#[test]
fn content_behind_a_refused_data_is_not_carried_out() {
    let running = Running::with(Limits::default());
    let mut client = Client::hello(FRIEND, running.address);
    let evil = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nevil\r\n.\r\n";
    client
        .send(format!("MAIL FROM:<full@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n{evil}").as_bytes())
        .unwrap();
    let replies: Vec<String> = std::iter::from_fn(|| client.reply()).collect();
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..9]).collect();
    assert_eq!(codes, ["250 2.1.0", "250 2.1.5", "452 4.3.1", "421 4.7.0"]);
    assert!(running.messages().is_empty());
}

#[test]
fn a_whole_group_is_answered_and_content_behind_data_is_content() {
    let running = Running::with(Limits::default());
    let mut client = Client::hello(FRIEND, running.address);
    let one = "MAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nRSET\r\n..\r\n.\r\n";
    client.send(format!("{one}{one}QUIT\r\n").as_bytes()).unwrap();
    let replies: Vec<String> = std::iter::from_fn(|| client.reply()).collect();
    let codes: Vec<&str> = replies.iter().map(|reply| &reply[..3]).collect();
    assert_eq!(codes, ["250", "250", "354", "250", "250", "250", "354", "250", "221"]);
    let messages = running.messages();
    assert_eq!(messages.len(), 2);
    assert!(messages.iter().all(|message| message.content == b"RSET\r\n.\r\n"));
}

#[test]
fn a_flood_of_recipients_is_452_above_the_limit() {
    let running = Running::with(Limits::default());
    let mut client = Client::hello(FRIEND, running.address);
    assert!(client.ask("MAIL FROM:<a@b.test>").starts_with("250 "));
    let mut accepted = 0;
    for group in 0..1_000 {
        let lines = (0..100).map(|n| format!("RCPT TO:<u{}@d.test>\r\n", group * 100 + n));
        client.send(lines.collect::<Vec<_>>().concat().as_bytes()).unwrap();
        for _ in 0..100 {
            let reply = client.reply().unwrap();
            assert!(reply.starts_with("250 2.1.5 ") || reply.starts_with("452 4.5.3 "), "{reply}");
            accepted += usize::from(reply.starts_with("250 "));
        }
    }
    assert_eq!(accepted, 5_000);
    assert!(client.ask("RCPT TO:<u7@d.test>").starts_with("250 "), "one that is in already");
    assert!(client.ask("DATA").starts_with("354 "));
    assert!(client.ask("x\r\n.").starts_with("250 "));
    assert_eq!(running.messages()[0].envelope.recipients.len(), 5_000);
}

#[test]
fn a_line_without_end_is_refused_once_and_the_next_is_read() {
    let running = Running::with(Limits::default());
    let mut client = Client::hello(FRIEND, running.address);
    let block = vec![b'x'; 1 << 20];
    for _ in 0..32 {
        client.send(&block).unwrap();
    }
    client.send(b"\r\n").unwrap();
    assert!(client.reply().unwrap().starts_with("500 5.5.2 "));
    assert!(client.ask("NOOP").starts_with("250 "));
}

#[test]
fn a_giant_is_read_to_its_end_and_not_kept() {
    let limits = Limits { size: 1 << 20, discard: 64 << 20, ..Limits::default() };
    let running = Running::with(limits);
    let mut client = Client::hello(FRIEND, running.address);
    begin(&mut client, "a@b.test");
    let block = [vec![b'x'; 998], b"\r\n".to_vec()].concat().repeat(1_000);
    for _ in 0..32 {
        client.send(&block).unwrap();
    }
    assert!(client.ask(".").starts_with("552 5.3.4 "));
    assert!(client.ask("NOOP").starts_with("250 "));
    assert!(running.recorder.octets.load(Ordering::Relaxed) <= 1 << 20);
    assert!(running.messages().is_empty());
    begin(&mut client, "a@b.test");
    for _ in 0..70 {
        if client.send(&block).is_err() {
            break;
        }
    }
    assert!(client.reply().is_none_or(|reply| reply.starts_with("552 5.3.4 ")));
    assert!(client.is_closed());
}

#[test]
fn large_content_arrives_whole() {
    let running = Running::with(Limits::default());
    let mut client = Client::hello(FRIEND, running.address);
    begin(&mut client, "a@b.test");
    // More lines than a header may have: they are the body.
    let mut expected = b"Subject: x\r\n\r\n".to_vec();
    let mut sent = expected.clone();
    for number in 0..100_000 {
        let line = if number % 7 == 0 { format!(".{number}") } else { format!("line {number}") };
        expected.extend_from_slice(format!("{line}\r\n").as_bytes());
        sent.extend_from_slice(format!("{}{line}\r\n", if number % 7 == 0 { "." } else { "" }).as_bytes());
    }
    client.send(&sent).unwrap();
    assert!(client.ask(".").starts_with("250 2.0.0 queued as "));
    assert!(running.messages()[0].content == expected, "content differs");
}

/// Clients that have connected when a drain begins, and were not yet greeted, are told 421 and not reset, behind a
/// balancer, too.
#[test]
fn a_drain_tells_whoever_has_just_connected() {
    for round in 0..20 {
        let mut running = Running::with(Limits::default());
        let mut clients: Vec<Client> =
            [FRIEND, FRIEND, BALANCER, BALANCER].map(|from| Client::connect(from, running.address)).into();
        running.shutdown.send(true).unwrap();
        for client in &mut clients[2..] {
            let header = format!("PROXY TCP4 {FRIEND} 127.0.0.1 50000 25\r\n");
            client.send(header.as_bytes()).unwrap();
        }
        for client in &mut clients {
            let said = client.reply().unwrap();
            let last = if said.starts_with("220 ") { client.reply().unwrap() } else { said };
            assert!(last.starts_with("421 4.3.2 "), "{round}: {last}");
        }
        running.drained();
    }
}

#[test]
fn a_drain_lets_content_end_and_sends_the_others_away() {
    let mut running = Running::with(Limits::default());
    let mut idle = Client::hello(FRIEND, running.address);
    let mut midway = Client::hello(FRIEND, running.address);
    assert!(midway.ask("MAIL FROM:<a@b.test>").starts_with("250 "));
    let mut busy = Client::hello(FRIEND, running.address);
    begin(&mut busy, "a@b.test");
    let mut committing = Client::hello(FRIEND, running.address);
    begin(&mut committing, "slow@b.test");
    committing.send(b"x\r\n.\r\n").unwrap();
    sleep(Duration::from_millis(50));
    running.shutdown.send(true).unwrap();
    assert!(idle.reply().unwrap().starts_with("421 4.3.2 "));
    assert!(midway.reply().unwrap().starts_with("421 4.3.2 "));
    busy.send(b"x\r\n").unwrap();
    assert!(busy.ask(".").starts_with("250 2.0.0 queued as "));
    assert!(busy.reply().unwrap().starts_with("421 4.3.2 "));
    assert!(committing.reply().unwrap().starts_with("250 2.0.0 queued as "));
    drop((idle, midway, busy, committing));
    running.drained();
    assert_eq!(running.messages().len(), 2);
    assert!(std::net::TcpStream::connect(running.address).is_err(), "nobody listens any more");
}

#[test]
fn a_drain_breaks_off_content_that_does_not_end() {
    let mut running = Running::with(Limits { drain: SOON, ..Limits::default() });
    let mut busy = Client::hello(FRIEND, running.address);
    begin(&mut busy, "a@b.test");
    running.shutdown.send(true).unwrap();
    assert!(drip(&mut busy, b'x').starts_with("421 4.3.2 "));
    drop(busy);
    running.drained();
    assert!(running.messages().is_empty());
}

#[test]
fn a_client_that_reads_no_replies_is_let_go() {
    let running = Running::with(Limits { reply: SOON, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    let block = b"HELP\r\n".repeat(100_000);
    let began = Instant::now();
    while client.send(&block).is_ok() {
        assert!(began.elapsed() < LATE * 4, "it is never let go");
    }
}
