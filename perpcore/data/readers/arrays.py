"""Plain arrays: NumPy, MAT, HDF5 and BART, complex or as magnitude and phase."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers.base import UnreadableFileError, Volume, open_hdf5, phase_unit, to_radians

LOAD_MATLAB = """
import sys, numpy, scipy.io
found = {}
def collect(name, value):
    if value.dtype.names and value.size == 1:
        for part in value.dtype.names:
            collect(name + "." + part, value[part].flat[0])
    elif value.dtype.kind in "biufc":
        found[name] = value
for name, value in scipy.io.loadmat(sys.argv[1]).items():
    if hasattr(value, "dtype"):
        collect(name, value)
numpy.savez(sys.argv[2], **{"_" + name: value for name, value in found.items()})
"""
"""Runs in a process of its own: SciPy's parser crashes, not raises, on some damaged files."""

AXES = ("slice", "coil", "row", "column")
SUBJECT_NAMES = ("scan_session", "patient_id", "subject")
"""Attributes, of a dataset, its group or the file, that say what to split by."""
_DOMAINS = {"kspace": "kspace", "ksp": "kspace", "k_space": "kspace", "image": "image"}


def recognizes(path: Path) -> bool:
    """Say whether it is a container that holds arrays."""
    suffix = path.suffix.lower()
    return suffix in (".npy", ".npz", ".mat", ".cfl", ".hdr") or h5py.is_hdf5(path)


