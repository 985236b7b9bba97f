"""When a user's requests are due.

Time is cut into slots of one interval; in each slot one request is due, at a moment drawn
evenly. So the rate is exact, users do not fall into step with each other, and the moments are
fixed before anything is sent: a slow answer delays the sending, never the due moment. Response
times are measured from that moment, which is what keeps a stalled server from hiding the
requests that waited for it (coordinated omission).
"""


class Pace:
    """The timetable of one user, in seconds of a monotonic clock."""

    def __init__(self, start, interval, draw):
        """`draw()` gives numbers from 0 to below 1."""
        self._start = start
        self._interval = interval
        self._draw = draw
        self._slots = 0
        self._due = None

    def next(self):
        """The moment the next request is due; never before the one that was due last."""
        self._due = self._start + (self._slots + self._draw()) * self._interval
        self._slots += 1
        return self._due

    def sent(self):
        """The request that was due is under way."""
        self._due = None

    def unsent(self, now):
        """Requests that were due by `now` and were not sent."""
        waiting = 1 if self._due is not None and self._due <= now else 0
        passed = int((now - self._start) / self._interval)
        return waiting + max(0, passed - self._slots)


def lateness(due, free, woken):
    """How late the generator itself was, in seconds.

    A user that waited for an answer beyond the due moment is late because of the server; what
    comes after both, until it was `woken`, is the generator's own.
    """
    return max(0.0, woken - max(due, free))
