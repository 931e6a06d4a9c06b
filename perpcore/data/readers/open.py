"""Files and folders of every format in, volumes out."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py

from perpcore.data.readers import arrays, calgary, fastmri, mrd, nifti
from perpcore.data.readers.base import Options, UnreadableFileError, Volume, naming, require

FORMATS: dict[str, Callable[[Path, Options], list[Volume]]] = {
    "fastmri": fastmri.open_volumes, "calgary": calgary.open_volumes, "mrd": mrd.open_volumes,
    "nifti": nifti.open_volumes, "arrays": arrays.open_volumes,
}  # fmt: skip
SUFFIXES = (".h5", ".hdf5", ".mrd", ".npy", ".npz", ".mat", ".nii", ".nii.gz", ".cfl")
MAX_SLICE = 2**28
"""Complex numbers in one slice of all coils, 2 GB: more is a damaged header, not an MR image."""


def open_file(
    path: Path | str,
    format: str = "auto",
    *,
    domain: str | None = None,
    axes: str | Sequence[str] | None = None,
    phase_unit: str | None = None,
    array: str | None = None,
) -> list[Volume]:
    """Volumes of one file, in one of `FORMATS`; "auto" looks into the file.

    Parameters
    ----------
    domain : {"kspace", "image"}, optional
        What a plain array is; "image" reads real arrays and lone NIfTI magnitudes too.
    axes, array : str, optional
        Of plain arrays, such as "slice,coil,row,column" (echo and frame count as slices), and the
        name of the one to be read, where there are several.
    phase_unit : {"rad", "mrad", "degrees", "siemens"}, optional
        Of stored phase.

    Raises FileNotFoundError, PermissionError, or UnreadableFileError of one line that names the
    file, what was expected, what came, and the option that settles it.
    """
    path = Path(path)
    if format not in (*FORMATS, "auto"):
        raise ValueError(f"format: expected auto, {', '.join(FORMATS)}, got {format!r}")
    if domain not in (None, "kspace", "image"):
        raise ValueError(f"domain: expected kspace or image, got {domain!r}")
    with path.open("rb"):
        pass  # none, a folder, no permission: say so before any format is guessed
    names = axes.split(",") if isinstance(axes, str) else axes
    options = {"domain": domain, "axes": names, "phase_unit": phase_unit, "array": array}
    with naming(path):
        require(path.name[:2] != "._", "what a Mac keeps beside copied files, not data")
        volumes = FORMATS[_find_format(path) if format == "auto" else format](path, options)
        for volume in volumes:
            require(min(volume.shape) >= 1 and math.prod(volume.shape[1:]) <= MAX_SLICE,
                    "expected (slices, coils, rows, columns) of at least 1 and at most "
                    f"{MAX_SLICE} numbers a slice, its header claims {volume.shape}")  # fmt: skip
            require(domain in (None, volume.domain), f"expected {domain}, got {volume.domain}")
    return volumes


def open_folder(
    path: Path | str,
    format: str = "auto",
    *,
    skip_bad: bool = False,
    report: Callable[[str], None] = print,
    **options: Any,
) -> list[Volume]:
    """Volumes of all files below a folder, sorted by name; or of one file.

    A file that cannot be read is an error, unless `skip_bad`: then it is reported and left out.
    """
    path = Path(path)
    if not path.is_dir():
        return open_file(path, format, **options)
    volumes: dict[Volume, None] = {}  # two files that belong together give the same volume
    for file in sorted(path.rglob("*")):
        if not file.name.lower().endswith(SUFFIXES) or file.name[:2] == "._":
            continue
        try:
            volumes |= dict.fromkeys(open_file(file, format, **options))
        except (UnreadableFileError, OSError) as error:
            if not skip_bad:
                raise UnreadableFileError(f"{error} (--skip-bad leaves it out)") from None
            report(f"left out: {error}")
    if not volumes:
        raise FileNotFoundError(f"{path}: no readable file with suffix {', '.join(SUFFIXES)}")
    return list(volumes)


def open_source(source: str, *, skip_bad: bool = False, **options: Any) -> list[Volume]:
    """Volumes of a file or folder: "FORMAT:PATH", or a path alone."""
    name, _, path = source.partition(":")
    if name not in FORMATS or not path:
        name, path = "auto", source.removeprefix("auto:")
    return open_folder(path, name, skip_bad=skip_bad, **options)


def fingerprint(volumes: Sequence[Volume]) -> str:
    """12 hex digits that name what is read, wherever the files lie and whenever they were copied.

    A hash of names, sizes, shapes, subjects and contents: of a file of more than 4 MiB, 64 blocks
    of 64 KiB spread evenly, so that one replaced under its name counts as another.
    """
    said = [
        (v.path.name, v.domain, v.key, v.shape, v.subject)
        + tuple(str(v.info.get(name)) for name in ("axes", "phase_unit"))
        for v in volumes
    ]
    digest = hashlib.sha256(repr(sorted(said)).encode())
    files = {v.path for v in volumes} | {v.info.get("partner", v.path) for v in volumes}
    for path in sorted(files, key=lambda p: (p.name, p)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for start in range(0, size, max(size // 64, 2**16)):
                file.seek(start)
                digest.update(file.read(2**16))
    return digest.hexdigest()[:12]


def _find_format(path: Path) -> str:
    """Calgary-Campinas is known by 12 or 32 channels; others of its files may be anything."""
    if nifti.SUFFIX.search(path.name):
        return "nifti"
    if not h5py.is_hdf5(path):
        return "arrays"
    with h5py.File(path, "r") as file:
        kspace = file.get("kspace")
        if isinstance(kspace, h5py.Dataset) and "ismrmrd_header" in file:
            return "fastmri"
        if isinstance(kspace, h5py.Dataset) and kspace.dtype.kind == "f":
            return "calgary" if kspace.shape[3:] in ((24,), (64,)) else "arrays"
        return "mrd" if mrd.groups_of(file) else "arrays"
