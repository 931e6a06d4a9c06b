"""Seconds to import the module, beside torch alone, and to start a kernel.

Each import is a process of its own, in turn.

    python benchmarks/startup.py
"""

from __future__ import annotations

import subprocess
import sys

from jupyter_client.manager import start_new_kernel
from side_by_side import machine, measure, spread, table

IMPORTS = {
    "`import torch`": "import torch",
    "`import perpcore` (the loss)": "import perpcore",
    "`from perpcore import experiments`": "from perpcore import experiments",
    "what notebook 05 imports": "from perpcore import experiments, grid, plotting, statistics, claims",
    "the command line": "import perpcore.cli",
}


def start_kernel() -> None:
    manager, client = start_new_kernel()
    client.execute_interactive("1", output_hook=lambda message: None)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def main() -> None:
    cases = {
        name: (lambda code=code: subprocess.run([sys.executable, "-c", code], check=True))
        for name, code in IMPORTS.items()
    }
    seconds = measure({**cases, "an idle kernel": start_kernel}, 7, 1)
    alone = seconds["`import torch`"]
    print(f"{machine()}\n")
    rows = [
        [name, spread(v, 1), spread([a - b for a, b in zip(v, alone, strict=True)], 1)]
        for name, v in seconds.items()
    ]
    table(["what", "s, median (quartiles)", "s over torch alone"], rows)


if __name__ == "__main__":
    main()
