"""Containers: what each one uses of CPU, memory, network and disk, and whether it stays alive. From cAdvisor."""

from look import (
    BLUE,
    BYTES,
    BYTES_RATE,
    CORES,
    COUNT,
    GREEN,
    LIMIT,
    ORANGE,
    RED,
    SECONDS,
    SHARE,
    SLOW,
    W,
    board,
    dashed,
    figure,
    filled,
    graph,
    listing,
    row,
    variable,
)

# cAdvisor sees every container of the machine.
CHOSEN = 'project=~"$project", service=~"$service", name=~"$container"'
C = f'name!="", {CHOSEN}'
LABELS = "name"
NONE = "cAdvisor tells of no container"


def _head(built):
    return (
        built.with_panel(
            figure(
                "Containers",
                "Containers that cAdvisor sees.",
                f"count(container_last_seen{{{C}}} > time() - 60)",
                COUNT,
                step=SLOW,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "CPU",
                "Processor time of all of them; 1 is a whole core.",
                f"sum(rate(container_cpu_usage_seconds_total{{{C}}}{W}))",
                CORES,
                step=SLOW,
                decimals=2,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Memory",
                "Working sets of all of them: what the kernel cannot take back.",
                f"sum(container_memory_working_set_bytes{{{C}}})",
                BYTES,
                step=SLOW,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Nearest to its CPU limit",
                "The container that uses most of its limit. Above 90 % for five minutes an alert fires.",
                f"max(container:container_cpu_usage:ratio_rate1m{{{CHOSEN}}})",
                SHARE,
                step=SLOW,
                steps=[GREEN, (0.7, ORANGE), (0.9, RED)],
                no_value="No limits",
            )
        )
        .with_panel(
            figure(
                "Nearest to its memory limit",
                "The container that uses most of its limit. At the limit the kernel kills it.",
                f"max(container:container_memory_working_set_bytes:ratio{{{CHOSEN}}})",
                SHARE,
                step=SLOW,
                steps=[GREEN, (0.7, ORANGE), (0.9, RED)],
                no_value="No limits",
            )
        )
        .with_panel(
            figure(
                "Starts",
                "Times that a container was seen to start again within this range, by its processor time that began anew.",
                f"sum(resets(container_cpu_usage_seconds_total{{{C}}}[$__range]))",
                COUNT,
                step=SLOW,
                steps=[GREEN, (1, ORANGE)],
                no_value=NONE,
                decimals=0,
            )
        )
    )


def _cpu(built):
    return (
        built.with_row(row("CPU and memory"))
        .with_panel(
            graph(
                "CPU by container",
                "Processor time; 1 is a whole core.",
                (f"sum by ({LABELS}) (rate(container_cpu_usage_seconds_total{{{C}}}{W}))", "{{name}}"),
                unit=CORES,
                stacked=True,
                step=SLOW,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "CPU of its limit",
                "Processor time over the limit (`cpus` in the compose file). Containers without a limit are not here.",
                (f"container:container_cpu_usage:ratio_rate1m{{{CHOSEN}}}", "{{name}}"),
                unit=SHARE,
                step=SLOW,
                steps=[BLUE, (0.9, RED)],
                no_value="No limits",
            )
        )
        .with_panel(
            graph(
                "Memory by container",
                "Working set: what the kernel cannot take back.",
                (f"max by ({LABELS}) (container_memory_working_set_bytes{{{C}}})", "{{name}}"),
                unit=BYTES,
                stacked=True,
                step=SLOW,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Memory of its limit",
                "Working set over the limit. At 100 % the kernel kills.",
                (f"container:container_memory_working_set_bytes:ratio{{{CHOSEN}}}", "{{name}}"),
                unit=SHARE,
                step=SLOW,
                steps=[BLUE, (0.9, RED)],
                no_value="No limits",
            )
        )
    )


