//! A child process: signals, its end, and what it said.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::deadline::{wait_until, within};

/// Environment variables that change a configuration; a test sets its own.
const OVERRIDES: [&str; 6] = [
    "PORT",
    "BACKEND_SERVERS",
    "DEFAULT_ALGORITHM",
    "REDIS_URL",
    "WORKER_COUNT",
    "HEALTH_CHECK_INTERVAL",
];

/// A child process with its output collected.
pub(crate) struct Process {
    child: Mutex<Child>,
    pid: u32,
    stdout: Output,
    stderr: Output,
}

/// What a pipe has said so far, and the thread that listens.
struct Output {
    text: Arc<Mutex<String>>,
    listener: JoinHandle<()>,
}

impl Process {
    /// Runs Evenkeel with this file.
    pub(super) fn spawn(config: &Path, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command.arg("run").arg("--config").arg(config).args(flags);
        for name in OVERRIDES {
            command.env_remove(name);
        }
        // Where a socket for handing over may lie: not shared with other tests.
        if let Some(folder) = config.parent() {
            command.env("TMPDIR", folder).env("XDG_RUNTIME_DIR", folder);
        }
        command.envs(env.iter().copied());
        Self::of(command)
    }

    /// Runs any command line of the binary.
    pub(crate) fn evenkeel(arguments: &[&str]) -> Self {
        Self::evenkeel_with_env(arguments, &[])
    }

    /// Like [`Self::evenkeel`], with environment variables.
    pub(crate) fn evenkeel_with_env(arguments: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = Command::new(binary());
        command.args(arguments).envs(env.iter().copied());
        Self::of(command)
    }

    /// Runs any program.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program is there: the binary was built for this test");
        let stdout = collect(child.stdout.take().expect("stdout is piped"));
        let stderr = collect(child.stderr.take().expect("stderr is piped"));
        Self {
            pid: child.id(),
            child: Mutex::new(child),
            stdout,
            stderr,
        }
    }

    /// Sends a signal: `TERM`, `INT`, `QUIT`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        assert!(!self.has_exited(), "the process is gone before SIG{name}");
        let line = format!("kill -{name} {}", self.pid);
        let status = Command::new("sh")
            .args(["-c", &line])
            .status()
            .expect("sh runs");
        assert!(status.success(), "{line}");
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.try_wait().is_some()
    }

    /// Whether the process listens on a Unix socket: an heir that waits for the sockets.
    pub(crate) fn listens_on_a_unix_socket(&self) -> bool {
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{}/fd", self.pid)) else {
            return false;
        };
        let own: Vec<String> = descriptors
            .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter_map(|link| {
                Some(
                    link.to_str()?
                        .strip_prefix("socket:[")?
                        .trim_end_matches(']')
                        .to_owned(),
                )
            })
            .collect();
        let table = std::fs::read_to_string("/proc/net/unix").expect("Linux lists its sockets");
        // Columns: number, references, protocol, flags, type, state, inode, path.
        table.lines().any(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            columns.get(3) == Some(&"00010000")
                && columns
                    .get(6)
                    .is_some_and(|inode| own.iter().any(|o| o == inode))
        })
    }

    fn try_wait(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().expect("no holder panics");
        child.try_wait().expect("the child is ours to wait for")
    }

    /// The exit status, once the process ends by itself within `limit`.
    #[track_caller]
    pub(crate) fn exit_within(&self, limit: Duration) -> ExitStatus {
        let status = within(limit, || self.try_wait())
            .unwrap_or_else(|| panic!("still running after {limit:?}\n{}", self.output()));
        wait_until("its last words are read", || {
            self.stdout.listener.is_finished() && self.stderr.listener.is_finished()
        });
        status
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text.lock().expect("no holder panics").clone()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text.lock().expect("no holder panics").clone()
    }

    /// All that it said.
    pub(super) fn output(&self) -> String {
        format!(
            "--- stdout\n{}\n--- stderr\n{}",
            self.stdout(),
            self.stderr()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            super::show(&self.output());
        }
    }
}

/// The binary Cargo built for this test, or the one `EVENKEEL_BIN` names: a release build.
fn binary() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_evenkeel");
    std::env::var_os("EVENKEEL_BIN").map_or_else(|| built.into(), PathBuf::from)
}

fn collect(pipe: impl Read + Send + 'static) -> Output {
    let text = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&text);
    let listener = std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { break };
            let mut text = sink.lock().expect("no holder panics");
            text.push_str(&String::from_utf8_lossy(&line));
            text.push('\n');
        }
    });
    Output { text, listener }
}
