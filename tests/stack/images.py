#!/usr/bin/env python3
"""Images for tests, made without a registry: a program and the libraries that it is linked with.

Each has the entry point, the user and the folders of the image that it stands for. `evenkeel` is in all of them,
because their health checks ask with it where the real image has wget. Its own image is the last stage of the Dockerfile.

usage: images.py EVENKEEL PREFIX                    makes PREFIX/evenkeel:test
       images.py EVENKEEL ROOT PREFIX [cadvisor]    and those of the stack; ROOT as tests/stack/fetch unpacks it
"""

import io
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LEFT_OUT = {"__pycache__", "site-packages", "test", "tests", "idlelib", "ensurepip"}
EVERYBODY = """\
root:x:0:0:root:/:/sbin/nologin
redis:x:999:1000::/data:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
nonroot:x:65532:65532:nonroot:/:/sbin/nologin
"""


class Image:
    """A tree of files that becomes an image."""

    def __init__(self, root="/"):
        self._root = Path(root)
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w", dereference=True)
        self._there = {}
        self._libraries = f"{root}/usr/lib/{sysconfig.get_config_var('MULTIARCH')}:{root}/lib/{sysconfig.get_config_var('MULTIARCH')}"
        for folder in ("tmp", "etc", "proc", "sys", "dev"):
            self.folder(f"/{folder}", mode=0o1777 if folder == "tmp" else 0o755)
        self.text("/etc/passwd", EVERYBODY)

    def folder(self, path, owner=0, group=0, mode=0o755):
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.type, entry.mode, entry.uid, entry.gid = tarfile.DIRTYPE, mode, owner, group
        self._tar.addfile(entry)

    def text(self, path, text):
        entry = tarfile.TarInfo(path.lstrip("/"))
        entry.size, entry.mode = len(text.encode()), 0o644
        self._tar.addfile(entry, io.BytesIO(text.encode()))

    def file(self, host, path):
        path = os.path.normpath(path)
        if path not in self._there:
            self._there[path] = host
            self._tar.add(host, path.lstrip("/"), filter=_owned_by_root)

    def program(self, host, path):
        """A program with its libraries."""
        self.file(host, path)
        self.libraries_of(host)

    def libraries_of(self, host):
        environment = {**os.environ, "LD_LIBRARY_PATH": self._libraries}
        told = subprocess.run(["ldd", str(host)], capture_output=True, text=True, env=environment, check=False).stdout
        if "not found" in told:
            sys.exit(f"stack: {host} lacks a library:\n{told}")
        for library in (word for line in told.splitlines() for word in line.split() if word.startswith("/")):
            inside = library.removeprefix(str(self._root)).lstrip("/")
            self.file(library, f"/{inside}")

    def tree(self, host, path):
        """A folder with everything in it, and the libraries of the libraries in it."""
        for found in sorted(Path(host).rglob("*")):
            if found.is_file() and not LEFT_OUT & set(found.relative_to(host).parts):
                self.file(found, f"{path}/{found.relative_to(host)}")
                if ".so" in found.suffixes:
                    self.libraries_of(found)

    def done(self, name, **settings):
        """Hands the tree to the Engine; `settings` are instructions of a Dockerfile."""
        self._tar.close()
        changes = []
        for instruction, value in settings.items():
            value = value if isinstance(value, str) else json.dumps(value)
            changes += ["--change", f"{instruction.upper()} {value}"]
        done = subprocess.run(["docker", "import", *changes, "-", name], input=self._bytes.getvalue(), capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"stack: {name}: {done.stderr.decode()}")


