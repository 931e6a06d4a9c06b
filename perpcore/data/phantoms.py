"""Generated complex MR images: brains and abdomens, different for every (seed, index).

Brains are slices of a head (see `head`); abdomens, in coronal view, are drawn from smooth random shapes. The random
parameters of each image are drawn on the CPU from its own (seed, index), so an image does not depend on the batch it is
drawn in; the pixels are computed in batches on the device. Lengths are in units of half the field of view: the same
anatomy at every matrix size.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor
from torch.nn import functional

from perpcore._checks import check_choice, check_collection
from perpcore.data.head import BOX, TOP, head
from perpcore.data.motion import warp

ROUGHNESS = {"brain": 0.08, "abdomen": 0.58}
"""SD in rad of the rough phase: with it the phase statistics are those of measured images of the kind."""
TEXTURE = {"brain": 0.04, "abdomen": 0.08}  # relative SD of the fine magnitude texture
_WAVES = 48
_HARMONICS = 3  # of an organ's outline
_LUNGS, _SPINE = (3, 4), 5  # of the shapes of an abdomen
_BOXES = (0, 1, 2, _SPINE)

# Proton density, T1, T2 and T2* at 3 T, times in ms (textbook values, rounded).
_TISSUES = {
    "white": (0.70, 850.0, 75.0, 50.0), "grey": (0.82, 1350.0, 95.0, 60.0), "fluid": (1.0, 4000.0, 1500.0, 400.0),
    "bone": (0.1, 400.0, 20.0, 5.0), "fat": (0.9, 380.0, 70.0, 40.0), "lesion": (0.9, 1800.0, 180.0, 110.0),
    "muscle": (0.75, 1400.0, 35.0, 25.0),
}  # fmt: skip
# Ranges of TR and TE in ms and of the flip angle in degrees, and whether the signal decays with T2*.
_WEIGHTINGS = (
    ((350, 600), (8, 14), (80, 90), False), ((3000, 6000), (80, 110), (90, 90), False),
    ((3000, 5000), (12, 25), (90, 90), False), ((500, 900), (20, 40), (12, 25), True),
)  # fmt: skip


class Phantom(NamedTuple):
    """Complex images of maximum magnitude 1, and the body mask."""

    image: Complex[Tensor, "batch row column"]
    mask: Bool[Tensor, "batch row column"]


class _Parameters(NamedTuple):
    """What is random of one image."""

    anatomy: np.ndarray  # of a brain (7, 3), of an abdomen (shape, 9 + 2·_HARMONICS)
    values: np.ndarray  # signal of each tissue or shape, real and imaginary part, (…, 2)
    field: np.ndarray  # of a brain: place and strength of a field; of an abdomen: strengths, shift of the discs; (3,)
    waves: np.ndarray  # (field, 3, _WAVES, 2): texture, rough phase, smooth phase, shading, two for warps or vessels
    polynomial: np.ndarray  # (6,): phase of 1, x, y, x², xy, y² in rad


def generate(
    indices: Sequence[int], size: int, *,
    seed: int = 0, kind: str = "brain", roughness: float | tuple[float, float] | None = None,
    texture: float | None = None, device: torch.device | str = "cpu",
    displacement: Float[Tensor, "batch 2 {size} {size}"] | None = None,
) -> Phantom:  # fmt: skip
    """Images number `indices` (not negative) of the endless collection `seed`, of `size` ≥ 16 rows and columns.

    `kind` is "brain", which needs nilearn and nibabel, or "abdomen". `roughness` is the SD in rad of the rough phase,
    `texture` the relative SD of the fine magnitude texture, by default those of `ROUGHNESS` and `TEXTURE`; each image
    has 0.95 to 1.05 times the one, or one of the range given, and 0.8 to 1.2 times the other. A `displacement`
    (len(indices), 2, size, size) in pixels shows the body in another state: its pixel x is what the first state has at
    x + u(x) (see `motion`).

    Returns complex64 images (len(indices), size, size), equal on all devices to 1e-5. Raises ValueError for a kind
    that is not known, and where nilearn's maps are missing.
    """
    check_choice("kind", kind, ROUGHNESS)
    check_collection(indices, size)
    rough = ROUGHNESS[kind] if roughness is None else roughness
    fine = TEXTURE[kind] if texture is None else texture
    drawn = [_draw(seed, int(index), kind, rough, fine) for index in indices]
    fields = [torch.from_numpy(np.stack(f)).float().to(device) for f in zip(*drawn, strict=True)]
    parameters: Any = _Parameters(*fields)  # type: ignore[arg-type]
    axis = (torch.arange(size, device=device) - size // 2) * (2 / size)
    position = torch.stack(torch.broadcast_tensors(axis[None, None, :], axis[None, :, None]), 1)
    waves = _sum_waves(parameters.waves, axis)
    if displacement is not None:
        position = position + displacement * (2 / size)
        waves = warp(waves, displacement)
    paint = _paint_brain if kind == "brain" else _paint_abdomen
    tissue, field_phase, body = paint(parameters, position, waves)
    grain, _, smooth_phase, shading = waves[:, :4].unbind(1)
    x, y = position[:, 0], position[:, 1]
    c = parameters.polynomial[:, :, None, None]
    phase = field_phase + smooth_phase + c[:, 0]
    phase = phase + (c[:, 1] + c[:, 3] * x + c[:, 4] * y) * x + (c[:, 2] + c[:, 5] * y) * y
    image = tissue * torch.polar((1 + grain).clamp_min(0) * (0.3 * shading).exp(), phase)
    return Phantom(image / image.abs().amax((-2, -1), keepdim=True), body)


@lru_cache(maxsize=64)  # registration renders each anatomy in two states
def _draw(seed: int, index: int, kind: str, roughness: float | tuple[float, float], texture: float) -> _Parameters:
    rng = np.random.default_rng([seed, index])
    u = rng.uniform
    brain = kind == "brain"
    anatomy, values, field = (_draw_brain if brain else _draw_abdomen)(rng)
    ramp = (u(2.0, 3.0) if brain else u(0.5, 1.5)) * np.exp(1j * u(0, 2 * np.pi))
    # Texture and roughness within a range around what is asked for.
    texture *= u(0.8, 1.2)
    roughness = u(*roughness) if isinstance(roughness, tuple) else roughness * u(0.95, 1.05)
    if brain:
        bands = [(14, 60, texture), (14, 110, roughness), (0.8, 4.5, u(0.5, 0.7)), (0.8, 2.5, 1), *[(1.5, 6, 0.02)] * 2]
    else:
        bands = [(14, 80, texture), (12, 70, roughness), (3.5, 10, u(1.6, 1.7)), (0.8, 2.5, 1), (8, 22, 1), (2, 6, 1)]
    polynomial = np.array([u(-np.pi, np.pi), ramp.real, ramp.imag, *rng.normal(0, 0.6, size=3)])
    return _Parameters(anatomy, np.stack([values.real, values.imag], -1), field, _waves(rng, bands), polynomial)


def _waves(rng: np.random.Generator, bands: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Random plane waves, a field per (low, high, SD): wave numbers, log-uniform, in rad per half field of view."""
    low, high, sd = np.array(bands).T[..., None]
    share, angle, shift = rng.uniform(size=(3, len(bands), _WAVES))
    k = low * (high / low) ** share
    angle, amplitude = 2 * np.pi * angle, sd * np.sqrt(2 / _WAVES) * np.exp(2j * np.pi * shift)
    wave = np.stack([k * np.cos(angle), k * np.sin(angle), amplitude], 1)
    return wave.astype(np.complex64).view(np.float32).reshape(len(bands), 3, _WAVES, 2)


