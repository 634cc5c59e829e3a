//! The claims of the pages for readers. Each sentence with never, always, impossible, every or a number names
//! the test (or the measurement) that verifies it, in a comment of the page's source. Each of these must
//! exist, and the English and the Japanese page must say the same in the same order.
//!
//! ```text
//! One mail is held once. <!-- test: tests/journeys/forks.py::it_holds_twelve_transactions_once_and_decides_once -->
//! The split takes 0.07 s. <!-- measured: benches/run.py -->
//! ```
//!
//! A comment belongs to the sentence before it. Before or after a table, it belongs to the table.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test fails by panicking, and has no users"
)]

use regex::Regex;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

const PAGES: [&str; 5] =
    ["README.md", "README.ja.md", "policy/README.md", "docs/DESK.md", "docs/PROMISES.md"];

/// Words that make a sentence a claim, in both languages.
static STRONG: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?ix)\b(?:never|always|impossible|cannot\ ever|every\w*)\b
        |\b(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|hundred|thousand)\b
        |決して|必ず|常に|不可能|起こせな|すべて|一切|どの[^れ]",
    )
    .unwrap()
});
/// A number: digits that are not part of a name. `#` stands for code.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:^|[^\w.\-#])\d[\d,.]*(?:[^\w\-#]|$)|\d[\d,.]* ?[通人件組時分秒回本%倍]").unwrap()
});
/// Names that contain a number, which claims nothing.
const NAMES: [&str; 2] = ["Microsoft 365", "Rust 1.95"];

static MARK: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"<!-- (?:test|measured): ([^>]+?) -->").unwrap());
static CODE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"`[^`]*`").unwrap());

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page(name: &str) -> String {
    std::fs::read_to_string(top().join(name)).unwrap()
}

/// The pieces of a page.
#[derive(Debug)]
enum Piece {
    Heading(usize, String),
    /// A paragraph, or one item of a list.
    Text {
        item: bool,
        text: String,
    },
    /// The rows of a table, including its head and the line below it.
    Table(Vec<String>),
    Code,
    /// Comments on their own.
    Marks(String),
}

/// Splits a page into pieces. Each block of code, indented ones too, is one piece.
fn pieces(text: &str) -> Vec<Piece> {
    let item = Regex::new(r"^\s*(?:[*-]|\d+\.)\s+").unwrap();
    let mut pieces: Vec<Piece> = Vec::new();
    let mut lines = text.lines().peekable();
    let mut open = false; // the last paragraph goes on
    while let Some(line) = lines.next() {
        let bare = line.trim();
        if bare.starts_with("```") {
            lines.by_ref().find(|line| line.trim().starts_with("```"));
            pieces.push(Piece::Code);
            open = false;
        } else if line.starts_with("    ") && !open {
            while lines.next_if(|next| next.starts_with("    ") || next.trim().is_empty()).is_some() {}
            pieces.push(Piece::Code);
        } else if bare.is_empty() {
            open = false;
        } else if let Some(rest) = bare.strip_prefix('#') {
            let level = 1 + rest.chars().take_while(|c| *c == '#').count();
            pieces.push(Piece::Heading(level, rest.trim_start_matches('#').trim().to_owned()));
            open = false;
        } else if bare.starts_with('|') {
            match pieces.last_mut() {
                Some(Piece::Table(rows)) => rows.push(bare.to_owned()),
                _ => pieces.push(Piece::Table(vec![bare.to_owned()])),
            }
            open = false;
        } else if bare.starts_with("<!--") && !open {
            pieces.push(Piece::Marks(bare.to_owned()));
        } else if item.is_match(line) {
            pieces.push(Piece::Text { item: true, text: item.replace(line, "").into_owned() });
            open = true;
        } else {
            match pieces.last_mut() {
                Some(Piece::Text { text, .. }) if open => {
                    text.push(' ');
                    text.push_str(bare);
                }
                _ => pieces.push(Piece::Text { item: false, text: bare.to_owned() }),
            }
            open = true;
        }
    }
    pieces
}

/// The sentences of a text, each with the comments after it.
fn sentences(text: &str) -> Vec<String> {
    let text = CODE.replace_all(text, "#");
    let mut sentences = vec![String::new()];
    let mut rest = &*text;
    let mut quoted = 0_usize;
    while let Some(letter) = rest.chars().next() {
        let last = sentences.last_mut().unwrap();
        if rest.starts_with("<!--") {
            let end = rest.find("-->").map_or(rest.len(), |end| end + 3);
            last.push_str(&rest[..end]);
            rest = rest[end..].trim_start();
            // Comments end a sentence.
            if !rest.starts_with("<!--") {
                sentences.push(String::new());
            }
            continue;
        }
        last.push(letter);
        rest = &rest[letter.len_utf8()..];
        quoted = match letter {
            '「' => quoted + 1,
            '」' => quoted.saturating_sub(1),
            _ => quoted,
        };
        let ends = match letter {
            '。' => quoted == 0,
            '.' | '!' | '?' => rest.starts_with([' ', ')', '*', '"']) || rest.is_empty(),
            ':' => rest.is_empty(),
            _ => false,
        };
        if ends {
            let closing = rest.len() - rest.trim_start_matches([')', '*', '"']).len();
            last.push_str(&rest[..closing]);
            rest = rest[closing..].trim_start();
            if !rest.starts_with("<!--") {
                sentences.push(String::new());
            }
        }
    }
    sentences.retain(|sentence| !sentence.trim().is_empty());
    sentences
}

