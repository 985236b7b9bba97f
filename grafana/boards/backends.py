"""Backends: rate, errors and duration of each, whether it gets its share, and what state it is in since when."""

from look import (
    BLUE,
    CLASSES,
    COUNT,
    GREEN,
    ORANGE,
    RATE,
    SECONDS,
    SHARE,
    STATES,
    board,
    figure,
    filled,
    graph,
    leads_to,
    listing,
    numbered,
    one_hot,
    quantile,
    row,
    timeline,
    variable,
)

U = 'upstream=~"$upstream"'
B = f'{U}, backend=~"$backend"'
NAME = "{{upstream}} {{backend}}"


def _states(built):
    return (
        built.with_panel(
            timeline(
                "States",
                "What state each backend is in. Only up, warming, suspect and half_open get requests; docs/health.md has each of them.",
                (one_hot(f"evenkeel_backend_state{{{B}", "state", STATES, "upstream, backend"), NAME),
                texts=numbered(STATES),
            )
        )
        .with_panel(
            listing(
                "Why",
                "Each backend's state, the reason for it, and what it gets of its weight: who gets least is on top. docs/health.md says what to "
                "do about it.",
                f"sort(\n  (evenkeel_backend_state_reason{{{B}}} == 1)\n"
                f"  * on (instance, upstream, backend) group_left (state) (evenkeel_backend_state{{{B}}} == 1)\n"
                f"  * on (instance, upstream, backend) group_left () evenkeel_backend_share{{{B}}}\n)",
                {"upstream": "upstream", "backend": "backend", "state": "state", "reason": "reason"},
                unit=SHARE,
                value="part of its weight",
                no_value="No backends",
                palettes={"state": STATES},
            )
        )
        .with_panel(
            graph(
                "Ejections",
                "Times each backend was taken out for what requests to it came to, by reason, since the balancer's start; and how many that were "
                "within five minutes.",
                (
                    f"sum by (upstream, backend, reason) (evenkeel_ejections_total{{{B}}})",
                    f"{NAME} {{{{reason}}}}",
                ),
                (f"sum(upstream:evenkeel_backend_ejected:count5m{{{U}}})", "all within five minutes"),
                unit=COUNT,
                decimals=0,
                no_value="None",
            )
        )
    )


def _red(built):
    return (
        built.with_row(row("Rate, errors, duration"))
        .with_panel(
            graph(
                "Requests",
                "Attempts a second at each backend, retries included.",
                (f"sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{B}}}[$__rate_interval]))", NAME),
                unit=RATE,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Failed attempts",
                "Share of the attempts that were answered 5xx, or not at all (failed).",
                (
                    f'(sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{B}, code_class=~"5xx|failed"}}[$__rate_interval]))\n'
                    f"  or 0 * sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{B}}}[$__rate_interval])))\n"
                    f"  / (sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{B}}}[$__rate_interval])) > 0)",
                    NAME,
                ),
                unit=SHARE,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Latency by backend",
                "p99 of the time from the request being sent to the first byte of the response. One line above the others: that "
                "backend is slow. All of them: what they share, or too few.",
                (quantile(0.99, f"evenkeel_backend_response_seconds_bucket{{{B}}}", "upstream, backend"), NAME),
                unit=SECONDS,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Median latency by backend",
                "p50 of the same time: what most requests see.",
                (quantile(0.5, f"evenkeel_backend_response_seconds_bucket{{{B}}}", "upstream, backend"), NAME),
                unit=SECONDS,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Answers by class",
                "What attempts came to. failed: no response. cancelled: the client left first.",
                (
                    f"sum by (code_class) (rate(evenkeel_backend_requests_total{{{B}}}[$__rate_interval]))",
                    "{{code_class}}",
                ),
                unit=RATE,
                stacked=True,
                palette=CLASSES,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "As the backends count",
                "Requests a second that the demo backends themselves say they answered, by instance. Checks are among them.",
                (
                    'sum by (instance) (rate(demo_backend_requests_total{job="backend"}[$__rate_interval]))',
                    "{{instance}}",
                ),
                unit=RATE,
                no_value="No backend with metrics of its own",
            )
        )
    )


