"""Quality of images and displacement fields, one number per sample.

Metrics of images take complex images and a boolean foreground, (batch, row, column), and return (batch,).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor

from perpcore._checks import check_displacement, check_same, require, single
from perpcore.data.kspace import PIXELS
from perpcore.losses import ssim_map

Images = Num[Tensor, "batch row column"]
Mask = Shaped[Tensor, "batch row column"]
Fields = Float[Tensor, "batch n *space"]
PerImage = Float[Tensor, "batch"]


def ssim(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return the mean SSIM of the magnitudes inside the mask (7×7 uniform window, range max |Y|)."""
    similarity = ssim_map(_magnitude(pred), _magnitude(target))
    border = (target.shape[-1] - similarity.shape[-1]) // 2  # windows that reach over the edge are left out
    inside = None if mask is None else mask[..., border : mask.shape[-2] - border, border : mask.shape[-1] - border]
    return _mean(similarity, inside)


def psnr(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return the PSNR of the magnitudes in dB (mean squared error inside the mask, peak max |Y|)."""
    size = _magnitude(target)
    mse = _mean((_magnitude(pred) - size).square(), mask)
    return 10 * torch.log10(size.amax(PIXELS).square() / mse)


def complex_nrmse(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return ‖Ŷ − Y‖ / ‖Y‖ of the complex images inside the mask."""
    return (_mean((pred - target).abs().square(), mask) / _mean(target.abs().square(), mask)).sqrt()


def phase_error(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return the mean of |∠(Ŷ·conj(Y))| in rad inside the mask, weighted with |Y|: 0 … π, without wraps."""
    weight = target.abs()
    return _mean((pred * target.conj()).angle().abs() * weight, mask) / _mean(weight, mask)


def magnitude_bias(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return Σ(|Ŷ| − |Y|) / Σ|Y| inside the mask; negative: underestimated."""
    return _mean(pred.abs() - target.abs(), mask) / _mean(target.abs(), mask)


def _mean(values: Tensor, mask: Mask | None) -> PerImage:
    if mask is None:
        return values.mean(PIXELS)
    inside = mask.to(values.dtype)
    return (values * inside).sum(PIXELS) / inside.sum(PIXELS)


def _magnitude(x: Images) -> Tensor:
    # On a CPU twice as fast as abs(), which guards against overflow above 10¹⁹ (float32).
    return (x.real.square() + x.imag.square()).sqrt_() if x.is_complex() else x.abs()


class Metric(NamedTuple):
    """A metric, how to write it on an axis, and in which direction it improves."""

    function: Callable[[Images, Images, Mask | None], PerImage]
    label: str
    better: str


METRICS: dict[str, Metric] = {
    "ssim": Metric(ssim, "SSIM", "higher"),
    "psnr": Metric(psnr, "PSNR (dB)", "higher"),
    "complex_nrmse": Metric(complex_nrmse, "complex NRMSE", "lower"),
    "phase_error": Metric(phase_error, "phase error (rad)", "lower"),
    "magnitude_bias": Metric(magnitude_bias, "magnitude bias", "zero"),
    "ssim_whole": Metric(lambda pred, target, mask: ssim(pred, target), "SSIM, whole image", "higher"),
    "psnr_whole": Metric(lambda pred, target, mask: psnr(pred, target), "PSNR (dB), whole image", "higher"),
}


def evaluate_images(pred: Images, target: Images, mask: Mask | None = None) -> dict[str, PerImage]:
    """Take all of METRICS for a batch of complex images.

    Raises TypeError or ValueError for other shapes or dtypes, an empty mask and a target that is zero throughout.
    """
    check_same("pred", pred, "target", target)
    if not pred.is_complex():
        raise TypeError(f"pred: expected complex images, got {pred.dtype}")
    shape = tuple(pred.shape)
    require(pred.ndim == 3, f"pred: expected (batch, row, column), got shape {shape}")
    if mask is not None:
        require(mask.shape == shape, f"mask: expected shape {shape}, got {tuple(mask.shape)}")
    inside = target.abs() > 0 if mask is None else mask.bool() & (target.abs() > 0)
    empty = (~inside.any(-1).any(-1)).nonzero().flatten().tolist()
    require(not empty, f"target: images {empty} are zero everywhere (inside the mask)")
    pred, target = single(pred), single(target)
    return {name: metric.function(pred, target, mask) for name, metric in METRICS.items()}


SMALLEST_MOTION = 0.5  # pixels of true motion below which an angle is not counted
FIELD_METRICS: dict[str, str] = {
    "epe": "EPE (px)", "magnitude_error": "magnitude error (px)", "motion_bias": "motion bias (px)",
    "angular_error": "angular error (°)", "folded_area": "folded area (%)", "warp_nrmse": "warped-image NRMSE",
}  # fmt: skip
"""What is measured of a registration, and how to write it on an axis."""


def evaluate_fields(pred: Fields, target: Fields, foreground: Shaped[Tensor, "batch *space"]) -> dict[str, PerImage]:
    """Measure displacement fields (batch, n, *space) in pixels inside `foreground` (batch, *space).

    "epe": mean ‖û − u‖ (px); "magnitude_error": mean |‖û‖ − ‖u‖| (px); "motion_bias": mean (‖û‖ − ‖u‖) (px);
    "angular_error": mean angle between û and u in degrees where ‖u‖ > 0.5 px. A pair without such a pixel has no angle:
    its entry is 0, not NaN, so that means stay finite; who averages angles leaves these pairs out (notebook 07).

    Raises TypeError or ValueError naming the argument: unequal shapes, n other than 2 or 3, values that are not finite,
    an empty foreground.
    """
    for name, field in (("pred", pred), ("target", target)):
        check_displacement(field, name)
        require(bool(torch.isfinite(field).all()), f"{name}: expected finite displacements, got NaN or infinity")
    check_same("pred", pred, "target", target)
    expected, got = tuple(target[:, 0].shape), tuple(foreground.shape)
    require(got == expected, f"foreground: expected shape {expected}, got {got}")
    inside = foreground.flatten(1).to(target.dtype)
    empty = (inside.sum(1) == 0).nonzero().flatten().tolist()
    require(not empty, f"foreground: masks {empty} are empty")
    pred, target = pred.flatten(2), target.flatten(2)
    found, true = torch.linalg.vector_norm(pred, dim=1), torch.linalg.vector_norm(target, dim=1)
    inner = (pred * target).sum(1)
    # atan2 of the rejection and the inner product: accurate at small angles, unlike acos.
    across = torch.linalg.vector_norm(pred * true.unsqueeze(1) ** 2 - inner.unsqueeze(1) * target, dim=1)
    angle = torch.rad2deg(torch.atan2(across, inner * true))
    counted = inside * (true > SMALLEST_MOTION)

    def mean(values: Tensor, weight: Tensor) -> Tensor:
        return (values * weight).sum(1) / weight.sum(1).clamp_min(1)

    return {
        "epe": mean(torch.linalg.vector_norm(pred - target, dim=1), inside),
        "magnitude_error": mean((found - true).abs(), inside),
        "motion_bias": mean(found - true, inside),
        "angular_error": mean(angle, counted),
    }
