"""Own results become the precomputed ones only when they are complete."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import publish as module
import pytest
import torch
from publish import SEEDS_WITH_WEIGHTS, publish

from perpcore.experiments.configs import COMPARISONS, RECON, unrolled_configs
from perpcore.experiments.results import load_result, own_path, precomputed_path, precomputed_summaries, write_result
from perpcore.experiments.run import train_all
from perpcore.experiments.trials import Trial
from perpcore.models import load_pretrained, pretrained_names

FIRST = replace(RECON["smoke"], steps=2, validate_every=1, n_test=1)
UNROLLED = replace(unrolled_configs("smoke")[0], steps=2, validate_every=1, n_test=1)
TRIAL = Trial("", "", (replace(FIRST, evaluate_on="validation"),))


def test_the_best_seed_is_kept_and_later_seeds_go_without_weights(
    empty_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds = [replace(FIRST, seed=s) for s in (0, 1, SEEDS_WITH_WEIGHTS)]
    monkeypatch.setitem(COMPARISONS, "recon", lambda preset: seeds)
    monkeypatch.setitem(COMPARISONS, "unrolled", lambda preset: [UNROLLED])
    monkeypatch.setitem(COMPARISONS, "registration", lambda preset: [])
    monkeypatch.setattr(module, "tuning_trials", lambda preset: [TRIAL])
    monkeypatch.setattr(module, "ablation_trials", lambda preset: [])
    train_all(seeds, "cpu", workers=2)
    with pytest.raises(ValueError, match="unrolled-l1-s00.h5: no result"):
        publish("smoke")
    assert not (empty_project / "data" / "results").exists()
    train_all([UNROLLED, *TRIAL.configs], "cpu", workers=2)
    for config, ssim in zip(seeds, (0.5, 0.7, 0.6), strict=True):
        result = load_result(own_path(config), config)
        assert result is not None
        result.history["ssim"] = ssim
        write_result(own_path(config), result)
    stale = precomputed_path(FIRST).parent / "recon-l2-s99.h5"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    written = publish("smoke")
    assert not stale.exists() and all(path.exists() for path in written)
    has_weights = {}
    for config in (*seeds, UNROLLED):
        result = load_result(precomputed_path(config), config)
        assert result is not None and not result.examples
        has_weights[config.name] = bool(result.weights)
    assert list(has_weights.values()) == [True, True, False, False]
    assert set(precomputed_summaries("smoke")) == {TRIAL.name}
    assert pretrained_names() == ["recon/l2", "unrolled/l1"]
    network, best = load_pretrained("recon/l2"), load_result(own_path(seeds[1]), seeds[1])
    assert best is not None and network.config["seed"] == 1
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, best.weights[name], rtol=1e-3, atol=1e-6)
