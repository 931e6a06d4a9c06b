"""Generated complex MR images: brains and torsos, different for every (seed, index).

The random parameters of each image are drawn on the CPU from its own (seed, index), so an image
does not depend on the batch it is drawn in; the pixels are computed in batches on the device.
Lengths are in units of half the field of view: the same anatomy at every matrix size.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from perpcore._checks import check_collection
from perpcore.data.motion import warp

KINDS = ("brain", "torso", "coronal")
"""Axial brains and torsos, and coronal torsos with lungs, diaphragm and liver."""
_ELLIPSES = 13
_WAVES = 48


class Phantom(NamedTuple):
    """Complex images of maximum magnitude 1, and the body mask."""

    image: Complex[Tensor, "batch row column"]
    mask: Bool[Tensor, "batch row column"]


class _Anatomy(NamedTuple):
    """Parameters of one image; painted in order, a later ellipse covers an earlier one."""

    ellipses: np.ndarray  # (_ELLIPSES, 9): x, y, semi-axes a, b, tilt, value, edge, folds, phase
    folds: np.ndarray  # (3, _WAVES): cortex-like or parenchyma-like pattern, as random waves
    texture: np.ndarray  # (3, _WAVES)
    local_phase: np.ndarray  # (3, _WAVES): what a smooth trend does not explain
    smooth_phase: np.ndarray  # (3, _WAVES)
    polynomial: np.ndarray  # (6,): phase of 1, x, y, x², xy, y² in rad


def generate(
    indices: Sequence[int],
    size: int,
    *,
    seed: int = 0,
    kind: str | None = None,
    device: torch.device | str = "cpu",
    displacement: Float[Tensor, "batch 2 {size} {size}"] | None = None,
) -> Phantom:
    """Images number `indices` of the endless collection `seed`.

    Parameters
    ----------
    indices, size
        Non-negative numbers of images; rows and columns, at least 16.
    kind : {"brain", "torso", "coronal"}, optional
        By default each index is a brain or an axial torso, with equal probability.
    displacement : Tensor, optional
        (len(indices), 2, size, size) in pixels: the body in another state, its pixel x showing
        what the first state has at x + u(x) (see `motion`).

    Returns complex64 images (len(indices), size, size), equal on all devices to 1e-5.
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)} or None, got {kind!r}")
    check_collection(indices, size)
    drawn = [_draw(seed, int(index), kind) for index in indices]
    fields = [torch.from_numpy(np.stack(f)).float().to(device) for f in zip(*drawn, strict=True)]
    return _render(_Anatomy(*fields), size, displacement)  # type: ignore[arg-type]


@lru_cache(maxsize=64)  # registration renders each anatomy in two states
def _draw(seed: int, index: int, kind: str | None) -> _Anatomy:
    rng = np.random.default_rng([seed, index])
    kind = kind or KINDS[rng.integers(2)]  # the axial ones
    brain = kind == "brain"
    # Spin echo refocuses the phase in the brain; the torso's gradient echo keeps what the
    # field's small structures and fat add to it.
    local = rng.uniform(0.115, 0.13) if brain else rng.uniform(0.22, 0.29)
    ramp = rng.uniform(3.0, 5.0) * np.exp(1j * rng.uniform(0, 2 * np.pi))
    polynomial = np.array([rng.uniform(-np.pi, np.pi), ramp.real, ramp.imag, *rng.normal(0, 1.0, size=3)])
    return _Anatomy(
        ellipses={"brain": _brain, "torso": _torso, "coronal": _coronal}[kind](rng),
        folds=_waves(rng, 10.0, 32.0, 1.0),
        texture=_waves(rng, 14.0, 60.0, rng.uniform(0.01, 0.04)),
        local_phase=_waves(rng, 12.0, 110.0 if brain else 50.0, local),
        smooth_phase=_waves(rng, 0.8, 4.5, 1.0),
        polynomial=polynomial,
    )


def _waves(rng: np.random.Generator, low: float, high: float, sd: float) -> np.ndarray:
    """Random plane waves, wave numbers in rad per half field of view, together of this SD.

    Log-uniform wave numbers: as much variance in each octave of scale.
    """
    k = np.exp(rng.uniform(np.log(low), np.log(high), _WAVES))
    angle, shift = rng.uniform(0, 2 * np.pi, (2, _WAVES))
    amplitude = sd * np.sqrt(2 / _WAVES) * np.exp(1j * shift)
    wave = np.stack([k * np.cos(angle), k * np.sin(angle), amplitude])
    return wave.astype(np.complex64).view(np.float32).reshape(3, _WAVES, 2)