def _sum_waves(waves: Tensor, axis: Tensor) -> Tensor:
    """Σ Re c·exp(i(kx x + ky y)) as one matrix product; (batch, field, 3, wave, 2) → images."""
    turns = waves[:, :, :2, :, :1] * axis  # kx x and ky y
    by_column, by_row = torch.polar(torch.ones_like(turns), turns).unbind(2)
    by_row = by_row * torch.view_as_complex(waves[:, :, 2].contiguous())[..., None]
    # Re(ab) as a real product of twice the length: faster than a complex product's four.
    rows = torch.cat([by_row.real, -by_row.imag], -2).transpose(-1, -2)
    columns = torch.cat([by_column.real, by_column.imag], -2)
    return rows @ columns


def _draw_brain(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u = rng.uniform
    # The slice's normal and its centre in the head, mm: axial, coronal or sagittal; the latter two show the neck.
    views = (2, u(-6, 6), u(-18, -8), u(-45, 55)), (1, u(-6, 6), u(-60, 20)), (0, u(-25, 25), u(-10, 10))
    normal, *centre = views[rng.integers(3)]
    along, down = [axis for axis in range(3) if axis != normal]
    tilt = u(-0.15, 0.15, size=3)
    turn = np.eye(3) + np.array([[0, -tilt[2], tilt[1]], [tilt[2], 0, -tilt[0]], [-tilt[1], tilt[0], 0]])
    axes = np.stack([np.eye(3)[along] * rng.choice([-1, 1]), -np.eye(3)[down], np.eye(3)[normal]]) @ turn
    scale = u(108, 130) * u(0.95, 1.05, size=2)  # mm per half field of view
    lesions = [(u(-0.4, 0.4), u(-0.4, 0.4), u(0.02, 0.08) * (rng.random() < 0.3)) for _ in range(2)]
    if normal != 2:
        centre.append(TOP + u(0, 20) - scale[1])  # so far below the upper edge of the field of view
    rim = (u(3, 6), u(8, 13), 0.0)  # end of the skull and of fat and skin, mm from the brain
    field = np.array([u(-0.3, 0.3), u(0.3, 0.6), u(0.3, 1.3) * rng.choice([-1, 1])])  # of air below
    # Coils are brighter near the skin, and on one side.
    shading = np.array([u(0, 0.8), *u(-0.4, 0.4, size=2)])
    anatomy = np.stack([axes[0] * scale[0], axes[1] * scale[1], centre, rim, shading, *lesions])
    *ranges, star = _WEIGHTINGS[rng.integers(len(_WEIGHTINGS))]
    tr, te, flip = (u(*bounds) for bounds in ranges)
    sin, cos = np.sin(np.deg2rad(flip)), np.cos(np.deg2rad(flip))
    values = []
    for name, (density, t1, t2, t2_star) in _TISSUES.items():
        recovery = np.exp(-tr / t1)
        signal = density * sin * (1 - recovery) / (1 - cos * recovery) * np.exp(-te / (t2_star if star else t2))
        values.append(signal * u(0.95, 1.05) * (u(0.5, 1) * np.exp(1j * u(-0.25, 0.25)) if name == "fat" else 1))
    return anatomy, np.array(values, dtype=complex), field


def _paint_brain(p: Any, position: Tensor, waves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return complex tissue, phase of the field and head mask of slices."""
    warped = position + waves[:, 4:6]
    across, down, centre, rim, shading, *lesions = p.anatomy.unbind(1)
    place = centre[:, :, None, None] + across[:, :, None, None] * warped[:, :1] + down[:, :, None, None] * warped[:, 1:]
    low, high = place.new_tensor(BOX.T)[..., None, None]
    grid = (2 * (place - low) / (high - low) - 1).movedim(1, -1)[None]
    found = functional.grid_sample(head(position.device), grid, padding_mode="border", align_corners=False)[0]
    white, grey, fluid, distance, muscle, fat, below = found
    skull_end, skin_end = rim[:, :2, None, None].unbind(1)
    outside = ((distance - skull_end) / 3 + 0.5).clamp(0, 1)
    fat = outside * (fat + (1 - below) * (skin_end - distance).sigmoid())
    bone = (distance / 1.5).clamp(0, 1) * (1 - outside)
    signals = p.values[:, :, 0, None, None]
    water = (torch.stack([white, grey, fluid, bone], 1) * signals[:, :4]).sum(1) + outside * muscle * signals[:, 6]
    for lesion in lesions:
        x, y, radius = lesion[:, :, None, None].unbind(1)
        spot = (-((warped[:, 0] - x) ** 2 + (warped[:, 1] - y) ** 2) / (radius**2 + 1e-6)).exp() * (white + grey)
        water = torch.lerp(water, signals[:, 5], spot.clamp(0, 1))
    tissue = torch.complex(water + fat * signals[:, 4], fat * p.values[:, 4, 1, None, None])
    rise, aside, along = shading[:, :, None, None].unbind(1)
    tissue = tissue * (rise * position.square().sum(1) + aside * position[:, 0] + along * position[:, 1]).exp()
    x, y, strength = p.field[:, :, None, None].unbind(1)
    field = strength * (-((warped[:, 0] - x) ** 2 + (warped[:, 1] - y) ** 2) / 0.05).exp()
    return tissue, field + waves[:, 1], (distance < skin_end) | (below > 0.5)


def _shape(
    rng: np.random.Generator, x: float, y: float, a: float, b: float, value: float, tilt: float = 0.0,
    rough: float = 0.06, edge: float = 0.02, vessels: float = 0.0, phase: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """One organ: centre, half axes, tilt (rad), edge width, magnitude, vessels, phase (rad), bend (cosines, sines)."""
    jitter = rng.uniform(0.92, 1.08, 2)
    bend = rough * rng.normal(size=(2, _HARMONICS)) / np.arange(1, _HARMONICS + 1)
    shift = rng.normal(0, 0.015, 2)
    return np.array([x + shift[0], y + shift[1], a * jitter[0], b * jitter[1], tilt, edge, value, vessels, phase,
                     *bend.flat])  # fmt: skip


def _draw_abdomen(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    u = rng.uniform
    dome, wide = u(-0.62, -0.42), u(0.68, 0.82)  # where the diaphragm is; half the width of the body
    fat, muscle, liver, lung = u(0.45, 0.9), u(0.25, 0.4), u(0.5, 0.8), u(0.02, 0.08)
    kidney, marrow, water_fat = u(0.5, 0.8), u(0.3, 0.5), u(1.2, 2.4) * rng.choice([-1, 1])  # rad, by the echo time
    rim, lean = u(0.03, 0.1), u(0.1, 0.25)

    organ, bowel = partial(_shape, rng), partial(_shape, rng, rough=0.2, vessels=-0.8, phase=u(-0.8, 0.8))
    shapes = [
        organ(0, 0, wide, 0.87, fat, rough=0.03, phase=water_fat),
        organ(0, 0, wide - rim, 0.84, muscle, vessels=u(-0.4, 0.4)),
        organ(0, 0.18, wide - rim - 0.08, 0.6, fat * u(0.5, 1), rough=0.04, vessels=-0.4, phase=water_fat),
        organ(-0.34, dome - 0.22, 0.28, 0.28, lung, 0.1, vessels=2.0),
        organ(0.36, dome - 0.2, 0.26, 0.28, lung, -0.1, vessels=2.0),
        organ(0, 0.05, 0.085, 0.78, marrow, rough=0.02, phase=u(-0.5, 0.5)),
        organ(0.1, dome - 0.2, u(0.1, 0.2), 0.17, u(0.3, 0.7), 0.5, phase=u(-0.4, 0.4)),
        organ(-0.36, dome + 0.28, 0.3, 0.36, liver, 0.2, vessels=u(-0.5, 0.5)),
        organ(0.4, dome + 0.24, 0.2, 0.2, u(0.3, 0.7), -0.4, rough=0.1, vessels=u(-1, 0), phase=u(-0.4, 0.4)),
        organ(0.52, dome + 0.34, 0.13, 0.22, u(0.4, 0.7), -0.2),
        *(bowel(s * (wide - rim - 0.14), u(0.3, 0.4), 0.08, 0.26, u(0.2, 0.5), s * 0.15) for s in (-1, 1)),
        *(bowel(u(-0.45, 0.45), u(0.25, 0.72), u(0.04, 0.12), u(0.03, 0.08), u(0, 0.7), u(0, 3)) for _ in range(6)),
        *(organ(s * 0.34, u(0.0, 0.15), 0.115, 0.21, kidney, -s * 0.25, rough=0.04) for s in (-1, 1)),
        *(organ(s * 0.34, u(0.05, 0.12), 0.05, 0.11, u(0.3, 0.8), -s * 0.25, rough=0.12) for s in (-1, 1)),
        *(organ(s * 0.22, 0.45, 0.085, 0.42, muscle * 0.9, -s * lean, rough=0.03, vessels=0.3) for s in (-1, 1)),
        *(organ(s * 0.55, 0.78, 0.24, 0.2, marrow, s * 0.5, rough=0.1, phase=water_fat * 0.3) for s in (-1, 1)),
        organ(u(0.1, 0.14), -0.05, 0.028, 0.4, u(0.05, 0.9), 0.05, rough=0.02, phase=u(-0.5, 0.5)),
        organ(u(-0.14, -0.1), 0.0, 0.03, 0.35, u(0.05, 0.9), -0.05, rough=0.02, phase=u(-0.5, 0.5)),
    ]  # fmt: skip
    anatomy = np.stack(shapes)
    anatomy[1, :2], anatomy[1, 9:] = anatomy[0, :2], anatomy[0, 9:]  # an even rim of fat
    anatomy[:, 0] += u(-0.04, 0.04)
    field = np.array([u(1.5, 3.5) * rng.choice([-1, 1]), u(1, 2.5) * rng.choice([-1, 1]), u(0, 2 * np.pi)])
    return anatomy, anatomy[:, 6] * np.exp(1j * anatomy[:, 8]), field


def _paint_abdomen(p: Any, position: Tensor, waves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return complex tissue, phase of the field and body mask; a later shape covers an earlier one."""
    # Zero lines of random waves, with gaps, look like vessels, or folds of bowel.
    uneven = waves[:, 5]
    lines = (-((waves[:, 4] / 0.25) ** 2)).exp() * uneven.clamp(0, 1)
    near, real, imaginary = torch.zeros(3, *lines.shape, device=lines.device)
    across, along, shift = p.field[:, :, None, None].unbind(1)
    y = position[:, 1]
    for k, shape in enumerate(p.anatomy[..., None, None].unbind(1)):
        radius, weight = _inside(shape, position, box=k in _BOXES)
        if k == 0:
            body = weight
        elif k in _LUNGS:
            near = near + (-(((radius - 1) / 0.3) ** 2)).exp()
        # Complex: where opposed fat and water meet in a pixel, a dark line.
        signal = 1 + shape[:, 7] * lines
        if k == _SPINE:
            signal = signal - 0.4 * (-(((16 * y + shift).cos() / 0.4) ** 2)).exp()  # discs
        real = torch.lerp(real, signal * p.values[:, k, 0, None, None], weight)
        imaginary = torch.lerp(imaginary, signal * p.values[:, k, 1, None, None], weight)
    fade = (-((y / 0.86) ** 8)).exp() * body  # the coil's end
    # Air in the lungs and around the body bends the field. Bowel and vessels make it rough here, not there.
    phase = across * near + along * (position[:, 0] ** 4 + y**4) + waves[:, 1] * (0.45 + 0.6 * uneven.abs())
    return torch.complex(real * fade, imaginary * fade), phase, body > 0.5


def _inside(shape: Tensor, position: Tensor, box: bool) -> tuple[Tensor, Tensor]:
    """Distance from a shape's centre, 1 on its ellipse, and how far a pixel is inside the bent outline.

    `box` makes straighter sides. One shape at a time: these tensors fit in the processor's cache.
    """
    cx, cy, a, b, tilt, edge = shape[:, :6].unbind(1)
    cos, sin = tilt.cos(), tilt.sin()
    x, y = position[:, 0] - cx, position[:, 1] - cy
    along, across = x * (cos / a) + y * (sin / a), y * (cos / b) - x * (sin / b)
    radius = torch.addcmul(along.square(), across, across).sqrt()
    # Harmonics of the angle by the addition theorem.
    inverse = 1 / radius.clamp_min(1e-3)
    cosine, sine = along * inverse, across * inverse
    bend, c, s = torch.ones_like(radius), cosine, sine
    for k in range(_HARMONICS):
        c, s = torch.addcmul(c * cosine, s, sine, value=-1), torch.addcmul(s * cosine, c, sine)
        bend = bend + shape[:, 9 + k] * c + shape[:, 9 + _HARMONICS + k] * s
    distance = (along**4 + across**4).sqrt().sqrt() if box else radius
    return distance, ((bend - distance) * (torch.minimum(a, b) / edge * 2)).sigmoid()
