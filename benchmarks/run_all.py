"""Runs the scripts of this folder and keeps what they print in RESULTS.md.

    python benchmarks/run_all.py [NAME ...]     # e.g. loss_cost; by default all: an hour on 2 cores

A section is replaced when its script has run; the others stay. What else runs on the machine shows
in the numbers: run nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from perpcore._files import write_atomically

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "RESULTS.md"
ORDER = (
    "loss_cost", "training_step", "reader_throughput", "phantom_realism", "whole_run",
    "workflow_resume",
)  # fmt: skip
HELPERS = {"run_all", "side_by_side"}
TITLE = """# Benchmarks

Written by `make bench`; each section says on what machine and when. Medians, with quartiles or the
range; what is compared took turns in one run.
"""


def section(name: str) -> tuple[str, bool]:
    """What a script printed, under its heading, and whether it went through."""
    script = FOLDER / f"{name}.py"
    says = re.search(r'"""(.*?)\n', script.read_text())
    assert says is not None
    began = time.perf_counter()
    done = subprocess.run([sys.executable, script], stdout=subprocess.PIPE, text=True)
    when = datetime.now(UTC).date().isoformat()
    took = time.perf_counter() - began
    state = "" if done.returncode == 0 else f"**Failed** with exit status {done.returncode}.\n\n"
    head = f"## {name}\n\n{says[1]} `python benchmarks/{name}.py`, {when}, {took:.0f} s.\n\n"
    return head + state + done.stdout.strip() + "\n", done.returncode == 0


def main() -> None:
    scripts = {path.stem for path in FOLDER.glob("*.py")} - HELPERS
    assert scripts == set(ORDER), scripts ^ set(ORDER)
    names = sys.argv[1:] or ORDER
    unknown = set(names) - scripts
    if unknown:
        sys.exit(f"no such script: {', '.join(sorted(unknown))}; there are {', '.join(ORDER)}")
    old = RESULTS.read_text() if RESULTS.exists() else ""
    found = {part.split("\n", 1)[0]: f"## {part}" for part in re.split(r"^## ", old, flags=re.M)[1:]}
    failed = []
    for name in names:
        print(f"{name} ...", flush=True)
        found[name], through = section(name)
        failed += [] if through else [name]
        parts = [found[n].strip() for n in ORDER if n in found]
        write_atomically(RESULTS, ("\n\n".join([TITLE.strip(), *parts]) + "\n").encode())
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
