"""Makes a report of a run: `python locust/report.py results/ramp-20260101T120000.000Z.jsonl`.

Writes an HTML file that holds everything, and beside it the plots as PNG files. Exit code 1 when
the file is not the results of a run, or of one in which no request ended.
"""

import argparse
import os
import sys

import report_data
import report_page
import report_plots


def make(path, folder):
    """Writes the report of the results at `path` into `folder`; the path of the HTML file."""
    results = report_data.load(path)
    os.makedirs(folder, exist_ok=True)
    base = os.path.join(folder, os.path.splitext(os.path.basename(path))[0])
    plots = {"timeline": report_plots.timeline, "latency": report_plots.latency}
    if len(report_data.backends(results)):
        plots["backends"] = report_plots.backends
    if results.rows["algorithm"].nunique() > 1:
        plots["algorithms"] = report_plots.algorithms
    if len(results.workers):
        plots["generator"] = report_plots.generator
    images = {name: plot(results, f"{base}-{name}.png") for name, plot in plots.items()}
    with open(f"{base}.html", "w", encoding="utf-8") as file:
        file.write(report_page.page(results, images))
    return f"{base}.html"


def main():
    parser = argparse.ArgumentParser(description="Makes a report of a load test's results.")
    parser.add_argument("results", help="the .jsonl file of a run")
    parser.add_argument("-o", "--output", help="folder for the report [default: beside the results]")
    options = parser.parse_args()
    try:
        folder = options.output or os.path.dirname(os.path.abspath(options.results))
        print(make(options.results, folder))
    except (OSError, ValueError) as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
