"""Fourier transforms, undersampling masks and noise of Cartesian MRI.

Images and k-space are complex tensors (..., row, column), with the centre of k-space (DC) at
index n // 2. Masks are boolean tensors, True where k-space is sampled.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Complex, Num
from torch import Tensor

Mask = Bool[Tensor, "row column"]

_AXES = (-2, -1)


def fft2c(image: Num[Tensor, "*batch row column"]) -> Complex[Tensor, "*batch row column"]:
    """Centred orthonormal 2D Fourier transform, image → k-space."""
    kspace = torch.fft.fft2(torch.fft.ifftshift(image, dim=_AXES), norm="ortho")
    centred: Tensor = torch.fft.fftshift(kspace, dim=_AXES)
    return centred


def ifft2c(kspace: Num[Tensor, "*batch row column"]) -> Complex[Tensor, "*batch row column"]:
    """Centred orthonormal 2D Fourier transform, k-space → image; inverse of `fft2c`."""
    image = torch.fft.ifft2(torch.fft.ifftshift(kspace, dim=_AXES), norm="ortho")
    centred: Tensor = torch.fft.fftshift(image, dim=_AXES)
    return centred


def crop_center(kspace: Complex[Tensor, "*batch row column"], size: int) -> Tensor:
    """Central (size, size) of centred k-space: the same field of view at lower resolution."""
    rows, columns = kspace.shape[-2:]
    if min(rows, columns) < size:
        raise ValueError(f"kspace: expected at least {size}×{size}, got {rows}×{columns}")
    top, left = rows // 2 - size // 2, columns // 2 - size // 2
    return kspace[..., top : top + size, left : left + size]


def complex_noise(
    shape: tuple[int, ...], sd: float, generator: torch.Generator, device: torch.device | str
) -> Complex[Tensor, "*shape"]:
    """Complex Gaussian noise, standard deviation `sd` in each of real and imaginary part.

    Drawn on the generator's device (the CPU, as elsewhere, for equal values on every device).
    """
    parts = torch.randn((*shape, 2), generator=generator, device=generator.device)
    return torch.view_as_complex(parts * sd).to(device)


def center_fraction(acceleration: float) -> float:
    """Share of columns in the fully sampled centre: 0.08 at acceleration 4, 0.04 at 8 (fastMRI)."""
    return 0.32 / acceleration


def random_mask(shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Random columns around a full centre, `acceleration` on average (fastMRI's "random")."""
    rows, columns = shape
    low = _center_columns(columns, acceleration)
    probability = (columns / acceleration - low) / (columns - low)
    chosen = rng.random(columns) < probability
    return _columns_to_mask(chosen, low, rows)


def equispaced_mask(shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Evenly spaced columns from a random offset, and a full centre (fastMRI's "equispaced")."""
    rows, columns = shape
    low = _center_columns(columns, acceleration)
    # Wider spacing outside, so that centre and comb together give the acceleration asked for.
    spacing = acceleration * (low - columns) / (low * acceleration - columns)
    positions = np.arange(rng.integers(0, max(round(spacing), 1)), columns - 1, spacing)
    chosen = np.zeros(columns, dtype=bool)
    chosen[np.around(positions).astype(int)] = True
    return _columns_to_mask(chosen, low, rows)


SMALLEST_RADIAL = 1.3
"""4/π = 1.27 is the square over its inscribed disc."""


def radial_mask(shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Pseudo-radial: golden-angle spokes through the centre, rounded to the grid.

    Spokes are added from a random first angle until 1/`acceleration` of the grid is covered.
    """
    if acceleration < SMALLEST_RADIAL:
        raise ValueError(
            f"acceleration: expected 1 or at least {SMALLEST_RADIAL} for spokes, which leave the "
            f"corners of k-space, got {acceleration}"
        )
    rows, columns = shape
    wanted = rows * columns / acceleration
    radius = np.linspace(-1, 1, 4 * max(shape)) / 2
    angle = rng.uniform(0, np.pi)
    # About so many spokes are needed; all are laid at once, then those beyond 1/R taken away.
    count = int(1.2 * max(shape) / acceleration) + 2
    while True:
        angles = angle + np.pi * (np.sqrt(5) - 1) / 2 * np.arange(count)[:, None]
        r = np.rint(rows // 2 + radius * rows * np.sin(angles)).astype(int)
        c = np.rint(columns // 2 + radius * columns * np.cos(angles)).astype(int)
        inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
        first_spoke = np.full(rows * columns, count)  # that covers each pixel
        spokes = np.broadcast_to(np.arange(count)[:, None], r.shape)
        np.minimum.at(first_spoke, (r * columns + c)[inside], spokes[inside])
        covered = np.bincount(first_spoke, minlength=count + 1)[:count].cumsum()
        if covered[-1] >= wanted:
            last = np.searchsorted(covered, wanted)
            return torch.from_numpy((first_spoke <= last).reshape(shape))
        count *= 2


def _center_columns(columns: int, acceleration: float) -> int:
    return round(columns * center_fraction(acceleration))


def _columns_to_mask(chosen: np.ndarray, low: int, rows: int) -> Mask:
    columns = len(chosen)
    start = (columns - low + 1) // 2
    chosen[start : start + low] = True
    return torch.from_numpy(np.broadcast_to(chosen, (rows, columns)).copy())


MASKS: dict[str, Callable[[tuple[int, int], float, np.random.Generator], Mask]] = {
    "random": random_mask,
    "equispaced": equispaced_mask,
    "radial": radial_mask,
}


def sampling_mask(kind: str, shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Boolean mask (row, column) of one of MASKS, DC always sampled.

    Raises ValueError for an unknown kind, an acceleration below 1 or a shape that is not 2D.
    """
    if kind not in MASKS:
        raise ValueError(f"kind: expected one of {', '.join(MASKS)}, got {kind!r}")
    if len(shape) != 2 or min(shape) < 8:
        raise ValueError(f"shape: expected (rows, columns) of at least 8 each, got {shape}")
    if not 1 <= acceleration <= min(shape) / 2:
        raise ValueError(f"acceleration: expected 1 … {min(shape) / 2:g}, got {acceleration}")
    if acceleration == 1:
        return torch.ones(shape, dtype=torch.bool)
    mask = MASKS[kind](shape, acceleration, rng)
    mask[..., shape[0] // 2, shape[1] // 2] = True
    return mask
