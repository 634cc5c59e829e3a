//! Tests of whole server sessions: tables of commands and replies, and input split at any point. AUTH is
//! tested in `auth_tests`.

use super::*;
use bytes::BytesMut;
use proptest::prelude::*;
use std::sync::Arc;

fn options() -> Arc<Options> {
    offering(StartTls::Off)
}

fn offering(starttls: StartTls) -> Arc<Options> {
    Arc::new(Options {
        hostname: "mx.test".into(),
        max_size: 1_000,
        max_discard: 1_000,
        max_errors: 20,
        starttls,
        auth: Offer::default(),
    })
}

/// What a driver sees that accepts everything except recipients at `no.test`.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    replies: String,
    messages: Vec<(Vec<u8>, Option<Fault>)>,
    closed: bool,
}

fn converse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    drive(options(), pieces)
}

fn drive<'a>(options: Arc<Options>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Seen {
    let mut session = Session::new(options, BareLf::Refuse);
    let mut input = BytesMut::new();
    let mut pieces = pieces.into_iter();
    let mut content = Vec::new();
    let mut messages = Vec::new();
    let mut closed = false;
    loop {
        match session.next(&mut input) {
            Event::Wait => match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => break,
            },
            Event::Greeted | Event::Reset => content.clear(),
            Event::StartTls => {
                session.accept();
                session.secure();
            }
            Event::Rcpt(rcpt) if rcpt.recipient.as_ref().is_some_and(|to| to.ends_with("@no.test")) => {
                session.refuse("550 5.7.1", "no");
            }
            Event::Auth(_) | Event::Mail(_) | Event::Rcpt(_) | Event::Data => session.accept(),
            Event::Content(octets) => content.extend_from_slice(&octets),
            Event::End(fault) => {
                messages.push((std::mem::take(&mut content), fault));
                match fault.map(Fault::reply) {
                    Some((code, text)) => session.answer(code, text),
                    None => session.answer("250 2.0.0", "queued"),
                }
            }
            Event::Close => {
                closed = true;
                break;
            }
        }
    }
    Seen { replies: String::from_utf8(session.output().to_vec()).unwrap(), messages, closed }
}

/// The code and enhanced code of each reply.
fn codes(seen: &Seen) -> Vec<String> {
    let code = |line: &str| {
        let enhanced = line.get(4..9).filter(|code| code.starts_with(['2', '4', '5']) && code.contains('.'));
        enhanced.map_or_else(|| line[..3].to_owned(), |enhanced| format!("{} {enhanced}", &line[..3]))
    };
    seen.replies.lines().filter(|line| line.as_bytes()[3] == b' ').map(code).collect()
}

