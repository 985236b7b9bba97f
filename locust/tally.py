"""What a worker counts between two reports.

A report has one row for each due second, kind of request, algorithm, backend and outcome, with
two histograms: the response time, from the moment the request was due, and the service time,
from the moment it was sent.
"""

from buckets import bucket

# In place of a backend's name: Evenkeel answered itself, nobody did.
BALANCER = "evenkeel"
NOBODY = "none"

# Rows kept for a master that does not listen; what comes on top is counted as lost.
MAX_ROWS = 20_000
# A request sent this much later than it could have been is late because of the generator.
LATE_SECONDS = 0.010

# The fields of a row, in their order.
FIELDS = (
    "second", "name", "method", "algorithm", "backend", "error",
    "count", "response_sum", "service_sum", "response_max", "response", "service",
)


class Tally:
    """Counts of one worker since its last report."""

    def __init__(self):
        self._clear()

    def _clear(self):
        self._rows = {}
        self.sent = 0
        self.late = 0
        self.lag_max = 0.0
        self.unsent = 0
        self.lost = 0

    def starts(self, lag):
        """A request is sent, `lag` seconds later than the generator should have."""
        self.sent += 1
        self.late += lag > LATE_SECONDS
        self.lag_max = max(self.lag_max, lag)

    def ended(self, second, labels, response, service):
        """A request due in `second` has ended; `labels` are name, method, algorithm, backend, error."""
        row = self._rows.get((second, *labels))
        if row is None:
            if len(self._rows) >= MAX_ROWS:
                self.lost += 1
                return
            row = self._rows[(second, *labels)] = [0, 0.0, 0.0, 0.0, {}, {}]
        row[0] += 1
        row[1] += response
        row[2] += service
        row[3] = max(row[3], response)
        for counts, seconds in ((row[4], response), (row[5], service)):
            edge = bucket(seconds)
            counts[edge] = counts.get(edge, 0) + 1

    def take(self):
        """The counts as plain values that can be sent, and a new beginning."""
        rows = [
            [*key, *row[:4], flat(row[4]), flat(row[5])] for key, row in self._rows.items()
        ]
        report = {
            "rows": rows,
            "sent": self.sent,
            "late": self.late,
            "lag_max": self.lag_max,
            "unsent": self.unsent,
            "lost": self.lost,
        }
        self._clear()
        return report


def flat(counts):
    """Edges and counts in turn: shorter than a map, and keys that stay numbers in JSON."""
    return [number for pair in sorted(counts.items()) for number in pair]


def add_flat(counts, pairs):
    """Adds what `flat` made of a histogram to `counts`."""
    for place in range(0, len(pairs), 2):
        counts[pairs[place]] = counts.get(pairs[place], 0) + pairs[place + 1]
