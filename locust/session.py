"""The master's side: collects the workers' reports, writes results, serves metrics.

One session lasts as long as the process; a run is what happens between start and stop of a test.
"""

import datetime
import logging
import os
import platform
import sys
import time
from collections import Counter

import gevent
import locust
from gevent.pywsgi import WSGIServer
from locust.runners import LocalRunner
from prometheus_client import CollectorRegistry, make_wsgi_app

import influx
from buckets import percentile
from generator import FLUSH, REPORT, shape_of
from results import Writer
from saturation import Saturation
from series import Series, Times
from tally import FIELDS

FLUSH_SECONDS = 3.0
# Exit code of a run in which requests failed.
FAILED = 1
# Exit code of a run that measured nothing, or did not get to its end.
NOT_MEASURED = 2

log = logging.getLogger("evenkeel")


class Run:
    """What is kept of the run that goes on."""

    def __init__(self, options, conditions):
        self.shape = shape_of(options)
        self.began = time.time()
        self.saturation = Saturation()
        self.response = Times()
        self.service = Times()
        self.requests = 0
        self.failures = 0
        self.how = "stopped"
        began = datetime.datetime.fromtimestamp(self.began, datetime.timezone.utc)
        name = f"{self.shape.name}-{began:%Y%m%dT%H%M%S.%f}"[:-3] + "Z"
        conditions = {"began": began.isoformat(timespec="milliseconds"), **conditions}
        self.file = Writer(options.results, name, conditions)

    def add_row(self, row):
        self.requests += row["count"]
        self.failures += row["count"] if row["error"] else 0
        self.response.add(row["response"], row["response_sum"])
        self.service.add(row["service"], row["service_sum"])
        self.file.write("row", row)

    def end(self):
        self.file.close(
            {
                "how": self.how,
                "elapsed": round(time.time() - self.began, 3),
                "requests": self.requests,
                "failures": self.failures,
                "unsent": self.saturation.unsent,
                "warnings": self.saturation.warnings(),
            }
        )

    def summary(self):
        """What is worth a line on the terminal."""
        yield f"{self.requests} requests, {self.failures} failed, {self.saturation.unsent} due but never sent"
        for name, times in (("response (from due)", self.response), ("service (from sent)", self.service)):
            points = [(share, percentile(times.counts, share)) for share in (0.5, 0.9, 0.99, 0.999)]
            if points[0][1] is not None:
                text = ", ".join(f"p{share * 100:g} {seconds * 1e3:.1f} ms" for share, seconds in points)
                yield f"{name}: {text}"


