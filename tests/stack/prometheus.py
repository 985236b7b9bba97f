"""Asks Prometheus, and reads what a dashboard asks of it."""

import json
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path


class Failed(Exception):
    """What was asserted does not hold."""


def get(url, timeout=10.0, headers=None):
    """The body of an answer; an error status is an error."""
    request = urllib.request.Request(url, headers=headers or {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read()


def get_json(url, **options):
    return json.loads(get(url, **options))


def eventually(what, seconds, condition):
    """Waits until `condition()` is true and gives that back; `condition` may say why not yet by an exception."""
    deadline = time.monotonic() + seconds
    while True:
        why = "it does not hold"
        try:
            found = condition()
            if found:
                return found
        except (Failed, OSError, ValueError, KeyError) as error:
            why = str(error) or type(error).__name__
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {seconds:.0f} s: {why}")
        time.sleep(0.25)


class Prometheus:
    """The HTTP API of a Prometheus."""

    def __init__(self, url):
        self.url = url

    def query(self, promql):
        """The samples of an instant query: labels and a number each."""
        address = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': promql})}"
        try:
            data = get_json(address)["data"]
        except urllib.error.HTTPError as error:
            said = json.loads(error.read()).get("error", "")
            raise Failed(f"{promql}: {said}") from error
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in data["result"]]

    def targets(self):
        """Job, address and whether the last scrape went well, with why not."""
        active = get_json(f"{self.url}/api/v1/targets?state=active")["data"]["activeTargets"]
        return [(one["labels"]["job"], one["scrapeUrl"], one["health"], one["lastError"]) for one in active]

    def alerts(self):
        """Name, labels and state of every alert that is not silent."""
        alerts = get_json(f"{self.url}/api/v1/alerts")["data"]["alerts"]
        return [(one["labels"]["alertname"], one["labels"], one["state"]) for one in alerts]

    def label_values(self, label, selector):
        found = {labels.get(label, "") for labels, _ in self.query(selector)} if selector else set()
        if not selector:
            found = set(get_json(f"{self.url}/api/v1/label/{label}/values")["data"])
        return sorted(found - {""})


# What Grafana knows of itself, for a panel that shows an hour.
BUILT_IN = {
    "__interval": "15s",
    "__rate_interval": "1m",
    "__range": "1h",
    "__range_s": "3600",
    "__interval_ms": "15000",
    "__from": "0",
    "__to": "0",
}


class Dashboard:
    """One dashboard's queries, with its variables filled in as Grafana does it."""

    def __init__(self, path):
        self.name = Path(path).stem
        self._model = json.loads(Path(path).read_text())

    def queries(self, prometheus, lacks):
        """Panel and query of everything that is drawn; a variable that `lacks(query)` its source is not asked for."""
        values = self._values(prometheus, lacks)
        for panel in _panels(self._model.get("panels", [])):
            for target in panel.get("targets", []):
                if target.get("expr") and not target.get("hide"):
                    yield panel.get("title", ""), filled(target["expr"], values)
        for annotation in self._model.get("annotations", {}).get("list", []):
            query = annotation.get("expr") or annotation.get("target", {}).get("expr")
            if query:
                yield f"annotation {annotation.get('name', '')}", filled(query, values)

    def _values(self, prometheus, lacks):
        values = dict(BUILT_IN)
        for variable in self._model.get("templating", {}).get("list", []):
            values[variable["name"]] = self._value(variable, values, prometheus, lacks)
        return values

    def _value(self, variable, values, prometheus, lacks):
        kind = variable["type"]
        if kind == "query":
            if lacks(str(variable["query"])):
                return variable.get("allValue") or ".*"
            options = self._asked(variable, values, prometheus)
        elif kind in ("custom", "interval"):
            options = [option.strip().split(" : ")[-1] for option in variable["query"].split(",")]
        else:
            return str(variable.get("query", ""))
        if variable.get("includeAll"):
            return variable.get("allValue") or f"({'|'.join(re.escape(one) for one in options)})"
        return options[0]

    def _asked(self, variable, values, prometheus):
        query = variable["query"]
        query = filled(query["query"] if isinstance(query, dict) else query, values)
        asked = re.fullmatch(r"label_values\((?:(.*),\s*)?([a-zA-Z_]\w*)\)", query.strip(), re.DOTALL)
        if not asked:
            raise Failed(f"{self.name}: variable {variable['name']}: not understood: {query}")
        options = prometheus.label_values(asked[2], asked[1])
        pattern = variable.get("regex", "").strip("/")
        options = [one for one in options if re.search(pattern, one)]
        if not options:
            raise Failed(f"{self.name}: variable {variable['name']} has no values: {query}")
        return options


def _panels(panels):
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", []))


def filled(query, values):
    """A query with `$name`, `${name}` and `${name:format}` replaced; an unknown name is an error."""

    def value(found):
        name = found[1] or found[2]
        if name not in values:
            raise Failed(f"no variable is called {name}: {query}")
        return values[name]

    return re.sub(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)", value, query)
