"""What training draws: the same images for every loss, batch size and order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from perpcore.data.datasets import (
    FOREGROUND,
    PhantomMotion,
    PhantomRecon,
    PhantomSense,
    ReconBatch,
    Samples,
    foreground_mask,
    scale_to_input,
)
from perpcore.data.kspace import fft2c
from perpcore.data.motion import warp

ALL = [PhantomRecon, PhantomSense, PhantomMotion]


def close(a: Any, b: Any) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ALL)
def test_a_sample_depends_on_its_index_only(kind: type[Samples[Any]]) -> None:
    data = kind("test", 8, size=32, accelerations=(4,))
    whole = data.batch(range(4))
    close([part[2:3] for part in whole], data.batch([2]))
    close([part[2] for part in whole], data[2])
    again = kind("test", 5, size=32, accelerations=(4,), seed=9).batch(range(4))
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


@pytest.mark.parametrize("kind", ALL)
def test_a_data_loader_gives_the_same_batches(kind: type[Samples[Any]]) -> None:
    data = kind("train", 5, size=32)
    batches = list(DataLoader(data, batch_size=2))
    assert len(data) == 5 and [len(b.target) for b in batches] == [2, 2, 1]
    assert type(batches[0]) is type(data[0])
    close(batches[1], data.batch(range(2, 4)))
    with pytest.raises(IndexError, match="expected 0 … 4, got 5"):
        data[5]


def test_training_images_depend_on_the_seed_the_others_do_not() -> None:
    train, other = PhantomRecon(size=32), PhantomRecon(size=32, seed=1)
    assert not torch.equal(train.batch(range(2)).target, other.batch(range(2)).target)
    images = [train.batch(range(2)).target, train.batch(range(2, 4)).target]
    images += [PhantomRecon(s, size=32).batch(range(2)).target for s in ("validation", "test")]
    flat = torch.cat(images).flatten(1)
    distance = (flat[:, None] - flat[None]).abs().mean(-1)
    assert (distance + torch.eye(len(flat)) > 1e-3).all()


def test_zero_filled_images_agree_with_the_target_where_sampled() -> None:
    data = PhantomRecon("test", size=32, noise=0.0, sampling="equispaced", accelerations=(4,))
    batch = data.batch(range(2))
    torch.testing.assert_close(batch.zero_filled.abs().amax((-2, -1)), torch.ones(2))
    kspace, full = fft2c(batch.zero_filled), fft2c(batch.target)
    sampled = kspace.abs() > 1e-5
    assert sampled.float().mean().item() == pytest.approx(1 / 4, rel=0.2)
    torch.testing.assert_close(kspace[sampled], full[sampled], atol=1e-5, rtol=0)


def test_what_the_ablations_change() -> None:
    plain = PhantomRecon(size=32).batch(range(2))
    seen = PhantomRecon(size=32, inputs="magnitude").batch(range(2))
    torch.testing.assert_close(seen.zero_filled, plain.zero_filled.abs().to(torch.complex64))
    noisy = PhantomRecon(size=32, target_noise=0.1).batch(range(2))
    assert (noisy.target - plain.target).real.std().item() == pytest.approx(0.1, rel=0.1)
    untouched = PhantomRecon("test", size=32, target_noise=0.1).batch(range(2))
    assert torch.equal(untouched.target, PhantomRecon("test", size=32).batch(range(2)).target)
    options: dict[str, Any] = {"size": 64, "noise": 0.0, "accelerations": (4,)}
    smooth, rough = (PhantomRecon("test", rough_phase=sd, **options).batch([0]) for sd in (0, 0.3))
    turned = (rough.target * smooth.target.conj()).angle()[smooth.foreground]
    assert turned.std().item() == pytest.approx(0.3, rel=0.1)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="split.*holdout"):
        PhantomRecon("holdout")
    zeros = torch.zeros(1, 8, 8, dtype=torch.complex64)
    with pytest.raises(ValueError, match="zero_filled"):
        scale_to_input(zeros, zeros)


def test_foreground_is_what_exceeds_the_threshold() -> None:
    image = torch.tensor([[[1.0, FOREGROUND * 1.01, FOREGROUND * 0.99]]]).to(torch.complex64)
    assert foreground_mask(image).tolist() == [[[True, True, False]]]


def test_pairs_show_the_field_they_come_with() -> None:
    batch = PhantomMotion("test", size=96, accelerations=(4,)).batch(range(6))
    assert batch.target.shape == (6, 2, 96, 96) and batch.fixed.shape == (6, 96, 96)
    assert batch.target.abs().max() < PhantomMotion.largest(96)
    warped = warp(batch.moving_full.abs(), batch.target)
    before = (batch.moving_full.abs() - batch.fixed_full.abs()).square().sum((1, 2))
    after = (warped - batch.fixed_full.abs()).square().sum((1, 2))
    assert (after < 0.2 * before).sum() >= 5  # one pair in ten hardly moves
    masks = [fft2c(x[0]).abs() > 1e-4 for x in (batch.fixed, batch.moving)]
    assert not torch.equal(*masks)


def test_several_coils_see_the_same_images_with_other_noise() -> None:
    options: dict[str, Any] = {"size": 32, "noise": 0.0, "accelerations": (4,)}
    batch = PhantomSense("test", n_coils=3, **options).batch(range(3))
    single: ReconBatch = PhantomRecon("test", **options).batch(range(3))
    shapes = [tuple(x.shape) for x in (batch.kspace, batch.coil_sensitivities, batch.mask)]
    assert shapes == [(3, 3, 32, 32), (3, 3, 32, 32), (3, 32, 32)]
    ratio = (batch.target.abs().amax((1, 2)) / single.target.abs().amax((1, 2)))[:, None, None]
    torch.testing.assert_close(batch.target / ratio, single.target, atol=1e-4, rtol=1e-4)
    assert batch.zero_filled.abs().amax((1, 2)).tolist() == pytest.approx([1, 1, 1])
    assert not batch.kspace[~batch.mask.unsqueeze(1).expand_as(batch.kspace)].any()
