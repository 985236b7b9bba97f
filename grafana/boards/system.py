"""System health: the host, and whether everything that is measured answers. From node exporter and Prometheus itself."""

from look import (
    AGO,
    BLUE,
    BYTES,
    BYTES_RATE,
    COUNT,
    GREEN,
    GREY,
    LIGHT_BLUE,
    LIGHT_GREY,
    ORANGE,
    PURPLE,
    RED,
    SECONDS,
    SHARE,
    W,
    YELLOW,
    board,
    figure,
    filled,
    graph,
    row,
    timeline,
    variable,
)

N = 'instance=~"$host"'
NONE = "node exporter does not answer"


def _head(built):
    return (
        built.with_panel(
            figure(
                "CPU busy",
                "Share of all processors' time that is neither idle nor waiting for a disk.",
                f"max(instance:node_cpu:ratio_rate1m{{{N}}})",
                SHARE,
                steps=[GREEN, (0.8, ORANGE), (0.95, RED)],
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Load for each processor",
                "Processes that run or want to, mean of one minute, over the processors. Above 1 they wait.",
                f'max(node_load1{{{N}}} / on (instance) count by (instance) (node_cpu_seconds_total{{{N}, mode="idle"}}))',
                COUNT,
                steps=[GREEN, (1, ORANGE), (4, RED)],
                decimals=2,
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Memory used",
                "Share of the memory that programs could not have.",
                f"max(instance:node_memory:ratio{{{N}}})",
                SHARE,
                steps=[GREEN, (0.85, ORANGE), (0.95, RED)],
                no_value=NONE,
            )
        )
        .with_panel(
            figure(
                "Fullest disk",
                "Share in use of the file system that has least left.",
                f"max(instance:node_filesystem:ratio{{{N}}})",
                SHARE,
                steps=[GREEN, (0.8, ORANGE), (0.9, RED)],
                no_value="No file system of a disk is seen",
            )
        )
        .with_panel(
            figure(
                "Services that answer",
                "Share of Prometheus's targets that answered the last time.",
                "avg(up)",
                SHARE,
                steps=[RED, (0.5, ORANGE), (1, GREEN)],
            )
        )
        .with_panel(
            figure(
                "Up since",
                "When the host was started.",
                f"1000 * min(node_boot_time_seconds{{{N}}})",
                AGO,
                spark=False,
                no_value=NONE,
            )
        )
    )


def _services(built):
    return (
        built.with_row(row("Services"))
        .with_panel(
            timeline(
                "Availability",
                "Whether each target answered Prometheus. A gap: it was not known then.",
                ("max by (job, instance) (up) + 1", "{{job}} {{instance}}"),
                texts={1: ("down", RED), 2: ("up", GREEN)},
                height=9,
            )
        )
        .with_panel(
            graph(
                "Time to scrape",
                "How long each target takes to answer Prometheus. The limit is 4 s.",
                ("max by (job) (scrape_duration_seconds)", "{{job}}"),
                unit=SECONDS,
                span=8,
            )
        )
        .with_panel(
            graph(
                "Samples",
                "Samples in the answers of each job, before relabelling. Series that grow without end show here first.",
                ("sum by (job) (scrape_samples_scraped)", "{{job}}"),
                unit=COUNT,
                span=8,
            )
        )
        .with_panel(
            graph(
                "Errors of the monitoring",
                "Rule evaluations that failed, notifications that Alertmanager did not take, and scrapes over their limits.",
                (f"sum(rate(prometheus_rule_evaluation_failures_total{W}))", "rules"),
                (f"sum(rate(prometheus_notifications_errors_total{W})) or vector(0)", "notifications"),
                (f"sum(rate(prometheus_target_scrapes_exceeded_sample_limit_total{W}))", "scrapes"),
                unit="ops",
                span=8,
            )
        )
    )


def _host(built):
    modes = {
        "user": BLUE,
        "system": PURPLE,
        "iowait": ORANGE,
        "steal": RED,
        "irq": LIGHT_GREY,
        "softirq": GREY,
        "nice": LIGHT_BLUE,
    }
    return (
        built.with_row(row("CPU and memory"))
        .with_panel(
            graph(
                "CPU",
                "What the processors do, as a share of all of them.",
                (f'avg by (mode) (rate(node_cpu_seconds_total{{{N}, mode!="idle"}}{W}))', "{{mode}}"),
                unit=SHARE,
                stacked=True,
                top=1,
                palette=modes,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Load",
                "Processes that run or want to, mean of 1, 5 and 15 minutes.",
                *[(f"max(node_load{m}{{{N}}})", f"{m} min") for m in (1, 5, 15)],
                unit=COUNT,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Memory",
                "Used by programs, by caches that can be given up, and free.",
                (f"sum(node_memory_MemTotal_bytes{{{N}}} - node_memory_MemAvailable_bytes{{{N}}})", "used"),
                (f"sum(node_memory_MemAvailable_bytes{{{N}}} - node_memory_MemFree_bytes{{{N}}})", "caches"),
                (f"sum(node_memory_MemFree_bytes{{{N}}})", "free"),
                unit=BYTES,
                stacked=True,
                palette={"used": BLUE, "caches": LIGHT_BLUE, "free": LIGHT_GREY},
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Processes",
                "That run, and that wait for a disk.",
                (f"sum(node_procs_running{{{N}}})", "running"),
                (f"sum(node_procs_blocked{{{N}}})", "blocked"),
                unit=COUNT,
                palette={"running": BLUE, "blocked": ORANGE},
                decimals=0,
                no_value=NONE,
            )
        )
    )


