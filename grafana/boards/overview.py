"""Overview: are requests answered, fast enough, and if not, whose fault is it."""

from look import (
    AGO,
    BLUE,
    BYTES,
    BYTES_RATE,
    CLASSES,
    COUNT,
    DARK_RED,
    GREEN,
    LIMIT,
    ORANGE,
    QUANTILES,
    RATE,
    RED,
    SECONDS,
    SHARE,
    YELLOW,
    board,
    dashed,
    events,
    figure,
    filled,
    graph,
    leads_to,
    listing,
    quantile,
    row,
    variable,
)

U = 'upstream=~"$upstream"'
UR = f'{U}, route=~"$route"'
R = 'route=~"$route"'


def _head(built):
    health = figure(
        "Health",
        "The same sentence as on the balancer's own dashboard. Which backend it is: dashboard Backends.",
        f"(2 * (max(upstream:evenkeel_backend_up:sum{{{U}}} == bool 0) > 0))\n  or\n"
        f"max(upstream:evenkeel_backend_up:ratio{{{U}}} < bool 1)",
        COUNT,
        span=12,
        texts={
            0: ("Healthy: every backend serves", GREEN),
            1: ("Degraded: every upstream serves, but not with all of its backends", ORANGE),
            2: ("Failing: an upstream has no backend that serves", RED),
        },
        no_value="Prometheus does not see the balancer",
        missing=RED,
    )
    return (
        built.with_panel(leads_to(health, "evenkeel-backends", "Which backend"))
        .with_panel(
            figure(
                "Backends that serve",
                "How many backends may get requests of one of the chosen upstreams at least.",
                f"sum(max by (backend) (evenkeel_backend_up{{{U}}}))",
                COUNT,
                steps=[RED, (1, GREEN)],
                no_value="No backends",
            )
        )
        .with_panel(
            figure(
                "Answered without error",
                "Share of the last hour's requests that got no 5xx. The objective is 99.9 % over 30 days.",
                f"1 - sum(avg_over_time(upstream:evenkeel_requests_failed:rate5m{{{U}}}[1h]))\n"
                f"  / (sum(avg_over_time(upstream:evenkeel_requests:rate5m{{{U}}}[1h])) > 0)",
                SHARE,
                steps=[RED, (0.99, ORANGE), (0.999, GREEN)],
                no_value="No requests",
                decimals=3,
            )
        )
        .with_panel(
            figure(
                "Alerts",
                "Alerts that fire now, without those for information. All of them are listed below.",
                'count(ALERTS{alertstate="firing", severity!="info"}) or vector(0)',
                COUNT,
                steps=[GREEN, (1, RED)],
            )
        )
    )


def _signals(built):
    latency = graph(
        "Latency",
        "Time from the request's header to the end of the response, as clients see it. The dashed line is the objective for p99.",
        *[
            (
                quantile(q, f"evenkeel_request_duration_seconds_bucket{{{UR}}}"),
                name,
            )
            for q, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
        ],
        ("max(evenkeel:latency_seconds:objective)", "objective"),
        unit=SECONDS,
        palette=QUANTILES,
        no_value="No requests",
    )
    errors = graph(
        "Errors",
        "Share of the requests that are answered 5xx; upstream - is what the balancer answers itself. The dashed line is what the objective allows in the long run.",
        (
            f'(sum by (upstream) (rate(evenkeel_requests_total{{{UR}, code=~"5.."}}[$__rate_interval]))\n'
            f"  or 0 * sum by (upstream) (rate(evenkeel_requests_total{{{UR}}}[$__rate_interval])))\n"
            f"  / (sum by (upstream) (rate(evenkeel_requests_total{{{UR}}}[$__rate_interval])) > 0)",
            "{{upstream}}",
        ),
        ("max(1 - evenkeel:availability:objective)", "allowed"),
        unit=SHARE,
        no_value="No requests",
    )
    saturation = graph(
        "Saturation",
        "Requests in flight to backends, and those that wait because every backend is at its cap.",
        (f"sum by (upstream) (evenkeel_backend_in_flight{{{U}}})", "{{upstream}} in flight"),
        (f"sum by (upstream) (evenkeel_queue_waiting{{{U}}})", "{{upstream}} waiting"),
        unit=COUNT,
    )
    return (
        built.with_row(row("The four golden signals"))
        .with_panel(
            graph(
                "Traffic",
                "Requests finished a second, by route; - is none.",
                (f"sum by (route) (rate(evenkeel_requests_total{{{UR}}}[$__rate_interval]))", "{{route}}"),
                unit=RATE,
                stacked=True,
                no_value="No requests",
            )
        )
        .with_panel(dashed(errors, "allowed", LIMIT))
        .with_panel(dashed(latency, "objective", LIMIT))
        .with_panel(leads_to(saturation, "evenkeel-containers", "CPU and memory"))
    )


