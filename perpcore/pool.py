"""Many runs: trained in parallel processes, and summarised."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch

from perpcore import experiments
from perpcore.data.datasets import keep_batches
from perpcore.experiments.configs import FORMAT_VERSION, Run
from perpcore.experiments.results import Result, Store, shipped_folder, shipped_is_current
from perpcore.grid import Trial
from perpcore.statistics import Interval, mean_interval
from perpcore.training import pick_device

Summary = dict[str, Interval]

KEPT_BYTES = 10**9
"""Drawn batches that all workers together keep for their next run."""


def train_all(runs: Sequence[Run], device: str = "auto", workers: int = 0) -> None:
    """Train what the run store lacks, several runs at a time, and print how far it is.

    `workers` 0: one per CPU core (at most 8), one on a GPU.
    """
    missing = [run for run in dict.fromkeys(runs) if Store().load(run) is None]
    if not missing:
        return
    on_cpu = pick_device(device).type == "cpu"
    count = min(workers or (min(cpu_cores(), 8) if on_cpu else 1), len(missing))
    threads = max(cpu_cores() // count, 1)
    print(f"training {len(missing)} of {len(runs)} runs, {count} at a time", flush=True)
    began = time.perf_counter()
    work, finished = sum(_work(run) for run in missing), 0
    # Spawned, not forked: neither CUDA nor torch's threads survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_end_with_parent) as pool:
        jobs = {
            pool.submit(_train_one, run, device, threads, KEPT_BYTES // count): run
            for run in missing
        }
        for done, job in enumerate(as_completed(jobs), 1):
            job.result()
            run = jobs[job]
            finished += _work(run)
            minutes = (time.perf_counter() - began) / 60
            print(
                f"{done}/{len(missing)} {run.task} {run.label} (seed {run.seed}) "
                f"after {minutes:.1f} min, about {minutes / finished * (work - finished):.1f} left",
                flush=True,
            )


def cpu_cores() -> int:
    """CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _work(run: Run) -> int:
    """Roughly proportional to the minutes of a run, among those of one preset."""
    return run.steps * run.batch * run.size**2 * max(run.cascades, 1)


def _end_with_parent() -> None:
    """A worker of a command that was killed would train on, unseen, and then wait for ever."""

    def watch() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train_one(run: Run, device: str, threads: int, kept: int) -> None:
    torch.set_num_threads(threads)
    keep_batches(kept)  # the losses of a comparison see the same batches
    experiments.train(run, device=device, progress=sys.stdout.isatty())


def summarize(results: Sequence[Result]) -> Summary:
    """Mean and 95 % interval of each metric over seeds and images, accelerations averaged.

    `results` are those of one run at several seeds.
    """
    tables = [r.metrics.groupby("image").mean().drop(columns="acceleration") for r in results]
    return {str(name): mean_interval(np.stack([t[name] for t in tables])) for name in tables[0]}


def obtain_summaries(
    trials: Sequence[Trial], *, device: str = "auto", retrain: bool = False
) -> dict[str, Summary]:
    """Summaries by `Trial.name`; from the run store, shipped, or trained now, as in `obtain`."""
    store = Store()
    if retrain:
        for run in {run for trial in trials for run in trial.runs}:
            store.discard(run)
    use_shipped = not retrain and os.environ.get("PERPCORE_FROM_SHIPPED", "1") != "0"
    shipped = shipped_summaries(trials[0].run.preset) if use_shipped else {}
    found = {trial.name: shipped[trial.name] for trial in trials if trial.name in shipped}
    rest = {trial.name: trial for trial in trials if trial.name not in found}
    train_all([run for trial in rest.values() for run in trial.runs], device)
    found |= {name: summarize(stored(trial.runs)) for name, trial in rest.items()}
    print(f"{len(found) - len(rest)} shipped, {len(rest)} from the run store")
    return found


def stored(runs: Sequence[Run]) -> list[Result]:
    """Results of runs; raises ValueError where the run store lacks one."""
    store, results = Store(), []
    for run in runs:
        result = store.load(run)
        if result is None:
            raise ValueError(f"{store.root}: no result of {run.label} ({run.key})")
        results.append(result)
    return results


def shipped_summaries(preset: str) -> dict[str, Summary]:
    """Summaries by `Trial.name` that come with the project; none where other code made them."""
    path = summaries_path(preset)
    if not path.exists() or not shipped_is_current(preset):
        return {}
    record = json.loads(path.read_text())
    if record["format"] != FORMAT_VERSION:
        return {}
    return {
        key: {metric: Interval(*values) for metric, values in summary.items()}
        for key, summary in record["trials"].items()
    }


def summaries_path(preset: str) -> Path:
    """File of the summaries that come with the project."""
    return shipped_folder(preset) / "trials.json"
