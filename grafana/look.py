"""How every dashboard looks: one colour for one meaning, one unit for one quantity, one builder for each kind of panel."""

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    FieldColorModeId,
    MatcherConfig,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

# `uid` of grafana/provisioning/datasources/prometheus.yml.
SOURCE = DataSourceRef(type_val="prometheus", uid="prometheus")
TAG = "evenkeel"

GREEN, LIME, YELLOW, ORANGE, RED, DARK_RED = "#56A64B", "#96D98D", "#F2CC0C", "#FF780A", "#E02F44", "#8F1B2C"
BLUE, LIGHT_BLUE, DARK_BLUE, PURPLE, GREY, LIGHT_GREY = "#3274D9", "#8AB8FF", "#1F4E9E", "#8F3BB8", "#808080", "#B7B7B7"

# States of a backend, in the order of their numbers in timelines.
STATES = {
    "up": GREEN,
    "warming": LIME,
    "suspect": YELLOW,
    "half_open": PURPLE,
    "ejected": ORANGE,
    "down": RED,
    "draining": LIGHT_BLUE,
    "maintenance": GREY,
    "expired": DARK_RED,
}
ALGORITHMS = {
    "round_robin": "#3274D9",
    "weighted_round_robin": "#8AB8FF",
    "least_connections": "#56A64B",
    "weighted_response_time": "#FF780A",
    "power_of_two": "#8F3BB8",
    "random": "#808080",
    "ip_hash": "#F2CC0C",
    "consistent_hash": "#A16A3B",
    "maglev": "#00A3A3",
}
# What a load test asks for: one of them, or what the upstream uses.
ASKED = {**ALGORITHMS, "default": "#E7B4D2"}
CLASSES = {
    "1xx": LIGHT_GREY,
    "2xx": GREEN,
    "3xx": BLUE,
    "4xx": YELLOW,
    "5xx": RED,
    "failed": DARK_RED,
    "cancelled": GREY,
    "other": LIGHT_GREY,
}
# The p99 is what one looks for: dark blue could not be seen on a dark page.
QUANTILES = {"p50": LIGHT_BLUE, "p95": BLUE, "p99": "#B877D9"}
DIRECTIONS = {"up": BLUE, "down": PURPLE, "hold": GREY}
LIMIT = RED
FORECAST = PURPLE

SECONDS, RATE, SHARE, BYTES, BYTES_RATE, COUNT, CORES = "s", "reqps", "percentunit", "bytes", "binBps", "short", "short"
# Milliseconds since 1970, shown as "7 minutes ago".
AGO = "dateTimeFromNow"

# The window of rates.
W = "[$__rate_interval]"

# Nothing is drawn finer than this where the exporter itself measures each ten seconds.
SLOW = "15s"


def query(expr, legend="", ref="A", instant=False, step=None, as_table=False):
    """One query of a panel."""
    built = prometheus.Dataquery().expr(expr).legend_format(legend or "__auto").ref_id(ref)
    built = built.instant() if instant else built.range()
    if as_table:
        built = built.format(PromQueryFormat.TABLE)
    return built.interval(step) if step else built


def _with(panel, title, text, queries, unit, span, height, no_value, step=None, instant=False, as_table=False):
    panel = panel.title(title).description(text).datasource(SOURCE).span(span).height(height)
    panel = panel.unit(unit).no_value(no_value)
    for ref, (expr, legend) in zip("ABCDEFGHIJ", queries, strict=False):
        panel = panel.with_target(query(expr, legend, ref, instant, step, as_table))
    return panel


def _fixed(colour):
    return DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def colours(panel, palette):
    """Series whose name begins with one of the words get its colour."""
    for name, colour in palette.items():
        panel = panel.with_override(MatcherConfig("byRegexp", f"/^{name}( |$)/"), [_fixed(colour)])
    return panel


def dashed(panel, pattern, colour=None):
    """Series that match are told from the others by a dashed line: limits, and what is expected."""
    properties = [
        DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 6]}),
        DynamicConfigValue(id_val="custom.lineWidth", value=2),
        DynamicConfigValue(id_val="custom.fillOpacity", value=0),
        DynamicConfigValue(id_val="custom.stacking", value={"mode": "none", "group": "limit"}),
    ]
    return panel.with_override(MatcherConfig("byRegexp", pattern), properties + ([_fixed(colour)] if colour else []))


def leads_to(panel, uid, title):
    """A link in the corner of the panel to the dashboard that says more, with the same range of time."""
    link = dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(f"/d/{uid}?${{__url_time_range}}")
    return panel.links([link])


def _thresholds(steps):
    """`steps`: the colour below the first bound, then (bound, colour) from there on."""
    base, *others = steps
    values = [Threshold(value=None, color=base)] + [Threshold(value=bound, color=colour) for bound, colour in others]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(values)


