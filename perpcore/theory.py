"""Theory: the losses as functions of magnitude ratio and angle, and what minimises them.

The landscape of a loss is its value for Ŷ = ρ·exp(iΔφ)·Y of a small textured image Y of maximum 1: ρ and Δφ are the
same in every pixel, so that SSIM, which needs a neighbourhood, is treated like the others.
"""

import numpy as np
import torch
from scipy import optimize
from torch import Tensor, nn

from perpcore.losses import LOSSES


def texture(size: int = 16, seed: int = 0) -> Tensor:
    """The image Y of a landscape: complex128 (size, size), magnitudes 0.2 … 1, any phases."""
    rng = np.random.default_rng(seed)
    magnitude, phase = rng.uniform(0.2, 1, (size, size)), rng.uniform(-np.pi, np.pi, (size, size))
    return torch.from_numpy(magnitude / magnitude.max() * np.exp(1j * phase))


def landscape(loss: nn.Module | str, ratio: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Loss over ratios |Ŷ|/|Y| and angles Δφ (rad); (len(angle), len(ratio))."""
    factors = torch.from_numpy(ratio * np.exp(1j * angle[:, None])).flatten()
    target = texture()
    values: Tensor = torch.func.vmap(_named(loss), in_dims=(0, None))(factors[:, None, None] * target, target)
    return values.detach().reshape(len(angle), len(ratio)).numpy()


def symmetry_index(loss: nn.Module | str, count: int = 25) -> float:
    """1 − Σ|L(1+d, Δφ) − L(1−d, Δφ)| / Σ(L(1+d, Δφ) + L(1−d, Δφ)), d < 1, |Δφ| ≤ π: 1 is symmetric in magnitude."""
    deviation, angle = np.linspace(0, 0.99, count), np.linspace(-np.pi, np.pi, count)
    above, below = landscape(loss, 1 + deviation, angle), landscape(loss, 1 - deviation, angle)
    return float(1 - np.abs(above - below).sum() / (above + below).sum())


def homogeneity(loss: nn.Module | str, factor: float = 10.0) -> float:
    """Degree p of L(cŶ, cY) = c^p L(Ŷ, Y) between c = 1 and `factor`; a mixture is not whole."""
    function, target = _named(loss), texture()
    pred = (0.6 + 0.7j) * target
    ratio = function(factor * pred, factor * target) / function(pred, target)
    return float(np.log(ratio.item()) / np.log(factor))


def descent_field(loss: nn.Module | str, pred: np.ndarray, target: complex = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Loss and its negative gradient at complex predictions of a single-pixel target."""
    function = _named(loss, reduction="none")
    z = torch.from_numpy(np.asarray(pred, dtype=np.complex128)).requires_grad_()
    value = function(z, torch.full_like(z, target))
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach().numpy(), -gradient.numpy()


def gradient_flow(loss: nn.Module | str, start: np.ndarray, step: float = 0.01, steps: int = 1000) -> np.ndarray:
    """Paths of descent from complex starts to Y = 1, gradients cut to length 1 as in training; (steps + 1, starts)."""
    path = [np.asarray(start, dtype=np.complex128)]
    for _ in range(steps):
        _, downhill = descent_field(loss, path[-1])
        path.append(path[-1] + step * downhill / np.maximum(np.abs(downhill), 1))
    return np.stack(path)


def minimising_magnitude(loss: nn.Module | str, targets: np.ndarray) -> float:
    """Magnitude 0 ≤ m ≤ 3 max|Y| of a prediction of phase 0 that minimises the mean loss over samples `targets`."""
    function, target = _named(loss), torch.from_numpy(np.asarray(targets, dtype=np.complex128))
    found = optimize.minimize_scalar(
        lambda m: function(torch.full_like(target, m), target).item(),
        bounds=(0, 3 * target.abs().max().item()), method="bounded", options={"xatol": 1e-5},
    )  # fmt: skip
    return float(found.x)


def _named(loss: nn.Module | str, **options: str) -> nn.Module:
    return LOSSES[loss](**options) if isinstance(loss, str) else loss
