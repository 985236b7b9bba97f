"""Autoscaler: how many backends there are, how many are needed, and why it did or did not do something about it."""

from look import (
    BLUE,
    COUNT,
    DIRECTIONS,
    FORECAST,
    GREEN,
    GREY,
    LIMIT,
    ORANGE,
    RED,
    SECONDS,
    SHARE,
    SLOW,
    board,
    dashed,
    figure,
    filled,
    graph,
    row,
    variable,
)

U = 'upstream=~"$upstream"'
NONE = "No upstream is scaled"


def _head(built):
    return (
        built.with_panel(
            figure(
                "Backends",
                "Backends that the driver had at the last decision, without those on their way out.",
                f"sum(evenkeel_autoscaler_current{{{U}}})",
                COUNT,
                span=3,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Of them ready",
                "Those that served.",
                f"sum(evenkeel_autoscaler_ready{{{U}}})",
                COUNT,
                span=3,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Wanted",
                "Backends that the last decision wants in the end.",
                f"sum(evenkeel_autoscaler_desired{{{U}}})",
                COUNT,
                span=3,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Last decision",
                "Time since the last decision. It decides each interval, 15 s by default; much more than that: it is blind.",
                f"time() - max(evenkeel_autoscaler_last_decision_timestamp_seconds{{{U}}})",
                SECONDS,
                span=3,
                steps=[GREEN, (60, ORANGE), (900, RED)],
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Forecasts wrong by",
                "Mean absolute error of the forecasts that came due, as a share of what was needed. Up to 15 % a forecast counts by default.",
                f"max(evenkeel_autoscaler_forecast_error_ratio{{{U}}})",
                SHARE,
                span=4,
                steps=[GREEN, (0.15, ORANGE), (0.3, RED)],
                no_value="No forecast came due yet",
            )
        )
        .with_panel(
            figure(
                "Held",
                "Whether something keeps the last decision from being carried out. What it is: `held` of GET /api/v1/autoscaler.",
                f"max(evenkeel_autoscaler_held{{{U}}})",
                COUNT,
                span=4,
                texts={0: ("No", GREEN), 1: ("Held", ORANGE)},
                no_value="This version does not tell",
            )
        )
        .with_panel(
            figure(
                "Paused",
                "Whether an operator has paused it: it goes on to decide and does nothing.",
                f"max(evenkeel_autoscaler_paused{{{U}}})",
                COUNT,
                span=4,
                texts={0: ("No", GREEN), 1: ("Paused", GREY)},
                no_value="This version does not tell",
            )
        )
    )


def _size(built):
    size = graph(
        "Size",
        "How many backends there are and serve, how many are wanted, and the bounds.",
        (f"sum by (upstream) (evenkeel_autoscaler_current{{{U}}})", "there are, {{upstream}}"),
        (f"sum by (upstream) (evenkeel_autoscaler_ready{{{U}}})", "ready, {{upstream}}"),
        (f"sum by (upstream) (evenkeel_autoscaler_desired{{{U}}})", "wanted, {{upstream}}"),
        (f"max by (upstream) (evenkeel_autoscaler_min{{{U}}})", "min, {{upstream}}"),
        (f"max by (upstream) (evenkeel_autoscaler_max{{{U}}})", "max, {{upstream}}"),
        unit=COUNT,
        span=12,
        height=9,
        decimals=0,
        no_value=NONE,
    )
    size = dashed(dashed(size, "/^wanted/", ORANGE), "/^(min|max)/", LIMIT)
    forecast = graph(
        "Forecast against what came",
        "Backends needed by the load now, and by the forecast for the time that a new backend takes to serve. A good forecast "
        "is the other line, that much earlier.",
        (
            f'max by (upstream) (evenkeel_autoscaler_recommendation{{{U}, source="reactive"}})',
            "needed now, {{upstream}}",
        ),
        (
            f'max by (upstream) (evenkeel_autoscaler_recommendation{{{U}, source="predicted"}})',
            "forecast, {{upstream}}",
        ),
        unit=COUNT,
        span=12,
        height=9,
        no_value=NONE,
    )
    return (
        built.with_row(row("Size and need"))
        .with_panel(size)
        .with_panel(dashed(forecast, "/^forecast/", FORECAST))
        .with_panel(
            graph(
                "Forecast error",
                "Mean absolute error of the forecasts that came due, as a share of what was needed. Below the line a forecast counts by default.",
                (f"max by (upstream) (evenkeel_autoscaler_forecast_error_ratio{{{U}}})", "{{upstream}}"),
                unit=SHARE,
                steps=[BLUE, (0.15, RED)],
                no_value="No forecast came due yet",
            )
        )
        .with_panel(
            graph(
                "Missing",
                "Backends needed by the load beyond those that serve. Above zero the others carry more than the target.",
                (
                    f'clamp_min(max by (upstream) (evenkeel_autoscaler_recommendation{{{U}, source="reactive"}})\n'
                    f"  - max by (upstream) (evenkeel_autoscaler_ready{{{U}}}), 0)",
                    "{{upstream}}",
                ),
                unit=COUNT,
                no_value=NONE,
            )
        )
    )


