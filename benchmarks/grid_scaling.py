"""Minutes of a grid of training runs with one and with two runs at a time.

    python benchmarks/grid_scaling.py [--runs 4]

One run at a time gets all cores, two get half of them each; from an empty store each time.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout

from side_by_side import machine, table

from perpcore import grid, pool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4)
    runs = grid.trial_runs("quick")[: parser.parse_args().runs]
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(2):
        for workers, times in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                os.environ["PERPCORE_RUNS"] = folder
                began = time.perf_counter()
                with redirect_stdout(sys.stderr):
                    pool.train_all(runs, "cpu", workers)
                times.append(time.perf_counter() - began)
    print(f"{machine()}\n")
    rows = [[workers, ", ".join(f"{t:.0f}" for t in times)] for workers, times in seconds.items()]
    table(["runs at a time", f"s for {len(runs)} runs, start of the workers included"], rows)
    print(f"Ratio {sum(seconds[1]) / sum(seconds[2]):.2f}.\n")


if __name__ == "__main__":
    main()
