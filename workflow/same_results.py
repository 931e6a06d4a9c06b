"""Stamp the shipped results as those of today's code, where it gives what the stamped code gave.

    python workflow/same_results.py [--preset quick]

For changes that cannot move results, such as a new name. Trains one small trial of each task and
one unrolled network with the code of the commit that holds the last stamp, and with today's; the
stamp is renewed where all weights have the same bits. Where they differ, train and ship.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from perpcore.store import stamp_shipped

ROOT = Path(__file__).parents[1]

TRAIN = """
import hashlib, sys, tempfile, torch
from dataclasses import replace
from pathlib import Path
from perpcore import experiments, grid
from perpcore.store import Store
torch.set_num_threads(1)
preset = sys.argv[1]
trials = {run.task: run for run in reversed(grid.trial_runs(preset))}
unrolled = replace(grid.unrolled_runs(preset)[0], steps=60, validate_every=60, n_test=4)
with tempfile.TemporaryDirectory() as folder:
    for run in (*trials.values(), unrolled):
        result = experiments.train(run, Store(Path(folder)), "cpu", progress=False)
        bits = hashlib.sha256(b"".join(w.numpy().tobytes() for w in result.weights.values()))
        bits.update(result.metrics.to_csv().encode())
        print(run.task, run.loss, run.coils, bits.hexdigest())
"""


def train(code: Path, preset: str) -> str:
    """Tasks and hashes of what the code in a folder gives."""
    environment = {**os.environ, "PYTHONPATH": str(code)}
    command = [sys.executable, "-c", TRAIN, preset]
    done = subprocess.run(command, cwd=code, env=environment, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode()


def main() -> None:
    """Compare and stamp."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    preset = parser.parse_args().preset
    stamp = f"data/results/{preset}/code.json"
    log = ["git", "-C", ROOT, "log", "-1", "--format=%H", "--", stamp]
    commit = subprocess.run(log, capture_output=True, text=True, check=True).stdout.strip()
    if not commit:
        sys.exit(f"{stamp}: expected a committed stamp, made by `perpcore ship`, got none")
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", old, commit], check=True)
        try:
            found = [train(code, preset) for code in (old, ROOT)]
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", old], check=True)
    if found[0] != found[1]:
        sys.exit(f"other results than those of {commit[:10]}:\n{found[0]}\nnow:\n{found[1]}")
    stamp_shipped(preset)
    print(f"{stamp}: renewed; same bits as {commit[:10]}\n{found[1]}", end="")


if __name__ == "__main__":
    main()
