"""Calgary-Campinas: multi-channel HDF5 and single-channel NumPy files, real (x, ky, kz, 2·channel)."""

from math import ceil
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore._checks import require
from perpcore.data.readers.base import Options, Volume


def open_volumes(path: Path, options: Options) -> list[Volume]:
    """The volume of the file, slices along x; of the kz lines of the multi-channel data, 85 % were acquired."""
    array = _load(path)
    fits = array.ndim == 4 and array.dtype.kind == "f" and array.shape[3] % 2 == 0
    require(fits, f"expected real (x, ky, kz, 2·channel), got {array.dtype} {array.shape}")
    slices, rows, columns, parts = array.shape
    last = ceil(0.85 * columns) if isinstance(array, h5py.Dataset) else columns
    shape, info = (slices, parts // 2, rows, columns), {"padding": (0, last)}
    return [Volume(path, "calgary", "kspace", shape, path.stem, info=info, reader=read_slice)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, row, column); real and imaginary part of each coil alternate in the file."""
    array = _load(volume.path)
    parts = np.moveaxis(array[index], -1, 0)
    kspace: np.ndarray = parts[::2] + 1j * parts[1::2]
    if isinstance(array, h5py.Dataset):
        return kspace
    # DC in the corner, the image centred: its centred k-space is that of the plain ifft2.
    image = np.fft.ifftshift(np.fft.ifft2(kspace), (-2, -1))
    return np.fft.fftshift(np.fft.fft2(image), (-2, -1))


def _load(path: Path) -> Any:
    return h5py.File(path)["kspace"] if h5py.is_hdf5(path) else np.load(path, mmap_mode="r")
