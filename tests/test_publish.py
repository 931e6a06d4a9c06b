"""Own results become the precomputed ones only when they are complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import publish as module
import pytest
import torch
from publish import publish

from perpcore.experiments.configs import COMPARISONS, RECON, REGISTRATION
from perpcore.experiments.results import load_result, own_path, precomputed_path, precomputed_summaries, write_result
from perpcore.experiments.run import train
from perpcore.experiments.trials import Trial
from perpcore.models import load_pretrained, pretrained_names

FIRST = replace(RECON["smoke"], anatomy="abdomen", steps=1, n_validation=1, n_test=1, accelerations=(4,))
SEEDS = [replace(FIRST, seed=seed) for seed in range(3)]
UNETS = [replace(FIRST, method="UNet", seed=seed) for seed in range(2)]
CLASSICAL = replace(FIRST, method="zero_filled")
PAIR = replace(REGISTRATION["smoke"], steps=1, n_validation=1, n_test=1, accelerations=(2,))
TRIAL = Trial("", "", (replace(FIRST, evaluate_on="validation"),))
ALL: list[Any] = [*SEEDS, *UNETS, CLASSICAL, PAIR]


def rank(configs: list[Any], metric: str, values: tuple[float, ...]) -> None:
    """Give own results these values of the metric that chooses."""
    for config, value in zip(configs, values, strict=True):
        result = load_result(own_path(config), config)
        assert result is not None
        result.history[metric] = value
        write_result(own_path(config), result)


def test_results_are_kept_small_and_the_best_seed_becomes_the_network(
    empty_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMPARISONS", COMPARISONS.copy())
    monkeypatch.delitem(module.COMPARISONS, "mixture")
    monkeypatch.setitem(module.COMPARISONS, "recon", lambda preset: ALL[:-1])
    monkeypatch.setitem(module.COMPARISONS, "registration", lambda preset: ALL[-1:])
    monkeypatch.setattr(module, "ablation_trials", lambda preset: [TRIAL, TRIAL])
    for config in ALL:
        train(config, "cpu", progress=False)
    with pytest.raises(ValueError, match="abdomen-l2-trial-lr0.002-w1-s00.h5: no result"):
        publish("smoke")
    assert not (empty_project / "data" / "results").exists()
    train(TRIAL.config, "cpu", progress=False)
    rank(SEEDS, "ssim", (0.5, 0.7, 0.6))
    rank(UNETS, "ssim", (0.9, 0.8))
    folder = empty_project / "data" / "pretrained"
    stale = [precomputed_path(FIRST).parent / "recon-l2-s99.h5", *(folder / f"{c}/ssim.safetensors" for c in ("unrolled", "abdomen"))]  # fmt: skip
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    written = publish("smoke")
    assert not any(path.exists() for path in stale) and not (folder / "unrolled").exists()
    assert all(path.exists() for path in written)
    kept = {}
    for config in ALL:
        result, own = (load_result(path(config), config) for path in (precomputed_path, own_path))
        assert result is not None and own is not None and len(result.metrics) == len(own.metrics)
        kept[config.name] = bool(result.examples), bool(result.weights)
        for name, weight in result.weights.items():
            torch.testing.assert_close(weight, own.weights[name], rtol=1e-2, atol=1e-6)
    assert kept == {
        "abdomen-l2-s00": (True, True), "abdomen-l2-s01": (False, True), "abdomen-l2-s02": (False, True),
        "abdomen-unet_l2-s00": (True, False), "abdomen-unet_l2-s01": (False, False),
        "abdomen-zero_filled-s00": (True, False), "registration-epe-s00": (True, True),
    }  # fmt: skip
    (own_path(FIRST).parent / "volumes.csv").write_text("loss\nl2\n")
    again = publish("smoke", only="registration")
    assert {path.name for path in again} == {"registration-epe-s00.h5", "epe.safetensors", "volumes.csv"}
    assert (precomputed_path(FIRST).parent / "volumes.csv").read_text() == "loss\nl2\n"
    assert all(path.exists() for path in written), "one comparison leaves the others alone"
    assert set(precomputed_summaries("smoke")) == {TRIAL.name}
    table = (empty_project / "data/results/smoke/trials.csv").read_text().splitlines()
    assert len(set(table)) == len(table), "questions may share a trial; it is written once"
    assert pretrained_names() == ["abdomen/l2", "abdomen/unet_l2", "registration/epe"]
    for name, best in (("abdomen/l2", SEEDS[1]), ("abdomen/unet_l2", UNETS[0])):
        network, own = load_pretrained(name), load_result(own_path(best), best)
        assert own is not None and network.config["seed"] == best.seed
        for key, weight in network.state_dict().items():
            torch.testing.assert_close(weight, own.weights[key], rtol=1e-3, atol=1e-6)
