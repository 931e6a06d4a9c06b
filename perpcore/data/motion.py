"""Displacement fields: respiratory motion, warping, Jacobian.

A displacement field u is a real tensor (batch, n, *space) in pixels; component 0 points along x (the last axis,
columns), 1 along y (rows, head to feet), 2 along z (slices). It lives on the grid of the *fixed* image and says where
in the *moving* image each pixel comes from:

    fixed(x) = moving(x + u(x)) = warp(moving, u)(x).

A positive component 1 so fetches tissue from further down: in the fixed image it lies higher.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor
from torch.nn import functional

from perpcore._checks import check_choice, check_collection, check_displacement, require

MAX_AMPLITUDE = 20 / 256  # largest respiratory amplitude over matrix size: a deep breath, 20 pixels at 256²
SMALLEST_JACOBIAN = 0.1


def warp(
    image: Num[Tensor, "batch *space"], displacement: Float[Tensor, "batch n *grid"]
) -> Num[Tensor, "batch *space"]:
    """image(x + u(x)), linear interpolation, the border's value beyond; real or complex (batch, [channel,] *space)."""
    check_displacement(displacement)
    n, space = displacement.shape[1], displacement.shape[2:]
    wanted, got = f"(batch, [channel,] *space) like displacement {tuple(displacement.shape)}", tuple(image.shape)
    require(got[0] == len(displacement) and got[-n:] == space, f"image: expected {wanted}, got {got}")
    if image.is_complex():
        return torch.complex(warp(image.real, displacement), warp(image.imag, displacement))
    steps = [torch.arange(size, dtype=displacement.dtype, device=displacement.device) for size in space]
    xyz = zip(torch.meshgrid(steps, indexing="ij")[::-1], displacement.unbind(1), space[::-1], strict=True)
    # grid_sample's coordinates run from −1 at the first to 1 at the last pixel.
    grid = torch.stack([(position + u) * (2 / max(size - 1, 1)) - 1 for position, u, size in xyz], -1)
    channels = (image if image.ndim == n + 2 else image.unsqueeze(1)).to(displacement.dtype)
    sampled = functional.grid_sample(channels, grid, padding_mode="border", align_corners=True)
    return sampled.reshape(image.shape).to(image.dtype)


def jacobian_determinant(displacement: Float[Tensor, "batch n *space"]) -> Float[Tensor, "batch *space"]:
    """det(1 + ∂u/∂x) by central differences, (batch, *space): ≤ 0 where the field folds."""
    check_displacement(displacement)
    n = displacement.shape[1]
    rows = [torch.gradient(u, dim=list(range(-1, -n - 1, -1))) for u in displacement.unbind(1)]
    if n == 2:
        # (1 + a)(1 + d) − bc: a sixth of the time of a factorisation of each matrix.
        (a, b), (c, d) = rows
        return (1 + a) * (1 + d) - b * c
    matrix = torch.stack([torch.stack(row, -1) for row in rows], -2)
    determinant: Tensor = torch.linalg.det(matrix + torch.eye(n, dtype=matrix.dtype, device=matrix.device))
    return determinant


def respiratory(
    indices: Sequence[int], size: int, *,
    seed: int = 0, dims: int = 2, sliding: bool = False, device: torch.device | str = "cpu",
) -> Float[Tensor, "batch {dims} *space"]:  # fmt: skip
    """Respiratory-like fields number `indices` of the collection `seed`; (batch, dims, *space).

    Mostly head–feet, largest at the diaphragm, fading smoothly towards the shoulders, the pelvis and the body wall, and
    less at the spine. Amplitudes are uniform up to MAX_AMPLITUDE·size pixels, in either direction; a smooth deformation
    of a tenth to a quarter of that is added. Each field is shrunk until its Jacobian exceeds 0.1 everywhere: no folds.
    `size` is the number of pixels along each axis, at least 16; `dims` 2 is the coronal plane, 3 the volume. With
    `sliding` the motion stops along the chest wall within about four pixels.
    """
    check_choice("dims", dims, (2, 3))
    check_collection(indices, size)
    fields = [_respiratory_field(seed, int(i), size, dims, sliding) for i in indices]
    return torch.from_numpy(np.stack(fields)).float().to(device)


def _respiratory_field(seed: int, index: int, size: int, dims: int, sliding: bool) -> np.ndarray:
    rng = np.random.default_rng([seed, index, dims])
    axis = (np.arange(size) - size // 2) * (2 / size)
    x, y = axis.reshape((1,) * (dims - 1) + (-1,)), axis.reshape((1,) * (dims - 2) + (-1, 1))
    z = axis.reshape(-1, 1, 1) if dims == 3 else np.zeros(1)
    amplitude = rng.uniform(-1, 1) * MAX_AMPLITUDE * size
    distance = y - rng.uniform(-0.15, 0.15)  # from the diaphragm
    above, below = rng.uniform(0.3, 0.45), rng.uniform(0.5, 0.8)
    along = np.exp(-((distance / np.where(distance < 0, above, below)) ** 2))
    # A mound that fades towards the body wall, or slides along it.
    radius, wall = np.sqrt(x**2 + z**2), rng.uniform(0.6, 0.75)
    across = 1 / (1 + np.exp((radius - wall) * size)) if sliding else np.exp(-((radius / wall) ** 4))
    spine = 1 - 0.4 * np.exp(-((x / 0.25) ** 2) - ((z - 0.4 * (dims == 3)) / 0.3) ** 2)
    field = np.zeros((dims,) + (size,) * dims)
    field[1] = amplitude * (along * across * spine)
    extra = rng.uniform(0.1, 0.25) * amplitude
    for component in range(dims):
        waves = rng.uniform([-4, -4, -4, 0], [4, 4, 4, 2 * np.pi], size=(4, 4))
        wave = sum(np.cos(kx * x + ky * y + kz * z + shift) for kx, ky, kz, shift in waves)
        field[component] += extra / 2 * wave * along * across
    while (jacobian_determinant(torch.from_numpy(field)[None]) <= SMALLEST_JACOBIAN).any():
        field *= 0.9
    return field
