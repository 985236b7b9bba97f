#!/usr/bin/env python3
"""The stack in containers: `docker compose up` of the shipped file, with images that were made on this machine.

usage: containers.py EVENKEEL ROOT [cadvisor]     ROOT as tests/stack/fetch unpacks it
"""

import json
import os
import signal
import socket
import subprocess
import sys

import images
from assertions import ROOT, Assertions, say
from prometheus import Failed

ADMIN_TOKEN = "a-token-of-the-stack-test"
PORTS = ("TRAFFIC", "METRICS", "ADMIN", "GRAFANA", "PROMETHEUS", "ALERTMANAGER", "LOCUST", "CADVISOR", "NODE_EXPORTER")


def free_ports(count):
    """Different ones, because all are held until the last is found."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


class Containers:
    """A compose project of its own, on ports of its own."""

    def __init__(self, root, has_cadvisor):
        self._project = f"evenkeel-stack-{os.getpid()}"
        self.images = self._project
        self._has_cadvisor = has_cadvisor
        installed = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
        self._program = ["docker", "compose"] if installed else [f"{root}/usr/libexec/docker/cli-plugins/docker-compose"]
        self._frozen = None
        self.lists_the_killed, self.told_of_the_killed = False, "BackendsLeft"
        ports = dict(zip(PORTS, free_ports(len(PORTS))))
        socket_of_host = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
        self._environment = {
            **os.environ,
            **({"DOCKER_SOCKET": socket_of_host} if socket_of_host.startswith("/") else {}),
            "DOCKER_ROOT": self._docker("info", "--format", "{{.DockerRootDir}}").strip(),
            **{f"{name}_PORT": str(port) for name, port in ports.items()},
            "STACK_IMAGES": self.images, "ADMIN_TOKEN": ADMIN_TOKEN, "SLOW_START": "1s", "LOCUST_TIME_SCALE": "10",
        }
        self.replicas, self.backups = 3, 1
        self.jobs = {
            "load_balancer": 1, "backend": self.replicas + self.backups, "node": 1, "locust": 1,
            "prometheus": 1, "alertmanager": 1, "cadvisor": 1,
        }
        self.lacks, self.absent = {}, set()
        if not has_cadvisor:
            self.lacks, self.absent = {"cAdvisor": r"\bcontainer[_:]|job=~?\"[^\"]*cadvisor"}, {"cadvisor"}
            del self.jobs["cadvisor"]
        self.admin_token = ADMIN_TOKEN
        url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
        self.prometheus_url, self.alertmanager_url = url["PROMETHEUS"], url["ALERTMANAGER"]
        self.traffic_url, self.metrics_url, self.admin_url = url["TRAFFIC"], url["METRICS"], url["ADMIN"]

    ## What assertions do ##

    def freeze(self):
        """The process is stopped, so that its port takes connections and nothing answers."""
        told = self._inspect("backend-2")
        self._frozen = told["State"]["Pid"]
        os.kill(self._frozen, signal.SIGSTOP)
        return self._address(told)

    def thaw(self):
        os.kill(self._frozen, signal.SIGCONT)

    def kill(self):
        """Its end is an event of the Engine, which takes it from the list of backends. What is killed by hand is not
        started again by itself."""
        address = self._address(self._inspect("backend-3"))
        self._docker("kill", f"{self._project}-backend-3")
        return address

    def revive(self):
        self._docker("start", f"{self._project}-backend-3")

    def scale(self, count):
        self._compose("up", "--detach", "--no-build", "--no-recreate", "--scale", f"backend={count}", *self._without())

    def networks_are_apart(self):
        """Who is not meant to reach the Engine does not, and the filters refuse what they must."""
        expected = [
            ("load_balancer", "http://docker-api-proxy:2375/_ping", True),
            ("load_balancer", "http://docker-api-proxy:2375/info", False),
            ("load_balancer", "tcp://cadvisor-api-proxy:2375", False),
            ("backend", "tcp://docker-api-proxy:2375", False),
            ("backend", "tcp://prometheus:9090", True),
            ("backend", "tcp://alertmanager:9093", False),
            ("prometheus", "tcp://docker-api-proxy:2375", False),
            ("locust_worker", "tcp://backend:5000", False),
        ]
        if self._has_cadvisor:
            expected += [
                ("cadvisor", "http://cadvisor-api-proxy:2375/version", True),
                ("cadvisor", "http://cadvisor-api-proxy:2375/containers/json", False),
                ("cadvisor", "tcp://docker-api-proxy:2375", False),
            ]
        for service, url, may in expected:
            done = self._run("exec", "--no-TTY", service, "/usr/local/bin/evenkeel", "probe", url)
            if (done.returncode == 0) != may:
                raise Failed(f"{service} asks {url}: {done.stdout}{done.stderr}")

    ## Starting and ending ##

    def start(self):
        self._compose("config", "--quiet")
        self._compose("up", "--detach", "--no-build", "--wait", "--wait-timeout", "240", *self._without())
        self.networks_are_apart()

    def end(self):
        self._compose("down", "--volumes", "--timeout", "40")
        mine = f"label=com.docker.compose.project={self._project}"
        left = [self._docker(*kind, "ls", "--quiet", "--filter", mine).split() for kind in (("container",), ("network",), ("volume",))]
        if any(left):
            raise Failed(f"`down --volumes` leaves {left}")
        say("nothing is left after `docker compose down --volumes`")

    def remove_images(self):
        found = self._docker("image", "ls", "--quiet", f"{self.images}/*").split()
        if found:
            self._docker("image", "rm", "--force", *found)

    def logs(self):
        print(self._run("ps", "--all").stdout, self._run("logs", "--tail", "15", "--no-color").stdout)

    def _without(self):
        return () if self._has_cadvisor else ("--scale", "cadvisor=0", "--scale", "cadvisor-api-proxy=0")

    def _run(self, *arguments):
        files = ("--file", str(ROOT / "docker-compose.yml"), "--file", str(ROOT / "tests" / "stack" / "override.yml"))
        return subprocess.run([*self._program, "--project-name", self._project, *files, *arguments],
                              env=self._environment, capture_output=True, text=True, check=False)

    def _compose(self, *arguments):
        done = self._run(*arguments)
        if done.returncode:
            raise Failed(f"docker compose {' '.join(arguments)}: {done.stderr}")

    def _inspect(self, name):
        [told] = json.loads(self._docker("inspect", f"{self._project}-{name}"))
        return told

    def _address(self, told):
        return told["NetworkSettings"]["Networks"][f"{self._project}_app"]["IPAddress"] + ":5000"

    def _docker(self, *arguments):
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"docker {' '.join(arguments)}: {done.stderr}")
        return done.stdout


def main(evenkeel, root, *more):
    stack = Containers(root, "cadvisor" in more)
    say("SKIPPED Grafana: it cannot be had here; its dashboards' queries are asked of Prometheus instead")
    if "cadvisor" not in more:
        say("SKIPPED cAdvisor: Debian 11's archive does not have it any more")
    failed = None
    try:
        images.main(evenkeel, root, stack.images, *more)
        say("the images are made")
        stack.start()
        say("all containers are healthy")
        Assertions(stack).all()
    except Failed as error:
        failed = error
        stack.logs()
    finally:
        try:
            stack.end()
        except Failed as error:
            failed = failed or error
        stack.remove_images()
    if failed:
        sys.exit(f"stack: FAILED: {failed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
