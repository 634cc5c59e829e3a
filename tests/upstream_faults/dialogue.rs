//! Dialogues with next hops that work, and with odd or hostile ones.

use super::server::{Certificates, Fault, Mode, Script, Server, Stage};
use super::{Kind, PATIENT, certificates, config, file, kinds, recipient, send, stream, transaction};
use bytes::Bytes;
use sekisho::message::envelope::{Notify, Ret};
use sekisho::upstream::smarthost::{Security, Smarthost};
use sekisho::upstream::{Content, Fate, Outcome, Upstream};
use std::sync::Arc;
use std::time::Duration;

async fn start(script: Script) -> (Server, Smarthost) {
    let certificates = certificates();
    let mode = script.mode;
    let server = Server::start(script, Arc::clone(&certificates)).await;
    let smarthost = Smarthost::new(config(server.port, mode, &certificates, PATIENT)).unwrap();
    (server, smarthost)
}

fn text(outcome: &Outcome) -> &str {
    match &outcome.recipients[0] {
        Fate::Delivered(text)
        | Fate::Deferred(text)
        | Fate::Failed(text)
        | Fate::Uncertain(text)
        | Fate::NotTried(text)
        | Fate::Postponed(text, _) => text,
    }
}

impl Server {
    fn said(&self, verb: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.commands.iter().filter(|line| line.starts_with(verb)).cloned().collect()
    }
}

