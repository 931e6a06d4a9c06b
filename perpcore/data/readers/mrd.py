"""ISMRMRD (MRD) raw data of Cartesian 2D scans, through the `ismrmrd` package."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers.header import parse_header
from perpcore.data.readers.volumes import UnreadableFileError, Volume

NOT_IMAGING = (19, 20, 22, 23, 24)
"""Flags of noise, calibration, reversed, navigator and phase-correction lines."""


def recognizes(path: Path) -> bool:
    """Whether the file has the group that the package writes."""
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "dataset/data" in file and "dataset/xml" in file


def open_volumes(path: Path) -> list[Volume]:
    """The volume of the file; readout oversampling is removed when a slice is read."""
    if not recognizes(path):
        raise UnreadableFileError(f"{path}: no group dataset with xml and data: not an MRD file")
    info, slices, coils = _index(path, path.stat().st_mtime_ns)
    (columns, rows, _), _ = info["encoded_matrix"], info["recon_matrix"]
    columns = min(columns, info["recon_matrix"][0])
    shape = (max(slices) + 1, coils, rows, columns)
    return [Volume(path, "mrd", "kspace", shape, path.stem, "dataset", info)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, row, column), lines that were acquired several times averaged."""
    import ismrmrd

    info, slices, coils = _index(volume.path, volume.path.stat().st_mtime_ns)
    samples, rows, _ = info["encoded_matrix"]
    kspace = np.zeros((coils, rows, samples), np.complex64)
    count = np.zeros(rows)
    dataset = ismrmrd.Dataset(str(volume.path), "dataset", create_if_needed=False)
    try:
        for number in slices.get(index, ()):
            line = dataset.read_acquisition(number)
            row = line.idx.kspace_encode_step_1 - info.get("center", rows // 2) + rows // 2
            if not 0 <= row < rows or line.data.shape != (coils, samples):
                raise UnreadableFileError(
                    f"{volume.path}: acquisition {number}: expected {coils} coils, {samples} "
                    f"samples and a row below {rows}, got {line.data.shape} and row {row}"
                )
            kspace[:, row] += line.data
            count[row] += 1
    finally:
        dataset.close()
    kspace /= np.maximum(count, 1)[:, None]
    columns = volume.shape[-1]
    if columns == samples:
        return kspace
    shift = {"axes": -1}
    line_image = np.fft.fftshift(
        np.fft.ifft(np.fft.ifftshift(kspace, **shift), norm="ortho"), **shift
    )
    first = samples // 2 - columns // 2
    kept = line_image[..., first : first + columns]
    return np.fft.fftshift(np.fft.fft(np.fft.ifftshift(kept, **shift), norm="ortho"), **shift)


@lru_cache(maxsize=64)
def _index(path: Path, changed: int) -> tuple[dict[str, Any], dict[int, list[int]], int]:
    """Header, numbers of the imaging acquisitions by slice, and coils; without the samples."""
    with h5py.File(path, "r") as file:
        info = parse_header(file["dataset/xml"][0], path)
        missing = {"encoded_matrix", "recon_matrix"} - set(info)
        if missing:
            raise UnreadableFileError(f"{path}: header: no {', '.join(sorted(missing))}")
        heads = file["dataset/data"].fields("head")[:]
    skipped = sum(1 << (flag - 1) for flag in NOT_IMAGING)
    imaging = [n for n, flags in enumerate(heads["flags"]) if not int(flags) & skipped]
    if not imaging:
        raise UnreadableFileError(f"{path}: no imaging acquisition among {len(heads)}")
    if heads["idx"]["kspace_encode_step_2"][imaging].any():
        raise UnreadableFileError(f"{path}: a 3D encoding; only 2D slices can be read")
    coils = {int(c) for c in heads["active_channels"][imaging]}
    if len(coils) != 1:
        raise UnreadableFileError(f"{path}: the number of coils changes: {sorted(coils)}")
    slices: dict[int, list[int]] = {}
    for number in imaging:
        slices.setdefault(int(heads["idx"]["slice"][number]), []).append(number)
    return info, slices, coils.pop()
