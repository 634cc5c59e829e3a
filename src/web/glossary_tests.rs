//! Checks everything that people read against `locales/GLOSSARY.md`: each thing has one word.

use std::path::{Path, PathBuf};

/// Latin words that are allowed in Japanese.
const LATIN: &[&str] = &[
    "Sekisho",
    "Bcc",
    "Cc",
    "To",
    "From",
    "Message-ID",
    "CSV",
    "HTML",
    "API",
    "Cookie",
    "JavaScript",
    "PIN",
    "TOML",
    "URL",
    "winmail.dat",
    "hanako@example.co.jp",
    "sekisho",
    "try",
    "desk.roles",
    "mode",
    "observe",
    "enforce",
    "UTC",
    "PDF",
    "Excel",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The phrases of one language by file and key, with continuation lines joined.
fn phrases(language: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    for file in ["pages.ftl", "notice.ftl", "people.ftl"] {
        for line in read(&format!("locales/{language}/{file}")).lines() {
            if line.starts_with('#') || line.is_empty() {
                continue;
            }
            match line.split_once(" =") {
                Some((key, said)) if key.starts_with(|c: char| c.is_ascii_lowercase()) => {
                    all.push((format!("{file} {key}"), said.trim().to_owned()));
                }
                _ => {
                    let (_, said) = all.last_mut().unwrap();
                    said.push('\n');
                    said.push_str(line.trim());
                }
            }
        }
    }
    all
}

/// A phrase without its variables, selectors and quoted literals.
fn bare(said: &str) -> String {
    let mut out = String::new();
    let mut depth = 0_usize;
    for line in said.lines() {
        // `*[other] words`: the words of a variant, without its name
        let line = line.trim_start_matches('*');
        let line =
            if line.starts_with('[') { line.split_once(']').map_or(line, |(_, words)| words) } else { line };
        for c in line.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                c if depth == 0 => out.push(c),
                _ => {}
            }
        }
        // the variants of a selector contain words again
        if line.trim_end().ends_with("->") {
            depth = depth.saturating_sub(1);
        }
        out.push('\n');
    }
    out
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut waiting = vec![root().join("src")];
    let mut files = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let name = path.to_string_lossy().into_owned();
        if path.extension().is_some_and(|ending| ending == "rs")
            && !name.contains("tests")
            && !name.contains("contract")
        {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
            files.push((path, text));
        }
    }
    files
}

fn is_japanese(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}')
}

/// Japanese sentences in the code: string literals with kana or kanji, outside comments.
fn sentences() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (path, text) in sources() {
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for literal in line.split('"').skip(1).step_by(2).filter(|text| text.chars().any(is_japanese)) {
                all.push((path.display().to_string(), literal.to_owned()));
            }
        }
    }
    for file in ["default", "strict", "press-office"] {
        let path = format!("policy/{file}.toml");
        for line in read(&path).lines().filter(|line| line.starts_with("title") || line.starts_with("reason"))
        {
            if let Some(ja) = line.split("ja = \"").nth(1) {
                all.push((path.clone(), ja.split('"').next().unwrap().to_owned()));
            }
        }
    }
    all
}

/// The rows of the glossary: Japanese, English, forbidden in Japanese, forbidden in English.
fn glossary() -> Vec<[Vec<String>; 4]> {
    let words = |cell: &str| -> Vec<String> {
        cell.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let text = read("locales/GLOSSARY.md");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.contains("not in Japanese"));
    let rows: Vec<[Vec<String>; 4]> = rows
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            assert_eq!(cells.len(), 5, "{line}");
            [words(cells[1]), words(cells[2]), words(cells[3]), words(cells[4])]
        })
        .collect();
    assert!(rows.len() >= 20);
    rows
}

