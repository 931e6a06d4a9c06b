"""Fourier transforms as mathematics, masks by the published rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import complex_tensor

from perpcore.data.kspace import MASKS, complex_noise, fft2c, ifft2c, sampling_mask


@pytest.mark.parametrize("shape", [(8, 8), (9, 12), (15, 7)])
def test_fft_is_centred_orthonormal_and_inverted(shape: tuple[int, int]) -> None:
    image = complex_tensor(2, *shape)
    kspace = fft2c(image)
    expected = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(image.numpy(), (-2, -1)), norm="ortho"), (-2, -1))
    np.testing.assert_allclose(kspace.numpy(), expected, atol=1e-12)
    torch.testing.assert_close(ifft2c(kspace), image)
    torch.testing.assert_close(kspace.abs().square().sum(), image.abs().square().sum())
    dc = torch.zeros(shape, dtype=torch.complex128)
    dc[shape[0] // 2, shape[1] // 2] = 1
    flat = ifft2c(dc)
    torch.testing.assert_close(flat, torch.full_like(flat, 1 / np.sqrt(flat.numel())))


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("acceleration", [2, 4, 8])
@pytest.mark.parametrize("shape", [(64, 64), (48, 80)])
def test_masks_reach_their_acceleration(kind: str, acceleration: int, shape) -> None:
    masks = [sampling_mask(kind, shape, acceleration, np.random.default_rng(seed)) for seed in range(24)]
    reached = 1 / np.mean([m.float().mean().item() for m in masks])
    # Random columns vary from draw to draw, spokes stop at the first that is enough.
    assert reached == pytest.approx(acceleration, rel=0.1)
    for mask in masks:
        assert mask.shape == shape and mask.dtype == torch.bool
        assert mask[shape[0] // 2, shape[1] // 2]
    again = sampling_mask(kind, shape, acceleration, np.random.default_rng(0))
    assert torch.equal(masks[0], again)
    assert not torch.equal(masks[0], masks[1])


def test_random_columns_follow_the_rules_of_fastmri() -> None:
    columns = 320
    for acceleration, fraction in ((4, 0.08), (8, 0.04)):
        low = round(columns * fraction)
        mask = sampling_mask("random", (16, columns), acceleration, np.random.default_rng(1))
        assert (mask == mask[0]).all()
        start = (columns - low + 1) // 2
        assert mask[0, start : start + low].all()


def test_noise_has_the_standard_deviation_asked_for() -> None:
    noise = complex_noise((200, 200), 0.5, torch.Generator().manual_seed(0), "cpu")
    assert noise.real.std().item() == pytest.approx(0.5, rel=0.02)
    assert noise.imag.std().item() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("kind", ("spiral", (64, 64), 4)),
        ("shape", ("random", (64,), 4)),
        ("shape", ("random", (4, 64), 4)),
        ("acceleration", ("random", (64, 64), 0.5)),
        ("acceleration", ("random", (64, 64), 64)),
    ],
)
def test_wrong_input_is_named(words: str, arguments: tuple) -> None:
    with pytest.raises(ValueError, match=words):
        sampling_mask(*arguments, np.random.default_rng(0))


def test_acceleration_one_samples_everything() -> None:
    assert sampling_mask("radial", (16, 16), 1, np.random.default_rng(0)).all()


def test_spokes_are_added_one_by_one_until_there_are_enough() -> None:
    """The rule, spelt out."""
    for shape, acceleration in (((32, 32), 1.5), ((48, 80), 4), ((96, 96), 12)):
        rng = np.random.default_rng(5)
        angle, (rows, columns) = rng.uniform(0, np.pi), shape
        expected = np.zeros(shape, dtype=bool)
        while expected.sum() < rows * columns / acceleration:
            for radius in np.linspace(-0.5, 0.5, 4 * max(shape)):
                r = round(rows // 2 + radius * rows * np.sin(angle))
                c = round(columns // 2 + radius * columns * np.cos(angle))
                if 0 <= r < rows and 0 <= c < columns:
                    expected[r, c] = True
            angle += np.pi * (np.sqrt(5) - 1) / 2
        found = sampling_mask("radial", shape, acceleration, np.random.default_rng(5))
        np.testing.assert_array_equal(found.numpy(), expected)


def test_spokes_cannot_cover_the_corners() -> None:
    with pytest.raises(ValueError, match="acceleration: expected 1 or at least 1.3"):
        sampling_mask("radial", (32, 32), 1.1, np.random.default_rng(0))
