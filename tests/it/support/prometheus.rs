//! What speaks the part of Prometheus's HTTP API that Evenkeel uses, as it is documented, and says
//! whatever a test makes up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::deadline::{eventually, wait_until};
use super::ports::{Port, is_listening};

/// A Prometheus that answers as its script says.
pub(crate) struct Prometheus {
    shared: Arc<Shared>,
    port: Port,
}

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `POST /api/v1/query`.
    pub(crate) call: String,
    /// The header in lower case.
    pub(crate) head: String,
    /// The form, decoded.
    pub(crate) form: Vec<(String, String)>,
}

/// What comes back.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    /// An answer with this status and body.
    Json(u16, String),
    /// Exactly these bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// Nothing, until the client goes away.
    Nothing,
    /// The head, and then one byte each time, for as long as the client listens.
    Drip(Duration),
    /// The end of the connection.
    End,
}

type Script = dyn Fn(&Asked) -> Said + Send + Sync;

struct Shared {
    script: Mutex<Arc<Script>>,
    asked: Mutex<Vec<Asked>>,
    is_gone: AtomicBool,
}

impl Prometheus {
    /// Answers every request as `script` says.
    pub(crate) fn start(script: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let (port, listener) = Port::listening();
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(script)),
            asked: Mutex::default(),
            is_gone: AtomicBool::new(true),
        });
        let prometheus = Self { shared, port };
        prometheus.serve(listener);
        prometheus
    }

    /// Refuses connections from now on.
    pub(crate) fn go(&self) {
        self.shared.is_gone.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.port.address());
        wait_until("it is gone", || !is_listening(self.port.address()));
    }

    /// Takes connections again.
    pub(crate) fn come(&self) {
        let listener = eventually("the port is free again", || {
            TcpListener::bind(self.port.address()).ok()
        });
        self.serve(listener);
    }

    fn serve(&self, listener: TcpListener) {
        self.shared.is_gone.store(false, Ordering::SeqCst);
        let serving = Arc::clone(&self.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_gone.load(Ordering::SeqCst) {
                    return;
                }
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || {
                    // A client that goes away ends the connection, not the test.
                    let _ = serving.serve(stream);
                });
            }
        });
    }

    /// From now on it answers like this.
    pub(crate) fn set(&self, script: impl Fn(&Asked) -> Said + Send + Sync + 'static) {
        *self.shared.script.lock().expect("no holder panics") = Arc::new(script);
    }

    /// As the configuration has it.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().expect("no holder panics").clone()
    }
}

impl Asked {
    /// What the form says for this name.
    pub(crate) fn value(&self, name: &str) -> &str {
        let pair = self.form.iter().find(|(key, _)| key == name);
        pair.map_or("", |(_, value)| value)
    }
}

impl Said {
    /// A successful answer with this data.
    pub(crate) fn data(kind: &str, result: &str) -> Self {
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        Self::Json(200, body)
    }

    /// An instant vector of the present with these values, such as `0.5` or `NaN`.
    pub(crate) fn vector(values: &[&str]) -> Self {
        Self::vector_at(now(), values)
    }

    /// An instant vector of another time, in seconds since 1970.
    pub(crate) fn vector_at(at: f64, values: &[&str]) -> Self {
        let series = values.iter().enumerate().map(|(index, value)| {
            format!(r#"{{"metric":{{"id":"/docker/{index}"}},"value":[{at:.3},"{value}"]}}"#)
        });
        let series: Vec<String> = series.collect();
        Self::data("vector", &format!("[{}]", series.join(",")))
    }

    /// One series with these points.
    pub(crate) fn matrix(points: &[(f64, &str)]) -> Self {
        let points = points
            .iter()
            .map(|(at, value)| format!(r#"[{at},"{value}"]"#));
        let points: Vec<String> = points.collect();
        let series = format!(r#"[{{"metric":{{}},"values":[{}]}}]"#, points.join(","));
        Self::data("matrix", &series)
    }

    /// What Prometheus says when it refuses or fails.
    pub(crate) fn error(status: u16, kind: &str, error: &str) -> Self {
        let body = format!(r#"{{"status":"error","errorType":"{kind}","error":"{error}"}}"#);
        Self::Json(status, body)
    }
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "samples have the time of day")]
pub(crate) fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("it is after 1970").as_secs_f64()
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(asked) = read(&stream)? else {
            return Ok(());
        };
        self.asked
            .lock()
            .expect("no holder panics")
            .push(asked.clone());
        let script = Arc::clone(&self.script.lock().expect("no holder panics"));
        match script(&asked) {
            Said::Json(status, body) => stream.write_all(
                format!(
                    "HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            ),
            Said::Bytes(bytes) => stream.write_all(&bytes),
            Said::Nothing => stream.read(&mut [0]).map(drop),
            Said::Drip(every) => drip(&mut stream, every),
            Said::End => Ok(()),
        }
    }
}

fn drip(stream: &mut TcpStream, every: Duration) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")?;
    stream.set_read_timeout(Some(every))?;
    // Reading waits for the client to go away; until then it times out.
    while stream.read(&mut [0]).is_err() {
        stream.write_all(b" ")?;
    }
    Ok(())
}

/// One request; `None` when there is none.
fn read(stream: &TcpStream) -> std::io::Result<Option<Asked>> {
    let mut reader = BufReader::new(stream);
    let (mut call, mut head, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if call.is_empty() {
            let bare = line.trim_end().trim_end_matches(" HTTP/1.1");
            bare.clone_into(&mut call);
            continue;
        }
        if line == "\r\n" {
            break;
        }
        let line = line.to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let form = form_urlencoded::parse(&body).into_owned().collect();
    Ok(Some(Asked { call, head, form }))
}
