//! A shell in a directory of its own that runs what a document shows.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use regex::{Captures, Regex};

use crate::markdown::root;
use crate::ports::{Port, is_listening};

/// Commands that are shown and not run: how they begin, and why.
pub(crate) const NOT_RUN: [(&str, &str); 3] = [
    (
        "make ",
        "builds or tests everything; the target must exist in the Makefile",
    ),
    (
        ".ci/run",
        "runs all tests, this one included; the file must exist",
    ),
    (
        "docker ",
        "needs an Engine; services, variables and arguments must exist",
    ),
];

/// What `make demo` runs, which is run in its place.
pub(crate) const MAKE_DEMO: &str = "evenkeel demo";

/// How long a command may take, and a process in the background until it listens.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

const DONE: &str = "--- done";

/// One shell. It and all it started end with it.
pub(crate) struct Shell {
    bash: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    directory: PathBuf,
    ports: Ports,
    backgrounds: usize,
}

/// What a command printed and how it ended.
pub(crate) struct Ran {
    pub(crate) output: String,
    pub(crate) status: i32,
}

impl Shell {
    /// A shell for the document called `name`.
    pub(crate) fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("documents-{name}-{}", std::process::id()));
        // What a run before this one left, if it was killed.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("the directory can be made");
        let mut bash = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(&directory)
            .env_clear()
            .env("PATH", path_with_evenkeel())
            .env("HOME", &directory)
            .env("TMPDIR", &directory)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("bash is there");
        let mut input = bash.stdin.take().expect("stdin is piped");
        let output = bash.stdout.take().expect("stdout is piped");
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        input.write_all(b"exec 2>&1\n").expect("bash reads");
        let mut shell = Self {
            bash,
            input,
            lines,
            directory,
            ports: Ports::default(),
            backgrounds: 0,
        };
        shell.copy_conf();
        shell
    }

    fn copy_conf(&mut self) {
        fs::create_dir(self.directory.join("conf")).expect("the directory is new");
        for entry in fs::read_dir(root().join("conf")).expect("conf/ is there") {
            let path = entry.expect("conf/ can be listed").path();
            let text = fs::read_to_string(&path).expect("its files are text");
            let name = path.file_name().and_then(|name| name.to_str());
            self.write(&format!("conf/{}", name.expect("a plain name")), &text);
        }
    }

    /// Puts a file of the document where its commands find it. A configuration that leaves the
    /// admin API at its default address names it, so that it gets a free port like any other.
    pub(crate) fn write(&mut self, name: &str, text: &str) {
        let has = |key: &str| text.lines().any(|line| line.starts_with(key));
        let default = if has("listeners:") && !has("admin:") {
            "\nadmin: { address: \"127.0.0.1:9901\" }\n"
        } else {
            ""
        };
        let text = self.ports.hide(&format!("{text}{default}"));
        fs::write(self.directory.join(name), text).expect("the file can be written");
    }

    /// Runs one command as it stands in the document.
    pub(crate) fn run(&mut self, command: &str) -> Ran {
        if command == MAKE_DEMO || command == "make demo" {
            let [web, metrics, admin] = ["5000", "8000", "9901"].map(|port| self.ports.of(port));
            let (web_port, metrics_port) = (web.port(), metrics.port());
            let admin_port = admin.port();
            let ports = format!(
                "--port {web_port} --metrics-port {metrics_port} --admin-port {admin_port}"
            );
            return self.start(&format!("{MAKE_DEMO} {ports}"), &[web, metrics, admin]);
        }
        let hidden = self.ports.hide(command);
        if let Some(hidden) = hidden.strip_suffix('&') {
            let listens = self.listens(hidden);
            return self.start(hidden, &listens);
        }
        self.execute(&hidden)
    }

    /// Where a command in the background will listen: the addresses it names, and those in its configuration.
    fn listens(&self, command: &str) -> Vec<SocketAddr> {
        let address = Regex::new(r"127\.0\.0\.1:\d+").expect("a regex");
        let mut found: Vec<SocketAddr> = address
            .find_iter(command)
            .map(|address| address.as_str().parse().expect("an address"))
            .collect();
        let file = Regex::new(r"--config (\S+)").expect("a regex");
        if let Some(name) = file.captures(command) {
            let text = fs::read_to_string(self.directory.join(&name[1])).expect("it was written");
            let config = evenkeel::config::load(&text, &name[1], &|_| None)
                .unwrap_or_else(|errors| panic!("{errors}"));
            found.extend(config.listeners.iter().map(|listener| listener.address));
            found.extend(config.metrics.iter().map(|metrics| metrics.address));
            found.extend(config.admin.iter().map(|admin| admin.address));
        }
        found
    }

    fn start(&mut self, command: &str, listens: &[SocketAddr]) -> Ran {
        self.backgrounds += 1;
        let log = format!("background-{}.log", self.backgrounds);
        let ran = self.execute(&format!("{command} >{log} 2>&1 &"));
        let mut looks = PATIENCE.as_millis() / LOOK.as_millis();
        while !listens.iter().all(|&address| is_listening(address)) {
            looks -= 1;
            let log = fs::read_to_string(self.directory.join(&log)).unwrap_or_default();
            assert!(
                looks > 0,
                "`{command}` does not listen on {listens:?}\n{log}"
            );
            pause();
        }
        ran
    }

    fn execute(&mut self, command: &str) -> Ran {
        // The status goes on to the next command, which may ask for it.
        let script = format!(
            "(exit $status)\n{{ {command}\n}} </dev/null\nstatus=$?\nprintf '\\n%s %s\\n' '{DONE}' \"$status\"\n"
        );
        self.input.write_all(script.as_bytes()).expect("bash reads");
        let mut output = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => match line.strip_prefix(DONE) {
                    Some(status) => {
                        let output = output.join("\n");
                        let output = output.strip_suffix('\n').unwrap_or(&output);
                        return Ran {
                            output: self.ports.show(output),
                            status: status.trim().parse().expect("a status"),
                        };
                    }
                    None => output.push(line),
                },
                Err(RecvTimeoutError::Timeout) => panic!("`{command}` takes too long"),
                Err(RecvTimeoutError::Disconnected) => panic!("`{command}` ended the shell"),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // The group is bash's own: nothing else is in it.
        let group = format!("-{}", self.bash.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.bash.wait();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for another process, under a deadline"
)]
fn pause() {
    std::thread::sleep(LOOK);
}

fn path_with_evenkeel() -> String {
    let evenkeel = Path::new(env!("CARGO_BIN_EXE_evenkeel"));
    let directory = evenkeel.parent().expect("a file is in a directory");
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", directory.display())
}

/// Free ports in place of those the document names.
#[derive(Default)]
struct Ports(BTreeMap<String, Port>);

impl Ports {
    fn of(&mut self, named: &str) -> SocketAddr {
        self.0
            .entry(named.to_owned())
            .or_insert_with(Port::reserve)
            .address()
    }

    fn hide(&mut self, text: &str) -> String {
        let address = Regex::new(r"\b(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)").expect("a regex");
        let hidden =
            address.replace_all(text, |found: &Captures<'_>| self.of(&found[1]).to_string());
        hidden.into_owned()
    }

    fn show(&self, output: &str) -> String {
        let number = Regex::new(r"\d+").expect("a regex");
        let shown = number.replace_all(output, |found: &Captures<'_>| {
            let named = self
                .0
                .iter()
                .find(|(_, port)| port.address().port().to_string() == found[0]);
            named.map_or_else(|| found[0].to_owned(), |(named, _)| named.clone())
        });
        shown.into_owned()
    }
}
