//! Policy files: whatever is in one, it loads or is told what is wrong, where.
#![cfg_attr(fuzzing, no_main)]

use sekisho::policy::Policy;
use std::path::PathBuf;

/// Checks one input.
pub fn check(input: &str) {
    let files = [(PathBuf::from("fuzz.toml"), input.to_owned())];
    match Policy::load(&files, &|_| Ok("a@example.jp\n*.example.com\n".to_owned())) {
        Ok(policy) => assert!(policy.rule_names().all(|name| !name.is_empty())),
        Err(mistakes) => assert!(!mistakes.is_empty(), "refused without a word"),
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &str| check(input));
