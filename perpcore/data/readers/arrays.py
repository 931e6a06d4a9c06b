"""Plain arrays: NumPy, MAT, HDF5 and BART, complex or as magnitude and phase."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io

from perpcore._checks import require
from perpcore.data.readers.base import Options, Volume, phase_unit, turned

PLANE = ("coil", "row", "column")
AXES = ("frame", "echo", "slice", *PLANE)
# Names of arrays, or values of the attribute "domain", that say what an array is.
DOMAINS = {"kspace": "kspace", "ksp": "kspace", "image": "image", "images": "image", "img": "image"}
SUBJECT_NAMES = ("scan_session", "patient_id", "subject")  # attributes that say what to split by
BART_AXES = {0: "row", 1: "column", 2: "slice", 3: "coil", 5: "echo", 10: "frame", 13: "slice"}
MAX_PHASE = 2**31  # numbers of phase whose range is looked at; more is a damaged header


def open_volumes(path: Path, options: Options) -> list[Volume]:
    """A volume for each pair of arrays "magnitude" and "phase", or for the one complex array.

    Its name, an attribute "domain" or the option says whether an array is k-space or an image (see `DOMAINS`); real
    arrays are read as "image" only. An attribute "axes" or the option names its axes, but where two are longer than 1
    (row, column) and in pairs (…, row, column). Several arrays are read where their names say the same.
    """
    if path.suffix.lower() == ".hdr":
        path = path.with_suffix(".CFL" if path.suffix.isupper() else ".cfl")
    arrays = _load(path)
    phases = {f"{match[1]}magnitude": k for k in arrays if (match := re.fullmatch(r"(.*[/.]|)phase", k))}
    many = {k: a for k, a in arrays.items() if len(a.shape) > 1 and options.get("array") in (None, k)}
    found = {k: a for k, a in many.items() if k in phases or a.dtype.kind == "c" or a.dtype.names == ("real", "imag")}
    if options.get("domain") == "image" and not found:
        found = {k: a for k, a in many.items() if a.dtype.kind in "fiu"}
    seen = ", ".join(f"{k or 'array'} {a.dtype} {a.shape}" for k, a in arrays.items()) or "none"
    wanted = options.get("array") or "complex numbers or a pair magnitude and phase"
    advice = "--domain image reads real arrays, calgary:PATH real k-space"
    require(bool(found), f"expected {wanted}, got {seen}; {advice}")
    names = {k: (_said(a, "domain") or re.split(r"[/.]", k)[-1]).lower() for k, a in found.items()}
    domains = {k: "image" if k in phases else DOMAINS.get(name) for k, name in names.items()}
    alike = len(set(domains.values())) == 1 and None not in domains.values()
    require(len(found) == 1 or alike, f"expected one array, got {seen}; choose with --array NAME")
    volumes = []
    for key, array in found.items():
        name, domain = key or "array", domains[key] or options.get("domain", "")
        require(bool(domain), f"{name}: k-space or image? say --domain kspace|image")
        require(options.get("domain") in (None, domain), f"{name}: is {domain}, says the file")
        axes = _axes(path, array, options.get("axes") or _said(array, "axes"), key in phases, domain)
        info: dict[str, Any] = {"axes": axes}
        if key in phases:
            phase, info["phase_key"] = arrays[phases[key]], phases[key]
            fits = phase.shape == array.shape and phase.size < MAX_PHASE
            require(fits, f"{phases[key]}: expected {array.shape}, got {phase.shape}")
            info |= phase_unit(phase, options.get("phase_unit"))
        subject = next(filter(None, (_said(array, n) for n in SUBJECT_NAMES)), path.stem)
        coils, rows, columns = (array.shape[axes.index(n)] if n in axes else 1 for n in PLANE)
        shape = (math.prod(array.shape) // max(coils * rows * columns, 1), coils, rows, columns)
        volumes.append(Volume(path, "arrays", domain, shape, subject, key, info, reader=read_slice))
    return volumes


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space or image (coil, row, column)."""
    arrays, info = _load(volume.path), volume.info
    plane = _take(arrays[volume.key], info["axes"], index)
    if "phase_key" in info:
        plane = turned(plane, _take(arrays[info["phase_key"]], info["axes"], index), info)
    return plane


