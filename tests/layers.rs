//! Which room may import which: `crate::…` in `src/` against the table below. Every file must begin with a line
//! that says what it is. The compiler enforces the borders between crates; this test enforces the finer ones
//! within them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What every room above them may use, and why.
const COMMON: &[(&str, &str)] = &[
    ("clock", "time is a parameter everywhere"),
    ("id", "messages are named by it"),
    ("message", "addresses, envelopes and headers are what all of this is about"),
];

/// A room, and beside [`COMMON`] what it may use of ours, each with the reason. Every room is listed; a room may
/// use only those above it in the list, so that there are no circles.
type Room = (&'static str, &'static [(&'static str, &'static str)]);

#[rustfmt::skip] // a line for each permission
const ROOMS: &[Room] = &[
    ("clock", &[]),
    ("connections", &[]),
    ("diagnostic", &[]),
    ("dns", &[]),
    ("token", &[]),
    ("id", &[]),
    ("message", &[]),
    ("smtp", &[]),
    ("dkim", &[]),
    ("marks", &[]),
    ("journal", &[]),
    ("policy", &[
        ("diagnostic", "mistakes in policy files are shown at their place"),
    ]),
    ("rewrite", &[
        ("policy", "the verdict and the facts say what a copy hides"),
    ]),
    ("examine", &[
        ("policy", "the rules judge what was read"),
        ("rewrite", "the verdict is carried out up to the audited copies"),
    ]),
    ("cases", &[
        ("diagnostic", "mistakes in files of cases are shown at their place"),
        ("examine", "a case is examined as a message is"),
        ("policy", "a case names the verdict it expects"),
        ("rewrite", "a case names the copies it expects"),
    ]),
    ("records", &[
        ("journal", "an event belongs to what it is about"),
        ("policy", "verdict, risks and disclosures are kept with the message"),
        ("rewrite", "a copy is kept as it was planned"),
    ]),
    ("lifecycle", &[
        ("journal", "what happens is entered"),
        ("policy", "a release names how recipients see each other"),
        ("records", "the states that it decides on"),
        ("rewrite", "copies are told apart by their recipients"),
    ]),
    ("store", &[
        ("journal", "events are kept in a chain"),
        ("lifecycle", "what becomes of a row is decided there"),
        ("policy", "verdicts, disclosures and what was learned are kept"),
        ("records", "what is kept"),
        ("rewrite", "copies are kept"),
        ("token", "secrets are kept as hashes"),
    ]),
    ("tls", &[
        ("connections", "the listener of ACME is bounded like every other"),
    ]),
    ("spf", &[
        ("dns", "records are looked up"),
    ]),
    ("accounts", &[
        ("smtp", "AUTH: claims, SASL and its answers"),
    ]),
    ("upstream", &[
        ("dkim", "a body that is re-encoded is hashed again"),
        ("dns", "exchangers, their addresses and TLSA records"),
        ("smtp", "replies and parameters of the protocol"),
        ("tls", "our certificate towards upstreams"),
        ("token", "a refresh token is told apart by its hash"),
    ]),
    ("intake", &[
        ("examine", "content is read and judged"),
        ("journal", "an accepted message is entered"),
        ("lifecycle", "the quiet after which people are told"),
        ("marks", "mail of ours that comes back is refused"),
        ("policy", "verdict, knowledge, budgets and risks"),
        ("rewrite", "copies as they are planned"),
        ("smtp", "how a client is named in Received"),
        ("store", "a message is committed there"),
    ]),
    ("listener", &[
        ("accounts", "who a client is, and whose addresses it may use"),
        ("intake", "content goes there"),
        ("smtp", "the protocol, without I/O"),
        ("spf", "whether a host may send for a domain"),
        ("store", "the origin of a message"),
        ("tls", "certificates of ours and of clients"),
    ]),
    ("courier", &[
        ("dkim", "copies are signed"),
        ("intake", "new deliveries come from there directly: it implements Dispatch"),
        ("marks", "copies are marked, so that a loop is known"),
        ("rewrite", "copies are rendered and searched once more"),
        ("store", "deliveries are claimed and recorded"),
        ("upstream", "copies are sent through it"),
    ]),
    ("notice", &[
        ("intake", "our own mail comes in like any other"),
        ("journal", "what happened is told"),
        ("policy", "verdicts and risks in words"),
        ("rewrite", "places where something was found"),
        ("store", "what is due, and about what"),
    ]),
    ("hook", &[
        ("notice", "chats are told in the words of notices"),
        ("policy", "the language of a hook"),
        ("store", "calls that are due"),
        ("upstream", "the schedule of tries"),
    ]),
    ("desk", &[
        ("courier", "copies are shown with the seals they would leave with"),
        ("dkim", "a body is hashed for a copy that is shown"),
        ("examine", "a held message is examined anew before it leaves"),
        ("intake", "expensive work apart; how recipients stand; waking the courier"),
        ("journal", "decisions are entered, and what happened is shown"),
        ("lifecycle", "how long something can be undone; what a queued copy may do"),
        ("notice", "who is asked, and when"),
        ("policy", "verdicts, risks, budgets and approvers"),
        ("rewrite", "copies as they would leave"),
        ("store", "decisions are committed there"),
        ("token", "links are secrets"),
    ]),
    ("people", &[
        ("accounts", "passwords, and guesses at them"),
        ("desk", "whoever signs in is a principal of the desk"),
        ("intake", "codes are mailed"),
        ("notice", "codes are mailed in the form of notices"),
        ("policy", "languages"),
        ("smtp", "passwords are prepared as SASL does"),
        ("store", "sessions and tokens are kept"),
        ("token", "sessions, codes and API tokens are secrets"),
    ]),
    ("web", &[
        ("accounts", "roles of users in the file"),
        ("connections", "how many clients at once"),
        ("desk", "every page shows or decides something there"),
        ("intake", "answers to clients are counted"),
        ("journal", "what happened is shown"),
        ("people", "who somebody is"),
        ("policy", "verdicts, risks and languages in words"),
        ("rewrite", "copies and hits are shown"),
        ("store", "rows are shown"),
        ("token", "cookies and links are secrets"),
    ]),
    ("config", &[
        ("accounts", "how accounts are configured"),
        ("diagnostic", "mistakes are shown at their place"),
        ("dns", "how names are looked up"),
        ("hook", "which programs are told"),
        ("listener", "what listeners are configured with"),
        ("notice", "who is asked, and when"),
        ("people", "how people sign in"),
        ("policy", "organisations, approvers and budgets"),
        ("rewrite", "how copies are made"),
        ("store", "how long things are kept"),
        ("tls", "certificates"),
        ("upstream", "where mail is sent"),
    ]),
    ("control", &[
        ("desk", "a command asks the running desk"),
        ("journal", "what happened is shown"),
        ("people", "tokens and users are made"),
        ("policy", "what is known is asked for"),
        ("store", "rows are shown"),
    ]),
    ("app", &[
        ("accounts", "wired"),
        ("config", "all is built from it"),
        ("connections", "wired"),
        ("control", "wired"),
        ("courier", "wired"),
        ("desk", "wired"),
        ("diagnostic", "mistakes in policies end the start"),
        ("dkim", "keys are read"),
        ("dns", "wired"),
        ("examine", "wired"),
        ("hook", "wired"),
        ("intake", "wired"),
        ("listener", "wired"),
        ("marks", "keys are read"),
        ("notice", "wired"),
        ("people", "wired"),
        ("policy", "policies and budgets are read"),
        ("rewrite", "how copies are made"),
        ("smtp", "options of sessions and replies"),
        ("spf", "wired"),
        ("store", "wired"),
        ("tls", "wired"),
        ("token", "what is shared is named by hashes"),
        ("upstream", "wired"),
        ("web", "wired"),
    ]),
    ("cli", &[
        ("accounts", "users are edited in their file"),
        ("app", "a relay is started, or its place is taken"),
        ("cases", "cases are run"),
        ("config", "commands read it"),
        ("control", "a running relay is asked"),
        ("desk", "answers of the desk are printed"),
        ("diagnostic", "mistakes are printed"),
        ("dkim", "keys are made"),
        ("examine", "messages are explained and replayed"),
        ("intake", "answers to clients are printed by `try`"),
        ("journal", "what happened is printed"),
        ("people", "tokens are made"),
        ("policy", "policies are tried, archives learned from"),
        ("rewrite", "copies are printed"),
        ("smtp", "passwords are prepared as SASL does"),
        ("store", "rows are printed"),
        ("tls", "certificates are made"),
    ]),
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
    // Modules of tests in files of their own are only named here; what follows them is production.
    let inline = text
        .match_indices("#[cfg(test)]\nmod ")
        .find(|(at, mark)| text[at + mark.len()..].lines().next().is_some_and(|line| line.ends_with('{')));
    let before_tests = inline.map_or(text, |(at, _)| &text[..at]);
    if before_tests.contains("#[test]") { "" } else { before_tests }
}