def _io(built):
    def flow(title, text, metric, no_value=NONE):
        return graph(
            title,
            text,
            (f"sum by ({LABELS}) (rate({metric}{{{C}}}{W}))", "{{name}}"),
            unit=BYTES_RATE,
            step=SLOW,
            no_value=no_value,
        )

    disk = "No disk was used, or the kernel does not count it by container"
    return (
        built.with_row(row("Network and disk"))
        .with_panel(
            flow("Network received", "Bytes received by each container.", "container_network_receive_bytes_total")
        )
        .with_panel(flow("Network sent", "Bytes sent by each container.", "container_network_transmit_bytes_total"))
        .with_panel(
            flow("Disk read", "Bytes read from disks by each container.", "container_fs_reads_bytes_total", disk)
        )
        .with_panel(
            flow("Disk written", "Bytes written to disks by each container.", "container_fs_writes_bytes_total", disk)
        )
    )


def _health(built):
    throttled = graph(
        "Throttled",
        "Share of the periods in which a container had used up its CPU limit and had to wait for the next one. Latency follows it.",
        (
            f"sum by ({LABELS}) (rate(container_cpu_cfs_throttled_periods_total{{{C}}}{W}))\n"
            f"  / (sum by ({LABELS}) (rate(container_cpu_cfs_periods_total{{{C}}}{W})) > 0)",
            "{{name}}",
        ),
        unit=SHARE,
        span=8,
        top=1,
        step=SLOW,
        no_value="No limits",
    )
    replicas = graph(
        "Containers by service",
        "How many containers each service has.",
        (f"count by (service) (container_last_seen{{{C}}} > time() - 60)", "{{service}}"),
        unit=COUNT,
        span=8,
        step=SLOW,
        decimals=0,
        no_value=NONE,
    )
    return (
        built.with_row(row("Restarts, health, saturation"))
        .with_panel(replicas)
        .with_panel(
            graph(
                "Restarts",
                "Starts of a container that was there before, within 15 minutes. Above two an alert fires.",
                (f"sum by ({LABELS}) (resets(container_cpu_usage_seconds_total{{{C}}}[15m])) > 0", "{{name}}"),
                unit=COUNT,
                span=8,
                step=SLOW,
                no_value="None",
                decimals=0,
                steps=[BLUE, (2, RED)],
            )
        )
        .with_panel(throttled)
        .with_panel(
            graph(
                "Network errors",
                "Packets that were dropped or broken, received and sent.",
                (
                    f"sum by ({LABELS}) (rate(container_network_receive_errors_total{{{C}}}{W}) + rate(container_network_receive_packets_dropped_total{{{C}}}{W})\n"
                    f"  + rate(container_network_transmit_errors_total{{{C}}}{W}) + rate(container_network_transmit_packets_dropped_total{{{C}}}{W}))",
                    "{{name}}",
                ),
                unit="pps",
                span=8,
                step=SLOW,
                no_value=NONE,
            )
        )
        .with_panel(
            dashed(
                graph(
                    "Backends and their need",
                    "Containers of the service backend, by project, and how many the autoscaler wants.",
                    (
                        'count by (project) (container_last_seen{service="backend", project=~"$project"} > time() - 60)',
                        "{{project}}",
                    ),
                    ("sum(evenkeel_autoscaler_desired)", "wanted"),
                    unit=COUNT,
                    span=8,
                    step=SLOW,
                    decimals=0,
                    no_value=NONE,
                ),
                "wanted",
                LIMIT,
            )
        )
        .with_panel(
            listing(
                "Youngest containers",
                "Time since each container was made. One that ended and was started again keeps its age.",
                f"sort(time() - max by (service, name) (container_start_time_seconds{{{C}}}))",
                {"service": "service", "name": "container"},
                unit=SECONDS,
                value="age",
                span=8,
                no_value=NONE,
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-containers",
        "Evenkeel containers",
        "What each container uses of CPU, memory, network and disk, and whether it stays alive.",
        [
            variable("project", "Project", "container_last_seen, project"),
            variable("service", "Service", 'container_last_seen{project=~"$project"}, service'),
            variable("container", "Container", 'container_last_seen{project=~"$project", service=~"$service"}, name'),
        ],
    )
    return filled(built, _head, _cpu, _io, _health)
