"""A configuration becomes a result, for every task, the same one each time."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from perpcore.experiments import run as module
from perpcore.experiments.configs import RECON, REGISTRATION, SEEDS, Config, registration_configs, unrolled_configs
from perpcore.experiments.results import load_result, own_path, precomputed_path, write_result
from perpcore.experiments.run import (
    baseline,
    build_loss,
    build_model,
    evaluate,
    load_or_train,
    open_data,
    train,
    train_all,
)
from perpcore.metrics import FIELD_METRICS, METRICS

SHORT = replace(RECON["smoke"], steps=2, validate_every=1)
PAIR = replace(REGISTRATION["smoke"], loss="perp_l2", steps=6, warmup=3, validate_every=3, chans=8)


@pytest.mark.parametrize("inputs", ["magnitude", "complex"])
def test_registrations_train_and_are_kept(empty_project: Path, inputs: str) -> None:
    config = replace(PAIR, inputs=inputs)
    result = train(config, "cpu", progress=False)
    assert list(result.metrics) == ["acceleration", "image", *FIELD_METRICS]
    assert len(result.metrics) == len(config.accelerations) * config.n_test
    assert np.isfinite(result.metrics.to_numpy()).all()
    loaded = load_result(own_path(config), config)
    assert loaded is not None and loaded.config == config
    assert loaded.examples["R4"].shape == (2, 2, 32, 32)
    assert list(loaded.history.step) == [3, 6]


def test_a_run_is_trained_once_and_leaves_no_checkpoint(empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(SHORT, "cpu", progress=False)
    assert list(first.metrics) == ["acceleration", "image", *METRICS]
    assert [p.name for p in own_path(SHORT).parent.iterdir()] == ["recon-l2-s00.h5"]

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "fit", refuse)
    assert train(SHORT).provenance == first.provenance
    with pytest.raises(AssertionError, match="trained again"):
        train(replace(SHORT, seed=7))


def test_all_losses_start_from_the_same_network_whatever_ran_before() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = build_model(SHORT).state_dict()
    assert torch.equal(torch.rand(2), expected), "building draws none of the global numbers"
    second = build_model(replace(SHORT, loss="ssim")).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_model(replace(SHORT, seed=1)).state_dict()
    assert not torch.equal(first["out.weight"], other["out.weight"])


def test_options_reach_the_losses() -> None:
    assert build_loss(replace(SHORT, loss="perp_l2", weight=10.0)).weight == 10
    assert build_loss(PAIR).dim == 1
    scaled = build_loss(replace(SHORT, loss_scale=10.0))
    a, b = torch.ones(1, 8, 8) * 1j, torch.zeros(1, 8, 8) * 1j
    assert scaled(a, b).item() == pytest.approx(100)


class Answers(nn.Module):
    """Return the targets of data sets in order, times a factor."""

    def __init__(self, data: list[Any], factor: float) -> None:
        super().__init__()
        self.targets = [b for d in data for b in d.batch(range(5)).target]
        self.factor = factor

    def forward(self, *inputs: Tensor) -> Tensor:
        taken, self.targets = self.targets[: len(inputs[0])], self.targets[len(inputs[0]) :]
        return self.factor * torch.stack(taken)


@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_perfect_and_scaled_reconstructions_are_measured_as_such(factor: float) -> None:
    data = [open_data(SHORT)("test", r) for r in SHORT.accelerations]
    result = evaluate(Answers(data, factor), data, 5, 2)
    metrics, calibration = result.metrics, result.calibration
    assert metrics.image.tolist() == [*range(5), *range(5)]
    np.testing.assert_allclose(metrics.magnitude_bias, factor - 1, atol=1e-5)
    np.testing.assert_allclose(metrics.phase_error, 0, atol=1e-3)
    filled = calibration[calibration["count"] > 0]
    np.testing.assert_allclose(filled.pred, factor * filled.target, rtol=1e-5)
    pixels = sum(int(d.batch(range(5)).foreground.sum()) for d in data)
    assert calibration["count"].sum() == pixels
    assert result.examples["R4"].shape == (2, 32, 32)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_perfect_and_scaled_fields_are_measured_as_such(factor: float) -> None:
    data = [open_data(PAIR)("test", 4)]
    result = evaluate(Answers(data, factor), data, 5, 3)
    batch = data[0].batch(range(5))
    length = torch.linalg.vector_norm(batch.target, dim=1)
    expected = [length[i][batch.foreground[i]].mean().item() * (factor - 1) for i in range(5)]
    np.testing.assert_allclose(result.metrics.motion_bias, expected, atol=1e-5)
    np.testing.assert_allclose(result.metrics.epe, np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(result.metrics.angular_error, 0, atol=0.1)
    assert (result.metrics.folded_area == 0).all()
    filled = result.calibration[result.calibration["count"] > 0]
    np.testing.assert_allclose(filled.pred, factor * filled.target, rtol=1e-4)


def test_baselines_are_the_input_and_the_zero_field() -> None:
    psnr = baseline(replace(SHORT, size=64, n_test=6)).metrics.groupby("acceleration").psnr.mean()
    assert psnr[4] > psnr[8] + 1
    metrics = baseline(PAIR).metrics
    np.testing.assert_allclose(metrics.motion_bias, -metrics.epe)
    assert {"kspace", "mask"} <= set(open_data(unrolled_configs("smoke")[0])("test", 4)[0]._fields)


def test_a_comparison_is_precomputed_or_own_never_a_mixture(
    empty_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [SHORT, replace(SHORT, seed=1)]
    train_all([*both, SHORT], "cpu", workers=2)
    assert len(list(own_path(SHORT).parent.iterdir())) == 2
    shipped = load_result(own_path(SHORT), SHORT)
    assert shipped is not None
    shipped.provenance["seconds"] = -1.0
    write_result(precomputed_path(SHORT), shipped)
    capsys.readouterr()
    (of_one,) = load_or_train([SHORT], device="cpu").values()
    assert of_one[0].provenance["seconds"] == -1
    assert capsys.readouterr().out == "1 precomputed results, preset smoke\n"
    (of_two,) = load_or_train(both, device="cpu").values()
    assert all(r.provenance["seconds"] > 0 for r in of_two)
    assert capsys.readouterr().out == "2 own runs, preset smoke\n"
    (forced,) = load_or_train([SHORT], own_runs=True, device="cpu").values()
    assert forced[0].provenance["seconds"] > 0


HUNDRED = [
    replace(SHORT, steps=100, validate_every=50, loss="perp_l2"),
    replace(PAIR, steps=100, validate_every=50, warmup=20),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both runs of HUNDRED with 1, again 1 and 2 threads, each time in a process of its own."""
    script = """
        import json, sys, torch
        from pathlib import Path
        from perpcore.experiments.configs import from_dict
        from perpcore.experiments.run import train
        torch.set_num_threads(int(sys.argv[2]))
        for k, text in enumerate(sys.argv[3:]):
            path = Path(sys.argv[1]) / f"{k}.h5"
            train(from_dict(json.loads(text)), "cpu", path=path, progress=False)
    """
    folders = []
    for threads in ("1", "1", "2"):
        folder = tmp_path_factory.mktemp("runs")
        texts = [json.dumps(asdict(config)) for config in HUNDRED]
        command = [sys.executable, "-c", textwrap.dedent(script), str(folder), threads, *texts]
        subprocess.run(command, check=True)
        folders.append(folder)
    return folders