/// The files at the top of `src/` that only say which rooms a crate has.
const ROOTS: [&str; 8] = ["lib", "main", "mail", "rules", "storage", "net", "relay", "pages"];

/// Which rooms each room uses, with a file that does.
fn arrows() -> BTreeSet<(String, String, PathBuf)> {
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let own = layer(&path);
        for line in production(&path, &text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            assert!(!line.contains("crate::{"), "{}: one `use` for each room", path.display());
            for used in line.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if name != own && !name.is_empty() {
                    found.insert((own.clone(), name, path.clone()));
                }
            }
        }
    }
    found
}

#[test]
fn rooms_use_only_what_they_have_a_reason_for() {
    let arrows = arrows();
    let mut wrong = Vec::new();
    for (own, used, path) in arrows.iter().filter(|(own, ..)| !ROOTS.contains(&own.as_str())) {
        match ROOMS.iter().find(|(name, _)| name == own) {
            None => wrong.push(format!("{}: {own} is not listed", path.display())),
            Some((_, may)) => {
                let mut allowed = may.iter().chain(COMMON).map(|(name, _)| *name);
                if !allowed.any(|name| name == used) {
                    wrong.push(format!("{}: {own} has no reason to use {used}", path.display()));
                }
            }
        }
    }
    for (own, may) in ROOMS {
        for (used, reason) in *may {
            assert!(!reason.is_empty());
            if !arrows.iter().any(|(from, to, _)| from == own && to == used) {
                wrong.push(format!("{own} does not use {used} any more: take it from the list"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_listed_and_uses_only_those_above_it() {
    let rooms: BTreeSet<String> = sources()
        .iter()
        .map(|(path, _)| layer(path))
        .filter(|name| !ROOTS.contains(&name.as_str()))
        .collect();
    let listed: BTreeSet<String> = ROOMS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(rooms, listed);
    let place = |name: &str| ROOMS.iter().position(|(room, _)| *room == name);
    for (own, used, path) in arrows().iter().filter(|(own, ..)| !ROOTS.contains(&own.as_str())) {
        assert!(place(used) < place(own), "{}: {own} stands above {used}", path.display());
    }
}

#[test]
fn what_follows_a_test_module_in_a_file_of_its_own_is_production() {
    let path = Path::new("x.rs");
    let text = "use a;\n#[cfg(test)]\nmod tests;\nuse b;\n#[cfg(test)]\nmod more {\n}\n";
    assert_eq!(production(path, text), "use a;\n#[cfg(test)]\nmod tests;\nuse b;\n");
    assert_eq!(production(path, "#[test]\nfn x() {}\n"), "");
    assert_eq!(production(Path::new("tests/x.rs"), "use a;\n"), "");
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

/// Where the records and the traits of the store may have a bare 64-bit number, and what it is. Everything else that
/// the store numbers is one of the types of `records/ids.rs`, so that nobody but an engine computes with it.
const NUMBERS: [(&str, &str); 13] = [
    ("pub struct $name(i64);", "the ids themselves"),
    ("pub token: i64,", "the fencing token of a lease counts claims; `lifecycle` increases it"),
    ("pub algorithm: i64,", "a number that COSE assigns (RFC 9053)"),
    ("offset: i64", "milliseconds between a time zone and UTC"),
    ("content: i64", "what an engine makes an id of"),
    ("slot: i64", "ten minutes that a budget counts, since the epoch"),
    ("(u64, i64)", "a limit, and the first slot that it counts"),
    ("(i64, u64)", "a slot, and what was spent in it"),
    ("oldest: i64", "a slot"),
    ("Vec<i64>", "the receipt of an attempt, which the network layer hands back and knows no ids"),
    ("ended: i64", "a count of circles"),
    ("circles: Option<i64>", "that count, as it was when a mail was judged"),
    ("fn apart(&self) -> Result<i64", "milliseconds between two clocks"),
];

/// Whether a file says what the store keeps, in types or traits.
fn is_contract(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    layer(path) == "records" || (folder == "store" && !path.ends_with("copy.rs"))
}

#[test]
fn what_the_store_numbers_has_a_type_of_its_own() {
    for (path, text) in sources().into_iter().filter(|(path, _)| is_contract(path)) {
        for line in production(&path, &text).lines().filter(|line| !line.trim_start().starts_with("//")) {
            let named =
                ["row", "id", "number", "key"].iter().any(|name| line.contains(&format!(" {name}: u64")));
            let bare = named || (line.contains("i64") && !line.contains("fn for_engine"));
            let allowed = NUMBERS.iter().any(|(known, _)| line.contains(known));
            assert!(!bare || allowed, "{}: give it a type in records/ids.rs: {line}", path.display());
        }
    }
}

#[test]
fn only_an_engine_makes_and_reads_the_ids_of_the_store() {
    for (path, text) in sources() {
        let within = |folder| path.to_string_lossy().contains(folder);
        // The last one parts tables by the numbers of messages.
        let allowed = within("src/store/sql/")
            || within("src/store/contract/")
            || path.ends_with("records/ids.rs")
            || path.ends_with("postgres/months.rs");
        for forbidden in ["from_engine", "for_engine", "NUMBER_BITS"] {
            let used = production(&path, &text).contains(forbidden);
            assert!(!used || allowed, "{}: {forbidden} belongs to an engine", path.display());
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