#[tokio::test]
async fn a_connection_serves_many_transactions_in_every_mode() {
    for mode in [Mode::Plain, Mode::StartTls, Mode::Implicit] {
        let (server, smarthost) = start(Script::new(mode)).await;
        for _ in 0..5 {
            let outcome = send(&smarthost, transaction(&["ok@example.com"], b"\r\nx\r\n")).await;
            assert_eq!(kinds(&outcome), [Kind::Delivered], "{outcome:?}");
            // a transaction without content needs a RSET before the next
            let outcome = send(&smarthost, transaction(&["never@example.com"], b"\r\nx\r\n")).await;
            assert_eq!(kinds(&outcome), [Kind::Failed], "{outcome:?}");
        }
        assert_eq!(server.seen.lock().unwrap().connections, 1);
        smarthost.close().await;
        assert_eq!(server.said("QUIT").len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_died_idle_is_replaced() {
    let script = Script { transactions: 1, ..Script::new(Mode::Plain) };
    let (server, smarthost) = start(script).await;
    for _ in 0..4 {
        let outcome = send(&smarthost, transaction(&["ok@example.com"], b"\r\nx\r\n")).await;
        assert_eq!(kinds(&outcome), [Kind::Delivered], "{outcome:?}");
    }
    let seen = server.seen.lock().unwrap();
    assert_eq!((seen.connections, seen.contents.len()), (4, 4));
}

#[tokio::test]
async fn idle_connections_are_left_after_a_while() {
    let certificates = certificates();
    let server = Server::start(Script::new(Mode::Plain), Arc::clone(&certificates)).await;
    let mut config = config(server.port, Mode::Plain, &certificates, PATIENT);
    config.idle = Duration::from_millis(50);
    let smarthost = Smarthost::new(config).unwrap();
    send(&smarthost, transaction(&["ok@example.com"], b"\r\nx\r\n")).await;
    for _ in 0..200 {
        if !server.said("QUIT").is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the idle connection was never left");
}

#[tokio::test]
async fn content_arrives_stuffed_and_ended() {
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    let body = b"\r\n.\r\n..x\r\nlast line";
    let long = format!("\r\n{}", ".dot\r\n".repeat(100_000));
    let streams = [Content::Inline(Bytes::from_static(body)), stream(long.as_bytes(), None)];
    for body in streams {
        let mut transaction = transaction(&["ok@example.com"], b"");
        transaction.body = body;
        assert_eq!(kinds(&send(&smarthost, transaction).await), [Kind::Delivered]);
    }
    let contents = server.seen.lock().unwrap().contents.clone();
    assert_eq!(contents[0], b"Subject: x\r\n\r\n..\r\n...x\r\nlast line\r\n.\r\n");
    let expected = format!("Subject: x\r\n\r\n{}.\r\n", "..dot\r\n".repeat(100_000));
    assert!(contents[1] == expected.as_bytes());
}

/// Body and file differ here, so that it shows which was sent.
#[tokio::test]
async fn a_file_is_sent_without_reading_it_where_nothing_changes_its_octets() {
    let (read, whole) = ("\r\n.read\r\n".repeat(100_000), "\r\nfiles\r\n".repeat(100_000));
    assert_eq!(read.len(), whole.len());
    let stuffed = "\r\n..read\r\n".repeat(100_000);
    for (mode, expected) in [(Mode::Plain, &whole), (Mode::StartTls, &stuffed), (Mode::Implicit, &stuffed)] {
        let (server, smarthost) = start(Script::new(mode)).await;
        let wanted = format!("Subject: x\r\n{expected}.\r\n").into_bytes();
        for _ in 0..2 {
            let mut transaction = transaction(&["ok@example.com"], b"");
            transaction.body = stream(read.as_bytes(), Some(file(whole.as_bytes())));
            assert_eq!(kinds(&send(&smarthost, transaction).await), [Kind::Delivered]);
        }
        let seen = server.seen.lock().unwrap();
        assert!(seen.connections == 1 && seen.contents == [wanted.clone(), wanted], "{mode:?}");
    }
}

/// As some file systems do, the system does not send this file: it was opened for writing alone.
#[tokio::test]
async fn a_file_that_cannot_be_sent_is_read() {
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    let body = "\r\n.x\r\n".repeat(100_000);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body");
    std::fs::write(&path, &body).unwrap();
    let closed = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut transaction = transaction(&["ok@example.com"], b"");
    transaction.body = stream(body.as_bytes(), Some(closed));
    assert_eq!(kinds(&send(&smarthost, transaction).await), [Kind::Delivered]);
    let wanted = format!("Subject: x\r\n{}.\r\n", "\r\n..x\r\n".repeat(100_000));
    assert!(server.seen.lock().unwrap().contents == [wanted.into_bytes()]);
}

#[tokio::test]
async fn a_file_of_another_size_never_leaves() {
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    let body = "\r\nx\r\n".repeat(200_000);
    for octets in [&body[..body.len() - 2], &format!("{body}\r\n"), ""] {
        let mut transaction = transaction(&["ok@example.com"], b"");
        transaction.body = stream(body.as_bytes(), Some(file(octets.as_bytes())));
        let outcome = send(&smarthost, transaction).await;
        assert_eq!((kinds(&outcome), outcome.unreachable), (vec![Kind::Deferred], false), "{outcome:?}");
    }
    assert!(server.seen.lock().unwrap().contents.is_empty());
}

#[tokio::test]
async fn damaged_content_never_leaves() {
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    for body in [b"\r\na\nb\r\n".as_slice(), b"\r\na\rb\r\n", b"\r\na\r"] {
        let outcome = send(&smarthost, transaction(&["ok@example.com"], body)).await;
        assert_eq!((kinds(&outcome), outcome.unreachable), (vec![Kind::Deferred], false), "{outcome:?}");
    }
    let mut short = transaction(&["ok@example.com"], b"");
    short.body = Content::Stream { stream: Box::new(&b"\r\nshort\r\n"[..]), size: 1_000, file: None };
    let outcome = send(&smarthost, short).await;
    assert_eq!(kinds(&outcome), [Kind::Deferred], "{outcome:?}");
    assert!(server.seen.lock().unwrap().contents.is_empty());
}

#[tokio::test]
async fn a_lost_lease_breaks_off_before_the_dot() {
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    let outcome =
        smarthost.send(&mut transaction(&["ok@example.com"], b"\r\nx\r\n"), Arc::new(|| false)).await;
    assert_eq!((kinds(&outcome), outcome.unreachable), (vec![Kind::Deferred], false), "{outcome:?}");
    assert!(server.seen.lock().unwrap().contents.is_empty());
}

#[tokio::test]
async fn nobody_accepted_means_no_content_but_a_lone_dot_after_354() {
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    let to = ["later@example.com", "never@example.com"];
    let outcome = send(&smarthost, transaction(&to, b"\r\nx\r\n")).await;
    assert_eq!(kinds(&outcome), [Kind::Deferred, Kind::Failed], "{outcome:?}");
    assert_eq!(server.seen.lock().unwrap().contents, [b".\r\n"]);

    let (server, smarthost) = start(Script::new(Mode::Plain).without("PIPELINING")).await;
    let outcome = send(&smarthost, transaction(&to, b"\r\nx\r\n")).await;
    assert_eq!(kinds(&outcome), [Kind::Deferred, Kind::Failed], "{outcome:?}");
    assert!(server.said("DATA").is_empty());
}

#[tokio::test]
async fn too_many_recipients_go_on_in_another_transaction() {
    for keyword in ["PIPELINING", "none"] {
        let script = Script { most: 100, ..Script::new(Mode::Plain).without(keyword) };
        let (server, smarthost) = start(script).await;
        let mut left: Vec<String> = (0..350).map(|number| format!("u{number}@example.com")).collect();
        let mut rounds = 0;
        while !left.is_empty() {
            let to: Vec<&str> = left.iter().map(String::as_str).collect();
            let outcome = send(&smarthost, transaction(&to, b"\r\nx\r\n")).await;
            let kinds = kinds(&outcome);
            assert!(kinds.iter().all(|kind| matches!(kind, Kind::Delivered | Kind::NotTried)), "{kinds:?}");
            assert_eq!(kinds.iter().filter(|kind| **kind == Kind::Delivered).count(), left.len().min(100));
            let mut kinds = kinds.into_iter();
            left.retain(|_| kinds.next() == Some(Kind::NotTried));
            rounds += 1;
        }
        assert_eq!((rounds, server.seen.lock().unwrap().contents.len()), (4, 4));
    }
}

#[tokio::test]
async fn a_copy_that_cannot_go_there_fails_and_says_why() {
    for (keyword, status) in [("SIZE", "5.3.4"), ("8BITMIME", "5.6.3"), ("SMTPUTF8", "5.6.7")] {
        let mut script = Script::new(Mode::Plain).without(keyword);
        if keyword == "SIZE" {
            script.keywords.push("SIZE 10");
        }
        let (server, smarthost) = start(script).await;
        // raw text in the header can be encoded; a non-ASCII address cannot
        let to = if keyword == "SMTPUTF8" { "太郎@example.com" } else { "ok@example.com" };
        let mut transaction = transaction(&[to], b"\r\n--b\r\n\r\n\xe9\r\n--b--\r\n");
        transaction.header = Bytes::from_static(b"Content-Type: multipart/signed; boundary=b\r\n");
        transaction.eight_bit = true;
        transaction.smtputf8 = keyword == "SMTPUTF8";
        let outcome = send(&smarthost, transaction).await;
        assert_eq!(kinds(&outcome), [Kind::Failed], "{outcome:?}");
        assert!(text(&outcome).starts_with(status), "{outcome:?}");
        assert!(server.said("MAIL").is_empty());
    }
}

#[tokio::test]
async fn what_is_not_signed_is_re_encoded_for_an_upstream_without_8bitmime() {
    let (server, smarthost) = start(Script::new(Mode::Plain).without("8BITMIME").without("SIZE")).await;
    let small = "\r\n\u{e9}\r\n".to_owned();
    let large = format!("\r\n{}", "\u{e9}\r\n".repeat(200_000));
    for body in [&small, &large] {
        let mut transaction = transaction(&["ok@example.com"], b"");
        transaction.body = stream(body.as_bytes(), Some(file(body.as_bytes())));
        transaction.eight_bit = true;
        let outcome = send(&smarthost, transaction).await;
        assert_eq!(kinds(&outcome), [Kind::Delivered], "{outcome:?}");
        let seen = server.seen.lock().unwrap();
        let content = String::from_utf8(seen.contents.last().unwrap().clone()).unwrap();
        assert!(content.contains("Content-Transfer-Encoding: quoted-printable\r\n"));
        assert!(content.ends_with(&format!("{}.\r\n", body.replace('\u{e9}', "=C3=A9"))));
    }
    assert_eq!(server.said("MAIL"), ["MAIL FROM:<a@example.jp>"; 2]);
}

#[tokio::test]
async fn parameters_go_where_they_are_understood_and_name_nobody_else() {
    let notify = Notify { success: true, failure: true, ..Notify::default() };
    let full = || {
        let mut transaction = transaction(&["ok@example.com", "two@example.com"], b"\r\nx\r\n");
        transaction.eight_bit = true;
        transaction.smtputf8 = true;
        transaction.ret = Some(Ret::Hdrs);
        transaction.envid = Some("id.7".to_owned());
        let mut first = recipient("ok@example.com");
        first.notify = Some(notify);
        first.orcpt = Some("rfc822;ok+40example.com".to_owned());
        let mut second = recipient("two@example.com");
        second.orcpt = Some("rfc822;list@example.net".to_owned());
        transaction.recipients = vec![first, second];
        transaction
    };
    let (server, smarthost) = start(Script::new(Mode::Plain)).await;
    assert_eq!(kinds(&send(&smarthost, full()).await), [Kind::Delivered; 2]);
    assert_eq!(
        server.said("MAIL"),
        ["MAIL FROM:<a@example.jp> SIZE=17 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id.7"]
    );
    assert_eq!(
        server.said("RCPT"),
        [
            "RCPT TO:<ok@example.com> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ok+40example.com",
            "RCPT TO:<two@example.com>"
        ]
    );

    let (server, smarthost) = start(Script::new(Mode::Plain).without("DSN").without("SIZE")).await;
    assert_eq!(kinds(&send(&smarthost, full()).await), [Kind::Delivered; 2]);
    assert_eq!(server.said("MAIL"), ["MAIL FROM:<a@example.jp> BODY=8BITMIME SMTPUTF8"]);
    assert_eq!(server.said("RCPT")[0], "RCPT TO:<ok@example.com>");

    let mut null = transaction(&["ok@example.com"], b"\r\nx\r\n");
    null.sender = None;
    assert_eq!(kinds(&send(&smarthost, null).await), [Kind::Delivered]);
    assert_eq!(server.said("MAIL")[1], "MAIL FROM:<>");
}

#[tokio::test]
async fn hostile_replies_are_bounded_and_printable() {
    let long = [b"250 ".as_slice(), &b"x".repeat(100_000), b"\r\n"].concat();
    let endless = b"550-again\r\n".repeat(10_000);
    let replies: Vec<Vec<u8>> = vec![
        long,
        endless,
        b"250-yes\r\n550 no\r\n".to_vec(),
        b"250\x00\r\n".to_vec(),
        b"450 \x1b]0;title\x07\x1b[31m\xff\xfe \xe2\x80\xa8x\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        b"999 what\r\n".to_vec(),
    ];
    for reply in replies {
        for stage in [Stage::Banner, Stage::Ehlo, Stage::Mail, Stage::Rcpt, Stage::Data] {
            let script = Script::new(Mode::Plain).failing(stage, Fault::Say(reply.clone()));
            let (_server, smarthost) = start(script).await;
            let outcome = send(&smarthost, transaction(&["ok@example.com"], b"\r\nx\r\n")).await;
            assert_eq!(kinds(&outcome), [Kind::Deferred], "{stage:?} {outcome:?}");
            let text = text(&outcome);
            assert!(text.len() < 4_000 && !text.chars().any(char::is_control), "{stage:?} {text}");
        }
    }
}

#[tokio::test]
async fn octets_behind_starttls_are_refused() {
    let script = Script { injection: "\r\n250 injected", ..Script::new(Mode::StartTls) };
    let (server, smarthost) = start(script).await;
    let outcome = send(&smarthost, transaction(&["ok@example.com"], b"\r\nx\r\n")).await;
    assert_eq!((kinds(&outcome), outcome.unreachable), (vec![Kind::Deferred], true), "{outcome:?}");
    assert!(server.said("MAIL").is_empty() && server.said("AUTH").is_empty());
}

/// (server's mode, our security, server's certificate): what may happen, and what must not be sent.
#[tokio::test]
async fn mail_and_credentials_go_only_where_they_may() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Arc::new(Certificates::new(folder.path(), "localhost"));
    let others = Arc::new(Certificates::new(folder.path(), "other.example"));
    // (server's mode, whether its certificate is valid, our security, AUTH in plain text allowed,
    // credentials)
    let table = [
        (Mode::StartTls, true, Security::Required, false, true, true),
        (Mode::StartTls, false, Security::Required, false, true, false),
        (Mode::StartTls, false, Security::Required, false, false, false),
        (Mode::Plain, true, Security::Required, true, true, false),
        (Mode::Plain, true, Security::Required, true, false, false),
        (Mode::Implicit, true, Security::Implicit, false, true, true),
        (Mode::Implicit, false, Security::Implicit, false, false, false),
        (Mode::StartTls, true, Security::Opportunistic, false, true, true),
        (Mode::StartTls, false, Security::Opportunistic, true, true, false),
        (Mode::StartTls, false, Security::Opportunistic, false, false, true),
        (Mode::Plain, true, Security::Opportunistic, true, true, false),
        (Mode::Plain, true, Security::Opportunistic, false, false, true),
        (Mode::Plain, true, Security::Off, false, true, false),
        (Mode::Plain, true, Security::Off, true, true, true),
    ];
    for row in table {
        let (mode, good, security, plain_auth, credentials, delivered) = row;
        let certificates = if good { &ours } else { &others };
        let server = Server::start(Script::new(mode), Arc::clone(certificates)).await;
        let mut config = config(server.port, mode, certificates, PATIENT);
        config.security = security;
        config.plain_auth = plain_auth;
        if !credentials {
            config.credentials = None;
        }
        let smarthost = Smarthost::new(config).unwrap();
        let outcome = send(&smarthost, transaction(&["ok@example.com"], b"\r\nx\r\n")).await;
        let expected = if delivered { Kind::Delivered } else { Kind::Deferred };
        assert_eq!(kinds(&outcome), [expected], "{row:?} {outcome:?}");
        assert!(!text(&outcome).contains("geheim"), "{outcome:?}");
        let auth = server.said("AUTH");
        assert_eq!(auth.len(), usize::from(credentials && delivered), "{row:?}");
        assert_eq!(smarthost.probe().await.is_ok(), delivered, "{row:?}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let certificates = certificates();
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let smarthost = Smarthost::new(config(port, Mode::Plain, &certificates, PATIENT)).unwrap();
    let outcome = send(&smarthost, transaction(&["ok@example.com", "b@example.com"], b"\r\nx\r\n")).await;
    assert_eq!((kinds(&outcome), outcome.unreachable), (vec![Kind::Deferred; 2], true));
    assert!(text(&outcome).contains("could not be connected to"), "{outcome:?}");
}