def _brain(rng: np.random.Generator) -> np.ndarray:
    u = rng.uniform
    cx, cy, tilt = u(-0.06, 0.06), u(-0.06, 0.06), u(-0.25, 0.25)
    a, b = u(0.62, 0.76), u(0.74, 0.86)
    scalp, skull = u(0.05, 0.08), u(0.03, 0.06)
    white, gray = u(0.55, 0.8), u(0.35, 0.7)
    fluid = u(0.1, 0.25) if rng.random() < 0.5 else u(0.85, 1.0)
    inner_a, inner_b = a - scalp - skull, b - scalp - skull
    gap, lift, v = u(0.07, 0.12), u(-0.1, 0.1), u(0.8, 1.2)
    rows = [
        (0, 0, a, b, 0, u(0.25, 0.6), 0.015, 0, u(-0.1, 0.1)),
        (0, 0, a - scalp, b - scalp, 0, u(0.03, 0.12), 0.012, 0, 0),
        (0, 0, inner_a, inner_b, 0, gray, 0.015, u(0.2, 0.4), 0),
        (0, 0, inner_a * 0.72, inner_b * 0.74, 0, white, 0.06, u(0.1, 0.25), 0),
        (0, -0.02, 0.012, inner_b * 0.97, 0, u(0.1, 0.3), 0.01, 0, 0),
        (-2.2 * gap, lift + 0.05, 0.09 * v, 0.16 * v, -0.3, gray, 0.02, 0, u(-0.1, 0.1)),
        (2.2 * gap, lift + 0.05, 0.09 * v, 0.16 * v, 0.3, gray, 0.02, 0, u(-0.1, 0.1)),
        (-gap, lift, 0.05 * v, 0.2 * v, 0.3, fluid, 0.012, 0, 0),
        (gap, lift, 0.05 * v, 0.2 * v, -0.3, fluid, 0.012, 0, 0),
        *(_spot(rng, 0.4, 0.5, 0.015, 0.09, u(0.1, 1.0), 0.15) for _ in range(4)),
    ]
    return _place(rows, cx, cy, tilt)


def _torso(rng: np.random.Generator) -> np.ndarray:
    u = rng.uniform
    cx, cy, tilt = u(-0.05, 0.05), u(-0.05, 0.05), u(-0.1, 0.1)
    a, b, fat = u(0.8, 0.88), u(0.58, 0.74), u(0.04, 0.1)
    muscle, organ, lung = u(0.25, 0.45), u(0.4, 0.75), u(0.02, 0.08)
    chest, water_fat = u(0.4, 1.0), u(-0.5, 0.5)
    rows = [
        (0, 0, a, b, 0, u(0.3, 0.7), 0.015, 0, water_fat),
        (0, 0, a - fat, b - fat, 0, muscle, 0.015, u(0.1, 0.25), 0),
        (-0.42, -0.02, 0.22 * chest, 0.3 * chest, 0.1, lung, 0.02, 0, 0),
        (0.44, -0.04, 0.2 * chest, 0.28 * chest, -0.1, lung, 0.02, 0, 0),
        (-0.3, -0.08, u(0.24, 0.36), u(0.2, 0.3), u(-0.4, 0.4), organ, 0.015, u(0.1, 0.3), 0),
        (0.34, -0.05, u(0.12, 0.22), u(0.1, 0.2), u(-0.5, 0.5), u(0.2, 0.9), 0.015, 0.2, 0),
        (0, 0.22, u(0.1, 0.14), u(0.1, 0.14), 0, u(0.3, 0.6), 0.015, 0.2, 0),
        (0, 0.38, 0.04, 0.04, 0, u(0.6, 1.0), 0.012, 0, 0),
        (0.05, 0.06, 0.045, 0.045, 0, u(0.05, 1.0), 0.012, 0, u(-0.5, 0.5)),
        (-0.3, 0.26, u(0.08, 0.12), u(0.1, 0.15), 0.4, u(0.4, 0.9), 0.015, 0.2, 0),
        (0.32, 0.26, u(0.08, 0.12), u(0.1, 0.15), -0.4, u(0.4, 0.9), 0.015, 0.2, 0),
        *(_spot(rng, 0.5, 0.3, 0.012, 0.05, u(0.05, 1.0), 0.4) for _ in range(2)),
    ]
    return _place(rows, cx, cy, tilt)


def _coronal(rng: np.random.Generator) -> np.ndarray:
    u = rng.uniform
    cx, tilt = u(-0.04, 0.04), u(-0.04, 0.04)
    fat, muscle, organ = u(0.3, 0.7), u(0.2, 0.4), u(0.5, 0.85)
    lung, dome, wide = u(0.03, 0.1), u(-0.1, 0.1), u(0.72, 0.8)
    rows = [
        (0, 0, wide, 0.84, 0, fat, 0.015, 0, u(-0.5, 0.5)),
        (0, 0, wide - 0.06, 0.79, 0, muscle, 0.015, u(0.1, 0.25), 0),
        (-0.33, dome - 0.3, 0.22, 0.34, 0.08, lung, 0.015, 0, 0),
        (0.35, dome - 0.3, 0.2, 0.32, -0.08, lung, 0.015, 0, 0),
        (0.12, dome - 0.2, 0.17, 0.16, 0.5, u(0.3, 0.8), 0.015, 0.2, u(-0.3, 0.3)),
        (-0.3, dome + 0.18, 0.32, 0.24, 0.25, organ, 0.012, u(0.1, 0.3), 0),
        (0.34, dome + 0.1, 0.18, 0.16, -0.3, u(0.3, 0.9), 0.012, 0.2, 0),
        (-0.3, dome + 0.48, 0.09, 0.15, 0.2, u(0.5, 0.9), 0.012, 0.15, 0),
        (0.3, dome + 0.46, 0.09, 0.15, -0.2, u(0.5, 0.9), 0.012, 0.15, 0),
        (0, 0.05, 0.07, 0.5, 0, u(0.3, 0.6), 0.015, 0.2, 0),
        (0.12, 0.1, 0.03, 0.4, 0, u(0.05, 1.0), 0.012, 0, u(-0.5, 0.5)),
        *(_spot(rng, 0.4, 0.5, 0.012, 0.05, u(0.05, 1.0), 0.4) for _ in range(2)),
    ]
    return _place(rows, cx, 0, tilt)


