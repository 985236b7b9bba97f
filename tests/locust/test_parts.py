"""The parts of the load test that decide: no network but a loopback server, no waiting."""

import http.server
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import unittest.mock
import urllib.parse
import urllib.request

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "locust"))

import buckets
import influx
import outcome
import report_data
import report_plots
import results
import series
import shapes
import tally
from pace import Pace, lateness
from saturation import Saturation


class Shapes(unittest.TestCase):
    def test_each_has_the_rates_and_the_length_it_promises(self):
        promised = {
            "baseline": (300, [(0, 10), (299, 10)]),
            "ramp": (300, [(0, 10), (135, 55), (270, 100), (299, 100)]),
            "spike": (150, [(0, 10), (59, 10), (60, 200), (89, 200), (90, 10), (149, 10)]),
            "endurance": (1800, [(0, 50), (1799, 50)]),
        }
        for name, (seconds, points) in promised.items():
            shape = shapes.shape(name)
            self.assertEqual(shape.seconds, seconds, name)
            for elapsed, rate in points:
                self.assertAlmostEqual(shape.rate(elapsed), rate, msg=f"{name} at {elapsed}")
            self.assertIsNone(shape.rate(seconds), name)
            self.assertEqual(shape.algorithm(0), "", name)

    def test_scales_multiply_rates_and_durations(self):
        shape = shapes.shape("ramp", rate_scale=2, time_scale=0.1)
        self.assertAlmostEqual(shape.seconds, 30)
        self.assertAlmostEqual(shape.rate(13.5), 110)
        self.assertAlmostEqual(shape.due(), shapes.shape("ramp").due() * 0.2)

    def test_every_algorithm_has_the_same_turns(self):
        shape = shapes.shape("comparison", time_scale=0.1)
        turns = {}
        for one in shape.segments:
            turns.setdefault(one.algorithm, []).append((one.seconds, one.first, one.last))
        self.assertEqual(tuple(turns), shapes.ALGORITHMS)
        self.assertEqual(len(set(map(tuple, turns.values()))), 1)
        self.assertEqual(len(turns["default"]), 2 * shapes.ROUNDS)

    def test_the_second_round_runs_backwards(self):
        shape = shapes.shape("comparison", algorithms=("random", "maglev"))
        heard = [shape.algorithm(at) for at in (1, 31, 61, 91)]
        self.assertEqual(heard, ["random", "maglev", "maglev", "random"])
        self.assertEqual(shape.algorithm(10_000), "random", "after the end it stays the last")

    def test_there_are_users_for_the_rate_and_at_least_one(self):
        self.assertEqual(shapes.users(200, 1), 200)
        self.assertEqual(shapes.users(200, 4), 50)
        self.assertEqual(shapes.users(0.2, 1), 1)


class Timetable(unittest.TestCase):
    def test_has_one_moment_in_each_interval(self):
        pace = Pace(100.0, 0.5, random.Random(7).random)
        moments = [pace.next() for _ in range(200)]
        self.assertEqual(moments, sorted(moments))
        for slot, moment in enumerate(moments):
            self.assertTrue(100 + slot * 0.5 <= moment < 100.5 + slot * 0.5)

    def test_does_not_move_when_an_answer_is_late(self):
        drawn, again = random.Random(7), random.Random(7)
        on_time, behind = Pace(0, 1, drawn.random), Pace(0, 1, again.random)
        expected = [on_time.next() for _ in range(5)]
        moments = []
        for _ in range(5):
            moments.append(behind.next())
            behind.sent()
        self.assertEqual(moments, expected)

    def test_knows_what_was_due_and_not_sent(self):
        pace = Pace(0.0, 1.0, lambda: 0.5)
        pace.next()
        self.assertEqual(pace.unsent(0.4), 0, "not due yet")
        self.assertEqual(pace.unsent(0.9), 1)
        pace.sent()
        self.assertEqual(pace.unsent(0.9), 0)
        self.assertEqual(pace.unsent(4.0), 3, "slots 1 to 3 passed while the first was in flight")

    def test_only_the_generators_own_delay_is_its_lateness(self):
        self.assertEqual(lateness(due=10.0, free=2.0, woken=10.25), 0.25)
        self.assertEqual(lateness(due=10.0, free=13.0, woken=13.5), 0.5, "the server kept it until 13")
        self.assertEqual(lateness(due=10.0, free=2.0, woken=9.99), 0.0)


