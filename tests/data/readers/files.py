"""Small files in the real formats, for the tests of the readers."""

from __future__ import annotations

from pathlib import Path

import h5py
import ismrmrd
import numpy as np

HEADER = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD"><encoding>
<encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>440</x><y>220</y><z>5</z></fieldOfView_mm></encodedSpace>
<reconSpace><matrixSize><x>{recon}</x><y>{recon}</y><z>1</z></matrixSize>
<fieldOfView_mm><x>220</x><y>220</y><z>5</z></fieldOfView_mm></reconSpace>
<encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>{maximum}</maximum>
<center>{center}</center></kspace_encoding_step_1></encodingLimits>
<trajectory>cartesian</trajectory></encoding></ismrmrdHeader>"""


def random_kspace(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def write_fastmri(path: Path, coils: int = 0, *, slices: int = 3, rows: int = 24, columns: int = 20) -> np.ndarray:
    """A training file; multi-coil where `coils`."""
    kspace = random_kspace(*((slices, coils) if coils else (slices,)), rows, columns)
    with h5py.File(path, "w") as file:
        file["kspace"] = kspace
        header = HEADER.format(x=rows, y=columns, recon=16, maximum=columns - 5, center=columns // 2 - 2)
        file["ismrmrd_header"] = header.encode()
        file["reconstruction_rss" if coils else "reconstruction_esc"] = np.ones((slices, 16, 16), np.float32)
        file.attrs.update({"max": 1.0, "norm": 2.0, "acquisition": "AXT1", "patient_id": "p7"})
    return kspace


def write_calgary(path: Path, slices: int = 4, coils: int = 3) -> np.ndarray:
    """Multi-channel: (x, ky, kz, 2·channel), the last 15 % of kz zero."""
    kspace = random_kspace(slices, coils, 12, 20)
    kspace[..., 17:] = 0
    parts = np.zeros((slices, 12, 20, 2 * coils), np.float32)
    parts[..., ::2], parts[..., 1::2] = (np.moveaxis(kspace.real, 1, -1), np.moveaxis(kspace.imag, 1, -1))
    with h5py.File(path, "w") as file:
        file.create_dataset("kspace", data=parts, chunks=(1, 12, 20, 2 * coils))
    return kspace


def write_mrd(path: Path, coils: int = 2, *, oversampling: int = 2) -> np.ndarray:
    """Two slices of 16 × 12 as a scanner stores them: noise scan first, lines shuffled."""
    rows, columns = 12, 16
    full = random_kspace(2, coils, rows, columns * oversampling)
    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=True)
    dataset.write_xml_header(
        HEADER.format(x=columns * oversampling, y=rows, recon=columns, maximum=rows - 1, center=rows // 2).encode()
    )
    lines = [(s, row) for s in range(2) for row in range(rows)]
    np.random.default_rng(0).shuffle(lines)
    noise = ismrmrd.Acquisition.from_array(random_kspace(coils, columns * oversampling, seed=9))
    noise.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
    dataset.append_acquisition(noise)
    for slice_number, row in lines:
        line = ismrmrd.Acquisition.from_array(full[slice_number, :, row])
        line.idx.slice, line.idx.kspace_encode_step_1 = slice_number, row
        dataset.append_acquisition(line)
    dataset.close()
    return full
