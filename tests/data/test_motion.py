"""Displacement fields: the convention, warping against scipy, no folding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import complex_tensor
from scipy import ndimage

from perpcore.data.motion import MAX_AMPLITUDE, SMALLEST_JACOBIAN, jacobian_determinant, respiratory, warp


def smooth_field(*space: int, seed: int = 0, size: float = 3.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    n = len(space)
    noise = rng.normal(size=(2, n, *space))
    field = ndimage.gaussian_filter(noise, (0, 0, *(5,) * n))
    return torch.from_numpy(field / np.abs(field).max() * size)


@pytest.mark.parametrize("space", [(20, 24), (10, 12, 14)])
def test_warping_equals_scipys_map_coordinates(space: tuple[int, ...]) -> None:
    image = torch.randn(2, *space, dtype=torch.float64)
    field = smooth_field(*space)
    grid = np.stack(np.meshgrid(*(np.arange(s) for s in space), indexing="ij")).astype(float)
    for k in range(2):
        # scipy's coordinates are (…, row, column), our components (x, y, …).
        positions = grid + field[k].numpy()[::-1]
        expected = ndimage.map_coordinates(image[k].numpy(), positions, order=1, mode="nearest")
        np.testing.assert_allclose(warp(image, field)[k].numpy(), expected, atol=1e-10)


def test_the_convention_by_a_translation() -> None:
    moving = torch.zeros(1, 9, 9)
    moving[0, 6, 2] = 1
    field = torch.zeros(1, 2, 9, 9)
    field[:, 0], field[:, 1] = -1, 3  # from one column to the left and three rows below
    fixed = warp(moving, field)
    assert fixed[0, 3, 3] == 1 and fixed.sum() == 1


def test_complex_images_and_channels() -> None:
    image, field = complex_tensor(2, 16, 16), smooth_field(16, 16)
    torch.testing.assert_close(warp(image, field).real, warp(image.real, field))
    channels = torch.stack([image.real, image.imag], 1)
    torch.testing.assert_close(warp(channels, field)[:, 1], warp(image.imag, field))


def test_jacobian_of_known_fields() -> None:
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    stretch = torch.stack([0.5 * x, -0.2 * y])[None]
    torch.testing.assert_close(jacobian_determinant(stretch), torch.full((1, 8, 8), 1.5 * 0.8))
    shear = torch.stack([0 * x, 3 * x])[None]
    torch.testing.assert_close(jacobian_determinant(shear), torch.ones(1, 8, 8))
    fold = torch.stack([-1.5 * x, 0 * y])[None]
    assert (jacobian_determinant(fold) < 0).all()
    volume = torch.stack(torch.meshgrid(*[torch.arange(6.0)] * 3, indexing="ij")[::-1])[None]
    torch.testing.assert_close(jacobian_determinant(volume), torch.full((1, 6, 6, 6), 8.0))


@pytest.mark.parametrize("sliding", [False, True])
def test_respiratory_fields_do_not_fold_and_look_like_breathing(sliding: bool) -> None:
    fields = respiratory(range(60), 96, seed=3, sliding=sliding)
    assert fields.shape == (60, 2, 96, 96)
    assert jacobian_determinant(fields).min() > SMALLEST_JACOBIAN * 0.99
    largest = torch.linalg.vector_norm(fields, dim=1).amax((1, 2))
    bound = 1.3 * MAX_AMPLITUDE * 96
    assert largest.max() <= bound and largest.max() > 0.7 * bound and largest.min() < 0.2 * bound
    sideways, headfeet = fields.abs().mean((0, 2, 3))
    assert headfeet > 4 * sideways
    by_row = fields[:, 1].abs().mean((0, 2))
    assert by_row.argmax().item() in range(36, 60)
    assert by_row[0] < 0.2 * by_row.max()
    wall = fields[..., :6].abs().amax() / fields.abs().amax()
    assert wall < 0.1
    assert (fields[:, 1, 48, 30].sign().mean().abs()) < 0.4  # either direction


def test_motion_fades_smoothly_or_slides_along_the_wall() -> None:
    """Steepest slope in amplitudes per field of view; a field that stops within a tenth of it has more than 10."""
    smooth, sliding = (respiratory(range(40), 96, seed=1, sliding=s) for s in (False, True))
    steepest = []
    for fields in (smooth, sliding):
        slopes = torch.stack(torch.gradient(fields, dim=(-2, -1))).abs().amax((0, 2, 3, 4))
        steepest.append(96 * slopes / torch.linalg.vector_norm(fields, dim=1).amax((1, 2)))
    assert steepest[0].max() < 8 and steepest[1].min() > 16


def test_fields_are_deterministic_per_index_and_exist_in_3d() -> None:
    many = respiratory(range(5), 32, seed=2)
    assert torch.equal(many[3], respiratory([3], 32, seed=2)[0])
    assert not torch.equal(many[3], respiratory([3], 32, seed=3)[0])
    volume = respiratory([0, 1], 24, seed=2, dims=3)
    assert volume.shape == (2, 3, 24, 24, 24)
    assert jacobian_determinant(volume).min() > SMALLEST_JACOBIAN * 0.99


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "displacement.*2, row, column", lambda: jacobian_determinant(torch.ones(1, 3, 8, 8))),
        (TypeError, "displacement.*int64", lambda: jacobian_determinant(torch.ones(1, 2, 8, 8).long())),
        (ValueError, "image", lambda: warp(torch.ones(1, 8, 9), torch.ones(1, 2, 8, 8))),
        (ValueError, "image", lambda: warp(torch.ones(2, 8, 8), torch.ones(1, 2, 8, 8))),
        (ValueError, "dims", lambda: respiratory([0], 32, dims=4)),
        (ValueError, "size", lambda: respiratory([0], 8)),
        (ValueError, "indices", lambda: respiratory([], 32)),
    ],
)  # fmt: skip
def test_wrong_input_is_named(error: type[Exception], words: str, call) -> None:
    with pytest.raises(error, match=words):
        call()
