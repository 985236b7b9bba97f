#!/usr/bin/env python3
"""Writes grafana/dashboards/*.json, from boards/ (what they show) and look.py (how they look).

    python3 -m venv venv && venv/bin/pip install --requirement grafana/requirements.txt
    venv/bin/python grafana/generate.py [DIRECTORY]

tests/monitoring/run checks that the files are what this writes.
"""

import json
import re
import sys
from pathlib import Path

from boards import algorithms, autoscaler, backends, containers, load_test, overview, system
from grafana_foundation_sdk.cog.encoder import JSONEncoder

COMPOSE = Path(__file__).parent.parent / "docker-compose.yml"
# Panels of no version are taken for those of Grafana 6 and changed when they are loaded.
VERSION = re.search(r"grafana/grafana:([\d.]+)", COMPOSE.read_text(encoding="utf-8"))[1]
BOARDS = {
    "overview": overview,
    "backends": backends,
    "algorithms": algorithms,
    "autoscaler": autoscaler,
    "containers": containers,
    "system": system,
    "load-test": load_test,
}


def numbered(dashboard):
    """The dashboard as text, with an id for each panel: Grafana gives random ones where there are none."""
    content = json.loads(json.dumps(dashboard, cls=JSONEncoder))
    for number, panel in enumerate(content["panels"], start=1):
        panel["id"] = number
        if panel["type"] != "row":
            panel["pluginVersion"] = VERSION
    for variable in content["templating"]["list"]:
        # Of another kind of variable; the SDK writes them for every kind.
        for key in ("auto", "auto_min", "auto_count"):
            variable.pop(key, None)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main():
    """Writes every dashboard."""
    directory = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "dashboards"
    directory.mkdir(parents=True, exist_ok=True)
    for name, module in BOARDS.items():
        (directory / f"{name}.json").write_text(numbered(module.dashboard().build()), encoding="utf-8")


if __name__ == "__main__":
    main()
