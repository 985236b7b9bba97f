//! What speaks the part of the Docker Engine's API that Evenkeel uses, in the documented form:
//! `GET /_ping`, `GET /v1.45/containers/json` and the stream of `GET /v1.45/events`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::deadline::wait_until;
use super::ports::Port;

/// An Engine whose containers the test makes up.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    endpoint: String,
    _port: Option<Port>,
}

#[derive(Default)]
struct Shared {
    containers: Mutex<Vec<Value>>,
    requests: Mutex<Vec<String>>,
    listeners: Mutex<Vec<Box<dyn Connection>>>,
    is_away: Mutex<bool>,
}

/// A socket of either kind.
trait Connection: Read + Write + Send {
    fn cut(&self);
    fn twin(&self) -> Box<dyn Connection>;
}

impl Connection for TcpStream {
    fn cut(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }

    fn twin(&self) -> Box<dyn Connection> {
        Box::new(self.try_clone().expect("descriptors are left"))
    }
}

impl Connection for UnixStream {
    fn cut(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }

    fn twin(&self) -> Box<dyn Connection> {
        Box::new(self.try_clone().expect("descriptors are left"))
    }
}

impl Engine {
    /// One that is reached over TCP.
    pub(crate) fn on_tcp() -> Self {
        let port = Port::reserve();
        let listener = TcpListener::bind(port.address()).expect("the port is reserved");
        let shared = Shared::serving(move || Some(Box::new(listener.accept().ok()?.0)));
        Self {
            shared,
            endpoint: format!("tcp://{}", port.address()),
            _port: Some(port),
        }
    }

    /// One that is reached over a socket in the file system.
    pub(crate) fn on_socket(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("the folder is writable");
        let shared = Shared::serving(move || Some(Box::new(listener.accept().ok()?.0)));
        Self {
            shared,
            endpoint: format!("unix://{}", path.display()),
            _port: None,
        }
    }

    /// As the configuration has it.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// These containers run from now on, which nobody is told.
    pub(crate) fn set(&self, containers: &[Value]) {
        *self.shared.containers.lock().expect("no holder panics") = containers.to_vec();
    }

    /// Tells an event: `start`, `die`.
    pub(crate) fn tell(&self, action: &str) {
        self.tell_of("any", action, "");
    }

    /// Tells an event of the container with this name: `kill` with the signal `15`.
    pub(crate) fn tell_of(&self, name: &str, action: &str, signal: &str) {
        let event = json!({
            "Type": "container", "Action": action, "scope": "local", "time": 1_700_000_000,
            "Actor": { "ID": id(name), "Attributes": { "name": name, "signal": signal } },
        });
        let line = format!("{event}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        let mut listeners = self.shared.listeners.lock().expect("no holder panics");
        listeners.retain_mut(|listener| listener.write_all(chunk.as_bytes()).is_ok());
    }

    /// Ends every stream of events.
    pub(crate) fn cut(&self) {
        for listener in self
            .shared
            .listeners
            .lock()
            .expect("no holder panics")
            .drain(..)
        {
            listener.cut();
        }
    }

    /// Closes every connection that comes, or serves them again.
    pub(crate) fn go_away(&self, away: bool) {
        *self.shared.is_away.lock().expect("no holder panics") = away;
        if away {
            self.cut();
        }
    }

    /// The paths asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared
            .requests
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// Waits until the containers were listed so many times in all.
    #[track_caller]
    pub(crate) fn wait_for_lists(&self, count: usize) {
        wait_until(&format!("the containers are listed {count} times"), || {
            self.lists() >= count
        });
    }

    /// How often the containers were listed.
    pub(crate) fn lists(&self) -> usize {
        let requests = self.requests();
        requests
            .iter()
            .filter(|path| path.contains("/containers/json"))
            .count()
    }
}

fn id(name: &str) -> String {
    format!("{name}0123456789abcdef")
}

/// A running container as the Engine lists it.
pub(crate) fn container(name: &str, address: SocketAddr, labels: &[(&str, &str)]) -> Value {
    let mut all =
        json!({ "evenkeel.upstream": "main", "evenkeel.port": address.port().to_string() });
    for (label, value) in labels {
        all[label] = json!(value);
    }
    json!({
        "Id": id(name), "Names": [format!("/{name}")], "Image": "app",
        "Command": "/app", "Created": 1_700_000_000, "State": "running", "Status": "Up 2 seconds",
        "Labels": all, "Ports": [{ "PrivatePort": 5000, "Type": "tcp" }],
        "HostConfig": { "NetworkMode": "app_default" }, "Mounts": [],
        "NetworkSettings": { "Networks": { "app_default": {
            "IPAddress": address.ip().to_string(), "IPPrefixLen": 16, "GlobalIPv6Address": "",
        } } },
    })
}

impl Shared {
    /// Serves each connection as it comes.
    fn serving(next: impl Fn() -> Option<Box<dyn Connection>> + Send + 'static) -> Arc<Self> {
        let shared = Arc::new(Self::default());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            while let Some(stream) = next() {
                serving.accept(stream);
            }
        });
        shared
    }

    fn accept(self: &Arc<Self>, stream: Box<dyn Connection>) {
        if *self.is_away.lock().expect("no holder panics") {
            return stream.cut();
        }
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            // A client that goes away ends the connection, not the test.
            let _ = shared.serve(stream);
        });
    }

    fn serve(&self, mut stream: Box<dyn Connection>) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.twin());
        let mut path = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if path.is_empty() {
                line.split(' ')
                    .nth(1)
                    .unwrap_or_default()
                    .clone_into(&mut path);
            }
            if line == "\r\n" {
                break;
            }
        }
        self.requests
            .lock()
            .expect("no holder panics")
            .push(path.clone());
        let bare = path.split('?').next().unwrap_or_default();
        let (status, body) = match bare {
            "/_ping" => ("200 OK\r\nApi-Version: 1.45", "OK".to_owned()),
            "/v1.45/containers/json" => {
                let containers = self.containers.lock().expect("no holder panics");
                ("200 OK", json!(*containers).to_string())
            }
            "/v1.45/events" => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                self.listeners
                    .lock()
                    .expect("no holder panics")
                    .push(stream);
                return Ok(());
            }
            _ => (
                "404 Not Found",
                json!({ "message": "page not found" }).to_string(),
            ),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes())
    }
}
