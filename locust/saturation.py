"""Whether the generator was the bottleneck, so that the numbers say nothing about the server."""

from collections import deque

CPU_LIMIT = 0.9
# A worker must be busy this long: starting users takes all of a core for a moment.
CPU_WINDOW_SECONDS = 5.0
LATE_LIMIT = 0.01
# Fewer say nothing.
LATE_LEAST = 5


class Saturation:
    """Fed with every report of every worker."""

    def __init__(self):
        self._windows = {}
        self.cpu_max = 0.0
        self.sent = 0
        self.late = 0
        self.lag_max = 0.0
        self.unsent = 0
        self.lost = 0

    def add(self, worker, seconds, report):
        """`report` covers the last `seconds`, in which `worker` used `report["cpu"]` of a core."""
        self.sent += report["sent"]
        self.late += report["late"]
        self.lag_max = max(self.lag_max, report["lag_max"])
        self.unsent += report["unsent"]
        self.lost += report["lost"]
        window = self._windows.setdefault(worker, deque(maxlen=64))
        window.append((seconds, report["cpu"]))
        while sum(took for took, _ in window) - window[0][0] >= CPU_WINDOW_SECONDS:
            window.popleft()
        length = sum(took for took, _ in window)
        if length >= CPU_WINDOW_SECONDS:
            self.cpu_max = max(self.cpu_max, sum(took * cpu for took, cpu in window) / length)

    def late_share(self):
        """Requests sent too late by the generator, of all sent."""
        return self.late / self.sent if self.sent else 0.0

    def warnings(self):
        """A sentence for everything that makes the numbers doubtful."""
        found = []
        if self.cpu_max > CPU_LIMIT:
            found.append(
                f"a worker used {self.cpu_max:.0%} of its core for {CPU_WINDOW_SECONDS:.0f} s:"
                " start more workers"
            )
        if self.late >= LATE_LEAST and self.late_share() > LATE_LIMIT:
            found.append(
                f"{self.late_share():.1%} of the requests were sent more than 10 ms late by the"
                f" generator itself, the worst {self.lag_max * 1e3:.0f} ms"
            )
        if self.lost:
            found.append(f"{self.lost} requests were not counted: the master did not keep up")
        return found
