"""Minutes and peak memory of the user's commands: figures, and all of preset quick from nothing.

    python benchmarks/whole_run.py                    # own runs of `quick` are deleted before
    python benchmarks/whole_run.py -- make figures    # any command, with all its processes

Memory is the largest sum of the proportional set sizes (shared pages counted once) of the process
tree, looked at once a second. Linux.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil
from side_by_side import extent, machine, table

ROOT = Path(__file__).parents[1]


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


def main() -> None:
    if "--" in sys.argv:
        command = sys.argv[sys.argv.index("--") + 1 :]
        seconds, gigabytes, status = run(command)
        print(f"{' '.join(command)}: {seconds / 60:.1f} min, {gigabytes:.2f} GB, exit status {status}")  # fmt: skip
        return
    rows = []
    python, figures = sys.executable, str(ROOT / "workflow" / "figures.py")
    shutil.rmtree(ROOT / "data" / "runs" / "quick", ignore_errors=True)
    for label, command, repeats in (
        ("`make figures`", [python, figures], 3),
        ("training of `make reproduce`, from nothing", [python, "-m", "perpcore", "train", "all"], 1),
        ("figures of `make reproduce`", [python, figures, "--own-runs", "--preset", "quick"], 1),
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
    table(["command", "times", "min, median (range)", "GB, all processes"], rows)


if __name__ == "__main__":
    main()