class Buckets(unittest.TestCase):
    def test_stand_for_a_time_to_one_percent(self):
        for power in range(-3, 3):
            for digit in (1, 1.7, 3.3, 7.9):
                seconds = digit * 10.0**power
                self.assertAlmostEqual(buckets.middle(buckets.bucket(seconds)) / seconds, 1, delta=0.011)

    def test_are_exact_at_the_balancers_bounds(self):
        counts = {}
        for bound in buckets.BOUNDS:
            for seconds in (bound, bound * 1.0001):
                edge = buckets.bucket(seconds)
                counts[edge] = counts.get(edge, 0) + 1
        self.assertEqual(buckets.cumulative(counts), [2 * place + 1 for place in range(len(buckets.BOUNDS))])

    def test_take_whatever_comes(self):
        self.assertEqual(buckets.bucket(0.0), buckets.EDGES[0])
        self.assertEqual(buckets.bucket(1e9), buckets.EDGES[-1])

    def test_give_the_percentiles_of_the_samples(self):
        counts = {}
        for place in range(1, 1001):
            edge = buckets.bucket(place / 1000)
            counts[edge] = counts.get(edge, 0) + 1
        for share in (0.5, 0.9, 0.99, 0.999):
            self.assertAlmostEqual(buckets.percentile(counts, share) / share, 1, delta=0.02)
        self.assertIsNone(buckets.percentile({}, 0.5))


LABELS = ("/", "GET", "default", "one", "")


class Counting(unittest.TestCase):
    def test_a_report_has_all_and_the_next_begins_anew(self):
        counts = tally.Tally()
        counts.starts(0.0)
        counts.starts(0.25)
        counts.ended(5, LABELS, 0.3, 0.05)
        counts.ended(5, LABELS, 0.1, 0.05)
        report = counts.take()
        row = dict(zip(tally.FIELDS, report["rows"][0]))
        self.assertEqual((row["second"], row["count"], row["response_max"]), (5, 2, 0.3))
        self.assertAlmostEqual(row["response_sum"], 0.4)
        back = {}
        tally.add_flat(back, row["response"])
        self.assertEqual(back, {buckets.bucket(0.1): 1, buckets.bucket(0.3): 1})
        self.assertEqual((report["sent"], report["late"], report["lag_max"]), (2, 1, 0.25))
        empty = counts.take()
        self.assertEqual((empty["rows"], empty["sent"]), ([], 0))

    def test_is_bounded_and_says_what_it_lost(self):
        counts = tally.Tally()
        for second in range(tally.MAX_ROWS + 3):
            counts.ended(second, LABELS, 0.1, 0.1)
        report = counts.take()
        self.assertEqual((len(report["rows"]), report["lost"]), (tally.MAX_ROWS, 3))


def report(cpu=0.1, sent=100, late=0, lag_max=0.0):
    return {"cpu": cpu, "sent": sent, "late": late, "lag_max": lag_max, "unsent": 0, "lost": 0}


class SaturationOfTheGenerator(unittest.TestCase):
    def test_a_short_burst_of_cpu_is_none(self):
        saturation = Saturation()
        for cpu in (0.2, 1.0, 1.0, 0.3, 0.2, 0.2, 0.2):
            saturation.add("0", 1.0, report(cpu))
        self.assertEqual(saturation.warnings(), [])

    def test_a_core_used_up_for_seconds_is(self):
        saturation = Saturation()
        for cpu in (0.2, 0.95, 1.0, 0.97, 0.93, 0.99, 0.2):
            saturation.add("1", 1.0, report(cpu))
            saturation.add("0", 1.0, report(0.1))
        self.assertIn("a worker used 97% of its core", saturation.warnings()[0])

    def test_sending_late_is(self):
        saturation = Saturation()
        saturation.add("0", 1.0, report(late=2, lag_max=0.05))
        self.assertEqual(saturation.warnings(), [], "a few say nothing")
        saturation.add("0", 1.0, report(late=4, lag_max=0.08))
        self.assertIn("3.0% of the requests were sent more than 10 ms late", saturation.warnings()[0])


class Labels(unittest.TestCase):
    def test_backends_are_bounded(self):
        counted = series.Series(lambda: {})
        for place in range(series.MAX_BACKENDS + 10):
            name = counted.backend(f"b{place}")
            counted.backends[name] += 1
        self.assertEqual(counted.backends[series.OTHERS], 10)
        self.assertEqual(len(counted.backends), series.MAX_BACKENDS + 1)


class ResultsOnDisk(unittest.TestCase):
    def test_a_line_cut_short_is_left_out(self):
        with tempfile.TemporaryDirectory() as folder:
            writer = results.Writer(folder, "run", {"shape": "ramp"})
            writer.write("row", {"count": 1})
            with open(writer.path, "a", encoding="utf-8") as file:
                file.write('{"kind":"row","cou')
            self.assertEqual([line["kind"] for line in results.read(writer.path)], ["start", "row"])
            writer.close({})

    def test_what_is_no_result_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x.jsonl")
            for text in ("", '{"kind":"row"}\n', "nonsense\n{}\n"):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
                with self.assertRaises(ValueError):
                    results.read(path)