#[test]
fn commands_get_their_answers() {
    const E: &str = "EHLO c";
    const M: &str = "MAIL FROM:<a@b.test>";
    const R: &str = "RCPT TO:<c@d.test>";
    let long = format!("NOOP {}", "x".repeat(2_044));
    let fits = format!("NOOP {}", "x".repeat(2_041));
    let cases: &[(&[&str], &[&str])] = &[
        // the name in EHLO has no effect, so none is refused
        (&["EHLO", M], &["250", "250 2.1.0"]),
        (&["EHLO a b", M], &["250", "250 2.1.0"]),
        (&["HELO my_pc", M], &["250", "250 2.1.0"]),
        (&["HELO c"], &["250"]),
        (&["ehlo [192.0.2.1]"], &["250"]),
        (&["NOOP", "noop x y"], &["250 2.0.0", "250 2.0.0"]),
        (&["HELP", "HELP MAIL"], &["214 2.0.0", "214 2.0.0"]),
        (&["VRFY a", "VRFY"], &["252 2.5.0", "501 5.5.4"]),
        (&["QUIT now", "QUIT", "NOOP"], &["501 5.5.4", "221 2.0.0"]),
        (&["RSET", "RSET x"], &["250 2.0.0", "501 5.5.4"]),
        (&["STARTTLS", "AUTH PLAIN", "BDAT 5 LAST", "EXPN x"], &["502 5.5.1"; 4]),
        (&["", "XYZ", "MAILFROM:<a@b>", " NOOP", "\u{e9}"], &["500 5.5.1"; 5]),
        (&["GET / HTTP/1.1", "NOOP"], &["554 5.5.1"]),
        (&[&long, "NOOP"], &["500 5.5.2", "250 2.0.0"]),
        (&[&fits], &["250 2.0.0"]),
        (&[M, R, "DATA"], &["503 5.5.1"; 3]),
        (&[E, R, "DATA"], &["250", "503 5.5.1", "503 5.5.1"]),
        (&[E, M, M], &["250", "250 2.1.0", "503 5.5.1"]),
        (&[E, M, "DATA"], &["250", "250 2.1.0", "503 5.5.1"]),
        (&[E, M, R, R, "DATA now"], &["250", "250 2.1.0", "250 2.1.5", "250 2.1.5", "501 5.5.4"]),
        (&[E, M, "RCPT TO:<x@no.test>", "DATA"], &["250", "250 2.1.0", "550 5.7.1", "554 5.5.1"]),
        (&[E, M, "RCPT TO:<x>", "DATA"], &["250", "250 2.1.0", "501 5.1.3", "554 5.5.1"]),
        (
            &[E, M, R, "RSET", "DATA", M],
            &["250", "250 2.1.0", "250 2.1.5", "250 2.0.0", "503 5.5.1", "250 2.1.0"],
        ),
        (&[E, M, E, R], &["250", "250 2.1.0", "250", "503 5.5.1"]),
        (&[E, "MAIL FROM: <a@b.test>"], &["250", "250 2.1.0"]),
        (&[E, "mail from:<>", "rcpt to: <Postmaster>"], &["250", "250 2.1.0", "250 2.1.5"]),
        (
            &[E, "MAIL", "MAIL FROM", "MAIL TO:<a@b>", "MAIL FROM :<a@b>"],
            &["250", "501 5.5.2", "501 5.5.2", "501 5.5.2", "501 5.5.2"],
        ),
        (
            &[E, "MAIL FROM:", "MAIL FROM:a@b", "MAIL FROM:<postmaster>"],
            &["250", "501 5.1.7", "501 5.1.7", "501 5.1.7"],
        ),
        (
            &[E, M, "RCPT", "RCPT TO:<>", "RCPT TO:c@d"],
            &["250", "250 2.1.0", "501 5.5.2", "501 5.1.3", "501 5.1.3"],
        ),
        (&[E, "MAIL FROM:<a@b.test> SIZE=1001"], &["250", "552 5.3.4"]),
        (&[E, "MAIL FROM:<a@b.test> SIZE=1000 BODY=8BITMIME"], &["250", "250 2.1.0"]),
        (&[E, "MAIL FROM:<a@b.test> X=1"], &["250", "555 5.5.4"]),
        (&[E, "MAIL FROM:<a@b.test> SIZE=1 SIZE=1"], &["250", "501 5.5.4"]),
        (&[E, "MAIL FROM:<\u{e9}@b.test>"], &["250", "553 5.6.7"]),
        (
            &[E, "MAIL FROM:<\u{e9}@b.test> SMTPUTF8", "RCPT TO:<\u{e9}@d.test>"],
            &["250", "250 2.1.0", "250 2.1.5"],
        ),
        (&[E, M, "RCPT TO:<\u{e9}@d.test>"], &["250", "250 2.1.0", "553 5.6.7"]),
        (
            &[E, M, "RCPT TO:<c@d.test> NOTIFY=NEVER ORCPT=rfc822;c@d.test"],
            &["250", "250 2.1.0", "250 2.1.5"],
        ),
        (&[E, M, "RCPT TO:<c@d.test> NOTIFY=NEVER,DELAY"], &["250", "250 2.1.0", "501 5.5.4"]),
    ];
    for (lines, expected) in cases {
        let sent = lines.iter().fold(String::new(), |all, line| all + line + "\r\n");
        assert_eq!(&codes(&converse([sent.as_bytes()])), expected, "{lines:?}");
    }
}

#[test]
fn any_name_is_taken_and_kept_printable() {
    let long = [b"EHLO ".as_slice(), &[b'a'; 300]].concat();
    for (line, kept) in [
        (b"EHLO \x8c\x6f\x97\x9d-PC".as_slice(), "?o??-PC"),
        (b"HELO \xc4\xec\xe8\xf2\xf0\xe8\xe9-\xcf\xca", "???????-??"),
        ("EHLO \u{7d4c}\u{7406}-PC".as_bytes(), "??-PC"),
        (b"EHLO", "unknown"),
        (b"HELO  ", "unknown"),
        (b"EHLO my_host.local", "my_host.local"),
        (b"EHLO a\tb\x01c d", "a?b?c?d"),
        (b"EHLO [192.0.2.1", "[192.0.2.1"),
        (&long, &"a".repeat(255)),
    ] {
        let mut session = Session::new(options(), BareLf::Refuse);
        let mut input = BytesMut::from([line, b"\r\n"].concat().as_slice());
        assert!(matches!(session.next(&mut input), Event::Greeted), "{line:?}");
        assert_eq!(session.helo(), kept);
    }
}

