"""The report as one HTML file that needs no other."""

import base64
from html import escape

import report_data as data
from report_plots import milliseconds

_STYLE = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #dfe3e8; --bad: #b3261e; --warn: #fff4d6; }
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink); margin: 0 auto;
  max-width: 1120px; padding: 24px 28px 60px; background: #fff; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 19px; margin: 38px 0 8px; border-bottom: 1px solid var(--line); }
p.lead { color: var(--soft); margin: 0 0 18px; } p.note { color: var(--soft); font-size: 13.5px; }
.warn { background: var(--warn); border-left: 4px solid #e69f00; padding: 8px 14px; margin: 8px 0; }
.cards { display: flex; flex-wrap: wrap; gap: 12px; margin: 18px 0 4px; }
.card { border: 1px solid var(--line); border-radius: 8px; padding: 10px 16px; min-width: 120px; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; } .card span { color: var(--soft); font-size: 13px; }
.bad b { color: var(--bad); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13.5px; margin: 8px 0; }
th, td { padding: 4px 12px 4px 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th.text, td.text { text-align: left; } th.group { text-align: center; }
td.first, th.group, th.first { border-left: 1px solid var(--line); padding-left: 12px; }
table.pairs td { text-align: left; } table.pairs td:first-child { color: var(--soft); }
img { max-width: 100%; height: auto; display: block; margin: 8px 0; }
@media print { h2 { break-after: avoid; } img, table { break-inside: avoid; } }
"""


def page(results, images):
    """The whole document; `images` are paths of PNG files by name."""
    name = escape(results.start["shape"])
    target, began = escape(results.start["target"]), _moment(results.start["began"])
    several = results.rows["algorithm"].nunique() > 1
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Load test: {name}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>',
        f"<h1>Load test: {name}</h1>",
        f'<p class="lead">{target}, {began}</p>',
        *[f'<div class="warn">{escape(text)}</div>' for text in results.warnings],
        _cards(results),
        _section("conditions", "Conditions", _conditions(results)),
        _section("percentiles", "Percentiles", _percentiles(results)),
        _section("timeline", "Timeline", _image(images["timeline"], "Rate, times and failures over the run")),
        _section("latency", "Latency distribution", _image(images["latency"], "Distribution and percentiles")),
        _section("errors", "Errors", _errors(results)),
        _section("backends", "Distribution over backends", _backends(results, images)),
    ]
    if several:
        parts.append(_section("algorithms", "Algorithms side by side", _algorithms(results, images)))
    parts.append(_section("generator", "The generator", _generator(results, images)))
    return "\n".join([*parts, "</body></html>\n"])


def _section(anchor, title, content):
    return f'<section id="{anchor}"><h2>{title}</h2>{content}</section>'


def _image(path, text):
    with open(path, "rb") as file:
        encoded = base64.b64encode(file.read()).decode()
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{encoded}">'


def _moment(text):
    """A moment in ISO 8601 as people read it."""
    return f"{escape(text[:19].replace('T', ' '))} UTC"


def _cards(results):
    whole = data.line(results.rows, results.times)
    share = whole["failures"] / whole["requests"]
    cards = [
        ("", f"{whole['requests']:,}", "requests"),
        ("", f"{whole['requests'] / results.seconds:.1f}/s", f"on average, over {results.seconds:.0f} s"),
        ("bad" if whole["failures"] else "", f"{share:.2%}" if whole["failures"] else "0", "failed"),
    ]
    for point in (0.5, 0.99):
        cards.append(("", _time(whole["response"][point]), f"response time, p{point * 100:g}"))
    unsent = int(results.workers["unsent"].sum())
    if unsent:
        cards.append(("bad", f"{unsent:,}", "due, but never sent"))
    inner = "".join(f'<div class="card {kind}"><b>{value}</b><span>{text}</span></div>' for kind, value, text in cards)
    return f'<div class="cards">{inner}</div>'


def _conditions(results):
    start = results.start
    busy = results.load["machine"].max() if len(results.load) else None
    pairs = [
        ("Shape", f"{start['shape']}, rates × {start['rate_scale']:g}, durations × {start['time_scale']:g}"),
        ("Requests", f"mixture {start['mixture']}, {start['rate_of_one']:g} a second from each user"),
        ("Target", start["target"]),
        ("Began", f"{_moment(start['began'])}, took {results.seconds:.0f} s"),
        ("Ended", results.end.get("how", "cut off")),
        ("Workers", str(start["workers"])),
        ("Master", f"{start['machine']}: {start['cores']} cores, {start['system']}"),
        ("Versions", f"Locust {start['locust']}, Python {start['python']}"),
    ]
    if busy is not None:
        pairs.append(("Load of its machine", f"{busy:.2f} runnable processes for each core, at most"))
    rows = "".join(f"<tr><td>{key}</td><td>{escape(str(value))}</td></tr>" for key, value in pairs)
    return f'<table class="pairs">{rows}</table>'


def _first(place):
    """A line on the left of what begins a group of columns."""
    return ' class="first"' if place == 0 else ""


_HEAD = "".join(
    f'<th{_first(place)}>p{share * 100:g}</th>' for place, share in enumerate(data.SHARES)
)


def _time(seconds):
    return "–" if seconds is None else milliseconds(seconds)


def _line(cells, numbers):
    text = "".join(f'<td class="text">{escape(cell)}</td>' for cell in cells)
    times = "".join(
        f"<td{_first(place)}>{_time(numbers[measure][share])}</td>"
        for measure in ("response", "service")
        for place, share in enumerate(data.SHARES)
    )
    return (
        f"<tr>{text}<td>{numbers['requests']:,}</td><td>{numbers['failures']:,}</td>{times}"
        f"<td{_first(0)}>{_time(numbers['longest'])}</td></tr>"
    )


def _table(titles, lines):
    texts = "".join(f'<th class="text" rowspan="2">{title}</th>' for title in titles)
    span = len(data.SHARES)
    return (
        f'<table><tr>{texts}<th rowspan="2">requests</th><th rowspan="2">failed</th>'
        f'<th class="group" colspan="{span}">response time, from due</th>'
        f'<th class="group" colspan="{span}">service time, from sent</th>'
        '<th class="first" rowspan="2">longest</th></tr>'
        f"<tr>{_HEAD}{_HEAD}</tr>{''.join(lines)}</table>"
    )


def _percentiles(results):
    kinds = data.summary(results, ["name", "method"])
    lines = [_line((f"{method} {name}",), numbers) for (name, method), numbers in kinds]
    if len(lines) > 1:
        lines.append(_line(("all",), data.line(results.rows, results.times)))
    note = (
        "The response time counts from the moment a request was due by the timetable, the service time from when it"
        " was sent. Where the two differ, requests had to wait before they were sent, because the one before them"
        " took too long. Failed requests are included. A dash: too few requests for this percentile. The percentiles"
        " are exact to 1 %."
    )
    return f'{_table(["request"], lines)}<p class="note">{note}</p>'


def _errors(results):
    table = data.errors(results)
    if table.empty:
        return "<p>No request failed.</p>"
    lines = "".join(
        f'<tr><td class="text">{escape(row["error"])}</td>'
        f'<td class="text">{escape(row["method"])} {escape(row["name"])}</td><td>{row["count"]:,}</td></tr>'
        for row in table.to_dict("records")
    )
    return f'<table><tr><th class="text">error</th><th class="text">request</th><th>count</th></tr>{lines}</table>'


def _backends(results, images):
    if "backends" not in images:
        return "<p>No answer named the backend it came from.</p>"
    answers = data.backends(results)
    lines = [
        _line((key[0],), numbers) for key, numbers in data.summary(results, ["backend"]) if key[0] in answers.index
    ]
    picture = _image(images["backends"], "Share of the answers by backend, and over the run")
    return f'{picture}{_table(["backend"], lines)}'


def _algorithms(results, images):
    lines = [_line(key, numbers) for key, numbers in data.summary(results, ["algorithm"])]
    picture = _image(images["algorithms"], "Response time and distribution by algorithm")
    note = (
        "Each algorithm had the same load, in turns of its own; the turns of the second round ran in the opposite"
        " order. <code>default</code> is what the upstream is configured to use."
    )
    return f'{picture}{_table(["algorithm"], lines)}<p class="note">{note}</p>'


def _generator(results, images):
    if "generator" not in images:
        return "<p>The workers have not reported.</p>"
    note = (
        "Above the red lines (90 % of a core; 10 ms) the generator, not the server, limits what was measured."
        " The numbers are then too high, and say nothing about the server."
    )
    return f'{_image(images["generator"], "CPU and delay of the workers")}<p class="note">{note}</p>'