def _spot(
    rng: np.random.Generator, x: float, y: float, smallest: float, largest: float, value: float, phase: float
) -> tuple[float, ...]:
    """A lesion or a vessel, anywhere within ±x, ±y."""
    u = rng.uniform
    a, b = u(smallest, largest, 2)
    return u(-x, x), u(-y, y), a, b, u(0, np.pi), value, 0.012, 0.0, u(-phase, phase)


def _place(rows: list[tuple[float, ...]], cx: float, cy: float, tilt: float) -> np.ndarray:
    """Turn the body by `tilt` (rad) and shift it by (cx, cy)."""
    e = np.array(rows)
    x, y = e[:, 0].copy(), e[:, 1].copy()
    e[:, 0] = cx + x * np.cos(tilt) - y * np.sin(tilt)
    e[:, 1] = cy + x * np.sin(tilt) + y * np.cos(tilt)
    e[:, 4] += tilt
    return e


def _render(anatomy: _Anatomy, size: int, displacement: Tensor | None) -> Phantom:
    device = anatomy.ellipses.device
    axis = (torch.arange(size, device=device) - size // 2) * (2 / size)
    waves = torch.stack(anatomy[1:5], 1)  # type: ignore[arg-type]
    fields = _sum_waves(waves, axis)
    x, y = axis[None, None, :], axis[None, :, None]
    if displacement is not None:
        fields = warp(fields, displacement)
        x = x + displacement[:, 0] * (2 / size)
        y = y + displacement[:, 1] * (2 / size)
    folds, texture, local_phase, smooth_phase = fields.unbind(1)
    folds = torch.sigmoid(3 * folds) * 2 - 1
    magnitude = torch.zeros_like(folds)
    phase = smooth_phase + local_phase
    c = anatomy.polynomial[:, :, None, None]
    phase = phase + c[:, 0] + c[:, 1] * x + c[:, 2] * y
    phase = phase + c[:, 3] * x * x + c[:, 4] * x * y + c[:, 5] * y * y
    tissue_phase = torch.zeros_like(folds)
    for k, ellipse in enumerate(anatomy.ellipses.unbind(1)):  # type: ignore[attr-defined]
        cx, cy, a, b, tilt, value, edge, fold, offset = ellipse[:, :, None, None].unbind(1)
        cos, sin = tilt.cos(), tilt.sin()
        # Rotated coordinates split into a row and a column part: two additions per pixel.
        along = (x - cx) * (cos / a) + (y - cy) * (sin / a)
        across = (y - cy) * (cos / b) - (x - cx) * (sin / b)
        radius = torch.sqrt(torch.addcmul(along * along, across, across))
        weight = torch.sigmoid((1 - radius) * torch.clamp_min(torch.minimum(a, b) / edge, 6))
        if k == 0:
            body = weight > 0.5
        magnitude = torch.lerp(magnitude, value * (1 + fold * folds), weight)
        tissue_phase = torch.lerp(tissue_phase, offset.expand_as(folds), weight)
    magnitude = (magnitude * (1 + texture)).clamp_min(0)
    magnitude = magnitude / magnitude.amax((-2, -1), keepdim=True)
    return Phantom(torch.polar(magnitude, phase + tissue_phase), body)


def _sum_waves(waves: Tensor, axis: Tensor) -> Tensor:
    """Σ Re c·exp(i(kx x + ky y)) as one matrix product; (batch, field, 3, wave, 2) → images."""
    kx, ky = waves[:, :, 0, :, 0], waves[:, :, 1, :, 0]
    amplitude, shift = waves[:, :, 2, :, 0], waves[:, :, 2, :, 1]
    by_column = torch.polar(torch.ones_like(kx[..., None] * axis), kx[..., None] * axis)
    arg = ky[..., None] * axis
    by_row = torch.polar(torch.ones_like(arg), arg) * torch.complex(amplitude, shift)[..., None]
    # Re(ab) as a real product of twice the length: faster than a complex product's four.
    rows = torch.cat([by_row.real, -by_row.imag], -2).transpose(-1, -2)
    columns = torch.cat([by_column.real, by_column.imag], -2)
    return rows @ columns
