//! The real binary with a configuration of its own, run for one test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::backend::Backend;
use super::client::{Client, Response};
use super::deadline::{PATIENCE, eventually, wait_until, within};
use super::metrics::Scrape;
use super::ports::{Port, is_listening};
use super::process::Process;

/// Keeps the admin API off. Its default is one fixed port, and tests run side by side.
const OFF: &str = "admin: null\n";

/// A configuration in the making: one listener `web`, one route `all`, one upstream `main`.
pub(crate) struct Setup {
    backends: Vec<String>,
    server: Vec<String>,
    listener: Vec<String>,
    route: Vec<String>,
    upstream: Vec<String>,
    admin: String,
}

impl Setup {
    /// Forwards everything to these backends.
    pub(crate) fn new(backends: &[&Backend]) -> Self {
        let none = Self {
            backends: Vec::new(),
            server: vec!["workers: 2".to_owned()],
            listener: Vec::new(),
            route: Vec::new(),
            upstream: Vec::new(),
            admin: OFF.to_owned(),
        };
        backends
            .iter()
            .fold(none, |setup, backend| setup.backend(backend.address(), ""))
    }

    /// Adds a backend with more keys: `weight: 5`.
    pub(crate) fn backend(mut self, address: SocketAddr, keys: &str) -> Self {
        let comma = if keys.is_empty() { "" } else { ", " };
        self.backends
            .push(format!("{{ address: \"{address}\"{comma}{keys} }}"));
        self
    }

    /// Adds a key to `server`.
    pub(crate) fn server(mut self, key: &str) -> Self {
        self.server.push(key.to_owned());
        self
    }

    /// Adds a key to the listener.
    pub(crate) fn listener(mut self, key: &str) -> Self {
        self.listener.push(key.to_owned());
        self
    }

    /// Adds a key to the route.
    pub(crate) fn route(mut self, key: &str) -> Self {
        self.route.push(key.to_owned());
        self
    }

    /// Adds a key to the upstream.
    pub(crate) fn upstream(mut self, key: &str) -> Self {
        self.upstream.push(key.to_owned());
        self
    }

    /// Turns the admin API on, on a free port, with more keys: `token: secret`. See [`Evenkeel::admin`].
    pub(crate) fn admin(mut self, keys: &str) -> Self {
        let comma = if keys.is_empty() { "" } else { ", " };
        self.admin = format!("admin: {{ address: \"@admin@\"{comma}{keys} }}\n");
        self
    }

    /// The file, with `@web@` and `@metrics@` where addresses go.
    pub(crate) fn yaml(&self) -> String {
        let block = |indent: usize, keys: &[String]| {
            let line = |key: &String| format!("{:indent$}{key}\n", "");
            keys.iter().map(line).collect::<Vec<_>>().concat()
        };
        format!(
            "server:\n{}listeners:\n  - name: web\n    address: \"@web@\"\n{}\
             routes:\n  - name: all\n    match: {{ path: {{ prefix: / }} }}\n    upstream: main\n{}\
             upstreams:\n  main:\n    backends:\n{}{}metrics: {{ address: \"@metrics@\" }}\n{}",
            block(2, &self.server),
            block(4, &self.listener),
            block(4, &self.route),
            block(
                6,
                &self
                    .backends
                    .iter()
                    .map(|backend| format!("- {backend}"))
                    .collect::<Vec<_>>()
            ),
            block(4, &self.upstream),
            self.admin,
        )
    }

    /// Runs it.
    pub(crate) fn start(&self) -> Evenkeel {
        Evenkeel::start(&self.yaml())
    }
}

/// A running Evenkeel; killed when dropped, its output shown when the test failed.
pub(crate) struct Evenkeel {
    process: Process,
    ports: Arc<BTreeMap<String, Port>>,
    config: PathBuf,
    folder: PathBuf,
}

impl Evenkeel {
    /// Runs a configuration and returns when its addresses listen. Each `@name@` in it
    /// becomes a free address, to be asked for with [`Self::address`]. Where `admin` is not
    /// mentioned, it is off.
    pub(crate) fn start(yaml: &str) -> Self {
        let launched = Self::launch(yaml, &[]);
        launched.wait_for_listeners();
        launched
    }

    /// Like [`Self::start`], with environment variables.
    pub(crate) fn start_with_env(yaml: &str, env: &[(&str, &str)]) -> Self {
        let launched = Self::launch(yaml, env);
        launched.wait_for_listeners();
        launched
    }

    /// Runs a configuration that is not expected to come up.
    pub(crate) fn launch(yaml: &str, env: &[(&str, &str)]) -> Self {
        let (mut text, ports) = with_ports(yaml);
        if !text.lines().any(|line| line.starts_with("admin:")) {
            text.push('\n');
            text.push_str(OFF);
        }
        let folder = private_folder();
        let config = folder.join("evenkeel.yaml");
        std::fs::write(&config, &text).expect("the build folder is writable");
        let process = Process::spawn(&config, &[], env);
        Self {
            process,
            ports: Arc::new(ports),
            config,
            folder,
        }
    }

    /// A second process with the same configuration that takes the sockets over from this one.
    pub(crate) fn upgrade(&self) -> Process {
        Process::spawn(&self.config, &["--upgrade"], &[])
    }

