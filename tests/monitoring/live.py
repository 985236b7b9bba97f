"""Every query of every dashboard and every rule, asked of a real Prometheus that scrapes a real balancer.

    live.py EVENKEEL PROMETHEUS NODE_EXPORTER ALERTMANAGER

Starts them on free ports of the loopback interface, sends traffic, and waits until every query has data that should
have some. What has its source elsewhere (cAdvisor, Locust, a fault, a day of time) stands in without-data.txt: it must
be valid as well, and must have no data, so that the list stays true. Ends with 1 and says what is wrong.
"""

import contextlib
import json
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
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from queries import ROOT, Query, annotation_queries, listed, panel_queries, variable_queries

HERE = Path(__file__).resolve().parent
# How long series may take to come; a run needs a quarter of it.
PATIENCE = 90
# Windows of what is scraped each second.
INTERVALS = {"__rate_interval": "15s", "__rate_interval_ms": "15000", "__interval": "15s", "__range": "1m"}
SENDERS = (
    "/app/",
    "/app/?algo=random",
    "/app/?algo=maglev",
    "/flaky/",
    "/raw/",
    "/nowhere",
    "/slow/",
    "/slow/",
    "/slow/",
)


def free_ports(count):
    """Ports that nobody listens on by now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def get(url, data=None, timeout=10):
    """The answer as JSON."""
    request = urllib.request.Request(url, data=data and urllib.parse.urlencode(data).encode())
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return json.load(answer)


class Stage:
    """Everything that runs for the test. All of it ends with the block."""

    def __init__(self, binaries):
        self.binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="evenkeel-monitoring-"))
        self.processes = []
        self.over = threading.Event()
        names = (
            "web",
            "metrics",
            "admin",
            "first",
            "second",
            "failing",
            "slow",
            "prometheus",
            "node",
            "alertmanager",
            "nobody",
        )
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.senders = [threading.Thread(target=self.send, args=(path,), daemon=True) for path in SENDERS]

    def __enter__(self):
        return self

    def begin(self):
        """Starts everything."""
        self.start_backends()
        (self.folder / "evenkeel.yaml").write_text(self.filled((HERE / "evenkeel.yaml").read_text(encoding="utf-8")))
        (self.folder / "found.yaml").write_text(f"- 127.0.0.1:{self.ports['first']}\n")
        self.start("evenkeel", "run", "--config", "evenkeel.yaml")
        self.start("node", f"--web.listen-address=127.0.0.1:{self.ports['node']}")
        shutil.copy(ROOT / "alertmanager" / "alertmanager.yml", self.folder)
        self.start(
            "alertmanager",
            "--config.file=alertmanager.yml",
            "--storage.path=alerts",
            "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{self.ports['alertmanager']}",
        )
        self.write_prometheus()
        self.start(
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--log.level=warn",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
        )
        for sender in self.senders:
            sender.start()

    def __exit__(self, *_):
        self.over.set()
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, name, *arguments):
        """Starts one of the binaries in the folder of the test; its output is kept in a file."""
        with open(self.folder / f"{name}-{len(self.processes)}.log", "wb") as log:
            command = [self.binaries[name], *arguments]
            self.processes.append(subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log))

    def start_backends(self):
        """Two that answer, one that always fails, a slow one."""
        for name, options in (
            ("first", ()),
            ("second", ()),
            ("failing", ("--error-rate", "100%")),
            ("slow", ("--delay", "50ms")),
        ):
            self.start("evenkeel", "backend", "--listen", f"127.0.0.1:{self.ports[name]}", "--threads", "1", *options)

    def filled(self, template):
        """The template with the ports in it."""
        return re.sub(r"@(\w+)@", lambda found: str(self.ports[found[1]]), template)

    def write_prometheus(self):
        """The configuration and the rules of the stack, with the addresses of this test and faster."""
        text = (ROOT / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
        here = {
            "load_balancer:8000": "metrics",
            "cadvisor:8080": "nobody",
            "node_exporter:9100": "node",
            "localhost:9090": "prometheus",
            "alertmanager:9093": "alertmanager",
        }
        for address, name in here.items():
            assert f'"{address}"' in text, f"prometheus.yml does not scrape {address}"
            text = text.replace(f'"{address}"', f'"127.0.0.1:{self.ports[name]}"')
        backends = ", ".join(f'"127.0.0.1:{self.ports[name]}"' for name in ("first", "second"))
        for job, targets in (("backend", backends), ("locust", "")):
            # The label that discovery would set is there, so that the relabelling is tried too.
            static = f"static_configs:\n      - {{ targets: [{targets}], labels: {{ __meta_dns_name: {job} }} }}\n"
            text, count = re.subn(
                rf"(job_name: {job}\n(?:    .+\n)*?    )dns_sd_configs:\n(?:      .+\n)+", rf"\g<1>{static}", text
            )
            assert count == 1, f"prometheus.yml does not find {job} by name"
        text = text.replace("scrape_interval: 5s", "scrape_interval: 1s").replace(
            "scrape_timeout: 4s", "scrape_timeout: 1s"
        )
        (self.folder / "prometheus.yml").write_text(text.replace("evaluation_interval: 10s", "evaluation_interval: 1s"))
        (self.folder / "rules").mkdir()
        for path in (ROOT / "prometheus" / "rules").glob("*.yml"):
            rules = re.sub(r"^    interval: .*$", "    interval: 1s", path.read_text(encoding="utf-8"), flags=re.M)
            rules = re.sub(r"^        for: .*$", "        for: 1s", rules, flags=re.M)
            (self.folder / "rules" / path.name).write_text(rules)

    def send(self, path):
        """Traffic until the end, some ten requests a second."""
        url = f"http://127.0.0.1:{self.ports['web']}{path}"
        while not self.over.wait(0.05):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=10).read()

    def api(self, path, data=None):
        """What Prometheus says."""
        return get(f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/{path}", data)["data"]

    def wait_for(self, name, path):
        """Waits until a server answers."""
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name]}{path}", timeout=5).read()
            self.fail_if_ended()
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.1)

    def fail_if_ended(self):
        """Says what a process printed that should still run."""
        for number, process in enumerate(self.processes):
            if process.poll() is not None:
                log = next(self.folder.glob(f"*-{number}.log")).read_text(errors="replace")
                sys.exit(f"{' '.join(process.args)} has ended with {process.returncode}:\n{log[-2000:]}")

    def has_data(self, query):
        """Whether a query has a value that is a number. Ends the test where it is no query."""
        try:
            result = self.api("query", {"query": query.expr})["result"]
        except urllib.error.HTTPError as error:
            sys.exit(f"{query.name} is refused: {error.read().decode()}\n{query.expr}")
        return any(sample["value"][1] != "NaN" for sample in result)


def rules(stage):
    """What the recording rules record, once all have been evaluated. An alert has no data while all is well."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [rule for group in stage.api("rules")["groups"] for rule in group["rules"]]
        if found and all(rule["health"] != "unknown" for rule in found):
            break
        assert time.monotonic() < deadline, "the rules are not evaluated"
        time.sleep(0.2)
    for rule in found:
        if rule["health"] != "ok":
            sys.exit(f"rule {rule['name']}: {rule['lastError']}\n{rule['query']}")
    return [Query("rules", rule["name"], rule["type"], rule["query"]) for rule in found]