#[test]
fn ehlo_says_what_is_offered() {
    let seen = converse([b"EHLO c\r\n".as_slice()]);
    let expected = "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n\
                    250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n";
    assert_eq!(seen.replies, expected);
}

#[test]
fn odd_line_ends_and_octets_are_refused_and_the_next_line_is_read() {
    for (sent, expected) in [
        (b"NOOP\nNOOP\r\nHELP\r\n".as_slice(), vec!["500 5.5.2", "214 2.0.0"]),
        (b"NOOP\rNOOP\r\nHELP\r\n", vec!["500 5.5.2", "214 2.0.0"]),
        (b"NO\0OP\r\nHELP\r\n", vec!["500 5.5.2", "214 2.0.0"]),
        (b"NOOP \xff\r\nHELP\r\n", vec!["500 5.5.2", "214 2.0.0"]),
        (b"\n\n\n\r\nHELP\r\n", vec!["500 5.5.2", "214 2.0.0"]),
    ] {
        assert_eq!(codes(&converse([sent])), expected, "{sent:?}");
    }
}

#[test]
fn too_many_errors_end_the_session() {
    let seen = converse([b"X\r\n".repeat(50).as_slice()]);
    let codes = codes(&seen);
    assert_eq!((codes.len(), codes.last().map(String::as_str), seen.closed), (21, Some("421 4.7.0"), true));
}

const OPEN: &str = "EHLO c\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\n";

#[test]
fn messages_in_one_connection_stay_apart() {
    let second = &OPEN["EHLO c\r\n".len()..];
    let sent = format!("{OPEN}one\r\n..two\r\n.\r\n{second}three\r\n.\r\nQUIT\r\n");
    let seen = converse([sent.as_bytes()]);
    assert_eq!(seen.messages, [(b"one\r\n.two\r\n".to_vec(), None), (b"three\r\n".to_vec(), None)]);
    assert!(seen.closed);
}

#[test]
fn too_much_content_is_552_and_then_the_session_goes_on_or_ends() {
    let sent = format!("{OPEN}{}.\r\nNOOP\r\n", "x".repeat(98).add_crlf().repeat(15));
    let seen = converse(sent.as_bytes().chunks(50));
    assert_eq!(codes(&seen)[4..], ["552 5.3.4", "250 2.0.0"]);
    let sent = format!("{OPEN}{}.\r\nNOOP\r\n", "x".repeat(98).add_crlf().repeat(50));
    let seen = converse(sent.as_bytes().chunks(50));
    assert_eq!((codes(&seen)[4..].to_vec(), seen.closed), (vec!["552 5.3.4".to_owned()], true));
}

trait AddCrlf {
    fn add_crlf(self) -> String;
}
impl AddCrlf for String {
    fn add_crlf(self) -> String {
        self + "\r\n"
    }
}

#[test]
fn smuggled_commands_are_never_carried_out_at_any_cut() {
    let ends: [&[u8]; 5] = [b"\r\n", b"\n", b"\r", b"\r\r\n", b"\0\r\n"];
    for before in ends {
        for after in ends {
            let inner = b"MAIL FROM:<evil@b.test>\r\nRCPT TO:<c@d.test>\r\nDATA\r\nevil\r\n.\r\n";
            let sent = [OPEN.as_bytes(), b"good", before, b".", after, inner].concat();
            for cut in OPEN.len()..sent.len() {
                let seen = converse([&sent[..cut], &sent[cut..]]);
                let stored = seen.messages.iter().filter(|(_, fault)| fault.is_none()).count();
                // After a real CRLF.CRLF, every server reads what follows as a second message.
                let two = before == b"\r\n" && after == b"\r\n";
                let expected = if two { 2 } else { 0 };
                assert!(two || codes(&seen)[4..] == ["550 5.5.2", "421 4.7.0"], "{}", seen.replies);
                assert_eq!(stored, expected, "{before:?} {after:?} cut at {cut}");
            }
        }
    }
}

