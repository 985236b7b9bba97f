//! The demo with a stand-in for the balancer.

use std::io::Read;
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// An output whose lines a test can wait for.
struct Lines {
    sender: Sender<String>,
    partial: String,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.partial += std::str::from_utf8(bytes).unwrap();
        while let Some((line, rest)) = self.partial.split_once('\n') {
            let (line, rest) = (line.to_owned(), rest.to_owned());
            self.sender
                .send(line)
                .map_err(|_| io::ErrorKind::BrokenPipe)?;
            self.partial = rest;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn wait_for(lines: &Receiver<String>, wanted: impl Fn(&str) -> bool) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).expect("the line comes");
        if wanted(&line) {
            return line;
        }
    }
}

fn any_ports() -> DemoOptions {
    DemoOptions {
        port: 0,
        metrics_port: 0,
        admin_port: 0,
        print_config: false,
    }
}

/// A balancer that only accepts connections, until `stop` says so.
struct StandIn {
    configuration: Arc<Mutex<String>>,
    totals: Arc<Mutex<Totals>>,
    stop: Receiver<()>,
}

impl StandIn {
    fn start(self, text: &str) -> Balancer {
        text.clone_into(&mut self.configuration.lock().unwrap());
        let listener = TcpListener::bind(traffic(text)).unwrap();
        let totals = self.totals;
        Balancer {
            totals: Box::new(move || totals.lock().unwrap().clone()),
            run: Box::new(move || {
                self.stop.recv().unwrap();
                drop(listener);
                Ok(())
            }),
        }
    }
}

fn address_after(text: &str, key: &str) -> SocketAddr {
    text.split_once(key)
        .unwrap()
        .1
        .split('"')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

fn traffic(text: &str) -> SocketAddr {
    address_after(text, "name: web")
}

fn request(address: SocketAddr, head: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// A demo that runs on a thread of its own.
struct Demo {
    lines: Receiver<String>,
    configuration: Arc<Mutex<String>>,
    totals: Arc<Mutex<Totals>>,
    stop: SyncSender<()>,
    ended: thread::JoinHandle<Result<(), String>>,
}

fn start() -> Demo {
    let (sender, lines) = channel();
    let (stop, stopped) = sync_channel(1);
    let (configuration, totals) = (Arc::default(), Arc::default());
    let stand_in = StandIn {
        configuration: Arc::clone(&configuration),
        totals: Arc::clone(&totals),
        stop: stopped,
    };
    let ended = thread::spawn(move || {
        let out = Lines {
            sender,
            partial: String::new(),
        };
        run(
            any_ports(),
            |text| Ok(stand_in.start(text)),
            out,
            Style::PLAIN,
        )
    });
    Demo {
        lines,
        configuration,
        totals,
        stop,
        ended,
    }
}

#[test]
fn the_demo_shows_its_page_then_lives_until_the_balancer_ends() {
    let demo = start();
    let target = wait_for(&demo.lines, |line| line.contains("balances over"));
    let configuration = demo.configuration.lock().unwrap().clone();
    assert!(target.contains(&traffic(&configuration).to_string()));
    wait_for(&demo.lines, |line| line.contains("/_demo/stop?secs=30"));
    wait_for(&demo.lines, |line| line.starts_with("idle"));
    {
        let fast = address_after(&configuration, "backends:");
        let mut totals = demo.totals.lock().unwrap();
        totals.requests = 10;
        totals.backends = vec![(fast.to_string(), 10)];
    }
    wait_for(&demo.lines, |line| {
        line.contains("req/s") && line.contains("fast 100%")
    });
    demo.stop.send(()).unwrap();
    assert_eq!(demo.ended.join().unwrap(), Ok(()));
}

#[test]
fn a_stopped_backend_refuses_connections_and_comes_back() {
    let demo = start();
    wait_for(&demo.lines, |line| line.contains("balances over"));
    let fast = address_after(&demo.configuration.lock().unwrap(), "backends:");
    assert!(
        request(fast, "GET /")
            .unwrap()
            .contains(r#""server_id":"fast""#)
    );
    assert!(
        request(fast, "GET /_demo/stop?secs=1")
            .unwrap()
            .starts_with("HTTP/1.1 405")
    );
    assert!(
        request(fast, "POST /_demo/stop?secs=0")
            .unwrap()
            .starts_with("HTTP/1.1 400")
    );
    assert!(
        request(fast, "POST /_demo/stop?secs=1")
            .unwrap()
            .ends_with(r#"{"stopped_for_secs":1}"#)
    );
    wait_for(&demo.lines, |line| {
        line == "* fast is down for 1 s: its port refuses connections"
    });
    assert_eq!(
        TcpStream::connect(fast).unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
    wait_for(&demo.lines, |line| line == "* fast is back");
    assert!(
        request(fast, "GET /")
            .unwrap()
            .contains(r#""server_id":"fast""#)
    );
    demo.stop.send(()).unwrap();
    demo.ended.join().unwrap().unwrap();
}

#[test]
fn taken_ports_are_named_with_the_flag_that_chooses_others() {
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [port, metrics_port, admin_port] = held
        .each_ref()
        .map(|listener| listener.local_addr().unwrap().port());
    let options = DemoOptions {
        port,
        metrics_port,
        admin_port,
        print_config: false,
    };
    let mut err = Vec::new();
    let start = |_: &str| -> Result<Balancer, String> { panic!("nothing is started") };
    let code = execute(options, start, io::sink(), Style::PLAIN, &mut err);
    let err = String::from_utf8(err).unwrap();
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 3, "{err}");
    for (line, port, flag) in [
        (lines[0], port, "--port"),
        (lines[1], metrics_port, "--metrics-port"),
        (lines[2], admin_port, "--admin-port"),
    ] {
        assert!(
            line.starts_with(&format!(
                "evenkeel demo: cannot listen on 127.0.0.1:{port}: "
            )),
            "{line}"
        );
        assert!(
            line.ends_with(&format!("choose another port with {flag} PORT")),
            "{line}"
        );
    }
}

#[test]
fn a_balancer_that_cannot_start_ends_the_demo_with_two() {
    let mut err = Vec::new();
    let code = execute(
        any_ports(),
        |_| Err("no luck".to_owned()),
        io::sink(),
        Style::PLAIN,
        &mut err,
    );
    assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(2)));
    assert_eq!(String::from_utf8(err).unwrap(), "evenkeel demo: no luck\n");
}

#[test]
fn the_printed_configuration_is_yaml_and_says_how_to_start_its_backends() {
    let mut out = Vec::new();
    print_config(
        DemoOptions {
            port: 5000,
            metrics_port: 8000,
            admin_port: 9901,
            print_config: true,
        },
        &mut out,
    )
    .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("evenkeel backend --listen 127.0.0.1:5003 --server-id slow --delay 30ms-80ms --error-rate 5%"));
    let yaml: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
    assert_eq!(yaml["listeners"][0]["address"], "127.0.0.1:5000");
    assert_eq!(yaml["metrics"]["address"], "127.0.0.1:8000");
    assert_eq!(yaml["admin"]["address"], "127.0.0.1:9901");
    assert_eq!(yaml["access_log"], serde_yaml::Value::Null);
    for upstream in ["demo", "sticky"] {
        assert_eq!(
            yaml["upstreams"][upstream]["backends"]
                .as_sequence()
                .unwrap()
                .len(),
            3
        );
        assert_eq!(
            yaml["upstreams"][upstream]["backends"][1]["address"],
            "127.0.0.1:5002"
        );
        assert_eq!(yaml["upstreams"][upstream]["slow_start"], "5s");
    }
}