def settle(stage, queries, expected):
    """Waits until all queries have data that should; the names of those that have."""
    with_data = set()
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        missing = [one for one in queries if one.name not in with_data]
        with_data |= {one.name for one in missing if stage.has_data(one)}
        if expected <= with_data:
            break
        stage.fail_if_ended()
        time.sleep(0.5)
    return with_data


# A cause, what may follow from it, whether both are of one upstream, and whether the second is kept from being told.
# A case in which it is not stands behind one with the same cause in which it is.
INHIBITIONS = (
    ("NoHealthyBackend", "BackendDown", True, True),
    ("NoHealthyBackend", "EjectionStorm", False, False),
    ("ErrorBudgetBurnFast", "ErrorBudgetBurnSlow", True, True),
    ("LoadBalancerDown", "AutoscalerBlind", False, True),
    ("LoadBalancerDown", "HostCpuSaturated", True, False),
)


def inhibition_problems(stage):
    """What a real Alertmanager makes of two alerts of which one may follow from the other."""
    url = f"http://127.0.0.1:{stage.ports['alertmanager']}/api/v2/alerts"
    for number, (cause, effect, same, wanted) in enumerate(INHIBITIONS):
        labels = {"severity": "warning", "case": str(number)}
        alerts = [
            {"labels": {**labels, "alertname": cause, "upstream": "a"}},
            {"labels": {**labels, "alertname": effect, "upstream": "a" if same else "b"}},
        ]
        request = urllib.request.Request(url, json.dumps(alerts).encode(), {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).read()
        matchers = [("filter", f'alertname="{effect}"'), ("filter", f'case="{number}"')]
        asked = f"{url}?{urllib.parse.urlencode(matchers)}"
        # It looks at new alerts in its own time. Where nothing is to follow, the case before it has waited for that.
        deadline = time.monotonic() + (PATIENCE if wanted else 0)
        while bool(get(asked)[0]["status"]["inhibitedBy"]) != wanted:
            if time.monotonic() >= deadline:
                whose = "the same" if same else "another"
                yield f"Alertmanager: {cause} should {'' if wanted else 'not '}inhibit {effect} of {whose} upstream"
                break
            time.sleep(0.1)


def problems(stage):
    """Everything that is wrong."""
    stage.wait_for("prometheus", "/-/ready")
    stage.wait_for("alertmanager", "/-/ready")
    without = listed(HERE / "without-data.txt")
    rule_queries = rules(stage)
    recording = [one for one in rule_queries if one.ref == "recording"]
    queries = [*panel_queries(intervals=INTERVALS), *variable_queries(), *recording]
    names = {one.name for one in queries}
    yield from (f"without-data.txt lists {name}, which there is none of" for name in sorted(set(without) - names))
    with_data = settle(stage, queries, names - set(without))
    yield from (f"no data: {name}" for name in sorted(names - with_data - set(without)))
    yield from (f"has data, and is listed for `{without[name]}`: {name}" for name in sorted(with_data & set(without)))
    others = [one for one in rule_queries if one.ref == "alerting"] + list(annotation_queries(intervals=INTERVALS))
    for one in others:
        stage.has_data(one)
    yield from inhibition_problems(stage)
    print(
        f"{len(names)} queries, {len(without)} of them without a source here; {len(others)} of alerts and annotations"
    )


def main():
    """Runs the test."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    binaries = dict(
        zip(("evenkeel", "prometheus", "node", "alertmanager"), map(os.path.abspath, sys.argv[1:]), strict=True)
    )
    with Stage(binaries) as stage:
        stage.begin()
        found = list(problems(stage))
    print("\n".join(found), end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
