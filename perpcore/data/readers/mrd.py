"""ISMRMRD (MRD) raw data of Cartesian 2D scans, through the `ismrmrd` package."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers.base import UnreadableFileError, Volume, crop_image, open_hdf5
from perpcore.data.readers.header import parse_header, readout_size

NOT_IMAGING = (
    "NOISE_MEASUREMENT", "PARALLEL_CALIBRATION", "NAVIGATION_DATA", "PHASECORR_DATA",
    "HPFEEDBACK_DATA", "DUMMYSCAN_DATA", "RTFEEDBACK_DATA", "SURFACECOILCORRECTIONSCAN_DATA",
    "PHASE_STABILIZATION_REFERENCE", "PHASE_STABILIZATION",
)  # fmt: skip
LAST_KNOWN_FLAG = 52  # 53 to 56 say that samples are compressed, 57 to 64 are for private use
SEPARATE = ("contrast", "phase", "repetition", "set")  # each value is a volume of its own


def recognizes(path: Path) -> bool:
    """Say whether the file has the group that the package writes."""
    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return "dataset/data" in file and "dataset/xml" in file


def open_volumes(path: Path) -> list[Volume]:
    """Open one volume for each contrast, phase, repetition and set.

    Averages are averaged; segments are parts of one k-space. Lines that are not imaging data are
    left out. Readout oversampling is removed when a slice is read.
    """
    if not recognizes(path):
        raise UnreadableFileError(f"{path}: no group dataset with xml and data: not an MRD file")
    with open_hdf5(path) as file:
        info = parse_header(file["dataset/xml"][0], path)
        heads = file["dataset/data"].fields("head")[:]
    if "encoded_matrix" not in info:
        raise UnreadableFileError(f"{path}: header: no matrix size of the encoded space")
    imaging = [n for n, head in enumerate(heads) if _is_imaging(int(head["flags"]), path, n)]
    if not imaging:
        raise UnreadableFileError(f"{path}: no imaging acquisition among {len(heads)}")
    index = heads["idx"][imaging]
    if index["kspace_encode_step_2"].any() or info["encoded_matrix"][2] > 1:
        raise UnreadableFileError(f"{path}: a 3D encoding; only 2D slices can be read")
    if heads["encoding_space_ref"][imaging].any():
        raise UnreadableFileError(f"{path}: several encoding spaces; only the first can be read")
    coils = {int(c) for c in heads["active_channels"][imaging]}
    if len(coils) != 1:
        raise UnreadableFileError(f"{path}: the number of coils changes: {sorted(coils)}")
    samples, rows, _ = info["encoded_matrix"]
    scans: dict[tuple[int, ...], dict[int, list[int]]] = {}
    for number, line in zip(imaging, index, strict=True):
        scan = scans.setdefault(tuple(int(line[name]) for name in SEPARATE), {})
        scan.setdefault(int(line["slice"]), []).append(number)
    volumes = []
    for values, slices in sorted(scans.items()):
        several = [n for k, n in enumerate(SEPARATE) if len({v[k] for v in scans}) > 1]
        key = ", ".join(f"{n} {v}" for n, v in zip(SEPARATE, values, strict=True) if n in several)
        shape = (len(slices), coils.copy().pop(), rows, readout_size(info, samples))
        lines = tuple(tuple(slices[number]) for number in sorted(slices))
        known = {**info, "acquisitions": lines}
        volumes.append(Volume(path, "mrd", "kspace", shape, path.stem, read_slice, key, known))
    return volumes


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Read centred k-space (coil, row, column)."""
    samples, rows, _ = volume.info["encoded_matrix"]
    coils = volume.shape[1]
    kspace = np.zeros((coils, rows, samples), np.complex64)
    averages: list[set[int]] = [set() for _ in range(rows)]
    with _dataset(volume.path) as dataset:
        import ismrmrd

        for number in volume.info["acquisitions"][index]:
            line = dataset.read_acquisition(number)
            row = line.idx.kspace_encode_step_1 - volume.info.get("center", rows // 2) + rows // 2
            n = line.number_of_samples
            center = line.center_sample or n // 2
            data = line.data
            if line.is_flag_set(ismrmrd.ACQ_IS_REVERSE):
                data = data[:, ::-1]
                center = center if center == n // 2 else n - 1 - center
            first, last = line.discard_pre, n - line.discard_post
            start = samples // 2 - center
            inside = 0 <= row < rows and start + first >= 0 and start + last <= samples
            if data.shape[0] != coils or not inside:
                raise UnreadableFileError(
                    f"{volume.path}: acquisition {number}: expected {coils} coils, a row below "
                    f"{rows} and samples within {samples}, got {data.shape}, row {row} and "
                    f"samples {start + first} to {start + last}"
                )
            if line.idx.average in averages[row]:
                raise UnreadableFileError(
                    f"{volume.path}: acquisition {number}: row {row} of average "
                    f"{line.idx.average} was there before, and no index tells them apart"
                )
            averages[row].add(line.idx.average)
            kspace[:, row, start + first : start + last] += data[:, first:last]
    kspace /= np.maximum([len(found) for found in averages], 1)[:, None]
    return crop_image(kspace, volume.shape[-1], -1)


@contextmanager
def _dataset(path: Path) -> Iterator[Any]:
    import ismrmrd

    dataset = ismrmrd.Dataset(str(path), "dataset", create_if_needed=False)
    try:
        yield dataset
    finally:
        dataset.close()


def _is_imaging(flags: int, path: Path, number: int) -> bool:
    """Say whether a line is imaging data; raises at a flag whose meaning is not known."""
    try:
        import ismrmrd
    except ImportError:
        raise UnreadableFileError(f"{path}: MRD needs ismrmrd: pip install ismrmrd") from None

    if flags >> LAST_KNOWN_FLAG:
        raise UnreadableFileError(
            f"{path}: acquisition {number}: expected flags up to {LAST_KNOWN_FLAG}, found flag "
            f"{flags.bit_length()}: compressed samples, or a private meaning"
        )
    names = [n for n in NOT_IMAGING if flags >> (getattr(ismrmrd, f"ACQ_IS_{n}") - 1) & 1]
    both = flags >> (ismrmrd.ACQ_IS_PARALLEL_CALIBRATION_AND_IMAGING - 1) & 1
    return not names or (bool(both) and names == ["PARALLEL_CALIBRATION"])
