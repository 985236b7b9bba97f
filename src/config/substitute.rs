//! `${NAME}` and `${NAME:-default}` in values.
//!
//! Substitution works on the parsed tree, never on the file's text: a variable
//! can change a value but not the structure around it.

use super::node::{Node, Scalar, Value};
use super::path::Path;
use super::problem::{Problems, quoted};

/// Bytes a value may have once its variables are filled in.
const MAX_VALUE: usize = 65_536;

/// Looks up a variable of the environment.
pub(crate) type Env<'e> = &'e dyn Fn(&str) -> Option<String>;

/// Fills in the variables of every value below `node`.
pub(crate) fn substitute(node: &mut Node, path: &Path<'_>, env: Env<'_>, problems: &mut Problems) {
    match &mut node.value {
        Value::Scalar(scalar) => match fill(scalar, env) {
            Ok(()) => {}
            Err(messages) => {
                for message in messages {
                    problems.add(node.at, path.to_string(), message);
                }
                scalar.broken = true;
            }
        },
        Value::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                substitute(item, &path.index(index), env, problems);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                substitute(&mut entry.node, &path.key(&entry.key), env, problems);
            }
        }
    }
}

fn fill(scalar: &mut Scalar, env: Env<'_>) -> Result<(), Vec<String>> {
    if !scalar.text.contains("${") {
        return Ok(());
    }
    let (text, messages) = expand(&scalar.text, env);
    if !messages.is_empty() {
        return Err(messages);
    }
    if text.len() > MAX_VALUE {
        return Err(vec![format!(
            "longer than {MAX_VALUE} bytes once its variables are filled in"
        )]);
    }
    scalar.text = text;
    scalar.substituted = true;
    Ok(())
}

/// `text` with its variables filled in, and what is wrong with them.
fn expand(text: &str, env: Env<'_>) -> (String, Vec<String>) {
    let mut out = String::with_capacity(text.len());
    let mut messages = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            out.push_str(&rest[..at]);
            out.push('{');
            rest = &rest[at + 2..];
            continue;
        }
        out.push_str(&rest[..at]);
        let inside = &rest[at + 2..];
        let Some(end) = inside.find('}') else {
            messages.push("`${` without its `}`; write `$${` for a literal `${`".to_owned());
            return (out, messages);
        };
        match value_of(&inside[..end], env) {
            Ok(value) => out.push_str(&value),
            Err(message) => messages.push(message),
        }
        rest = &inside[end + 1..];
    }
    out.push_str(rest);
    (out, messages)
}

fn value_of(reference: &str, env: Env<'_>) -> Result<String, String> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    if !is_name(name) {
        return Err(format!(
            "{} is not a variable; write `${{NAME}}`, `${{NAME:-default}}`, or `$${{` for a literal `${{`",
            quoted(&format!("${{{reference}}}"))
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(format!(
            "the environment variable {name} is not set; set it, or write `${{{name}:-default}}`"
        )),
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, Vec<String>> {
        let env = |name: &str| match name {
            "HOST" => Some("example.org".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let (text, messages) = expand(text, &env);
        if messages.is_empty() {
            Ok(text)
        } else {
            Err(messages)
        }
    }

    #[test]
    fn a_variable_its_default_and_the_escape() {
        for (text, expected) in [
            ("${HOST}:80", "example.org:80"),
            ("${NONE:-a}${HOST}", "aexample.org"),
            ("${NONE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-b}", "b"),
            ("$${HOST} $1 $", "${HOST} $1 $"),
            ("${NONE:-a:-b}", "a:-b"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn every_bad_reference_is_named() {
        let messages = expanded("${A} ${1} ${B} ${").unwrap_err();
        assert_eq!(messages.len(), 4);
        assert!(messages[0].contains("variable A is not set"));
        assert!(messages[1].contains("\"${1}\" is not a variable"));
        assert!(messages[2].contains("variable B is not set"));
        assert!(messages[3].contains("without its `}`"));
    }
}
