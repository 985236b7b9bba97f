//! A real haproxy with `docker-api-proxy/haproxy.cfg` before an Engine.

use std::fs::File;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::deadline::wait_until;
use super::engine::Engine;
use super::folder::Folder;
use super::ports::{Port, is_listening};

/// Where the distribution puts it, which is not in everybody's `PATH`.
const USUAL: &str = "/usr/sbin/haproxy";

/// The filter before an Engine of its own; ends with the test.
pub(crate) struct Filter {
    /// What it stands before.
    pub(crate) engine: Engine,
    proxy: Proxy,
}

/// The filter before any Engine; ends with the test.
pub(crate) struct Proxy {
    folder: Folder,
    port: Port,
    child: Child,
}

impl Filter {
    /// With these variables in its environment.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let socket = folder.path("docker.sock");
        Self {
            engine: Engine::on_socket(&socket),
            proxy: Proxy::before(&socket, folder, settings),
        }
    }
}

impl Deref for Filter {
    type Target = Proxy;

    fn deref(&self) -> &Proxy {
        &self.proxy
    }
}

impl Proxy {
    /// Before the Engine at a socket, with these variables in its environment; `folder` has its log.
    pub(crate) fn before(socket: &Path, folder: Folder, settings: &[(&str, &str)]) -> Self {
        let port = Port::reserve();
        let log = File::create(folder.path("log")).expect("the build folder is writable");
        let child = command()
            .arg("-db")
            .env("DOCKER_API_LISTEN", port.address().to_string())
            .env("DOCKER_API_ENGINE", format!("unix@{}", socket.display()))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("descriptors are left"))
            .stderr(log)
            .spawn()
            .expect("haproxy runs");
        let address = port.address();
        let proxy = Self {
            folder,
            port,
            child,
        };
        wait_until("haproxy listens", || is_listening(address));
        proxy
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What it wrote so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path("log")).unwrap_or_default()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if std::thread::panicking() {
            super::show(&format!("--- haproxy\n{}", self.log()));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// It with the file, and without what the environment says about it.
pub(crate) fn command() -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-api-proxy/haproxy.cfg");
    let mut command = Command::new(binary());
    command.arg("-f").arg(file);
    for name in ["LISTEN", "ENGINE", "SCALING", "SWARM", "PROJECT", "BINDS"] {
        command.env_remove(format!("DOCKER_API_{name}"));
    }
    command
}

fn binary() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path).map(|folder| folder.join("haproxy"));
    let unpacked = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../tools/haproxy");
    let mut all = named.chain([PathBuf::from(USUAL), unpacked]);
    let found = all.find(|file| file.is_file());
    found.expect("haproxy is needed and not here: run `.ci/install test`")
}
