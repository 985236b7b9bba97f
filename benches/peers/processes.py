"""Child processes on a core of their own: started, awaited, measured, ended."""

import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

START_SECONDS = 15
STOP_SECONDS = 5
TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Failed(Exception):
    """The run cannot go on, or its numbers would mean nothing."""


class Process:
    """A child on one core, with its descendants; ends with its `with` block."""

    def __init__(self, command, core, log, stop=signal.SIGTERM):
        self.command, self.core, self.log, self.stop_signal = command, core, log, stop

    def __enter__(self):
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(part) for part in self.command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True, preexec_fn=lambda: os.sched_setaffinity(0, {self.core}))
        return self

    def __exit__(self, *_):
        # The child leads a session of its own, so the group holds it and its descendants only.
        for wanted, patience in ((self.stop_signal, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            if self.child.poll() is None:
                os.killpg(self.child.pid, wanted)
                try:
                    self.child.wait(patience)
                except subprocess.TimeoutExpired:
                    continue
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def check(self):
        if self.child.poll() is not None:
            tail = Path(self.log).read_text(errors="replace")[-2000:]
            raise Failed(f"{self.command[0]} ended with {self.child.returncode}:\n{tail}")

    def tree(self):
        """The process ids of the child and its living descendants."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit() and (fields := stat(int(entry))):
                parents.setdefault(int(fields[1]), []).append(int(entry))
        found, queue = [], [self.child.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            queue += parents.get(pid, [])
        return found

    def cpu_seconds(self):
        """User and system time of the tree, children that ended included."""
        ticks = 0
        for pid in self.tree():
            if fields := stat(pid):
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def resident_bytes(self):
        return sum(int(fields[21]) * PAGE_BYTES for pid in self.tree() if (fields := stat(pid)))


def stat(pid):
    """/proc/PID/stat from the third field on (the state is [0]); None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in held]
    for sock in held:
        sock.close()
    return ports


def wait_until_answering(process, port, path, body_bytes):
    deadline = time.monotonic() + START_SECONDS
    while True:
        process.check()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
                if answer.status == 200 and len(answer.read()) == body_bytes:
                    return
        except OSError as error:
            if time.monotonic() > deadline:
                raise Failed(f"{process.command[0]} does not answer on port {port}: {error}") from error
        time.sleep(0.02)