def open_volumes(
    path: Path, domain: str | None = None, axes: str | None = None, unit: str | None = None
) -> list[Volume]:
    """Open each complex array, and each pair of arrays "magnitude" and "phase".

    Parameters
    ----------
    domain : {"kspace", "image"}, optional
        What complex arrays are, unless their name says it. With "image" real arrays are read too.
    axes : str, optional
        Names of the axes of arrays with more than two, for example "slice,coil,row,column" or
        "row,column,coil"; several axes may be "slice". Axes of length 1 need no name. A pair of
        magnitude and phase counts all leading axes as slices.
    unit : str, optional
        Unit of the phase of a pair; see `base.phase_unit`.
    """
    if domain not in (None, "kspace", "image"):
        raise ValueError(f"domain: expected kspace or image, got {domain!r}")
    arrays, volumes = _shapes(path), []
    for key, (shape, dtype) in arrays.items():
        name = key.rpartition("/")[2].rpartition(".")[2].lower()
        partner = key[: len(key) - len(name)] + "phase"
        pair = name == "magnitude" and partner in arrays
        real = dtype.kind in "fiu" and not pair
        if name == "phase" or len(_long(shape)) < 2 or (real and domain != "image"):
            continue
        if not (pair or real or _is_complex(dtype)):
            continue
        if pair and arrays[partner][0] != shape:
            raise UnreadableFileError(
                f"{path}: {partner}: expected the shape of {key}, {shape}, got {arrays[partner][0]}"
            )
        where = "image" if pair else domain or _DOMAINS.get(name)
        if where is None:
            raise UnreadableFileError(
                f"{path}: {key or 'array'} {shape} is complex: say what it is with --domain image|kspace"
            )
        named = _named_axes(shape, axes, path, key, pair)
        sizes = {axis: 1 for axis in AXES}
        for axis, size in zip(named, shape, strict=True):
            sizes[axis] *= size
        info: dict[str, Any] = {"axes": named}
        subject = path.stem
        if h5py.is_hdf5(path):
            subject = _subject(path, key) or subject
        if pair:
            phase = _array(path, partner, ...)
            low, high = float(phase.min()), float(phase.max())
            found = phase_unit(low, high, phase.dtype.kind in "iu", path, unit)
            info |= {"phase": partner, "phase_unit": found, "phase_low": low}
        four = (sizes["slice"], sizes["coil"], sizes["row"], sizes["column"])
        volumes.append(Volume(path, "arrays", where, four, subject, read_slice, key, info))
    if not volumes:
        seen = ", ".join(f"{k or 'array'} {d} {s}" for k, (s, d) in arrays.items()) or "none"
        wanted = "array" if domain == "image" else "complex array, or a pair magnitude and phase,"
        raise UnreadableFileError(f"{path}: expected a {wanted} of 2 or more axes, got {seen}")
    return volumes


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Read centred k-space or an image (coil, row, column)."""
    plane = _plane(volume, volume.key, index)
    if "phase" not in volume.info:
        return plane
    phase = _plane(volume, volume.info["phase"], index)
    return plane * np.exp(1j * to_radians(phase, volume.info["phase_unit"], volume.info["phase_low"]))


def _long(shape: tuple[int, ...]) -> list[int]:
    return [n for n in shape if n != 1]


def _named_axes(shape: tuple[int, ...], axes: str | None, path: Path, key: str, pair: bool) -> tuple[str, ...]:
    """Give each axis its name; those of length 1 without one count as slices."""
    names = tuple(axes.replace(" ", "").split(",")) if axes else ()
    if set(names) - set(AXES) or any(names.count(n) != 1 for n in AXES[2:] if names):
        raise ValueError(f"axes: expected names of {', '.join(AXES)}, row and column once, got {axes!r}")
    long = [k for k, n in enumerate(shape) if n != 1]
    if names and len(names) == len(shape):
        return names
    if names and len(names) == len(long):
        given = dict(zip(long, names, strict=True))
        return tuple(given.get(k, "slice") for k in range(len(shape)))
    if not names and (len(long) == 2 or pair):
        rest = long[:-2] if not pair else list(range(len(shape) - 2))
        last = [k for k in range(len(shape)) if k not in rest and (pair or k in long)]
        return tuple({last[0]: "row", last[1]: "column"}.get(k, "slice") for k in range(len(shape)))
    raise UnreadableFileError(
        f"{path}: {key or 'array'} has the axes {shape}: name them with --axes, for example "
        f"--axes slice,coil,row,column{f' (got {axes})' if axes else ''}"
    )


def _plane(volume: Volume, key: str, index: int) -> np.ndarray:
    """Read one slice and put its axes in the order coil, row, column."""
    named = volume.info["axes"]
    shape, _ = _shapes(volume.path)[key]
    sizes = [n for n, axis in zip(shape, named, strict=True) if axis == "slice"]
    at = iter(np.unravel_index(index, sizes)) if sizes else iter(())
    where = tuple(int(next(at)) if axis == "slice" else slice(None) for axis in named)
    plane = np.asarray(_array(volume.path, key, where))
    if plane.dtype.names:
        plane = plane["real"] + 1j * plane["imag"]
    left = [axis for axis in named if axis != "slice"]
    plane = plane.transpose([left.index(axis) for axis in AXES[1:] if axis in left])
    return plane.reshape(volume.shape[1:])


def _shapes(path: Path) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """List arrays by name, axes in the order in which the user's software shows them."""
    suffix = path.suffix.lower()
    if suffix in (".cfl", ".hdr"):
        return {"": (_bart_shape(path), np.dtype(np.complex64))}
    if h5py.is_hdf5(path):
        found: dict[str, tuple[tuple[int, ...], np.dtype]] = {}

        def collect(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                shape = item.shape[::-1] if suffix == ".mat" else item.shape
                found[name] = (shape, item.dtype)

        with open_hdf5(path) as file:
            file.visititems(collect)
        return found
    return {name: (array.shape, array.dtype) for name, array in _load(path).items()}


def _array(path: Path, key: str, where: Any) -> Any:
    suffix = path.suffix.lower()
    if suffix in (".cfl", ".hdr"):
        data = path.with_suffix(path.suffix.replace("hdr", "cfl").replace("HDR", "CFL"))
        shape = _bart_shape(path)
        return np.memmap(data, "<c8", "r", shape=shape, order="F")[where]
    if h5py.is_hdf5(path):
        with open_hdf5(path) as file:
            if suffix != ".mat":
                return file[key][where]
            # MATLAB's axes come reversed.
            back = where[::-1] if isinstance(where, tuple) else where
            array: np.ndarray = file[key][back]
            return array.transpose()
    return _load(path)[key][where]


def _load(path: Path) -> Mapping[str, np.ndarray]:
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    if suffix != ".mat":
        raise UnreadableFileError(f"{path}: expected .npy, .npz, .mat, .cfl or HDF5; not one, or truncated")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "arrays.npz"
        command = [sys.executable, "-c", LOAD_MATLAB, str(path), str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode:
            reason = done.stderr.strip().rpartition("\n")[2] or f"reader died ({done.returncode})"
            raise UnreadableFileError(f"{path}: cannot be read as a MATLAB file: {reason}")
        with np.load(out, allow_pickle=False) as content:
            return {name[1:]: array for name, array in content.items()}


def _bart_shape(path: Path) -> tuple[int, ...]:
    """Read the dimensions of BART's .hdr, and check them against the size of the .cfl."""
    header, data = (path.with_suffix(s) for s in (".hdr", ".cfl"))
    if path.suffix.isupper():
        header, data = (path.with_suffix(s) for s in (".HDR", ".CFL"))
    lines = [line for line in header.read_text().splitlines() if line and line[0] != "#"]
    try:
        shape = tuple(int(n) for n in lines[0].split())
    except (IndexError, ValueError):
        raise UnreadableFileError(f"{header}: expected a line of dimensions, got {lines[:1]}") from None
    if min(shape, default=0) < 1 or data.stat().st_size != 8 * int(np.prod(shape, dtype=object)):
        raise UnreadableFileError(
            f"{data}: expected {shape} complex64 numbers as {header.name} says, got {data.stat().st_size} bytes"
        )
    return shape


def _is_complex(dtype: np.dtype) -> bool:
    return dtype.kind == "c" or set(dtype.names or ()) == {"real", "imag"}


def _subject(path: Path, key: str) -> str:
    with open_hdf5(path) as file:
        array = file[key]
        for holder in (array, array.parent, file):
            for name in SUBJECT_NAMES:
                if name in holder.attrs:
                    return str(holder.attrs[name])
    return ""
