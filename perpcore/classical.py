"""Reconstructions without a network, of a `ReconBatch` and parameters that `run.tune` chooses on validation images."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from scipy import ndimage
from torch.nn import functional

from perpcore.data.coils import solve_sense
from perpcore.data.datasets import Images, ReconBatch

FILTER_WEIGHT = 0.003  # λ of the image that the filter begins with


class Method(NamedTuple):
    """A function of batch and parameters, and the parameters to choose from."""

    reconstruct: Callable[..., Images]
    grid: Sequence[tuple[float, ...]]


def cg_sense(batch: ReconBatch, weight: float) -> Images:
    """Minimise ‖A x − y‖² + λ‖x‖² (Pruessmann et al. 2001)."""
    return solve_sense(batch.zero_filled, batch.coil_sensitivities, batch.mask, weight, steps=20)


def filtered(batch: ReconBatch, sigma: float, threshold: float) -> Images:
    """Blur CG-SENSE by `sigma` pixels; 0 where the local mean is below `threshold`, a share of its maximum."""
    plain = cg_sense(batch, FILTER_WEIGHT)
    blurred = ndimage.gaussian_filter(plain.cpu().numpy(), (0, sigma, sigma), mode="constant", radius=(0, 3, 3))
    image = torch.from_numpy(blurred).to(plain.device)
    local = functional.avg_pool2d(image.abs().unsqueeze(1), 3, 1, 1).squeeze(1)
    return image * (local > threshold * local.amax((-2, -1), keepdim=True))


def wavelet(batch: ReconBatch, weight: float) -> Images:
    """Minimise ½‖A x − y‖² + λ‖W x‖₁ with sigpy's L1WaveletRecon (Lustig et al. 2007), db4 wavelets, 60 iterations."""
    try:
        from sigpy.mri.app import L1WaveletRecon
    except ImportError:
        raise ValueError("wavelet: sigpy is not installed: pip install sigpy") from None
    images = []
    measured = (x.cpu().numpy() for x in (batch.kspace, batch.coil_sensitivities, batch.mask))
    for kspace, csm, mask in zip(*measured, strict=True):
        app = L1WaveletRecon(kspace, csm, weight, weights=mask.astype(kspace.real.dtype), max_iter=60, show_pbar=False)
        images.append(torch.from_numpy(app.run()))
    return torch.stack(images).to(batch.kspace)


METHODS: dict[str, Method] = {
    "zero_filled": Method(lambda batch: batch.zero_filled, [()]),
    "cg_sense": Method(cg_sense, [(weight,) for weight in (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03)]),
    "filter": Method(filtered, [(sigma, t) for sigma in (0.0, 0.4, 0.6, 0.8, 1.0) for t in (0.0, 0.03, 0.06, 0.1)]),
    "wavelet": Method(wavelet, [(weight,) for weight in (0.0001, 0.0003, 0.001, 0.003, 0.01)]),
}
