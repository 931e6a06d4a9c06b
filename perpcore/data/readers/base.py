"""What every format gives: volumes of complex slices, and clear errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch import Tensor


class UnreadableFileError(ValueError):
    """A file that is not what its format says, or whose meaning is not certain.

    The message names the file, what was expected, what was found and the option that settles it.
    """


@dataclass(frozen=True)
class Volume:
    """Slices of one scan in one file; holds no data and no open file, so it can be pickled.

    Attributes
    ----------
    path : Path
        The file; `key` names the array, echo or repetition within it.
    format : str
        Name of the format in `FORMATS`.
    domain : {"kspace", "image"}
        What `read` gives: centred k-space, or an image.
    shape : tuple of int
        (slices, coils, rows, columns).
    subject : str
        Patient, or scan session: what training and test sets are split by.
    reader : callable
        Reads a slice; of the format's module.
    info : Mapping
        What else is known, for example fov_mm, padding, mask, affine, phase_unit.
    """

    path: Path
    format: str
    domain: str
    shape: tuple[int, int, int, int]
    subject: str
    reader: Callable[[Volume, int], np.ndarray] = field(repr=False, compare=False)
    key: str = ""
    info: Mapping[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, index: int) -> Tensor:
        """Read slice `index` as complex64 (coil, row, column); touches no other slice.

        Raises IndexError, or UnreadableFileError where the slice is damaged, not finite or zero
        everywhere.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: slice {index} of {len(self)}")
        try:
            array = np.asarray(self.reader(self, index))
        except UnreadableFileError:
            raise
        except Exception as error:  # whatever a parser raises at damaged bytes
            raise UnreadableFileError(f"{self.path}: slice {index}: {said(error)}") from None
        if array.shape != self.shape[1:]:
            raise UnreadableFileError(f"{self.path}: slice {index}: expected shape {self.shape[1:]}, got {array.shape}")
        if not np.isfinite(array).all():
            raise UnreadableFileError(f"{self.path}: slice {index} holds NaN or infinity")
        if not array.any():
            raise UnreadableFileError(f"{self.path}: slice {index} is zero everywhere")
        return torch.from_numpy(np.array(array, dtype=np.complex64))


def said(error: Exception) -> str:
    """Put what an error says into one line, with its kind where that is not clear without."""
    plain = isinstance(error, (OSError, ValueError)) and str(error)
    text = str(error) if plain else f"{type(error).__name__}: {error}"
    return " ".join(text.split())


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file for reading; no handle is kept, so a replaced file is read anew."""
    if not h5py.is_hdf5(path):
        raise UnreadableFileError(f"{path}: not an HDF5 file, or a truncated one")
    with h5py.File(path, "r") as file:
        yield file


def crop_image(kspace: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Crop the image of centred k-space to `size` pixels along an axis; returns its k-space."""
    n = kspace.shape[axis]
    if n == size:
        return kspace
    line = np.fft.ifftshift(kspace, axis)
    image = np.fft.fftshift(np.fft.ifft(line, axis=axis, norm="ortho"), axis)
    kept = image.take(range(n // 2 - size // 2, n // 2 - size // 2 + size), axis)
    line = np.fft.fft(np.fft.ifftshift(kept, axis), axis=axis, norm="ortho")
    return np.fft.fftshift(line, axis).astype(np.complex64)


PHASE_UNITS = ("rad", "mrad", "degrees", "siemens")


def phase_unit(low: float, high: float, integer: bool, path: Path, unit: str | None) -> str:
    """Return the unit of a stored phase that runs from `low` to `high`; "siemens" is π/2048.

    Certain are floats within 2π (rad), ±3142 that comes near both ends (mrad), and a signed range
    beyond ±3142 and within −4096 … 4095. All else is an error that asks for `--phase-unit`.
    """
    if unit is not None:
        if unit not in PHASE_UNITS:
            raise ValueError(f"phase_unit: expected {', '.join(PHASE_UNITS)}, got {unit!r}")
        return unit
    if (not integer or low == high == 0) and high - low <= 6.29 and max(-low, high) <= 6.29:
        return "rad"
    if -3143 <= low <= -3000 and 3000 <= high <= 3143:
        return "mrad"
    if low < 0 and (low < -3143 or high > 3143) and low >= -4096 and high <= 4096:
        return "siemens"
    raise UnreadableFileError(
        f"{path}: phase: expected rad within 2π, mrad from −3142 to 3142 or −4096 … 4095, found "
        f"{'integers' if integer else 'numbers'} from {low:g} to {high:g}: say what they are with "
        f"--phase-unit {'|'.join(PHASE_UNITS)}"
    )


def to_radians(phase: np.ndarray, unit: str, low: float) -> np.ndarray:
    """Convert a stored phase to rad; `low` is its smallest value in the whole file."""
    if unit == "siemens":  # 0 … 4095 is −π … π, and so is −4096 … 4095
        return phase * (np.pi / 2048) - np.pi if low >= 0 else phase * (np.pi / 4096)
    return phase * {"rad": 1.0, "mrad": 1e-3, "degrees": np.pi / 180}[unit]
