//! What the environment changes about the file, for containers.
//!
//! | variable | what it changes |
//! |---|---|
//! | `PORT` | the port of the first listener |
//! | `BACKEND_SERVERS` | the backends of the default upstream: `host:port[=weight],...` |
//! | `DEFAULT_ALGORITHM` | the algorithm of the default upstream |
//! | `WORKER_COUNT` | `server.workers`: a number or `auto` |
//! | `HEALTH_CHECK_INTERVAL` | milliseconds between the active checks of every upstream that has them |
//!
//! The default upstream is the one called `default`, otherwise the first in the
//! file. An empty variable is as good as none.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::config::algorithm::Choice;
use crate::config::format::{BackendAddress, DurationText, Format};
use crate::config::node::{Node, Value};
use crate::config::problem::{Place, Problems, did_you_mean, quoted};
use crate::config::raw::{self, Written};
use crate::config::substitute::Env;

/// Variables that later versions read.
const LATER: [&str; 1] = ["REDIS_URL"];
/// The most backends an upstream may have.
const MAX_BACKENDS: usize = 10_000;
/// The most workers.
const MAX_WORKERS: u32 = 1024;
/// Milliseconds from one check to the next, the same as in the file.
const INTERVALS: RangeInclusive<u64> = 100..=3_600_000;

/// What the environment says.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    port: Option<u16>,
    backends: Option<Vec<raw::Backend>>,
    algorithm: Option<Choice>,
    workers: Option<raw::Workers>,
    check_interval: Option<Written<DurationText>>,
}

impl Overrides {
    /// Reads the variables; what cannot be read is noted and changes nothing.
    pub(crate) fn read(env: Env<'_>, problems: &mut Problems) -> Self {
        let mut read = Reader { env, problems };
        for name in LATER {
            read.variable(name, |_| Err::<(), _>("not supported yet".to_owned()));
        }
        Self {
            port: read.variable("PORT", port),
            backends: read.list("BACKEND_SERVERS", backends),
            algorithm: read.variable("DEFAULT_ALGORITHM", algorithm),
            workers: read.variable("WORKER_COUNT", workers),
            check_interval: read.variable("HEALTH_CHECK_INTERVAL", check_interval),
        }
    }

    /// Changes the file as written.
    pub(crate) fn apply(self, written: &mut raw::Config, root: &Node, problems: &mut Problems) {
        if let Some(port) = self.port
            && let Some(address) = written
                .listeners
                .first_mut()
                .and_then(|one| one.address.as_mut())
        {
            address.value.set_port(port);
        }
        if let Some(workers) = self.workers {
            written.server.workers = workers;
        }
        if let Some(interval) = &self.check_interval {
            let upstreams = written.upstreams.values_mut();
            for check in upstreams.filter_map(|upstream| upstream.health.active.as_mut()) {
                set_interval(check, interval);
            }
        }
        let Some(upstream) = default_upstream(written, root) else {
            self.note_no_upstream(problems);
            return;
        };
        if let Some(backends) = self.backends {
            upstream.backends = backends;
        }
        if let Some(algorithm) = self.algorithm {
            upstream.algorithm = Some(raw::AlgorithmName(algorithm));
        }
    }

    fn note_no_upstream(&self, problems: &mut Problems) {
        let variables = [
            ("BACKEND_SERVERS", self.backends.is_some()),
            ("DEFAULT_ALGORITHM", self.algorithm.is_some()),
        ];
        for (name, _) in variables.iter().filter(|(_, given)| *given) {
            problems.add(
                Place::Environment,
                *name,
                "the file has no upstream that it could change",
            );
        }
    }
}

/// A longer timeout is cut: it was chosen for the interval that is replaced.
fn set_interval(check: &mut raw::ActiveCheck, interval: &Written<DurationText>) {
    check.interval = Some(interval.clone());
    if let Some(timeout) = &mut check.timeout
        && timeout.value > interval.value
    {
        *timeout = interval.clone();
    }
}

