"""Calgary-Campinas: multi-channel HDF5 and single-channel NumPy files."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from perpcore.data.readers.base import UnreadableFileError, Volume, open_hdf5

ACQUIRED = 0.85  # share of the kz lines of the multi-channel data that were acquired


def recognizes(path: Path) -> bool:
    """Say whether k-space lies in the file as these data have it: real numbers, interleaved."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            kspace = file.get("kspace")
            found = isinstance(kspace, h5py.Dataset) and kspace.ndim == 4
            return bool(found and kspace.dtype.kind == "f")
    if path.suffix.lower() != ".npy":
        return False
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return bool(array.ndim == 4 and array.shape[-1] == 2 and array.dtype.kind == "f")


def open_volumes(path: Path) -> list[Volume]:
    """Open the volume of the file.

    Slices run along x, which is in image space already; rows are ky, columns kz. `info["padding"]`
    are the kz that were acquired.
    """
    if not recognizes(path):
        raise UnreadableFileError(
            f"{path}: expected real k-space (x, ky, kz, 2·channel) in HDF5, or (slice, row, column, 2) in .npy"
        )
    if path.suffix.lower() == ".npy":
        slices, rows, columns, _ = np.load(path, mmap_mode="r", allow_pickle=False).shape
        shape = (slices, 1, rows, columns)
        return [Volume(path, "calgary", "kspace", shape, path.stem, read_slice)]
    with open_hdf5(path) as file:
        slices, rows, columns, parts = file["kspace"].shape
    if parts % 2:
        raise UnreadableFileError(f"{path}: kspace: expected an even last axis, got {parts}")
    info = {"padding": (0, math.ceil(ACQUIRED * columns))}
    shape = (slices, parts // 2, rows, columns)
    return [Volume(path, "calgary", "kspace", shape, path.stem, read_slice, info=info)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Read centred k-space (coil, row, column)."""
    if volume.path.suffix.lower() == ".npy":
        parts = np.load(volume.path, mmap_mode="r", allow_pickle=False)[index]
        kspace = np.ascontiguousarray(parts).astype(np.float32).view(np.complex64)[None, ..., 0]
        # DC in the corner, the image centred: its centred k-space is that of the plain ifft2.
        image = np.fft.ifft2(kspace, norm="ortho")
        shifted = np.fft.fft2(np.fft.ifftshift(image, axes=(-2, -1)), norm="ortho")
        return np.fft.fftshift(shifted, axes=(-2, -1)).astype(np.complex64)
    with open_hdf5(volume.path) as file:
        parts = file["kspace"][index]
    return np.moveaxis(parts[..., ::2] + 1j * parts[..., 1::2], -1, 0)
