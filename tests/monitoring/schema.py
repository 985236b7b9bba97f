"""The dashboards as TypeScript, for its compiler to say whether they are what Grafana's own types describe.

Every panel, its options and its custom field settings are assigned to the types of `@grafana/schema`; so a key that
does not exist, or a word that none of Grafana's enumerations has, is an error. Not covered: queries and annotations,
which belong to the plugin of the data source and have no types there.
"""

import json

from queries import dashboards

RAW = "./node_modules/@grafana/schema/dist/types/raw"
# Types of panels: the module that describes each, and whether it describes custom settings of fields.
KINDS = {
    "timeseries": ("timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen", True),
    "stat": ("stat/panelcfg/x/StatPanelCfg_types.gen", False),
    "state-timeline": ("statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen", True),
    "bargauge": ("bargauge/panelcfg/x/BarGaugePanelCfg_types.gen", False),
    "table": ("table/panelcfg/x/TablePanelCfg_types.gen", False),
}
# JSON has the words of an enumeration, not its members; and what has a default may be left out.
HEAD = """
type Words<T> = T extends string ? `${T}` : T extends (infer U)[] ? Words<U>[]
  : T extends object ? { [K in keyof T]?: Words<T[K]> } : T;
"""


def module(name):
    """The name as one that TypeScript takes."""
    return name.replace("-", "_")


def main():
    """Prints the program."""
    print(f"import {{ Dashboard, Panel, RowPanel }} from '{RAW}/dashboard/x/dashboard_types.gen';")
    for kind, (path, _) in KINDS.items():
        print(f"import * as {module(kind)} from '{RAW}/composable/{path}';")
    print(HEAD)
    for name, dashboard in dashboards().items():
        prefix = module(name)
        for panel in dashboard["panels"]:
            place = f"{prefix}_{panel['id']}"
            if panel["type"] == "row":
                print(f"export const {place}: Words<RowPanel> = {json.dumps(panel)};")
                continue
            _, has_custom = KINDS[panel["type"]]
            kind = module(panel["type"])
            custom = panel["fieldConfig"]["defaults"].pop("custom", None)
            print(f"export const {place}_options: Words<{kind}.Options> = {json.dumps(panel.pop('options', {}))};")
            if has_custom:
                print(f"export const {place}_custom: Words<{kind}.FieldConfig> = {json.dumps(custom or {})};")
            panel.pop("targets")
            print(f"export const {place}: Words<Panel> = {json.dumps(panel)};")
        rest = {key: value for key, value in dashboard.items() if key not in ("panels", "annotations")}
        print(f"export const {prefix}: Words<Dashboard> = {json.dumps(rest)};")


if __name__ == "__main__":
    main()
