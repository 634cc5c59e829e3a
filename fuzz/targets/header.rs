//! The header index: fields tile the block, each field's text decodes without a panic.
#![cfg_attr(fuzzing, no_main)]

use bytes::Bytes;
use sekisho::message::Header;
use sekisho::message::header::decode_text;

/// Checks one input.
pub fn check(input: &[u8]) {
    let Ok(header) = Header::parse(Bytes::copy_from_slice(input)) else { return };
    let mut at = 0;
    for field in header.fields() {
        let name = header.name(field);
        let body = header.body(field);
        assert!(!name.is_empty());
        let start = name.as_ptr() as usize - header.bytes().as_ptr() as usize;
        assert_eq!(start, at, "a gap between fields");
        at = body.as_ptr() as usize + body.len() - header.bytes().as_ptr() as usize;
        at += usize::from(header.bytes()[at..].starts_with(b"\r\n")) * 2;
        let _ = decode_text(body);
    }
    assert_eq!(at, header.bytes().len(), "octets that belong to no field");
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
