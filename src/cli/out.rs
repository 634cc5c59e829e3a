//! Output: answers on stdout, errors and progress on stderr, colours only on a terminal.

use serde::Serialize;
use std::io::{ErrorKind, IsTerminal, Write};

/// Where a command's answer goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Out {
    /// The answer is printed as JSON.
    pub(super) json: bool,
    /// How text is coloured.
    pub(super) paint: Paint,
    /// Columns of the terminal; `None` if stdout is not a terminal.
    pub(super) width: Option<usize>,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    on: bool,
}

/// `NO_COLOR` (any value but empty) and `TERM=dumb` turn colours off (no-color.org).
fn color_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
}

/// Whether stderr takes colours.
pub(super) fn color_on_stderr() -> bool {
    color_wanted() && std::io::stderr().is_terminal()
}

impl Out {
    pub(super) fn new(json: bool) -> Self {
        let terminal = std::io::stdout().is_terminal();
        #[expect(clippy::disallowed_methods, reason = "how wide the terminal is, as other programs ask")]
        let columns = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        Self {
            json,
            paint: Paint { on: !json && terminal && color_wanted() },
            width: terminal.then(|| columns.unwrap_or(100)),
        }
    }

    /// Prints text completely. If the reader is gone (`| head`), the program exits quietly.
    #[expect(
        clippy::unused_self,
        reason = "printing without an `Out` in hand would be easy to do by mistake"
    )]
    pub(super) fn print(&self, text: &str) {
        let mut stdout = std::io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            let quiet = error.kind() == ErrorKind::BrokenPipe;
            if !quiet {
                say(&format!("error: cannot write to stdout: {error}"));
            }
            #[expect(clippy::disallowed_methods, reason = "there is nobody left to print for")]
            std::process::exit(i32::from(!quiet));
        }
    }

    /// Prints a line.
    pub(super) fn line(&self, text: &str) {
        self.print(&format!("{text}\n"));
    }

    /// Prints a value as JSON.
    pub(super) fn json(&self, value: &impl Serialize) {
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned());
        self.line(&text);
    }
}

/// Prints a line on stderr; errors are ignored.
pub(super) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Shows progress on one line of the terminal; silent if stderr is not a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    on: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { shown: false, on: std::io::stderr().is_terminal() }
    }

    /// Replaces what is shown.
    pub(super) fn show(&mut self, text: &str) {
        if self.on {
            self.shown = true;
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K{text}").and_then(|()| stderr.flush());
        }
    }

    /// Removes what is shown.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "\r\x1b[K").and_then(|()| stderr.flush());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Paint {
    /// No colours at all.
    #[cfg(test)]
    pub(super) const fn plain() -> Self {
        Self { on: false }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(super) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    pub(super) fn warn(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.wrap("31", text)
    }

    /// A state or an action, coloured by its meaning.
    pub(super) fn state(self, word: &str) -> String {
        match word.trim_end() {
            "pass" | "delivered" | "released" | "split" | "bcc" => self.good(word),
            "held" | "hold" | "waiting" | "delay" | "paused" | "uncertain" => self.warn(word),
            "failed" | "reject" | "expired" | "returned" | "dropped" => self.bad(word),
            _ => word.to_owned(),
        }
    }
}
