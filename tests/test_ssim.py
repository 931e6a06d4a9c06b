"""The SSIM map against scikit-image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity

from perpcore.ssim import ssim_map


@pytest.mark.parametrize("window", [3, 7, 11])
def test_map_equals_scikit_image(window: int) -> None:
    rng = np.random.default_rng(0)
    target = rng.random((2, 3, 20, 24))
    pred = target + rng.normal(0, 0.2, target.shape)
    ours = ssim_map(torch.from_numpy(pred), torch.from_numpy(target), window=window)
    edge = window // 2
    for index in np.ndindex(2, 3):
        y = target[index]
        _, full = structural_similarity(
            pred[index], y, win_size=window, data_range=y.max(), full=True
        )
        inside = full[edge:-edge, edge:-edge]
        np.testing.assert_allclose(ours[index].numpy(), inside, atol=1e-10)


def test_data_range_and_empty_images() -> None:
    a, b = torch.rand(1, 16, 16), torch.rand(1, 16, 16)
    wide = ssim_map(a, b, data_range=torch.tensor([100.0]))
    assert (wide > ssim_map(a, b)).all()
    zero = torch.zeros(1, 16, 16)
    torch.testing.assert_close(ssim_map(zero, zero), torch.ones(1, 10, 10))


def test_autocast_does_not_spoil_the_variances() -> None:
    target = 1 + 0.01 * torch.rand(1, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = ssim_map(target, target.flip(-1))
    torch.testing.assert_close(value, ssim_map(target, target.flip(-1)))


def test_wrong_input_is_named() -> None:
    with pytest.raises(TypeError, match="pred.*real"):
        ssim_map(torch.ones(8, 8) + 0j, torch.ones(8, 8) + 0j)
    with pytest.raises(ValueError, match="pred.*7×7"):
        ssim_map(torch.ones(6, 8), torch.ones(6, 8))
