//! Mistakes in files that people write: where, what was expected, what to do.
//!
//! The configuration and the policies are both read through [`read_toml`], so that mistakes in either are
//! reported in the same form: file, line and column, the line with the position marked, what was expected,
//! and a similar name if one was probably meant.

use serde::de::DeserializeOwned;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    path: PathBuf,
    location: Option<Box<Location>>,
    message: String,
    help: Option<String>,
}

/// A position in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Location {
    /// The marked bytes of `excerpt`.
    span: Range<usize>,
    /// The lines that `span` touches, at most [`MOST_LINES`].
    excerpt: String,
    /// Number of the first of them, from 1.
    line: usize,
    /// Column in that line, in characters, from 1.
    column: usize,
}

/// Maximum number of lines of an excerpt.
const MOST_LINES: usize = 4;

impl Diagnostic {
    /// A mistake at bytes `span` of `text`, the contents of `path`. A span beyond the text stands for its
    /// end.
    pub fn at(
        path: &Path,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) -> Self {
        Self {
            path: path.into(),
            location: Some(Box::new(Location::of(text, span))),
            message: message.into(),
            help,
        }
    }

    /// A mistake that concerns the whole file, for example that it cannot be read.
    pub fn of_file(path: &Path, message: impl Into<String>, help: Option<String>) -> Self {
        Self { path: path.into(), location: None, message: message.into(), help }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Line and column, both from 1, if the position is known.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.location.as_ref().map(|location| (location.line, location.column))
    }

