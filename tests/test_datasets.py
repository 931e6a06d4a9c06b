"""What training draws: the same images for every loss, batch size and order."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from perpcore.datasets import (
    MeasuredRecon,
    PhantomMotion,
    PhantomMultiCoil,
    PhantomRecon,
    scale_to_input,
)
from perpcore.experiments import train
from perpcore.grid import PRESETS, recon_runs
from perpcore.kspace import fft2c
from perpcore.motion import warp
from perpcore.runs import MotionRun, Run
from perpcore.store import Store

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


def write_subjects(folder: Path) -> None:
    """Three subjects of 5 slices, 24 × 20, each in a file of its own."""
    rng = np.random.default_rng(0)
    for subject in "abc":
        smooth = rng.normal(size=(5, 6, 5)) + 1j * rng.normal(size=(5, 6, 5))
        images = np.kron(smooth, np.ones((4, 4)))
        np.save(folder / f"{subject}.npy", fft2c(torch.from_numpy(images)).numpy())


def measured_run(folder: Path, **changes) -> Run:
    runs = recon_runs("smoke", 0, str(folder), ["b"])
    return replace(runs[1], size=16, **changes)


def test_measured_images_are_split_by_subject(tmp_path: Path) -> None:
    write_subjects(tmp_path)
    data = MeasuredRecon(measured_run(tmp_path))
    subjects = {split: {v.subject for v, _ in slices} for split, slices in data.slices.items()}
    assert subjects == {"test": {"b"}, "validation": {"a"}, "train": {"c"}}
    batch = data.batch("test", range(5), 4)
    assert batch.target.shape == (5, 16, 16) and batch.target.dtype == torch.complex64
    # All five slices of the test subject, each once.
    sums = {round(t.abs().sum().item() / t.abs().max().item(), 3) for t in batch.target}
    assert len(sums) == 5
    again = MeasuredRecon(measured_run(tmp_path)).batch("test", range(5), 4)
    assert torch.equal(batch.zero_filled, again.zero_filled)


def test_the_fingerprint_follows_the_files_not_their_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    write_subjects(here)
    shutil.copytree(here, there)
    runs = [measured_run(folder) for folder in (here, there)]
    assert runs[0] == runs[1] and runs[0].key == runs[1].key and str(here) not in runs[0].to_json()
    np.save(there / "d.npy", np.ones((2, 24, 20), complex))
    assert measured_run(there).key != runs[0].key
    with pytest.raises(ValueError, match=f"{there}: expected the files of the run"):
        MeasuredRecon(runs[1])


@pytest.mark.parametrize("subjects", [[], ["z"], ["a", "b", "c"]])
def test_test_subjects_must_be_some_but_not_all(tmp_path: Path, subjects: list[str]) -> None:
    write_subjects(tmp_path)
    run = recon_runs("smoke", 0, str(tmp_path), subjects)[0]
    with pytest.raises(ValueError, match="test_subjects: expected some, not all, of a, b, c"):
        MeasuredRecon(run)


def test_measured_images_train(tmp_path: Path) -> None:
    write_subjects(tmp_path)
    run = measured_run(tmp_path, steps=2, validate_every=2, n_test=5)
    result = train(run, Store(tmp_path / "store"), "cpu", progress=False)
    assert len(result.metrics) == 10 and np.isfinite(result.metrics.to_numpy()).all()
    loaded = Store(tmp_path / "store").load(run)
    assert loaded is not None and loaded.run == run


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
