"""ISMRMRD (MRD) raw data of Cartesian 2D scans."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from perpcore._checks import require
from perpcore.data.readers.base import Options, Volume, crop_fov, parse_header, readout

# Flags of noise, navigation, phase correction, feedback, dummy, surface coil, stabilization.
NOT_IMAGING = (19, 23, 24, 26, 27, 28, 29, 30, 31)
CALIBRATION, CALIBRATION_AND_IMAGING, REVERSE, LAST_KNOWN = 20, 21, 22, 31
# What tells volumes apart; `segment` does not: it only says when a line was acquired.
LABELS = ["encoding_space_ref", "contrast", "repetition", "set", "phase"]
ROW = "kspace_encode_step_1"


def groups_of(file: h5py.File) -> list[str]:
    """Groups with a header and acquisitions; the usual one is "dataset"."""
    return [k for k, item in file.items() if isinstance(item, h5py.Group) and {"xml", "data"} <= set(item)]


def open_volumes(path: Path, options: Options) -> list[Volume]:
    """A volume for each set of `LABELS`, undersampled where lines within the limits of the header are missing."""
    with h5py.File(path, "r") as file:
        groups = groups_of(file)
        require(len(groups) == 1, f"expected one group with xml and data, got {groups}")
        headers = parse_header(file[groups[0]]["xml"][0])
        heads = file[groups[0]]["data"].fields("head")[:]
    flags, counters = heads["flags"], heads["idx"]
    calibration = _has(flags, CALIBRATION) & ~_has(flags, CALIBRATION_AND_IMAGING)
    imaging = ~_has(flags, *NOT_IMAGING) & ~calibration
    require(imaging.any(), f"no imaging acquisition among {len(heads)}")
    unknown = [n for n in range(LAST_KNOWN + 1, 65) if _has(flags[imaging], n).any()]
    require(not unknown, f"flags {unknown}: compressed, or of no standard meaning")
    names = [*LABELS[1:], "slice", "average", ROW, "kspace_encode_step_2"]
    known = {LABELS[0]: heads[LABELS[0]], "coils": heads["active_channels"]} | {n: counters[n] for n in names}
    lines = pd.DataFrame(known).astype(int)[imaging]
    twice = lines.duplicated([*LABELS, "slice", "average", ROW])
    require(not twice.any(), f"acquisition {twice.idxmax()}: not to be told from another with the same counters")
    volumes = []
    for labels, found in lines.groupby(LABELS, sort=False):
        require(labels[0] < len(headers), f"acquisition {found.index[0]}: no encoding {labels[0]} in the header")
        header, step_2 = headers[labels[0]], found["kspace_encode_step_2"].max()
        fits = header["trajectory"] in (None, "cartesian") and step_2 == 0
        require(fits, f"expected 2D Cartesian, got {header['trajectory']}, encode_step_2 {step_2}")
        coils = found["coils"].unique().tolist()
        require(len(coils) == 1, f"expected one number of coils, got {sorted(coils)}")
        samples, rows, _ = header["matrix"]
        low, center, high = header.get("limits", (0, rows // 2, rows - 1))
        columns, fields = readout(header, samples)
        info: dict[str, Any] = {name: (y, x) for name, (x, y) in fields.items()}
        slices = [one[ROW] for _, one in found.groupby("slice")]
        info["undersampled"] = any(set(range(low, high + 1)) - set(steps) for steps in slices)
        info |= {"samples": samples, "lines": [dict(steps - center + rows // 2) for steps in slices]}
        key = " ".join(groups + [f"{n}={k}" for n, k in zip(LABELS, labels, strict=True) if lines[n].nunique() > 1])
        subject, shape = header["patient"] or path.stem, (len(slices), coils[0], rows, columns)
        volumes.append(Volume(path, "mrd", "kspace", shape, subject, key, info, reader=read_slice))
    return volumes


def read_slice(volume: Volume, index: int) -> np.ndarray:
    """Centred k-space (coil, phase encoding, readout) without oversampling, averages averaged, missing lines zero."""
    (_, coils, rows, columns), samples = volume.shape, volume.info["samples"]
    kspace, count = np.zeros((coils, rows, samples), np.complex64), np.zeros(rows)
    with h5py.File(volume.path, "r") as file:
        data = file[volume.key.split()[0]]["data"]
        for number, row in volume.info["lines"][index].items():
            where, record = f"acquisition {number}", data[number]
            require(0 <= row < rows, f"{where}: expected one of {rows} rows, got {row}")
            line = record["data"].view(np.complex64).reshape(coils, -1)
            kspace[:, row] += _placed(line, record["head"], samples, where)
            count[row] += 1
    return crop_fov(kspace / np.maximum(count, 1)[:, None], -1, columns)


def _placed(line: np.ndarray, head: Any, samples: int, where: str) -> np.ndarray:
    """The line (coil, sample) with DC in the middle of `samples`, zero where not acquired."""
    pre, post, center = (int(head[n]) for n in ("discard_pre", "discard_post", "center_sample"))
    kept = line[:, pre : line.shape[1] - post]
    unset = center == 0 and kept.shape[1] == samples  # as many programs write whole lines
    first = 0 if unset else samples // 2 - (center - pre)
    fits = 0 <= first <= samples - kept.shape[1] and (center > 0 or unset)
    got = f"{kept.shape[1]} samples with DC at {center - pre}"
    require(fits, f"{where}: expected DC in the middle of {samples} samples, got {got}")
    whole = np.pad(kept, ((0, 0), (first, samples - first - kept.shape[1])))
    return whole[:, ::-1] if _has(head["flags"], REVERSE) else whole


def _has(flags: Any, *numbers: int) -> Any:
    """Whether one of the flags, which count from 1, is set in each number of `flags`."""
    return flags & sum(1 << (n - 1) for n in numbers) != 0
