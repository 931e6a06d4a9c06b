"""One protocol for every format: a volume gives complex slices and says what is known of it."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor

MAX_OPEN_FILES = 16
MAX_SLICE = 2**28
"""Complex numbers in one slice of all coils, 2 GB: more is a damaged header, not an MR image."""


class UnreadableFileError(ValueError):
    """A file that is not what its format says; the message names the file and what is wrong."""


@dataclass(frozen=True)
class Volume:
    """Slices of one scan in one file; holds no data and no open file, so it can be pickled.

    Attributes
    ----------
    path : Path
        The file; `key` names the dataset or group within it.
    format : str
        Name of the reader in `FORMATS`.
    domain : {"kspace", "image"}
        What `read` gives: centred k-space, or an image.
    shape : tuple of int
        (slices, coils, rows, columns).
    subject : str
        Patient, or scan session: what training and test sets are split by.
    info : Mapping
        What else the file says, for example fov_mm, padding, mask, acquisition.
    """

    path: Path
    format: str
    domain: str
    shape: tuple[int, int, int, int]
    subject: str
    key: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int) -> Tensor:
        """Slice `index` as complex64 (coil, row, column); touches no other slice.

        Raises IndexError, or UnreadableFileError where the slice is damaged, not finite or zero
        everywhere.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: slice {index} of {len(self)}")
        try:
            array = _module(self.format).read_slice(self, index)
        except UnreadableFileError:
            raise
        except Exception as error:  # of five parsers, whatever they raise at damaged bytes
            raise UnreadableFileError(f"{self.path}: slice {index}: {_said(error)}") from None
        if array.shape != self.shape[1:]:
            raise UnreadableFileError(
                f"{self.path}: slice {index}: expected shape {self.shape[1:]}, got {array.shape}"
            )
        if not np.isfinite(array).all():
            raise UnreadableFileError(f"{self.path}: slice {index} holds NaN or infinity")
        if not array.any():
            raise UnreadableFileError(f"{self.path}: slice {index} is zero everywhere")
        return torch.from_numpy(np.array(array, dtype=np.complex64))


FORMATS = ("fastmri", "calgary", "mrd", "nifti", "arrays")
"""Readers in the order in which they are asked whether a file is theirs."""


def open_file(path: Path | str, format: str = "auto", **options: Any) -> list[Volume]:
    """Volumes of one file (an array file may hold several).

    Parameters
    ----------
    format : str
        One of `FORMATS`; "auto" asks each reader.
    options
        For "arrays": `domain`, "kspace" or "image", of complex arrays.

    Raises FileNotFoundError, PermissionError, or UnreadableFileError naming the file, what was
    expected and what came.
    """
    path = Path(path)
    if format not in (*FORMATS, "auto"):
        raise ValueError(f"format: expected auto, {', '.join(FORMATS)}, got {format!r}")
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a folder; expected a file (open_folder reads folders)")
    with path.open("rb"):
        pass  # no permission: say so before any format is guessed
    try:
        if h5py.is_hdf5(path):
            from perpcore.data.readers.guard import require_bounded  # which imports from here

            require_bounded(path)
        name = format if format != "auto" else _sniff(path)
        volumes: list[Volume] = _module(name).open_volumes(path, **options)
    except UnreadableFileError:
        raise
    except Exception as error:  # of five parsers, whatever they raise at damaged bytes
        raise UnreadableFileError(f"{path}: {_said(error)}") from None
    for volume in volumes:
        if min(volume.shape) < 1 or math.prod(volume.shape[1:]) > MAX_SLICE:
            raise UnreadableFileError(
                f"{path}: expected (slices, coils, rows, columns) of at least 1 and at most "
                f"{MAX_SLICE} numbers in a slice, its header claims {volume.shape}"
            )
    return volumes


def _said(error: Exception) -> str:
    """What an error says, with its kind where that is not clear without."""
    plain = isinstance(error, (OSError, ValueError)) and str(error)
    return str(error) if plain else f"{type(error).__name__}: {error}"


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
    if path.is_file():
        return open_file(path, format, **options)
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder")
    volumes: list[Volume] = []
    suffixes = (".h5", ".hdf5", ".npy", ".mat", ".nii", ".nii.gz", ".mrd")
    for file in sorted(f for f in path.rglob("*") if f.is_file() and f.name.endswith(suffixes)):
        try:
            volumes += open_file(file, format, **options)
        except (UnreadableFileError, OSError) as error:
            if not skip_bad:
                raise
            report(f"left out: {error}")
    if not volumes:
        raise FileNotFoundError(f"{path}: no readable file with suffix {', '.join(suffixes)}")
    return volumes


def _sniff(path: Path) -> str:
    for name in FORMATS:
        if _module(name).recognizes(path):
            return name
    if not h5py.is_hdf5(path) and path.suffix in (".h5", ".hdf5", ".mrd"):
        raise UnreadableFileError(f"{path}: not an HDF5 file, or a truncated one")
    raise UnreadableFileError(f"{path}: no reader knows this file; name its format")


def _module(name: str) -> ModuleType:
    from perpcore.data.readers import arrays, calgary, fastmri, mrd, nifti

    modules = {
        "fastmri": fastmri, "calgary": calgary, "mrd": mrd, "nifti": nifti, "arrays": arrays,
    }  # fmt: skip
    return modules[name]


@contextmanager
def kspace_of(path: Path) -> Iterator[tuple[h5py.File, h5py.Dataset]]:
    """The opened file and its dataset kspace; UnreadableFileError where there is none."""
    if not h5py.is_hdf5(path):
        raise UnreadableFileError(f"{path}: not an HDF5 file, or a truncated one")
    with h5py.File(path, "r") as file:
        if "kspace" not in file:
            raise UnreadableFileError(f"{path}: no dataset kspace; it has {sorted(file)}")
        yield file, file["kspace"]


_files: OrderedDict[tuple[int, Path], h5py.File] = OrderedDict()


def h5_file(path: Path) -> h5py.File:
    """The open file, from a cache of this process that closes the one used longest ago."""
    key = (os.getpid(), path)
    if key not in _files:
        # Handles that a forked worker inherited belong to its parent: not used, not closed.
        for other in [k for k in _files if k[0] != key[0]]:
            del _files[other]
        while len(_files) >= MAX_OPEN_FILES:
            _files.popitem(last=False)[1].close()
        _files[key] = h5py.File(path, "r")
    _files.move_to_end(key)
    return _files[key]