class ThePlotOfAlgorithms(unittest.TestCase):
    def test_has_room_for_the_names_of_containers(self):
        for backends in (3, 20):
            with tempfile.TemporaryDirectory() as folder:
                writer = results.Writer(folder, "run", {"shape": "comparison"})
                for algorithm in shapes.ALGORITHMS:
                    for number in range(backends):
                        times = [buckets.bucket(0.02), 150, buckets.bucket(0.5), 50]
                        kept = row(count=200) | {"algorithm": algorithm, "second": 0, "response": times, "service": times}
                        writer.write("row", kept | {"backend": f"backend-{number:012x}"})
                writer.close({"how": "finished", "elapsed": 1.0})
                run = report_data.load(writer.path)
            with unittest.mock.patch.object(report_plots, "_save", lambda figure, _: figure):
                figure = report_plots.algorithms(run, "")
            self.addCleanup(report_plots.plt.close, figure)
            figure.canvas.draw()
            times, names = (legend.get_window_extent() for legend in figure.legends)
            for legend in (times, names):
                self.assertGreaterEqual(legend.x0, figure.bbox.x0)
                self.assertLessEqual(legend.x1, figure.bbox.x1)
            self.assertLess(times.x1, names.x0)
            for axis in figure.axes:
                self.assertGreater(axis.get_window_extent().width, figure.bbox.width / 3)


class InfluxServer(http.server.BaseHTTPRequestHandler):
    """Answers as told, and keeps what it got."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append((self.path, self.headers["Authorization"], body.split("\n")))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def row(name="/", error="", count=2):
    edge = buckets.bucket(0.02)
    return {
        "name": name, "method": "GET", "algorithm": "default", "error": error, "count": count,
        "response_max": 0.02, "response": [edge, count],
    }


class InfluxExport(unittest.TestCase):
    def setUp(self):
        self.server = http.server.HTTPServer(("127.0.0.1", 0), InfluxServer)
        self.server.got, self.server.status = [], 204
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        port = self.server.server_address[1]
        self.export = influx.from_environment({"INFLUX_URL": f"http://127.0.0.1:{port}/", "INFLUX_TOKEN": "secret"})

    def test_is_off_unless_asked_for(self):
        self.assertIsNone(influx.from_environment({}))

    def test_sends_a_line_for_each_kind_of_request(self):
        self.export.add_row(row(name="/api/ beta"))
        self.export.add_row(row(name="/api/ beta", error="timeout", count=1))
        self.export.flush(1_700_000_000.7, "ramp", 12)
        self.export.send()
        (path, token, lines), = self.server.got
        self.assertEqual(path, "/api/v2/write?org=evenkeel&bucket=locust&precision=s")
        self.assertEqual(token, "Token secret")
        self.assertRegex(
            lines[0],
            r"^locust_requests,name=/api/\\ beta,method=GET,algorithm=default,shape=ramp"
            r" count=3i,failures=1i,max=0\.020000,p50=0\.0\d+,p95=0\.0\d+,p99=0\.0\d+ 1700000000$",
        )
        self.assertEqual(lines[1:], ["locust_users,shape=ramp count=12i 1700000000"])

    def test_keeps_what_could_not_be_sent_up_to_a_bound(self):
        self.server.status = 503
        with self.assertLogs("evenkeel.influx"):
            for second in range(influx.MAX_LINES + 5):
                self.export.flush(second, "ramp", 1)
            self.export.send()
        self.assertEqual(self.export.dropped, 5)
        self.server.status, self.server.got = 204, []
        self.export.send()
        sent = [line for _, _, lines in self.server.got for line in lines]
        self.assertEqual(len(sent), influx.MAX_LINES)
        self.assertTrue(sent[0].endswith(" 5") and sent[-1].endswith(f" {influx.MAX_LINES + 4}"))

    def test_drops_what_is_never_taken(self):
        self.server.status = 400
        self.export.flush(1, "ramp", 1)
        with self.assertLogs("evenkeel.influx"):
            self.export.send()
        self.assertEqual(self.export.dropped, 1)
        self.export.send()
        self.assertEqual(len(self.server.got), 1)


INFLUXD = """
reporting-disabled = true
bind-address = "127.0.0.1:0"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[http]
  bind-address = "127.0.0.1:0"
