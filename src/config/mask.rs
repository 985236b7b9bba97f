//! A configuration file that may be shown: without its secrets.
//!
//! The text stays as it was written, comments and all, and wherever it has a
//! secret's text, something else stands instead. That is more than the place of
//! the key, because a secret may be repeated in a comment or behind an alias.
//! Where the text does not contain it as such (YAML can write any character as
//! an escape), nothing is shown rather than too much.

use super::node::{Node, Value};
use super::problem::Problems;
use super::tree;

/// What stands where a secret was.
pub const MASK: &str = "<masked>";

/// The keys that hold secrets; [`EACH`] is every element of a list.
const SECRETS: [&[&str]; 5] = [
    &["server", "secret"],
    &["metrics", "token"],
    &["admin", "token"],
    &["autoscaler", "prometheus", "token"],
    &["autoscaler", "targets", EACH, "driver", "secret"],
];

/// Stands for every element of a list.
const EACH: &str = "*";

/// What is shown where the secrets cannot be told from the rest.
const HIDDEN: &str = "# A secret is written in a way that cannot be masked.\n";

/// `text` without its secrets. A `${NAME}` is none.
#[must_use]
pub fn masked(text: &str) -> String {
    let Some(mut found) = secrets(text) else {
        return HIDDEN.to_owned();
    };
    // One may be part of another.
    found.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let shown = found.iter().fold(text.to_owned(), |text, secret| {
        text.replace(secret.as_str(), MASK)
    });
    match secrets(&shown) {
        Some(left) if left.is_empty() => shown,
        _ => HIDDEN.to_owned(),
    }
}

/// The secrets in a file; `None` where it is no YAML.
fn secrets(text: &str) -> Option<Vec<String>> {
    let root = tree::parse(text, &mut Problems::default())?;
    let mut found = Vec::new();
    for keys in SECRETS {
        gather(&root, keys, &mut found);
    }
    Some(found)
}

/// Adds the secrets that `keys` lead to from `node`.
fn gather(node: &Node, keys: &[&str], found: &mut Vec<String>) {
    match (&node.value, keys) {
        (Value::Scalar(scalar), []) => {
            let is_null =
                scalar.plain && ["", "~", "null", "Null", "NULL"].contains(&&*scalar.text);
            if !is_null && !is_variable(&scalar.text) && scalar.text != MASK {
                found.push(scalar.text.clone());
            }
        }
        (Value::List(items), [EACH, rest @ ..]) => {
            for item in items {
                gather(item, rest, found);
            }
        }
        (Value::Map(_), [key, rest @ ..]) => {
            if let Some(inner) = node.get(key) {
                gather(inner, rest, found);
            }
        }
        _ => {}
    }
}

/// Whether a text is one variable without a default.
fn is_variable(text: &str) -> bool {
    let name = text
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    name.is_some_and(|name| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_wherever_they_stand_and_the_rest_stays() {
        let text = "# token: abc123\nserver: { secret: 'the one secret' }\n\
            metrics: { token: abc123 }   # ours\nadmin:\n  token: \"abc123def\"\nname: abc\n";
        let shown = "# token: <masked>\nserver: { secret: '<masked>' }\n\
            metrics: { token: <masked> }   # ours\nadmin:\n  token: \"<masked>\"\nname: abc\n";
        assert_eq!(masked(text), shown);
        assert_eq!(masked(shown), shown);
    }

    #[test]
    fn the_secrets_of_the_autoscaler_are_masked_in_every_target() {
        let text = "autoscaler:\n  prometheus: { url: http://p, token: first-one }\n  targets:\n\
            \x20   - driver: { type: webhook, secret: second-one }\n\
            \x20   - driver: { type: docker, service: web }\n\
            \x20   - { driver: { type: webhook, secret: \"third-one\" } }   # not third-one\n";
        let shown = text
            .replace("first-one", MASK)
            .replace("second-one", MASK)
            .replace("third-one", MASK);
        assert_eq!(masked(text), shown);
        assert_eq!(shown.matches(MASK).count(), 4);
    }

    #[test]
    fn variables_are_no_secrets_but_their_defaults_are() {
        let text = "admin: { token: \"${TOKEN}\" }\nmetrics: { token: \"${OTHER:-abc}\" }\n";
        let shown = "admin: { token: \"${TOKEN}\" }\nmetrics: { token: \"<masked>\" }\n";
        assert_eq!(masked(text), shown);
    }

    #[test]
    fn what_has_no_secrets_is_shown_as_it_is() {
        let text = "admin: null\nmetrics: { token: null }\nserver: { secret: }\n";
        assert_eq!(masked(text), text);
    }

    #[test]
    fn what_cannot_be_masked_is_not_shown() {
        for text in [
            "admin: { token: \"\\x61bc\" }",
            "admin: { token: \"two\\nlines\" }",
            "x: &t abc\nadmin: { token: \"\\x61bc\" }",
            "admin: {",
        ] {
            assert_eq!(masked(text), HIDDEN, "{text}");
        }
        let alias = "x: &t abc\nadmin: { token: *t }\n";
        assert_eq!(masked(alias), "x: &t <masked>\nadmin: { token: *t }\n");
    }
}
