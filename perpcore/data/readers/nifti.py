"""NIfTI: magnitude and phase, or real and imaginary part, in two files (package nibabel)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from perpcore.data.readers.base import UnreadableFileError, Volume, phase_unit, to_radians

ENDINGS = (".nii.gz", ".nii")
KINDS = {
    "mag": "magnitude", "magnitude": "magnitude", "ph": "phase", "phase": "phase",
    "real": "real", "imaginary": "imaginary", "imag": "imaginary",
}  # fmt: skip
_NAME = re.compile(r"_(part-)?(magnitude|mag|phase|ph|real|imaginary|imag)(?=_|$)", re.I)
PARTNERS = {"magnitude": "phase", "phase": "magnitude", "real": "imaginary", "imaginary": "real"}


def recognizes(path: Path) -> bool:
    """Say whether the name ends like that of a NIfTI file."""
    return path.name.lower().endswith(ENDINGS)


def open_volumes(path: Path, domain: str | None = None, unit: str | None = None) -> list[Volume]:
    """Open the volumes of a file and its partner, one for each index of the fourth axis.

    Partners are found by suffix, as dcm2niix, ukat and BIDS write them: `_ph`, `_phase`,
    `part-phase`; `_mag`, `_magnitude`, `part-mag` or none; `_real` and `_imaginary`. A single real
    file is read only where `domain` is "image". `info`: "partner", "phase_unit", "affine" (4, 4),
    "fov_mm".
    """
    if domain not in (None, "image"):
        raise ValueError(f"domain: expected image for NIfTI, got {domain!r}")
    base, kind = _parse(path)
    image, partner = load(path), None
    if np.dtype(image.get_data_dtype()).kind != "c":
        partner = _partner(path, base, kind)
        if kind == "phase" and partner is None:
            raise UnreadableFileError(f"{path}: a phase; expected its magnitude beside it")
        if partner is None and domain != "image":
            wanted = PARTNERS.get(kind, "phase")
            raise UnreadableFileError(
                f"{path}: a {kind or 'magnitude'} without {wanted} beside it: to read it as a real "
                "image give --domain image"
            )
    if partner is not None and kind in ("phase", "imaginary"):
        path, partner = partner, path
        image = load(path)
    shape = (*image.shape, 1, 1, 1, 1)[:4]
    if int(np.prod(image.shape[3:])) != shape[3]:
        raise UnreadableFileError(f"{path}: expected at most four axes, got {image.shape}")
    affine = image.affine
    zooms = image.header.get_zooms()[:3]
    fov = tuple(float(n * z) for n, z in zip(shape, zooms, strict=False))
    info: dict[str, Any] = {"partner": partner, "affine": affine, "fov_mm": fov}
    if partner is not None:
        other = load(partner)
        if other.shape != image.shape:
            raise UnreadableFileError(f"{partner}: expected the shape of {path.name}, {image.shape}, got {other.shape}")
        if _parse(partner)[1] == "phase":
            values = np.asarray(other.dataobj)
            low, high = float(values.min()), float(values.max())
            whole = bool(values.dtype.kind in "iu" or high - low > 6.29)
            info |= {"phase_unit": phase_unit(low, high, whole, partner, unit), "phase_low": low}
    subject = re.sub(r"(?i)\.nii(\.gz)?$", "", base)
    sizes = (shape[2], 1, shape[1], shape[0])
    keys = [f"volume {k}" for k in range(shape[3])] if shape[3] > 1 else [""]
    return [Volume(path, "nifti", "image", sizes, subject, read_slice, key, info) for key in keys]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Read an image (1, row, column); rows run along the file's second axis, columns the first."""
    at = int(volume.key.rpartition(" ")[2] or 0)
    plane, partner = _slice(volume.path, index, at), volume.info["partner"]
    if partner is None:
        return plane.astype(np.complex64)[None]
    other = _slice(partner, index, at)
    if "phase_unit" in volume.info:
        radians = to_radians(other, volume.info["phase_unit"], volume.info["phase_low"])
        return (plane * np.exp(1j * radians)).astype(np.complex64)[None]
    return (plane + 1j * other).astype(np.complex64)[None]


def load(path: Path) -> Any:
    """Open a NIfTI image; its pixels are not read yet."""
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


def _slice(path: Path, index: int, at: int) -> np.ndarray:
    pixels = load(path).dataobj
    rest = (index, at)[: len(pixels.shape) - 2]
    plane = np.asarray(pixels[(slice(None), slice(None), *rest, *[0] * (len(pixels.shape) - 4))])
    return plane.reshape(pixels.shape[:2]).T


def _parse(path: Path) -> tuple[str, str]:
    """Return the name without its part ("scan_e1"), and the part ("phase") or ""."""
    stem = re.sub(r"(?i)\.nii(\.gz)?$", "", path.name)
    # BIDS names the part anywhere, others at the end.
    found = [m for m in _NAME.finditer(stem) if m[1] or m.end() == len(stem)]
    if not found:
        return stem, ""
    last = found[-1]
    return stem[: last.start()] + stem[last.end() :], KINDS[last[2].lower()]


def _partner(path: Path, base: str, kind: str) -> Path | None:
    wanted = {PARTNERS.get(kind, "phase"), *([""] if kind == "phase" else [])}
    found = [
        p for p in sorted(path.parent.iterdir())
        if recognizes(p) and not p.name.startswith("._") and p != path
        and _parse(p)[0] == base and _parse(p)[1] in wanted
    ]  # fmt: skip
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise UnreadableFileError(f"{path}: expected one partner beside it, found {names}")
    return found[0] if found else None
