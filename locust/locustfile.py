"""Evenkeel's load test: `locust -f locust/locustfile.py --shape ramp --host http://127.0.0.1:5000`.

docs/load-testing.md says what the shapes are and what the numbers mean.
"""

import functools
import logging
import os
import signal
import sys
import time
from random import Random

import gevent
import locust.argument_parser
import locust.runners
from gevent import GreenletExit
from locust import FastHttpUser, LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.exception import StopUser
from locust.runners import LocalRunner, MasterRunner, WorkerRunner

import shapes
from generator import CLOCK, Generator, shape_of
from mixture import MIXTURES
from outcome import backend_of, error_of
from pace import Pace, lateness
from session import FLUSH_SECONDS, NOT_MEASURED, Session
from tally import NOBODY

# Requests in flight at the end get this long.
STOP_SECONDS = 10.0
# Of visitors, how many keep their cookies.
RETURNING = 0.5

log = logging.getLogger("evenkeel")

# Seconds without a sign of life after which a worker is lost. On a busy machine Locust's three are too few.
WORKER_SECONDS = 15
_ALL_ALGORITHMS = ",".join(shapes.ALGORITHMS)

locust.runners.HEARTBEAT_LIVENESS = WORKER_SECONDS
# Locust's workers build this parser anew for every option of every message that changes the number of
# users, which takes most of a second of CPU in which they send nothing. It never changes.
locust.argument_parser.default_args_dict = functools.cache(locust.argument_parser.default_args_dict)
# How long each step of a shape waits for the workers' word that they follow.
os.environ.setdefault("LOCUST_WAIT_FOR_WORKERS_REPORT_AFTER_RAMP_UP", "0.1")
# A worker that has stopped its users is ready for the next run; Locust lets it pause as long as they may take.
os.environ.setdefault("LOCUST_WORKER_ADDITIONAL_WAIT_BEFORE_READY_AFTER_STOP", f"-{STOP_SECONDS:.0f}")


@events.init_command_line_parser.add_listener
def _arguments(parser: LocustArgumentParser):
    parser.add_argument("--shape", choices=shapes.NAMES, default="baseline", env_var="LOCUST_SHAPE",
                        help="load shape")
    parser.add_argument("--rate-scale", type=_positive, default=1.0, env_var="LOCUST_RATE_SCALE",
                        help="multiplies every rate of the shape")
    parser.add_argument("--time-scale", type=_positive, default=1.0, env_var="LOCUST_TIME_SCALE",
                        help="multiplies every duration of the shape")
    parser.add_argument("--user-rate", type=_positive, default=1.0, env_var="LOCUST_USER_RATE",
                        help="requests a second of one user, each over a connection of its own")
    parser.add_argument("--mixture", choices=sorted(MIXTURES), default="stack", env_var="LOCUST_MIXTURE",
                        help="the routes of conf/evenkeel.yaml (stack) or of `evenkeel demo` (demo), or only / (root)")
    parser.add_argument("--algorithms", type=_algorithms, default=_ALL_ALGORITHMS, env_var="LOCUST_ALGORITHMS",
                        help="what the shape `comparison` compares, separated by commas")
    parser.add_argument("--request-timeout", type=_positive, default=10.0, env_var="LOCUST_REQUEST_TIMEOUT",
                        help="seconds without a byte after which a request has failed")
    parser.add_argument("--results", default="results", env_var="LOCUST_RESULTS", include_in_web_ui=False,
                        help="folder the results of every run are written to")
    parser.add_argument("--metrics-address", default="127.0.0.1:9646", env_var="LOCUST_METRICS_ADDRESS",
                        include_in_web_ui=False, help="where the master serves Prometheus metrics; port 0 for nowhere")


def _positive(text):
    number = float(text)
    if not 0 < number < float("inf"):
        raise ValueError("not above 0")
    return number


def _algorithms(text):
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = sorted(set(names) - set(shapes.ALGORITHMS))
    if unknown or not names:
        raise ValueError(f"unknown: {unknown}")
    return ",".join(names)


