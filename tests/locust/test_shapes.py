"""Every shape, as a whole run against a running Evenkeel: its rates, its results, its series, its report.

Two runs go on at a time, to be done in a minute.
"""

import concurrent.futures
import http.server
import os
import re
import subprocess
import sys
import unittest

from prometheus_client.parser import text_string_to_metric_families

from runs import ROOT, Load, Processes, serve

import buckets
import shapes
from mixture import MIXTURES

SCALED = {
    "baseline": ("--rate-scale", "3", "--time-scale", "0.0134"),
    "ramp": ("--rate-scale", "0.6", "--time-scale", "0.0167"),
    "spike": ("--rate-scale", "0.3", "--time-scale", "0.05"),
    "endurance": ("--rate-scale", "0.6", "--time-scale", "0.0023"),
    "comparison": ("--rate-scale", "0.8", "--time-scale", "0.05", "--algorithms", "default,random,least_connections"),
}


class Influx(http.server.BaseHTTPRequestHandler):
    """Takes what InfluxDB would."""

    def do_POST(self):
        self.server.lines += self.rfile.read(int(self.headers["Content-Length"])).decode().split("\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


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


if __name__ == "__main__":
    unittest.main()
