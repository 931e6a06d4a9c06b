"""Several receive coils: sensitivities, the forward model and its adjoint."""

import numpy as np
import torch
from jaxtyping import Complex, Shaped
from torch import Tensor
from torch.nn import functional

from perpcore._checks import require
from perpcore.data.kspace import fft2c, ifft2c

Image = Complex[Tensor, "*batch row column"]
Coils = Complex[Tensor, "*batch coil row column"]
Sampling = Shaped[Tensor, "row column"] | Shaped[Tensor, "*batch row column"]

COIL_DISTANCE = 1.3  # of coils from the centre, in units of half the field of view
CALIBRATION, WINDOW = 24, 5  # lines and columns of k-space, pixels (odd): what sensitivities are estimated from


def sense_forward(image: Image, coil_sensitivities: Coils, mask: Sampling | None = None) -> Coils:
    """A x = mask · F(S x), (batch, coil, row, column); `mask` ([batch,] row, column) is real or boolean."""
    expected, got = tuple(coil_sensitivities.select(-3, 0).shape), tuple(image.shape)
    require(got == expected, f"image: expected shape {expected}, got {got}")
    kspace = fft2c(coil_sensitivities * image.unsqueeze(-3))
    return kspace if mask is None else kspace * mask.unsqueeze(-3)


def sense_adjoint(kspace: Coils, coil_sensitivities: Coils, mask: Sampling | None = None) -> Image:
    """Aᴴ y = Σ_coils conj(S) F⁻¹(mask · y): the transform is orthonormal."""
    expected, got = tuple(coil_sensitivities.shape), tuple(kspace.shape)
    require(got == expected, f"kspace: expected the shape of coil_sensitivities, {expected}, got {got}")
    kept = kspace if mask is None else kspace * mask.unsqueeze(-3)
    return (coil_sensitivities.conj() * ifft2c(kept)).sum(-3)


def solve_sense(
    adjoint: Image, coil_sensitivities: Coils, mask: Sampling,
    weight: Tensor | float, start: Image | None = None, *, steps: int = 10,
) -> Image:  # fmt: skip
    """Minimise ‖A x − y‖² + λ‖x − x₀‖² by conjugate gradients (CG-SENSE, Pruessmann et al. 2001).

    Solves (AᴴA + λ) x = Aᴴy + λ x₀ for `adjoint` Aᴴy, `weight` λ and `start` x₀ (zero, if not given), from which the
    `steps` iterations begin; differentiable in all three.
    """
    # Circular shifts of the image commute with AᴴA, so only the mask is shifted.
    sampled = torch.fft.ifftshift(mask, dim=(-2, -1)).unsqueeze(-3)

    def normal(x: Tensor) -> Tensor:
        kspace = torch.fft.fft2(coil_sensitivities * x.unsqueeze(-3))
        back: Tensor = coil_sensitivities.conj() * torch.fft.ifft2(kspace * sampled)
        return back.sum(-3) + weight * x

    def energy(a: Tensor, b: Tensor) -> Tensor:
        return (a.real * b.real + a.imag * b.imag).sum((-2, -1), keepdim=True)

    x = torch.zeros_like(adjoint) if start is None else start
    residual = adjoint + weight * x - normal(x)
    direction, remaining = residual, energy(residual, residual)
    smallest = torch.finfo(remaining.dtype).tiny  # a solved image stays as it is
    for _ in range(steps):
        curved = normal(direction)
        length = remaining / energy(direction, curved).clamp_min(smallest)
        x, residual = x + length * direction, residual - length * curved
        left = energy(residual, residual)
        direction = residual + left / remaining.clamp_min(smallest) * direction
        remaining = left
    return x


def simulate_csm(
    size: int, coils: int, rng: np.random.Generator, device: torch.device | str = "cpu"
) -> Complex[Tensor, "{coils} {size} {size}"]:
    """Smooth complex sensitivities (coil, row, column), complex64, of Σ|S|² = 1, of coils on a circle around the image.

    Each has the magnitude of a loop's field on its axis, and a slowly varying phase.
    """
    require(coils >= 1 and size >= 1, f"coils, size: expected at least 1, got {coils} and {size}")
    u = rng.uniform
    angle = u(0, 2 * np.pi) + 2 * np.pi * np.arange(coils) / coils
    drawn = [(u(0.5, 0.8), u(-1, 1), u(-1, 1), u(0, 2 * np.pi)) for _ in angle]
    columns = np.column_stack([COIL_DISTANCE * np.cos(angle), COIL_DISTANCE * np.sin(angle), drawn])
    coil_x, coil_y, radius, along_x, along_y, offset = torch.from_numpy(columns.T[..., None, None]).float().to(device)
    x = (torch.arange(size, device=device) - size // 2) * (2 / size)
    y = x[:, None]
    loop = (1 + ((x - coil_x) ** 2 + (y - coil_y) ** 2) / radius**2) ** -1.5
    return torch.polar(loop / loop.square().sum(0).sqrt(), offset + along_x * x + along_y * y)


def walsh_csm(kspace: Coils) -> Coils:
    """Sensitivities from the fully sampled centre of k-space by adaptive combination (Walsh et al. 2000), Σ|S|² = 1.

    `kspace` is (coil, row, column). The dominant eigenvector of the coil covariance in a window of 5 × 5 pixels of the
    image of the 24 central lines and columns. Its phase is that of the first virtual coil, which is smooth.
    """
    fits, got = kspace.ndim == 3 and kspace.is_complex(), f"{kspace.dtype}, {tuple(kspace.shape)}"
    require(fits, f"kspace: expected complex (coil, row, column), got {got}")
    coils, rows, columns = kspace.shape
    calibration = min(CALIBRATION, rows, columns)
    hann, taper = torch.hann_window(calibration + 2, periodic=False)[1:-1], torch.zeros(rows, columns)
    top, left = (n // 2 - calibration // 2 for n in (rows, columns))
    taper[top : top + calibration, left : left + calibration] = hann[:, None] * hann
    image = ifft2c(kspace * taper.to(kspace.device))
    products = (image.unsqueeze(1) * image.conj().unsqueeze(0)).flatten(0, 1)
    parts = [functional.avg_pool2d(part, WINDOW, 1, WINDOW // 2) for part in (products.real, products.imag)]
    covariance = torch.complex(*parts).unflatten(0, (coils, coils)).permute(2, 3, 0, 1)
    vectors: Tensor = torch.linalg.eigh(covariance).eigenvectors[..., -1].permute(2, 0, 1)
    # An eigenvector's phase is arbitrary: align it with the coil combination of largest energy.
    virtual = torch.linalg.eigh(covariance.mean((0, 1))).eigenvectors[:, -1]
    turn = (vectors * virtual.conj()[:, None, None]).sum(0)
    return vectors * torch.polar(torch.ones_like(turn.abs()), -turn.angle())
