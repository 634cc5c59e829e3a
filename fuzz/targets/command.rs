//! The SMTP session as a client drives it: no panic, every reply a line, and the same conversation
//! however the octets are cut into reads.
#![cfg_attr(fuzzing, no_main)]

use bytes::BytesMut;
use sekisho::smtp::sasl::scram::Keys;
use sekisho::smtp::sasl::{Claim, Mechanism, Mechanisms};
use sekisho::smtp::{BareLf, Event, Offer, Options, Session, StartTls};
use std::sync::Arc;

/// Everything said and heard in one session fed in pieces of `size`.
fn converse(input: &[u8], size: usize, secured: bool) -> (Vec<u8>, Vec<u8>, usize) {
    let options = Options {
        hostname: "mx.example".into(),
        max_size: 4096,
        max_discard: 4096,
        max_errors: 20,
        starttls: StartTls::Offered,
        auth: Offer { mechanisms: Mechanisms::of(&Mechanism::ALL), required: false },
    };
    let mut session = Session::new(Arc::new(options), BareLf::Refuse);
    if secured {
        session.secure();
    }
    session.greet();
    let (mut said, mut content, mut messages) = (Vec::new(), Vec::new(), 0);
    // Octets of the message that is under way: of a refused one it depends on the reads how many came.
    let mut pending = Vec::new();
    let mut buffer = BytesMut::new();
    for piece in input.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            let event = session.next(&mut buffer);
            match event {
                Event::Auth(Claim::Lookup { .. }) => {
                    let keys = Keys { salt: vec![7; 16], iterations: 4096, stored: [0; 32], server: [0; 32] };
                    session.keys(keys, "nonce");
                }
                Event::Auth(Claim::Proof { proven: false, .. }) => session.refuse("535 5.7.8", "no"),
                Event::Auth(_) | Event::Mail(_) | Event::Rcpt(_) | Event::Data => session.accept(),
                Event::Content(octets) => pending.extend_from_slice(&octets),
                Event::End(fault) => {
                    let message = std::mem::take(&mut pending);
                    if fault.is_none() {
                        content.extend_from_slice(&message);
                        messages += 1;
                        session.answer("250 2.0.0", "queued as 0");
                    }
                }
                Event::Greeted | Event::Reset => {}
                // What came with it depends on the reads; a driver closes there.
                Event::StartTls => {
                    said.extend_from_slice(session.output());
                    return (said, content, messages);
                }
                Event::Wait | Event::Close => {
                    said.extend_from_slice(session.output());
                    session.written();
                    if matches!(event, Event::Close) {
                        return (said, content, messages);
                    }
                    break;
                }
            }
        }
    }
    (said, content, messages)
}

/// Checks one input.
pub fn check(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else { return };
    let secured = first & 16 != 0;
    let whole = converse(rest, rest.len().max(1), secured);
    assert!(whole.0.is_empty() || whole.0.ends_with(b"\r\n"));
    assert_eq!(
        whole,
        converse(rest, usize::from(first % 16) + 1, secured),
        "the cuts between reads changed the conversation"
    );
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
