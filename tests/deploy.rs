//! The files in `deploy/` are true: every key, metric and command exists, the example parses with each key
//! set, and the events that it lists are logged.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use regex::Regex;
use sekisho::config::Config;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).expect(path)
}

/// All Rust sources below a folder (or one file), joined.
fn sources(path: &str) -> String {
    let mut waiting = vec![top().join(path)];
    let mut all = String::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    all
}

fn example() -> String {
    text("deploy/sekisho.example.toml")
}

fn parse(text: &str) -> Config {
    Config::parse(Path::new("/etc/sekisho/sekisho.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_example_parses_as_it_is_and_with_every_key_set() {
    parse(&example());
    let set = Regex::new(r"(?m)^#(\S)").unwrap().replace_all(&example(), "$1").into_owned();
    // some keys are for PostgreSQL alone: with them goes the other address of the store
    let set = set
        .replace("url = \"sqlite:", "# url = \"sqlite:")
        .replace("# url = \"postgres:", "url = \"postgres:");
    parse(&set);
}

#[test]
fn the_example_has_every_key() {
    let all = format!("{}{}", text("src/config/keys.rs"), sources("src/config/keys"));
    let table = Regex::new(r"(?s)#\[derive\([^]]*Deserialize[^]]*\)\]\s*#\[serde\(deny_unknown_fields\)\]\s*pub\([^)]*\) struct \w+ \{(.*?)\n\}").unwrap();
    let key = Regex::new(r"(?m)^    (?:pub\([^)]*\) )?(\w+): ").unwrap();
    let renamed = Regex::new(r#"rename = "(\w+)""#).unwrap();
    let mut names = BTreeSet::new();
    for found in table.captures_iter(&all) {
        names.extend(key.captures_iter(&found[1]).map(|key| key[1].to_owned()));
        names.extend(renamed.captures_iter(&found[1]).map(|name| name[1].to_owned()));
    }
    assert!(names.len() > 40, "only {} keys were found: {names:?}", names.len());
    let example = example();
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| {
            let stands = format!(r"(?m)^#?(?:.*[\s{{]|\[+(?:\w+\.)*)?{name}(?:\]|\.\w+\]|\s*=)");
            !Regex::new(&stands).unwrap().is_match(&example)
        })
        .collect();
    assert!(missing.is_empty(), "deploy/sekisho.example.toml does not explain {missing:?}");
}

#[test]
fn every_metric_is_listed_and_nothing_else() {
    let registered = Regex::new(r#"\.register\(\s*"(\w+)""#).unwrap();
    let source = sources("src");
    let described = Regex::new(r#"encode_descriptor\(\s*"(\w+)",[^;]*?(?:Unit::(\w+)|None)"#).unwrap();
    let mut exported: BTreeSet<String> =
        registered.captures_iter(&source).map(|name| format!("sekisho_{}", &name[1])).collect();
    exported.extend(described.captures_iter(&source).map(|found| match found.get(2) {
        Some(unit) => format!("sekisho_{}_{}", &found[1], unit.as_str().to_lowercase()),
        None => format!("sekisho_{}", &found[1]),
    }));
    let row = Regex::new(r"(?m)^\| `(sekisho_\w+?)(?:_total)?(?:\{[^`]*)?` \|").unwrap();
    let observing = text("deploy/observing.md");
    let listed: BTreeSet<String> = row.captures_iter(&observing).map(|name| name[1].to_owned()).collect();
    assert!(exported.len() >= 8, "{exported:?}");
    assert_eq!(listed, exported, "the table of deploy/observing.md (left) and what is exported (right)");
}

#[test]
fn the_events_listed_are_logged() {
    let joined = Regex::new(r"\\\n\s*").unwrap();
    let source = joined.replace_all(&sources("src"), "").into_owned();
    let row = Regex::new(r"(?m)^\| `([^`]+)` \| (?:error|warn|info) \|").unwrap();
    let observing = text("deploy/observing.md");
    let events: Vec<&str> =
        row.captures_iter(&observing).map(|event| event.get(1).unwrap().as_str()).collect();
    assert!(events.len() >= 15, "only {} events are listed", events.len());
    for event in events {
        // `…` stands for any text.
        for part in event.split('…').map(str::trim).filter(|part| part.len() > 3) {
            assert!(source.contains(part), "nothing logs `{part}`");
        }
    }
}

#[test]
fn the_manual_names_every_command() {
    let source = text("src/cli/mod.rs");
    let (_, body) = source.split_once("enum Command {").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let variant = Regex::new(r"(?m)^    ([A-Z]\w*)(?:\(|,)").unwrap();
    let manual = text("deploy/sekisho.1");
    let names: Vec<String> = variant.captures_iter(body).map(|name| name[1].to_lowercase()).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        assert!(manual.contains(&format!(".B sekisho {name}")), "deploy/sekisho.1 does not name `{name}`");
    }
}

#[test]
fn every_guide_ends_in_a_checklist() {
    let guides: Vec<PathBuf> =
        std::fs::read_dir(top().join("deploy/guides")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(guides.len() >= 5, "{guides:?}");
    for guide in guides {
        let text = std::fs::read_to_string(&guide).unwrap();
        let last = text.rsplit("\n## ").next().unwrap();
        assert!(last.starts_with("Checklist"), "{} does not end in a checklist", guide.display());
        assert!(last.contains("sekisho check --connect") && last.contains("cannot"), "{}", guide.display());
    }
}

#[test]
fn the_configurations_in_the_guides_parse() {
    let block = Regex::new(r"(?s)```toml\n(.*?)```").unwrap();
    let mut seen = 0;
    for guide in std::fs::read_dir(top().join("deploy/guides")).unwrap() {
        let path = guide.unwrap().path();
        let guide = std::fs::read_to_string(&path).unwrap();
        let (whole, more): (Vec<String>, Vec<String>) = block
            .captures_iter(&guide)
            .map(|found| found[1].to_owned())
            .partition(|text| text.contains("[organisation]"));
        // A guide's later additions go into the same file.
        let added = more.iter().flat_map(|more| whole.iter().map(move |whole| format!("{whole}\n{more}")));
        for text in whole.iter().cloned().chain(added) {
            let read = Config::parse(Path::new("/etc/sekisho/sekisho.toml"), &text);
            assert!(read.is_ok(), "{}: {}", path.display(), read.unwrap_err());
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}

#[test]
fn the_container_is_built_from_all_that_the_build_reads() {
    let containerfile = text("deploy/Containerfile");
    let copies = containerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let taken: BTreeSet<&str> = copies
        .filter(|line| !line.starts_with("--from"))
        .flat_map(|line| line.split_whitespace().rev().skip(1))
        .collect();
    for path in &taken {
        assert!(top().join(path).exists(), "{path} is copied and is not there");
    }
    // askama and fluent read theirs by name, everything else is included by path
    let mut needed: BTreeSet<String> = ["crates", "src", "templates", "locales"].map(str::to_owned).into();
    let included = Regex::new(r#"include_(?:str|bytes)!\(\s*"(?:\.\./)+(\w+)/"#).unwrap();
    needed.extend(included.captures_iter(&sources("src")).map(|found| found[1].to_owned()));
    for folder in needed.iter().filter(|folder| top().join(folder).is_dir()) {
        assert!(taken.contains(folder.as_str()), "{folder} is needed by the build and not copied");
    }
}
