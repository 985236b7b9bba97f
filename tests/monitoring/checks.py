"""What can be said of prometheus/, alertmanager/, grafana/ and docs/alerts.md without running anything.

`python3 checks.py` prints every problem and ends with 1 if there are any. Standard library only, so the rules are read
line by line: they are our own, and promtool has parsed them before.
"""

import json
import re
import sys

from queries import INTERVALS, ROOT, dashboards, panels

PROMETHEUS = ROOT / "prometheus"
SEVERITIES = {"critical", "warning", "info"}
COLUMNS = 24


def text(path):
    """A file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def anchors(document):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document, re.M)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def alerts():
    """Every alert rule: its name and its text."""
    rules = re.split(r"\n      - (?=alert: )", text("prometheus/rules/alerts.yml"))[1:]
    return {re.match(r"alert: (\w+)", rule)[1]: rule for rule in rules}


def alert_problems():
    """Alerts that lack something."""
    runbook = anchors(text("docs/alerts.md"))
    fires, silent = set(), set()
    for path in sorted((PROMETHEUS / "tests").glob("*.yml")):
        for name, rest in re.findall(r"alertname: (\w+)\n +exp_alerts:(.*)", path.read_text(encoding="utf-8")):
            (silent if rest.strip() == "[]" else fires).add(name)
    found = alerts()
    if len(found) < 20:
        yield f"only {len(found)} alerts were found"
    for name, rule in found.items():
        severity = re.search(r"labels: \{ severity: (\w+) \}", rule)
        if not severity or severity[1] not in SEVERITIES:
            yield f"{name} has no severity of {sorted(SEVERITIES)}"
        for part in ("summary", "description"):
            if not re.search(rf"\n +{part}: ", rule):
                yield f"{name} has no {part}"
        link = re.search(r"runbook_url: docs/alerts\.md#(\S+)", rule)
        if not link or link[1] != name.lower():
            yield f"{name} does not lead to docs/alerts.md#{name.lower()}"
        elif link[1] not in runbook:
            yield f"docs/alerts.md has no heading {name}"
        if name not in fires:
            yield f"prometheus/tests has no case in which {name} fires"
        if name not in silent:
            yield f"prometheus/tests has no case in which {name} stays silent"
    for name in (fires | silent) - set(found):
        yield f"prometheus/tests tests {name}, which is no alert"
    named = set(re.findall(r"[A-Z][a-z]+[A-Z]\w+", text("alertmanager/alertmanager.yml")))
    for name in named - set(found) - {"LoadBalancerDown"}:
        if not any(one.startswith(name) for one in found):
            yield f"alertmanager.yml names {name}, which is no alert"


def described():
    """Names of metrics in docs/metrics.md."""
    return set(re.findall(r"^\| `((?:evenkeel|process)_\w+)`", text("docs/metrics.md"), re.M))


def metric_problems():
    """Metrics of the balancer that are asked for and do not exist."""
    known = described()
    for path in [*PROMETHEUS.rglob("*.yml"), *(ROOT / "grafana").rglob("*.json")]:
        content = path.read_text(encoding="utf-8")
        for name in set(re.findall(r"(?<![\w:])evenkeel_[a-z_]+[a-z](?!\w|:)", content)):
            base = re.sub(r"_(bucket|sum|count)$", "", name)
            if not {name, base} & known:
                yield f"{path.relative_to(ROOT)}: no metric {name}"


def recorded_problems():
    """Recorded series that are asked for and not recorded, or recorded and never asked for."""
    rules = re.sub(r"(?m)^ *#.*$", "", text("prometheus/rules/recording.yml"))
    recorded = set(re.findall(r"record: (\S+)", rules))
    name = r"[a-z_]+:[a-z_]+:[a-z0-9_]+"
    asked = set(re.findall(name, text("prometheus/rules/alerts.yml")))
    # Fewer are asked for by other rules: the names after `record:` are not questions.
    asked |= set(re.findall(name, re.sub(r"record: \S+", "", rules)))
    for dashboard in dashboards().values():
        for panel in panels(dashboard):
            for target in panel.get("targets", []):
                asked |= set(re.findall(name, target["expr"]))
    for one in sorted(asked - recorded):
        yield f"{one} is asked for and not recorded"
    for one in sorted(recorded - asked):
        yield f"{one} is recorded and nobody asks for it"
    for one in sorted(recorded):
        if not re.fullmatch(r"(evenkeel|upstream|backend|instance|container):[a-z_]+:[a-z0-9_]+", one):
            yield f"{one} is not called level:metric:operations"


def layout_problems(name, dashboard):
    """Panels that lie on each other, or beyond the grid."""
    taken = {}
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        if place["x"] < 0 or place["w"] < 1 or place["h"] < 1 or place["x"] + place["w"] > COLUMNS:
            yield f"{name}: {panel['title']} does not fit {COLUMNS} columns"
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                other = taken.setdefault((x, y), panel["title"])
                if other != panel["title"]:
                    yield f"{name}: {panel['title']} lies on {other}"
                    return


def panel_problems(name, panel, source, known):
    """What a panel lacks."""
    place = f"{name}: {panel['title']}"
    defaults = panel["fieldConfig"]["defaults"]
    for key, value in (
        ("description", panel.get("description")),
        ("unit", defaults.get("unit")),
        ("noValue", defaults.get("noValue")),
    ):
        if not value:
            yield f"{place} has no {key}"
    if panel["datasource"] != {"type": "prometheus", "uid": source}:
        yield f"{place} asks another data source than {source}"
    if panel["type"] not in {"timeseries", "stat", "state-timeline", "bargauge", "table"}:
        yield f"{place} is a {panel['type']}"
    if not panel["targets"]:
        yield f"{place} has no query"
    refs = [target["refId"] for target in panel["targets"]]
    if len(refs) != len(set(refs)):
        yield f"{place} has two queries of one letter"
    for target in panel["targets"]:
        unknown = set(re.findall(r"\$(\w+)", target["expr"])) - known - set(INTERVALS)
        for variable in unknown:
            yield f"{place} asks for the variable {variable}, which there is none of"


def dashboard_problems():
    """What is wrong with the dashboards, as far as their structure goes."""
    source = re.search(r"^    uid: (\w+)$", text("grafana/provisioning/datasources/prometheus.yml"), re.M)[1]
    found = dashboards()
    uids = [one["uid"] for one in found.values()]
    if len(found) != 7 or len(set(uids)) != 7:
        yield f"seven dashboards with a uid each are expected: {uids}"
    for name, dashboard in found.items():
        known = {variable["name"] for variable in dashboard["templating"]["list"]}
        ids = [panel["id"] for panel in dashboard["panels"]]
        if len(ids) != len(set(ids)):
            yield f"{name}: two panels have one id"
        titles = [panel["title"] for panel in panels(dashboard)]
        for title in sorted({one for one in titles if titles.count(one) > 1}):
            yield f"{name}: two panels are called {title}"
        if not dashboard["links"] or dashboard["links"][0]["tags"] != dashboard["tags"]:
            yield f"{name}: no links to the other dashboards"
        if len(dashboard["annotations"]["list"]) < 4:
            yield f"{name}: annotations are missing"
        queries = json.dumps([panel.get("targets") for panel in panels(dashboard)])
        for variable in sorted(known):
            if not re.search(rf"\${variable}\b", queries):
                yield f"{name}: nothing asks for the variable {variable}"
        yield from layout_problems(name, dashboard)
        for panel in panels(dashboard):
            for link in panel.get("links", []):
                if re.match(r"/d/([\w-]+)", link["url"])[1] not in uids:
                    yield f"{name}: {panel['title']} leads to {link['url']}, which there is none of"
            yield from panel_problems(name, panel, source, known)


def document_problems():
    """Panels that a document or an alert names in quotation marks, as in: panel "States" of the Backends dashboard."""
    titles = {panel["title"] for dashboard in dashboards().values() for panel in panels(dashboard)}
    descriptions = re.findall(r"description: >-\n((?: {12}.*\n)+)", text("prometheus/rules/alerts.yml"))
    places = {"prometheus/rules/alerts.yml": re.sub(r"\{\{.*?\}\}", "", "".join(descriptions))}
    for path in ("docs/alerts.md", "docs/troubleshooting.md"):
        # Without what is code.
        places[path] = re.sub(r"`[^`\n]*`", "", re.sub(r"(?ms)^```.*?^```", "", text(path)))
    for path, content in places.items():
        named = re.findall(r'"([^"]+)"', re.sub(r"\s+", " ", content))
        if len(named) < 5:
            yield f"{path}: only {len(named)} panels are named"
        for title in named:
            if title not in titles:
                yield f'{path}: there is no panel "{title}"'


def main():
    """Prints every problem."""
    parts = (alert_problems, metric_problems, recorded_problems, dashboard_problems, document_problems)
    problems = [problem for part in parts for problem in part()]
    print("\n".join(problems), end="\n" if problems else "")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
