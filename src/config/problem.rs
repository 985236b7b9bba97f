//! What is wrong with a configuration, and where.
//!
//! One problem is one line, `file:line:column: key: message`, which editors and
//! `grep` understand; the form is part of the interface and held by tests.

use std::fmt;

/// Problems kept; the rest is only counted.
const MAX_PROBLEMS: usize = 1000;
/// Characters of a value or key that a message shows.
const MAX_SHOWN: usize = 60;
/// Candidates looked at for "did you mean".
const MAX_CANDIDATES: usize = 1000;

/// Where a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the file.
    File {
        /// Line, counted from 1.
        line: usize,
        /// Column in characters, counted from 1.
        column: usize,
    },
    /// In the process's environment.
    Environment,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// The key's path, such as `routes[0].match.path`, or the variable's name.
    pub key: String,
    /// What is wrong, with the value and what is allowed.
    pub message: String,
}

/// Everything that is wrong with a configuration, by position, the environment last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    file: String,
    problems: Vec<Problem>,
    left_out: usize,
}

impl Errors {
    /// The problems; at most 1,000 are kept.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match problem.place {
                Place::File { line, column } => write!(f, "{}:{line}:{column}", self.file)?,
                Place::Environment => f.write_str("environment")?,
            }
            write!(f, ": {}: {}", problem.key, problem.message)?;
        }
        if self.left_out > 0 {
            write!(f, "\n{}: and {} more problems", self.file, self.left_out)?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Gathers problems while the configuration is read.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    /// Notes a problem.
    pub(crate) fn add(&mut self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        if self.list.len() == MAX_PROBLEMS {
            self.left_out += 1;
            return;
        }
        self.list.push(Problem {
            place,
            key: key.into(),
            message: message.into(),
        });
    }

    /// Whether none was noted.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The problems of `file`, in order and without repetition.
    pub(crate) fn into_errors(mut self, file: &str) -> Errors {
        self.list.sort();
        self.list.dedup();
        Errors {
            file: file.to_owned(),
            problems: self.list,
            left_out: self.left_out,
        }
    }
}

/// `text` in quotes, control characters escaped, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// `; did you mean X?` where one of the candidates is close to `word`, otherwise nothing.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    if word.len() > MAX_SHOWN {
        return String::new();
    }
    let lower = word.to_lowercase();
    let allowed = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| *candidate != word)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map_or_else(String::new, |(_, nearest)| {
            format!("; did you mean `{nearest}`?")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_print_in_the_order_of_the_file_with_the_environment_last() {
        let mut problems = Problems::default();
        problems.add(Place::Environment, "PORT", "bad");
        problems.add(
            Place::File {
                line: 10,
                column: 1,
            },
            "b",
            "later",
        );
        problems.add(Place::File { line: 9, column: 3 }, "a", "sooner");
        problems.add(Place::File { line: 9, column: 3 }, "a", "sooner");
        assert_eq!(
            problems.into_errors("x.yaml").to_string(),
            "x.yaml:9:3: a: sooner\nx.yaml:10:1: b: later\nenvironment: PORT: bad"
        );
    }

    #[test]
    fn the_problems_kept_are_bounded_and_the_rest_counted() {
        let mut problems = Problems::default();
        for line in 0..MAX_PROBLEMS + 5 {
            problems.add(Place::File { line, column: 1 }, "k", "m");
        }
        let errors = problems.into_errors("x.yaml");
        assert_eq!(errors.problems().len(), MAX_PROBLEMS);
        assert!(errors.to_string().ends_with("x.yaml: and 5 more problems"));
    }

    #[test]
    fn only_near_words_are_suggested() {
        let words = ["timeout", "retry", "split"];
        assert_eq!(did_you_mean("timeuot", words), "; did you mean `timeout`?");
        assert_eq!(did_you_mean("Retry", words), "; did you mean `retry`?");
        assert_eq!(did_you_mean("backend", words), "");
    }

    #[test]
    fn values_are_shown_escaped_and_cut() {
        assert_eq!(quoted("a\n\u{1b}[31m"), r#""a\n\u{1b}[31m""#);
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), MAX_SHOWN + 3);
    }
}
