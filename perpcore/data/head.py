"""An average head in 3D, of which generated brains are slices: the MNI152 tissue maps, with a painted face and neck."""

import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from perpcore._checks import require

BOX = np.array([(-110, 110), (-146, 130), (-190, 128)])
"""What the head's voxels cover: x (to the right), y (forward), z (up), mm in the coordinates of the maps."""
TOP, _VOXEL = 98, 2  # mm: where the head ends, and the size of a voxel

# Ellipsoids of an adult, by rule of thumb: centre and half axes in mm; one on each side where x is not 0.
_OUTLINE: Sequence[tuple[Sequence[float], Sequence[float]]] = (
    ((0, 40, -58), (64, 57, 76)), ((0, 95, -50), (14, 18, 22)), ((0, 55, -108), (46, 40, 26)),  # face, nose, chin
    ((0, -32, -150), (62, 60, 120)), ((0, -58, -64), (64, 54, 50)), ((0, -5, -62), (74, 62, 42)),  # neck, ears
)  # fmt: skip
# And shares of muscle, fat and fluid; a later one covers an earlier one. What they leave is muscle, in a rim of fat.
_INNER: Sequence[tuple[Sequence[float], Sequence[float], Sequence[float]]] = (
    ((0, -84, -125), (46, 16, 65), (0, 1, 0)), ((36, 58, -72), (12, 22, 22), (0, 1, 0)),  # fat of neck and cheeks
    ((26, 48, -30), (17, 26, 17), (0, 1, 0)), ((31, 62, -32), (12, 12, 12), (0, 0, 1)),  # orbits, eyes
    ((0, -8, -52), (11, 7, 20), (0.2, 0.6, 0)), ((0, 20, -40), (14, 12, 9), (0, 0, 0)),  # clivus, sphenoid sinus
    ((0, 56, -52), (15, 34, 18), (0, 0, 0)), ((7, 54, -46), (4, 26, 4), (1, 0, 0)),  # nasal cavity, turbinates
    ((7, 54, -59), (4, 28, 5), (1, 0, 0)), ((0, 54, -54), (1.5, 30, 16), (0.6, 0.2, 0)),  # septum
    ((29, 50, -55), (13, 16, 15), (0, 0, 0)), ((14, 80, 4), (13, 5, 9), (0, 0, 0)),  # maxillary and frontal sinuses
    ((0, 52, -71), (22, 30, 3), (0, 0, 0)), ((0, 82, -85), (24, 5, 11), (0.1, 0, 0)),  # palate, teeth
    ((0, 79, -112), (16, 6, 9), (0.1, 0.7, 0)), ((46, 22, -95), (5, 22, 14), (0.1, 0.6, 0)),  # jaw
    ((0, 7, -62), (12, 8, 14), (0, 0, 0)), ((0, 3, -100), (11, 6, 32), (0, 0, 0)),  # pharynx
    ((0, 12, -165), (10, 10, 48), (0, 0, 0)),  # trachea
    *(((0, -18, -88 - 17 * k), (11, 9, 7), (0.2, 0.5, 0)) for k in range(7)),  # vertebrae
    *(((0, -64, -90 - 17 * k), (4, 13, 4), (0.2, 0.5, 0)) for k in range(7)),
)  # fmt: skip
_CANAL, _CORD = ((0.0, -38.0, -125.0), (11.0, 9.0, 75.0)), ((0.0, -39.0, -130.0), (7.0, 5.0, 85.0))


