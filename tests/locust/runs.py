"""What whole runs are made of: backends, a balancer, Locust's master and its workers, and what a run left on disk.

Runs do not disturb each other: each has its own ports and folder. Bounds are wide enough for a
machine that is busy with other things.
"""

import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "locust"))

import results
from tally import add_flat

EVENKEEL = os.environ["EVENKEEL_BIN"]
LOCUST = os.path.join(os.path.dirname(sys.executable), "locust")
FILE = os.path.join(ROOT, "locust", "locustfile.py")
PATIENCE = 60.0

# The routes of conf/evenkeel.yaml; a test holds the mixture to that file itself.
BALANCER = """
listeners:
  - {{ name: web, address: "127.0.0.1:{web}" }}
routes:
  - {{ name: beta, match: {{ path: {{ prefix: /api }}, headers: {{ X-Beta: {{ present: true }} }} }}, upstream: app, rewrite: {{ prefix: / }} }}
  - {{ name: api, match: {{ path: {{ prefix: /api }} }}, upstream: app, rewrite: {{ prefix: / }} }}
  - {{ name: docs, match: {{ path: {{ exact: /docs }} }}, redirect: {{ status: 302, path: / }} }}
  - {{ name: all, upstream: app, algorithm_override: true }}
upstreams:
  app:
    algorithm: round_robin
    health: {{ outlier: {{ mode: "off" }} }}
    backends: [{backends}]
metrics: null
admin: null
"""


def free_port():
    """A port nobody has, below those the system hands out to clients by itself."""
    while True:
        port = 20_000 + int.from_bytes(os.urandom(2)) % 10_000
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            if port not in free_port.taken:
                free_port.taken.add(port)
                return port


free_port.taken = set()


def wait_for(what, look):
    """Looks until there is something to see, and returns it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what}")


def get(url):
    """The page, or nothing while there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def serve(test, handler):
    """A server on a thread of its own, until the test (or its class) is over."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    clean = test.addClassCleanup if isinstance(test, type) else test.addCleanup
    for step in (thread.join, server.server_close, server.shutdown):
        clean(step)
    return server


class Processes:
    """What a test has started; all of it ends with the test."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="evenkeel-locust-")
        self._running = []

    def start(self, name, command, **variables):
        log = os.path.join(self.folder, f"{name}.log")
        with open(log, "ab") as file:
            # A group of its own, as a shell makes for what Ctrl-C is for.
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, cwd=self.folder, process_group=0,
                env={**environment(), **variables},
            )
        process.log = log
        self._running.append(process)
        return process

    def backend(self, name, *options):
        port = free_port()
        self.start(name, [EVENKEEL, "backend", "--listen", f"127.0.0.1:{port}", "--server-id", name, *options])
        wait_for(f"backend {name}", lambda: get(f"http://127.0.0.1:{port}/health"))
        return port

    def balancer(self, *backends):
        web = free_port()
        path = os.path.join(self.folder, "evenkeel.yaml")
        with open(path, "w", encoding="utf-8") as file:
            addresses = ", ".join(f'{{ address: "127.0.0.1:{port}" }}' for port in backends)
            file.write(BALANCER.format(web=web, backends=addresses))
        process = self.start("balancer", [EVENKEEL, "run", "--config", path])

        def serves():
            if process.poll() is not None:
                with open(process.log, encoding="utf-8") as log:
                    raise AssertionError(log.read())
            return get(f"http://127.0.0.1:{web}/")

        wait_for("the balancer", serves)
        return web

    def end(self):
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
        shutil.rmtree(self.folder)


def environment():
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("LOCUST_", "INFLUX_"))}
    return {**kept, "PYTHONUNBUFFERED": "1"}


class Load:
    """A run of Locust: a master and its workers, or one process for all."""

    def __init__(self, processes, name, target, *options, workers=2, **variables):
        self.folder = os.path.join(processes.folder, name)
        self.metrics = free_port()
        common = [
            LOCUST, "-f", FILE, "--headless", "--only-summary", "--host", f"http://127.0.0.1:{target}",
            "--results", self.folder, "--metrics-address", f"127.0.0.1:{self.metrics}", *options,
        ]
        self.workers = []
        if workers == 0:
            self.master = processes.start(name, common, **variables)
            return
        port = free_port()
        place = ["--master-bind-host", "127.0.0.1", "--master-bind-port", str(port)]
        command = [*common, "--master", *place, "--expect-workers", str(workers)]
        self.master = processes.start(name, command, **variables)
        for worker in range(workers):
            command = [LOCUST, "-f", FILE, "--worker", "--master-host", "127.0.0.1", "--master-port", str(port)]
            self.workers.append(processes.start(f"{name}-worker{worker}", command))

    def scrape(self):
        return get(f"http://127.0.0.1:{self.metrics}/metrics")

    def wait_for_requests(self, count):
        """Until the master has heard of as many."""

        def heard():
            counts = re.findall(r"^locust_requests_total\{.*\} (\S+)$", self.scrape(), re.M)
            if self.master.poll() is not None:
                raise AssertionError(self.log())
            return sum(map(float, counts)) >= count

        wait_for(f"{count} requests", heard)

    def end(self):
        """The master's exit code and the run's results, once all have ended."""
        codes = [process.wait(PATIENCE) for process in (self.master, *self.workers)]
        path, = (os.path.join(self.folder, name) for name in os.listdir(self.folder))
        return codes, Results(path)

    def log(self):
        with open(self.master.log, encoding="utf-8") as file:
            return file.read()


class Results:
    """What a run left on disk."""

    def __init__(self, path):
        self.path = path
        lines = results.read(path)
        self.start, self.end = lines[0], lines[-1]
        self.rows = [line for line in lines if line["kind"] == "row"]
        self.load = [line for line in lines if line["kind"] == "load"]
        self.workers = [line for line in lines if line["kind"] == "worker"]

    def count(self, **labels):
        rows = (row for row in self.rows if all(row[key] == value for key, value in labels.items()))
        return sum(row["count"] for row in rows)

    def values(self, label):
        return {row[label] for row in self.rows}

    def times(self, measure):
        counts = {}
        for row in self.rows:
            add_flat(counts, row[measure])
        return counts

    def asked_for(self):
        """Requests that were due by what the shape asked for, from step to step."""
        steps = zip(self.load, self.load[1:])
        return sum(now["rate"] * (later["at"] - now["at"]) for now, later in steps)
