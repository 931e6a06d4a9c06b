"""Files and folders of any known format."""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py

from perpcore.data.readers import arrays, calgary, fastmri, mrd, nifti
from perpcore.data.readers.base import UnreadableFileError, Volume, said

FORMATS: dict[str, Any] = {
    "fastmri": fastmri, "calgary": calgary, "mrd": mrd, "nifti": nifti, "arrays": arrays,
}  # fmt: skip
"""Readers in the order in which they are asked whether a file is theirs."""

SUFFIXES = (".h5", ".hdf5", ".mrd", ".npy", ".npz", ".mat", ".cfl", ".nii", ".nii.gz")
MAX_SLICE = 2**28  # numbers in one slice of all coils, 2 GB: more is a damaged header


def open_file(path: Path | str, format: str = "auto", **options: str | None) -> list[Volume]:
    """Open the volumes of one file.

    Parameters
    ----------
    format : str
        One of `FORMATS`; "auto" asks each reader.
    options
        What the file does not say: `domain`, `axes` (see `arrays.open_volumes`), `phase_unit`
        (see `base.phase_unit`).

    Raises FileNotFoundError, PermissionError, or UnreadableFileError naming the file, what was
    expected and what came.
    """
    path = Path(path)
    if format not in (*FORMATS, "auto"):
        raise ValueError(f"format: expected auto, {', '.join(FORMATS)}, got {format!r}")
    if "\0" in str(path) or not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a folder; expected a file (open_folder reads folders)")
    if path.name.startswith("._"):
        raise UnreadableFileError(f"{path}: what macOS keeps about {path.name[2:]}, not data")
    with path.open("rb"):
        pass  # no permission: say so before any format is guessed
    try:
        name = format if format != "auto" else _sniff(path)
        given = {{"phase_unit": "unit"}.get(k, k): v for k, v in options.items() if v is not None}
        known = inspect.signature(FORMATS[name].open_volumes).parameters
        if unknown := set(given) - set(known):
            raise ValueError(f"{', '.join(sorted(unknown))}: {name} files say it themselves")
        volumes: list[Volume] = FORMATS[name].open_volumes(path, **given)
    except UnreadableFileError:
        raise
    except Exception as error:  # whatever a parser raises at damaged bytes
        raise UnreadableFileError(f"{path}: {said(error)}") from None
    for volume in volumes:
        if min(volume.shape) < 1 or math.prod(volume.shape[1:]) > MAX_SLICE:
            raise UnreadableFileError(
                f"{path}: expected (slices, coils, rows, columns) of at least 1 and at most "
                f"{MAX_SLICE} numbers in a slice, its header claims {volume.shape}"
            )
    return volumes


def open_folder(
    path: Path | str,
    format: str = "auto",
    *,
    skip_bad: bool = False,
    report: Callable[[str], None] = print,
    **options: str | None,
) -> list[Volume]:
    """Open the volumes of all files below a folder, sorted by name; or of one file.

    A file that cannot be read is an error, unless `skip_bad`: then it is reported and left out.
    """
    path = Path(path)
    if path.is_file():
        return open_file(path, format, **options)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder")
    volumes: dict[tuple[Path, str], Volume] = {}  # both files of a NIfTI pair give the same one
    for file in sorted(path.rglob("*")):
        if not file.name.lower().endswith(SUFFIXES) or file.name.startswith("._"):
            continue
        try:
            volumes |= {(v.path, v.key): v for v in open_file(file, format, **options)}
        except (UnreadableFileError, OSError) as error:
            if not skip_bad:
                raise UnreadableFileError(f"{error} (--skip-bad leaves such files out)") from None
            report(f"left out: {error}")
    if not volumes:
        raise FileNotFoundError(f"{path}: no readable file with suffix {', '.join(SUFFIXES)}")
    return list(volumes.values())


def open_source(source: str, *, skip_bad: bool = False, **options: Any) -> list[Volume]:
    """Open "FORMAT:PATH", or a path alone; options as in `open_file`."""
    name, colon, path = source.partition(":")
    if not colon or name not in (*FORMATS, "auto"):
        name, path = "auto", source
    return open_folder(path, name, skip_bad=skip_bad, **options)


def fingerprint(volumes: Sequence[Volume]) -> str:
    """Name a set of volumes: stem of the first file, and a hash that follows their contents.

    Of files' names, sizes and times of change, keys and shapes; not of where they lie.
    """
    parts = []
    for v in volumes:
        stat = v.path.stat()
        parts.append((v.path.name, stat.st_size, stat.st_mtime_ns, v.key, v.shape, v.subject))
    digest = hashlib.sha256(repr(sorted(parts)).encode()).hexdigest()[:12]
    return f"{volumes[0].path.name.partition('.')[0]}-{digest}"


def _sniff(path: Path) -> str:
    for name, reader in FORMATS.items():
        if reader.recognizes(path):
            return name
    if not h5py.is_hdf5(path) and path.suffix.lower() in (".h5", ".hdf5", ".mrd"):
        raise UnreadableFileError(f"{path}: not an HDF5 file, or a truncated one")
    raise UnreadableFileError(f"{path}: no reader knows this file; name its format: {', '.join(FORMATS)}")