    /// What is wrong, without the position.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// For people: the position, the lines with the mistake marked, and what to do. `color` adds terminal
    /// colours.
    pub fn render(&self, color: bool) -> String {
        use annotate_snippets::{AnnotationKind, Level, Origin, Renderer, Snippet};
        let path = self.path.display().to_string();
        let title = Level::ERROR.primary_title(printable(&self.message));
        let mut group = match &self.location {
            Some(location) => title.element(
                Snippet::source(location.excerpt.as_str())
                    .line_start(location.line)
                    .path(path)
                    .annotation(AnnotationKind::Primary.span(location.span.clone())),
            ),
            None => title.element(Origin::path(path)),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(printable(help)));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(location) = &self.location {
            write!(f, ":{}:{}", location.line, location.column)?;
        }
        write!(f, ": {}", printable(&self.message))?;
        match &self.help {
            Some(help) => write!(f, " ({})", printable(help)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Diagnostic {}

impl Location {
    fn of(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let mut end = floor(text, span.end.max(start));
        if end == start {
            end += text[start..].chars().next().map_or(0, char::len_utf8);
        }
        let first = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let last = text[first..]
            .match_indices('\n')
            .map(|(at, _)| first + at)
            .enumerate()
            .find(|(number, at)| *at >= end || number + 1 == MOST_LINES)
            .map_or(text.len(), |(_, at)| at);
        let (start_in, end_in) = (start - first, end.min(last).max(start) - first);
        Self {
            span: start_in..end_in,
            excerpt: text[first..last].to_owned(),
            line: text[..first].matches('\n').count() + 1,
            column: text[first..start].chars().count() + 1,
        }
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// Replaces control characters, so that a file cannot send escape sequences to the terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() && char != '\n' { char::REPLACEMENT_CHARACTER } else { char })
        .collect()
}

/// Parses a TOML file. Meant for types that deny unknown fields.
///
/// # Errors
/// The text is not valid TOML, or does not fit the type.
pub fn read_toml<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, Diagnostic> {
    toml::from_str(text).map_err(|error| of_toml(path, text, &error))
}

fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> Diagnostic {
    let (message, help) = explain(error.message());
    Diagnostic::at(path, text, error.span().unwrap_or(0..0), message, help)
}

/// Translates a message of the TOML parser: what is wrong, and what to do.
fn explain(message: &str) -> (String, Option<String>) {
    let message = message.trim();
    for (prefix, what) in [("unknown field ", "key"), ("unknown variant ", "value")] {
        let Some(rest) = message.strip_prefix(prefix) else { continue };
        let (found, known) = quoted(rest);
        return (format!("unknown {what} `{found}`"), Some(expected(found, &known, what)));
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let (name, _) = quoted(rest);
        return (format!("`{name}` is missing"), Some(format!("add `{name} = …` here")));
    }
    if let Some(rest) = message.strip_prefix("invalid type: ")
        && let Some((found, wanted)) = rest.rsplit_once(", expected ")
    {
        return (format!("expected {wanted}, found {found}"), None);
    }
    (message.replace('\n', ", "), None)
}

/// The first word between backticks, and the others.
fn quoted(text: &str) -> (&str, Vec<&str>) {
    let Some(open) = text.strip_prefix('`') else { return (text, Vec::new()) };
    let (found, rest) = open.split_once("`, ").unwrap_or_else(|| (open.trim_end_matches('`'), ""));
    (found, rest.split('`').skip(1).step_by(2).collect())
}

fn expected(found: &str, known: &[&str], what: &str) -> String {
    match near(found, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => format!("no {what} is expected here"),
        None => format!("expected one of: {}", known.join(", ")),
    }
}

/// The known name that was probably meant, if one is similar enough.
pub fn near<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(found);
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&wanted, &plain(name)), name))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read, never looked at")]
    struct Sample {
        name: String,
        #[serde(default)]
        size: u64,
        #[serde(default)]
        mode: Mode,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        #[default]
        Observe,
        Enforce,
    }

    #[test]
    fn a_mistake_says_where_and_what() {
        let cases = [
            ("name = \"a\"\nsizee = 3\n", "f.toml:2:1: unknown key `sizee` (did you mean `size`?)"),
            ("name = \"a\"\nzzz = 3\n", "f.toml:2:1: unknown key `zzz` (expected one of: name, size, mode)"),
            ("name = 3\n", "f.toml:1:8: expected a string, found integer `3`"),
            ("# あ\nname = \"あ\"; size = 1", "f.toml:2:11:"),
            ("size = 3\n", "f.toml:1:1: `name` is missing"),
            (
                "name = \"a\"\nmode = \"enforced\"",
                "f.toml:2:8: unknown value `enforced` (did you mean `enforce`?)",
            ),
            ("name = \"a", "f.toml:1:"),
            ("", "f.toml:1:1: `name` is missing"),
        ];
        for (text, wanted) in cases {
            let error = read_toml::<Sample>(Path::new("f.toml"), text).unwrap_err();
            assert!(error.to_string().starts_with(wanted), "{text:?} gave {error}");
            let plain = error.render(false);
            assert!(plain.contains("f.toml:") && !plain.contains('\x1b'), "{plain}");
            assert!(error.render(true).contains('\x1b'));
        }
    }

    #[test]
    fn the_line_is_shown_with_its_mark() {
        let text = "a = 1\nname = \"x\"\nlist = [\n 1,\n 2,\n 3,\n 4]\n";
        let shown = Diagnostic::at(Path::new("p"), text, 6..10, "no", Some("do".into())).render(false);
        assert!(
            shown.contains("p:2:1") && shown.contains("name = \"x\"") && shown.contains("^^^^"),
            "{shown}"
        );
        let long = Diagnostic::at(Path::new("p"), text, 17..text.len(), "no", None);
        assert_eq!(long.position(), Some((3, 1)));
        assert!(!long.render(false).contains("4]"), "{}", long.render(false));
        let beyond = Diagnostic::at(Path::new("p"), "あ", 900..905, "no", None);
        assert_eq!(beyond.position(), Some((1, 2)));
        assert!(!beyond.render(false).is_empty());
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let shown = Diagnostic::of_file(Path::new("p"), "bad \x1b[31m name", None);
        assert!(!shown.to_string().contains('\x1b') && !shown.render(false).contains('\x1b'));
    }
}
