"""Seconds and memory of each notebook at `quick`, one after the other, from the shipped results.

python benchmarks/notebooks.py [--only 05]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from side_by_side import machine, table
from whole_run import figures, run

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    only = parser.parse_args().only
    print(f"{machine()}\n")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        command = [*figures(folder), "--from-shipped"]
        for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
            if path.name.startswith(only):
                number = path.name[:2]
                seconds, gigabytes, status = run([*command, "--only", number])
                if status:
                    sys.exit(f"{path.name}: exit status {status}")
                rows.append([path.stem, f"{seconds:.0f}", f"{gigabytes:.2f}"])
    table(["notebook", "s, with the command's own start", "GB, all processes"], rows)


if __name__ == "__main__":
    main()