class Visitor(FastHttpUser):
    """Sends one request in each interval of its timetable, whatever became of the last one."""

    def __init__(self, environment):
        options = environment.parsed_options
        self.network_timeout = options.request_timeout
        self.connection_timeout = options.request_timeout
        super().__init__(environment)
        self._generator = environment.evenkeel_generator
        self._random = Random()
        self._returning = self._random.random() < RETURNING
        self._free = time.perf_counter()
        self._pace = Pace(self._free, 1 / options.user_rate, self._random.random)
        self._due = self._pace.next()
        # When it was asked to stop.
        self._leaving = None

    def stop(self, force=False):
        self._leaving = time.perf_counter()
        return super().stop(force)

    def on_start(self):
        self.wait()

    def wait_time(self):
        return max(0.0, self._due - time.perf_counter())

    def on_stop(self):
        # What was due later is nobody's fault.
        self._generator.tally.unsent += self._pace.unsent(self._leaving or time.perf_counter())

    @task
    def visit(self):
        # Stopped between waking up and getting here: what is sent now would be cut off.
        if self._leaving is not None:
            raise StopUser()
        due = self._due
        sent = time.perf_counter()
        self._pace.sent()
        self._generator.tally.starts(lateness(due, self._free, sent))
        ask, algorithm = self._generator.ask(due, self._random)
        if not self._returning:
            self.client.cookiejar.clear()
        # A timer may fire a moment early; the service time is never the longer one.
        due = min(due, sent)
        try:
            backend, error = self._send(ask, due)
        except GreenletExit:
            self._ended(ask, algorithm, NOBODY, "unfinished", due, sent)
            raise
        self._ended(ask, algorithm, backend, error, due, sent)
        self._free = time.perf_counter()
        self._due = self._pace.next()

    def _send(self, ask, due):
        with self.client.request(
            ask.method, ask.path, name=ask.name, data=ask.body or None, headers=ask.headers,
            allow_redirects=False, catch_response=True,
        ) as response:
            error = error_of(response, ask)
            # Locust's own statistics show the response time too, not the service time.
            response.request_meta["response_time"] = (time.perf_counter() - due) * 1e3
            if error:
                response.failure(error)
            else:
                response.success()
            return backend_of(response), error

    def _ended(self, ask, algorithm, backend, error, due, sent):
        now = time.perf_counter()
        labels = (ask.name, ask.method, algorithm, backend, error)
        self._generator.tally.ended(self._generator.second(due), labels, now - due, now - sent)


class EvenkeelShape(LoadTestShape):
    """Asks for as many users as the chosen shape has requests a second."""

    def __init__(self):
        super().__init__()
        self.interrupted = False
        self._users = 0

    def reset_time(self):
        super().reset_time()
        self._users = 0

    def tick(self):
        environment = self.runner.environment
        options, session = environment.parsed_options, environment.evenkeel_session
        elapsed = self.get_run_time()
        # The page lets options be changed while a run goes on: they are for the next one.
        shape = session.run.shape if session.run else shape_of(options)
        rate = None if self.interrupted else shape.rate(elapsed)
        if rate is None:
            self._finish(session)
            return None
        users = shapes.users(rate, options.user_rate)
        self.runner.send_message(CLOCK, {"elapsed": elapsed})
        session.load(elapsed, users * options.user_rate, users)
        # Fast enough to be done before the next tick.
        step = max(1, abs(users - self._users))
        if users != self._users:
            self._step, self._users = step, users
        return users, self._step

    def _finish(self, session):
        """Lets the requests in flight end and fetches what the workers counted, before Locust stops them."""
        if session.run:
            if not self.interrupted:
                session.run.how = "finished"
            session.load(self.get_run_time(), 0.0, 0)
        self.runner.start(0, max(1, self._users))
        with gevent.Timeout(STOP_SECONDS + 5, False):
            while self.runner.user_count:
                gevent.sleep(0.05)
        session.flush()
        self.interrupted = False


@events.init.add_listener
def _on_init(environment, runner, web_ui, **_):
    if not environment.stop_timeout:
        environment.stop_timeout = STOP_SECONDS
    if isinstance(runner, (MasterRunner, LocalRunner)):
        environment.evenkeel_session = Session(environment)
        _end_cleanly(environment, runner, web_ui)
    if isinstance(runner, (WorkerRunner, LocalRunner)):
        environment.evenkeel_generator = Generator(environment)
    if isinstance(runner, WorkerRunner):
        # Called before the master is told that this worker leaves.
        environment.events.quitting.add_listener(lambda **_: _leave(runner))
        # Python would raise KeyboardInterrupt in whatever user happens to run, and its request would be lost.
        gevent.signal_handler(signal.SIGINT, os.kill, os.getpid(), signal.SIGTERM)


def _leave(worker):
    """Ends a worker's users and reports what they did."""
    # The master gives the users of a worker that has left to the others. One that leaves takes none:
    # a message older than this is not heeded.
    worker.last_received_spawn_timestamp = float("inf")
    worker.stop()


def _end_cleanly(environment, runner, web_ui):
    """SIGINT and SIGTERM end a run as its last second would: nothing in flight or counted is lost.

    Locust takes SIGTERM only once a headless run is over, and at both it does not wait for the workers.
    """
    asked = []

    def drain(**_):
        session = environment.evenkeel_session
        if not session.run:
            return
        # At once: the workers may have had the signal too, and be gone before the shape's next step.
        session.run.how = "interrupted"
        environment.shape_class.interrupted = True
        with gevent.Timeout(STOP_SECONDS + FLUSH_SECONDS + 10, False):
            while session.run:
                gevent.sleep(0.05)

    def leave():
        if asked:
            log.warning("Asked twice to stop: the workers' last second is lost")
            os._exit(NOT_MEASURED)
        asked.append(True)
        log.info("Stopping: waiting for what is in flight; once more to stop at once")
        if not environment.evenkeel_session.run:
            runner.quit()
            sys.exit(NOT_MEASURED if environment.parsed_options.headless else 0)
        drain()
        runner.quit()
        if web_ui:
            web_ui.stop()

    # Called before Locust stops the workers, whatever it is that ends this process.
    environment.events.quitting.add_listener(drain)
    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, leave)
