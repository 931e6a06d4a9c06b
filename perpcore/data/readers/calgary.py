"""Calgary-Campinas: multi-channel HDF5 and single-channel NumPy files."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np

from perpcore.data.readers.volumes import UnreadableFileError, Volume, h5_file, kspace_of

ACQUIRED = 0.85
"""Share of the kz lines of the multi-channel data that were acquired; the rest is zero."""


def recognizes(path: Path) -> bool:
    """Whether k-space lies in the file as these data have it: real numbers, interleaved."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            kspace = file.get("kspace")
            return (
                isinstance(kspace, h5py.Dataset) and kspace.ndim == 4 and kspace.dtype.kind == "f"
            )
    if path.suffix != ".npy":
        return False
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return bool(array.ndim == 4 and array.shape[-1] == 2 and array.dtype.kind == "f")


def open_volumes(path: Path) -> list[Volume]:
    """The volume of the file.

    Slices run along x, which is in image space already; rows are ky, columns kz. `info["padding"]`
    are the kz that were acquired.
    """
    if path.suffix == ".npy":
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if array.ndim != 4 or array.shape[-1] != 2 or array.dtype.kind != "f":
            raise UnreadableFileError(
                f"{path}: expected real (slice, row, column, 2), got {array.dtype} {array.shape}"
            )
        shape = (array.shape[0], 1, *array.shape[1:3])
        return [Volume(path, "calgary", "kspace", shape, path.stem)]
    with kspace_of(path) as (_, kspace):
        if kspace.ndim != 4 or kspace.dtype.kind != "f" or kspace.shape[-1] % 2:
            raise UnreadableFileError(
                f"{path}: kspace: expected real (x, ky, kz, 2·channel), "
                f"got {kspace.dtype} {kspace.shape}"
            )
        slices, rows, columns, parts = kspace.shape
    acquired = (0, math.ceil(ACQUIRED * columns))
    shape = (slices, parts // 2, rows, columns)
    return [Volume(path, "calgary", "kspace", shape, path.stem, info={"padding": acquired})]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, row, column)."""
    if volume.path.suffix == ".npy":
        parts = np.load(volume.path, mmap_mode="r", allow_pickle=False)[index]
        kspace = np.ascontiguousarray(parts).astype(np.float32).view(np.complex64)[None, ..., 0]
        # DC in the corner, the image centred: its centred k-space is that of the plain ifft2.
        image = np.fft.ifft2(kspace, norm="ortho")
        shifted = np.fft.fft2(np.fft.ifftshift(image, axes=(-2, -1)), norm="ortho")
        return np.fft.fftshift(shifted, axes=(-2, -1)).astype(np.complex64)
    parts = h5_file(volume.path)["kspace"][index]
    return np.moveaxis(parts[..., ::2] + 1j * parts[..., 1::2], -1, 0)
