"""The buckets times are counted in.

Workers send counts, not samples, so that a run of any length and rate stays small. The buckets
are 2 % wide, which bounds the error of every percentile from 1 ms on to 1 %. The bounds of
the balancer's own histograms are among the edges, so that the histogram built for Prometheus
is exact at its bounds.
"""

from bisect import bisect_left

# Upper bounds in seconds, those of the balancer's metrics.
BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)

_FIRST_US = 20
_LAST_US = 3_600_000_000
_WIDTH = 1.02


def _edges():
    edges = {round(bound * 1e6) for bound in BOUNDS}
    edge = float(_FIRST_US)
    while edge < _LAST_US:
        edges.add(round(edge))
        edge *= _WIDTH
    edges.add(_LAST_US)
    return tuple(sorted(edges))


# Upper edges in microseconds. What is longer than the last counts as the last.
EDGES = _edges()
_LOWER = dict(zip(EDGES, (0, *EDGES[:-1])))


def bucket(seconds):
    """The upper edge, in microseconds, of the bucket a time falls into."""
    return EDGES[min(bisect_left(EDGES, seconds * 1e6), len(EDGES) - 1)]


def middle(edge):
    """The time, in seconds, that stands for a bucket."""
    lower = _LOWER[edge]
    return (lower * edge) ** 0.5 / 1e6 if lower else edge / 2e6


def cumulative(counts):
    """How many of `counts` (edge to count) are within each of `BOUNDS`."""
    within = [0] * len(BOUNDS)
    for edge, count in counts.items():
        place = bisect_left(BOUNDS, edge / 1e6)
        if place < len(within):
            within[place] += count
    for place in range(1, len(within)):
        within[place] += within[place - 1]
    return within


def percentile(counts, share):
    """The time, in seconds, that `share` (0 to 1) of the samples stay within; None without any."""
    total = sum(counts.values())
    if total == 0:
        return None
    rank = max(1, -(-share * total // 1))
    seen = 0
    for edge in sorted(counts):
        seen += counts[edge]
        if seen >= rank:
            return middle(edge)
    return middle(max(counts))