fn is_claim(sentence: &str) -> bool {
    let mut plain = MARK.replace_all(sentence, "").into_owned();
    for name in NAMES {
        plain = plain.replace(name, "");
    }
    STRONG.is_match(&plain) || NUMBER.is_match(&plain)
}

fn marks(text: &str) -> Vec<String> {
    MARK.captures_iter(text)
        .flat_map(|mark| mark[1].split(", ").map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

#[test]
fn each_claim_names_its_test() {
    let mut bare = Vec::new();
    for name in PAGES {
        let pieces = pieces(&page(name));
        // Other comments may come between.
        let aside = |piece: &&Piece| matches!(piece, Piece::Marks(_));
        let marked = |piece: &Piece| matches!(piece, Piece::Marks(text) if MARK.is_match(text));
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Text { text, .. } => {
                    let sentences = sentences(text);
                    let loose = sentences.into_iter().filter(|one| is_claim(one) && !MARK.is_match(one));
                    bare.extend(loose.map(|sentence| format!("{name}: {}", sentence.trim())));
                }
                Piece::Heading(_, text) if is_claim(text) => bare.push(format!("{name}: # {text}")),
                Piece::Table(rows) => {
                    let claims = rows.iter().any(|row| is_claim(&CODE.replace_all(row, "#")));
                    let before = pieces[..at].iter().rev().take_while(aside).any(marked);
                    let near = before || pieces[at + 1..].iter().take_while(aside).any(marked);
                    if claims && !near {
                        bare.push(format!("{name}: the table {}", rows[0]));
                    }
                }
                Piece::Heading(..) | Piece::Code | Piece::Marks(_) => {}
            }
        }
    }
    assert!(bare.is_empty(), "nothing is named that holds these:\n{}", bare.join("\n"));
}

/// Where a test may be: files such as `tests/…` by their path, with `::name` for a test in them; code by its
/// module path.
fn is_there(named: &str) -> bool {
    if named.contains('/') {
        let (file, name) = named.split_once("::").map_or((named, None), |(file, name)| (file, Some(name)));
        let Ok(text) = std::fs::read_to_string(top().join(file)) else { return false };
        let function = |name| text.contains(&format!("fn {name}(")) || text.contains(&format!("def {name}("));
        return name.is_none_or(function);
    }
    let Some((module, name)) = named.rsplit_once("::") else { return false };
    let mut places = vec![module.replace("::", "/")];
    places.extend(module.strip_suffix("::tests").map(|outer| outer.replace("::", "/")));
    let files = places.iter().flat_map(|place| [format!("src/{place}.rs"), format!("src/{place}/mod.rs")]);
    files
        .filter_map(|file| std::fs::read_to_string(top().join(file)).ok())
        .any(|text| text.contains(&format!("fn {name}(")))
}

#[test]
fn each_test_that_is_named_is_there() {
    let mut gone = Vec::new();
    let mut named = 0;
    for name in PAGES {
        for test in marks(&page(name)) {
            named += 1;
            if !is_there(&test) {
                gone.push(format!("{name}: {test}"));
            }
        }
    }
    assert!(gone.is_empty(), "there is no\n{}", gone.join("\n"));
    assert!(named > 40, "only {named} are named");
}

/// The structure of a section: what both languages must have in the same number and order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Section {
    level: usize,
    items: usize,
    code: usize,
    tables: Vec<usize>,
    marks: Vec<String>,
}

fn sections(name: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    for piece in pieces(&page(name)) {
        if let Piece::Heading(level, _) = piece {
            sections.push(Section { level, ..Section::default() });
            continue;
        }
        let section = sections.last_mut().unwrap();
        match piece {
            Piece::Heading(..) => {}
            Piece::Text { item, text } => {
                section.items += usize::from(item);
                section.marks.extend(marks(&text));
            }
            Piece::Table(rows) => section.tables.push(rows.len()),
            Piece::Code => section.code += 1,
            Piece::Marks(text) => section.marks.extend(marks(&text)),
        }
    }
    sections
}

#[test]
fn both_languages_say_the_same() {
    let (english, japanese) = (sections("README.md"), sections("README.ja.md"));
    for (at, (en, ja)) in english.iter().zip(&japanese).enumerate() {
        // The order of clauses may differ between the languages.
        let sorted = |section: &Section| {
            let mut marks = section.marks.clone();
            marks.sort();
            marks
        };
        assert_eq!(sorted(en), sorted(ja), "section {at}: claims of README.md (left) and README.ja.md");
        let shape = |section: &Section| (section.level, section.items, section.code, section.tables.clone());
        assert_eq!(shape(en), shape(ja), "section {at}: heading, items, code, tables");
    }
    assert_eq!(english.len(), japanese.len());
}

