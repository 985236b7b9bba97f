//! What speaks the part of the Docker Engine's API that Evenkeel uses, in the documented form, with
//! a version in the path or without. `containers` below is what it knows and does, `call` what it
//! is asked, and `container` how it writes one of them.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::deadline::{pause, wait_until};
use super::message::{Reader, Unframed};
use super::ports::Port;
use call::{Asked, Call, Outcome};
use containers::Containers;

pub(crate) mod call;
pub(crate) mod container;
pub(crate) mod containers;

/// An Engine whose containers the test makes up.
pub(crate) struct Engine {
    shared: Arc<Shared>,
    endpoint: String,
    _port: Option<Port>,
}

#[derive(Default)]
struct Shared {
    /// Listed beside those that it handles, whatever is asked for.
    containers: Mutex<Vec<Value>>,
    handled: Mutex<Containers>,
    requests: Mutex<Vec<Asked>>,
    heads: Mutex<Vec<String>>,
    listeners: Mutex<Vec<Box<dyn Connection>>>,
    /// Calls that are not answered.
    hanging: Mutex<Vec<Box<dyn Connection>>>,
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
        let (port, listener) = Port::listening();
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
        self.shared.tell(&id(name), name, action, signal);
    }

    /// Looks at or changes the containers that it handles; what happens to them is told as events.
    pub(crate) fn with<T>(&self, handle: impl FnOnce(&mut Containers) -> T) -> T {
        let value = handle(&mut self.shared.handled.lock().expect("no holder panics"));
        self.shared.tell_happened();
        value
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

    /// All goes well again, and those that are not answered are told so by the end of their
    /// connections.
    pub(crate) fn heal(&self) {
        self.go_away(false);
        self.with(Containers::heal);
        let hanging = std::mem::take(&mut *self.shared.hanging.lock().expect("no holder panics"));
        for connection in hanging {
            connection.cut();
        }
    }

    /// How many requests came so far.
    pub(crate) fn count(&self) -> usize {
        self.shared.requests.lock().expect("no holder panics").len()
    }

    /// The paths asked for so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.path).collect()
    }

    /// What was asked for so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared
            .requests
            .lock()
            .expect("no holder panics")
            .clone()
    }

    /// The heads of all requests so far, as they came.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().expect("no holder panics").clone()
    }

    /// Streams of events that could be written to when the last one was told.
    pub(crate) fn listeners(&self) -> usize {
        let listeners = self.shared.listeners.lock();
        listeners.expect("no holder panics").len()
    }

    /// The calls so far that change something.
    pub(crate) fn changes(&self) -> Vec<Call> {
        let asked = self.asked().into_iter();
        asked
            .filter(|asked| asked.method != "GET")
            .map(|asked| asked.call)
            .collect()
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
        let asked = self.asked();
        asked.iter().filter(|one| one.call == Call::List).count()
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
        let mut reader = Reader::new(stream.twin());
        let Some(mut message) = reader.head()? else {
            return Ok(());
        };
        reader.body(&mut message, Unframed::Empty)?;
        self.heads
            .lock()
            .expect("no holder panics")
            .push(message.head.clone());
        let mut line = message.start_line().split(' ').map(str::to_owned);
        let method = line.next().unwrap_or_default();
        let path = line.next().unwrap_or_default();
        let asked = Asked {
            call: call::call(&method, &path),
            body: serde_json::from_slice(&message.body).unwrap_or_default(),
            method,
            path,
        };
        self.requests
            .lock()
            .expect("no holder panics")
            .push(asked.clone());
        match asked.call {
            Call::Ping => stream.write_all(
                b"HTTP/1.1 200 OK\r\nApi-Version: 1.45\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK",
            ),
            Call::Events => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes())?;
                self.listeners
                    .lock()
                    .expect("no holder panics")
                    .push(stream);
                Ok(())
            }
            _ => self.answer(&asked, stream),
        }
    }

    fn answer(&self, asked: &Asked, mut stream: Box<dyn Connection>) -> std::io::Result<()> {
        let outcome = self.handled.lock().expect("no holder panics").answer(asked);
        self.tell_happened();
        let mut cut = false;
        let (status, mut body) = match outcome {
            Outcome::Answer(status, body) => (status, body),
            Outcome::Half(status, body) => {
                cut = true;
                (status, body)
            }
            Outcome::Slow(length, status, body) => {
                pause(length);
                (status, body)
            }
            Outcome::Garbage(status) => (status, Some(json!("<html>\u{0}not what was asked for"))),
            Outcome::Hang => {
                // Until the client goes away, or all goes well again.
                let twin = stream.twin();
                self.hanging.lock().expect("no holder panics").push(twin);
                while stream.read(&mut [0; 64])? > 0 {}
                return Ok(());
            }
            Outcome::Cut => {
                stream.cut();
                return Ok(());
            }
        };
        if asked.call == Call::List
            && let Some(Value::Array(list)) = &mut body
        {
            list.extend(self.containers.lock().expect("no holder panics").clone());
        }
        let text = body.map_or_else(String::new, |body| body.to_string());
        let length = if status == 204 || status == 304 {
            String::new()
        } else {
            format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                text.len()
            )
        };
        let answer =
            format!("HTTP/1.1 {status} Scripted\r\n{length}Connection: close\r\n\r\n{text}");
        let whole = answer.as_bytes();
        let end = if cut { whole.len() / 2 } else { whole.len() };
        stream.write_all(&whole[..end])?;
        stream.cut();
        Ok(())
    }

    fn tell_happened(&self) {
        let happened = self
            .handled
            .lock()
            .expect("no holder panics")
            .take_happened();
        for (id, name, action, signal) in happened {
            self.tell(&id, &name, action, signal);
        }
    }

    fn tell(&self, id: &str, name: &str, action: &str, signal: &str) {
        let event = json!({
            "Type": "container", "Action": action, "scope": "local", "time": 1_700_000_000,
            "Actor": { "ID": id, "Attributes": { "name": name, "signal": signal } },
        });
        let line = format!("{event}\n");
        let chunk = format!("{:x}\r\n{line}\r\n", line.len());
        let mut listeners = self.listeners.lock().expect("no holder panics");
        listeners.retain_mut(|listener| listener.write_all(chunk.as_bytes()).is_ok());
    }
}
