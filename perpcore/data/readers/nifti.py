"""Magnitude and phase in two NIfTI files (package nibabel)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from perpcore.data.readers.arrays import to_radians
from perpcore.data.readers.volumes import UnreadableFileError, Volume


def recognizes(path: Path) -> bool:
    """Whether the name ends like that of a NIfTI file."""
    return path.name.endswith((".nii", ".nii.gz"))


def open_volumes(path: Path) -> list[Volume]:
    """The volume of a magnitude file, with its phase file where one lies beside it.

    The phase file has the same name with "mag…" replaced by "phase" or "ph". `info["phase"]` is
    its path or None, `info["fov_mm"]` the field of view. A phase file itself gives no volume.
    """
    if re.search(r"(?i)(^|[^a-z])ph(ase)?([^a-z]|$)", path.name):
        return []
    image = load(path)
    shape = image.shape[:3] if image.ndim >= 3 else (*image.shape, 1)
    if image.ndim > 3 and np.prod(image.shape[3:]) != 1:
        raise UnreadableFileError(f"{path}: expected three axes, got {image.shape}")
    phase = next((p for p in _phase_names(path) if p.exists() and p != path), None)
    if phase is not None and load(phase).shape != image.shape:
        raise UnreadableFileError(
            f"{phase}: expected the shape of {path.name}, {image.shape}, got {load(phase).shape}"
        )
    zooms = image.header.get_zooms()[:3]
    fov = tuple(float(n * z) for n, z in zip(shape, zooms, strict=False))
    info = {"phase": phase, "fov_mm": fov}
    sizes = (shape[2], 1, shape[1], shape[0])
    return [Volume(path, "nifti", "image", sizes, path.name.split(".")[0], info=info)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Image (1, row, column): magnitude, times e^{i·phase} where there is a phase file."""
    magnitude = _slice(volume.path, index)
    if volume.info["phase"] is None:
        return magnitude.astype(np.complex64)[None]
    phase = to_radians(_slice(volume.info["phase"], index), volume.info["phase"])
    return (magnitude * np.exp(1j * phase)).astype(np.complex64)[None]


def load(path: Path) -> Any:
    """The opened NIfTI image; its pixels are not read yet."""
    try:
        import nibabel
    except ImportError:
        raise UnreadableFileError(f"{path}: NIfTI needs nibabel: pip install nibabel") from None
    try:
        return nibabel.Nifti1Image.from_filename(path)
    except (
        nibabel.filebasedimages.ImageFileError, nibabel.wrapstruct.WrapStructError,
        OSError, EOFError, ValueError,
    ) as error:  # fmt: skip
        raise UnreadableFileError(f"{path}: cannot be read as NIfTI: {error}") from None


def _slice(path: Path, index: int) -> np.ndarray:
    pixels = load(path).dataobj
    plane = pixels[:, :, index] if len(pixels.shape) >= 3 else pixels[:, :]
    return np.asarray(plane).reshape(plane.shape[:2]).T


def _phase_names(path: Path) -> list[Path]:
    found = re.search(r"(?i)mag(nitude)?", path.name)
    if not found:
        return []
    head, tail = path.name[: found.start()], path.name[found.end() :]
    return [path.with_name(head + word + tail) for word in ("phase", "ph", "Phase", "PHASE")]
