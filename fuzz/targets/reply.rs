//! A server's replies, hostile ones too: no panic, no code outside 200 to 599, bounded reading.
#![cfg_attr(fuzzing, no_main)]

use sekisho::smtp::ReplyReader;

/// Checks one input.
pub fn check(input: &[u8]) {
    let mut reader = ReplyReader::new();
    let mut rest = input;
    while !rest.is_empty() {
        let Ok((used, reply)) = reader.read(rest) else { return };
        if let Some(reply) = &reply {
            assert!((200..=599).contains(&reply.code()));
            assert!(reply.lines().iter().all(|line| !line.contains(['\r', '\n'])));
            let _ = reply.enhanced();
        }
        if used == 0 && reply.is_none() {
            return;
        }
        rest = &rest[used..];
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
