"""The results of a run on disk: one JSON object a line, written as it comes in.

The first line is `start`, with the conditions of the run; then `row`, `worker` and `load` lines;
the last is `end`. A file without an `end` is of a run that was killed: what it has is good.
"""

import json
import os


class Writer:
    """The file of one run."""

    def __init__(self, folder, name, conditions):
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, f"{name}.jsonl")
        self._file = open(self.path, "x", encoding="utf-8")
        self.write("start", conditions)

    def write(self, kind, fields):
        """Adds one line; it is with the system, and so survives a killed process, on return."""
        self._file.write(json.dumps({"kind": kind, **fields}, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self, fields):
        """Writes the last line; later calls do nothing."""
        if not self._file.closed:
            self.write("end", fields)
            self._file.close()


def read(path):
    """Every line of a file as an object. A line cut short at the end is left out."""
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                if line.endswith("\n"):
                    raise ValueError(f"{path}:{number}: not JSON") from None
    if not lines or lines[0].get("kind") != "start":
        raise ValueError(f"{path}: not the results of a run: the first line is not its start")
    return lines