    /// `kill -9`: nothing is finished, nobody is told.
    pub(crate) fn kill(&self) {
        self.process.signal("KILL");
        wait_until("it is dead", || self.process.has_exited());
    }

    /// Runs again, with the same configuration on the same ports.
    pub(crate) fn restart(&mut self) {
        self.process = Process::spawn(&self.config, &[], &[]);
        self.wait_for_listeners();
    }

    /// Puts another configuration into the file, as an editor does: by renaming a new one over it.
    /// `@name@` stands for what it stood for at the start.
    pub(crate) fn rewrite(&self, yaml: &str) {
        let mut text = String::new();
        for (index, part) in yaml.split('@').enumerate() {
            if index % 2 == 0 {
                text.push_str(part);
            } else {
                text.push_str(&self.address(part).to_string());
            }
        }
        if !text.lines().any(|line| line.starts_with("admin:")) {
            text.push('\n');
            text.push_str(OFF);
        }
        let new = self.folder.join("new.yaml");
        std::fs::write(&new, text).expect("the build folder is writable");
        std::fs::rename(&new, &self.config).expect("the build folder is writable");
    }

    /// Reloads so far: those that were taken, and those that were refused.
    pub(crate) fn reloads(&self) -> (f64, f64) {
        let scrape = self.metrics();
        let count = |result| scrape.sum("evenkeel_config_reloads_total", &[("result", result)]);
        (count("applied"), count("refused"))
    }

    /// Rewrites the file and returns when what it says is in force.
    #[track_caller]
    pub(crate) fn reload(&self, yaml: &str) {
        assert!(self.try_reload(yaml), "refused\n{}", self.process.stderr());
    }

    /// Rewrites the file, which must be another than before; whether it was taken.
    #[track_caller]
    pub(crate) fn try_reload(&self, yaml: &str) -> bool {
        let before = self.reloads();
        self.rewrite(yaml);
        let after = eventually("the file is noticed", || {
            let now = self.reloads();
            (now != before).then_some(now)
        });
        after.0 > before.0
    }

    /// The configuration file.
    pub(crate) fn config_file(&self) -> &Path {
        &self.config
    }

    fn wait_for_listeners(&self) {
        for (name, port) in self.ports.iter() {
            let up = within(PATIENCE, || {
                (is_listening(port.address()) || self.process.has_exited()).then_some(())
            });
            let alive = up.is_some() && !self.process.has_exited();
            assert!(
                alive,
                "Evenkeel does not listen on {name} ({})\n{}",
                port.address(),
                self.process.output()
            );
        }
    }

    /// The address that stands for `@name@`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        let port = self
            .ports
            .get(name)
            .unwrap_or_else(|| panic!("no @{name}@ in the configuration"));
        port.address()
    }

    /// The address of the listener `web`.
    pub(crate) fn web(&self) -> SocketAddr {
        self.address("web")
    }

    /// The address of the admin API, where [`Setup::admin`] turned it on.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.address("admin")
    }

    /// A new connection to the listener `web`.
    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.web())
    }

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.connect().request("GET", target, &[], b"")
    }

    /// The metrics at this moment.
    pub(crate) fn metrics(&self) -> Scrape {
        Scrape::of(self.address("metrics"))
    }

    /// The sum of the series of this name whose labels include these.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().sum(name, labels)
    }

    /// Waits until the metric has the value.
    #[track_caller]
    pub(crate) fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        wait_until(&format!("{name}{labels:?} is {value}"), || {
            (self.metric(name, labels) - value).abs() < 1e-9
        });
    }

    /// Access log lines as JSON, once there are `count` of them.
    pub(crate) fn access_log(&self, count: usize) -> Vec<serde_json::Value> {
        eventually(&format!("{count} access log lines"), || {
            let lines: Vec<_> = self
                .process
                .stdout()
                .lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .filter(|line| line.get("status").is_some())
                .collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// What the process log says so far, without what goes around it.
    pub(crate) fn messages(&self) -> Vec<String> {
        let stderr = self.process.stderr();
        let lines = stderr
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        lines
            .filter_map(|line| Some(line["message"].as_str()?.to_owned()))
            .collect()
    }

    /// What the process has said.
    pub(crate) fn log(&self) -> String {
        self.process.stderr() + &self.process.stdout()
    }

    /// The process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }
}

impl Drop for Evenkeel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let config = std::fs::read_to_string(&self.config).unwrap_or_default();
            super::show(&format!("--- configuration\n{config}"));
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn with_ports(yaml: &str) -> (String, BTreeMap<String, Port>) {
    let mut ports = BTreeMap::new();
    let mut text = String::new();
    for (index, part) in yaml.split('@').enumerate() {
        if index % 2 == 0 {
            text.push_str(part);
        } else {
            let port: &Port = ports.entry(part.to_owned()).or_insert_with(Port::reserve);
            text.push_str(&port.address().to_string());
        }
    }
    (text, ports)
}

/// An empty folder that nobody else has.
pub(crate) fn private_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("it-{}-{number}", std::process::id());
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("the build folder is writable");
    folder
}
