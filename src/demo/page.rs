//! What the demo tells a newcomer: the configuration it runs by, and what to try.

use std::net::SocketAddr;

use super::cast::Role;
use super::style::Style;
use crate::config::Algorithm;

/// The addresses a newcomer talks to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    pub(super) traffic: SocketAddr,
    pub(super) metrics: SocketAddr,
    pub(super) admin: SocketAddr,
}

/// How the demo looks after its backends; `up`, because they answer before the first request comes.
const CARE: &str = "    health:
      active: { path: /health, interval: 1s, timeout: 500ms }
      initial: up
    slow_start: 5s              # a backend that comes back gets its share bit by bit
";

/// The configuration of the demo.
pub(super) fn configuration(ports: Ports, backends: &[(Role, SocketAddr)]) -> String {
    let backend = |(role, address): &(Role, SocketAddr)| {
        format!(
            "      - {{ address: \"{address}\", labels: {{ role: {} }} }}\n",
            role.name
        )
    };
    let backends = backends.iter().map(backend).collect::<Vec<_>>().concat();
    let Ports {
        traffic,
        metrics,
        admin,
    } = ports;
    let care = CARE;
    format!(
        r#"# Three unequal backends behind one port: what `evenkeel demo` runs by.
listeners:
  - name: web
    address: "{traffic}"
routes:
  - name: sticky                # the same backends; a cookie keeps a client with one of them
    match: {{ path: {{ prefix: /sticky }} }}
    rewrite: {{ prefix: / }}
    upstream: sticky
  - name: everything
    match: {{ path: {{ prefix: / }} }}
    upstream: demo
    algorithm_override: true    # ?algo=NAME picks the algorithm for one request
    retry:
      attempts: 2
      on: [connect, reset, timeout, 500, 502, 503, 504]
upstreams:
  demo:
    algorithm: weighted_response_time
    discovery: {{ type: registry }}   # a backend may register itself, too
    backends:
{backends}{care}  sticky:
    algorithm: round_robin
    sticky: {{ cookie: EVENKEEL, ttl: 1h }}
    backends:
{backends}{care}metrics:
  address: "{metrics}"
admin:
  address: "{admin}"
access_log: null                # the live line is enough here
"#
    )
}

/// The configuration for backends started by hand, which `--print-config` prints.
pub(super) fn printed(ports: Ports, backends: &[(Role, SocketAddr)]) -> String {
    let start = |(role, address): &(Role, SocketAddr)| {
        format!(
            "#   evenkeel backend --listen {address} --server-id {} {}\n",
            role.name, role.flags
        )
    };
    let starts = backends.iter().map(start).collect::<Vec<_>>().concat();
    format!(
        "# Start the backends with:\n{starts}{}",
        configuration(ports, backends)
    )
}

/// What to try, with this run's addresses.
pub(super) fn welcome(ports: Ports, backends: &[(Role, SocketAddr)], style: Style) -> String {
    let Ports { traffic, admin, .. } = ports;
    let line = |(role, address): &(Role, SocketAddr)| {
        format!(
            "  {} http://{address}  {}",
            style.bold(&format!("{:<7}", role.name)),
            role.story
        )
    };
    let mut lines = vec![
        String::new(),
        format!("{} http://{traffic} balances over", style.bold("Evenkeel")),
    ];
    lines.extend(backends.iter().map(line));
    lines.extend([
        String::new(),
        format!("{} http://{admin}/", style.bold("Dashboard")),
        String::new(),
        "Try in another terminal:".to_owned(),
    ]);
    for (what, command) in tries(ports, stoppable(backends)) {
        lines.push(style.dim(&format!("  # {what}")));
        lines.push(format!("    {command}"));
    }
    let names: Vec<&str> = Algorithm::ALL
        .iter()
        .map(|algorithm| algorithm.name())
        .collect();
    lines.extend([
        String::new(),
        format!("Algorithms: {}", names.join(", ")),
        "Ctrl-C ends. A line per second follows; idle seconds after the first are left out."
            .to_owned(),
        "\n".to_owned(),
    ]);
    lines.join("\n")
}

/// The backend the page proposes to stop: the one whose absence is felt but not the most.
fn stoppable(backends: &[(Role, SocketAddr)]) -> SocketAddr {
    let (_, address) = backends[backends.len() / 2];
    address
}

fn tries(
    Ports {
        traffic,
        metrics,
        admin,
    }: Ports,
    stoppable: SocketAddr,
) -> [(&'static str, String); 14] {
    [
        ("one request", format!("curl -i http://{traffic}/")),
        (
            "two hundred, while you watch the shares here",
            format!("seq 200 | xargs -P8 -I% curl -so /dev/null http://{traffic}/"),
        ),
        (
            "another algorithm for one request",
            format!("curl 'http://{traffic}/?algo=round_robin'"),
        ),
        (
            "a client that stays with its backend",
            format!("curl -sc jar -b jar http://{traffic}/sticky"),
        ),
        (
            "what the backend sees",
            format!("curl -d hello http://{traffic}/echo"),
        ),
        (
            "stop the middle backend for 30 s; no GET is lost",
            format!("curl -X POST 'http://{stoppable}/_demo/stop?secs=30'"),
        ),
        (
            "one backend more: it registers itself, and leaves with Ctrl-C",
            format!(
                "evenkeel backend --listen 127.0.0.1:0 --register http://{admin} --upstream demo"
            ),
        ),
        (
            "another algorithm for all: first the file,",
            format!(
                "curl -s http://{admin}/api/v1/config | sed 's/weighted_response_time/least_connections/' > other.yaml"
            ),
        ),
        (
            "then what it would change,",
            format!("evenkeel plan --admin {admin} other.yaml"),
        ),
        (
            "then over to it; no request is lost",
            format!("curl -X PUT --data-binary @other.yaml http://{admin}/api/v1/config"),
        ),
        ("the metrics", format!("curl http://{metrics}/metrics")),
        (
            "take this configuration with you",
            "evenkeel demo --print-config > demo.yaml".to_owned(),
        ),
        ("check it", "evenkeel check demo.yaml".to_owned()),
        (
            "why a request goes where it goes",
            format!("evenkeel explain --admin {admin} http://{traffic}/sticky"),
        ),
    ]
}