def _share(built):
    # A backup has a weight, too, and no part as long as it gets nothing.
    weight = f"avg by (upstream, backend) (evenkeel_backend_weight{{{U}}} * evenkeel_backend_up)"
    share = graph(
        "Share against weight",
        "Requests that each backend got in five minutes, over what it would have got by weight alone: 100 % is its part. Well below: the "
        "algorithm avoids it, or it comes back.",
        (
            f"backend:evenkeel_backend_requests:share5m{{{B}}}\n"
            f"  / on (upstream, backend) ({weight} > 0)\n"
            f"  * on (upstream) group_left () sum by (upstream) ({weight} and on (upstream, backend) backend:evenkeel_backend_requests:share5m > 0)",
            NAME,
        ),
        unit=SHARE,
        no_value="No requests",
    )
    return (
        built.with_row(row("Who gets what"))
        .with_panel(share)
        .with_panel(
            graph(
                "Part of its weight",
                "What each backend gets of its weight: below 1 while it warms up or is a suspect, 0 when it is out.",
                (f"avg by (upstream, backend) (evenkeel_backend_share{{{B}}})", NAME),
                unit=SHARE,
                top=1,
            )
        )
        .with_panel(
            leads_to(
                graph(
                    "In flight",
                    "Requests that each backend works on.",
                    (f"sum by (upstream, backend) (evenkeel_backend_in_flight{{{B}}})", NAME),
                    unit=COUNT,
                    span=8,
                ),
                "evenkeel-autoscaler",
                "Should there be more of them",
            )
        )
        .with_panel(
            graph(
                "Part of the cap in use",
                "Requests in flight over max_in_flight_per_backend of the backends that are up.",
                (
                    f"sum by (upstream) (evenkeel_backend_in_flight{{{U}}})\n"
                    f"  / on (upstream) (max by (upstream) (evenkeel_backend_in_flight_limit{{{U}}}) * sum by (upstream) (evenkeel_backend_up{{{U}}}))",
                    "{{upstream}}",
                ),
                unit=SHARE,
                span=8,
                top=1,
                steps=[BLUE, (0.8, ORANGE)],
                no_value="This version does not tell the cap",
            )
        )
        .with_panel(
            graph(
                "Picks by what decided",
                "Why backends were chosen: by the algorithm, a cookie, a retry, a probe, or in panic, when too few are up.",
                (f"sum by (reason) (rate(evenkeel_backend_picks_total{{{B}}}[$__rate_interval]))", "{{reason}}"),
                unit=RATE,
                span=8,
                stacked=True,
                no_value="No requests",
            )
        )
    )


def _connections(built):
    return (
        built.with_row(row("Connections, checks, discovery"))
        .with_panel(
            graph(
                "Connections",
                "Open connections to each backend, idle ones included.",
                (f"sum by (upstream, backend) (evenkeel_backend_connections{{{B}}})", NAME),
                unit=COUNT,
                span=8,
            )
        )
        .with_panel(
            graph(
                "Time to connect",
                "p99 of the time a new connection takes, TLS included.",
                (quantile(0.99, f"evenkeel_backend_connect_seconds_bucket{{{B}}}", "upstream"), "{{upstream}}"),
                unit=SECONDS,
                span=8,
                no_value="No new connection",
            )
        )
        .with_panel(
            graph(
                "Connections reused",
                "Share of the attempts on a kept connection. A new one costs a round trip, with TLS two or three.",
                (
                    f'sum by (upstream) (rate(evenkeel_pool_reuse_total{{{U}, reused="true"}}[$__rate_interval]))\n'
                    f"  / (sum by (upstream) (rate(evenkeel_pool_reuse_total{{{U}}}[$__rate_interval])) > 0)",
                    "{{upstream}}",
                ),
                unit=SHARE,
                span=8,
                top=1,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Health checks",
                "Checks a second by what they came to.",
                (
                    f"sum by (upstream, result) (rate(evenkeel_health_checks_total{{{B}}}[$__rate_interval]))",
                    "{{upstream}} {{result}}",
                ),
                unit=RATE,
                span=8,
                no_value="No upstream has active checks",
            )
        )
        .with_panel(
            graph(
                "Time of health checks",
                "Mean time that checks take. Near their timeout they fail by chance.",
                (
                    f"sum by (upstream, backend) (rate(evenkeel_health_check_duration_seconds_sum{{{B}}}[$__rate_interval]))\n"
                    f"  / (sum by (upstream, backend) (rate(evenkeel_health_check_duration_seconds_count{{{B}}}[$__rate_interval])) > 0)",
                    NAME,
                ),
                unit=SECONDS,
                span=8,
                no_value="No upstream has active checks",
            )
        )
        .with_panel(
            graph(
                "Backends found",
                "Backends that each source named the last time it was asked.",
                (f"sum by (upstream, source) (evenkeel_discovery_backends{{{U}}})", "{{upstream}} {{source}}"),
                unit=COUNT,
                span=8,
                no_value="All backends stand in the configuration",
                decimals=0,
            )
        )
        .with_panel(
            figure(
                "Sources that answer",
                "Share of the sources of backends that could be asked the last time.",
                f"avg(evenkeel_discovery_up{{{U}}})",
                SHARE,
                span=8,
                steps=[ORANGE, (1, GREEN)],
                no_value="No sources",
            )
        )
        .with_panel(
            figure(
                "Time waited for a slot",
                "p99 of the time that requests which had to wait did wait.",
                quantile(0.99, f"evenkeel_queue_wait_seconds_bucket{{{U}}}"),
                SECONDS,
                span=8,
                no_value="Nobody waited",
            )
        )
        .with_panel(
            figure(
                "Would have been ejected",
                "Ejections of outliers that are only observed, within this range.",
                f"sum(increase(evenkeel_outlier_observed_total{{{B}}}[$__range]))",
                COUNT,
                span=8,
                no_value="None",
                decimals=0,
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-backends",
        "Evenkeel backends",
        "Rate, errors and duration of each backend, its share against its weight, and its states over time.",
        [
            variable("upstream", "Upstream", "evenkeel_algorithm_active, upstream"),
            variable("backend", "Backend", 'evenkeel_backend_up{upstream=~"$upstream"}, backend'),
        ],
    )
    return filled(built, _states, _red, _share, _connections)
