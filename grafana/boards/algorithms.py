"""Algorithm comparison: response time, distribution, utilisation and errors under each algorithm."""

from look import (
    ALGORITHMS,
    ASKED,
    BLUE,
    COUNT,
    ORANGE,
    RATE,
    SECONDS,
    SHARE,
    SLOW,
    bars,
    board,
    filled,
    graph,
    numbered,
    one_hot,
    quantile,
    row,
    timeline,
    variable,
)

U = 'upstream=~"$upstream"'
A = f'{U}, algorithm=~"$algorithm"'
L = 'algorithm=~"$algorithm"'


def _percentile(q, text):
    return graph(
        f"{text} response time by algorithm",
        f"p{round(q * 100)} of the time to the first byte of responses from backends that the algorithm chose.",
        (quantile(q, f"evenkeel_algorithm_response_seconds_bucket{{{A}}}", "algorithm"), "{{algorithm}}"),
        unit=SECONDS,
        span=8,
        palette=ALGORITHMS,
        no_value="No requests",
    )


def _choice(built):
    return (
        built.with_panel(
            timeline(
                "Algorithm in use",
                "Which algorithm each upstream uses by default. Requests with ?algo= use another one, where the route allows it.",
                (one_hot(f"evenkeel_algorithm_active{{{U}", "algorithm", ALGORITHMS, "upstream"), "{{upstream}}"),
                texts=numbered(ALGORITHMS),
                height=6,
            )
        )
        .with_panel(
            graph(
                "Requests by algorithm",
                "Attempts a second whose backend was chosen under each algorithm.",
                (
                    f"sum by (algorithm) (rate(evenkeel_algorithm_requests_total{{{A}}}[$__rate_interval]))",
                    "{{algorithm}}",
                ),
                unit=RATE,
                stacked=True,
                palette=ALGORITHMS,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Switches of adaptive",
                "Times that adaptive has changed to an algorithm since the balancer's start. Its log has the evidence of each.",
                (
                    f"sum by (upstream, algorithm) (evenkeel_algorithm_switches_total{{{A}}})",
                    "{{algorithm}} {{upstream}}",
                ),
                unit=COUNT,
                palette=ALGORITHMS,
                decimals=0,
                no_value="None: no upstream is adaptive, or it has not switched",
            )
        )
    )


def _time(built):
    return (
        built.with_row(row("Response time"))
        .with_panel(_percentile(0.5, "Median"))
        .with_panel(_percentile(0.95, "95 %"))
        .with_panel(_percentile(0.99, "99 %"))
        .with_panel(
            bars(
                "Mean response time in this range",
                "Mean time to the first byte over the whole range, the fastest on top.",
                f"sort(\n  sum by (algorithm) (increase(evenkeel_algorithm_response_seconds_sum{{{A}}}[$__range]))\n"
                f"  / (sum by (algorithm) (increase(evenkeel_algorithm_response_seconds_count{{{A}}}[$__range])) > 0)\n)",
                "{{algorithm}}",
                SECONDS,
                no_value="No requests",
            )
        )
        .with_panel(
            bars(
                "99 % response time in this range",
                "p99 over the whole range, the fastest on top.",
                f"sort(histogram_quantile(0.99, sum by (le, algorithm) (increase(evenkeel_algorithm_response_seconds_bucket{{{A}}}[$__range]))))",
                "{{algorithm}}",
                SECONDS,
                no_value="No requests",
            )
        )
    )


def _distribution(built):
    return (
        built.with_row(row("Distribution and utilisation"))
        .with_panel(
            graph(
                "Share of each backend",
                "Of the requests to its upstream, the part each backend gets.",
                (
                    f"sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval]))\n"
                    f"  / on (upstream) group_left () (sum by (upstream) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval])) > 0)",
                    "{{upstream}} {{backend}}",
                ),
                unit=SHARE,
                span=8,
                top=1,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Unevenness",
                "Standard deviation of the backends' request rates over their mean: 0 is even. It is meant to be uneven where weights or speeds "
                "differ.",
                (
                    f"stddev by (upstream) (sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval])))\n"
                    f"  / (avg by (upstream) (sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval]))) > 0)",
                    "{{upstream}}",
                ),
                unit=SHARE,
                span=8,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Requests in flight",
                "How busy each backend is: requests that it works on.",
                (f"sum by (upstream, backend) (evenkeel_backend_in_flight{{{U}}})", "{{upstream}} {{backend}}"),
                unit=COUNT,
                span=8,
            )
        )
        .with_panel(
            graph(
                "Backend CPU",
                "CPU of each backend's container over its limit: whether the algorithm uses all of them.",
                ('container:container_cpu_usage:ratio_rate1m{service=~"backend|backup_backend"}', "{{name}}"),
                unit=SHARE,
                span=12,
                step=SLOW,
                steps=[BLUE, (0.9, ORANGE)],
                no_value="cAdvisor tells of no backend",
            )
        )
        .with_panel(
            graph(
                "Busy backends",
                "Mean number of requests in flight by Little's law: rate times mean response time, by backend.",
                (
                    f"sum by (upstream, backend) (rate(evenkeel_backend_response_seconds_sum{{{U}}}[$__rate_interval]))",
                    "{{upstream}} {{backend}}",
                ),
                unit=COUNT,
                span=12,
                no_value="No requests",
            )
        )
    )


def _errors(built):
    return (
        built.with_row(row("Errors"))
        .with_panel(
            graph(
                "Failed attempts by backend",
                "Share of the attempts at each backend that were answered 5xx, or not at all. An algorithm that avoids a failing backend "
                "shows it here by a low rate, not by a low share.",
                (
                    f'(sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{U}, code_class=~"5xx|failed"}}[$__rate_interval]))\n'
                    f"  or 0 * sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval])))\n"
                    f"  / (sum by (upstream, backend) (rate(evenkeel_backend_requests_total{{{U}}}[$__rate_interval])) > 0)",
                    "{{upstream}} {{backend}}",
                ),
                unit=SHARE,
                span=8,
                no_value="No requests",
            )
        )
        .with_panel(
            graph(
                "Errors seen by the load test",
                "Share of Locust's requests that failed, by the algorithm they asked for.",
                (
                    f"(sum by (algorithm) (rate(locust_failures_total{{{L}}}[$__rate_interval]))\n"
                    f"  or 0 * sum by (algorithm) (rate(locust_requests_total{{{L}}}[$__rate_interval])))\n"
                    f"  / (sum by (algorithm) (rate(locust_requests_total{{{L}}}[$__rate_interval])) > 0)",
                    "{{algorithm}}",
                ),
                unit=SHARE,
                span=8,
                palette=ASKED,
                no_value="No load test runs",
            )
        )
        .with_panel(
            graph(
                "99 % response time seen by the load test",
                "p99 from the moment a request was due to the end of its answer, by the algorithm it asked for.",
                (quantile(0.99, f"locust_response_seconds_bucket{{{L}}}", "algorithm"), "{{algorithm}}"),
                unit=SECONDS,
                span=8,
                palette=ASKED,
                no_value="No load test runs",
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-algorithms",
        "Evenkeel algorithm comparison",
        "What each balancing algorithm makes of the same load. The load test's shape `comparison` asks for all of them side by side.",
        [
            variable("upstream", "Upstream", "evenkeel_algorithm_active, upstream"),
            variable("algorithm", "Algorithm", "evenkeel_algorithm_active, algorithm"),
        ],
    )
    return filled(built, _choice, _time, _distribution, _errors)
