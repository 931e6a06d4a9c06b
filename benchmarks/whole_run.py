"""Minutes and peak memory of a command with all its processes, e.g. `make figures`.

    python benchmarks/whole_run.py -- make figures

Memory is the largest sum of the proportional set sizes (shared pages counted once) of the process
tree, looked at twice a second. Linux.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil


def memory(process: psutil.Process) -> int:
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


def main() -> None:
    command = sys.argv[sys.argv.index("--") + 1 :]
    began, peak = time.perf_counter(), 0
    child = subprocess.Popen(command)
    process = psutil.Process(child.pid)
    while child.poll() is None:
        peak = max(peak, memory(process))
        time.sleep(0.5)
    minutes = (time.perf_counter() - began) / 60
    print(
        f"{' '.join(command)}: {minutes:.1f} min, {peak / 1e9:.2f} GB, exit status {child.returncode}"
    )


if __name__ == "__main__":
    main()
