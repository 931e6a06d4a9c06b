"""fastMRI: one HDF5 file per volume, single- or multi-coil."""

from pathlib import Path

import h5py
import numpy as np

from perpcore._checks import require
from perpcore.data.readers.base import Options, Volume, crop_fov, parse_header, readout


def open_volumes(path: Path, options: Options) -> list[Volume]:
    """The volume of the file; undersampled where a mask or zeros leave out columns that the header says it has."""
    with h5py.File(path, "r") as file:
        require({"kspace", "ismrmrd_header"} <= set(file), f"expected kspace and ismrmrd_header, got {', '.join(file)}")
        kspace = file["kspace"]
        fits = kspace.dtype.kind == "c" and kspace.ndim in (3, 4)
        require(fits, f"kspace: expected complex (slice, [coil,] row, column), got {kspace.dtype} {kspace.shape}")
        slices, *coils, rows, columns = kspace.shape
        header, *others = parse_header(file["ismrmrd_header"][()])
        require(not others, f"header: expected one encoding, got {1 + len(others)}")
        first, last = 0, columns
        if "limits" in header and header["matrix"][1] == columns:
            _, center, maximum = header["limits"]
            first, last = max(columns // 2 - center, 0), min(columns // 2 - center + maximum + 1, columns)
        mask = file["mask"][()].astype(bool) if "mask" in file else np.ones(columns, bool)
        require(mask.shape == (columns,), f"mask: expected {columns} columns, got {mask.shape}")
        sampled = mask & kspace[slices // 2, ..., rows // 2, :].reshape(-1, columns).any(0)
        kept, info = readout(header, rows)
        info |= {k: v.decode() if isinstance(v, bytes) else v for k, v in file.attrs.items()}
        info |= {"undersampled": not sampled[first:last].all(), "padding": (first, last)}
    subject = str(info.get("patient_id") or header["patient"] or path.stem)
    shape = (slices, coils[0] if coils else 1, kept, columns)
    return [Volume(path, "fastmri", "kspace", shape, subject, "kspace", info, reader=read_slice)]


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, row, column), without readout oversampling."""
    with h5py.File(volume.path, "r") as file:
        kspace = file["kspace"][index]
    return crop_fov(kspace.reshape(-1, *kspace.shape[-2:]), -2, volume.shape[2])
