#!/usr/bin/env python3
"""The stack as plain processes on free loopback ports, for machines without a Docker Engine.

What the compose file's name server and Engine tell is told by files here; apart from that, every program reads the
configuration that compose gives it. cAdvisor, Redis, the filter of the Docker API and Grafana are left out, which is
said.

usage: processes.py EVENKEEL ROOT     ROOT as tests/stack/fetch unpacks it
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from assertions import ROOT, Assertions, say
from prometheus import Failed, eventually, get

# Quicker than what compose runs, so that the whole of it takes two minutes.
SCRAPE, EVALUATION = "2s", "2s"
ADMIN_TOKEN = "a-token-of-the-stack-test"


class Ports:
    """Free ports of the loopback interface. Each is held until it is asked for."""

    def __init__(self):
        self._held = {}

    def __getitem__(self, name):
        if name not in self._held:
            held = socket.socket()
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", 0))
            self._held[name] = held
        return self._held[name].getsockname()[1]

    def address(self, name):
        return f"127.0.0.1:{self[name]}"

    def release(self, name):
        port = self[name]
        self._held[name].close()
        # The number stays taken here, so that two names never share one.
        self._held[name] = _Released(port)
        return port


class _Released:
    def __init__(self, port):
        self._port = port

    def getsockname(self):
        return "127.0.0.1", self._port

    def close(self):
        pass


def replaced(text, pattern, by, at_least=1):
    """`text` with every match replaced; fewer than expected mean that the configuration has moved on."""
    text, count = re.subn(pattern, by, text, flags=re.MULTILINE | re.DOTALL)
    if count < at_least:
        raise Failed(f"{pattern} is found {count} times, expected {at_least}")
    return text


class Processes:
    """Starts everything, and ends it."""

    def __init__(self, evenkeel, root, folder):
        self._evenkeel, self._root, self._folder = str(evenkeel), Path(root), Path(folder)
        self._ports = Ports()
        self._running = {}
        self._frozen = None
        self.lists_the_killed, self.told_of_the_killed = True, "BackendDown"
        self.replicas, self.backups = 3, 1
        self.jobs = {
            "load_balancer": 1, "backend": self.replicas + self.backups, "node": 1, "locust": 1,
            "prometheus": 1, "alertmanager": 1,
        }
        self.absent = set()
        self.lacks = {"cAdvisor": r"\bcontainer[_:]|job=~?\"[^\"]*cadvisor"}
        self.admin_token = ADMIN_TOKEN
        url = {name: f"http://{self._ports.address(name)}" for name in ("prometheus", "alertmanager", "traffic", "metrics", "admin")}
        self.prometheus_url, self.alertmanager_url = url["prometheus"], url["alertmanager"]
        self.traffic_url, self.metrics_url, self.admin_url = url["traffic"], url["metrics"], url["admin"]

    ## What assertions do ##

    def freeze(self):
        """The process is stopped, so that its port takes connections and nothing answers."""
        self._frozen = "backend-2"
        self._running[self._frozen].send_signal(signal.SIGSTOP)
        return self._ports.address(self._frozen)

    def thaw(self):
        self._running[self._frozen].send_signal(signal.SIGCONT)

    def kill(self):
        """It stays in the list of backends, because nobody watches it for a file."""
        self._running["backend-3"].kill()
        self._running.pop("backend-3").wait()
        return self._ports.address("backend-3")

    def revive(self):
        self._backend("backend-3")

    def scale(self, count):
        for number in range(1, count + 1):
            self._backend(f"backend-{number}")
        self._tell(count)
        for number in range(count + 1, self.replicas + 1):
            self._running[f"backend-{number}"].terminate()

    ## Starting and ending ##

    def start(self):
        self._backend("backup")
        self.scale(self.replicas)
        self._start_evenkeel()
        self._start_prometheus()
        self._start_alertmanager()
        self._run("node", "usr/bin/prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{self._ports.release('node')}")
        self._start_locust()

    def end(self):
        for process in reversed(self._running.values()):
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for name, process in self._running.items():
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise Failed(f"{name} did not end within 20 s of SIGTERM") from None

    def logs(self):
        for log in sorted(self._folder.glob("*.log")):
            text = log.read_text(errors="replace").splitlines()[-15:]
            print(f"--- {log.stem}", *text, sep="\n")

    def _run(self, name, program, *arguments, environment=None):
        program = self._root / program if "/" in program and not program.startswith("/") else program
        with (self._folder / f"{name}.log").open("wb") as log:
            self._running[name] = subprocess.Popen(
                [str(program), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder,
                env={**os.environ, **(environment or {})},
            )

    def _await(self, name, url):
        def answers():
            if self._running[name].poll() is not None:
                sys.exit(f"stack: FAILED: {name} has ended:\n{(self._folder / name).with_suffix('.log').read_text()}")
            return get(url)

        eventually(f"{name} is ready", 60, answers)

    def _backend(self, name):
        if name not in self._running:
            port = self._ports.release(name)
            self._run(name, self._evenkeel, "backend", "--listen", f"127.0.0.1:{port}", "--server-id", name,
                      "--delay", "5ms-25ms", "--threads", "1", "--shutdown-delay", "1s")

    def _tell(self, count):
        """Writes down which backends there are, for Evenkeel and for Prometheus."""
        primaries = [self._ports.address(f"backend-{number}") for number in range(1, count + 1)]
        backup = self._ports.address("backup")
        self._write("web.list", [*primaries, {"address": backup, "backup": True}])
        self._write("beta.list", primaries)
        self._write("targets.json", [
            {"targets": primaries, "labels": {"__meta_dns_name": "backend"}},
            {"targets": [backup], "labels": {"__meta_dns_name": "backup_backend"}},
        ])

    def _write(self, name, value):
        new = self._folder / f"{name}.new"
        new.write_text(json.dumps(value))
        new.replace(self._folder / name)

    def _start_evenkeel(self):
        text = (ROOT / "conf" / "evenkeel.yaml").read_text()
        docker = r"^      - type: docker\n(?:        \w[^\n]*\n)+"
        text = replaced(text, f"{docker}{docker}", f"      - {{ type: file, path: {self._folder}/web.list }}\n")
        text = replaced(text, r"^      type: docker\n(?:      \w[^\n]*\n)+", f"      type: file\n      path: {self._folder}/beta.list\n")
        driver = "      driver: { type: exec, allow_exec: true, program: /bin/true }\n"
        text = replaced(text, r"^      driver:\n(?:        \w[^\n]*\n)+", driver)
        text = replaced(text, r"interval: 15s", "interval: 2s")
        text = replaced(text, r"0\.0\.0\.0:8000", self._ports.address("metrics"))
        text = replaced(text, r"0\.0\.0\.0:5000", self._ports.address("traffic"))
        (self._folder / "evenkeel.yaml").write_text(text)
        for name in ("traffic", "metrics", "admin"):
            self._ports.release(name)
        self._run("evenkeel", self._evenkeel, "run", "--config", str(self._folder / "evenkeel.yaml"), environment={
            "ADMIN_ADDRESS": self._ports.address("admin"), "ADMIN_TOKEN": ADMIN_TOKEN,
            "PROMETHEUS_URL": self.prometheus_url, "SLOW_START": "1s",
        })
        self._await("evenkeel", f"{self.admin_url}/readyz")

    def _start_prometheus(self):
        folder = self._folder / "prometheus"
        shutil.copytree(ROOT / "prometheus", folder)
        file = folder / "prometheus.yml"
        text = file.read_text()
        text = replaced(text, r"^(  scrape_interval: ).*?$", rf"\g<1>{SCRAPE}")
        text = replaced(text, r"^(  scrape_timeout: ).*?$", rf"\g<1>{SCRAPE}")
        text = replaced(text, r"^(  evaluation_interval: ).*?$", rf"\g<1>{EVALUATION}")
        # Without containers there is nothing that it could tell of.
        text = replaced(text, r"^  - job_name: cadvisor\n.*?(?=^  (?:- job_name|#))", "")
        self._write("locust.json", [{"targets": [self._ports.address("locust")], "labels": {"__meta_dns_name": "locust"}}])
        for names, found in (("backend, backup_backend", "targets.json"), ("locust", "locust.json")):
            text = replaced(
                text,
                rf"^    dns_sd_configs:\n      - names: \[{names}\]\n(?:        \w[^\n]*\n)+",
                f"    file_sd_configs:\n      - files: [{self._folder / found}]\n        refresh_interval: 1s\n",
            )
        places = {
            "load_balancer:8000": "metrics", "node_exporter:9100": "node", "localhost:9090": "prometheus", "alertmanager:9093": "alertmanager",
        }
        for place, name in places.items():
            text = replaced(text, re.escape(place), self._ports.address(name))
        file.write_text(text)
        # Short groups must not wait for their own, longer interval.
        for rules in (folder / "rules").glob("*.yml"):
            rules.write_text(re.sub(r"(?m)^    interval: .*$", f"    interval: {EVALUATION}", rules.read_text()))
        self._run("prometheus", "usr/bin/prometheus", f"--config.file={file}", f"--storage.tsdb.path={self._folder / 'tsdb'}",
                  f"--web.listen-address=127.0.0.1:{self._ports.release('prometheus')}", "--log.level=warn")
        self._await("prometheus", f"{self.prometheus_url}/-/ready")

    def _start_alertmanager(self):
        self._run("alertmanager", *self._with_its_share(), str(self._root / "usr/bin/prometheus-alertmanager"), f"--config.file={ROOT / 'alertmanager' / 'alertmanager.yml'}",
                  f"--storage.path={self._folder / 'alertmanager'}", "--cluster.listen-address=", "--log.level=warn",
                  f"--web.listen-address=127.0.0.1:{self._ports.release('alertmanager')}")
        self._await("alertmanager", f"{self.alertmanager_url}/-/ready")

    def _with_its_share(self):
        """Debian's Alertmanager reads its template in /usr/share: where it is not installed, the unpacked one is put
        there, for this process alone."""
        if Path("/usr/share/prometheus/alertmanager/default.tmpl").exists():
            return ["env"]
        put = 'mount --bind "$1" /usr/share && shift && exec "$@"'
        for namespace in (["--map-root-user", "--mount"], ["--mount"]):
            prefix = ["unshare", *namespace, "sh", "-c", put, "sh", str(self._root / "usr/share")]
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return prefix
        raise Failed("Alertmanager needs a mount namespace, or the package prometheus-alertmanager installed")

    def _start_locust(self):
        """The baseline shape, 10 requests a second, for as long as the test takes."""
        self._run("locust", sys.executable, "-m", "locust", "--locustfile", str(ROOT / "locust" / "locustfile.py"), "--headless", environment={
            "PYTHONPATH": str(self._root / "locust"), "PYTHONDONTWRITEBYTECODE": "1",
            "LOCUST_HOST": self.traffic_url, "LOCUST_SHAPE": "baseline", "LOCUST_TIME_SCALE": "10",
            "LOCUST_METRICS_ADDRESS": f"127.0.0.1:{self._ports.release('locust')}", "LOCUST_RESULTS": str(self._folder / "results"),
        })


def main(evenkeel, root):
    with tempfile.TemporaryDirectory(prefix="evenkeel-stack-") as folder:
        stack = Processes(Path(evenkeel).resolve(), Path(root).resolve(), folder)
        say("SKIPPED Grafana: it cannot be had here; its dashboards' queries are asked of Prometheus instead")
        say("SKIPPED cAdvisor, Redis, the filter of the Docker API: they need a Docker Engine (EVENKEEL_TEST_DOCKER=1)")
        failed = None
        try:
            stack.start()
            Assertions(stack).all()
        except Failed as error:
            failed = error
            stack.logs()
        finally:
            stack.end()
        if failed:
            sys.exit(f"stack: FAILED: {failed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
