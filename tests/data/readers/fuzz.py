"""Reads mutated files of every format and reports what is not a clear error.

    python tests/readers/fuzz.py FOLDER FIRST COUNT [FORMAT ...]

File number n is the same on every machine. The last line is a JSON object: files per outcome, and
the findings, errors that are not the readers' own. The process may use 2 GiB beside what it starts
with.
"""

from __future__ import annotations

import json
import resource
import sys
import warnings
from collections import Counter
from pathlib import Path

import h5py
import nibabel
import numpy as np
import scipy.io
from files import random_kspace, write_calgary, write_fastmri, write_mrd
from perpcore.grid import recon_runs

from perpcore.data.readers import UnreadableFileError, open_file
from perpcore.experiments.results import DamagedResultError, encode_result, read_result, shipped_path

HEADROOM = 2 * 1024**3
CLEAR = (UnreadableFileError, DamagedResultError)


def write_seeds(folder: Path) -> dict[str, Path]:
    """A small good file of each kind."""
    paths = {
        "fastmri": folder / "good_fastmri.h5",
        "calgary": folder / "good_calgary.h5",
        "mrd": folder / "good_mrd.h5",
        "nifti": folder / "good_mag.nii",
        "npy": folder / "good.npy",
        "mat": folder / "good.mat",
        "arrays": folder / "good_arrays.h5",
        "store": folder / "good_result.h5",
    }
    write_fastmri(paths["fastmri"], slices=1)
    write_calgary(paths["calgary"], slices=1, coils=1)
    write_mrd(paths["mrd"])
    image = nibabel.Nifti1Image(np.ones((8, 8, 2), np.float32), np.eye(4))
    nibabel.save(image, paths["nifti"])
    np.save(paths["npy"], random_kspace(2, 8, 8))
    scipy.io.savemat(paths["mat"], {"kspace": random_kspace(8, 8)})
    with h5py.File(paths["arrays"], "w") as file:
        file["image"] = random_kspace(2, 8, 8)
    run = recon_runs("quick", 0)[0]
    paths["store"].write_bytes(encode_result(read_result(shipped_path(run))))
    return paths


def mutate(content: bytes, rng: np.random.Generator) -> bytes:
    """Bytes changed, runs overwritten or doubled, the end cut off; mostly near the start."""
    data = np.frombuffer(content, np.uint8).copy()
    limit = len(data) if rng.random() < 0.3 else min(len(data), 2048)
    kind = rng.integers(5)
    if kind == 0:
        at = rng.integers(0, limit, rng.integers(1, 9))
        data[at] = rng.integers(0, 256, len(at))
    elif kind == 1:
        data[rng.integers(limit)] ^= np.uint8(1 << rng.integers(8))
    elif kind == 2:  # a number of the largest size, such as a length
        at = rng.integers(max(limit - 8, 1))
        data[at : at + rng.choice([2, 4, 8])] = rng.choice([0xFF, 0x7F, 0x00])
    elif kind == 3:
        data = data[: rng.integers(len(data))]
    else:
        at, to = rng.integers(0, limit, 2)
        size = min(rng.integers(1, 64), len(data) - max(at, to))
        data[to : to + size] = data[at : at + size].copy()
    return data.tobytes()


def read(kind: str, path: Path) -> None:
    """As a user would: open, read the first and the last slice."""
    if kind == "store":
        read_result(path)
        return
    for volume in open_file(path):
        volume.read(0)
        volume.read(len(volume) - 1)


def main(folder: Path, first: int, count: int, kinds: list[str]) -> None:
    """Prints how many files of each outcome there were, and the findings."""
    warnings.simplefilter("ignore")  # of damaged headers, by nibabel
    paths = write_seeds(folder)
    seeds = {kind: paths[kind].read_bytes() for kind in kinds or paths}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + HEADROOM, used + HEADROOM))
    outcomes: Counter[str] = Counter()
    findings: list[str] = []
    for number in range(first, first + count):
        kind = list(seeds)[number % len(seeds)]
        path = folder / f"bad_{number}{paths[kind].name.removeprefix('good')}"
        path.write_bytes(mutate(seeds[kind], np.random.default_rng(number)))
        (folder / "current").write_text(f"{kind} {number}")
        try:
            read(kind, path)
            outcomes["read"] += 1
        except CLEAR as error:
            outcomes["refused"] += 1
            if str(path) not in str(error):
                findings.append(f"{kind} {number}: the message does not name the file: {error}")
        except Exception as error:
            findings.append(f"{kind} {number}: {type(error).__name__}: {error}"[:300])
        path.unlink()
    print(json.dumps({"outcomes": outcomes, "findings": findings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
