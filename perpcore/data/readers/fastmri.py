"""fastMRI: one HDF5 file per volume, single- or multi-coil."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers.base import UnreadableFileError, Volume, crop_image, open_hdf5
from perpcore.data.readers.header import parse_header, readout_size


def recognizes(path: Path) -> bool:
    """Say whether the file has k-space and the header that fastMRI files have."""
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "kspace" in file and "ismrmrd_header" in file


def open_volumes(path: Path) -> list[Volume]:
    """Open the volume of the file; readout oversampling is removed when a slice is read.

    `info`: what the header says (see `header.parse_header`), "target" (name of the reference
    dataset or None), "mask" (bool, per column, or None), and the file's attributes.
    """
    with open_hdf5(path) as file:
        kspace = file.get("kspace")
        if not isinstance(kspace, h5py.Dataset) or kspace.dtype.kind != "c":
            raise UnreadableFileError(f"{path}: expected a complex dataset kspace, got {kspace}")
        if kspace.ndim not in (3, 4):
            raise UnreadableFileError(f"{path}: kspace: expected (slice, [coil,] row, column), got {kspace.shape}")
        slices, *coils, rows, columns = kspace.shape
        info: dict[str, Any] = {k: _plain(v) for k, v in file.attrs.items()}
        if "ismrmrd_header" in file:
            info |= parse_header(file["ismrmrd_header"][()], path)
        targets = [n for n in ("reconstruction_rss", "reconstruction_esc") if n in file]
        info["target"] = targets[0] if targets else None
        mask = file["mask"][()].astype(bool) if "mask" in file else None
    if mask is not None and mask.shape != (columns,):
        raise UnreadableFileError(f"{path}: mask: expected one value for each of {columns} columns, got {mask.shape}")
    info["mask"] = mask
    subject = str(info.get("patient_id") or path.stem)
    shape = (slices, coils[0] if coils else 1, readout_size(info, rows), columns)
    return [Volume(path, "fastmri", "kspace", shape, subject, read_slice, "kspace", info)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Read centred k-space (coil, row, column) in the recon field of view."""
    with open_hdf5(volume.path) as file:
        kspace: np.ndarray = file["kspace"][index]
    coils, rows, columns = volume.shape[1:]
    return crop_image(kspace.reshape(coils, -1, columns), rows, -2)


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else getattr(value, "item", lambda: value)()
