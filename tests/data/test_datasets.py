"""What training draws: the same images for every loss, batch size and order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from conftest import NEEDS_BRAINS
from torch.utils.data import DataLoader

from perpcore.data import phantoms
from perpcore.data.coils import sense_adjoint, sense_forward
from perpcore.data.datasets import FOREGROUND, PhantomMotion, PhantomRecon, Samples, foreground_mask
from perpcore.data.kspace import fft2c
from perpcore.data.motion import warp

Abdomens = partial(PhantomRecon, anatomy="abdomen")
ALL: list[Any] = [pytest.param(Abdomens, id="abdomens"), pytest.param(PhantomRecon, marks=NEEDS_BRAINS), PhantomMotion]
CLEAN: dict[str, Any] = {"size": 32, "noise": 0.0, "accelerations": (4,), "sampling": "random"}


def close(a: Any, b: Any) -> None:
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ALL)
def test_a_sample_depends_on_its_index_only(kind: Callable[..., Samples[Any]]) -> None:
    data = kind("test", 8, size=32, accelerations=(4,))
    whole = data.batch(range(4))
    close([part[2:3] for part in whole], data.batch([2]))
    close([part[2] for part in whole], data[2])
    again = kind("test", 5, size=32, accelerations=(4,), seed=9).batch(range(4))
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


@pytest.mark.parametrize("kind", ALL)
def test_a_data_loader_gives_the_same_batches(kind: Callable[..., Samples[Any]]) -> None:
    data = kind("train", 5, size=32)
    batches = list(DataLoader(data, batch_size=2))
    assert len(data) == 5 and [len(b.target) for b in batches] == [2, 2, 1]
    assert type(batches[0]) is type(data[0])
    close(batches[1], data.batch(range(2, 4)))
    with pytest.raises(IndexError, match="expected 0 … 4, got 5"):
        data[5]


def test_training_images_depend_on_the_seed_the_others_do_not() -> None:
    train, other = Abdomens(size=32), Abdomens(size=32, seed=1)
    assert not torch.equal(train.batch(range(2)).target, other.batch(range(2)).target)
    images = [train.batch(range(2)).target, train.batch(range(2, 4)).target]
    images += [Abdomens(s, size=32).batch(range(2)).target for s in ("validation", "test")]
    flat = torch.cat(images).flatten(1)
    distance = (flat[:, None] - flat[None]).abs().mean(-1)
    assert (distance + torch.eye(len(flat)) > 1e-3).all()


def test_a_batch_is_what_its_coils_have_measured() -> None:
    batch = Abdomens("test", n_coils=3, **CLEAN).batch(range(2))
    shapes = [tuple(x.shape) for x in (batch.kspace, batch.coil_sensitivities, batch.mask)]
    assert shapes == [(2, 3, 32, 32), (2, 3, 32, 32), (2, 32, 32)]
    assert batch.inputs == (batch.zero_filled, batch.coil_sensitivities, batch.mask)
    torch.testing.assert_close(sense_forward(batch.target, *batch.inputs[1:]), batch.kspace, atol=1e-5, rtol=0)
    torch.testing.assert_close(sense_adjoint(batch.kspace, *batch.inputs[1:]), batch.zero_filled, atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.zero_filled.abs().amax((-2, -1)), torch.ones(2))
    assert batch.mask.float().mean().item() == pytest.approx(1 / 4, abs=0.08)
    assert not torch.equal(batch.mask[0], batch.mask[1])
    assert not torch.equal(batch.coil_sensitivities[0], batch.coil_sensitivities[1])


def test_the_noise_is_in_every_coil_and_of_the_stated_size() -> None:
    batch = Abdomens("test", n_coils=3, **{**CLEAN, "noise": 0.05}).batch(range(2))
    noise = batch.kspace - sense_forward(batch.target, *batch.inputs[1:])
    for image, sampled, target in zip(noise, batch.mask, batch.target, strict=True):
        for coil in image:
            sd = coil[sampled].real.std() / target.abs().max()  # of images of maximum 1
            assert sd.item() == pytest.approx(0.05, rel=0.2)
    assert (noise[0, 0] - noise[0, 1])[batch.mask[0]].abs().min() > 0


def test_training_draws_every_acceleration() -> None:
    mask = Abdomens(size=32, accelerations=(2, 8)).batch(range(12)).mask
    shares = mask.float().mean((1, 2))
    assert ((shares > 0.4) | (shares < 0.2)).all() and shares.min() < 0.2 and shares.max() > 0.4


def test_ranges_of_noise_and_roughness_are_filled() -> None:
    ranges = {"noise": (0.0, 0.05), "roughness": (0.0, 1.0)}
    batch = Abdomens("test", **{**CLEAN, "size": 64, **ranges}).batch(range(24))
    noise = batch.kspace - sense_forward(batch.target, *batch.inputs[1:]) * batch.mask.unsqueeze(1)
    spread = [n[:, m].real.std() / t.abs().max() for n, m, t in zip(noise, batch.mask, batch.target, strict=True)]
    assert min(spread) < 0.01 and 0.04 < max(spread) < 0.055
    smooth = Abdomens("test", **{**CLEAN, "size": 64, "roughness": 0.0}).batch(range(24))
    turned = (batch.target * smooth.target.conj()).angle()
    rough = [t[inside].std() for t, inside in zip(turned, smooth.foreground, strict=True)]
    assert min(rough) < 0.2 and max(rough) > 0.6


def test_what_the_ablations_change() -> None:
    plain, noisy = (Abdomens(size=32, target_noise=sd).batch(range(2)) for sd in (0.0, 0.1))
    assert (noisy.target - plain.target).real.std().item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(noisy.zero_filled, plain.zero_filled)
    for split in ("validation", "test"):
        plain, noisy = (Abdomens(split, size=32, target_noise=sd).batch(range(2)) for sd in (0.0, 0.1))
        assert torch.equal(noisy.target, plain.target)
    smooth, rough = (Abdomens("test", roughness=sd, **{**CLEAN, "size": 64}).batch(range(4)) for sd in (0.0, 0.3))
    sizes = [batch.target.abs() / batch.target.abs().amax((1, 2), keepdim=True) for batch in (smooth, rough)]
    torch.testing.assert_close(*sizes, atol=1e-5, rtol=0)
    turned = (rough.target * smooth.target.conj()).angle()[smooth.foreground]
    assert turned.std().item() == pytest.approx(0.3, rel=0.1)


@pytest.mark.parametrize("anatomy", [pytest.param("brain", marks=NEEDS_BRAINS), "abdomen"])
def test_the_images_are_those_of_the_anatomy_with_its_roughness(anatomy: str) -> None:
    data = PhantomRecon("test", anatomy=anatomy, **CLEAN)
    image, body = phantoms.generate([3], 32, seed=data.seed, kind=anatomy, roughness=phantoms.ROUGHNESS[anatomy])
    batch = data.batch([3])
    torch.testing.assert_close(batch.target / batch.target.abs().max(), image)
    assert torch.equal(batch.foreground, body & (image.abs() > FOREGROUND))


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="split.*holdout"):
        PhantomRecon("holdout")


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


def test_sliding_pairs_move_otherwise() -> None:
    smooth, sliding = (PhantomMotion("test", size=32, sliding=s).batch([0]).target for s in (False, True))
    assert not torch.equal(smooth, sliding)
