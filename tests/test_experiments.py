"""Training runs from end to end, for both tasks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from perpcore.experiments import (
    build_loss,
    build_model,
    train,
    zero_field_result,
    zero_filled_result,
)
from perpcore.grid import PRESETS, RECON_LOSSES, motion_runs, recon_runs
from perpcore.runs import MotionRun
from perpcore.store import Store, read_result, shipped_path

MOTION = MotionRun(
    loss="perp_l2", size=32, width=8, depth=3, steps=6, warmup=3, batch=2, validate_every=3,
    n_validation=2, n_test=4, preset="smoke",
)  # fmt: skip


@pytest.mark.parametrize("inputs", ["magnitude", "complex"])
def test_registration_runs_train_and_are_stored(tmp_path: Path, inputs: str) -> None:
    run = replace(MOTION, inputs=inputs)
    result = train(run, Store(tmp_path), "cpu", progress=False)
    wanted = {
        "acceleration", "image", "epe", "magnitude_error", "magnitude_bias", "angular_error",
        "folded_area", "warp_nrmse",
    }  # fmt: skip
    assert set(result.metrics) == wanted
    assert len(result.metrics) == len(run.accelerations) * run.n_test
    assert np.isfinite(result.metrics.to_numpy()).all()
    loaded = Store(tmp_path).load(run)
    assert loaded is not None and loaded.run == run
    assert loaded.examples["R4"].shape == (2, 2, 32, 32)
    assert list(loaded.history.step) == [3, 6]


def shipped_means(label: str) -> list[pd.Series]:
    """Means over the test pairs, one per seed."""
    runs = [r for r in motion_runs("quick") if r.label == label]
    return [read_result(shipped_path(run), run).metrics.mean() for run in runs]


def test_the_registration_comparison_is_worth_making() -> None:
    """At `quick`: EPE halves the zero field's; warm ⊥ runs are less biased; the cold one fails."""
    zero = zero_field_result(motion_runs("quick")[0]).metrics.mean()
    (epe,) = shipped_means("epe")
    assert epe.epe <= 0.5 * zero.epe
    for label in ("perp_l1", "perp_l2"):
        (warm,) = shipped_means(label)
        assert abs(warm.magnitude_bias) < abs(epe.magnitude_bias)
    cold = shipped_means("cold_plain_perp_l2")
    assert len(cold) == 3 and max(m.angular_error for m in cold) > 60
    assert shipped_means("plain_l2")[0].angular_error < 45


def test_registration_runs_get_the_same_steps_and_a_warm_up_only_where_named() -> None:
    runs = motion_runs("quick")
    assert [r.label for r in runs] == [
        "epe", "l2", "perp_l1", "perp_l2", "plain_l2", *["cold_plain_perp_l2"] * 3,
    ]  # fmt: skip
    assert len({r.steps for r in runs}) == 1
    assert [r.warmup for r in runs] == [0, 0, 240, 240, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="preset: expected one of smoke, quick, paper"):
        motion_runs("huge")


def test_all_losses_start_from_the_same_network_whatever_ran_before() -> None:
    first = build_model(PRESETS["smoke"]).state_dict()
    torch.rand(7)
    second = build_model(replace(PRESETS["smoke"], loss="ssim")).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_model(replace(PRESETS["smoke"], seed=1)).state_dict()
    assert not torch.equal(first["out.weight"], other["out.weight"])


def test_building_a_model_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build_model(PRESETS["smoke"])
    assert torch.equal(torch.rand(2), expected)


def test_weights_reach_the_losses() -> None:
    run = next(r for r in recon_runs("quick") if r.loss == "perp_l2")
    assert run.weight == 10 and build_loss(run).weight == 10
    assert [r.loss for r in recon_runs("quick")] == list(RECON_LOSSES)
    assert build_loss(MOTION).dim == 1


def test_zero_filled_images_are_worse_at_higher_acceleration() -> None:
    metrics = zero_filled_result(replace(PRESETS["smoke"], size=64, n_test=6)).metrics
    psnr = metrics.groupby("acceleration").psnr.mean()
    assert psnr[4] > psnr[8] + 1
