//! Limits the length of files and functions. Exceptions are listed with their reason, and must be removed
//! from the list once they are short enough.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use std::path::{Path, PathBuf};

const FILE: usize = 500;
const FUNCTION: usize = 80;

/// Longer files, with the reason.
const LONG_FILES: &[(&str, &str)] = &[];

/// Longer functions, with the reason.
const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    ("src/policy/learned/tests.rs", "what_a_mail_teaches", "a table of cases"),
    ("src/policy/rules/tests.rs", "built_in_holds_bite_where_disclosure_is_asked", "a table of cases"),
    ("src/policy/rules/tests.rs", "mistakes_are_told_at_their_place", "a table of cases"),
    ("src/store/sqlite/upgrade_tests.rs", "fill", "one INSERT for each table of the first schema"),
];

fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "py") {
                found.push(path);
            }
        }
    }
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        walk(&top.join(folder), &mut found);
    }
    found.sort();
    found.iter().map(|path| path.strip_prefix(top).unwrap().to_owned()).collect()
}

/// The functions of a file formatted by rustfmt: name and number of lines, from `fn` to the closing brace.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let Some((before, rest)) = bare.split_once("fn ") else { continue };
        let heads = before.split_whitespace().all(|word| {
            matches!(word, "pub" | "async" | "const" | "unsafe" | "extern")
                || word.starts_with("pub(")
                || matches!(word, "super)" | "crate)" | "self)")
        });
        if !heads {
            continue;
        }
        let name = rest.split(['(', '<']).next().unwrap_or_default().to_owned();
        if line.ends_with(['}', ';']) {
            continue; // on one line, or of a trait without a body
        }
        let closing = format!("{indent}}}");
        if let Some(length) = lines[at..].iter().position(|line| *line == closing) {
            found.push((name, length + 1));
        }
    }
    found
}

#[test]
fn no_file_grows_past_what_is_read_as_a_whole() {
    let mut wrong = Vec::new();
    for path in sources() {
        let name = path.display().to_string();
        let lines = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path))
            .unwrap()
            .lines()
            .count();
        let listed = LONG_FILES.iter().any(|(file, _)| *file == name);
        match (lines > FILE, listed) {
            (true, false) => wrong.push(format!("{name} has {lines} lines: more than {FILE}")),
            (false, true) => wrong.push(format!("{name} has {lines} lines now: take it from the list")),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_function_grows_past_what_is_read_as_a_whole() {
    let mut wrong = Vec::new();
    for path in sources().into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "rs")) {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&path)).unwrap();
        let long: Vec<_> = functions(&text).into_iter().filter(|(_, length)| *length > FUNCTION).collect();
        for (function, length) in &long {
            if !LONG_FUNCTIONS.iter().any(|(file, listed, _)| *file == name && listed == function) {
                wrong.push(format!("{name}: {function} has {length} lines: more than {FUNCTION}"));
            }
        }
        for (_, listed, _) in LONG_FUNCTIONS.iter().filter(|(file, ..)| *file == name) {
            if !long.iter().any(|(function, _)| function == listed) {
                wrong.push(format!("{name}: {listed} is short now: take it from the list"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn functions_are_found_with_their_lengths() {
    let text = "impl A {\n    pub(super) async fn long<'a>(\n        a: &'a str,\n    ) -> u8 {\n        if a {\n        }\n    }\n}\n\nfn short() {\n}\n";
    assert_eq!(functions(text), [("long".to_owned(), 6), ("short".to_owned(), 2)]);
}
