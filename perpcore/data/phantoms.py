"""Generated complex MR images: brains and abdomens, different for every (seed, index).

Brains are slices of the MNI152 tissue maps that come with nilearn; abdomens, in coronal view, are drawn from smooth
random shapes. The random parameters of each image are drawn on the CPU from its own (seed, index), so an image does
not depend on the batch it is drawn in; the pixels are computed in batches on the device. Lengths are in units of half
the field of view: the same anatomy at every matrix size.
"""

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from scipy import ndimage
from torch import Tensor
from torch.nn import functional

from perpcore._checks import check_collection
from perpcore.data.motion import warp

KINDS = ("brain", "abdomen")
ROUGHNESS = {"brain": 0.07, "abdomen": 0.7}
"""SD in rad of the phase that no smooth trend explains, as in measured images of the kind."""
TEXTURE = {"brain": 0.04, "abdomen": 0.12}  # relative SD of the fine magnitude texture
_WAVES = 48
_HARMONICS = 3  # of an organ's outline
_BOXES, _TRUNK, _AIR, _SPINE = 3, 1, (3, 4), 16  # of the shapes of an abdomen

# Proton density, T1, T2 and T2* at 3 T, times in ms (textbook values, rounded).
_TISSUES = {
    "white": (0.70, 850.0, 75.0, 50.0), "grey": (0.82, 1350.0, 95.0, 60.0), "fluid": (1.0, 4000.0, 1500.0, 400.0),
    "bone": (0.1, 400.0, 20.0, 5.0), "fat": (0.9, 380.0, 70.0, 40.0), "lesion": (0.9, 1800.0, 180.0, 110.0),
}  # fmt: skip
# Ranges of TR and TE in ms, and whether the signal decays with T2*.
_WEIGHTINGS = (
    ((450, 750), (8, 16), False), ((3000, 6000), (80, 110), False),
    ((3000, 5000), (12, 25), False), ((500, 900), (18, 35), True),
)  # fmt: skip


class Phantom(NamedTuple):
    """Complex images of maximum magnitude 1, and the body mask."""

    image: Complex[Tensor, "batch row column"]
    mask: Bool[Tensor, "batch row column"]


class _Parameters(NamedTuple):
    """What is random of one image."""

    anatomy: np.ndarray  # of a brain (7, 3), of an abdomen (shape, 8 + 2·_HARMONICS)
    values: np.ndarray  # magnitude and phase offset of each tissue or shape, (…, 2)
    waves: np.ndarray  # (field, 3, _WAVES, 2): texture, rough phase, smooth phase, shading, two for warps or vessels
    polynomial: np.ndarray  # (6,): phase of 1, x, y, x², xy, y² in rad