/// Sessions made of commands, content and odd octets in any order.
fn script() -> impl Strategy<Value = Vec<u8>> {
    let fragment = prop_oneof![
        4 => Just(OPEN.as_bytes().to_vec()),
        2 => Just(b".\r\n".to_vec()),
        2 => Just(b"\r\n.\r\n".to_vec()),
        1 => prop_oneof![
            Just(b"\n.\r\n".to_vec()), Just(b"\r.\r\n".to_vec()), Just(b"\r\r\n".to_vec()), Just(b"\0".to_vec()),
            Just(b"\n".to_vec()), Just(b"\r".to_vec()), Just(b"..".to_vec()), Just(b"RSET\r\n".to_vec()),
            Just(b"QUIT\r\n".to_vec()), Just(b"RCPT TO:<x@no.test>\r\n".to_vec()), Just(b"DATA\r\n".to_vec()),
            Just(vec![b'x'; 2_100]), Just(b"NOOP\r\n".to_vec()), Just(b"MAIL FROM:<> SIZE=9\r\n".to_vec()),
        ],
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => "[a-z. ]{0,20}\r\n".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(fragment, 0..10).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn output_does_not_depend_on_tcp_splits(
        sent in script(),
        cuts in proptest::collection::vec(1usize..40, 1..30),
    ) {
        let mut pieces = Vec::new();
        let mut rest = &sent[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        let mut split = converse(pieces);
        let mut whole = converse([sent.as_slice()]);
        // How much content precedes the fault depends on the split; it is never stored.
        for seen in [&mut split, &mut whole] {
            for (content, fault) in &mut seen.messages {
                if fault.is_some() { content.clear(); }
            }
        }
        prop_assert_eq!(split, whole);
    }
}

/// For each STARTTLS setting: lines sent one by one, and the codes of their replies.
#[test]
fn starttls_comes_first_where_it_is_required_and_forgets_what_was_before() {
    const M: &str = "MAIL FROM:<a@b.test>";
    let cases: &[(StartTls, &[&str], &[&str])] = &[
        (StartTls::Off, &["EHLO c", "STARTTLS"], &["250", "502 5.5.1"]),
        (StartTls::Offered, &["EHLO c", "STARTTLS now", M], &["250", "501 5.5.4", "250 2.1.0"]),
        (StartTls::Offered, &["STARTTLS", "STARTTLS"], &["220 2.0.0", "503 5.5.1"]),
        (StartTls::Offered, &["EHLO c", "STARTTLS", M], &["250", "220 2.0.0", "503 5.5.1"]),
        (
            StartTls::Offered,
            &["EHLO c", M, "STARTTLS", "EHLO c", "RCPT TO:<c@d.test>"],
            &["250", "250 2.1.0", "220 2.0.0", "250", "503 5.5.1"],
        ),
        (StartTls::Required, &["EHLO c", M, "NOOP"], &["250", "530 5.7.0", "250 2.0.0"]),
        (StartTls::Required, &["EHLO c", "STARTTLS", "EHLO c", M], &["250", "220 2.0.0", "250", "250 2.1.0"]),
    ];
    for (starttls, lines, expected) in cases {
        let lines: Vec<Vec<u8>> = lines.iter().map(|line| format!("{line}\r\n").into_bytes()).collect();
        let seen = drive(offering(*starttls), lines.iter().map(Vec::as_slice));
        assert_eq!(codes(&seen), *expected, "{starttls:?} {}", seen.replies);
    }
}

#[test]
fn starttls_is_advertised_until_it_is_used() {
    for (starttls, times) in [(StartTls::Off, 0), (StartTls::Offered, 1), (StartTls::Required, 1)] {
        let lines: [&[u8]; 3] = [b"EHLO c\r\n", b"STARTTLS\r\n", b"EHLO c\r\n"];
        let seen = drive(offering(starttls), lines);
        assert_eq!(seen.replies.matches("250-STARTTLS\r\n").count(), times, "{}", seen.replies);
    }
}

#[test]
fn addresses_in_trace_fields_are_literals() {
    for (peer, wanted) in [
        ("192.0.2.1:4711", "pc ([192.0.2.1])"),
        ("[2001:db8::1]:4711", "pc ([IPv6:2001:db8::1])"),
        ("somewhere", "pc ([somewhere])"),
    ] {
        assert_eq!(trace_client("pc", peer), wanted);
    }
}
