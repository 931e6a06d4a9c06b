"""Results that come with the project, so that nobody has to train to see the figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from perpcore import grid, pretrained
from perpcore.experiments.configs import FORMAT_VERSION, Run
from perpcore.experiments.results import (
    Store,
    encode_result,
    shipped_is_current,
    shipped_path,
    stamp_shipped,
)
from perpcore.files import write_atomically
from perpcore.grid import Trial
from perpcore.pool import shipped_summaries, stored, summaries_path, summarize

WEIGHTS_OF = 4
"""So many first seeds come with the weights of their U-Nets, 0.3 MB each; the others without.

Notebook 05 takes its tab08 from these seeds."""


def not_shipped(runs: Sequence[Run]) -> list[Run]:
    """Those of a preset's runs without a shipped result or summary of today's code."""
    if not runs or not shipped_is_current(runs[0].preset):
        return list(runs)
    # A summary is called like its trial: the names of its runs.
    summarized = {name for names in shipped_summaries(runs[0].preset) for name in names.split("+")}
    return [r for r in runs if r.name not in summarized and not shipped_path(r).exists()]


def ship(preset: str, seed: int = 0, *, networks: bool = False) -> list[Path]:
    """Copy a preset's results from the run store to data/results/; returns the files written.

    What the run store lacks stays as it was shipped before, if that is of today's code; so seeds
    can be added. With `networks` also the best of every task and loss goes to data/pretrained/,
    where the run store has all results to choose from. Raises ValueError where a result is
    neither here nor there; then nothing is written.
    """
    comparisons = (grid.recon_runs, grid.unrolled_runs, grid.motion_runs)
    runs = [run for runs_of in comparisons for run in runs_of(preset, seed)]
    trial_runs, store = grid.trial_runs(preset, seed), Store()
    needed = set(not_shipped([*runs, *trial_runs]))
    needed |= {run for run in (*runs, *trial_runs) if store.result_path(run).exists()}
    results = stored([run for run in runs if run in needed])
    written = []
    if needed.intersection(trial_runs):
        trials = [*grid.tuning_trials(preset, seed), *grid.ablation_trials(preset, seed)]
        written.append(ship_summaries(trials))
    if networks and len(results) == len(runs):
        written += pretrained.ship(results)
    kept = {shipped_path(run) for run in runs}
    for old in set(shipped_path(runs[0]).parent.glob("*.h5")) - kept:
        old.unlink()
    for result in results:
        run = result.run
        result.examples = {}  # the weights make them again
        if run.cascades or (run.task == "recon" and run.seed >= seed + WEIGHTS_OF):
            result.weights = {}
        write_atomically(shipped_path(run), encode_result(result, half_weights=True))
        written.append(shipped_path(run))
    stamp_shipped(preset)
    return written


def ship_summaries(trials: Sequence[Trial]) -> Path:
    """Write trials.json of the shipped results."""
    summaries = {}
    for trial in trials:
        summary = summarize(stored(trial.runs))
        summaries[trial.name] = {k: [float(f"{x:.6g}") for x in v] for k, v in summary.items()}
    record = {"format": FORMAT_VERSION, "trials": summaries}
    path = summaries_path(trials[0].run.preset)
    write_atomically(path, (json.dumps(record, indent=0, sort_keys=True) + "\n").encode())
    return path
