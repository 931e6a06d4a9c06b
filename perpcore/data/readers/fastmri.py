"""fastMRI: one HDF5 file per volume, single- or multi-coil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers.header import parse_header
from perpcore.data.readers.volumes import UnreadableFileError, Volume, h5_file, kspace_of


def recognizes(path: Path) -> bool:
    """Whether the file has k-space and the header that fastMRI files have."""
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "kspace" in file and "ismrmrd_header" in file


def open_volumes(path: Path) -> list[Volume]:
    """The volume of the file.

    `info`: what the header says (see `header.parse_header`), "target" (name of the reference
    dataset or None), "mask" (bool, per column, or None), and the file's attributes.
    """
    with kspace_of(path) as (file, kspace):
        if kspace.dtype.kind != "c":
            raise UnreadableFileError(f"{path}: kspace: expected complex, got {kspace.dtype}")
        if kspace.ndim not in (3, 4):
            raise UnreadableFileError(
                f"{path}: kspace: expected (slice, [coil,] row, column), got {kspace.shape}"
            )
        shape = kspace.shape if kspace.ndim == 4 else (kspace.shape[0], 1, *kspace.shape[1:])
        info: dict[str, Any] = {k: _plain(v) for k, v in file.attrs.items()}
        if "ismrmrd_header" in file:
            info |= parse_header(file["ismrmrd_header"][()], path)
        targets = [n for n in ("reconstruction_rss", "reconstruction_esc") if n in file]
        info["target"] = targets[0] if targets else None
        mask = file["mask"][()].astype(bool) if "mask" in file else None
        if mask is not None and mask.shape != shape[-1:]:
            raise UnreadableFileError(
                f"{path}: mask: expected one value for each of {shape[-1]} columns, "
                f"got {mask.shape}"
            )
        info["mask"] = mask
    subject = str(info.get("patient_id") or path.stem)
    return [Volume(path, "fastmri", "kspace", shape, subject, "kspace", info)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, row, column)."""
    kspace: np.ndarray = h5_file(volume.path)["kspace"][index]
    return kspace.reshape(volume.shape[1:])


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else getattr(value, "item", lambda: value)()
