"""How runs end, what they count while the balancer stalls, and what they ask for."""

import http.server
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from runs import EVENKEEL, PATIENCE, ROOT, Load, Processes, free_port, get, serve, wait_for

import buckets
from mixture import MIXTURES


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
