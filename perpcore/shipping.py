"""Results that come with the project, so that nobody has to train to see the figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from perpcore import grid, pretrained
from perpcore.files import write_atomically
from perpcore.grid import Trial
from perpcore.pool import shipped_summaries, stored, summaries_path, summarize
from perpcore.runs import FORMAT_VERSION, Run
from perpcore.store import encode_result, shipped_is_current, shipped_path, stamp_shipped


def is_shipped(run: Run) -> bool:
    """Whether the project comes with the run's result or its summary, of today's code."""
    return shipped_is_current(run.preset) and (
        shipped_path(run).exists()
        or any(run.name in name for name in shipped_summaries(run.preset))
    )


def ship(preset: str, seed: int = 0, *, networks: bool = False) -> list[Path]:
    """Copy a preset's results from the run store to data/results/; returns the files.

    With `networks` also the best of every task and loss to data/pretrained/. Raises ValueError
    where a result is not there; then nothing is written.
    """
    comparisons = (grid.recon_runs, grid.unrolled_runs, grid.motion_runs)
    results = stored([run for runs in comparisons for run in runs(preset, seed)])
    trials = [*grid.tuning_trials(preset, seed), *grid.ablation_trials(preset, seed)]
    written = [ship_summaries(trials)]
    written += pretrained.ship(results) if networks else []
    for old in shipped_path(results[0].run).parent.glob("*.h5"):
        old.unlink()
    for result in results:
        run = result.run
        result.examples = {}  # the weights make them again
        if run.cascades:
            result.weights = {}  # no notebook reconstructs with them
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