class Session:
    """Everything the master adds to Locust."""

    def __init__(self, environment):
        self._environment = environment
        self._options = environment.parsed_options
        self.run = None
        self._rate = 0.0
        self._flushed = set()
        self.series = Series(self._state)
        self._influx = influx.from_environment()
        self._prepare()
        environment.runner.register_message(REPORT, self._on_report)
        environment.events.test_start.add_listener(lambda **_: self._begin())
        environment.events.test_stop.add_listener(lambda **_: self._end())
        if self._influx:
            gevent.spawn(self._send_for_ever)

    def _prepare(self):
        """Finds out now, not at the first run, what would keep results from being kept and served."""
        folder = self._options.results
        try:
            os.makedirs(folder, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(f"results cannot be written to {folder}")
            self._serve()
        except OSError as error:
            log.error("%s", error)
            sys.exit(NOT_MEASURED)

    def _serve(self):
        host, _, port = self._options.metrics_address.rpartition(":")
        if not port or port == "0":
            return
        registry = CollectorRegistry()
        registry.register(self.series)
        server = WSGIServer((host, int(port)), make_wsgi_app(registry), log=None)
        server.start()
        log.info("Metrics at http://%s:%s/metrics", host, port)

    def _begin(self):
        conditions = {
            "shape": self._options.shape,
            "rate_scale": self._options.rate_scale,
            "time_scale": self._options.time_scale,
            "rate_of_one": self._options.user_rate,
            "mixture": self._options.mixture,
            "target": self._environment.host or "",
            "workers": len(self._ids()),
            "machine": platform.node(),
            "system": platform.platform(terse=True),
            "cores": os.cpu_count(),
            "locust": locust.__version__,
            "python": platform.python_version(),
        }
        self.run = Run(self._options, conditions)
        shape = self.run.shape
        log.info(
            "Shape %s: %.0f requests due in %.0f s; results in %s",
            shape.name, shape.due(), shape.seconds, self.run.file.path,
        )

    def _end(self):
        if not self.run:
            return
        self.run.end()
        if self._options.headless and self.run.how == "stopped":
            log.error("The run did not get to its end: its workers went away")
            self._environment.process_exit_code = NOT_MEASURED
        elif self.run.failures:
            # Locust does not count what was cut off at the end.
            self._environment.process_exit_code = FAILED
        for line in self.run.summary():
            log.info(line)
        for warning in self.run.saturation.warnings():
            log.warning("The generator was saturated: %s", warning)
        log.info("Results in %s", self.run.file.path)
        if self._influx:
            self._to_influx()
        self.run = None
        self._rate = 0.0

    def load(self, elapsed, rate, users):
        """The shape has asked for `users`, for `rate` requests a second."""
        self._rate = rate
        if self.run:
            fields = {"at": round(elapsed, 3), "rate": round(rate, 3), "users": users, "machine": _machine_load()}
            self.run.file.write("load", fields)

    def flush(self):
        """Waits until every worker that is there has reported all it has."""
        self._flushed = set()
        self._environment.runner.send_message(FLUSH, {})
        with gevent.Timeout(FLUSH_SECONDS, False):
            while not self._client_ids() <= self._flushed:
                gevent.sleep(0.02)
            return
        log.warning("Some workers did not send their last report; the results lack up to a second of theirs")

    def _on_report(self, msg, **_):
        report = msg.data
        worker = self._worker(msg.node_id)
        self.series.add_worker(worker, report)
        for values in report["rows"]:
            row = dict(zip(FIELDS, values))
            row["backend"] = self.series.backend(row["backend"])
            self.series.add_row(row)
            if self.run:
                self.run.add_row(row)
            if self._influx:
                self._influx.add_row(row)
        if self.run:
            self._record(worker, report)
        if report["final"]:
            self._flushed.add(msg.node_id)

    def _record(self, worker, report):
        self.run.saturation.add(worker, report["seconds"], report)
        fields = {key: report[key] for key in ("seconds", "cpu", "sent", "late", "lag_max", "unsent", "lost")}
        at = round(time.time() - self.run.began, 3)
        self.run.file.write("worker", {"at": at, "worker": worker, **fields})

    def _worker(self, client_id):
        runner = self._environment.runner
        return "0" if isinstance(runner, LocalRunner) else str(runner.get_worker_index(client_id))

    def _client_ids(self):
        runner = self._environment.runner
        if isinstance(runner, LocalRunner):
            return {"local"}
        # One that is missing will not answer.
        return {one.id for one in runner.clients.all if one.state != "missing"}

    def _ids(self):
        return {self._worker(one) for one in self._client_ids()}

    def _state(self):
        runner = self._environment.runner
        if isinstance(runner, LocalRunner):
            workers = {"running": 1}
        else:
            workers = Counter(one.state for one in runner.clients.all)
        return {
            "users": runner.user_count,
            "rate": self._rate,
            "shape": self.run.shape.name if self.run else "",
            "workers": workers,
            "ids": self._ids(),
        }

    def _to_influx(self):
        self._influx.flush(time.time(), self.run.shape.name, self._environment.runner.user_count)
        self._influx.send()

    def _send_for_ever(self):
        while True:
            gevent.sleep(influx.INTERVAL_SECONDS)
            if self.run:
                self._to_influx()


def _machine_load():
    """Runnable processes over cores, of the master's machine: above 1 they wait for each other."""
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 3)