def graph(
    title,
    text,
    *queries,
    unit,
    span=12,
    height=8,
    stacked=False,
    palette=None,
    top=None,
    steps=None,
    step=None,
    no_value="No data in this range",
    decimals=None,
):
    """Lines over time, from zero. `steps` draws thresholds as lines."""
    panel = timeseries.Panel()
    panel = _with(panel, title, text, queries, unit, span, height, no_value, step)
    # Stacked without lines: that of a zero would lie on the edge of what is below it, and colour it.
    panel = panel.min(0).line_width(0 if stacked else 1).fill_opacity(70 if stacked else 0)
    panel = panel.show_points(kinds.VisibilityMode.NEVER).span_nulls(30000)
    panel = panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    panel = panel.tooltip(
        common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    )
    legend = (
        common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.TABLE).placement(kinds.LegendPlacement.BOTTOM)
    )
    panel = panel.legend(legend.show_legend(True).calcs(["lastNotNull", "max"]))
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL).group("A"))
    if top is not None:
        panel = panel.max(top)
    if decimals is not None:
        panel = panel.decimals(decimals)
    if decimals == 0:
        # Few whole numbers would stand several times at the axis.
        panel = panel.axis_soft_max(4)
    if steps:
        panel = panel.thresholds(_thresholds(steps))
        panel = panel.thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    return colours(panel, palette or {})


def figure(
    title,
    text,
    expr,
    unit,
    span=4,
    height=4,
    steps=None,
    texts=None,
    no_value="No data",
    legend="",
    step=None,
    decimals=None,
    spark=True,
    missing=GREY,
):
    """One number, or a sentence for it: `texts` maps a value to (sentence, colour). `missing` is the colour of no data."""
    # Without a line behind it only the present counts: what was known before is not shown as if it were still so.
    panel = _with(
        stat.Panel(),
        title,
        text,
        [(expr, legend)],
        unit,
        span,
        height,
        no_value,
        step,
        instant=bool(texts) or not spark,
    )
    panel = panel.color_mode(kinds.BigValueColorMode.BACKGROUND if texts else kinds.BigValueColorMode.VALUE)
    panel = panel.graph_mode(kinds.BigValueGraphMode.AREA if spark and not texts else kinds.BigValueGraphMode.NONE)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    base, *others = steps or [BLUE]
    # Grafana paints what is not there as what is below every bound.
    panel = panel.thresholds(_thresholds([missing, (0, base), *others]))
    if decimals is not None:
        panel = panel.decimals(decimals)
    if texts:
        panel = panel.mappings([mapping(texts)])
    return panel


def mapping(texts):
    """Values shown as words: `texts` maps a number to (word, colour)."""
    results = {
        str(value): ValueMappingResult(text=word, color=colour, index=index)
        for index, (value, (word, colour)) in enumerate(texts.items())
    }
    return ValueMap(options=results)


def numbered(palette):
    """The words of a palette by the numbers they have in a timeline."""
    return {number: (word, colour) for number, (word, colour) in enumerate(palette.items(), start=1)}


def one_hot(metric, label, palette, by):
    """Which word of a one-hot metric is 1, as a number for `numbered`. `metric` ends with an open brace and labels."""
    parts = [f'({metric}, {label}="{word}"}} == 1) * {number}' for number, word in enumerate(palette, start=1)]
    return f"max by ({by}) (\n  " + "\n    or\n  ".join(parts) + "\n)"


def quantile(share, buckets, by=""):
    """The time that so large a share of what a histogram counted did not exceed, as a query."""
    by = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({by}) (rate({buckets}{W})))"


def events(series, by, job="load_balancer"):
    """Rare events a second, as a query. `rate` misses the first one, because a counter of the balancer and of Locust begins
    with it: where the target was seen before and the counter was not, the counter is taken to have been zero."""
    now, before = (f"sum by (instance, {by}) ({series}{offset})" for offset in ("", " offset $__rate_interval"))
    seen = f'up{{job="{job}"}} offset $__rate_interval == 1'
    grown = f"{now}\n  - ({before}\n    or 0 * {now} and on (instance) {seen})"
    return f"sum by ({by}) (clamp_min(\n  {grown},\n0)) / ($__rate_interval_ms / 1000)"


def timeline(title, text, *queries, texts, span=24, height=8, no_value="No data in this range", step=None):
    """Bars of states over time, one row for each series."""
    panel = _with(statetimeline.Panel(), title, text, queries, COUNT, span, height, no_value, step)
    panel = panel.mappings([mapping(texts)]).merge_values(True).show_value(kinds.VisibilityMode.AUTO)
    panel = panel.row_height(0.85).fill_opacity(80).line_width(0)
    panel = panel.color_scheme(dashboard.FieldColor().mode(FieldColorModeId.FIXED).fixed_color(GREY))
    panel = panel.legend(
        common.VizLegendOptions()
        .show_legend(True)
        .display_mode(kinds.LegendDisplayMode.LIST)
        .placement(kinds.LegendPlacement.BOTTOM)
    )
    return panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.SINGLE))


