"""The grid of runs: fair trials, tuned values, nothing twice."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from perpcore import grid, pool

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("preset", grid.PRESETS)
def test_every_loss_gets_the_same_number_of_trials(preset: str) -> None:
    trials = grid.tuning_trials(preset)
    counts = Counter((t.run.task, t.run.loss) for t in trials)
    assert set(counts.values()) == {4}
    assert {loss for task, loss in counts if task == "recon"} == set(grid.RECON_LOSSES)
    assert {loss for task, loss in counts if task == "registration"} == set(grid.MOTION_LOSSES)
    runs = {run for trial in trials for run in trial.runs}
    assert len(runs) == len(trials) * grid.TRIAL_SEEDS[preset]
    assert len({trial.name for trial in trials}) == len(trials)


@pytest.mark.parametrize("preset", grid.PRESETS)
def test_trials_never_see_test_images(preset: str) -> None:
    assert {run.evaluate_on for run in grid.trial_runs(preset)} == {"validation"}
    final = [*grid.recon_runs(preset), *grid.motion_runs(preset)]
    assert {run.evaluate_on for run in final} == {"test"}


def test_the_tuned_values_are_the_best_of_the_shipped_trials() -> None:
    summaries = pool.shipped_summaries("cpu")
    best: dict[tuple[str, str], tuple[float, grid.Trial]] = {}
    for trial in grid.tuning_trials("cpu"):
        metric, better = grid.SELECTION[trial.run.task]
        value = summaries[trial.name][metric].mean
        found = best.setdefault((trial.run.task, trial.run.loss), (value, trial))
        if better(value, found[0]) != found[0]:
            best[trial.run.task, trial.run.loss] = (value, trial)
    for (task, loss), (_, trial) in best.items():
        assert grid.TUNED[task][loss] == (trial.run.learning_rate, trial.run.weight)
    used = {(r.task, r.loss): (r.learning_rate, r.weight)
            for r in [*grid.recon_runs(), *grid.motion_runs()]}  # fmt: skip
    assert used == {(task, loss): v for task, t in grid.TUNED.items() for loss, v in t.items()}


def test_ablations_change_one_thing_from_the_tuned_values() -> None:
    base = {
        t.run.loss: t.run
        for t in grid.ablation_trials()
        if t.group == "variant" and t.label == "as it is"
    }
    for trial in grid.ablation_trials():
        run = trial.run
        if run.task == "recon" and run.loss in base:
            reference = base[run.loss]
            changed = [n for n in ("weight", "loss_options", "loss_scale", "target_noise", "rough_phase", "inputs")
                       if getattr(run, n) != getattr(reference, n)]  # fmt: skip
            assert len(changed) <= 1
            assert replace(run, **{n: getattr(reference, n) for n in changed}) == reference


def test_each_run_is_listed_once_and_the_notebooks_name_theirs() -> None:
    runs = grid.all_runs("quick")
    assert len(runs) == len(set(runs)) == len({r.key for r in runs})
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        source = "".join("".join(c["source"]) for c in json.loads(path.read_text())["cells"])
        uses = any(name in source for name in ("recon_runs", "motion_runs", "tuning_trials"))
        if path.name[:2] != "09":  # it trains on measured images, if at all, and by itself
            assert uses == (path.name[:2] in grid.NOTEBOOK_RUNS)
    with pytest.raises(ValueError, match="preset: expected one of smoke, quick, cpu, paper"):
        grid.tuning_trials("huge")
