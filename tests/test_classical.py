"""Reconstructions without a network: what each must do on an image that it can reconstruct."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from perpcore.classical import FILTER_WEIGHT, METHODS, cg_sense, filtered, wavelet
from perpcore.data.coils import sense_forward
from perpcore.data.datasets import Recon, foreground_mask
from perpcore.experiments.configs import CLASSICAL
from perpcore.metrics import psnr


class Discs(Recon):
    """Discs of two values with a smooth phase."""

    def images(self, indices: Sequence[int]) -> Any:
        axis = torch.linspace(-1, 1, self.size)
        x, y = axis[None, :], axis[:, None]
        magnitude = ((x**2 + y**2) < 0.6).float() - 0.5 * (((x - 0.2) ** 2 + y**2) < 0.1).float()
        image = torch.polar(magnitude, 2 * x + y**2).expand(len(indices), -1, -1)
        return image, foreground_mask(image)


def discs(size: int = 32, acceleration: int = 4, noise: float = 0.02) -> Any:
    return Discs("test", size=size, accelerations=(acceleration,), noise=noise).batch(range(2))


def quality(image: torch.Tensor, batch: Any) -> float:
    return psnr(image, batch.target, batch.foreground).mean().item()


@pytest.mark.parametrize("name", CLASSICAL)
def test_every_method_improves_on_the_zero_filled_image(name: str) -> None:
    if name == "wavelet":
        pytest.importorskip("sigpy", reason="wavelets need sigpy (extra experiments)")
    batch, (reconstruct, grid) = discs(), METHODS[name]
    if name == "zero_filled":
        assert torch.equal(reconstruct(batch), batch.zero_filled)
        return
    best = max(quality(reconstruct(batch, *parameters), batch) for parameters in grid[1::4])
    assert best > quality(batch.zero_filled, batch) + 1


def test_configurations_and_methods_have_the_same_names() -> None:
    assert tuple(METHODS) == CLASSICAL


def test_cg_sense_equals_a_dense_solve() -> None:
    batch = discs(size=10, acceleration=2)
    basis = torch.eye(100, dtype=torch.complex64).view(100, 1, 10, 10).expand(-1, 2, -1, -1)
    forward = [sense_forward(image, batch.coil_sensitivities, batch.mask).flatten(1) for image in basis]
    matrix = torch.stack(forward, -1)
    normal = matrix.mH @ matrix + 0.1 * torch.eye(100)
    expected = torch.linalg.solve(normal, batch.zero_filled.flatten(1)).view_as(batch.target)
    torch.testing.assert_close(cg_sense(batch, 0.1), expected, atol=1e-3, rtol=0)


def test_the_filter_blurs_cg_sense_and_empties_what_is_dark() -> None:
    batch = discs()
    plain = cg_sense(batch, FILTER_WEIGHT)
    assert torch.equal(filtered(batch, 0.0, 0.0), plain)
    kept = filtered(batch, 0.0, 0.3)
    empty = kept == 0
    assert torch.equal(kept[~empty], plain[~empty])
    corner = empty[:, :3, :3]
    assert corner.all() and not empty[batch.foreground & (batch.target.abs() > 0.9)].any()
    taps = torch.exp(-((torch.arange(-3.0, 4.0) / 0.8) ** 2) / 2).to(torch.complex64)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    expected = torch.nn.functional.conv2d(plain[:, None], kernel[None, None], padding="same")[:, 0]
    torch.testing.assert_close(filtered(batch, 0.8, 0.0), expected, rtol=1e-5, atol=1e-6)


def test_wavelets_give_a_fully_sampled_image_back() -> None:
    """In the scale of the batch; and nothing where the penalty is huge."""
    pytest.importorskip("sigpy", reason="wavelets need sigpy (extra experiments)")
    batch = discs(acceleration=1, noise=0.0)
    found = wavelet(batch, 1e-6)
    assert found.dtype == torch.complex64
    torch.testing.assert_close(found, batch.target, atol=2e-3, rtol=0)
    assert wavelet(batch, 100.0).abs().max() < 1e-3


def test_a_missing_sigpy_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigpy.mri.app", None)
    with pytest.raises(ValueError, match="wavelet: sigpy is not installed: pip install sigpy"):
        wavelet(discs(), 0.01)
