//! The body scan: no panic, and the same report however the body is cut into chunks.
#![cfg_attr(fuzzing, no_main)]

use bytes::Bytes;
use sekisho::message::{Address, Header};
use sekisho::rewrite::Needles;
use sekisho::rewrite::audit::BodyScan;
use std::sync::{Arc, LazyLock};

static NEEDLES: LazyLock<Arc<Needles>> = LazyLock::new(|| {
    let texts = ["misaki.kobayashi1@example.jp", "makoto.watanabe2@example.or.jp", "b@y.jp"];
    Arc::new(Needles::new(texts.iter().map(|text| Address::parse(text).expect("a sound address")).collect()))
});

/// Checks one input.
pub fn check(input: &[u8]) {
    let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") else { return };
    let Ok(header) = Header::parse(Bytes::copy_from_slice(&input[..end + 2])) else { return };
    let body = &input[end + 2..];
    let scan = |size: usize| {
        let mut scan = BodyScan::new(&header, Arc::clone(&NEEDLES));
        for chunk in body.chunks(size) {
            if scan.feed(chunk).is_err() {
                return None;
            }
        }
        scan.finish().ok()
    };
    let whole = scan(body.len().max(1));
    let pieces = scan(body.len() % 61 + 1);
    assert_eq!(whole, pieces, "the cuts between chunks changed what was found");
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
