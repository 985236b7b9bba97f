"""The results as Prometheus series, served by the master.

Counters and histograms grow for as long as the master lives, over all its runs. Labels come from
bounded sets: the kinds of requests, the algorithms, the words for errors, the first backends seen.
"""

from collections import defaultdict

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from buckets import BOUNDS, cumulative
from shapes import NAMES
from tally import add_flat

MAX_BACKENDS = 64
OTHERS = "other"
WORKER_STATES = ("ready", "spawning", "running", "missing")


class Times:
    """A histogram and its sum."""

    def __init__(self):
        self.counts = {}
        self.sum = 0.0

    def add(self, pairs, seconds):
        add_flat(self.counts, pairs)
        self.sum += seconds

    def total(self):
        return sum(self.counts.values())


class Series:
    """Everything the master counts. `now` of the state is read when Prometheus asks."""

    def __init__(self, state):
        """`state()` gives `users`, `rate`, `shape`, `workers` (state to count), `ids` (workers that are there)."""
        self._state = state
        self.requests = defaultdict(int)
        self.failures = defaultdict(int)
        self.backends = defaultdict(int)
        self.response = defaultdict(Times)
        self.service = defaultdict(Times)
        self.unsent = 0
        self.late = 0
        self.lost = 0
        self._workers = {}

    def backend(self, name):
        """The name as a label: the first ones by theirs, the rest as one."""
        return name if name in self.backends or len(self.backends) < MAX_BACKENDS else OTHERS

    def add_row(self, row):
        kind = (row["name"], row["method"], row["algorithm"])
        count = row["count"]
        self.requests[kind] += count
        self.backends[row["backend"]] += count
        if row["error"]:
            self.failures[(*kind, row["error"])] += count
        self.response[kind].add(row["response"], row["response_sum"])
        self.service[kind].add(row["service"], row["service_sum"])

    def add_worker(self, worker, report):
        self.unsent += report["unsent"]
        self.late += report["late"]
        self.lost += report["lost"]
        self._workers[worker] = (report["cpu"], report["lag_max"])

    def collect(self):
        """Called by prometheus-client for every scrape."""
        state = self._state()
        yield from self._gauges(state)
        kind = ["name", "method", "algorithm"]
        yield _counter("locust_requests", "Requests that ended, failed ones included.", kind, self.requests)
        yield _counter(
            "locust_failures", "Requests that failed, by what was wrong.", [*kind, "error"], self.failures
        )
        yield _counter(
            "locust_backend_requests", "Requests by the backend that answered.", ["backend"], self.backends
        )
        for name, text, counts in (
            ("locust_unsent_requests", "Requests that were due and were not sent before the end.", self.unsent),
            ("locust_late_requests", "Requests the generator itself sent more than 10 ms late.", self.late),
            ("locust_lost_requests", "Requests that could not be counted.", self.lost),
        ):
            yield CounterMetricFamily(name, text, value=counts)
        yield _histogram(
            "locust_response_seconds",
            "Time from the moment the request was due to the end of its answer.",
            kind,
            self.response,
        )
        yield _histogram(
            "locust_service_seconds",
            "Time from the moment the request was sent to the end of its answer.",
            kind,
            self.service,
        )

    def _gauges(self, state):
        yield GaugeMetricFamily("locust_users", "Users that are running.", value=state["users"])
        yield GaugeMetricFamily("locust_target_rate", "Requests a second that are due now.", value=state["rate"])
        shape = GaugeMetricFamily("locust_shape", "1 for the shape that runs, 0 for the others.", labels=["shape"])
        for name in NAMES:
            shape.add_metric([name], 1 if name == state["shape"] else 0)
        yield shape
        workers = GaugeMetricFamily("locust_workers", "Workers by their state.", labels=["state"])
        for name in WORKER_STATES:
            workers.add_metric([name], state["workers"].get(name, 0))
        yield workers
        self._workers = {one: use for one, use in self._workers.items() if one in state["ids"]}
        cpu = GaugeMetricFamily("locust_worker_cpu_ratio", "Share of a core the worker used.", labels=["worker"])
        lag = GaugeMetricFamily(
            "locust_worker_lag_seconds",
            "Longest time a request was sent too late by the generator, in the last second.",
            labels=["worker"],
        )
        for worker, (use, late) in sorted(self._workers.items()):
            cpu.add_metric([worker], use)
            lag.add_metric([worker], late)
        yield cpu
        yield lag


def _counter(name, text, labels, counts):
    family = CounterMetricFamily(name, text, labels=labels)
    for key, count in sorted(counts.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), count)
    return family


def _histogram(name, text, labels, all_times):
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, times in sorted(all_times.items()):
        within = [[str(bound), count] for bound, count in zip(BOUNDS, cumulative(times.counts))]
        family.add_metric(list(key), [*within, ["+Inf", times.total()]], sum_value=times.sum)
    return family
