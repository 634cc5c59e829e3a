//! Addresses and lists of them: what parses is kept as written, its key is a fixed point, and a list
//! that our own reading understands is cross-checked without a panic.
#![cfg_attr(fuzzing, no_main)]

use sekisho::message::Address;
use sekisho::message::address::{cross_check, parse_list};

/// Checks one input.
pub fn check(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(address) = Address::parse(text)
    {
        assert_eq!(address.as_str(), text);
        assert_eq!(Address::parse(address.as_str()).expect("it parsed before"), address);
        assert!(!address.as_str().contains(['\r', '\n', '\0', '<', '>']) || address.local().starts_with('"'));
    }
    let list = parse_list(input);
    let _ = cross_check(input, &list);
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| check(input));
