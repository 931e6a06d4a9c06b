"""Trials and ablations: fair, never on test images, summarised over seeds."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from publish import SELECTION

from perpcore.experiments import results as module
from perpcore.experiments.configs import ANATOMIES, RECON, WEIGHTS
from perpcore.experiments.results import own_results, precomputed_summaries, summarize
from perpcore.experiments.run import load_or_train_trials, train_all
from perpcore.experiments.trials import TRIAL_SEEDS, WEIGHT_GRID, Trial, ablation_trials, all_configs
from perpcore.statistics import mean_interval


@pytest.mark.parametrize("preset", RECON)
def test_trials_are_small_runs_of_every_seed_that_never_see_test_images(preset: str) -> None:
    trials, whole = ablation_trials(preset), RECON[preset]
    assert {c.evaluate_on for t in trials for c in t.configs} == {"validation"}
    for trial in trials:
        assert [c.seed for c in trial.configs] == list(range(TRIAL_SEEDS[preset]))
        assert len({replace(c, seed=0) for c in trial.configs}) == 1
        assert trial.config.steps <= whole.steps and trial.config.size <= whole.size
    assert len({(t.group, t.label, t.config.loss, t.config.anatomy) for t in trials}) == len(trials)
    # Questions may share runs; another run has another name.
    runs = {trial.config: trial.name for trial in trials}
    assert len(set(runs.values())) == len(runs)
    assert {c for t in trials for c in t.configs} < set(all_configs(preset))


def test_every_ablation_changes_one_thing() -> None:
    trials = ablation_trials()
    usual = {t.config.loss: t.config for t in trials if t.label in ("as it is", "a = ½", "own CNN per cascade")}
    changed = {}
    for trial in trials:
        ours, theirs = asdict(trial.config), asdict(usual[trial.config.loss])
        names = {name for name in ours if ours[name] != theirs[name]}
        changed.setdefault(trial.group, set()).update(names)
        assert len(names - {"anatomy", "noise"}) <= 1  # brains have their own noise
    assert changed == {
        "weight": {"weight", "anatomy", "noise"}, "variant": {"loss_options"}, "mix": {"loss_options"},
        "network": {"shared"}, "target noise": {"target_noise"}, "phase": {"roughness"},
    }  # fmt: skip


def test_weights_are_tried_alike_for_both_losses_in_both_settings() -> None:
    tried = [(t.config.loss, t.config.anatomy, t.config.weight) for t in ablation_trials() if t.group == "weight"]
    losses = ("perp_l1", "perp_l2")
    assert sorted(tried) == sorted((loss, a, w) for loss in losses for a in ANATOMIES for w in WEIGHT_GRID)


def test_the_weights_are_those_that_the_precomputed_trials_chose() -> None:
    """The smallest w that is within 0.002 of the best validation SSIM in both settings."""
    summaries, (metric, better) = precomputed_summaries("full"), SELECTION["recon"]
    for loss in ("perp_l1", "perp_l2"):
        good = set(WEIGHT_GRID)
        for anatomy in ANATOMIES:
            of = {t.config.weight: summaries[t.name][metric].mean for t in ablation_trials("full")
                  if (t.group, t.config.loss, t.config.anatomy) == ("weight", loss, anatomy)}  # fmt: skip
            good &= {weight for weight, value in of.items() if abs(value - better(of.values())) <= 0.002}
        assert WEIGHTS["recon"][loss] == min(good)


def test_summaries_are_means_over_seeds_and_images_of_all_accelerations(
    empty_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {"steps": 2, "validate_every": 2, "evaluate_on": "validation", "anatomy": "abdomen"}
    short = replace(RECON["smoke"], **small)
    trial = Trial("", "two seeds", (short, replace(short, seed=1)))
    with pytest.raises(ValueError, match="abdomen-l2-trial-lr0.002-w1-s00.h5: no result"):
        own_results(trial.configs)
    train_all(trial.configs, "cpu", workers=2)
    results = own_results(trial.configs)
    per_image = [r.metrics.pivot(index="image", columns="acceleration", values="psnr").mean(axis=1) for r in results]
    for n in (1, 2):
        summary = summarize(results[:n])
        assert summary["psnr"] == pytest.approx(mean_interval(np.stack(per_image[:n])), rel=1e-6)
        assert "image" not in summary and "acceleration" not in summary
    assert load_or_train_trials([trial], device="cpu")[trial.name] == summarize(results)
    assert "1 summaries of own runs" in capsys.readouterr().out


def test_precomputed_summaries_are_of_this_version_and_never_mixed(
    empty_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (t for t in ablation_trials("smoke") if t.group == "network" and t.config.loss == "l2")
    folder = empty_project / "data" / "results" / "smoke"
    folder.mkdir(parents=True, exist_ok=True)
    row = {"results_version": module.RESULTS_VERSION, "metric": "ssim", "mean": 0.5, "low": 0.4, "high": 0.6}
    pd.DataFrame([{**row, "trial": first.name}]).to_csv(folder / "trials.csv")
    assert load_or_train_trials([first])[first.name]["ssim"] == (0.5, 0.4, 0.6)
    assert "1 precomputed" in capsys.readouterr().out
    found = load_or_train_trials([first, second], device="cpu")
    assert "2 summaries of own runs" in capsys.readouterr().out
    assert found[first.name]["ssim"].mean != 0.5
    monkeypatch.setattr(module, "RESULTS_VERSION", -1)
    assert precomputed_summaries("smoke") == {}
