//! The process log: what Evenkeel and its libraries say about themselves.
//!
//! It goes to standard error, as text on a terminal and as one JSON object a
//! line elsewhere, where a collector reads it. A request must not wait for
//! whoever reads it, so lines pass through a bounded queue; those that find it
//! full are dropped and counted. Records of the `log` facade, which Pingora
//! uses, arrive here too.

use std::env;
use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

/// Lines that may wait to be written.
pub const QUEUE_LINES: usize = 8192;

/// What is logged unless the environment says otherwise.
pub const DEFAULT_FILTER: &str = "info,pingora=warn,notify=warn";

/// Nothing below this: the Engine's client writes whole answers to its debug log, and the
/// environment of containers is part of them. One who names the module itself gets them.
const SECRETIVE: &str = "bollard=info";

/// The variables with the filter, in `env_logger`'s syntax; the first that is
/// set and not empty wins.
const FILTER_VARIABLES: [&str; 2] = ["EVENKEEL_LOG", "RUST_LOG"];

/// The variable that overrides the format: `text` or `json`.
const FORMAT_VARIABLE: &str = "EVENKEEL_LOG_FORMAT";

/// Why the process log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// A variable holds something else than it may.
    #[error("{variable}: `{value}` is not {expected}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// The process has a log already.
    #[error("the process log is set up already")]
    Installed(#[source] TryInitError),
}

/// Shape of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
}

/// What the environment asks for.
#[derive(Debug)]
struct Settings {
    filter: EnvFilter,
    format: Format,
}

/// Keeps the log going; writes what is queued when it is dropped.
#[derive(Debug)]
#[must_use = "the log ends when this is dropped"]
pub struct LogGuard {
    dropped: Dropped,
    _worker: WorkerGuard,
}

impl LogGuard {
    /// The count of lines dropped, for the metrics.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped.clone()
    }
}

/// Counts the lines that found the queue full.
#[derive(Clone, Debug)]
pub struct Dropped(ErrorCounter);

impl Dropped {
    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.dropped_lines() as u64
    }
}

/// Sets the process log up as the environment asks; once per process.
pub fn install() -> Result<LogGuard, LoggingError> {
    let settings = Settings::read(|name| env::var(name).ok(), io::stderr().is_terminal())?;
    let (writer, worker) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE_LINES)
        .lossy(true)
        .thread_name("log")
        .finish(io::stderr());
    let dropped = Dropped(writer.error_counter());
    subscriber(settings, writer)
        .try_init()
        .map_err(LoggingError::Installed)?;
    Ok(LogGuard {
        dropped,
        _worker: worker,
    })
}

impl Settings {
    fn read(
        variable: impl Fn(&str) -> Option<String>,
        terminal: bool,
    ) -> Result<Self, LoggingError> {
        let set = |name: &'static str| {
            let value = variable(name).filter(|value| !value.is_empty());
            value.map(|value| (name, value))
        };
        let refused = |variable, value, expected| LoggingError::Variable {
            variable,
            value,
            expected,
        };
        let filter = match FILTER_VARIABLES.into_iter().find_map(set) {
            None => EnvFilter::new(DEFAULT_FILTER),
            Some((name, value)) => EnvFilter::builder()
                .parse(&value)
                .map_err(|_| refused(name, value, "a filter such as `info,pingora=warn`"))?,
        };
        let format = match set(FORMAT_VARIABLE) {
            None if terminal => Format::Text,
            None => Format::Json,
            Some((name, value)) => match &*value {
                "text" => Format::Text,
                "json" => Format::Json,
                _ => return Err(refused(name, value, "`text` or `json`")),
            },
        };
        Ok(Self { filter, format })
    }
}

fn subscriber<W>(settings: Settings, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let secretive = SECRETIVE.parse().expect("a constant directive is sound");
    let filter = settings.filter.add_directive(secretive);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match settings.format {
        Format::Text => Box::new(registry.with(lines.with_ansi(io::stderr().is_terminal()))),
        Format::Json => Box::new(registry.with(lines.json().flatten_event(true))),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn settings(variables: &[(&str, &str)], terminal: bool) -> Result<Settings, LoggingError> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(variable, terminal)
    }

    fn filter(variables: &[(&str, &str)]) -> String {
        settings(variables, true).unwrap().filter.to_string()
    }

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written for two events of ours, two of Pingora's and one of the Engine's client.
    fn written(settings: Settings) -> String {
        let memory = Memory::default();
        let writer = memory.clone();
        let subscriber = subscriber(settings, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(port = 5000, "listening\nforged");
            tracing::info!(target: "pingora_core::server", "chatter");
            tracing::warn!(target: "pingora_proxy", "trouble");
            tracing::debug!("detail");
            tracing::debug!(target: "bollard::docker", "PASSWORD=hunter2");
        });
        let bytes = memory.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_first_variable_that_is_set_wins() {
        assert_eq!(filter(&[("RUST_LOG", "debug")]), "debug");
        assert_eq!(
            filter(&[("RUST_LOG", "debug"), ("EVENKEEL_LOG", "error")]),
            "error"
        );
        assert_eq!(
            filter(&[("EVENKEEL_LOG", ""), ("RUST_LOG", "warn")]),
            "warn"
        );
        assert_eq!(filter(&[]), EnvFilter::new(DEFAULT_FILTER).to_string());
    }

    #[test]
    fn the_document_says_so() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/logs.md");
        let document = std::fs::read_to_string(path).unwrap();
        let names = FILTER_VARIABLES.into_iter().chain([FORMAT_VARIABLE]);
        for word in names.chain([DEFAULT_FILTER]) {
            assert!(document.contains(&format!("`{word}`")), "{word}");
        }
        assert_eq!(QUEUE_LINES, 8192);
    }

    #[test]
    fn a_wrong_value_is_refused_by_name() {
        let error = settings(&[("EVENKEEL_LOG", "evenkeel=loud")], true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "EVENKEEL_LOG: `evenkeel=loud` is not a filter such as `info,pingora=warn`"
        );
        let error = settings(&[("EVENKEEL_LOG_FORMAT", "xml")], true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "EVENKEEL_LOG_FORMAT: `xml` is not `text` or `json`"
        );
    }

    #[test]
    fn a_terminal_gets_text_and_a_collector_json() {
        let format =
            |variables: &[(&str, &str)], terminal| settings(variables, terminal).unwrap().format;
        assert_eq!(format(&[], true), Format::Text);
        assert_eq!(format(&[], false), Format::Json);
        assert_eq!(format(&[(FORMAT_VARIABLE, "json")], true), Format::Json);
        assert_eq!(format(&[(FORMAT_VARIABLE, "text")], false), Format::Text);
    }

    #[test]
    fn pingora_is_heard_from_warnings_on() {
        let text = written(settings(&[], true).unwrap());
        assert!(
            text.contains("listening") && text.contains("port=5000"),
            "{text}"
        );
        assert!(text.contains("trouble"), "{text}");
        assert!(
            !text.contains("chatter") && !text.contains("detail"),
            "{text}"
        );
    }

    #[test]
    fn what_containers_are_given_is_not_logged() {
        for filter in ["debug", "trace,pingora=warn"] {
            let text = written(settings(&[("EVENKEEL_LOG", filter)], true).unwrap());
            assert!(text.contains("detail"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[test]
    fn a_json_line_is_flat_and_whole() {
        let text = written(settings(&[], false).unwrap());
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0]["message"], "listening\nforged");
        assert_eq!(lines[0]["port"], 5000);
        assert_eq!(lines[0]["level"], "INFO");
        assert_eq!(lines[1]["target"], "pingora_proxy");
    }
}