def generate(
    indices: Sequence[int],
    size: int,
    *,
    seed: int = 0,
    kind: str = "brain",
    roughness: float | None = None,
    texture: float | None = None,
    device: torch.device | str = "cpu",
    displacement: Float[Tensor, "batch 2 {size} {size}"] | None = None,
) -> Phantom:
    """Images number `indices` of the endless collection `seed`.

    Parameters
    ----------
    indices, size
        Non-negative numbers of images; rows and columns, at least 16.
    kind : {"brain", "abdomen"}
        Brains need nilearn and nibabel.
    roughness, texture : float, optional
        SD in rad of the phase that no smooth trend explains, and relative SD of the fine magnitude texture; by
        default those of `ROUGHNESS` and `TEXTURE`.
    displacement : Tensor, optional
        (len(indices), 2, size, size) in pixels: the body in another state, its pixel x showing
        what the first state has at x + u(x) (see `motion`).

    Returns complex64 images (len(indices), size, size), equal on all devices to 1e-5. Raises ValueError for a kind
    that is not known, and where nilearn's maps are missing.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")
    check_collection(indices, size)
    rough = ROUGHNESS[kind] if roughness is None else roughness
    fine = TEXTURE[kind] if texture is None else texture
    drawn = [_draw(seed, int(index), kind, rough, fine) for index in indices]
    fields = [torch.from_numpy(np.stack(f)).float().to(device) for f in zip(*drawn, strict=True)]
    parameters = _Parameters(*fields)  # type: ignore[arg-type]
    axis = (torch.arange(size, device=device) - size // 2) * (2 / size)
    position = torch.stack(torch.broadcast_tensors(axis[None, None, :], axis[None, :, None]), 1)
    waves = _sum_waves(parameters.waves, axis)  # type: ignore[arg-type]
    if displacement is not None:
        position = position + displacement * (2 / size)
        waves = warp(waves, displacement)
    paint = _paint_brain if kind == "brain" else _paint_abdomen
    magnitude, tissue_phase, body = paint(parameters, position, waves)
    grain, local_phase, smooth_phase, shading = waves[:, :4].unbind(1)
    magnitude = (magnitude * (1 + grain) * (0.3 * shading).exp()).clamp_min(0)
    magnitude = magnitude / magnitude.amax((-2, -1), keepdim=True)
    x, y = position[:, 0], position[:, 1]
    c = parameters.polynomial[:, :, None, None]
    phase = tissue_phase + smooth_phase + local_phase + c[:, 0] + c[:, 1] * x + c[:, 2] * y
    phase = phase + c[:, 3] * x * x + c[:, 4] * x * y + c[:, 5] * y * y
    return Phantom(torch.polar(magnitude, phase), body)


@lru_cache(maxsize=64)  # registration renders each anatomy in two states
def _draw(seed: int, index: int, kind: str, roughness: float, texture: float) -> _Parameters:
    rng = np.random.default_rng([seed, index])
    u = rng.uniform
    brain = kind == "brain"
    anatomy, values = (_draw_brain if brain else _draw_abdomen)(rng)
    ramp = (u(2.0, 4.0) if brain else u(3.0, 5.0)) * np.exp(1j * u(0, 2 * np.pi))
    waves = [
        _waves(rng, 14.0, 60.0, texture * u(0.7, 1.3)),
        _waves(rng, *((14.0, 110.0) if brain else (10.0, 60.0)), roughness * u(0.95, 1.05)),
        _waves(rng, 0.8, 4.5, u(0.5, 0.9) if brain else u(0.6, 1.2)),
        _waves(rng, 0.8, 2.5, 1.0),
        *(_waves(rng, *((1.5, 6.0, 0.02) if brain else (8.0, 22.0, 1.0))) for _ in range(2)),
    ]
    polynomial = np.array([u(-np.pi, np.pi), ramp.real, ramp.imag, *rng.normal(0, 0.8, size=3)])
    return _Parameters(anatomy, values, np.stack(waves), polynomial)


def _waves(rng: np.random.Generator, low: float, high: float, sd: float) -> np.ndarray:
    """Random plane waves, wave numbers in rad per half field of view, together of this SD.

    Log-uniform wave numbers: as much variance in each octave of scale.
    """
    k = np.exp(rng.uniform(np.log(low), np.log(high), _WAVES))
    angle, shift = rng.uniform(0, 2 * np.pi, (2, _WAVES))
    amplitude = sd * np.sqrt(2 / _WAVES) * np.exp(1j * shift)
    wave = np.stack([k * np.cos(angle), k * np.sin(angle), amplitude])
    return wave.astype(np.complex64).view(np.float32).reshape(3, _WAVES, 2)


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


@lru_cache(maxsize=1)
def _tissue_maps() -> tuple[Tensor, Tensor]:
    """White matter, grey matter, fluid (1, 3, z, y, x) and distance to the brain in mm (1, 1, …), on 2 mm voxels."""
    package = importlib.util.find_spec("nilearn")
    if package is None or importlib.util.find_spec("nibabel") is None:
        raise ValueError("brains need the maps that come with nilearn: pip install nilearn nibabel")
    import nibabel

    folder = Path(package.submodule_search_locations[0]) / "datasets" / "data"  # type: ignore[index]
    volumes = []
    for name in ("wm", "gm", "t1"):
        file: Any = nibabel.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
        volume = torch.from_numpy(np.asarray(file.dataobj, dtype=np.float32).transpose(2, 1, 0).copy())
        volumes.append(functional.avg_pool3d(functional.pad(volume[None], (12,) * 6), 2)[0] / volume.max())
    white, grey, t1 = volumes
    for volume in volumes:
        volume[: len(t1) // 5] = 0  # the brain stem would leave the head
    inside = torch.from_numpy(ndimage.binary_fill_holes((t1 > 0.05).numpy()))
    fluid = (inside.float() - white - grey).clamp(0, 1)
    distance = ndimage.distance_transform_edt(~inside.numpy(), sampling=2).astype(np.float32)
    return torch.stack([white, grey, fluid])[None], torch.from_numpy(distance)[None, None]


def _draw_brain(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    u = rng.uniform
    # Axes of the slice in the volume: its normal and where it lies on it, as a share of the half width.
    normal, low, high = ((2, -0.15, 0.45), (2, -0.15, 0.45), (1, -0.45, 0.45), (0, -0.3, 0.3))[rng.integers(4)]
    along, down = [axis for axis in range(3) if axis != normal]
    tilt = u(-0.15, 0.15, size=3)
    turn = np.eye(3) + np.array([[0, -tilt[2], tilt[1]], [tilt[2], 0, -tilt[0]], [-tilt[1], tilt[0], 0]])
    axes = np.stack([np.eye(3)[along] * rng.choice([-1, 1]), -np.eye(3)[down], np.eye(3)[normal]]) @ turn
    scale = u(114, 130) * u(0.95, 1.05, size=2)  # mm per half field of view
    lesions = [(u(-0.4, 0.4), u(-0.4, 0.4), u(0.02, 0.08) * (rng.random() < 0.3)) for _ in range(2)]
    centre = np.array([*u(-8, 8, size=2), u(low, high) * 80]) @ axes
    rim = (u(3, 6), u(8, 13), 0.0)  # end of the skull and of fat and skin, mm from the brain
    source = (u(-0.3, 0.3), u(0.3, 0.6), u(-2, 2))  # air below: place and strength of its field
    anatomy = np.stack([axes[0] * scale[0], axes[1] * scale[1], centre, rim, source, *lesions])
    tr_range, te_range, star = _WEIGHTINGS[rng.integers(len(_WEIGHTINGS))]
    tr, te = u(*tr_range), u(*te_range)
    values = []
    for name, (density, t1, t2, t2_star) in _TISSUES.items():
        decay = t2_star if star else t2
        signal = density * (1 - np.exp(-tr / t1)) * np.exp(-te / decay) * u(0.9, 1.1)
        values.append((signal * (u(0.5, 1) if name == "fat" else 1), u(-0.4, 0.4) if name == "fat" else 0.0))
    return anatomy, np.array(values)


def _paint_brain(p: Any, position: Tensor, waves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return magnitude, phase offset and head mask of slices."""
    maps, distance_map = (volume.to(position.device) for volume in _tissue_maps())
    warped = position + waves[:, 4:6]
    across, down, centre, rim, source, *lesions = p.anatomy.unbind(1)
    place = centre[:, :, None, None] + across[:, :, None, None] * warped[:, :1] + down[:, :, None, None] * warped[:, 1:]
    depth, height, width = maps.shape[2:]
    half = place.new_tensor([width, height, depth])[:, None, None]  # half of 2 mm voxels' extent, in mm
    grid = (place / half).movedim(1, -1)[None]
    white, grey, fluid = functional.grid_sample(maps, grid, align_corners=False)[0]
    distance = functional.grid_sample(distance_map, grid, padding_mode="border", align_corners=False)[0, 0]
    skull_end, skin_end = rim[:, :2, None, None].unbind(1)
    fat = ((distance - skull_end) / 1.5).sigmoid() * ((skin_end - distance) / 1.0).sigmoid()
    bone = (distance / 1.5).clamp(0, 1) * ((skull_end - distance) / 1.5).sigmoid()
    signals, offsets = p.values[..., None, None].unbind(2)
    tissues = torch.stack([white, grey, fluid, bone, fat], 1)
    magnitude = (tissues * signals[:, :5]).sum(1)
    for lesion in lesions:
        x, y, radius = lesion[:, :, None, None].unbind(1)
        spot = (-((warped[:, 0] - x) ** 2 + (warped[:, 1] - y) ** 2) / (radius**2 + 1e-6)).exp() * (white + grey)
        magnitude = torch.lerp(magnitude, signals[:, 5], spot.clamp(0, 1))
    x, y, strength = source[:, :, None, None].unbind(1)
    field = strength * (-((warped[:, 0] - x) ** 2 + (warped[:, 1] - y) ** 2) / 0.05).exp()
    return magnitude, field + fat * offsets[:, 4], distance < skin_end


