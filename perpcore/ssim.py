"""Structural similarity, shared by the losses and the metrics."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from perpcore._checks import check_same, single

SSIM_WINDOW = 7


def ssim_map(
    pred: Tensor, target: Tensor, *, window: int = SSIM_WINDOW, data_range: Tensor | None = None
) -> Tensor:
    """Structural similarity in a uniform window, with the sample covariance (Wang et al. 2004).

    Equal to scikit-image's default and to the SSIM of the fastMRI benchmark.

    Parameters
    ----------
    pred, target : Tensor
        Real images (..., row, column), of one shape.
    window : int
        Odd side of the window, in pixels.
    data_range : Tensor, optional
        Range L of each image, broadcastable to (...); by default the maximum of each target.

    Returns
    -------
    Tensor
        (..., row − window + 1, column − window + 1); 1 where the images agree.
    """
    check_same("pred", pred, "target", target)
    if pred.is_complex():
        raise TypeError(f"pred: expected real magnitudes, got {pred.dtype}")
    if pred.ndim < 2 or min(pred.shape[-2:]) < window:
        raise ValueError(
            f"pred: expected images of at least {window}×{window} pixels for SSIM's window, "
            f"got shape {tuple(pred.shape)}"
        )
    pred, target = single(pred), single(target)
    if data_range is None:
        peak = target.detach().amax((-2, -1))
        data_range = peak + (peak == 0)
    c1, c2 = ((k * data_range[..., None, None]) ** 2 for k in (0.01, 0.03))
    shape = pred.shape[:-2]
    # SSIM needs the two variances only as their sum: four maps instead of five.
    stack = torch.stack([pred, target, pred * pred + target * target, pred * target])
    channels = stack.reshape(1, -1, *pred.shape[-2:])
    kernel = channels.new_full((channels.shape[1], 1, window, window), 1 / window**2)
    # As a depthwise convolution, 6 times faster than pooling on a CPU. Not in half precision:
    # variances are differences of large numbers.
    with torch.autocast(pred.device.type, enabled=False):
        pooled = functional.conv2d(channels, kernel, groups=channels.shape[1])
    mx, my, squares, mxy = pooled.reshape(4, *shape, *pooled.shape[-2:])
    product, means = mx * my, mx * mx + my * my
    sample = window**2 / (window**2 - 1)
    luminance = (2 * product + c1) / (means + c1)
    similarity: Tensor = (
        luminance * (2 * sample * (mxy - product) + c2) / (sample * (squares - means) + c2)
    )
    return similarity
