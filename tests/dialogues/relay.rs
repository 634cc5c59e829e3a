//! Open-relay tests: none of these address forms lets a stranger relay; and for a client that may relay, each
//! is parsed as exactly the address that it is.

use super::fake_intake::{FRIEND, Running, STRANGER};
use super::script::Client;
use sekisho::listener::Limits;

/// The path as sent, and the recipient that a client who may relay gets; `None` for 501.
const FORMS: [(&str, Option<&str>); 62] = [
    ("<u@victim.test>", Some("u@victim.test")),
    (" <u@victim.test>", Some("u@victim.test")),
    ("<u@ours.test>", Some("u@ours.test")),
    ("<U@VICTIM.TEST>", Some("U@VICTIM.TEST")),
    ("<u%victim.test@ours.test>", Some("u%victim.test@ours.test")),
    ("<u%victim.test@relay.test>", Some("u%victim.test@relay.test")),
    ("<u%victim.test@[127.0.0.1]>", Some("u%victim.test@[127.0.0.1]")),
    ("<u%victim.test%other.test@ours.test>", Some("u%victim.test%other.test@ours.test")),
    ("<\"u%victim.test\"@ours.test>", Some("\"u%victim.test\"@ours.test")),
    ("<u%victim.test>", None),
    ("<\"u%victim.test\">", None),
    ("<victim.test!u>", None),
    ("<victim.test!u@ours.test>", Some("victim.test!u@ours.test")),
    ("<victim.test!u@[127.0.0.1]>", Some("victim.test!u@[127.0.0.1]")),
    ("<ours.test!victim.test!u>", None),
    ("<ours.test!victim.test!u@ours.test>", Some("ours.test!victim.test!u@ours.test")),
    ("<\"victim.test!u\"@ours.test>", Some("\"victim.test!u\"@ours.test")),
    ("<victim.test!u%other.test@ours.test>", Some("victim.test!u%other.test@ours.test")),
    ("<@ours.test:u@victim.test>", Some("u@victim.test")),
    ("<@relay.test:u@victim.test>", Some("u@victim.test")),
    ("<@[127.0.0.1]:u@victim.test>", Some("u@victim.test")),
    ("<@ours.test,@relay.test:u@victim.test>", Some("u@victim.test")),
    ("<@ours.test:u%victim.test@ours.test>", Some("u%victim.test@ours.test")),
    ("<@ours.test:\"u@victim.test\"@ours.test>", Some("\"u@victim.test\"@ours.test")),
    ("<@ours.test@u@victim.test>", None),
    ("<@ours.test u@victim.test>", None),
    ("<@ours.test;u@victim.test>", None),
    ("<ours.test:u@victim.test>", None),
    ("<@:u@victim.test>", None),
    ("<\"u@victim.test\"@ours.test>", Some("\"u@victim.test\"@ours.test")),
    ("<\"u@victim.test\"@[127.0.0.1]>", Some("\"u@victim.test\"@[127.0.0.1]")),
    ("<\"u@victim.test\">", None),
    ("<\"u@victim.test\"@>", None),
    ("<\"u\\@victim.test\"@ours.test>", Some("\"u\\@victim.test\"@ours.test")),
    ("<u\\@victim.test@ours.test>", None),
    ("<u@victim.test@ours.test>", None),
    ("<u@victim.test@>", None),
    ("<u@victim.test@[127.0.0.1]>", None),
    ("<u@[127.0.0.1]>", Some("u@[127.0.0.1]")),
    ("<u@[192.0.2.7]>", Some("u@[192.0.2.7]")),
    ("<u@[IPv6:2001:db8::7]>", Some("u@[IPv6:2001:db8::7]")),
    ("<u@[IPv6:::ffff:192.0.2.7]>", Some("u@[IPv6:::ffff:192.0.2.7]")),
    ("<u@[victim.test]>", None),
    ("<u@[192.0.2.7>", None),
    ("<u@192.0.2.7]>", None),
    ("<u@[]>", None),
    ("<u>", None),
    ("<u@>", None),
    ("<@victim.test>", None),
    ("<>", None),
    ("<postmaster>", Some("postmaster@ours.test")),
    ("<u@victim.test.>", None),
    ("<u@.victim.test>", None),
    ("<u@victim..test>", None),
    ("u@victim.test", None),
    ("<u@victim.test", None),
    ("<<u@victim.test>>", None),
    ("<u@victim.test>,<v@victim.test>", None),
    ("<u@victim.test,v@victim.test>", None),
    ("<u @victim.test>", None),
    ("<u@victim.test >", None),
    ("<(x)u@victim.test>", None),
];

#[test]
fn a_stranger_relays_nothing_in_any_form() {
    let running = Running::with(Limits { errors: 1_000, ..Limits::default() });
    for sender in ["<u@ours.test>", "<>", "<postmaster@ours.test>", "<u@[127.0.0.1]>"] {
        let mut client = Client::hello(STRANGER, running.address);
        for (form, _) in FORMS {
            assert!(client.ask(&format!("MAIL FROM:{sender}")).starts_with("250 "));
            let reply = client.ask(&format!("RCPT TO:{form}"));
            assert!(reply.starts_with("550 5.7.1 ") || reply.starts_with("501 5.1.3 "), "{form}: {reply}");
            assert!(client.ask("DATA").starts_with("554 5.5.1 "), "{form}");
            assert!(client.ask("RSET").starts_with("250 "));
        }
    }
    assert!(running.messages().is_empty());
}

#[test]
fn a_friend_gets_what_was_written_and_nothing_else() {
    let running = Running::with(Limits { errors: 1_000, ..Limits::default() });
    let mut client = Client::hello(FRIEND, running.address);
    for (form, expected) in FORMS {
        assert!(client.ask("MAIL FROM:<u@ours.test>").starts_with("250 "));
        let reply = client.ask(&format!("RCPT TO:{form}"));
        let Some(expected) = expected else {
            assert!(reply.starts_with("501 5.1.3 "), "{form}: {reply}");
            assert!(client.ask("RSET").starts_with("250 "));
            continue;
        };
        assert!(reply.starts_with("250 "), "{form}: {reply}");
        assert!(client.ask("DATA").starts_with("354 "));
        assert!(client.ask("\r\nx\r\n.").starts_with("250 "));
        let message = running.messages().pop().unwrap();
        let names: Vec<&str> = message.envelope.recipients.iter().map(|to| to.address.as_str()).collect();
        assert_eq!(names, [expected], "{form}");
    }
}
