"""Quality of reconstructed images and of displacement fields: one number per sample.

Every metric of images takes ``(pred, target, mask)``: complex images (batch, row, column) and the
foreground as a boolean mask of the same shape, and returns (batch,) real numbers.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor

from perpcore._checks import check_displacement, check_same, single
from perpcore.data.kspace import PIXELS
from perpcore.losses import ssim_map

Images = Num[Tensor, "batch row column"]
Mask = Shaped[Tensor, "batch row column"]
Fields = Float[Tensor, "batch n *space"]
PerImage = Float[Tensor, "batch"]


def ssim(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return the mean SSIM of the magnitudes (whole image, 7×7 uniform window, range max |Y|)."""
    return ssim_map(_magnitude(pred), _magnitude(target)).mean(PIXELS)


def psnr(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return the PSNR of the magnitudes in dB (whole image, peak max |Y|)."""
    size = _magnitude(target)
    mse = (_magnitude(pred) - size).square_().mean(PIXELS)
    return 10 * torch.log10(size.amax(PIXELS).square() / mse)


def nrmse(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return ‖|Ŷ| − |Y|‖ / ‖Y‖, over the whole image."""
    return image_norm(pred.abs() - target.abs()) / image_norm(target)


def complex_nrmse(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return ‖Ŷ − Y‖ / ‖Y‖ of the complex images."""
    return image_norm(pred - target) / image_norm(target)


def phase_error(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return the mean of |Δφ| in rad, weighted with |Y|; 0 … π, without wraps.

    Δφ is the angle of the inner product Ŷ·conj(Y), not a difference of two angles.
    """
    weight = target.abs()
    return ((pred * target.conj()).angle().abs() * weight).sum(PIXELS) / weight.sum(PIXELS)


def magnitude_bias(pred: Images, target: Images, mask: Mask | None = None) -> PerImage:
    """Return Σ(|Ŷ| − |Y|) / Σ|Y| inside the mask; negative: underestimated."""
    inside = torch.ones_like(target.real) if mask is None else mask.to(target.real.dtype)
    size = target.abs()
    return ((pred.abs() - size) * inside).sum(PIXELS) / (size * inside).sum(PIXELS)


def _magnitude(x: Images) -> Tensor:
    # On a CPU twice as fast as abs(), which guards against overflow above 10¹⁹ (float32).
    if not x.is_complex():
        return x.abs()
    return (x.real.square() + x.imag.square()).sqrt_()


class Metric(NamedTuple):
    """A metric, how to write it on an axis, and in which direction it improves."""

    function: Callable[[Images, Images, Mask | None], PerImage]
    label: str
    better: str


METRICS: dict[str, Metric] = {
    "ssim": Metric(ssim, "SSIM", "higher"),
    "psnr": Metric(psnr, "PSNR (dB)", "higher"),
    "nrmse": Metric(nrmse, "NRMSE", "lower"),
    "complex_nrmse": Metric(complex_nrmse, "complex NRMSE", "lower"),
    "phase_error": Metric(phase_error, "phase error (rad)", "lower"),
    "magnitude_bias": Metric(magnitude_bias, "magnitude bias", "zero"),
}


def evaluate_images(pred: Images, target: Images, mask: Mask | None = None) -> dict[str, PerImage]:
    """Take all of METRICS for a batch of complex images.

    Raises TypeError or ValueError for inputs that are not complex, unequal in shape or not
    (batch, row, column), for an empty mask and for a target that is zero throughout.
    """
    check_same("pred", pred, "target", target)
    if not pred.is_complex():
        raise TypeError(f"pred: expected complex images, got {pred.dtype}")
    if pred.ndim != 3:
        raise ValueError(f"pred: expected (batch, row, column), got shape {tuple(pred.shape)}")
    if mask is not None and mask.shape != pred.shape:
        raise ValueError(f"mask: expected shape {tuple(pred.shape)}, got {tuple(mask.shape)}")
    inside = target.abs() > 0 if mask is None else mask.bool() & (target.abs() > 0)
    empty = (~inside.any(-1).any(-1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"target: images {empty} are zero everywhere (inside the mask)")
    pred, target = single(pred), single(target)
    return {name: metric.function(pred, target, mask) for name, metric in METRICS.items()}


def image_norm(x: Num[Tensor, "*batch row column"]) -> Float[Tensor, "*batch"]:
    """Return the Euclidean norm over rows and columns."""
    norm: Tensor = torch.linalg.vector_norm(x, dim=PIXELS)
    return norm


SMALLEST_MOTION = 0.5  # pixels of true motion below which an angle is not counted
FIELD_METRICS: dict[str, str] = {
    "epe": "EPE (px)",
    "magnitude_error": "magnitude error (px)",
    "motion_bias": "motion bias (px)",
    "angular_error": "angular error (°)",
    "folded_area": "folded area (%)",
    "warp_nrmse": "warped-image NRMSE",
}
"""What is measured of a registration, and how to write it on an axis."""


def evaluate_fields(pred: Fields, target: Fields, foreground: Shaped[Tensor, "batch *space"]) -> dict[str, PerImage]:
    """Measure displacement fields (batch, n, *space) in pixels inside `foreground` (batch, *space).

    "epe": mean ‖û − u‖ (px); "magnitude_error": mean |‖û‖ − ‖u‖| (px); "motion_bias": mean
    (‖û‖ − ‖u‖) (px); "angular_error": mean angle between
    û and u in degrees where ‖u‖ > 0.5 px, 0 where there is no such pixel.

    Raises TypeError or ValueError naming the argument: unequal shapes, n other than 2 or 3, values
    that are not finite, an empty foreground.
    """
    for name, field in (("pred", pred), ("target", target)):
        check_displacement(field, name)
        if not torch.isfinite(field).all():
            raise ValueError(f"{name}: expected finite displacements, got NaN or infinity")
    check_same("pred", pred, "target", target)
    if foreground.shape != target[:, 0].shape:
        raise ValueError(f"foreground: expected shape {tuple(target[:, 0].shape)}, got {tuple(foreground.shape)}")
    inside = foreground.flatten(1).to(target.dtype)
    empty = (inside.sum(1) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"foreground: masks {empty} are empty")
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