def _take(array: Any, axes: Sequence[str], index: int) -> np.ndarray:
    """Slice `index` of an array as (coil, row, column), whatever the order of its axes."""
    slices = [n for n, name in zip(array.shape, axes, strict=True) if name not in PLANE]
    at = iter(np.unravel_index(index, slices))
    plane = np.asarray(array[tuple(slice(None) if name in PLANE else next(at) for name in axes)])
    if plane.dtype.names:  # complex numbers of MATLAB
        plane = plane["real"] + 1j * plane["imag"]
    kept = [name for name in axes if name in PLANE]
    plane = plane.transpose([kept.index(name) for name in PLANE if name in kept])
    return plane.reshape(-1, *plane.shape[-2:])


def _axes(path: Path, array: Any, said: str | None, is_pair: bool, domain: str) -> tuple[str, ...]:
    """Names of the array's axes as it lies in memory, where MATLAB's come reversed."""
    step = -1 if path.suffix.lower() == ".mat" else 1
    shape = array.shape[::step]
    if path.suffix.lower() == ".cfl":
        names = BART_AXES | ({2: "phase 2"} if domain == "kspace" else {})
        axes = [names.get(n, f"dimension {n}") for n in range(len(shape))]
    elif said:
        axes = [name.strip() for name in said.split(",")]
    else:
        plane = [n for n, size in enumerate(shape) if size > 1]
        if is_pair or len(shape) == 2:
            plane = [0, 1] if step == -1 else [len(shape) - 2, len(shape) - 1]
        axes = ["slice"] * len(shape)
        if len(plane) == 2:
            axes[plane[0]], axes[plane[1]] = "row", "column"
    known = [axis in AXES for axis, size in zip(axes, shape, strict=False) if size > 1]
    once = axes.count("row") == axes.count("column") == 1 >= axes.count("coil")
    got = f"got {','.join(axes)}; say what they are, such as --axes {','.join(AXES[-len(shape) :])}"
    fits = len(axes) == len(shape) and once and all(known)
    require(fits, f"axes {shape}: expected names for all of {', '.join(AXES)}, {got}")
    return tuple(axes[::step])


def _load(path: Path) -> Mapping[str, Any]:
    """Arrays by name; those of HDF5, .npy and BART are read when they are indexed."""
    status, suffix = path.stat(), path.suffix.lower()
    if suffix == ".npy":
        return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    if suffix == ".cfl":
        header = path.with_suffix(".HDR" if path.suffix.isupper() else ".hdr").read_text("ascii")
        lines = [n for n in header.splitlines() if n.strip() and not n.startswith("#")]
        shape = tuple(int(n) for n in lines[0].split()) if lines else ()
        fits = 2 <= len(shape) <= 16 and math.prod(shape) * 8 == status.st_size
        require(fits, f"expected 8 bytes a number of {shape}, got {status.st_size}")
        return {"": np.memmap(path, "<c8", "r", shape=shape, order="F")}
    if not h5py.is_hdf5(path):
        return _load_whole(path, (status.st_mtime_ns, status.st_size, status.st_ino))
    found: dict[str, Any] = {}
    h5py.File(path, "r").visititems(lambda name, item: found.update({name: item}))
    return {k: a for k, a in found.items() if isinstance(a, h5py.Dataset) and k[0] != "#" and a.shape}


@lru_cache(maxsize=2)
def _load_whole(path: Path, changed: tuple[int, ...]) -> Mapping[str, np.ndarray]:
    if path.suffix.lower() == ".npz":
        with np.load(path, allow_pickle=False) as content:
            return dict(content)
    require(path.suffix.lower() == ".mat", "expected HDF5, .npy, .npz, .mat or .cfl; or truncated")
    return {k: a for name, item in scipy.io.loadmat(path).items() for k, a in _numbers(name, item)}


def _numbers(name: str, item: Any) -> Iterator[tuple[str, np.ndarray]]:
    """Arrays of numbers in a variable of MATLAB, which may be a structure or a cell."""
    if not isinstance(item, np.ndarray):
        return
    if item.dtype.kind in "biufc":
        yield name, item.transpose()
    elif item.dtype.names or item.dtype == object:
        for field in item.dtype.names or [""]:
            for number, inner in enumerate((item[field] if field else item).flat):
                place = f"[{number}]" if item.size > 1 else ""
                yield from _numbers(f"{name}{place}" + (f".{field}" if field else ""), inner)


def _said(array: Any, name: str) -> str | None:
    """An attribute of a dataset, its group or its file."""
    for holder in (array, array.parent, array.file) if isinstance(array, h5py.Dataset) else ():
        if (value := holder.attrs.get(name)) is not None:
            return value.decode() if isinstance(value, bytes) else str(value)
    return None
