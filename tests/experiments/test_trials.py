"""Trials and ablations: fair, never on test images, summarised over seeds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from perpcore.experiments import results as module
from perpcore.experiments.configs import RECON, RECON_LOSSES, REGISTRATION_LOSSES, TUNED
from perpcore.experiments.results import own_results, precomputed_summaries, summarize
from perpcore.experiments.run import load_or_train_trials, train_all
from perpcore.experiments.trials import SELECTION, TRIAL_SEEDS, Trial, ablation_trials, tuning_trials
from perpcore.statistics import mean_interval


@pytest.mark.parametrize("preset", RECON)
def test_every_loss_gets_the_same_number_of_trials(preset: str) -> None:
    trials = tuning_trials(preset)
    counts = Counter((t.config.task, t.config.loss) for t in trials)
    assert set(counts.values()) == {4}
    assert {loss for task, loss in counts if task == "recon"} == set(RECON_LOSSES)
    assert {loss for task, loss in counts if task == "registration"} == set(REGISTRATION_LOSSES)
    configs = {config for trial in trials for config in trial.configs}
    assert len(configs) == len(trials) * TRIAL_SEEDS[preset]
    assert len({trial.name for trial in trials}) == len(trials)


@pytest.mark.parametrize("preset", RECON)
def test_trials_never_see_test_images(preset: str) -> None:
    trials = [*tuning_trials(preset), *ablation_trials(preset)]
    assert {c.evaluate_on for t in trials for c in t.configs} == {"validation"}


def test_the_tuned_values_are_the_best_of_the_precomputed_trials() -> None:
    summaries = precomputed_summaries("full")
    best: dict[tuple[str, str], tuple[float, Trial]] = {}
    for trial in tuning_trials("full"):
        metric, better = SELECTION[trial.config.task]
        value = summaries[trial.name][metric].mean
        found = best.setdefault((trial.config.task, trial.config.loss), (value, trial))
        if better(value, found[0]) != found[0]:
            best[trial.config.task, trial.config.loss] = (value, trial)
    for (task, loss), (_, trial) in best.items():
        assert TUNED[task][loss] == (trial.config.learning_rate, trial.config.weight)


def test_ablations_change_one_thing_from_the_tuned_values() -> None:
    trials = ablation_trials()
    base = {t.config.loss: t.config for t in trials if t.group == "variant" and t.label == "as it is"}
    for config in [t.config for t in trials if t.config.task == "recon" and t.config.loss in base]:
        reference = base[config.loss]
        changed = [n for n in ("weight", "loss_options", "loss_scale", "target_noise", "rough_phase", "inputs")
                   if getattr(config, n) != getattr(reference, n)]  # fmt: skip
        assert len(changed) <= 1
        assert replace(config, **{n: getattr(reference, n) for n in changed}) == reference


def test_summaries_are_means_over_seeds_and_images_of_all_accelerations(
    empty_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = replace(RECON["smoke"], steps=2, validate_every=2, evaluate_on="validation")
    trial = Trial("", "two seeds", (short, replace(short, seed=1)))
    with pytest.raises(ValueError, match="recon-l2-trial-lr0.002-w1-s00.h5: no result"):
        own_results(trial.configs)
    train_all(trial.configs, "cpu", workers=2)
    results = own_results(trial.configs)
    per_image = [r.metrics.pivot(index="image", columns="acceleration", values="psnr").mean(axis=1) for r in results]
    for n in (1, 2):
        summary = summarize(results[:n])
        assert summary["psnr"] == mean_interval(np.stack(per_image[:n]))
        assert "image" not in summary and "acceleration" not in summary
    assert load_or_train_trials([trial], device="cpu")[trial.name] == summarize(results)
    assert "1 summaries of own runs" in capsys.readouterr().out


def test_precomputed_summaries_are_of_this_version_and_never_mixed(
    empty_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tuning_trials("smoke")[:2]
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
