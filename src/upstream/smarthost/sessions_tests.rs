//! Sends many copies at once through a next hop that limits sessions and refuses in various ways.

use super::*;
use crate::message::{Address, Recipient};
use crate::upstream::Content;
use bytes::Bytes;
use std::sync::Mutex as Lock;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// How the next hop refuses.
#[derive(Clone, Copy, Debug)]
enum Says {
    /// In place of the greeting.
    Banner(&'static str),
    /// In place of the reply to this command (`.` is the final dot).
    At(&'static str, &'static str),
    /// To MAIL, after this many messages in the session.
    PerSession(usize, &'static str),
}

#[derive(Default)]
struct Seen {
    open: usize,
    refused: usize,
    taken: Vec<String>,
}

const MOST: usize = 3;

async fn session(stream: TcpStream, says: Says, seen: &Lock<Seen>) -> std::io::Result<()> {
    let crowded = {
        let mut seen = seen.lock().unwrap();
        seen.open += 1;
        seen.open > MOST
    };
    let mut stream = BufReader::new(stream);
    if let (true, Says::Banner(reply)) = (crowded, says) {
        seen.lock().unwrap().refused += 1;
        return stream.write_all(format!("{reply}\r\n").as_bytes()).await;
    }
    stream.write_all(b"220 hop\r\n").await?;
    let (mut line, mut to, mut carried) = (String::new(), String::new(), 0);
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        let mut reply = match verb.as_str() {
            "DATA" => "354 go on",
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            "RCPT" => {
                to.clone_from(&line);
                "250 ok"
            }
            _ => "250 ok",
        };
        match says {
            Says::At(stage, said) if crowded && stage == verb => reply = said,
            Says::PerSession(most, said) if verb == "MAIL" && carried == most => reply = said,
            _ => {}
        }
        if reply == "354 go on" {
            stream.write_all(b"354 go on\r\n").await?;
            while line != ".\r\n" {
                line.clear();
                stream.read_line(&mut line).await?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            reply = match says {
                Says::At(".", said) if crowded => said,
                _ => {
                    carried += 1;
                    seen.lock().unwrap().taken.push(to.clone());
                    "250 ok"
                }
            };
        }
        if reply.starts_with('4') {
            seen.lock().unwrap().refused += 1;
        }
        stream.write_all(format!("{reply}\r\n").as_bytes()).await?;
        if reply.starts_with("421") {
            return Ok(());
        }
    }
}

async fn hop(says: Says) -> (u16, Arc<Lock<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Lock::new(Seen::default()));
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let seen = Arc::clone(&shared);
            tokio::spawn(async move {
                // an error here shows in the number of messages received
                let _ = session(stream, says, &seen).await;
                seen.lock().unwrap().open -= 1;
            });
        }
    });
    (port, seen)
}

fn copy(number: usize) -> Transaction {
    Transaction {
        sender: Some(Address::parse("yamada@example.co.jp").unwrap()),
        recipients: vec![Recipient::plain(Address::parse(&format!("r{number}@example.org")).unwrap())],
        header: Bytes::from_static(b"Subject: x\r\n"),
        body: Content::Inline(Bytes::from_static(b"\r\nx\r\n")),
        smtputf8: false,
        eight_bit: false,
        ret: None,
        envid: None,
        reseal: None,
    }
}

fn smarthost(port: u16) -> Smarthost {
    let config = SmarthostConfig::new("127.0.0.1", port, "relay.example.jp");
    Smarthost::new(SmarthostConfig { security: Security::Off, ..config }).unwrap()
}

/// Sends until the copy was tried, as the courier does.
async fn resumed(way: &Smarthost, number: usize) -> Fate {
    loop {
        let outcome = way.send(&mut copy(number), Arc::new(|| true)).await;
        match outcome.recipients.into_iter().next().unwrap() {
            Fate::NotTried(_) => {}
            fate => return fate,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_copies_pass_through_three_sessions_without_one_attempt_counted() {
    for says in [
        Says::Banner("421 4.7.0 too many connections"),
        Says::Banner("421 4.3.2 try again later"),
        Says::At("MAIL", "421 4.7.0 too many concurrent sessions"),
        Says::At("MAIL", "452 4.4.5 try again later"),
        Says::At("RCPT", "452 4.4.5 connection limit exceeded"),
        Says::At("DATA", "451 4.7.0 too many sessions at once"),
        Says::At(".", "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"),
        Says::PerSession(5, "452 4.4.5 too many messages per session"),
        Says::PerSession(5, "421 4.7.0 too many messages in this session"),
    ] {
        let (port, seen) = hop(says).await;
        let way = Arc::new(smarthost(port));
        let began = std::time::Instant::now();
        let mut places = JoinSet::new();
        for place in 0..20 {
            let way = Arc::clone(&way);
            places.spawn(async move {
                for round in 0..3 {
                    let fate = resumed(&way, place * 3 + round).await;
                    assert!(matches!(fate, Fate::Delivered(_)), "{says:?} {fate:?}");
                }
            });
        }
        places.join_all().await;
        assert!(began.elapsed() < Duration::from_secs(10), "{says:?} {:?}", began.elapsed());
        let seen = seen.lock().unwrap();
        let mut taken = seen.taken.clone();
        taken.sort();
        taken.dedup();
        assert_eq!((taken.len(), seen.taken.len()), (60, 60), "{says:?}");
        assert!(seen.refused <= 60, "{says:?}: refused {} times", seen.refused);
    }
}

#[tokio::test]
async fn alone_it_is_waited_for_like_any_other() {
    for says in ["421 4.7.0 too many connections", "452 4.4.5 too many sessions"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let way = smarthost(listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(format!("{says}\r\n").as_bytes()).await.unwrap();
            }
        });
        let outcome = way.send(&mut copy(1), Arc::new(|| true)).await;
        assert!(matches!(outcome.recipients[0], Fate::Deferred(_)) && outcome.unreachable, "{outcome:?}");
    }
}