def bars(title, text, expr, legend, unit, span=12, height=8, steps=None, top=None, no_value="No data", step=None):
    """The present values beside each other."""
    panel = _with(bargauge.Panel(), title, text, [(expr, legend)], unit, span, height, no_value, step, instant=True)
    panel = panel.orientation(kinds.VizOrientation.HORIZONTAL).display_mode(kinds.BarGaugeDisplayMode.BASIC).min(0)
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    panel = panel.thresholds(_thresholds(steps or [BLUE]))
    return panel.max(top) if top is not None else panel


def listing(title, text, expr, columns, unit=COUNT, value=None, span=12, height=8, no_value="None", palettes=None):
    """A table of labels. `columns` maps a label to its heading, in order; `value` is the heading of the value, and
    `palettes` maps a heading to the colours of its words."""
    panel = _with(table.Panel(), title, text, [(expr, "")], unit, span, height, no_value, instant=True, as_table=True)
    shown = {**columns, **({"Value": value} if value else {})}
    organize = {
        "excludeByName": {},
        "includeByName": dict.fromkeys(shown, True),
        "indexByName": {label: index for index, label in enumerate(shown)},
        "renameByName": shown,
    }
    panel = panel.with_transformation(DataTransformerConfig(id_val="organize", options=organize))
    for heading, palette in (palettes or {}).items():
        words = mapping({word: (word, colour) for word, colour in palette.items()})
        properties = [
            DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
            DynamicConfigValue(id_val="mappings", value=[words]),
        ]
        panel = panel.with_override(MatcherConfig("byName", heading), properties)
    return panel.filterable(True).thresholds(_thresholds([BLUE]))


def variable(name, label, labels_of, all_value=".*", multi=True):
    """A choice whose values are those of a label: `labels_of` is what `label_values()` takes."""
    built = dashboard.QueryVariable(name).label(label).datasource(SOURCE)
    built = built.query({"query": f"label_values({labels_of})", "refId": "PrometheusVariableQueryEditor-VariableQuery"})
    built = built.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)
    built = built.multi(multi).include_all(True).all_value(all_value)
    return built.current(VariableOption(selected=True, text="All", value="$__all"))


def _annotation(name, colour, expr, title, text=""):
    """Marks where a query has a value. Built as JSON, as the SDK knows no annotations of Prometheus."""

    class Built:
        def build(self):
            return {
                "name": name,
                "datasource": SOURCE,
                "enable": True,
                "iconColor": colour,
                "expr": expr,
                "step": SLOW,
                "titleFormat": title,
                "textFormat": text,
                "useValueForTime": False,
            }

    return Built()


# Compared with the step before: `changes` within a step does not see what happens between two of them. From gauges where
# a counter begins with its first event, because that one has nothing before it.
ANNOTATIONS = [
    (
        "Ejections",
        ORANGE,
        'evenkeel_backend_state{state="ejected"} > evenkeel_backend_state{state="ejected"} offset $__interval',
        "{{backend}} ejected",
        "{{upstream}}",
    ),
    (
        "Algorithm switches",
        BLUE,
        "evenkeel_algorithm_active > evenkeel_algorithm_active offset $__interval",
        "{{upstream}} uses {{algorithm}}",
    ),
    (
        "Reloads",
        PURPLE,
        "evenkeel_config_reloads_total > evenkeel_config_reloads_total offset $__interval",
        "Configuration {{result}}",
        "{{instance}}",
    ),
    (
        "Scaling",
        GREEN,
        "evenkeel_autoscaler_current != evenkeel_autoscaler_current offset $__interval",
        "{{upstream}} scaled",
    ),
]


def board(uid, title, text, variables=(), since="now-30m"):
    """An empty dashboard with what all of them have."""
    built = dashboard.Dashboard(title).uid(uid).description(text).tags([TAG]).timezone("browser").readonly()
    built = built.time(since, "now").refresh("10s").tooltip(DashboardCursorSync.CROSSHAIR)
    links = dashboard.DashboardLink("Dashboards").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    built = built.link(links.as_dropdown(False).keep_time(True).include_vars(True))
    for one in variables:
        built = built.with_variable(one)
    for one in ANNOTATIONS:
        built = built.annotation(_annotation(*one))
    return built


def filled(built, *parts):
    """The dashboard with what each part adds to it."""
    for part in parts:
        built = part(built)
    return built


def row(title):
    """A heading over the panels that follow."""
    return dashboard.Row(title)