"""


@unittest.skipUnless("INFLUXD" in os.environ, "there is no InfluxDB to be had here")
class InfluxItself(unittest.TestCase):
    """InfluxDB 1.6, which reads the lines that 2 does, under another address."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "influxdb.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(INFLUXD.format(folder=folder.name))
        server = subprocess.Popen([os.environ["INFLUXD"], "-config", path], stderr=subprocess.PIPE, text=True)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        address = next(filter(None, (re.search(r'Listening on HTTP".* addr=(\S+)', line) for line in server.stderr)))[1]
        # So that its log never fills the pipe.
        threading.Thread(target=server.stderr.read, daemon=True).start()
        self.url = f"http://{address}"
        self.ask("CREATE DATABASE locust", b"")

    def ask(self, query, body=None):
        place = urllib.parse.urlencode({"db": "locust", "epoch": "s", "q": query})
        with urllib.request.urlopen(f"{self.url}/query?{place}", data=body, timeout=10) as answer:
            return json.load(answer)["results"][0].get("series", [])

    def test_has_what_was_sent(self):
        names = ["/", "/api/ beta", "/a,b=c", '/?q="x"&é=%20', "/back\\slash", "/end\\", "/two\nlines"]
        export = influx.Influx(f"{self.url}/write?db=locust&precision=s", "secret")
        for name in names:
            export.add_row(row(name))
            export.add_row(row(name, error="timeout", count=1))
        export.flush(1_700_000_000.7, "ramp", 12)
        export.send()
        self.assertEqual(export.dropped, 0)
        found = self.ask("SELECT * FROM locust_requests GROUP BY *")
        kept = {name.replace("\\", "/").replace("\n", " ") for name in names}
        self.assertEqual({series["tags"]["name"] for series in found}, kept)
        for series in found:
            point = dict(zip(series["columns"], series["values"][0]))
            self.assertEqual((point["time"], point["count"], point["failures"], point["max"]), (1_700_000_000, 3, 1, 0.02))
            self.assertAlmostEqual(point["p99"], 0.02, delta=0.0002)
            self.assertEqual({**series["tags"], "name": ""}, {"name": "", "method": "GET", "algorithm": "default", "shape": "ramp"})
        users, = self.ask("SELECT count FROM locust_users GROUP BY *")
        self.assertEqual((users["tags"], users["values"]), ({"shape": "ramp"}, [[1_700_000_000, 12]]))


class TheDocument(unittest.TestCase):
    """docs/load-testing.md says what is there, all of it and nothing else."""

    @classmethod
    def setUpClass(cls):
        with open(os.path.join(ROOT, "docs", "load-testing.md"), encoding="utf-8") as file:
            cls.text = file.read()

    def rows(self, header):
        """The cells of the table that begins with `header`, line by line."""
        table = self.text.split(f"\n{header}\n", 1)[1].split("\n\n", 1)[0]
        return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.split("\n")[1:]]

    def test_has_every_shape(self):
        names = [cells[0].strip(" `") for cells in self.rows("| shape | requests a second | how long | for |")]
        self.assertEqual(names, list(shapes.NAMES))

    def test_has_every_error(self):
        cells = [cells[0] for cells in self.rows("| error | |")]
        words = [word for cell in cells for word in re.findall(r"`(\w+)`", cell)]
        self.assertEqual(sorted(words), sorted(outcome.ERRORS))

    def test_has_every_option_with_its_default(self):
        with open(os.path.join(ROOT, "locust", "locustfile.py"), encoding="utf-8") as file:
            source = file.read()
        rows = self.rows("| variable | option | default | |")
        given = re.findall(r'add_argument\("--([a-z-]+)".*?default=(.*?), env_var="(\w+)"', source)
        told = [(cells[0].strip(" `"), cells[1]) for cells in rows]
        self.assertEqual(told, [(name, option) for option, _, name in given])
        for cells, (_, default, _) in zip(rows, given):
            if cells[2] != "all":
                self.assertEqual(cells[2].strip("`"), default.strip('"').removesuffix(".0"))

    def test_has_every_metric_with_its_type_and_labels(self):
        counted = series.Series(lambda: {"users": 1, "rate": 1, "shape": "", "workers": {}, "ids": {"0"}})
        counted.add_worker("0", report())
        rest = {"backend": "one", "service": [], "response_sum": 0.1, "service_sum": 0.1}
        counted.add_row({**row(error="timeout"), **rest})
        found = set()
        for family in counted.collect():
            name = family.name + ("_total" if family.type == "counter" else "")
            found.add((name, family.type, tuple(label for label in family.samples[0].labels if label != "le")))
        told = set()
        for name, kind, labels, _ in self.rows("| name | type | labels | meaning |"):
            told.add((name.strip(" `"), kind, tuple(re.findall(r"`(\w+)`", labels))))
        self.assertEqual(told, found)


if __name__ == "__main__":
    unittest.main()