def _decisions(built):
    return (
        built.with_row(row("Decisions"))
        .with_panel(
            graph(
                "Decisions by reason",
                "Decisions that said something that the one before did not, since the start. docs/autoscaler.md has what each reason means.",
                (
                    f"sum by (direction, reason) (evenkeel_autoscaler_decisions_total{{{U}}})",
                    "{{direction}} {{reason}}",
                ),
                unit=COUNT,
                span=8,
                no_value=NONE,
                decimals=0,
            )
        )
        .with_panel(
            graph(
                "Actions",
                "Changes of size that were made since the start. In a dry run there are none.",
                (
                    f"sum by (upstream, direction) (evenkeel_autoscaler_actions_total{{{U}}})",
                    "{{direction}} {{upstream}}",
                ),
                unit=COUNT,
                span=8,
                palette=DIRECTIONS,
                no_value="None: nothing to do, or a dry run",
                decimals=0,
            )
        )
        .with_panel(
            graph(
                "Failures",
                "Calls to the driver that failed, and backends that did not start, since the start.",
                (f"sum by (upstream, step) (evenkeel_autoscaler_failures_total{{{U}}})", "{{upstream}} {{step}}"),
                unit=COUNT,
                span=8,
                no_value="None",
                decimals=0,
            )
        )
    )


def _load(built):
    # Other upstreams have backends, too.
    serve = f"sum by (upstream) (evenkeel_backend_up{{{U}}}) > 0 and on (upstream) evenkeel_autoscaler_current"
    return (
        built.with_row(row("What the load is told by"))
        .with_panel(
            graph(
                "CPU of each backend",
                "Processor time of each container over its limit: what the signal cpu reads.",
                ('container:container_cpu_usage:ratio_rate1m{service=~"backend|backup_backend"}', "{{name}}"),
                unit=SHARE,
                span=8,
                step=SLOW,
                steps=[BLUE, (0.7, ORANGE)],
                no_value="cAdvisor tells of no backend",
            )
        )
        .with_panel(
            graph(
                "Requests for each backend",
                "Attempts a second at the backends, over those that serve.",
                (
                    f"sum by (upstream) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval]))\n"
                    f"  / ({serve})",
                    "{{upstream}}",
                ),
                unit="reqps",
                span=8,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "In flight and waiting for each backend",
                "Requests under way, and waiting, over the backends that serve.",
                (
                    f"sum by (upstream) (evenkeel_backend_in_flight{{{U}}}) / ({serve})",
                    "in flight, {{upstream}}",
                ),
                (
                    f"sum by (upstream) (evenkeel_queue_waiting{{{U}}}) / ({serve})",
                    "waiting, {{upstream}}",
                ),
                unit=COUNT,
                span=8,
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-autoscaler",
        "Evenkeel autoscaler",
        "How many backends there are, how many are needed, and why something was or was not done about it.",
        [variable("upstream", "Upstream", "evenkeel_autoscaler_current, upstream")],
        since="now-3h",
    )
    return filled(built, _head, _size, _decisions, _load)