@pytest.mark.parametrize("number", [0, 1], ids=["recon", "registration"])
def test_a_hundred_steps_give_the_same_weights_again(number: int, trained: list[Path]) -> None:
    """Same seed, machine and number of threads: the same bits.

    With another number of threads, sums are taken in another order. AdamW divides by the size of a
    gradient, so single weights drift apart; what the network does agrees: mean metrics to 1 %.
    """
    found = [load_result(folder / f"{number}.h5", HUNDRED[number]) for folder in trained]
    first, again, two_threads = found
    assert first is not None and again is not None and two_threads is not None
    assert all(torch.equal(w, again.weights[n]) for n, w in first.weights.items())
    pd.testing.assert_frame_equal(first.metrics, again.metrics)
    pd.testing.assert_series_equal(first.metrics.mean(), two_threads.metrics.mean(), rtol=0.01, atol=0.002)


def precomputed_means(label: str) -> list[pd.Series]:
    """Means over the test pairs, one per seed."""
    configs: list[Config] = [c for c in registration_configs("full") if c.label == label]
    results = [load_result(precomputed_path(c), c) for c in configs]
    return [r.metrics.mean() for r in results if r is not None]


def test_the_registration_comparison_is_worth_making() -> None:
    """At `full`: EPE halves the zero field's; warm ⊥+ℓ2 is less biased; a cold start fails."""
    zero = baseline(registration_configs("full")[0]).metrics.mean()
    epe, warm = precomputed_means("epe"), precomputed_means("perp_l2")
    assert len(epe) == SEEDS["full"] and max(m.epe for m in epe) <= 0.5 * zero.epe
    for ours, theirs in zip(warm, epe, strict=True):
        assert abs(ours.motion_bias) < abs(theirs.motion_bias)
    assert max(m.angular_error for m in precomputed_means("cold_plain_perp_l2")) > 60
    assert min(m.angular_error for m in precomputed_means("plain_l2")) < 45
