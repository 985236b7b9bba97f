"""The load shapes: how many requests a second are due at which moment.

Everything here is a function of the time since the start. A shape is a list of segments that
follow each other; a segment's rate goes in a straight line from its first to its last value.
Comparing algorithms is a shape whose segments also name the algorithm they are for.
"""

from dataclasses import dataclass, replace

# Without `?algo=`: what the upstream is configured to use.
DEFAULT = "default"

# What can be compared: the upstream's own choice, and all of `?algo=`.
ALGORITHMS = (
    DEFAULT,
    "round_robin",
    "weighted_round_robin",
    "least_connections",
    "weighted_response_time",
    "power_of_two",
    "random",
    "ip_hash",
    "consistent_hash",
    "maglev",
)

NAMES = ("baseline", "ramp", "spike", "endurance", "comparison")

ROUNDS = 2


@dataclass(frozen=True)
class Segment:
    """`seconds` long, from `first` to `last` requests a second; `algorithm` of every request, where it is fixed."""

    seconds: float
    first: float
    last: float
    algorithm: str = ""


class Shape:
    """A rate for every moment, until the end."""

    def __init__(self, name, segments):
        self.name = name
        self.segments = tuple(segments)
        self.seconds = sum(segment.seconds for segment in self.segments)

    def _at(self, elapsed):
        begin = 0.0
        for segment in self.segments:
            if elapsed < begin + segment.seconds:
                return segment, max(0.0, elapsed - begin)
            begin += segment.seconds
        return None, 0.0

    def rate(self, elapsed):
        """Requests due per second; None once the shape has ended."""
        segment, inside = self._at(elapsed)
        if segment is None:
            return None
        return segment.first + (segment.last - segment.first) * inside / segment.seconds

    def algorithm(self, elapsed):
        """The algorithm of requests due at this moment; after the end the last one; empty for none."""
        segment, _ = self._at(elapsed)
        return (segment or self.segments[-1]).algorithm

    def due(self):
        """Requests due from start to end."""
        return sum((one.first + one.last) / 2 * one.seconds for one in self.segments)


def _steady(rate, seconds):
    return [Segment(seconds, rate, rate)]


def _comparison(algorithms):
    """Every algorithm gets the same turns; the second round goes backwards, so that a drift of the
    machine does not favour the first."""
    segments = []
    for turn in range(ROUNDS):
        order = algorithms if turn % 2 == 0 else tuple(reversed(algorithms))
        for algorithm in order:
            segments += [Segment(20, 40, 40, algorithm), Segment(10, 80, 80, algorithm)]
    return segments


def shape(name, rate_scale=1.0, time_scale=1.0, algorithms=ALGORITHMS):
    """The shape called `name`; `rate_scale` multiplies its rates, `time_scale` its durations."""
    segments = {
        "baseline": lambda: _steady(10, 300),
        "ramp": lambda: [Segment(270, 10, 100), Segment(30, 100, 100)],
        "spike": lambda: _steady(10, 60) + _steady(200, 30) + _steady(10, 60),
        "endurance": lambda: _steady(50, 1800),
        "comparison": lambda: _comparison(tuple(algorithms)),
    }[name]()
    scaled = [
        replace(
            one,
            seconds=one.seconds * time_scale,
            first=one.first * rate_scale,
            last=one.last * rate_scale,
        )
        for one in segments
    ]
    return Shape(name, scaled)


def users(rate, rate_of_one):
    """Users needed for `rate` requests a second, each sending `rate_of_one`; at least one."""
    return max(1, round(rate / rate_of_one))
