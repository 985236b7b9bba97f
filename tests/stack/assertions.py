"""What must hold of the running stack, whether it runs in containers or as plain processes.

A stack offers: `prometheus_url`, `alertmanager_url`, `traffic_url`, `metrics_url`, `admin_url`, `admin_token`,
`jobs` (how many targets each job has), `lacks` (what is not there: a pattern of queries that need it, by name),
`absent` (jobs of what is not there), `replicas`, `backups` and `scale(count)`. `freeze()` stops a backend in its tracks,
`kill()` ends another one, and both give its address back; `thaw()` and `revive()` undo that. `lists_the_killed` says
whether what finds backends still names the killed one, `told_of_the_killed` which alert fires for it.
"""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from prometheus import Failed, Prometheus, eventually, get, get_json
from queries import annotation_queries, listed, panel_queries, variable_queries

ROOT = Path(__file__).resolve().parent.parent.parent
EMPTY = Path(__file__).with_name("empty-panels.txt")

# Generous: machines are shared, and a wait ends as soon as what is waited for is there.
PATIENCE = 120.0
REQUESTS = 1000


def say(text):
    print(f"stack: {text}", flush=True)


class Assertions:
    """All of them, in the order in which they make sense."""

    def __init__(self, stack):
        self.stack = stack
        self._lacks = dict(stack.lacks)
        self.prometheus = Prometheus(stack.prometheus_url)

    def all(self):
        for step in (
            self.every_target_is_up,
            self.requests_are_served_without_an_error,
            self.more_backends_share_the_load,
            self.every_panel_has_data,
            self.every_alert_is_silent,
            self.the_autoscaler_tells_and_does_nothing,
            self.a_frozen_and_a_killed_backend_are_told,
            self.fewer_backends_cost_no_request,
            self.no_get_has_failed,
            self.every_alert_is_silent,
        ):
            began = time.monotonic()
            step()
            say(f"{time.monotonic() - began:5.1f} s  {step.__name__.replace('_', ' ')}")

    def every_target_is_up(self):
        def up():
            targets = [one for one in self.prometheus.targets() if one[0] not in self.stack.absent]
            bad = [f"{job} at {url} is {health}: {why}" for job, url, health, why in targets if health != "up"]
            if bad:
                raise Failed("; ".join(bad))
            jobs = [job for job, *_ in targets]
            found = {job: jobs.count(job) for job in jobs}
            if found != self.stack.jobs:
                raise Failed(f"targets are {found}, not {self.stack.jobs}")
            return True

        eventually("every target is up", PATIENCE, up)

    def requests_are_served_without_an_error(self):
        def under_load():
            served = self._sum('rate(evenkeel_requests_total{code="200"}[30s])')
            generated = self._sum("rate(locust_requests_total[30s])")
            return served > 1 and generated > 1

        eventually("Locust's requests are served", PATIENCE, under_load)
        self.no_get_has_failed()

    def no_get_has_failed(self):
        failed = self._sum('evenkeel_requests_total{method="GET",code=~"5.."}')
        if failed:
            raise Failed(f"{failed:.0f} GETs were answered 5xx")

    def every_panel_has_data(self):
        # Some series come with the second evaluation of a rule, or the second request of a kind.
        empty = [1]
        deadline = time.monotonic() + PATIENCE
        while empty and time.monotonic() < deadline:
            asked, skipped, empty, unused = self._look_at_dashboards()
            time.sleep(1 if empty else 0)
        for lacking, count in skipped.items():
            say(f"SKIPPED {count} {'query' if count == 1 else 'queries'}, because {lacking} is not there")
        if empty:
            raise Failed("panels and variables without data:\n  " + "\n  ".join(empty))
        if unused:
            raise Failed(f"{EMPTY.name} lists what there is none of: {sorted(unused)}")
        say(f"{asked} queries of panels and variables have data")

    def _look_at_dashboards(self):
        excused = set(listed(EMPTY))
        asked, skipped, empty, unused = 0, {}, [], set(excused)
        for query in (*variable_queries(), *panel_queries(), *annotation_queries()):
            unused.discard(query.name)
            lacking = self._lacking(query.expr)
            if lacking:
                skipped[lacking[0]] = skipped.get(lacking[0], 0) + 1
                continue
            samples = self.prometheus.query(query.expr)
            # Those have data only where something has just happened: it is enough that they are understood.
            if query.ref == "annotation":
                continue
            asked += 1
            if not samples and query.name not in excused:
                empty.append(f"{query.name}: {' '.join(query.expr.split())}")
        return asked, skipped, empty, unused

    def _lacking(self, query):
        """What a query needs and is not there."""
        return [what for what, needs in self._lacks.items() if re.search(needs, query)]

    def every_alert_is_silent(self):
        def silent():
            firing = [
                f"{name} {labels}"
                for name, labels, state in self.prometheus.alerts()
                # Information is for whoever looks anyway: that a dry run holds the size back.
                if state == "firing" and labels["severity"] != "info" and labels.get("job") not in self.stack.absent
            ]
            if firing:
                raise Failed("; ".join(firing))
            return True

        eventually("every alert is silent", PATIENCE, silent)

    def the_autoscaler_tells_and_does_nothing(self):
        def decided():
            targets = self._admin("/api/v1/autoscaler")["targets"]
            [web] = [one for one in targets if one["upstream"] == "web"]
            if web["decision"] is None:
                raise Failed("it has not decided yet")
            return web

        eventually("the autoscaler decides", PATIENCE, decided)
        actions = self._sum("evenkeel_autoscaler_actions_total")
        if actions:
            raise Failed(f"in a dry run it changed the size {actions:.0f} times")

    def a_frozen_and_a_killed_backend_are_told(self):
        """Both at once, because alerts take their time. A backend that hangs is still there, and down. One that has
        ended may be gone from the list of backends, and then from the series with it."""
        frozen, killed = self.stack.freeze(), self.stack.kill()
        try:
            self._await_told(frozen, True, "BackendDown")
            self._await_told(killed, self.stack.lists_the_killed, self.stack.told_of_the_killed)
        finally:
            self.stack.thaw()
            self.stack.revive()

        def all_serve():
            count = self._sum('evenkeel_backend_up{upstream="web"}')
            if count != self.stack.replicas + self.stack.backups:
                raise Failed(f"{count:.0f} do")
            return True

        eventually("all backends serve again", PATIENCE, all_serve)
        # What was sent to them while nobody knew was repeated on another one.
        self.no_get_has_failed()

    def _await_told(self, backend, is_listed, alert):
        eventually(f"{backend} is shown as out", PATIENCE, lambda: self._is_out(backend, is_listed))
        eventually(f"{alert} fires for {backend}", PATIENCE, lambda: self._fires(alert, backend, is_listed))
        eventually(f"Alertmanager has {alert}", PATIENCE, lambda: self._is_received(alert, backend, is_listed))

    def _is_out(self, backend, is_listed):
        selector = f'upstream="web",backend="{backend}"'
        state = self.prometheus.query(f"evenkeel_backend_state{{{selector}}} == 1")
        if [labels["state"] for labels, _ in state] != (["down"] if is_listed else []):
            raise Failed(f"it is {state}")
        return self._sum(f"evenkeel_backend_up{{{selector}}}") == 0

    def _fires(self, alert, backend, is_listed):
        return any(
            state == "firing" and _is_of(labels, alert, backend, is_listed)
            for _, labels, state in self.prometheus.alerts()
        )

    def _is_received(self, alert, backend, is_listed):
        alerts = get_json(f"{self.stack.alertmanager_url}/api/v2/alerts")
        return any(_is_of(one["labels"], alert, backend, is_listed) for one in alerts)

    def more_backends_share_the_load(self):
        count = 5
        self.stack.scale(count)
        self.stack.jobs["backend"] += count - self.stack.replicas
        self.stack.replicas = count
        self.every_target_is_up()

        eventually(f"{count} backends serve", PATIENCE, lambda: self._serving() == count)
        counter = 'evenkeel_backend_picks_total{upstream="web"'
        before = self._own(counter)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: get(f"{self.stack.traffic_url}/?algo=round_robin"), range(REQUESTS)))
        after = self._own(counter)
        shares = {backend: after[backend] - before.get(backend, 0) for backend in after}
        shares = {backend: share for backend, share in shares.items() if share}
        mean = sum(shares.values()) / count
        if len(shares) != count or not all(0.7 * mean < share < 1.3 * mean for share in shares.values()):
            raise Failed(f"of {REQUESTS} requests the backends got {shares}")

    def fewer_backends_cost_no_request(self):
        count = 2
        done = threading.Event()

        def ask():
            while not done.is_set():
                get(f"{self.stack.traffic_url}/?algo=round_robin")

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            try:
                self.stack.scale(count)
                eventually(f"{count} backends are left", PATIENCE, lambda: self._serving() == count)
            finally:
                done.set()
        self.stack.jobs["backend"] += count - self.stack.replicas
        self.stack.replicas = count
        for one in asking:
            try:
                one.result()
            except OSError as error:
                raise Failed(f"a request failed when backends went: {error}") from error

    def _serving(self):
        """How many backends have their full share."""
        shares = self._own('evenkeel_backend_share{upstream="web"').values()
        # The backup has its share, too, and gets nothing.
        return sum(share == 1 for share in shares) - self.stack.backups

    def _own(self, series):
        """What the balancer itself says at this moment, by backend."""
        found = {}
        for line in get(f"{self.stack.metrics_url}/metrics").decode().splitlines():
            if line.startswith(series):
                backend = re.search(r'backend="([^"]*)"', line)[1]
                found[backend] = found.get(backend, 0) + float(line.rsplit(" ", 1)[1])
        return found

    def _sum(self, query):
        return sum(value for _, value in self.prometheus.query(query))

    def _admin(self, path):
        headers = {"Authorization": f"Bearer {self.stack.admin_token}"}
        return get_json(self.stack.admin_url + path, headers=headers)


def _is_of(labels, alert, backend, is_listed):
    """Whether the labels are those of the alert for this backend; of one that is not listed, only its upstream is told."""
    of = labels.get("backend") == backend if is_listed else labels.get("upstream") == "web"
    return labels["alertname"] == alert and of
