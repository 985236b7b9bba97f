"""A run's results as tables: what the report's plots and pages are made of."""

from dataclasses import dataclass

import pandas as pd

from buckets import middle, percentile
from results import read
from saturation import Saturation
from tally import BALANCER, NOBODY

SHARES = (0.5, 0.9, 0.95, 0.99, 0.999)
# Points of a timeline, at most.
MAX_POINTS = 240
# No backend answered.
NO_BACKEND = (NOBODY, BALANCER)


@dataclass
class Results:
    """One run. `rows` and `times` are long tables; `seconds` is how long the run took."""

    start: dict
    end: dict
    rows: pd.DataFrame
    times: pd.DataFrame
    load: pd.DataFrame
    workers: pd.DataFrame
    seconds: float
    warnings: list


def load(path):
    """Reads the file of a run; a ValueError says what is wrong with it."""
    lines = read(path)
    kinds = {"row": [], "load": [], "worker": [], "end": []}
    for line in lines[1:]:
        kinds[line["kind"]].append(line)
    if not kinds["row"]:
        raise ValueError(f"{path}: no request has ended in this run, there is nothing to report")
    rows = pd.DataFrame(kinds["row"])
    end = kinds["end"][0] if kinds["end"] else {}
    at = [line["at"] for line in kinds["load"] + kinds["worker"]]
    seconds = float(end.get("elapsed") or max([*at, rows["second"].max() + 1]))
    return Results(
        start=lines[0],
        end=end,
        rows=rows.drop(columns=["response", "service", "kind"]),
        times=_long(rows),
        load=pd.DataFrame(kinds["load"], columns=["at", "rate", "users", "machine"]),
        workers=pd.DataFrame(
            kinds["worker"], columns=["at", "worker", "seconds", "cpu", "sent", "late", "lag_max", "unsent"]
        ),
        seconds=seconds,
        warnings=_warnings(end, kinds["worker"]),
    )


def _long(rows):
    """One line for each bucket of each row: its edge, and how many samples are in it."""
    parts = []
    for measure in ("response", "service"):
        exploded = rows[["second", "name", "method", "algorithm", "backend", measure]].copy()
        exploded["edge"] = [pairs[0::2] for pairs in rows[measure]]
        exploded["samples"] = [pairs[1::2] for pairs in rows[measure]]
        exploded = exploded.drop(columns=measure).explode(["edge", "samples"])
        exploded["measure"] = measure
        parts.append(exploded)
    times = pd.concat(parts, ignore_index=True)
    return times.astype({"edge": int, "samples": int})


def _warnings(end, workers):
    """All there is to doubt; computed again, for a run that was cut off has not said it."""
    saturation = Saturation()
    for line in workers:
        saturation.add(line["worker"], line["seconds"], line)
    found = [f"The generator was saturated: {text}." for text in saturation.warnings()]
    if not end:
        found.append("The run was cut off: its results have no end, and may lack the last second.")
    elif end["how"] != "finished":
        found.append(f"The run was {end['how']} after {end['elapsed']:.0f} s, before its shape had ended.")
    return found


def counts(times):
    """The histogram of a part of `times`: edge to samples."""
    return times.groupby("edge")["samples"].sum().to_dict()


def percentiles(times):
    """`SHARES` of a part of `times`, in seconds; None where too few samples lie beyond one."""
    histogram = counts(times)
    total = sum(histogram.values())
    found = {}
    for share in SHARES:
        enough = total * (1 - share) >= 0.999
        found[share] = percentile(histogram, share) if enough else None
    return found


def distribution(times):
    """Times in seconds, ascending, and the share of samples that stay within each."""
    histogram = times.groupby("edge")["samples"].sum().sort_index()
    seconds = [middle(edge) for edge in histogram.index]
    return seconds, (histogram.cumsum() / histogram.sum()).tolist()


def step(results):
    """Width of a timeline's points, in whole seconds."""
    return max(1, round(results.seconds / MAX_POINTS + 0.499))


def timeline(results):
    """For each point in time: `sent` and `failed` a second, p50 and p99 of both measures in seconds.

    The last, begun point would show too low a rate, so it is left out where there are others.
    """
    width = step(results)
    rows = results.rows.assign(at=results.rows["second"] // width * width)
    table = pd.DataFrame(index=pd.RangeIndex(0, int(rows["at"].max()) + width, width, name="at"))
    table["sent"] = rows.groupby("at")["count"].sum() / width
    table["failed"] = rows[rows["error"] != ""].groupby("at")["count"].sum() / width
    table = table.fillna(0.0)
    times = results.times.assign(at=results.times["second"] // width * width)
    for (measure, at), part in times.groupby(["measure", "at"]):
        histogram = counts(part)
        for share, word in ((0.5, "p50"), (0.99, "p99")):
            table.loc[at, f"{measure}_{word}"] = percentile(histogram, share)
    whole = table[table.index + width <= results.seconds]
    return whole if len(whole) else table


def summary(results, by):
    """One line for each group: requests, failures, percentiles of both measures, the longest response."""
    lines = []
    for key, rows in results.rows.groupby(by, sort=True):
        key = key if isinstance(key, tuple) else (key,)
        chosen = results.times
        for column, value in zip(by, key):
            chosen = chosen[chosen[column] == value]
        lines.append((key, line(rows, chosen)))
    return lines


def line(rows, times):
    """The numbers of one line of a table."""
    return {
        "requests": int(rows["count"].sum()),
        "failures": int(rows.loc[rows["error"] != "", "count"].sum()),
        "response": percentiles(times[times["measure"] == "response"]),
        "service": percentiles(times[times["measure"] == "service"]),
        "longest": float(rows["response_max"].max()),
    }


def errors(results):
    """Failures by word and kind of request, the most frequent first."""
    failed = results.rows[results.rows["error"] != ""]
    table = failed.groupby(["error", "method", "name"], as_index=False)["count"].sum()
    return table.sort_values("count", ascending=False)


def backends(results):
    """Requests by backend, of those that one answered; index is the backend."""
    answered = results.rows[~results.rows["backend"].isin(NO_BACKEND)]
    return answered.groupby("backend")["count"].sum().sort_index()


def shares(results):
    """For each algorithm (index) the share of its requests that each backend (column) answered."""
    answered = results.rows[~results.rows["backend"].isin(NO_BACKEND)]
    table = answered.pivot_table(index="algorithm", columns="backend", values="count", aggfunc="sum", fill_value=0)
    return table.div(table.sum(axis=1), axis=0)
