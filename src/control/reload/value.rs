//! Values of a configuration in words, secrets kept to themselves.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use crate::config::{HeaderEdits, Percent};

/// A value: what is shown of it, and what tells it from another that looks the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    /// A hash of what is not shown; 0 where all of it is.
    hidden: u64,
}

impl Value {
    pub(super) fn shown(text: impl Display) -> Self {
        Self {
            text: text.to_string(),
            hidden: 0,
        }
    }
}

/// Keys and their values, in the order of the reference.
#[derive(Debug, Default)]
pub(super) struct Keys(pub(super) Vec<(String, Value)>);

/// What a header, parameter or cookie that may carry a secret has in its name.
const TELLING: [&str; 8] = [
    "auth",
    "token",
    "key",
    "secret",
    "cookie",
    "password",
    "session",
    "credential",
];

impl Keys {
    /// A value as it is.
    pub(super) fn say(&mut self, key: &str, value: impl Display) {
        self.0.push((key.to_owned(), Value::shown(value)));
    }

    /// Several values as they are.
    pub(super) fn list(&mut self, key: &str, values: impl IntoIterator<Item = impl Display>) {
        let values: Vec<String> = values.into_iter().map(|one| one.to_string()).collect();
        self.say(key, format_args!("[{}]", values.join(", ")));
    }

    /// A value of which only `text` is shown.
    pub(super) fn secretly(&mut self, key: &str, text: String, value: &[u8]) {
        let hidden = xxh3_64(value).max(1);
        self.0.push((key.to_owned(), Value { text, hidden }));
    }

    /// A secret, where there is one.
    pub(super) fn hide(&mut self, key: &str, secret: Option<&[u8]>) {
        match secret {
            Some(secret) => self.secretly(key, "(secret)".to_owned(), secret),
            None => self.say(key, "null"),
        }
    }

    /// A value that is a secret if `name` says so.
    pub(super) fn tell(&mut self, key: &str, name: &str, value: String) {
        let name = name.to_ascii_lowercase();
        if TELLING.iter().any(|word| name.contains(word)) {
            self.secretly(key, "(hidden)".to_owned(), value.as_bytes());
        } else {
            self.say(key, value);
        }
    }
}

/// Header changes, one key for each header.
pub(super) fn edits(path: &str, edits: &HeaderEdits, keys: &mut Keys) {
    let HeaderEdits { set, add, remove } = edits;
    for (how, headers) in [("set", set), ("add", add)] {
        for (name, value) in headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            keys.tell(&format!("{path}.{how}.{name}"), name.as_str(), value);
        }
    }
    keys.list(&format!("{path}.remove"), remove);
}

/// `null` where there is none.
pub(super) fn option(value: Option<impl Display>) -> String {
    value.map_or_else(|| "null".to_owned(), |value| value.to_string())
}

/// `1 backend`, `2 backends`.
pub(super) fn count(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// As one would write it in the file: in the largest unit that divides it.
pub(super) fn duration(duration: Duration) -> String {
    let units = [
        (86_400_000_000, "d"),
        (3_600_000_000, "h"),
        (60_000_000, "m"),
        (1_000_000, "s"),
        (1_000, "ms"),
    ];
    let micros = duration.as_micros();
    if micros == 0 {
        return "0s".to_owned();
    }
    let whole = units.iter().find(|(unit, _)| micros.is_multiple_of(*unit));
    whole.map_or_else(
        || format!("{micros}us"),
        |(unit, name)| format!("{}{name}", micros / unit),
    )
}

/// As one would write it in the file: in the largest unit that divides it.
pub(super) fn size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let whole = units
        .iter()
        .find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
    whole.map_or_else(
        || format!("{bytes}B"),
        |(unit, name)| format!("{}{name}", bytes / unit),
    )
}

pub(super) fn percent(percent: Percent) -> String {
    percent.to_string()
}

/// The same for a share that is a number.
pub(super) fn share(ratio: f64) -> String {
    option(Percent::from_hundredths(ratio * 100.0))
}

/// `200-299, 404`.
pub(super) fn ranges(ranges: &[RangeInclusive<u16>]) -> String {
    let range = |range: &RangeInclusive<u16>| match (range.start(), range.end()) {
        (start, end) if start == end => start.to_string(),
        (start, end) => format!("{start}-{end}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(", ")
}

/// Conditions of routes.
pub(super) mod pattern {
    use crate::config::{HostPattern, PathPattern, ValuePattern};

    pub(in super::super) fn host(host: &HostPattern) -> String {
        match host {
            HostPattern::Exact(host) => host.clone(),
            HostPattern::Suffix(suffix) => format!("*{suffix}"),
        }
    }

    pub(in super::super) fn path(path: &PathPattern) -> String {
        match path {
            PathPattern::Exact(path) => format!("exact {path}"),
            PathPattern::Prefix(prefix) => format!("prefix {prefix}"),
            PathPattern::Regex(regex) => format!("regex {regex}"),
        }
    }

    pub(in super::super) fn value(value: &ValuePattern) -> String {
        match value {
            ValuePattern::Exact(text) => text.clone(),
            ValuePattern::Regex(regex) => format!("regex {regex}"),
            ValuePattern::Present(true) => "present".to_owned(),
            ValuePattern::Present(false) => "absent".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_as_in_a_file() {
        let millis = Duration::from_millis;
        let read = [0, 250, 1_500, 65_000, 120_000, 86_400_000].map(|ms| duration(millis(ms)));
        assert_eq!(read, ["0s", "250ms", "1500ms", "65s", "2m", "1d"]);
        let read = [0, 1_000, 32 << 10, 10 << 20].map(size);
        assert_eq!(read, ["0B", "1000B", "32KiB", "10MiB"]);
        let share = |hundredths| percent(Percent::from_hundredths(hundredths).unwrap());
        assert_eq!([20.0, 0.1, 100.0].map(share), ["20%", "0.1%", "100%"]);
        assert_eq!(ranges(&[200..=399, 404..=404]), "200-399, 404");
    }

    #[test]
    fn secrets_differ_without_being_shown() {
        let hidden = |secret: &[u8]| {
            let mut keys = Keys::default();
            keys.hide("token", Some(secret));
            keys.tell(
                "h",
                "X-Api-Key",
                String::from_utf8_lossy(secret).into_owned(),
            );
            keys
        };
        let (one, other) = (hidden(b"abc"), hidden(b"abd"));
        for (left, right) in one.0.iter().zip(&other.0) {
            assert_ne!(left, right);
            assert_eq!(left.1.text, right.1.text);
            assert!(!left.1.text.contains("abc"));
        }
        assert_eq!(one.0, hidden(b"abc").0);
    }
}
