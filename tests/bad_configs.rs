//! Broken configurations, each with its expected error: `tests/bad_configs/*.toml`. The first line is `#
//! error: TEXT`, and TEXT must be part of the message.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use sekisho::config::Config;
use std::path::Path;

#[test]
fn each_says_what_is_wrong_and_where() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_configs");
    let (mut seen, mut different) = (0, Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let wanted = text.lines().next().unwrap().strip_prefix("# error: ").expect("the error stands first");
        let said = Config::parse(Path::new("sekisho.toml"), &text)
            .expect_err(&path.display().to_string())
            .to_string();
        if !said.contains(wanted) {
            different.push(format!("{}: wanted `{wanted}`, said `{said}`", path.display()));
        }
        seen += 1;
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(seen >= 20, "only {seen} broken configurations were found");
}
