"""Fourier transforms, boolean sampling masks and noise: tensors (..., row, column), the centre (DC) at n // 2."""

import numpy as np
import torch
from jaxtyping import Bool, Complex, Num
from torch import Tensor
from torch.fft import fft2, fftshift, ifft2, ifftshift

from perpcore._checks import check_choice, require

PIXELS = (-2, -1)

Mask = Bool[Tensor, "row column"]


def fft2c(image: Num[Tensor, "*batch row column"]) -> Complex[Tensor, "*batch row column"]:
    """Centred orthonormal 2D Fourier transform, image → k-space."""
    kspace: Tensor = fftshift(fft2(ifftshift(image, dim=PIXELS), norm="ortho"), dim=PIXELS)
    return kspace


def ifft2c(kspace: Num[Tensor, "*batch row column"]) -> Complex[Tensor, "*batch row column"]:
    """Centred orthonormal 2D Fourier transform, k-space → image; inverse of `fft2c`."""
    image: Tensor = fftshift(ifft2(ifftshift(kspace, dim=PIXELS), norm="ortho"), dim=PIXELS)
    return image


def crop_center(kspace: Complex[Tensor, "*batch row column"], size: int) -> Tensor:
    """Central (size, size) of centred k-space: the same field of view at lower resolution."""
    rows, columns = kspace.shape[-2:]
    require(min(rows, columns) >= size, f"kspace: expected at least {size}×{size}, got {rows}×{columns}")
    top, left = rows // 2 - size // 2, columns // 2 - size // 2
    return kspace[..., top : top + size, left : left + size]


def complex_noise(
    shape: tuple[int, ...], sd: float, generator: torch.Generator, device: torch.device | str
) -> Complex[Tensor, "*shape"]:
    """Complex Gaussian noise, SD `sd` in each of real and imaginary part, drawn on the generator's device."""
    if sd == 0:
        return torch.zeros(shape, dtype=torch.complex64, device=device)
    parts = torch.randn((*shape, 2), generator=generator, device=generator.device)
    return torch.view_as_complex(parts * sd).to(device)


def random_mask(shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Random columns around a full centre, `acceleration` on average (fastMRI's "random").

    The centre is 0.08 of the columns at acceleration 4, 0.04 at 8.
    """
    columns = shape[1]
    low = round(columns * (0.32 / acceleration))
    chosen = rng.random(columns) < (columns / acceleration - low) / (columns - low)
    chosen[(columns - low + 1) // 2 :][:low] = True
    return torch.from_numpy(np.tile(chosen, (shape[0], 1)))


def radial_mask(shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Pseudo-radial: golden-angle spokes from a random angle on, until 1/`acceleration` of the grid is covered."""
    wanted = "1 or at least 1.3, as spokes leave the corners"  # 4/π = 1.27 is the square over its inscribed disc
    require(acceleration >= 1.3, f"acceleration: expected {wanted}, got {acceleration}")
    rows, columns = shape
    radius = np.linspace(-1, 1, 4 * max(shape)) / 2
    first, step, spokes = rng.uniform(0, np.pi), np.pi * (np.sqrt(5) - 1) / 2, 0
    mask = np.zeros(shape, dtype=bool)
    while mask.sum() < rows * columns / acceleration:
        angle = first + step * spokes
        r = np.rint(rows // 2 + radius * rows * np.sin(angle)).astype(int)
        c = np.rint(columns // 2 + radius * columns * np.cos(angle)).astype(int)
        inside = (r >= 0) & (r < rows) & (c >= 0) & (c < columns)
        mask[r[inside], c[inside]] = True
        spokes += 1
    return torch.from_numpy(mask)


MASKS = {"random": random_mask, "radial": radial_mask}


def sampling_mask(kind: str, shape: tuple[int, int], acceleration: float, rng: np.random.Generator) -> Mask:
    """Boolean mask (row, column) of one of MASKS, DC always sampled; raises ValueError naming the wrong argument."""
    check_choice("kind", kind, MASKS)
    require(len(shape) == 2 and min(shape) >= 8, f"shape: expected (rows, columns) of at least 8 each, got {shape}")
    most = min(shape) / 2
    require(1 <= acceleration <= most, f"acceleration: expected 1 … {most:g}, got {acceleration}")
    if acceleration == 1:
        return torch.ones(shape, dtype=torch.bool)
    mask = MASKS[kind](shape, acceleration, rng)
    mask[..., shape[0] // 2, shape[1] // 2] = True
    return mask
