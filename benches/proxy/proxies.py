"""The proxies compared: how each is found, configured and started.

All do the same: round robin over the backends, kept connections on both sides,
no access log, one thread.
"""

import shutil
import signal
from pathlib import Path

REFERENCE = "bare-pingora"
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
        raise Skip(f"not installed (apt-get install {program})")
    return found


def existing(path):
    if not path.is_file():
        raise Skip(f"{path} does not exist")
    return path.resolve()


class BarePingora:
    name = REFERENCE
    # SIGTERM would wait for the grace period.
    stop = signal.SIGINT

    @staticmethod
    def find(args):
        return existing(args.bare_pingora)

    @classmethod
    def command(cls, args, _work, port, _spare, backends):
        return [cls.find(args), f"127.0.0.1:{port}", 1, *(f"127.0.0.1:{backend}" for backend in backends)]


class Evenkeel:
    name = "evenkeel"
    stop = signal.SIGINT

    @staticmethod
    def find(args):
        return existing(args.evenkeel)

    @classmethod
    def command(cls, args, work, port, spare, backends):
        servers = "\n".join(f'      - {{ address: "127.0.0.1:{backend}" }}' for backend in backends)
        config = write(work, "evenkeel.yaml", f"""\
server: {{ workers: 1 }}
listeners:
  - {{ name: web, address: "127.0.0.1:{port}", keepalive: {IDLE_SECONDS}s }}
routes:
  - {{ name: all, match: {{ path: {{ prefix: / }} }}, upstream: web }}
upstreams:
  web:
    algorithm: round_robin
    backends:
{servers}
metrics: {{ address: "127.0.0.1:{spare}" }}
access_log: null
""")
        return [cls.find(args), "run", "--config", config]


class Nginx:
    name = "nginx"
    stop = signal.SIGTERM

    @staticmethod
    def find(_args):
        return installed("nginx")

    @classmethod
    def command(cls, args, work, port, _spare, backends):
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
        return [cls.find(args), "-c", config, "-p", work, "-g", "daemon off;"]


class Haproxy:
    name = "haproxy"
    stop = signal.SIGTERM

    @staticmethod
    def find(_args):
        return installed("haproxy")

    @classmethod
    def command(cls, args, work, port, _spare, backends):
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
  balance roundrobin
{servers}
""")
        return [cls.find(args), "-db", "-f", config]


ALL = [BarePingora, Evenkeel, Nginx, Haproxy]
