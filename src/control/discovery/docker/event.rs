//! What one event of the Engine says.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Signals that end a process: SIGINT, SIGQUIT, SIGKILL and SIGTERM.
const ENDING: [&str; 4] = ["2", "3", "9", "15"];

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// The container with this id was told to end. It is listed until it has.
    Ending(String),
    /// The container with this id began, or has ended.
    Turned(String),
    /// Whatever else it is, the list says what came of it.
    Other,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Line {
    action: String,
    actor: Actor,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Attributes")]
    attributes: BTreeMap<String, String>,
}

impl Event {
    /// Reads one event as the Engine writes it.
    pub(super) fn of(line: &[u8]) -> Self {
        let Line { action, actor } = serde_json::from_slice(line).unwrap_or_default();
        let signal = actor.attributes.get("signal").map(String::as_str);
        match action.as_str() {
            "kill" if signal.is_some_and(|signal| ENDING.contains(&signal)) => {
                Self::Ending(actor.id)
            }
            "start" | "die" => Self::Turned(actor.id),
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_signals_that_end_a_process_say_that_it_ends() {
        let event = |action: &str, signal: &str| {
            let line = serde_json::json!({
                "Type": "container", "Action": action, "scope": "local", "time": 1,
                "Actor": { "ID": "abc", "Attributes": { "name": "web", "signal": signal } },
            });
            Event::of(line.to_string().as_bytes())
        };
        let id = || "abc".to_owned();
        assert_eq!(event("kill", "15"), Event::Ending(id()));
        assert_eq!(event("kill", "9"), Event::Ending(id()));
        assert_eq!(event("kill", "1"), Event::Other, "SIGHUP reloads");
        assert_eq!(event("die", ""), Event::Turned(id()));
        assert_eq!(event("start", ""), Event::Turned(id()));
        assert_eq!(event("health_status: healthy", ""), Event::Other);
        for line in [
            "",
            "nonsense",
            "[]",
            "{\"Action\": 5}",
            "{\"Action\": \"kill\"}",
        ] {
            assert_eq!(Event::of(line.as_bytes()), Event::Other);
        }
    }
}