@lru_cache(maxsize=1)
def head(device: torch.device) -> Tensor:
    """Return white and grey matter, fluid, mm to the brain's cavity, muscle, fat, and where face and neck are.

    Shares of a voxel from 0 to 1, but for the distance; (1, 7, z, y, x) in `BOX`. Muscle and fat are those of face and
    neck. Raises ValueError where nilearn's maps are missing.
    """
    white, grey, t1 = _maps()
    axes = tuple(np.arange(low + _VOXEL / 2, high, _VOXEL, dtype=np.float32) for low, high in BOX)
    canal, cord, outline = (np.zeros_like(t1) for _ in range(3))
    for volume, shapes in ((canal, [_CANAL]), (cord, [_CORD]), (outline, _OUTLINE)):
        for shape in shapes:
            at, share = _inside(axes, *shape)
            volume[at] = np.maximum(volume[at], share)
    white = np.maximum(white, cord)
    brain = ndimage.binary_fill_holes(t1 > 0.05) | (canal > 0.5)
    # A skull is smoother than the brain.
    cavity = ndimage.gaussian_filter(ndimage.binary_closing(brain, iterations=5).astype(np.float32), 2) > 0.45
    fluid = ((brain | cavity) - white - grey).clip(0, 1)
    distance = ndimage.distance_transform_edt(~cavity, sampling=_VOXEL).astype(np.float32)

    outline = (2 * ndimage.gaussian_filter(outline, 2) - 0.5).clip(0, 1)
    depth = ndimage.distance_transform_edt((outline > 0.5) | (distance < 10), sampling=_VOXEL)
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=t1.shape).astype(np.float32), 3)
    between = 0.7 * np.exp(-((4 * noise / noise.std()) ** 2))  # muscles
    fat = np.maximum(between, 1 / (1 + np.exp(depth - 6))).astype(np.float32)
    muscle = 1 - fat
    for centre, half_axes, parts in _INNER:
        at, share = _inside(axes, centre, half_axes)
        share = share * (distance[at] > 0)
        for volume, part in zip((muscle, fat, fluid), parts, strict=True):
            volume[at] += share * (part - volume[at])
    channels = white, grey, fluid, distance, muscle * outline, fat * outline, outline
    # All channels of a voxel side by side: sampled twice as fast.
    return torch.from_numpy(np.stack(channels))[None].to(device, memory_format=torch.channels_last_3d)


def _maps() -> list[np.ndarray]:
    """White matter, grey matter and T1-weighted signal on the voxels of `BOX`."""
    found = [importlib.util.find_spec(name) for name in ("nilearn", "nibabel")]
    require(None not in found, "brains need nilearn's maps: pip install nilearn nibabel")
    import nibabel

    folder = Path(found[0].submodule_search_locations[0]) / "datasets" / "data"  # type: ignore[index, union-attr]
    volumes = []
    for name in ("wm", "gm", "t1"):
        file: Any = nibabel.load(folder / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz")
        fine = np.asarray(file.dataobj, dtype=np.float32)
        fine = np.pad(fine / fine.max(), [(0, -n % _VOXEL) for n in fine.shape])
        parts = [fine[i::_VOXEL, j::_VOXEL, k::_VOXEL] for i, j, k in np.ndindex(_VOXEL, _VOXEL, _VOXEL)]
        first = (file.affine[:3, 3].astype(int) - BOX[:, 0]) // _VOXEL
        margins = np.stack([first, np.ptp(BOX, 1) // _VOXEL - first - parts[0].shape], 1)
        coarse = np.pad(sum(parts) / len(parts), margins).T.copy()
        # Averages of 152 heads are blurred: a steeper transition is that of one head.
        volumes.append(coarse if name == "t1" else coarse**2 / (coarse**2 + (1 - coarse) ** 2))
    return volumes


def _inside(
    axes: Sequence[np.ndarray], centre: Sequence[float], half_axes: Sequence[float]
) -> tuple[tuple[slice, ...], np.ndarray]:
    """Part of the volume (z, y, x) around an ellipsoid, and how far each voxel of it is inside, 0 to 1."""
    edge = _VOXEL / min(half_axes)
    at, squares = [], []
    for axis, middle, half in zip(axes, centre, half_axes, strict=True):
        offset = (np.abs(axis) if axis is axes[0] and middle else axis) - middle
        found = np.flatnonzero(np.abs(offset) < (1 + edge) * half)
        at.append(slice(found[0], found[-1] + 1))
        squares.append((offset[at[-1]] / half) ** 2)
    x, y, z = squares
    radius = np.sqrt(z[:, None, None] + y[:, None] + x)
    return tuple(at[::-1]), (0.5 + (1 - radius) / (2 * edge)).clip(0, 1)
