"""Small files in the real formats, for the tests of the readers."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import ismrmrd
import nibabel
import numpy as np

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>{fov}</x><y>{fov_y}</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{recon}</x><y>{recon}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>220</x><y>220</y><z>5</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{maximum}</maximum>
<center>{center}</center></kspace_encoding_step_1></encodingLimits>
<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""

BARE = (
    '<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">'
    + "<encoding>"
    + "".join(
        f"<{space}><matrixSize><x>{{x}}</x><y>{{y}}</y><z>1</z></matrixSize></{space}>"
        for space in ("encodedSpace", "reconSpace")
    )
    + "</encoding></ismrmrdHeader>"
)
"""A header with matrix sizes alone."""


def random_kspace(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def header(x: int, y: int, **changes: Any) -> str:
    """Of fully sampled data without oversampling, unless `changes` say otherwise."""
    values = {"fov": 220, "fov_y": 220, "recon": x, "maximum": y - 1, "center": y // 2}
    return HEADER.format(x=x, y=y, **(values | changes))


def write_fastmri(
    path: Path,
    coils: int = 0,
    *,
    slices: int = 3,
    rows: int = 24,
    columns: int = 20,
    kspace: np.ndarray | None = None,
    patient: str = "p7",
    **changes: Any,
) -> np.ndarray:
    """A training file; multi-coil where `coils`. Columns 2 … 17 of 20 were acquired."""
    if kspace is None:
        kspace = random_kspace(*((slices, coils) if coils else (slices,)), rows, columns)
        changes = {"maximum": columns - 5, "center": columns // 2 - 2} | changes
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        file["ismrmrd_header"] = header(*kspace.shape[-2:], **changes).encode()
        file["reconstruction_rss" if kspace.ndim == 4 else "reconstruction_esc"] = np.ones(
            (len(kspace), 16, 16), np.float32
        )
        file.attrs.update({"max": 1.0, "norm": 2.0, "acquisition": "AXT1", "patient_id": patient})
    return kspace


def write_calgary(path: Path, slices: int = 4, coils: int = 12) -> np.ndarray:
    """Multi-channel: (x, ky, kz, 2·channel), the last 15 % of kz zero."""
    kspace = random_kspace(slices, coils, 12, 20)
    kspace[..., 17:] = 0
    parts = np.zeros((slices, 12, 20, 2 * coils), np.float32)
    parts[..., ::2] = np.moveaxis(kspace.real, 1, -1)
    parts[..., 1::2] = np.moveaxis(kspace.imag, 1, -1)
    with h5py.File(path, "w") as file:
        file.create_dataset("kspace", data=parts, chunks=(1, 12, 20, 2 * coils))
    return kspace


Line = tuple[np.ndarray, dict[str, int], tuple[str, ...]]


def write_lines(path: Path, text: str, lines: Iterable[Line]) -> None:
    """An MRD file of lines: samples (coil, sample), fields of the head or its idx, flags."""
    path.unlink(missing_ok=True)
    with ismrmrd.Dataset(str(path), "dataset") as dataset:
        dataset.write_xml_header(text.encode())
        for samples, fields, flags in lines:
            line = ismrmrd.Acquisition.from_array(samples)
            for name, value in fields.items():
                setattr(line if hasattr(line, name) else line.idx, name, value)
            for flag in flags:
                line.set_flag(getattr(ismrmrd, f"ACQ_{flag}"))
            dataset.append_acquisition(line)


def write_mrd(path: Path, coils: int = 2, *, oversampling: int = 2) -> np.ndarray:
    """Two slices of 16 × 12 as a scanner stores them: noise scan first, lines shuffled."""
    rows, columns = 12, 16
    full = random_kspace(2, coils, rows, columns * oversampling)
    order = [(s, row) for s in range(2) for row in range(rows)]
    np.random.default_rng(0).shuffle(order)
    noise = random_kspace(coils, columns * oversampling, seed=9)
    lines: list[Line] = [(noise, {}, ("IS_NOISE_MEASUREMENT",))]
    lines += [(full[s, :, r], {"slice": s, "kspace_encode_step_1": r}, ()) for s, r in order]
    text = header(columns * oversampling, rows, fov=220 * oversampling, recon=columns)
    write_lines(path, text, lines)
    return full


def write_nifti(path: Path, array: np.ndarray, slope: float = 1, inter: float = 0) -> Path:
    """Stored numbers as they are; reading gives slope · stored + inter."""
    nibabel.save(nibabel.Nifti1Image(array, np.diag([2.0, 3, 4, 1])), path)
    opened = gzip.open if path.name.lower().endswith(".gz") else open
    with opened(path, "rb") as file:
        content = bytearray(file.read())
    struct.pack_into("<2f", content, 112, slope, inter)
    with opened(path, "wb") as file:
        file.write(content)
    return path


def write_bart(path: Path, array: np.ndarray) -> None:
    """`array` has BART's order of dimensions; `path` ends in .cfl."""
    array.astype("<c8").ravel(order="F").tofile(path)
    sizes = " ".join(map(str, array.shape + (1,) * (16 - array.ndim)))
    path.with_suffix(".hdr").write_text(f"# Dimensions\n{sizes}\n")