fn default_upstream<'c>(
    written: &'c mut raw::Config,
    root: &Node,
) -> Option<&'c mut raw::Upstream> {
    let first = match &root.get("upstreams")?.value {
        Value::Map(entries) => entries.first().map(|entry| entry.key.as_str()),
        _ => None,
    };
    let name = if written.upstreams.contains_key("default") {
        Some("default")
    } else {
        first
    };
    written.upstreams.get_mut(name?)
}

struct Reader<'r> {
    env: Env<'r>,
    problems: &'r mut Problems,
}

impl Reader<'_> {
    fn variable<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        self.list(name, |text| parse(text).map_err(|message| vec![message]))
    }

    /// A variable that may have several things wrong with it.
    fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, Vec<String>>) -> Option<T> {
        let text = (self.env)(name).filter(|text| !text.is_empty())?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(messages) => {
                for message in messages {
                    self.problems.add(Place::Environment, name, message);
                }
                None
            }
        }
    }
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!(
            "expected a port from 1 to 65535, found {}",
            quoted(text)
        )),
        Ok(port) => Ok(port),
    }
}

fn workers(text: &str) -> Result<raw::Workers, String> {
    if text == "auto" {
        return Ok(raw::Workers::Auto(raw::Auto::Auto));
    }
    match text.parse() {
        Ok(count) if (1..=MAX_WORKERS).contains(&count) => Ok(raw::Workers::Count(count)),
        _ => Err(format!(
            "expected `auto` or an integer from 1 to {MAX_WORKERS}, found {}",
            quoted(text)
        )),
    }
}

fn check_interval(text: &str) -> Result<Written<DurationText>, String> {
    match text.parse::<u64>() {
        Ok(milliseconds) if INTERVALS.contains(&milliseconds) => {
            Ok(Written::of(&format!("{milliseconds}ms")))
        }
        _ => Err(format!(
            "expected milliseconds from {} to {}, found {}",
            INTERVALS.start(),
            INTERVALS.end(),
            quoted(text)
        )),
    }
}

fn algorithm(text: &str) -> Result<Choice, String> {
    Choice::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Choice::names().collect();
        let near = did_you_mean(text, names.iter().copied());
        format!(
            "expected one of {}, found {}{near}",
            names.join(", "),
            quoted(text)
        )
    })
}

fn backends(text: &str) -> Result<Vec<raw::Backend>, Vec<String>> {
    let mut backends: Vec<raw::Backend> = Vec::new();
    let mut addresses = BTreeSet::new();
    let mut wrong = Vec::new();
    for item in text.split(',').map(str::trim).take(MAX_BACKENDS + 1) {
        match backend(item) {
            Ok(backend) => {
                let address = backend
                    .address
                    .as_ref()
                    .map(|address| address.value.clone());
                if !addresses.insert(address) {
                    wrong.push(format!("the backend {} is there twice", quoted(item)));
                }
                backends.push(backend);
            }
            Err(message) => wrong.push(message),
        }
    }
    if backends.len() > MAX_BACKENDS {
        wrong.push(format!("at most {MAX_BACKENDS} backends allowed"));
    }
    if wrong.is_empty() {
        Ok(backends)
    } else {
        Err(wrong)
    }
}

fn backend(item: &str) -> Result<raw::Backend, String> {
    let (address, weight) = match item.split_once('=') {
        Some((address, weight)) => (address, weight),
        None => (item, "1"),
    };
    let weight = match weight.parse() {
        Ok(weight) if (1..=65_535).contains(&weight) => weight,
        _ => {
            let found = quoted(weight);
            return Err(format!(
                "expected a weight from 1 to 65535, found {found} in {}",
                quoted(item)
            ));
        }
    };
    if let Err(reason) = BackendAddress::parse(address) {
        let mut message = format!(
            "expected {}, found {}",
            BackendAddress::EXPECTED,
            quoted(address)
        );
        if !reason.is_empty() {
            message.push_str(": ");
            message.push_str(&reason);
        }
        return Err(message);
    }
    Ok(raw::Backend {
        address: Some(Written::of(address)),
        weight,
        ..raw::Backend::default()
    })
}
