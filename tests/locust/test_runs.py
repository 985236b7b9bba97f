"""Whole runs: Locust's master and workers against a running Evenkeel.

Runs do not disturb each other: each has its own ports and folder. Two of them go on at a time, to
be done in a minute. Bounds are wide enough for a machine that is busy with other things.
"""

import concurrent.futures
import http.server
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.abspath(os.path.join(HERE, "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "locust"))

import buckets
import results
import shapes
from mixture import MIXTURES
from tally import add_flat

EVENKEEL = os.environ["EVENKEEL_BIN"]
LOCUST = os.path.join(os.path.dirname(sys.executable), "locust")
FILE = os.path.join(ROOT, "locust", "locustfile.py")
PATIENCE = 60.0

# The routes of conf/evenkeel.yaml; a test below holds the mixture to that file itself.
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


class Influx(http.server.BaseHTTPRequestHandler):
    """Takes what InfluxDB would."""

    def do_POST(self):
        self.server.lines += self.rfile.read(int(self.headers["Content-Length"])).decode().split("\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


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


SCALED = {
    "baseline": ("--rate-scale", "3", "--time-scale", "0.0134"),
    "ramp": ("--rate-scale", "0.6", "--time-scale", "0.0167"),
    "spike": ("--rate-scale", "0.3", "--time-scale", "0.05"),
    "endurance": ("--rate-scale", "0.6", "--time-scale", "0.0023"),
    "comparison": ("--rate-scale", "0.8", "--time-scale", "0.05", "--algorithms", "default,random,least_connections"),
}


class EveryShape(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.processes = Processes()
        cls.addClassCleanup(cls.processes.end)
        cls.names = ("one", "two", "three")
        cls.web = cls.processes.balancer(*(cls.processes.backend(name) for name in cls.names))
        server = serve(cls, Influx)
        server.lines = []
        cls.influx = f"http://127.0.0.1:{server.server_address[1]}"
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            # The longest first.
            order = sorted(SCALED, key=lambda name: name not in ("comparison", "spike"))
            runs = {name: pool.submit(cls._run, name) for name in order}
        cls.runs = {name: run.result() for name, run in runs.items()}
        cls.lines = server.lines

    @classmethod
    def _run(cls, name):
        load = Load(cls.processes, name, cls.web, "--shape", name, *SCALED[name], INFLUX_URL=cls.influx)
        scraped = ""
        if name == "comparison":
            load.wait_for_requests(20)
            scraped = load.scrape()
        return (*load.end(), load.log(), scraped)

    def each(self):
        for name, (codes, found, log, _) in self.runs.items():
            with self.subTest(name):
                yield name, codes, found, log

    def test_ends_without_a_failure(self):
        for _, codes, found, log in self.each():
            self.assertEqual(codes, [0, 0, 0], log)
            self.assertEqual(found.end["how"], "finished")
            self.assertEqual(found.end["failures"], 0, [row for row in found.rows if row["error"]])

    def test_follows_its_rates(self):
        for name, _, found, _ in self.each():
            scale = dict(zip(SCALED[name][::2], SCALED[name][1::2]))
            shape = shapes.shape(
                name,
                float(scale["--rate-scale"]),
                float(scale["--time-scale"]),
                tuple(scale.get("--algorithms", "").split(",")),
            )
            for step in found.load[:-1]:
                # A moment between two segments belongs to either: the clock was read a little later.
                near = {shapes.users(shape.rate(max(0, step["at"] - back)), 1) for back in (0, 0.01)}
                self.assertIn(step["users"], near)
            self.assertGreaterEqual(found.load[-1]["at"], shape.seconds)
            asked = found.asked_for()
            # What was due and could not be sent before the end is part of the rate: a machine may be busy.
            due = found.end["requests"] + found.end["unsent"]
            self.assertAlmostEqual(due, asked, delta=asked * 0.3 + max(step["rate"] for step in found.load))
            self.assertGreater(found.end["requests"], 0.5 * asked)

    def test_leaves_complete_results(self):
        for name, _, found, _ in self.each():
            self.assertEqual((found.start["shape"], found.start["workers"]), (name, 2))
            self.assertEqual(found.end["requests"], found.count())
            sent = sum(line["sent"] for line in found.workers)
            self.assertEqual(sent, found.count(), "what was sent has ended, and is counted once")
            self.assertEqual({line["worker"] for line in found.workers}, {"0", "1"})
            for measure in ("response", "service"):
                self.assertEqual(sum(found.times(measure).values()), found.count())

    def test_requests_the_whole_mixture(self):
        found = self.runs["spike"][1]
        self.assertEqual(found.values("name"), {ask.name for ask in MIXTURES["stack"]})
        self.assertEqual(found.values("algorithm"), {"default"})
        self.assertGreater(found.count(method="POST"), 0)
        own = found.count(backend="evenkeel")
        self.assertEqual(found.count(name="/docs"), own, "only redirects come from no backend")

    def test_tells_the_backends_apart(self):
        found = self.runs["baseline"][1]
        answered = {name: found.count(backend=name) for name in self.names}
        self.assertEqual(sum(answered.values()), found.count() - found.count(backend="evenkeel"))
        for share in answered.values():
            self.assertGreater(share, sum(answered.values()) / 6, answered)

    def test_gives_every_algorithm_its_turns(self):
        found = self.runs["comparison"][1]
        counts = {name: found.count(algorithm=name) for name in found.values("algorithm")}
        self.assertEqual(set(counts), {"default", "random", "least_connections"})
        self.assertGreater(min(counts.values()), 0.4 * max(counts.values()), counts)
        turns = {name: {row["second"] for row in found.rows if row["algorithm"] == name} for name in counts}
        self.assertGreater(max(turns["default"]) - min(turns["default"]), 6, "the first turn and the last")
        self.assertLess(max(turns["least_connections"]) - min(turns["least_connections"]), 5, "two in the middle")

    def test_has_its_series(self):
        families = {family.name: family for family in text_string_to_metric_families(self.runs["comparison"][3])}
        kind = {"name", "method", "algorithm"}
        expected = {
            "locust_users": set(),
            "locust_target_rate": set(),
            "locust_requests": kind,
            "locust_backend_requests": {"backend"},
            "locust_response_seconds": kind,
            "locust_service_seconds": kind,
            "locust_workers": {"state"},
            "locust_worker_cpu_ratio": {"worker"},
            "locust_worker_lag_seconds": {"worker"},
            "locust_shape": {"shape"},
            "locust_unsent_requests": set(),
            "locust_late_requests": set(),
            "locust_lost_requests": set(),
        }
        for name, labels in expected.items():
            self.assertIn(name, families)
            self.assertTrue(families[name].samples, name)
            for sample in families[name].samples:
                self.assertEqual(set(sample.labels) - {"le"}, labels, sample)
        self.assertIn("locust_failures", families)
        shape = {sample.labels["shape"]: sample.value for sample in families["locust_shape"].samples}
        self.assertEqual(shape, {name: float(name == "comparison") for name in shapes.NAMES})
        self.assertGreater(families["locust_users"].samples[0].value, 0)

    def test_has_a_histogram_with_the_balancers_bounds(self):
        text = self.runs["comparison"][3]
        family, = (one for one in text_string_to_metric_families(text) if one.name == "locust_response_seconds")
        one = [sample for sample in family.samples if sample.labels["algorithm"] == "default"]
        within = {float(sample.labels["le"]): sample.value for sample in one if sample.name.endswith("_bucket")}
        self.assertEqual(sorted(within), [*buckets.BOUNDS, float("inf")])
        self.assertEqual(list(within.values()), sorted(within.values()))
        total, = (sample.value for sample in one if sample.name.endswith("_count"))
        self.assertEqual(within[float("inf")], total)

    def test_sends_all_of_it_to_influxdb(self):
        for name, _, found, _ in self.each():
            lines = [line for line in self.lines if line.startswith("locust_requests,") and f",shape={name} " in line]
            sent = sum(int(re.search(r" count=(\d+)i,", line)[1]) for line in lines)
            self.assertEqual(sent, found.count())

    def test_makes_a_report_of_a_whole_run_and_of_what_is_left_of_one(self):
        whole = self.runs["comparison"][1].path
        partial = os.path.join(self.processes.folder, "cut.jsonl")
        with open(self.runs["spike"][1].path, "rb") as file:
            text = file.read()
        with open(partial, "wb") as file:
            file.write(text[: len(text) // 2])
        with concurrent.futures.ThreadPoolExecutor() as pool:
            pages = dict(zip(("whole", "partial"), pool.map(self._report, (whole, partial))))
        sections = ["conditions", "percentiles", "timeline", "latency", "errors", "backends", "generator"]
        for name, page in pages.items():
            for section in sections:
                self.assertIn(f'<section id="{section}">', page, name)
            self.assertNotRegex(page, r'(?:src|href)="(?!data:)', "it needs no other file")
            self.assertNotIn("nan", re.sub(r'src="[^"]*"', "", page))
        self.assertEqual(pages["whole"].count('src="data:image/png;base64,'), 5)
        self.assertIn('<section id="algorithms">', pages["whole"])
        self.assertNotIn("The run was", pages["whole"])
        self.assertIn("The run was cut off", pages["partial"])
        self.assertNotIn('<section id="algorithms">', pages["partial"])

    def _report(self, path):
        folder = os.path.join(self.processes.folder, "reports")
        command = [sys.executable, os.path.join(ROOT, "locust", "report.py"), path, "-o", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        base = os.path.splitext(os.path.basename(path))[0]
        for plot in ("timeline", "latency", "backends", "generator"):
            with open(os.path.join(folder, f"{base}-{plot}.png"), "rb") as file:
                self.assertEqual(file.read(4), b"\x89PNG")
        with open(done.stdout.strip(), encoding="utf-8") as file:
            return file.read()

    def test_a_report_of_something_else_is_refused(self):
        path = os.path.join(self.processes.folder, "other.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            file.write('{"some":"thing"}\n')
        command = [sys.executable, os.path.join(ROOT, "locust", "report.py"), path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("not the results of a run", done.stderr)


class HowARunEnds(unittest.TestCase):
    def setUp(self):
        self.processes = Processes()
        self.addCleanup(self.processes.end)

    def answered(self, port):
        """Requests for its page that a backend has answered, by its own count."""
        text = get(f"http://127.0.0.1:{port}/metrics")
        counts = re.findall(r'^demo_backend_requests_total\{.*path="/".*\} (\S+)$', text, re.M)
        return sum(map(int, counts))

    def test_ctrl_c_keeps_all_that_was_done(self):
        self._ends_early(signal.SIGINT, everyone=True)

    def test_sigterm_keeps_all_that_was_done(self):
        self._ends_early(signal.SIGTERM, everyone=False)

    def _ends_early(self, number, everyone):
        # Slow enough for requests to be in flight whenever the signal comes.
        port = self.processes.backend("slow", "--delay", "300ms-500ms")
        load = Load(self.processes, "load", port, "--mixture", "root", "--shape", "endurance")
        load.wait_for_requests(60)
        for process in (load.master, *load.workers) if everyone else (load.master,):
            process.send_signal(number)
        codes, found = load.end()
        self.assertEqual(codes, [0, 0, 0], load.log())
        self.assertEqual(found.end["kind"], "end")
        self.assertEqual(found.end["how"], "interrupted")
        self.assertEqual(found.end["failures"], 0, [row for row in found.rows if row["error"]])
        self.assertEqual(found.end["requests"], found.count())
        self.assertEqual(found.count(), self.answered(port), "every request that was made is in the results")

    def test_what_never_ends_is_cut_off_and_counted(self):
        # Nothing comes within the ten seconds that requests in flight get.
        port = self.processes.backend("stuck", "--delay", "40s")
        load = Load(
            self.processes, "load", port, "--mixture", "root", "--rate-scale", "0.5", "--time-scale", "0.01",
            "--request-timeout", "60",
        )
        codes, found = load.end()
        self.assertEqual(codes, [1, 0, 0], load.log())
        self.assertEqual(found.values("error"), {"unfinished"})
        self.assertEqual(found.count(), 5, "one for each user")
        self.assertGreater(found.end["unsent"], 0)

    def test_failures_are_in_the_exit_code(self):
        load = Load(
            self.processes, "load", free_port(), "--mixture", "root", "--rate-scale", "2", "--time-scale", "0.01",
            workers=1,
        )
        codes, found = load.end()
        self.assertEqual(codes[0], 1, load.log())
        self.assertEqual(found.values("error"), {"connect_failed"})
        self.assertEqual(found.values("backend"), {"none"})

    def test_a_start_that_fails_is_in_the_exit_code(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            for option, value in (("--metrics-address", address), ("--results", "/proc/none")):
                load = Load(self.processes, "load", free_port(), option, value, workers=0)
                self.assertEqual(load.master.wait(PATIENCE), 2, load.log())

    def test_nothing_measured_is_in_the_exit_code(self):
        load = Load(self.processes, "load", free_port(), workers=1)
        load.workers.pop().kill()
        wait_for("the metrics", load.scrape)
        load.master.send_signal(signal.SIGTERM)
        self.assertEqual(load.master.wait(PATIENCE), 2, load.log())


class Stalling(http.server.BaseHTTPRequestHandler):
    """Answers at once, but for one stretch of time in which nothing is answered."""

    protocol_version = "HTTP/1.1"
    begin, seconds = 2.0, 3.0

    def do_GET(self):
        server = self.server
        with server.lock:
            server.first = server.first or time.monotonic()
        since = time.monotonic() - server.first
        if self.begin <= since < self.begin + self.seconds:
            time.sleep(self.begin + self.seconds - since)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class OpenLoop(unittest.TestCase):
    def test_a_stall_is_in_the_response_times_of_all_who_waited(self):
        server = serve(self, Stalling)
        server.first, server.lock = None, threading.Lock()
        processes = Processes()
        self.addCleanup(processes.end)
        # Two users, ten requests a second each, for nine seconds; three of them stalled.
        load = Load(
            processes, "load", server.server_address[1], "--mixture", "root", "--rate-scale", "2", "--user-rate", "10",
            "--time-scale", "0.03", workers=0,
        )
        codes, found = load.end()
        self.assertEqual(codes, [0], load.log())
        slow = {
            measure: sum(count for edge, count in found.times(measure).items() if buckets.middle(edge) > 0.5)
            for measure in ("response", "service")
        }
        # Each user sent one request into the stall, a busy machine a few; 25 more of each were due in it.
        self.assertLessEqual(slow["service"], 8)
        self.assertGreaterEqual(slow["response"], 30)
        self.assertLess(buckets.percentile(found.times("service"), 0.9), 0.5)
        self.assertGreater(buckets.percentile(found.times("response"), 0.9), 0.5)


class TheMixture(unittest.TestCase):
    def test_fits_the_configuration_of_the_stack(self):
        routes = {"/": "all", "/api/": "api", "/api/echo": "api", "/api/ beta": "beta", "/docs": "docs"}
        self.assertEqual(set(routes), {ask.name for ask in MIXTURES["stack"]})
        for ask in MIXTURES["stack"]:
            headers = [part for pair in ask.headers.items() for part in ("-H", ": ".join(pair))]
            command = [EVENKEEL, "explain", "--config", "conf/evenkeel.yaml", "-X", ask.method, *headers]
            done = subprocess.run(
                [*command, f"http://load.example{ask.path}"], cwd=ROOT, capture_output=True, text=True, check=False
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"\nroute {routes[ask.name]}\n", done.stdout)


if __name__ == "__main__":
    unittest.main()