def _shape(
    rng: np.random.Generator, x: float, y: float, a: float, b: float, value: float, tilt: float = 0.0,
    rough: float = 0.06, edge: float = 0.02, vessels: float = 0.0,
) -> np.ndarray:  # fmt: skip
    """One organ: an ellipse whose outline is bent by `rough`, and how much its vessels differ from it."""
    jitter = rng.uniform(0.92, 1.08, 2)
    bend = rough * rng.normal(size=(2, _HARMONICS)) / np.arange(1, _HARMONICS + 1)
    shift = rng.normal(0, 0.015, 2)
    return np.array([x + shift[0], y + shift[1], a * jitter[0], b * jitter[1], tilt, edge, value, vessels, *bend.flat])


def _draw_abdomen(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    u = rng.uniform
    dome, wide = u(-0.62, -0.42), u(0.68, 0.82)  # where the diaphragm is; half the width of the body
    fat, muscle, liver, lung = u(0.35, 0.9), u(0.2, 0.4), u(0.55, 0.9), u(0.02, 0.08)
    kidney, marrow, water_fat = u(0.6, 1.0), u(0.3, 0.6), u(1.2, 3.1) * rng.choice([-1, 1])  # rad, by the echo time
    rim, lean = u(0.03, 0.1), u(0.1, 0.25)

    def organ(*args: Any, phase: float = 0.0, **options: Any) -> tuple[np.ndarray, float]:
        return _shape(rng, *args, **options), phase

    shapes = [
        organ(0, 0, wide, 0.87, fat, rough=0.02, phase=water_fat),
        organ(0, 0, wide - rim, 0.84, muscle, rough=0.02, phase=u(3, 7) * rng.choice([-1, 1])),
        organ(0, 0.18, wide - rim - 0.08, 0.6, u(0.15, 0.6), rough=0.04, phase=water_fat * u(0, 0.6)),
        organ(-0.34, dome - 0.22, 0.28, 0.28, lung, 0.1, vessels=0.2, phase=u(1.5, 3.5) * rng.choice([-1, 1])),
        organ(0.36, dome - 0.2, 0.26, 0.28, lung, -0.1, vessels=0.2),
        organ(-0.36, dome + 0.28, 0.3, 0.36, liver, 0.2, rough=0.06, vessels=u(-0.35, 0.35)),
        organ(0.4, dome + 0.24, 0.2, 0.2, u(0.3, 0.8), -0.4, rough=0.1, phase=u(-0.4, 0.4)),
        organ(0.52, dome + 0.34, 0.13, 0.22, u(0.5, 0.8), -0.2),
        *(organ(s * 0.34, u(0.0, 0.15), 0.115, 0.21, kidney, -s * 0.25, rough=0.04) for s in (-1, 1)),
        *(organ(s * 0.34, u(0.05, 0.12), 0.05, 0.11, u(0.3, 1.0), -s * 0.25, rough=0.12) for s in (-1, 1)),
        *(organ(s * 0.22, 0.45, 0.085, 0.42, muscle * 0.9, -s * lean, rough=0.03) for s in (-1, 1)),
        *(organ(s * 0.55, 0.78, 0.24, 0.2, marrow, s * 0.5, rough=0.1, phase=water_fat * 0.3) for s in (-1, 1)),
        organ(0, 0.05, 0.09, 0.75, marrow, rough=0.02, phase=u(-0.3, 0.3)),
        organ(u(0.1, 0.14), -0.05, 0.028, 0.4, u(0.05, 1.0), 0.05, rough=0.02, phase=u(-0.5, 0.5)),
        organ(u(-0.14, -0.1), 0.0, 0.03, 0.35, u(0.05, 1.0), -0.05, rough=0.02, phase=u(-0.5, 0.5)),
        *(
            organ(u(-0.55, 0.55), u(0.25, 0.72), u(0.04, 0.12), u(0.03, 0.08), u(0.02, 0.8), u(0, np.pi), rough=0.2,
                  phase=u(-0.8, 0.8))
            for _ in range(7)
        ),
        *(organ(u(-0.5, 0.5), u(-0.3, 0.5), u(0.02, 0.05), u(0.02, 0.05), u(0.05, 1)) for _ in range(2)),
    ]  # fmt: skip
    anatomy = np.stack([shape for shape, _ in shapes])
    anatomy[:, 0] += u(-0.04, 0.04)
    return anatomy, np.array([[shape[6], phase] for shape, phase in shapes])


def _paint_abdomen(p: Any, position: Tensor, waves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return magnitude, phase offset and body mask; a later shape covers an earlier one."""
    # Zero lines of random waves look like branching vessels.
    lines = (-((waves[:, 4] / 0.25) ** 2)).exp()
    magnitude, phase, near = torch.zeros_like(lines), torch.zeros_like(lines), torch.zeros_like(lines)
    offsets = p.values[:, :, 1, None, None]
    for k, shape in enumerate(p.anatomy[..., None, None].unbind(1)):
        radius, weight = _inside(shape, position, box=k < _BOXES)
        magnitude = torch.lerp(magnitude, shape[:, 6] * (1 + shape[:, 7] * lines), weight)
        if k in _AIR:
            near = near + (-(((radius - 1) / 0.3) ** 2)).exp()
        elif k != _TRUNK:
            phase = torch.lerp(phase, offsets[:, k].expand_as(phase), weight)
        if k == 0:
            body = weight
        elif k == _SPINE:
            discs = (3 * (36 * position[:, 1]).sin()).tanh() * weight
    # Air in the lungs and around the trunk bends the field: wraps near both.
    corners = position[:, 0] ** 4 + position[:, 1] ** 4
    phase = phase + offsets[:, _AIR[0]] * near + offsets[:, _TRUNK] * corners
    return magnitude * (1 - 0.25 * discs) * body, phase, body > 0.5


def _inside(shape: Tensor, position: Tensor, box: bool) -> tuple[Tensor, Tensor]:
    """Return the distance from a shape's centre, 1 on its ellipse, and how far a pixel is inside the bent outline.

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
        bend = bend + shape[:, 8 + k] * c + shape[:, 8 + _HARMONICS + k] * s
    distance = (along**4 + across**4).sqrt().sqrt() if box else radius
    return distance, ((bend - distance) * (torch.minimum(a, b) / edge * 2)).sigmoid()
