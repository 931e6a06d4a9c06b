"""ISMRMRD (MRD) raw data of Cartesian 2D scans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from perpcore.data.readers import base
from perpcore.data.readers.base import Options, Volume, require

NOT_IMAGING = (19, 23, 24, 26, 27, 28, 29, 30, 31)
"""Flags of noise, navigation, phase correction, feedback, dummy, surface coil, stabilization."""
CALIBRATION, CALIBRATION_AND_IMAGING, REVERSE, LAST_KNOWN = 20, 21, 22, 31
LABELS = ("encoding_space_ref", "contrast", "repetition", "set", "phase")
"""What tells volumes apart. Lines that differ in `average` alone are averaged; `segment` only says
when in a segmented scan a line was acquired."""


def groups_of(file: h5py.File) -> list[str]:
    """Groups with a header and acquisitions; the usual one is "dataset"."""
    groups = [name for name, item in file.items() if isinstance(item, h5py.Group)]
    return [name for name in groups if {"xml", "data"} <= set(file[name])]


def open_volumes(path: Path, options: Options) -> list[Volume]:
    """A volume for each combination of `LABELS`.

    Rows are phase-encoding lines, columns the readout, its oversampling removed when a slice is
    read. Undersampled is a volume without some line within the limits of the header, so that
    partial Fourier scans are not. Raises ValueError for 3D and non-Cartesian scans, compressed
    lines, flags without a standard meaning, and lines that nothing but their order tells apart.
    """
    with h5py.File(path, "r") as file:
        groups = groups_of(file)
        require(len(groups) == 1, f"expected one group with xml and data, got {groups}")
        headers = base.parse_header(file[groups[0]]["xml"][0])
        heads = file[groups[0]]["data"].fields("head")[:]
    bits = np.unpackbits(heads["flags"].astype("<u8").view(np.uint8), bitorder="little")
    flag = np.pad(bits.reshape(-1, 64).astype(bool), ((0, 0), (1, 0)))
    left_out = flag[:, NOT_IMAGING].any(1)
    left_out |= flag[:, CALIBRATION] & ~flag[:, CALIBRATION_AND_IMAGING]
    require(not left_out.all(), f"no imaging acquisition among {len(heads)}")
    unknown = LAST_KNOWN + 1 + np.flatnonzero(flag[~left_out, LAST_KNOWN + 1 :].any(0))
    require(not len(unknown), f"flags {unknown}: compressed, or of no standard meaning")
    counters = {n: heads["idx"][n].tolist() for n in heads["idx"].dtype.names}
    counters["encoding_space_ref"] = heads["encoding_space_ref"].tolist()
    found: dict[tuple[int, ...], dict[int, dict[tuple[int, int], int]]] = {}
    for number in np.flatnonzero(~left_out).tolist():
        where, idx = f"acquisition {number}", {n: v[number] for n, v in counters.items()}
        labels = tuple(idx[name] for name in LABELS)
        require(labels[0] < len(headers), f"{where}: no encoding {labels[0]} in the header")
        kind, step_2 = headers[labels[0]]["trajectory"], idx["kspace_encode_step_2"]
        require(kind in (None, "cartesian") and step_2 == 0,
                f"{where}: expected 2D Cartesian, got {kind}, encode_step_2 {step_2}")  # fmt: skip
        lines = found.setdefault(labels, {}).setdefault(idx["slice"], {})
        line = idx["kspace_encode_step_1"], idx["average"]
        require(line not in lines, f"{where}: not to be told from another with the same counters")
        lines[line] = number
    varying = [n for n, values in enumerate(zip(*found, strict=True)) if len(set(values)) > 1]
    volumes = []
    for labels, slices in found.items():
        header = headers[labels[0]]
        samples, rows, _ = header["matrix"]
        low, center, high = header.get("limits", (0, rows // 2, rows - 1))
        coils = {heads["active_channels"][n] for lines in slices.values() for n in lines.values()}
        require(len(coils) == 1, f"expected one number of coils, got {sorted(coils)}")
        columns, fields = base.readout(header, samples)
        info: dict[str, Any] = {name: (y, x) for name, (x, y) in fields.items()}
        wanted = set(range(low, high + 1))
        info["undersampled"] = any(wanted - {n for n, _ in lines} for lines in slices.values())
        info["samples"] = samples
        info["lines"] = [  # (acquisition, row) of each slice
            [(number, step - center + rows // 2) for (step, _), number in slices[n].items()] for n in sorted(slices)
        ]
        key = " ".join([*groups, *(f"{LABELS[n]}={labels[n]}" for n in varying)])
        who, shape = header["patient"] or path.stem, (len(slices), int(coils.pop()), rows, columns)
        volumes.append(Volume(path, "mrd", "kspace", shape, who, key, info, reader=read_slice))
    return volumes


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, row, column), averages averaged; lines not acquired are zero."""
    (_, coils, rows, columns), samples = volume.shape, volume.info["samples"]
    kspace, count = np.zeros((coils, rows, samples), np.complex64), np.zeros(rows)
    with h5py.File(volume.path, "r") as file:
        data = file[volume.key.split()[0]]["data"]
        for number, row in volume.info["lines"][index]:
            where, record = f"acquisition {number}", data[number]
            require(0 <= row < rows, f"{where}: expected one of {rows} rows, got {row}")
            line = record["data"].view(np.complex64).reshape(coils, -1)
            kspace[:, row] += _placed(line, record["head"], samples, where)
            count[row] += 1
    return base.crop_fov(kspace / np.maximum(count, 1)[:, None], -1, columns)


def _placed(line: np.ndarray, head: Any, samples: int, where: str) -> np.ndarray:
    """The line (coil, sample) with DC in the middle of `samples`, zero where not acquired."""
    pre, post, center = (int(head[n]) for n in ("discard_pre", "discard_post", "center_sample"))
    kept = line[:, pre : line.shape[1] - post]
    unset = center == 0 and kept.shape[1] == samples  # as many programs write whole lines
    first = 0 if unset else samples // 2 - (center - pre)
    require(0 <= first <= samples - kept.shape[1] and (center > 0 or unset),
            f"{where}: expected DC in the middle of {samples} samples, got {kept.shape[1]} "
            f"samples with DC at {center - pre}")  # fmt: skip
    whole = np.zeros((len(line), samples), np.complex64)
    whole[:, first : first + kept.shape[1]] = kept
    return whole[:, ::-1] if int(head["flags"]) >> (REVERSE - 1) & 1 else whole
