//! Which module may import which: `use crate::…` in `src/` against the table below. Every file must begin
//! with a line that says what it is. The compiler enforces the borders between crates; this test enforces the
//! finer ones within them.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::path::{Path, PathBuf};

/// The imports that each module may use. A module that is not listed may import everything (the wiring).
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("connections", &[]),
    ("dns", &[]),
    ("id", &["clock"]),
    ("message", &["clock", "id"]),
    ("smtp", &["clock", "id"]),
    ("policy", &["message", "diagnostic", "clock"]),
    ("rewrite", &["message", "policy", "clock", "id"]),
    ("records", &["clock", "id", "journal", "message", "policy", "rewrite"]),
    ("lifecycle", &["records", "clock", "id", "journal", "message", "policy", "rewrite"]),
    ("store", &["records", "lifecycle", "clock", "id", "journal", "message", "policy", "rewrite", "token"]),
    ("token", &[]),
    ("upstream", &["clock", "dkim", "dns", "message", "smtp", "id", "tls"]),
    ("tls", &["clock", "connections"]),
    ("accounts", &["smtp", "message", "clock"]),
    ("spf", &["dns"]),
    ("listener", &["accounts", "spf", "smtp", "message", "intake", "clock", "id", "store", "tls"]),
    ("dkim", &["message"]),
    ("marks", &["message", "id"]),
    (
        "courier",
        &[
            "store", "rewrite", "upstream", "notice", "intake", "clock", "id", "message", "journal", "dkim",
            "marks",
        ],
    ),
    (
        "desk",
        &[
            "store",
            "rewrite",
            "journal",
            "notice",
            "intake",
            "examine",
            "clock",
            "id",
            "message",
            "policy",
            "courier",
            "dkim",
            "token",
            "lifecycle",
        ],
    ),
    ("control", &["desk", "store", "clock", "id", "journal", "message", "people", "policy"]),
    (
        "people",
        &[
            "accounts", "smtp", "store", "clock", "id", "token", "message", "desk", "policy", "intake",
            "notice",
        ],
    ),
    (
        "web",
        &[
            "connections",
            "desk",
            "store",
            "intake",
            "clock",
            "app",
            "id",
            "message",
            "policy",
            "journal",
            "rewrite",
            "examine",
            "people",
            "token",
            "accounts",
        ],
    ),
];

/// Crates and modules that the pure modules must not use, because they wait or store.
const PURE: [&str; 8] = ["message", "smtp", "policy", "rewrite", "dkim", "marks", "records", "lifecycle"];
const NOT_PURE: [&str; 4] = ["tokio", "rusqlite", "SystemTime", "Instant::now"];

fn sources() -> Vec<(PathBuf, String)> {
    let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}

/// The first folder (or file) below `src/`.
fn layer(path: &Path) -> String {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// The production part of a file. Empty for test files, which may import anything.
fn production<'a>(path: &Path, text: &'a str) -> &'a str {
    let name = path.file_stem().unwrap().to_string_lossy();
    let in_tests = path.components().any(|part| part.as_os_str() == "tests");
    if in_tests || name == "tests" || name.ends_with("_tests") {
        return "";
    }
    let before_tests = text.split("#[cfg(test)]\nmod ").next().unwrap();
    if before_tests.contains("#[test]") { "" } else { before_tests }
}

#[test]
fn layers_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let own = layer(&path);
        let Some((_, may)) = MAY_USE.iter().find(|(name, _)| *name == own) else { continue };
        for line in production(&path, &text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for used in line.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if name != own && !name.is_empty() && !may.contains(&name.as_str()) {
                    wrong.push(format!("{}: {own} may not use {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_reach_neither_sockets_nor_upstreams() {
    for (path, text) in sources().into_iter().filter(|(path, _)| layer(path) == "cli") {
        for forbidden in ["crate::listener", "crate::upstream", "crate::courier"] {
            assert!(!production(&path, &text).contains(forbidden), "{} uses {forbidden}", path.display());
        }
    }
}

#[test]
fn pure_layers_neither_wait_nor_store_nor_read_the_clock() {
    for (path, text) in sources().into_iter().filter(|(path, _)| PURE.contains(&layer(path).as_str())) {
        for line in production(&path, &text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for forbidden in NOT_PURE {
                assert!(!line.contains(forbidden), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_file_opens_with_what_it_is() {
    for (path, text) in sources().into_iter().filter(|(path, text)| !production(path, text).is_empty()) {
        assert!(text.starts_with("//! "), "{} does not say what it is", path.display());
    }
}

/// The crates' roots among the files of `src/`, each with the crates it may depend on.
const CRATES: [(&str, &[&str]); 6] = [
    ("mail", &["unify"]),
    ("rules", &["mail"]),
    ("storage", &["rules"]),
    ("net", &["mail"]),
    ("relay", &["net", "rules", "storage"]),
    ("pages", &["relay"]),
];

#[test]
fn crates_depend_only_on_what_lies_below_them() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (name, below) in CRATES {
        let manifest = std::fs::read_to_string(top.join("crates").join(name).join("Cargo.toml")).unwrap();
        let ours = manifest.lines().filter_map(|line| line.strip_prefix("sekisho-")?.split('.').next());
        for used in ours {
            assert!(below.contains(&used), "crates/{name} may not depend on {used}");
        }
        let root = std::fs::read_to_string(top.join(format!("src/{name}.rs"))).unwrap();
        let exported =
            root.lines().filter_map(|line| line.strip_prefix("pub use sekisho_")?.split("::").next());
        assert!(exported.into_iter().all(|used| below.contains(&used)), "src/{name}.rs");
    }
}
