//! A real DNS server: dnsmasq, from the distribution's package `dnsmasq-base`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::deadline::{eventually, wait_until};
use super::folder::Folder;
use super::ports::{Port, is_listening};

/// Where the distribution puts it, which is not in everybody's `PATH`.
const USUAL: &str = "/usr/sbin/dnsmasq";

/// A name server for the names below `test`; ends with the test.
pub(crate) struct NameServer {
    folder: Folder,
    port: Port,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl NameServer {
    /// Knows what the arguments say, `--host-record=app.test,127.0.0.1,60`, and the names of
    /// [`Self::set_hosts`].
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = Folder::new();
        folder.write("hosts", "");
        let mut server = Self {
            folder,
            port: Port::reserve(),
            arguments: Vec::new(),
            child: None,
        };
        server.restart(arguments);
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// From now on it knows this instead.
    pub(crate) fn restart(&mut self, arguments: &[&str]) {
        self.stop();
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        let file = |name: &str| self.folder.path(name).display().to_string();
        let child = Command::new(binary())
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file=",
            ])
            .args(["--no-resolv", "--no-hosts", "--local=/test/", "--user=root"])
            .args([
                "--bind-interfaces",
                "--listen-address=127.0.0.1",
                "--log-queries",
            ])
            .arg(format!("--port={}", self.address().port()))
            .arg(format!("--addn-hosts={}", file("hosts")))
            .arg(format!("--log-facility={}", file("log")))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .spawn()
            .expect("dnsmasq runs");
        self.child = Some(child);
        let address = self.address();
        wait_until("dnsmasq listens", || is_listening(address));
    }

    /// The same as it was, after a [`Self::stop`].
    pub(crate) fn resume(&mut self) {
        let arguments = self.arguments.clone();
        self.restart(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// Answers nobody any more.
    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Names and their addresses, `(app.test, 127.0.0.2)`, in place of those before.
    pub(crate) fn set_hosts(&self, hosts: &[(&str, SocketAddr)]) {
        let lines = hosts
            .iter()
            .map(|(name, at)| format!("{} {name}\n", at.ip()));
        self.folder.write("hosts", &lines.collect::<String>());
        let child = self.child.as_ref().expect("it runs");
        let hangup = ["-HUP", &child.id().to_string()];
        let status = Command::new("kill").args(hangup).status();
        assert!(status.expect("kill runs").success());
    }

    /// How often this was asked for so far: `A`, `AAAA`, `SRV`.
    pub(crate) fn asked(&self, kind: &str, name: &str) -> usize {
        let log = std::fs::read_to_string(self.folder.path("log")).unwrap_or_default();
        let question = format!("query[{kind}] {name} ");
        log.lines().filter(|line| line.contains(&question)).count()
    }

    /// Waits until this was asked for so many times more.
    #[track_caller]
    pub(crate) fn wait_for_questions(&self, count: usize, kind: &str, name: &str) {
        let goal = self.asked(kind, name) + count;
        eventually(&format!("{count} further questions for {name}"), || {
            (self.asked(kind, name) >= goal).then_some(())
        });
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path("log")).unwrap_or_default();
            super::show(&format!("--- dnsmasq\n{log}"));
        }
        self.stop();
    }
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("dnsmasq"));
    let mut all = named.chain([PathBuf::from(USUAL)]);
    let found = all.find(|file| file.is_file());
    found.expect("dnsmasq is needed and not here: run `.ci/install test`")
}