#[test]
fn each_thing_has_one_word() {
    let (ja, en) = (phrases("ja"), phrases("en"));
    let said = |all: &[(String, String)], word: &str| all.iter().any(|(_, text)| text.contains(word));
    let japanese: Vec<(String, String)> = ja.iter().cloned().chain(sentences()).collect();
    let mut wrong = Vec::new();
    for [yes_ja, yes_en, no_ja, no_en] in glossary() {
        wrong.extend(
            yes_ja.iter().filter(|word| !said(&japanese, word)).map(|word| format!("{word} is nowhere")),
        );
        let lower = |text: &str| text.to_lowercase();
        let found = |word: &str| en.iter().any(|(_, text)| lower(text).contains(&lower(word)));
        wrong.extend(
            yes_en
                .iter()
                .filter(|word| !found(word) && *word != "list of people")
                .map(|word| format!("{word} is nowhere")),
        );
        for (place, text) in &japanese {
            let bad = no_ja.iter().filter(|word| text.contains(word.as_str()));
            wrong.extend(bad.map(|word| format!("{place}: {word} in {text}")));
        }
        for (place, text) in &en {
            let bad = no_en.iter().filter(|word| lower(text).contains(&lower(word)));
            wrong.extend(bad.map(|word| format!("{place}: {word} in {text}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn japanese_is_written_as_japanese_is() {
    let mut wrong = Vec::new();
    let all = phrases("ja").into_iter().map(|(key, text)| (key, text, true));
    for (place, text, phrase) in all.chain(sentences().into_iter().map(|(place, text)| (place, text, false)))
    {
        let letters: Vec<char> = text.chars().collect();
        for pair in letters.windows(3) {
            let [a, b, c] = [pair[0], pair[1], pair[2]];
            let number = |c: char| c.is_ascii_digit();
            let half = (is_japanese(a) && matches!(b, ':' | '(') || b == ')' && is_japanese(c))
                && !text.contains("://");
            if b == ' ' && (number(a) && is_japanese(c) || is_japanese(a) && number(c)) || half {
                wrong.push(format!("{place}: {text}"));
            }
        }
        let units = ["名", "件", "通", "組織", "日", "時間", "分", "人", "回", "まで", "以内"];
        if units.iter().any(|unit| text.contains(&format!("}} {unit}"))) && !text.contains("$by }") {
            wrong.push(format!("{place}: a blank before a unit in {text}"));
        }
        if ["同士", "いまなら", "フィールド"].iter().any(|word| text.contains(word)) {
            wrong.push(format!("{place}: {text}"));
        }
        if phrase {
            let bare = bare(&text);
            let words = bare.split(|c: char| !(c.is_ascii_alphanumeric() || "@.-_".contains(c)));
            let latin = words
                .map(|word| word.trim_matches(['.', '-', '_']))
                .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()) && !LATIN.contains(word));
            wrong.extend(latin.map(|word| format!("{place}: {word} in {text}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every phrase that the code or a page names exists; a name that ends in `-` is a prefix.
#[test]
fn no_phrase_is_missing() {
    let known: Vec<String> = phrases("en")
        .into_iter()
        .map(|(key, _)| key.split(' ').nth(1).unwrap_or_default().to_owned())
        .collect();
    let mut all = sources();
    for entry in std::fs::read_dir(root().join("templates")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            all.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    let mut wrong = Vec::new();
    for (path, text) in all {
        let page = path.extension().is_some_and(|kind| kind == "html");
        let pieces: Vec<&str> = text.split('"').collect();
        for pair in pieces.windows(2) {
            let (before, literal) = (pair[0], pair[1]);
            // ids of elements on a page are quoted too
            if page && !before.ends_with("p(") {
                continue;
            }
            let named = literal.strip_prefix("desk-").or_else(|| literal.strip_prefix("people-"));
            let is_key = |rest: &str| {
                !rest.is_empty()
                    && rest.bytes().all(|c| c.is_ascii_lowercase() || c == b'-')
                    && !rest.ends_with('-')
            };
            if named.is_some_and(is_key) && !known.iter().any(|key| key == literal) {
                wrong.push(format!("{}: {literal}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "nothing is said by {}", wrong.join("\n"));
}

#[test]
fn every_rule_that_is_shipped_or_built_in_has_a_title() {
    let mut wrong = Vec::new();
    for file in ["default", "strict", "press-office"] {
        for rule in read(&format!("policy/{file}.toml")).split("[[rule]]").skip(1) {
            let title = rule.lines().find(|line| line.starts_with("title = "));
            if !title.is_some_and(|title| title.contains("en = \"") && title.contains("ja = \"")) {
                wrong.push(format!("{file}: {}", rule.lines().nth(1).unwrap_or_default()));
            }
        }
    }
    for (path, text) in sources() {
        for piece in text.split("\"builtin:").skip(1) {
            let name = format!("builtin:{}", piece.split('"').next().unwrap_or_default());
            if name != "builtin:" && crate::policy::rules::builtin_title(&name).is_none() {
                wrong.push(format!("{}: {name}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "without a title: {}", wrong.join("\n"));
}
