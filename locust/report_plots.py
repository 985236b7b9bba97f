"""The report's plots, as PNG files."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter

import report_data as data

# Okabe and Ito's colours: told apart by the colour-blind too.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#7F7F7F",
)
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, GREY)
RESPONSE, SERVICE = BLUE, ORANGE
WIDTH = 10.5
# More names than this on an axis cannot be read.
MAX_NAMES = 24

plt.rcParams.update({
    "figure.dpi": 110,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E3E6EA",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "evenkeel",
})


def milliseconds(seconds, _=None):
    """A time as people read it: three digits and a unit."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1.0, 1e3, "ms"), (float("inf"), 1.0, "s")):
        # What rounds up to the next unit is written in it.
        if seconds * 1.0005 < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds} s"


def _times(axis, which="y"):
    """A logarithmic axis of times with 1, 2 and 5 of each power of ten."""
    chosen = axis.yaxis if which == "y" else axis.xaxis
    (axis.set_yscale if which == "y" else axis.set_xscale)("log")
    low, high = axis.get_ylim() if which == "y" else axis.get_xlim()
    ticks = [step * 10.0**power for power in range(-6, 4) for step in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    if len(inside) > 12:
        inside = [tick for tick in inside if f"{tick:e}".startswith("1")]
    chosen.set_major_locator(FixedLocator(inside))
    chosen.set_major_formatter(FuncFormatter(milliseconds))
    chosen.set_minor_formatter(NullFormatter())


def timeline(results, path):
    """Rate, response time and failures over the run, one above the other."""
    table = data.timeline(results)
    figure, (rate, time, failed) = plt.subplots(
        3, 1, figsize=(WIDTH, 8), sharex=True, height_ratios=(2, 3, 1.2), layout="constrained"
    )
    centre = table.index + data.step(results) / 2
    rate.plot(centre, table["sent"], color=BLUE, label="sent")
    if len(results.load):
        line = {"color": GREY, "linestyle": "--", "linewidth": 1.2, "zorder": 1}
        rate.step(results.load["at"], results.load["rate"], where="post", label="due", **line)
    rate.set_title("Requests per second")
    rate.set_ylabel("requests/s")
    rate.set_ylim(bottom=0)
    for measure, colour, text in (
        ("response", RESPONSE, "response, from due"),
        ("service", SERVICE, "service, from sent"),
    ):
        time.plot(centre, table[f"{measure}_p50"], color=colour, linewidth=2, label=f"{text}: p50")
        time.plot(centre, table[f"{measure}_p99"], color=colour, linewidth=1.4, linestyle="--", label=f"{text}: p99")
    _times(time)
    time.set_title("Time per request (logarithmic)")
    failed.bar(centre, table["failed"], width=data.step(results), color=RED)
    failed.set_title("Failures per second")
    failed.set_ylabel("failures/s")
    failed.set_ylim(0, max(1.0, table["failed"].max() * 1.1))
    failed.set_xlabel("seconds since the start")
    failed.set_xlim(0, max(results.seconds, 1))
    for axis in (rate, time):
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return _save(figure, path)


def latency(results, path):
    """How many requests took how long, and the percentiles up to the last request."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 4.2), layout="constrained")
    for measure, colour, text in (
        ("response", RESPONSE, "response, from due"),
        ("service", SERVICE, "service, from sent"),
    ):
        times = results.times[results.times["measure"] == measure]
        histogram = data.counts(times)
        seconds = [data.middle(edge) for edge in histogram]
        low, high = min(seconds), max(seconds)
        bins = [low * (max(high / low, 1.1) * 1.001) ** (place / 50) for place in range(51)]
        left.hist(
            seconds,
            bins=bins,
            weights=list(histogram.values()),
            histtype="step",
            linewidth=1.6,
            color=colour,
        )
        longest, within = data.distribution(times)
        total = sum(histogram.values())
        beyond = [1 / max(1 - share, 0.5 / total) for share in within]
        right.plot(beyond, longest, color=colour, drawstyle="steps-post", label=text)
    left.set_title("Distribution")
    left.set_ylabel("requests")
    left.yaxis.set_major_locator(MaxNLocator(integer=True))
    _times(left, "x")
    left.tick_params(axis="x", rotation=30)
    right.set_xscale("log")
    right.set_xlim(left=1)
    marks = [mark for mark in (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999) if 1 / (1 - mark) <= right.get_xlim()[1]]
    right.xaxis.set_major_locator(FixedLocator([1 / (1 - mark) for mark in marks]))
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"p{100 - 100 / value:.6g}"))
    right.xaxis.set_minor_formatter(NullFormatter())
    _times(right)
    right.set_title("Percentiles")
    figure.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return _save(figure, path)


def backends(results, path):
    """Who answered: share of all answers, and over the run."""
    table = data.backends(results)
    names = list(table.index)[:MAX_NAMES]
    share = table / table.sum()
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(WIDTH, max(2.6, 0.34 * len(names) + 1.4)), width_ratios=(2, 3), layout="constrained"
    )
    colours = [CYCLE[place % len(CYCLE)] for place in range(len(names))]
    bars = left.barh(names, share[names], color=colours)
    left.bar_label(bars, [f"{value:.1%}" for value in share[names]], padding=3)
    left.invert_yaxis()
    left.set_xlim(0, share.max() * 1.25)
    left.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    left.set_title("Share of answers")
    width = data.step(results)
    rows = results.rows[results.rows["backend"].isin(names)]
    rows = rows.assign(at=rows["second"] // width * width)
    over = rows.pivot_table(index="at", columns="backend", values="count", aggfunc="sum", fill_value=0)[names] / width
    right.stackplot(over.index + width / 2, over.T.values, colors=colours, labels=names)
    right.set_title("Answers per second")
    right.set_xlabel("seconds since the start")
    right.set_ylabel("answers/s")
    right.set_xlim(0, max(results.seconds, 1))
    return _save(figure, path)


def algorithms(results, path):
    """Each algorithm's percentiles, and how it spread the requests over the backends."""
    lines = data.summary(results, ["algorithm"])
    names = [key[0] for key, _ in lines]
    table = data.shares(results).reindex(names)
    shown = list(table.columns)[:MAX_NAMES]
    # As many names in a row as fit beside the percentiles' legend, with a row's height for each row.
    columns = max(1, min(len(shown), int(7.5 / (0.7 + 0.085 * max(map(len, shown), default=0)))))
    height = 0.45 * len(names) + 1.5 + 0.23 * -(-len(shown) // columns)
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, height), sharey=True, layout="constrained")
    for share, colour, marker in ((0.5, GREEN, "o"), (0.95, ORANGE, "s"), (0.99, RED, "D")):
        points = [(line["response"][share], name) for (_, line), name in zip(lines, names)]
        points = [(seconds, name) for seconds, name in points if seconds is not None]
        if points:
            left.scatter(*zip(*points), color=colour, marker=marker, s=42, label=f"p{share * 100:g}", zorder=3)
    left.set_title("Response time, from due (logarithmic)")
    _times(left, "x")
    left.tick_params(axis="x", rotation=30)
    offset = [0.0] * len(names)
    for place, backend in enumerate(shown):
        values = table[backend].fillna(0.0).tolist()
        bars = right.barh(names, values, left=offset, color=CYCLE[place % len(CYCLE)], label=backend)
        right.bar_label(
            bars,
            [f"{value:.0%}" if value >= 0.08 else "" for value in values],
            label_type="center",
            fontsize=8,
            color="white",
            fontweight="bold",
        )
        offset = [sum(pair) for pair in zip(offset, values)]
    right.set_title("Share of answers by backend")
    right.set_xlim(0, 1)
    right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    # Of the figure: one of an axis would take its width from the axis.
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    if shown:
        figure.legend(*right.get_legend_handles_labels(), loc="outside lower right", ncols=columns)
    left.invert_yaxis()
    return _save(figure, path)


def generator(results, path):
    """Whether the generator kept up: its CPU, and how late it sent."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8), layout="constrained")
    for place, (worker, part) in enumerate(results.workers.groupby("worker")):
        colour = CYCLE[place % len(CYCLE)]
        left.plot(part["at"], part["cpu"], color=colour, label=f"worker {worker}")
        right.plot(part["at"], part["lag_max"] * 1e3, color=colour, label=f"worker {worker}")
    left.axhline(0.9, color=RED, linestyle="--", linewidth=1)
    left.set_ylim(0, max(1.0, results.workers["cpu"].max() * 1.1))
    left.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    left.set_title("CPU of the workers, of one core each")
    right.axhline(10, color=RED, linestyle="--", linewidth=1)
    right.set_ylim(bottom=0)
    right.set_title("Longest delay before sending")
    right.set_ylabel("ms")
    right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    for axis in (left, right):
        axis.set_xlim(0, max(results.seconds, 1))
        axis.set_xlabel("seconds since the start")
    return _save(figure, path)


def _save(figure, path):
    figure.savefig(path)
    plt.close(figure)
    return path