def _faults(built):
    burn = graph(
        "Error budget burn",
        "How many times faster than in 30 days the error budget is spent. Above 14.4 in an hour, 6 in six hours or 1 in "
        "three days an alert fires.",
        *[
            (
                f"max(upstream:evenkeel_requests_failed:ratio_rate{w}{{{U}}}) / scalar(1 - evenkeel:availability:objective)",
                text,
            )
            for w, text in (("1h", "1 hour"), ("6h", "6 hours"), ("3d", "3 days"))
        ],
        unit=COUNT,
        palette={"1 hour": RED, "6 hours": ORANGE, "3 days": YELLOW},
        no_value="No requests",
    )
    return (
        built.with_row(row("Whose fault it is"))
        .with_panel(
            graph(
                "Responses by class",
                "Every finished request by the class of its status: 4xx is the client's, 5xx ours or a backend's.",
                (
                    f"sum by (code_class) (rate(evenkeel_request_duration_seconds_count{{{UR}}}[$__rate_interval]))",
                    "{{code_class}}",
                ),
                unit=RATE,
                span=8,
                stacked=True,
                palette=CLASSES,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Errors by reason",
                "Requests that the balancer answered itself, or gave up. The words are those of X-Evenkeel-Reason; "
                "docs/resilience.md says of each whose fault it is.",
                (events(f"evenkeel_rejects_total{{{R}}}", "reason") + " > 0", "{{reason}}"),
                unit=RATE,
                span=8,
                stacked=True,
                no_value="None: every request got a backend's answer",
            )
        )
        .with_panel(
            graph(
                "Retries",
                "Attempts repeated on another backend by why the first one failed, and retries the budget refused.",
                (events(f"evenkeel_retries_total{{{U}}}", "reason"), "{{reason}}"),
                (f"sum(rate(evenkeel_retry_budget_exhausted_total{{{U}}}[$__rate_interval]))", "refused by the budget"),
                unit=RATE,
                span=8,
                palette={"refused": DARK_RED},
                no_value="None",
            )
        )
        .with_panel(burn)
        .with_panel(
            listing(
                "Firing alerts",
                "What each means and what to do: docs/alerts.md.",
                'ALERTS{alertstate="firing"}',
                {
                    "severity": "severity",
                    "alertname": "alert",
                    "upstream": "upstream",
                    "backend": "backend",
                    "job": "job",
                    "instance": "instance",
                },
                no_value="None",
                palettes={"severity": {"critical": RED, "warning": ORANGE, "info": BLUE}},
            )
        )
    )


def _balancer(built):
    return (
        built.with_row(row("The balancer itself"))
        .with_panel(
            graph(
                "Own time",
                "Part of a request's time that was spent waiting neither for a backend nor for the client. It grows with too little CPU.",
                *[
                    (
                        quantile(q, f"evenkeel_proxy_overhead_seconds_bucket{{{R}}}"),
                        name,
                    )
                    for q, name in ((0.5, "p50"), (0.99, "p99"))
                ],
                unit=SECONDS,
                span=8,
                palette=QUANTILES,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Client connections",
                "Open connections by listener.",
                ("sum by (listener) (evenkeel_active_connections)", "{{listener}}"),
                unit=COUNT,
                span=8,
            )
        )
        .with_panel(
            graph(
                "Bodies",
                "Bytes of bodies received from clients (in) and sent to them (out).",
                ("sum by (direction) (rate(evenkeel_bytes_total[$__rate_interval]))", "{{direction}}"),
                unit=BYTES_RATE,
                span=8,
            )
        )
        .with_panel(
            figure(
                "Configuration",
                "Whether the file was valid when it was last read. A refused one changes nothing.",
                "min(evenkeel_config_last_reload_success)",
                COUNT,
                texts={1: ("The file is in force", GREEN), 0: ("The file was refused: evenkeel check", RED)},
            )
        )
        .with_panel(
            figure(
                "Configuration in force since",
                "When a valid configuration was last loaded.",
                "1000 * max(evenkeel_config_last_reload_timestamp_seconds)",
                AGO,
                spark=False,
            )
        )
        .with_panel(
            figure(
                "Running since",
                "When the process started.",
                '1000 * max(process_start_time_seconds{job="load_balancer"})',
                AGO,
                spark=False,
            )
        )
        .with_panel(
            figure(
                "CPU",
                "Processor time of the process; 1 is a whole core.",
                'sum(rate(process_cpu_seconds_total{job="load_balancer"}[$__rate_interval]))',
                COUNT,
                decimals=2,
            )
        )
        .with_panel(
            figure(
                "Memory",
                "Resident memory of the process.",
                'sum(process_resident_memory_bytes{job="load_balancer"})',
                BYTES,
            )
        )
        .with_panel(
            figure(
                "Lost log lines",
                "Lines of both logs and events that could not be written in time, within this range.",
                "sum(increase(evenkeel_access_log_dropped_total[$__range]) + increase(evenkeel_log_dropped_total[$__range])\n"
                "  + increase(evenkeel_events_lost_total[$__range]))",
                COUNT,
                steps=[BLUE, (1, RED)],
                decimals=0,
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-overview",
        "Evenkeel overview",
        "Are requests answered, fast enough, and if not, whose fault is it? Start here.",
        [
            variable("upstream", "Upstream", "evenkeel_algorithm_active, upstream"),
            variable("route", "Route", "evenkeel_requests_total, route"),
        ],
    )
    return filled(built, _head, _signals, _faults, _balancer)
