"""Results as lines for InfluxDB 2, sent over HTTP.

Off unless `INFLUX_URL` is set. Sending happens beside the load: what does not fit into the queue
while InfluxDB is slow or away is dropped and counted, never waited for.
"""

import logging
import os
import urllib.request
from collections import deque
from http.client import HTTPException
from urllib.parse import urlencode

import gevent

from buckets import percentile
from tally import add_flat

INTERVAL_SECONDS = 5.0
TIMEOUT_SECONDS = 5.0
MAX_LINES = 10_000
BATCH_LINES = 1_000
# Answers that sending the same again does not change.
_NEVER_TAKEN = (400, 413, 422)

log = logging.getLogger("evenkeel.influx")


def from_environment(environ=os.environ):
    """The export that the environment asks for, or None."""
    url = environ.get("INFLUX_URL")
    if not url:
        return None
    place = {
        "org": environ.get("INFLUX_ORG", "evenkeel"),
        "bucket": environ.get("INFLUX_BUCKET", "locust"),
        "precision": "s",
    }
    return Influx(f"{url.rstrip('/')}/api/v2/write?{urlencode(place)}", environ.get("INFLUX_TOKEN", ""))


class Influx:
    """Collects rows and sends a line for each kind of request every few seconds."""

    def __init__(self, address, token):
        self._address = address
        self._token = token
        self._open = {}
        self._lines = deque()
        self.dropped = 0
        self._warned = False

    def add_row(self, row):
        kind = (row["name"], row["method"], row["algorithm"])
        counts = self._open.setdefault(kind, {"count": 0, "failures": 0, "max": 0.0, "times": {}})
        counts["count"] += row["count"]
        counts["failures"] += row["count"] if row["error"] else 0
        counts["max"] = max(counts["max"], row["response_max"])
        add_flat(counts["times"], row["response"])

    def flush(self, now, shape, users):
        """Turns what was collected into lines of the second `now`."""
        for (name, method, algorithm), counts in sorted(self._open.items()):
            tags = {"name": name, "method": method, "algorithm": algorithm, "shape": shape}
            fields = {
                "count": f"{counts['count']}i",
                "failures": f"{counts['failures']}i",
                "max": f"{counts['max']:.6f}",
            }
            for word, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
                fields[word] = f"{percentile(counts['times'], share):.6f}"
            self._put(_line("locust_requests", tags, fields, now))
        self._open = {}
        self._put(_line("locust_users", {"shape": shape}, {"count": f"{users}i"}, now))

    def _put(self, line):
        if len(self._lines) >= MAX_LINES:
            self._lines.popleft()
            self.dropped += 1
        self._lines.append(line)

    def send(self):
        """Sends what waits, oldest first; stops at the first failure and keeps the rest."""
        while self._lines:
            batch = [self._lines.popleft() for _ in range(min(BATCH_LINES, len(self._lines)))]
            if not self._post("\n".join(batch).encode()):
                room = MAX_LINES - len(self._lines)
                self.dropped += max(0, len(batch) - room)
                self._lines.extendleft(reversed(batch[-room:] if room else []))
                return

    def _post(self, body):
        request = urllib.request.Request(
            self._address,
            data=body,
            headers={"Authorization": f"Token {self._token}", "Content-Type": "text/plain; charset=utf-8"},
        )
        try:
            with gevent.Timeout(TIMEOUT_SECONDS, OSError("no answer in time")):
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):
                    pass
        except (OSError, HTTPException) as error:
            if getattr(error, "code", 0) in _NEVER_TAKEN:
                log.warning("InfluxDB refuses a batch, it is dropped: %s", error)
                self.dropped += body.count(b"\n") + 1
                return True
            if not self._warned:
                log.warning("InfluxDB does not take the results, they wait: %s", error)
            self._warned = True
            return False
        self._warned = False
        return True


# A tag holds neither: a backslash may turn out to escape what follows, and a line ends where it ends.
_NOT_IN_TAGS = str.maketrans("\\\n", "/ ")


def _escaped(text):
    text = text.translate(_NOT_IN_TAGS)
    for character in ",= ":
        text = text.replace(character, "\\" + character)
    return text


def _line(measurement, tags, fields, second):
    tagged = ",".join([measurement, *(f"{key}={_escaped(value)}" for key, value in tags.items() if value)])
    return f"{tagged} {','.join(f'{key}={value}' for key, value in fields.items())} {int(second)}"
