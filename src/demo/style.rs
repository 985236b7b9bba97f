//! Colour on a terminal, plain text everywhere else.

use std::ffi::OsStr;
use std::io::IsTerminal;

/// Whether text is marked up for a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style(bool);

impl Style {
    /// No markup.
    pub const PLAIN: Self = Self(false);

    /// Markup when `out` is a terminal that can show it and `NO_COLOR` is unset or empty.
    #[must_use]
    pub fn of(out: &impl IsTerminal) -> Self {
        let (no_color, term) = (std::env::var_os("NO_COLOR"), std::env::var_os("TERM"));
        Self::decide(out.is_terminal(), no_color.as_deref(), term.as_deref())
    }

    /// The convention of no-color.org, and that a `dumb` terminal shows no colour.
    fn decide(is_terminal: bool, no_color: Option<&OsStr>, term: Option<&OsStr>) -> Self {
        let refused = no_color.is_some_and(|value| !value.is_empty());
        Self(is_terminal && !refused && term.is_some_and(|term| term != "dumb"))
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.mark(text, "1")
    }

    pub(super) fn dim(self, text: &str) -> String {
        self.mark(text, "2")
    }

    pub(super) fn red(self, text: &str) -> String {
        self.mark(text, "31")
    }

    fn mark(self, text: &str, code: &str) -> String {
        if self.0 {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_wants_it() {
        let decide = |terminal, no_color: Option<&str>, term: &str| {
            Style::decide(terminal, no_color.map(OsStr::new), Some(OsStr::new(term))).bold("x")
        };
        assert_eq!(decide(true, None, "xterm"), "\x1b[1mx\x1b[0m");
        assert_eq!(decide(true, Some(""), "xterm"), "\x1b[1mx\x1b[0m");
        assert_eq!(decide(true, Some("1"), "xterm"), "x");
        assert_eq!(decide(true, None, "dumb"), "x");
        assert_eq!(decide(false, None, "xterm"), "x");
        assert_eq!(Style::decide(true, None, None), Style::PLAIN);
    }
}