def _owned_by_root(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = "root"
    return entry


def without_symbols(program, folder):
    """A copy of a debug build that is a tenth of its size, where there is `strip`."""
    copy = Path(folder) / "evenkeel"
    try:
        subprocess.run(["strip", "-o", copy, program], check=True)
    except (OSError, subprocess.CalledProcessError):
        return program
    return copy


def make_evenkeel(evenkeel, named):
    """The last stage of the Dockerfile, with a binary that is there in place of what the first stage builds."""
    base = Image()
    base.libraries_of(evenkeel)
    base.done(named("evenkeel-base"))
    built = Image()
    built.file(evenkeel, "/evenkeel")
    built.done(named("evenkeel-build"))
    dockerfile = (REPOSITORY / "Dockerfile").read_text()
    last = dockerfile[dockerfile.index("FROM ${RUNTIME_IMAGE}"):]
    with tempfile.TemporaryDirectory() as context:
        (Path(context) / "conf").mkdir()
        shutil.copy(REPOSITORY / "conf" / "evenkeel.yaml", f"{context}/conf/")
        (Path(context) / "Dockerfile").write_text(f"ARG RUNTIME_IMAGE\nFROM {named('evenkeel-build')} AS build\n{last}")
        # The classic builder keeps nothing that does not go with the image.
        done = subprocess.run(["docker", "build", "--quiet", "--build-arg", f"RUNTIME_IMAGE={named('evenkeel-base')}",
                               "--tag", named("evenkeel"), context], env={**os.environ, "DOCKER_BUILDKIT": "0"},
                              capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"stack: the Dockerfile: {done.stderr}")


def main(evenkeel, *more):
    with tempfile.TemporaryDirectory() as folder:
        evenkeel = without_symbols(evenkeel, folder)
        *root, prefix = more[:2]

        def named(name):
            return f"{prefix}/{name}:test"

        make_evenkeel(evenkeel, named)
        if root:
            make_others(evenkeel, Path(*root).resolve(), named, more[2:])


def make_others(evenkeel, root, named, more):
    def image():
        new = Image(root)
        new.program(evenkeel, "/usr/local/bin/evenkeel")
        return new

    new = image()
    for program in ("prometheus", "promtool"):
        new.program(root / "usr/bin" / program, f"/usr/bin/{program}")
    new.folder("/prometheus", 65534, 65534)
    new.done(named("prometheus"), entrypoint=["/usr/bin/prometheus"], user="nobody")

    new = image()
    for program in ("prometheus-alertmanager", "amtool"):
        new.program(root / "usr/bin" / program, f"/usr/bin/{program}")
    new.tree(root / "usr/share/prometheus/alertmanager", "/usr/share/prometheus/alertmanager")
    new.folder("/alertmanager", 65534, 65534)
    new.done(named("alertmanager"), entrypoint=["/usr/bin/prometheus-alertmanager"], user="nobody")

    new = image()
    new.program(root / "usr/bin/prometheus-node-exporter", "/usr/bin/node_exporter")
    new.done(named("node-exporter"), entrypoint=["/usr/bin/node_exporter"], user="nobody")

    new = image()
    new.program(root / "usr/sbin/haproxy", "/usr/sbin/haproxy")
    new.done(named("haproxy"), entrypoint=["/usr/sbin/haproxy", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"])

    new = image()
    for program in ("redis-server", "redis-cli"):
        new.program(root / "usr/bin" / program, f"/usr/bin/{program}")
    new.folder("/data", 999, 1000)
    new.done(named("redis"), workdir="/data")

    new = image()
    python = Path(sysconfig.get_config_var("BINDIR")) / f"python{sysconfig.get_python_version()}"
    new.program(python, str(python))
    new.file(python, "/usr/local/bin/python3")
    new.tree(sysconfig.get_path("stdlib"), sysconfig.get_path("stdlib"))
    new.tree(root / "locust", "/site")
    new.tree(REPOSITORY / "locust", "/locust")
    new.folder("/results", 65532, 65532)
    new.done(named("locust"), workdir="/locust", user="65532:65532", env="PYTHONPATH=/site PYTHONDONTWRITEBYTECODE=1",
             entrypoint=[str(python), "-m", "locust", "--locustfile", "/locust/locustfile.py"])

    if "cadvisor" in more:
        new = image()
        new.program(root / "usr/bin/cadvisor", "/usr/bin/cadvisor")
        new.done(named("cadvisor"), entrypoint=["/usr/bin/cadvisor", "-logtostderr"])


if __name__ == "__main__":
    main(*sys.argv[1:])
