"""The side of a run that makes requests: a worker, or the one process of a small run."""

import time

import gevent

from mixture import Choice, for_algorithm
from shapes import DEFAULT, shape
from tally import Tally

REPORT = "evenkeel-report"
CLOCK = "evenkeel-clock"
FLUSH = "evenkeel-flush"

REPORT_SECONDS = 1.0


def shape_of(options):
    """The shape that the options ask for."""
    names = tuple(name for name in options.algorithms.split(",") if name)
    return shape(options.shape, options.rate_scale, options.time_scale, names)


class Generator:
    """Counts what this process's users do, and reports it to the master every second."""

    def __init__(self, environment):
        self._environment = environment
        self.tally = Tally()
        # When the shape began, by this process's clock, and how long ago that was when it was last heard.
        self._zero = time.perf_counter()
        self._elapsed = float("inf")
        self._shape = None
        self._choice = None
        self._last = (time.perf_counter(), time.process_time())
        runner = environment.runner
        runner.register_message(CLOCK, self._on_clock)
        runner.register_message(FLUSH, lambda **_: self.report(final=True))
        environment.events.test_start.add_listener(lambda **_: self._prepare())
        # A worker that is stopped, by the master or by a signal, keeps nothing to itself.
        environment.events.test_stop.add_listener(lambda **_: self.report())
        gevent.spawn(self._report_for_ever)

    def _prepare(self):
        options = self._environment.parsed_options
        self._shape = shape_of(options)
        self._choice = Choice(options.mixture)

    def _on_clock(self, msg, **_):
        elapsed = msg.data["elapsed"]
        zero = time.perf_counter() - elapsed
        # The message that took the shortest way is the most right; a smaller time is of a new run.
        self._zero = zero if elapsed < self._elapsed else min(self._zero, zero)
        self._elapsed = elapsed

    def ask(self, due, random):
        """What to request at `due`, and the algorithm it is for."""
        algorithm = self._shape.algorithm(due - self._zero)
        if algorithm:
            return for_algorithm(algorithm), algorithm
        return self._choice.draw(random), DEFAULT

    def second(self, moment):
        """The second of the run that a moment of the monotonic clock is in."""
        return max(0, int(moment - self._zero))

    def report(self, final=False):
        now, used = time.perf_counter(), time.process_time()
        seconds = now - self._last[0]
        report = self.tally.take()
        report["seconds"] = seconds
        report["cpu"] = (used - self._last[1]) / seconds if seconds > 0 else 0.0
        report["final"] = final
        self._last = (now, used)
        self._environment.runner.send_message(REPORT, report)

    def _report_for_ever(self):
        while True:
            gevent.sleep(REPORT_SECONDS)
            self.report()
