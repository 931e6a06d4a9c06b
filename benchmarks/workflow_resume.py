"""A grid of four runs under Snakemake, killed with SIGKILL in the middle and started again.

    python benchmarks/workflow_resume.py [--snakemake PATH] [--profile slurm] [more for Snakemake]

Prints when each result was written: what was finished before the kill must not be written again.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from perpcore.experiments.configs import registration_configs
from perpcore.experiments.trials import ablation_trials

ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snakemake", default="snakemake")
    parser.add_argument("--profile", default="default", help="default or slurm")
    parser.add_argument("--small", action="store_true", help="trials instead of whole runs")
    args, more = parser.parse_known_args()
    if shutil.which(args.snakemake) is None:
        print(f"Left out: no command {args.snakemake!r} here (it needs an environment of its own).")
        return
    trials = [trial.config for trial in ablation_trials("quick")]
    names = [c.name for c in (trials if args.small else registration_configs("quick"))[:4]]
    with tempfile.TemporaryDirectory() as folder:
        for name in ("perpcore", "notebooks", "workflow"):
            (Path(folder) / name).symlink_to(ROOT / name)
        results = Path(folder) / "data" / "runs" / "quick"
        results.mkdir(parents=True)
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path}
        command = [
            args.snakemake, "-s", "workflow/Snakefile", "-d", folder, "--quiet", "all", *more,
            "--profile", ROOT / "workflow/profiles" / args.profile, "--config", "names=" + ",".join(names), "--", "runs",
        ]  # fmt: skip

        def finished() -> dict[str, float]:
            paths = {name: results / f"{name}.h5" for name in names}
            return {name: path.stat().st_mtime for name, path in paths.items() if path.exists()}

        began = time.time()
        process = subprocess.Popen(command, env=environment, cwd=folder, start_new_session=True)
        while len(finished()) < 2:
            if process.poll() is not None:
                sys.exit("Snakemake ended early")
            time.sleep(0.5)
        time.sleep(5 if args.small else 20)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        before = finished()
        begun = [path.name for path in results.glob("*.checkpoint.pt")]
        print(f"killed after {time.time() - began:.0f} s; finished: {list(before)}, begun: {begun}")
        subprocess.run([*command[:-2], "--unlock"], env=environment, cwd=folder, check=True)
        subprocess.run(command, env=environment, cwd=folder, check=True)
        after = finished()
        print(f"all {len(after)} of {len(names)} finished after {time.time() - began:.0f} s")
        again = [key for key in before if after[key] != before[key]]
        print(f"written again: {again or 'none'}")
        if again or len(after) != len(names):
            sys.exit("failed")


if __name__ == "__main__":
    main()
