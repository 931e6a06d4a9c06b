"""What training draws: the same images for every loss, batch size and order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
import torch

from perpcore.data.datasets import (
    NOT_OF_THE_DATA,
    PhantomMotion,
    PhantomMultiCoil,
    PhantomRecon,
    keep_batches,
    scale_to_input,
)
from perpcore.grid import MOTION_PRESETS, PRESETS
from perpcore.data.kspace import fft2c
from perpcore.data.motion import warp
from perpcore.experiments.configs import MotionRun

RUN = PRESETS["smoke"]


def test_a_sample_depends_on_its_index_only() -> None:
    data = PhantomRecon(RUN)
    whole = data.batch("test", range(4), 4)
    single = data.batch("test", range(2, 3), 4)
    for a, b in zip(whole, single, strict=True):
        torch.testing.assert_close(a[2:3], b, atol=1e-5, rtol=0)
    again = PhantomRecon(replace(RUN, loss="ssim", seed=RUN.seed)).batch("test", range(4), 4)
    assert torch.equal(whole.zero_filled, again.zero_filled)


def test_losses_share_training_data_and_seeds_share_test_data() -> None:
    first = PhantomRecon(replace(RUN, loss="l1")).training_batch(3)
    second = PhantomRecon(replace(RUN, loss="perp_l2")).training_batch(3)
    assert torch.equal(first.target, second.target)
    other = PhantomRecon(replace(RUN, seed=1))
    assert not torch.equal(first.target, other.training_batch(3).target)
    assert torch.equal(other.batch("test", range(2), 4).target, PhantomRecon(RUN).batch("test", range(2), 4).target)  # fmt: skip


def test_steps_and_splits_do_not_overlap() -> None:
    data = PhantomRecon(RUN)
    images = [data.training_batch(s).target for s in (0, 1)]
    images += [data.batch(split, range(2), 4).target for split in ("validation", "test")]
    flat = torch.cat(images).flatten(1)
    distance = (flat[:, None] - flat[None]).abs().mean(-1)
    assert (distance + torch.eye(len(flat)) > 1e-3).all()


def test_zero_filled_images_agree_with_the_target_where_sampled() -> None:
    run = replace(RUN, noise=0.0, sampling="equispaced")
    batch = PhantomRecon(run).batch("test", range(2), 4)
    torch.testing.assert_close(batch.zero_filled.abs().amax((-2, -1)), torch.ones(2))
    kspace, full = fft2c(batch.zero_filled), fft2c(batch.target)
    sampled = kspace.abs() > 1e-5
    assert sampled.float().mean().item() == pytest.approx(1 / 4, rel=0.2)
    torch.testing.assert_close(kspace[sampled], full[sampled], atol=1e-5, rtol=0)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="split.*holdout"):
        PhantomRecon(RUN).batch("holdout", range(1))
    zeros = torch.zeros(1, 8, 8, dtype=torch.complex64)
    with pytest.raises(ValueError, match="zero_filled"):
        scale_to_input(zeros, zeros)


MOTION = MotionRun(size=32, batch=2)


def test_pairs_show_the_field_they_come_with() -> None:
    run = replace(MOTION, size=96)
    batch = PhantomMotion(run).batch("test", range(6), 4)
    assert batch.target.shape == (6, 2, 96, 96) and batch.fixed.shape == (6, 96, 96)
    warped = warp(batch.moving_full.abs(), batch.target)
    before = (batch.moving_full.abs() - batch.fixed_full.abs()).square().sum((1, 2))
    after = (warped - batch.fixed_full.abs()).square().sum((1, 2))
    assert (after < 0.2 * before).sum() >= 5  # one pair in ten hardly moves


def test_pairs_depend_on_their_index_only_and_states_have_their_own_masks() -> None:
    data = PhantomMotion(MOTION)
    whole, single = data.batch("train", range(3), 4), data.batch("train", range(2, 3), 4)
    for a, b in zip(whole, single, strict=True):
        torch.testing.assert_close(a[2:3], b, atol=1e-5, rtol=0)
    masks = [fft2c(x[0]).abs() > 1e-4 for x in (whole.fixed, whole.moving)]
    assert not torch.equal(*masks)
    other = PhantomMotion(replace(MOTION, loss="perp_l2", warmup=3)).batch("train", range(3), 4)
    assert torch.equal(other.target, whole.target)


def test_multi_coil_images_are_what_single_coil_runs_see_with_other_noise() -> None:
    run = replace(PRESETS["smoke"], coils=3, cascades=1, noise=0.0)
    batch = PhantomMultiCoil(run).batch("test", range(3), 4)
    single = PhantomRecon(replace(PRESETS["smoke"], noise=0.0)).batch("test", range(3), 4)
    shapes = [tuple(x.shape) for x in (batch.kspace, batch.coil_sensitivities, batch.mask)]
    assert shapes == [(3, 3, 32, 32), (3, 3, 32, 32), (3, 32, 32)]
    ratio = batch.target.abs().amax((1, 2)) / single.target.abs().amax((1, 2))
    torch.testing.assert_close(
        batch.target / ratio[:, None, None].to(torch.complex64), single.target, atol=1e-4, rtol=1e-4
    )
    assert batch.zero_filled.abs().amax((1, 2)).tolist() == pytest.approx([1, 1, 1])
    assert not batch.kspace[~batch.mask.bool().unsqueeze(1).expand_as(batch.kspace)].any()


@pytest.fixture
def kept() -> Iterator[None]:
    keep_batches(10**7)
    yield
    keep_batches(0)


def test_batches_are_kept_for_the_next_run_on_the_same_data(kept: None) -> None:
    first = PhantomRecon(replace(RUN, loss="l1"))
    drawn = first.training_batch(0)
    second = PhantomRecon(replace(RUN, loss="perp_l2", learning_rate=1.0, steps=7))
    assert second.training_batch(0) is drawn and first.batch("train", range(2)) is drawn
    assert second.training_batch(1) is not drawn
    assert PhantomRecon(replace(RUN, seed=3)).training_batch(0) is not drawn
    assert first.batch("train", range(2), 4) is not drawn


def test_what_is_not_of_the_data_changes_no_batch() -> None:
    """Every field that the cache passes over, changed; the batch is drawn anew each time."""
    changes = {
        "loss": "ssim", "weight": 2.0, "loss_options": (("eps", 0.1),), "loss_scale": 3.0,
        "width": 4, "depth": 2, "cascades": 2, "flow": False, "steps": 5, "batch": 2,
        "learning_rate": 1.0, "warmup": 1, "validate_every": 2, "n_validation": 3, "n_test": 3,
        "evaluate_on": "validation", "preset": "quick",
    }  # fmt: skip
    assert set(changes) == NOT_OF_THE_DATA
    multicoil = replace(RUN, coils=2, cascades=1)
    for kind, base in ((PhantomRecon, RUN), (PhantomMultiCoil, multicoil), (PhantomMotion, MOTION_PRESETS["smoke"])):  # fmt: skip
        names = {f.name for f in fields(base)}
        for name, value in changes.items():
            if name not in names or (name == "cascades" and base.coils == 1) or name == "loss":
                continue
            other = kind(replace(base, **{name: value}))  # type: ignore[arg-type]
            for a, b in zip(kind(base).training_batch(1), other.training_batch(1), strict=True):  # type: ignore[arg-type]
                assert torch.equal(a, b), name


def test_no_more_is_kept_than_allowed() -> None:
    size = sum(part.nbytes for part in PhantomRecon(RUN).training_batch(0))
    keep_batches(2 * size)
    try:
        data = PhantomRecon(RUN)
        drawn = [data.training_batch(step) for step in range(3)]
        assert [data.training_batch(step) is b for step, b in enumerate(drawn)] == [
            True,
            True,
            False,
        ]
        other = PhantomRecon(replace(RUN, seed=1))
        first = other.training_batch(0)  # makes room: another run's data
        assert other.training_batch(0) is first and data.training_batch(0) is not drawn[0]
    finally:
        keep_batches(0)
    assert data.training_batch(0) is not data.training_batch(0)
