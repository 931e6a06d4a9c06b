"""Minutes and peak memory of all figures: from an empty store, a filled one, and what is shipped.

    python benchmarks/whole_run.py                        # in a temporary folder; drawing three times
    python benchmarks/whole_run.py -- make figures        # any command, with all its processes

Memory is the largest sum of the proportional set sizes (shared pages counted once) of the process
tree, looked at once a second. Linux. Measured data are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import psutil
from side_by_side import extent, machine, table


def memory(process: psutil.Process) -> int:
    """Bytes of a process and all that it started."""
    total = 0
    try:
        for member in [process, *process.children(recursive=True)]:
            try:
                total += member.memory_full_info().pss
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
    except psutil.NoSuchProcess:
        pass
    return total


def run(command: list[str]) -> tuple[float, float, int]:
    """Seconds, peak GB and exit status."""
    began, peak = time.perf_counter(), 0
    child = subprocess.Popen(command, stdout=sys.stderr)
    process = psutil.Process(child.pid)
    while child.poll() is None:
        peak = max(peak, memory(process))
        time.sleep(1)
    return time.perf_counter() - began, peak / 1e9, child.returncode


def figures(folder: str) -> list[str]:
    """The command that makes all figures, with store and figures in a folder of its own."""
    os.environ |= {
        "PERPCORE_RUNS": f"{folder}/runs",
        "PERPCORE_FIGURES": f"{folder}/figures",
        "PERPCORE_TEST_DATA": folder,
    }
    return [sys.executable, "-m", "perpcore.cli", "figures"]


def main() -> None:
    if "--" in sys.argv:
        command = sys.argv[sys.argv.index("--") + 1 :]
        seconds, gigabytes, status = run(command)
        print(f"{' '.join(command)}: {seconds / 60:.1f} min, {gigabytes:.2f} GB, exit status {status}")  # fmt: skip
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        quick = figures(folder)
        for label, command, repeats in (
            ("empty store", quick, 1),
            ("filled store", quick, 3),
            ("`--preset cpu`, from what is shipped", [*quick, "--preset", "cpu"], 3),
        ):
            minutes, peaks = [], []
            for _ in range(repeats):
                seconds, gigabytes, status = run(command)
                if status:
                    sys.exit(f"{' '.join(command)}: exit status {status}")
                minutes.append(seconds / 60)
                peaks.append(gigabytes)
            rows.append([label, repeats, extent(minutes, 2), f"{max(peaks):.2f}"])
    print(f"{machine()}\n")
    table(["`perpcore figures`", "times", "min, median (range)", "GB, all processes"], rows)


if __name__ == "__main__":
    main()
