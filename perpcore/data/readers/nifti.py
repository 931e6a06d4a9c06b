"""Magnitude and phase, or real and imaginary part, in two NIfTI files (package nibabel)."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from perpcore._checks import require
from perpcore.data.readers.base import Options, Volume, naming, phase_unit, turned

SUFFIX = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
# How names end, as in `x_mag`, `x_e1_ph`, `x_phase1`; or what follows BIDS's `part-`.
PARTS = {"magnitude": "mag|magnitude", "phase": "ph|phase", "real": "real", "imaginary": "imag|imaginary"}
PARTNER = {"magnitude": "phase", "phase": "magnitude", "real": "imaginary", "imaginary": "real"}


def open_volumes(path: Path, options: Options) -> list[Volume]:
    """Volumes, one an index of a fourth axis, of a complex file or of two that belong together, whichever is named."""
    image = _load(path)
    columns, rows, slices, frames, *more = (*image.shape, 1, 1)[: max(4, image.ndim)]
    dtype = image.get_data_dtype()
    require(not more and dtype.kind in "iufc", f"expected 2 to 4 axes, got {dtype} {image.shape}")
    across, down = (float(n) for n in image.header.get_zooms()[:2])
    info: dict[str, Any] = {"affine": image.affine, "fov_mm": (rows * down, columns * across)}
    part, partner = ("complex", None) if dtype.kind == "c" else _find_partner(path)
    if partner is not None:
        shape = _load(partner).shape
        require(shape == image.shape, f"expected the shape of {partner}, {shape}, got {image.shape}")
        path, partner = (path, partner) if part in ("magnitude", "real") else (partner, path)
        info["partner"] = partner
        if part in ("magnitude", "phase"):
            pixels, wanted = _load(partner).dataobj, options.get("phase_unit")
            with naming(partner):
                info |= phase_unit(pixels.get_unscaled(), wanted, float(pixels.slope), float(pixels.inter))
    elif part != "complex":
        may_be_alone = part == "magnitude" and options.get("domain") == "image"
        wanted = f"a file beside it whose name ends in {PARTS[PARTNER[part]]}"
        advice = ", or --domain image" if part == "magnitude" else ""
        require(may_be_alone, f"{part} without {PARTNER[part]}: expected {wanted}{advice}")
    scan = (path, "nifti", "image", (slices, 1, rows, columns), SUFFIX.sub("", path.name))
    keys = [f"frame {n}" for n in range(frames)] if frames > 1 else [""]
    return [Volume(*scan, key, info | {"frame": n}, reader=read_slice) for n, key in enumerate(keys)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Image (1, row, column): rows are along the file's second axis, columns along its first."""
    where, parts = (slice(None), slice(None), index, volume.info["frame"]), []
    for path in filter(None, (volume.path, volume.info.get("partner"))):
        pixels = _load(path).dataobj
        parts.append(np.asarray(pixels[where[: len(pixels.shape)]]).T[None])
    if "phase_unit" in volume.info:
        return turned(parts[0], parts[1], volume.info)
    return parts[0] + 1j * parts[1] if len(parts) == 2 else parts[0]


def _load(path: Path) -> Any:
    import nibabel

    with naming(path, "cannot be read as NIfTI: "):
        return nibabel.Nifti1Image.from_filename(path)


def _find_partner(path: Path) -> tuple[str, Path | None]:
    """What the file holds, and the one file beside it that belongs to it."""
    name, part = _split(path)
    others = [p for p in sorted(path.parent.iterdir()) if SUFFIX.search(p.name) and p != path]
    many = [p for p in others if _split(p) in ((name, part), (name, PARTNER[part]))]
    found = [p for p in many if _split(p)[1] != part]
    require(not found or len(many) == 1, f"expected one other that belongs to it, got {[p.name for p in many]}")
    return part, found[0] if found else None


def _split(path: Path) -> tuple[tuple[str, str], str]:
    """What is before and after the word for the part, in small letters; and the part: without a word, magnitude."""
    stem = SUFFIX.sub("", path.name).lower()
    for part, words in PARTS.items():
        found = re.search(rf"(^|_)part-({words})(?=_|$)|(^|[_.-])({words})(?=\d*$)", stem)
        if found:
            return (stem[: found.start()], stem[found.end() :]), part
    return (stem, ""), "magnitude"