/// Both pages name the same measurements with the same figures.
#[test]
fn both_languages_have_the_same_figures() {
    let block = |name: &str, what: &str| {
        let text = page(name);
        let (_, rest) = text.split_once(&format!("<!-- {what} -->")).unwrap();
        rest.split_once(&format!("<!-- /{what} -->")).unwrap().0.to_owned()
    };
    assert_eq!(block("README.md", "accidents"), block("README.ja.md", "accidents"));
}

/// Documents in `docs/` that comments refer to exist, and so do the sections or promises.
#[test]
fn comments_point_to_what_is_there() {
    let pointer = Regex::new(r"docs/([A-Z]+\.md)`?(?: §+(\d+)| promise (\d))?").unwrap();
    let mut waiting = vec![top().join("src"), top().join("tests")];
    let mut found = 0;
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        for pointed in pointer.captures_iter(&text).filter(|_| !path.ends_with("claims.rs")) {
            let document = page(&format!("docs/{}", &pointed[1]));
            let there = match (pointed.get(2), pointed.get(3)) {
                (Some(section), _) => document.contains(&format!("\n## {}. ", section.as_str())),
                (_, Some(promise)) => document.contains(&format!("\n{}. **", promise.as_str())),
                _ => true,
            };
            assert!(there, "{}: {} is not there", path.display(), &pointed[0]);
            found += 1;
        }
    }
    assert!(found > 20, "only {found} pointers were found");
}

/// Each figure of the proofs names the command that produces it, and what that command runs exists.
#[test]
fn each_figure_names_a_command_that_is_there() {
    let code = Regex::new(r"`([^`]+)`").unwrap();
    let words = Regex::new(r"(?:-k|--lib|--test) (\S+)").unwrap();
    let files = |folder: &str| -> String {
        let all = std::fs::read_dir(top().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.is_file()).filter_map(|path| std::fs::read_to_string(path).ok()).collect()
    };
    let mut named = 0;
    for piece in pieces(&page("docs/PROOFS.md")) {
        let Piece::Table(rows) = piece else { continue };
        let last = |row: &String| row.trim_end_matches('|').rsplit('|').next().unwrap().trim().to_owned();
        if last(&rows[0]) != "command" {
            continue;
        }
        for row in &rows[2..] {
            let cell = last(row);
            let command = &code.captures(&cell).unwrap_or_else(|| panic!("no command: {row}"))[1];
            let word = &words.captures(command).unwrap_or_else(|| panic!("what does it run? {command}"))[1];
            let there = match command.split_whitespace().find(|word| !word.contains('=')).unwrap() {
                "tests/run" => {
                    let kind = if command.contains(" proofs ") { "tests/proofs" } else { "tests/journeys" };
                    files(kind).contains(&format!("def {word}"))
                }
                "cargo" => {
                    files("src/store/sqlite").contains(&format!("mod {word}"))
                        || is_there(word)
                        || is_there(&format!("tests/{word}/main.rs"))
                }
                other => panic!("{other} is no way to run a proof"),
            };
            assert!(there, "nothing is called {word}: {command}");
            let sizes = command.split_whitespace().take_while(|word| word.contains('='));
            for size in sizes.filter_map(|word| word.split_once('=')).map(|(name, _)| name) {
                let asked = format!("\"{size}\"");
                assert!(
                    files("tests/proofs").contains(&asked) || files("tests/journeys").contains(&asked),
                    "{size}"
                );
            }
            named += 1;
        }
    }
    assert!(named >= 11, "only {named} are named");
}

#[test]
fn claims_are_told_from_other_sentences() {
    for claim in [
        "It is never sent.",
        "Every copy is searched.",
        "It takes 3 s.",
        "写しを 12 通送ります。",
        "決して通しません。",
    ] {
        assert!(is_claim(claim), "{claim}");
    }
    for other in ["It may be sent.", "Uses SHA-256 and base64.", "For Microsoft 365 and #.", "保留します。"]
    {
        assert!(!is_claim(other), "{other}");
    }
    let text = "One. Two `a. b` (three). <!-- test: a/b --> Four 1.5 times. <!-- measured: c -->";
    assert_eq!(
        sentences(text),
        ["One.", "Two # (three).<!-- test: a/b -->", "Four 1.5 times.<!-- measured: c -->"]
    );
    assert!(
        is_there("tests/claims.rs::is_there")
            && is_there(
                "store::sql::journal::tests::entries_from_before_observe_mode_was_told_apart_are_read"
            )
    );
    assert!(
        !is_there("tests/claims.rs::no_such_test")
            && !is_there("journal::tests::no")
            && !Path::new("x").exists()
    );
}
