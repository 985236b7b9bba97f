"""What the dashboards ask Prometheus: every query of every panel, annotation and variable, ready to be sent.

For tests, which run them against a real Prometheus. Standard library only.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "grafana" / "dashboards"

# What Grafana puts in for its own variables; a test may say others.
INTERVALS = {"__rate_interval": "1m", "__rate_interval_ms": "60000", "__interval": "1m", "__range": "5m"}


class Query(NamedTuple):
    """One query. `ref` is the letter of a panel's query, or the kind of what is no panel's."""

    dashboard: str
    panel: str
    ref: str
    expr: str

    @property
    def name(self):
        """How lists and messages call it."""
        return f"{self.dashboard}: {self.panel} [{self.ref}]"


def dashboards(directory=DASHBOARDS):
    """Every dashboard by the name of its file."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(Path(directory).glob("*.json"))}


def panels(dashboard):
    """Its panels, those in collapsed rows included, without the rows."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels") or []
        else:
            yield panel


def substituted(expr, dashboard, intervals=None):
    """The query with its variables filled in as for "All"."""
    values = {**INTERVALS, **(intervals or {})}
    for variable in dashboard["templating"]["list"]:
        values[variable["name"]] = variable["allValue"]
    return re.sub(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))", lambda found: values[found[1] or found[2]], expr)


def panel_queries(directory=DASHBOARDS, intervals=None):
    """Yields a `Query` for each query of each panel."""
    for name, dashboard in dashboards(directory).items():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                expr = substituted(target["expr"], dashboard, intervals)
                yield Query(name, panel["title"], target["refId"], expr)


def annotation_queries(directory=DASHBOARDS, intervals=None):
    """Yields a `Query` for each annotation; they have data only where something has just happened."""
    for name, dashboard in dashboards(directory).items():
        for annotation in dashboard["annotations"]["list"]:
            yield Query(name, annotation["name"], "annotation", substituted(annotation["expr"], dashboard, intervals))


def variable_queries(directory=DASHBOARDS):
    """Yields a `Query` for each variable: as many values as it has results."""
    for name, dashboard in dashboards(directory).items():
        for variable in dashboard["templating"]["list"]:
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            expr = f"count by ({asked[2]}) ({substituted(asked[1], dashboard)})"
            yield Query(name, f"${variable['name']}", "variable", expr)


def listed(path):
    """What a list says of queries without data: their names, each with its reason.

    A line is `dashboard: panel [letters of its queries]: reason`; what begins with # is a comment."""
    names = {}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch(r"([\w-]+: .+?) \[([\w ]+)\]: (.+)", line)
        if not found:
            raise ValueError(f"{path}: {line} is not `dashboard: panel [A B]: reason`")
        for ref in found[2].split():
            names[f"{found[1]} [{ref}]"] = found[3]
    return names


if __name__ == "__main__":
    for one in (*panel_queries(), *annotation_queries(), *variable_queries()):
        print(one.name)
        print("   ", one.expr.replace("\n", "\n    "))
