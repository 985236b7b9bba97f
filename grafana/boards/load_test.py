"""Load test: what Locust sends and sees, beside what the balancer says of the same requests."""

from look import (
    ASKED,
    BLUE,
    COUNT,
    DARK_BLUE,
    GREEN,
    LIGHT_BLUE,
    LIMIT,
    ORANGE,
    PURPLE,
    QUANTILES,
    RATE,
    RED,
    SECONDS,
    SHARE,
    W,
    board,
    dashed,
    events,
    figure,
    filled,
    graph,
    numbered,
    one_hot,
    quantile,
    row,
    timeline,
    variable,
)

L = 'algorithm=~"$algorithm", name=~"$name"'
NONE = "No load test runs"
SHAPES = {"baseline": BLUE, "ramp": GREEN, "spike": RED, "endurance": ORANGE, "comparison": PURPLE}
WORKERS = {"ready": GREEN, "spawning": LIGHT_BLUE, "running": BLUE, "missing": RED}


def _head(built):
    return (
        built.with_panel(figure("Users", "Users that are running.", "sum(locust_users)", COUNT, no_value=NONE))
        .with_panel(
            figure(
                "Requests",
                "Requests a second that ended.",
                f"sum(rate(locust_requests_total{{{L}}}{W}))",
                RATE,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Failed",
                "Share of the requests that failed, as Locust judges it.",
                f"(sum(rate(locust_failures_total{{{L}}}{W})) or vector(0)) / (sum(rate(locust_requests_total{{{L}}}{W})) > 0)",
                SHARE,
                steps=[GREEN, (0.001, ORANGE), (0.01, RED)],
                no_value=NONE,
                decimals=2,
            )
        )
        .with_panel(
            figure(
                "99 % response time",
                "From the moment a request was due to the end of its answer, so that waiting to be sent counts.",
                quantile(0.99, f"locust_response_seconds_bucket{{{L}}}"),
                SECONDS,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Busiest worker",
                "Share of a core. Above 90 % the generator is the limit, and its numbers say little about the balancer.",
                "max(locust_worker_cpu_ratio)",
                SHARE,
                steps=[GREEN, (0.7, ORANGE), (0.9, RED)],
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Sent too late",
                "Requests that the generator itself sent late or not at all, or could not count, within this range. They should be none.",
                "sum(increase(locust_late_requests_total[$__range]) + increase(locust_unsent_requests_total[$__range])\n"
                "  + increase(locust_lost_requests_total[$__range]))",
                COUNT,
                steps=[GREEN, (1, ORANGE)],
                no_value=NONE,
                decimals=0,
            )
        )
        .with_panel(
            timeline(
                "Shape",
                "Which pattern of load runs.",
                (one_hot('locust_shape{job="locust"', "shape", SHAPES, "job"), "shape"),
                texts=numbered(SHAPES),
                height=4,
                no_value=NONE,
            )
        )
    )


def _both(built):
    latency = graph(
        "Response time, both sides",
        "Locust's from the moment a request was due; the balancer's from its header on. The difference is the generator, the "
        "network and the balancer's listener.",
        *[
            (quantile(q, f"locust_response_seconds_bucket{{{L}}}"), f"p{n} Locust")
            for q, n in ((0.5, 50), (0.95, 95), (0.99, 99))
        ],
        *[
            (
                quantile(q, "evenkeel_request_duration_seconds_bucket"),
                f"p{n} balancer",
            )
            for q, n in ((0.5, 50), (0.95, 95), (0.99, 99))
        ],
        unit=SECONDS,
        palette=QUANTILES,
        no_value=NONE,
        height=9,
    )
    traffic = graph(
        "Requests, both sides",
        "What is due by the shape, what Locust saw answered, and what the balancer finished.",
        ("sum(locust_target_rate)", "due"),
        (f"sum(rate(locust_requests_total{W}))", "Locust"),
        (f"sum(rate(evenkeel_requests_total{W}))", "balancer"),
        unit=RATE,
        palette={"Locust": BLUE, "balancer": GREEN},
        no_value=NONE,
        height=9,
    )
    return (
        built.with_row(row("The balancer's numbers beside"))
        .with_panel(dashed(traffic, "due", LIMIT))
        .with_panel(dashed(latency, "/balancer$/"))
        .with_panel(
            graph(
                "Failures, both sides",
                "Requests a second that Locust judged failed, and 5xx answers of the balancer.",
                (f"sum(rate(locust_failures_total{W})) or 0 * sum(rate(locust_requests_total{W}))", "Locust"),
                (
                    f'sum(rate(evenkeel_requests_total{{code=~"5.."}}{W})) or 0 * sum(rate(evenkeel_requests_total{W}))',
                    "balancer 5xx",
                ),
                unit=RATE,
                palette={"Locust": ORANGE, "balancer": RED},
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Failures by error",
                "What was wrong with the requests that failed.",
                (
                    events(f"locust_failures_total{{{L}}}", "name, error", job="locust") + " > 0",
                    "{{name}} {{error}}",
                ),
                unit=RATE,
                no_value="None",
            )
        )
    )


def _kinds(built):
    return (
        built.with_row(row("By kind of request and algorithm"))
        .with_panel(
            graph(
                "Requests by kind",
                "Requests a second that ended.",
                (f"sum by (name) (rate(locust_requests_total{{{L}}}{W}))", "{{name}}"),
                unit=RATE,
                span=8,
                stacked=True,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "99 % response time by kind",
                "From the moment a request was due.",
                (quantile(0.99, f"locust_response_seconds_bucket{{{L}}}", "name"), "{{name}}"),
                unit=SECONDS,
                span=8,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "99 % response time by algorithm",
                "From the moment a request was due, by the algorithm it asked for.",
                (quantile(0.99, f"locust_response_seconds_bucket{{{L}}}", "algorithm"), "{{algorithm}}"),
                unit=SECONDS,
                span=8,
                palette=ASKED,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Answers by backend",
                "Requests a second by the backend that answered, as its answers say.",
                (f"sum by (backend) (rate(locust_backend_requests_total{W}))", "{{backend}}"),
                unit=RATE,
                span=8,
                stacked=True,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Waiting in the generator",
                "p99 of the time to answer once sent, and since it was due. Apart: the generator or its connections are the limit.",
                (quantile(0.99, f"locust_service_seconds_bucket{{{L}}}"), "since sent"),
                (quantile(0.99, f"locust_response_seconds_bucket{{{L}}}"), "since due"),
                unit=SECONDS,
                span=8,
                palette={"since sent": LIGHT_BLUE, "since due": DARK_BLUE},
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Workers",
                "Processes that send, by state.",
                ("sum by (state) (locust_workers)", "{{state}}"),
                unit=COUNT,
                span=8,
                stacked=True,
                palette=WORKERS,
                decimals=0,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Worker CPU",
                "Share of a core that each worker uses.",
                ("max by (worker) (locust_worker_cpu_ratio)", "{{worker}}"),
                unit=SHARE,
                top=1,
                steps=[BLUE, (0.9, RED)],
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Worker lag",
                "Longest time that a worker sent a request too late, in the last second.",
                ("max by (worker) (locust_worker_lag_seconds)", "{{worker}}"),
                unit=SECONDS,
                no_value=NONE,
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-load-test",
        "Evenkeel load test",
        "What Locust sends and sees, beside what the balancer says of the same requests.",
        [
            variable("algorithm", "Algorithm asked for", "locust_requests_total, algorithm"),
            variable("name", "Kind of request", "locust_requests_total, name"),
        ],
        since="now-15m",
    )
    return filled(built, _head, _both, _kinds)