def _io(built):
    devices = 'device!~"loop.*|ram.*|zram.*"'
    links = 'device!~"lo|veth.*|br-.*|docker.*"'
    return (
        built.with_row(row("Disk and network"))
        .with_panel(
            graph(
                "Disk space used",
                "Share in use of each file system. Above 90 % an alert fires.",
                (f"max by (mountpoint) (instance:node_filesystem:ratio{{{N}}})", "{{mountpoint}}"),
                unit=SHARE,
                span=8,
                top=1,
                steps=[BLUE, (0.9, RED)],
                no_value="No file system of a disk is seen",
            )
        )
        .with_panel(
            graph(
                "Disk traffic",
                "Bytes read and written, by device.",
                (f"sum by (device) (rate(node_disk_read_bytes_total{{{N}, {devices}}}{W}))", "{{device}} read"),
                (f"sum by (device) (rate(node_disk_written_bytes_total{{{N}, {devices}}}{W}))", "{{device}} written"),
                unit=BYTES_RATE,
                span=8,
                no_value="No disk is seen",
            )
        )
        .with_panel(
            graph(
                "Disks busy",
                "Share of the time in which a disk had something to do.",
                (f"max by (device) (rate(node_disk_io_time_seconds_total{{{N}, {devices}}}{W}))", "{{device}}"),
                unit=SHARE,
                span=8,
                top=1,
                no_value="No disk is seen",
            )
        )
        .with_panel(
            graph(
                "Network traffic",
                "Bytes received and sent, by interface; those of containers are on their own dashboard.",
                (f"sum by (device) (rate(node_network_receive_bytes_total{{{N}, {links}}}{W}))", "{{device}} received"),
                (f"sum by (device) (rate(node_network_transmit_bytes_total{{{N}, {links}}}{W}))", "{{device}} sent"),
                unit=BYTES_RATE,
                span=8,
                no_value="No interface but those of containers",
            )
        )
        .with_panel(
            graph(
                "Network errors",
                "Packets that were broken or dropped, by interface; those of containers are on their own dashboard.",
                (
                    f"sum by (device) (rate(node_network_receive_errs_total{{{N}, {links}}}{W}) + rate(node_network_receive_drop_total{{{N}, {links}}}{W})\n"
                    f"  + rate(node_network_transmit_errs_total{{{N}, {links}}}{W}) + rate(node_network_transmit_drop_total{{{N}, {links}}}{W}))",
                    "{{device}}",
                ),
                unit="pps",
                span=8,
                no_value=NONE,
            )
        )
        .with_panel(
            graph(
                "Other errors",
                "Processes killed for want of memory, and TCP segments sent again.",
                (f"sum(rate(node_vmstat_oom_kill{{{N}}}{W}))", "killed"),
                (f"sum(rate(node_netstat_Tcp_RetransSegs{{{N}}}{W}))", "sent again"),
                unit="ops",
                span=8,
                palette={"killed": RED, "sent": YELLOW},
                no_value=NONE,
            )
        )
    )


def _now_and_before(name, text, series):
    mean = f"avg_over_time({series}{{{N}}}[10m]"
    return graph(
        f"{name} now and a day ago",
        f"{text}, mean of ten minutes.",
        (f"{mean})", "now"),
        (f"{mean} offset 1d)", "a day ago"),
        unit=SHARE,
        span=8,
        top=1,
        palette={"now": BLUE, "a day ago": LIGHT_GREY},
        no_value=NONE,
    )


def _trends(built):
    return (
        built.with_row(row("Trends"))
        .with_panel(_now_and_before("CPU", "Share of all processors' time", "instance:node_cpu:ratio_rate1m"))
        .with_panel(_now_and_before("Memory", "Share of the memory in use", "instance:node_memory:ratio"))
        .with_panel(
            graph(
                "Disk space in a day",
                "Share in use that each file system would have a day from now, if the last hour went on. It takes an hour until that is known.",
                (
                    f"clamp(predict_linear(instance:node_filesystem:ratio{{{N}}}[1h], 86400), 0, 1)\n"
                    f"  and instance:node_filesystem:ratio offset 1h",
                    "{{mountpoint}}",
                ),
                unit=SHARE,
                span=8,
                top=1,
                steps=[BLUE, (0.9, RED)],
                no_value="Not known yet: it takes an hour",
            )
        )
    )


def dashboard():
    """The dashboard."""
    built = board(
        "evenkeel-system",
        "Evenkeel system health",
        "The host's CPU, memory, disks and network, and whether everything that is measured answers.",
        [variable("host", "Host", "node_uname_info, instance")],
        since="now-1h",
    )
    return filled(built, _head, _services, _host, _io, _trends)
