"""Plain arrays: NumPy, MAT and HDF5, complex or as magnitude and phase."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers.volumes import UnreadableFileError, Volume, h5_file

LOAD_MATLAB = """
import sys, numpy, scipy.io
content = scipy.io.loadmat(sys.argv[1])
numbers = {n: a for n, a in content.items() if n[:2] != "__" and getattr(a, "dtype", "O") != "O"}
numpy.savez(sys.argv[2], **{"_" + n: a for n, a in numbers.items() if a.dtype.kind in "biufc"})
"""
"""Runs in a process of its own: SciPy's parser crashes, not raises, on some damaged files."""

SUBJECT_NAMES = ("scan_session", "patient_id", "subject")
"""Attributes, of a group or the file, that say what to split by."""


def recognizes(path: Path) -> bool:
    """Whether it is a container that holds arrays."""
    return path.suffix in (".npy", ".mat") or h5py.is_hdf5(path)


def open_volumes(
    path: Path, domain: str | None = None, leading_axis: str = "slice"
) -> list[Volume]:
    """A volume for each complex array and each pair of arrays "magnitude" and "phase".

    Axes are (row, column), (slice, row, column) or, of k-space, (slice, coil, row, column); further
    leading axes of images (echoes, say) count as slices. In MATLAB's files (row, column[, slice])
    and (row, column, coil, slice).

    Parameters
    ----------
    domain : {"kspace", "image"}, optional
        What the complex arrays are; by default k-space. With "image", real arrays are read too.
    leading_axis : {"slice", "coil"}
        What the first of three axes of k-space counts.
    """
    if domain not in (None, "kspace", "image"):
        raise ValueError(f"domain: expected kspace or image, got {domain!r}")
    if leading_axis not in ("slice", "coil"):
        raise ValueError(f"leading_axis: expected slice or coil, got {leading_axis!r}")
    if path.suffix not in (".npy", ".mat") and not h5py.is_hdf5(path):
        raise UnreadableFileError(f"{path}: expected .npy, .mat or HDF5; not one, or truncated")
    arrays, volumes = _arrays(path), []
    for key, array in arrays.items():
        name = key.rpartition("/")[2]
        is_pair = name == "magnitude" and _phase_key(key) in arrays
        if name == "phase" or array.ndim < 2:
            continue
        if not (
            is_pair or _is_complex(array.dtype) or (domain == "image" and array.dtype.kind in "fiu")
        ):
            continue
        if is_pair and arrays[_phase_key(key)].shape != array.shape:
            raise UnreadableFileError(
                f"{path}: {_phase_key(key)}: expected the shape of {key}, {array.shape}, "
                f"got {arrays[_phase_key(key)].shape}"
            )
        where = "image" if is_pair else domain or "kspace"
        *leading, rows, columns = array.shape
        if path.suffix == ".mat":
            rows, columns = columns, rows
        counts_coils = len(leading) == (1 if leading_axis == "coil" else 2)
        coils = leading.pop() if where == "kspace" and counts_coils else 1
        slices = int(np.prod(leading))
        shape = (slices, coils, rows, columns)
        volumes.append(Volume(path, "arrays", where, shape, _subject(array, path), key))
    if not volumes:
        seen = ", ".join(f"{k or 'array'} {a.dtype} {a.shape}" for k, a in arrays.items())
        wanted = "array" if domain == "image" else "complex array, or a pair magnitude and phase,"
        raise UnreadableFileError(
            f"{path}: expected a {wanted} of 2 or more axes, got {seen or 'none'}"
        )
    return volumes


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space or image (coil, row, column)."""
    arrays = _arrays(volume.path)
    plane = _plane(arrays[volume.key], volume, index)
    if volume.key.rpartition("/")[2] == "magnitude" and _phase_key(volume.key) in arrays:
        phase = _plane(arrays[_phase_key(volume.key)], volume, index)
        return plane * np.exp(1j * to_radians(phase, volume.path))
    return plane


def to_radians(phase: np.ndarray, path: Path) -> np.ndarray:
    """Floating-point phase is in rad, integer phase in mrad; values beyond 2π are refused."""
    radians = phase / 1000 if phase.dtype.kind in "iu" else phase
    largest = float(np.abs(radians).max(initial=0))
    if largest > 6.3:
        raise UnreadableFileError(
            f"{path}: phase: expected rad (floating point) or mrad (integers) within 2π, got "
            f"{phase.dtype} up to {np.abs(phase).max()}"
        )
    return radians


def _plane(array: Any, volume: Volume, index: int) -> np.ndarray:
    leading = array.shape[:-2]
    if volume.shape[1] > 1:  # the last of the leading axes counts coils
        leading = leading[:-1]
    plane = array[np.unravel_index(index, leading)] if leading else array[()]
    plane = np.asarray(plane)
    if plane.dtype.names:
        plane = plane["real"] + 1j * plane["imag"]
    plane = plane.reshape(-1, *plane.shape[-2:])
    return plane.swapaxes(-2, -1) if volume.path.suffix == ".mat" else plane


def _arrays(path: Path) -> Mapping[str, Any]:
    """Arrays by name, read when they are indexed. MATLAB's axes come reversed, as in its HDF5."""
    if path.suffix == ".npy":
        return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    if h5py.is_hdf5(path):
        found: dict[str, Any] = {}

        def collect(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                found[name] = item

        h5_file(path).visititems(collect)
        return found
    return _matlab(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _matlab(path: Path, changed: int) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-c", LOAD_MATLAB, str(path), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode:
            said = done.stderr.strip().rpartition("\n")[2] or f"reader died ({done.returncode})"
            raise UnreadableFileError(f"{path}: cannot be read as a MATLAB file: {said}")
        with np.load(out, allow_pickle=False) as content:
            return {name[1:]: array.transpose() for name, array in content.items()}


def _is_complex(dtype: np.dtype) -> bool:
    return dtype.kind == "c" or set(dtype.names or ()) == {"real", "imag"}


def _phase_key(key: str) -> str:
    return key.rpartition("magnitude")[0] + "phase"


def _subject(array: Any, path: Path) -> str:
    if isinstance(array, h5py.Dataset):
        for holder in (array, array.parent, array.file):
            for name in SUBJECT_NAMES:
                if name in holder.attrs:
                    return str(holder.attrs[name])
    return path.stem
