"""Asks Prometheus, and waits for what it says."""

import json
import time
import urllib.error
import urllib.parse
import urllib.request


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
