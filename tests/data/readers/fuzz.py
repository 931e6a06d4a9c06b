"""Reads mutated files of every format and reports what is not a clear error.

    python tests/data/readers/fuzz.py FOLDER FIRST COUNT [FORMAT ...]

File number n is the same on every machine. The last line is a JSON object: files per format and outcome, and
the findings, errors that are not the readers' own. The process may use 2 GiB beside what it starts
with, and ends by SIGALRM at a file that it does not get through.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from files import random_kspace, write_bart, write_calgary, write_fastmri, write_mrd, write_nifti

from perpcore.data.readers import UnreadableFileError, open_file

HEADROOM = 2 * 1024**3
LIMIT = 8
"""Seconds for one file."""
OPTIONS: dict[str, dict[str, Any]] = {
    "nifti": {"domain": "image"},
    **{kind: {"domain": "kspace", "axes": "slice,row,column"} for kind in ("npy", "npz", "mat")},
    "bart": {"domain": "kspace"},
}


def write_seeds(folder: Path) -> dict[str, Path]:
    """A small good file of each kind."""
    names = {"fastmri": ".h5", "calgary": ".h5", "mrd": ".h5", "nifti": ".nii", "npy": ".npy",
             "npz": ".npz", "mat": ".mat", "arrays": ".h5", "bart": ".hdr"}  # fmt: skip
    paths = {kind: folder / f"good_{kind}{suffix}" for kind, suffix in names.items()}
    write_fastmri(paths["fastmri"], slices=1)
    write_calgary(paths["calgary"], slices=1)
    write_mrd(paths["mrd"])
    write_nifti(paths["nifti"], np.ones((8, 8, 2), np.float32))
    np.save(paths["npy"], random_kspace(2, 8, 8))
    np.savez(paths["npz"], a=random_kspace(2, 8, 8), b=np.ones(3))
    content = {"data": {"k": random_kspace(2, 8, 8)}, "text": "a"}
    scipy.io.savemat(paths["mat"], content, do_compression=True)  # as MATLAB does
    with h5py.File(paths["arrays"], "w") as file:
        file["a/magnitude"] = np.ones((2, 8, 8), np.int16)
        file["a/phase"] = np.linspace(-3, 3, 128, dtype=np.float32).reshape(2, 8, 8)
        file.attrs["subject"] = "anna"
    write_bart(paths["bart"].with_suffix(".cfl"), random_kspace(8, 8, 1, 2))
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
        signal.alarm(LIMIT)  # ends the process: libhdf5 cannot be interrupted
        kind = list(seeds)[number % len(seeds)]
        path = folder / f"bad_{number}{paths[kind].suffix}"
        path.write_bytes(mutate(seeds[kind], np.random.default_rng(number)))
        if kind == "bart":
            path.with_suffix(".cfl").write_bytes(paths[kind].with_suffix(".cfl").read_bytes())
        (folder / "current").write_text(f"{kind} {number}")
        try:
            for volume in open_file(path, **OPTIONS.get(kind, {})):
                volume.read(0)
                volume.read(len(volume) - 1)
            outcomes[f"{kind} read"] += 1
        except UnreadableFileError as error:
            outcomes[f"{kind} refused"] += 1
            if str(path.with_suffix("")) not in str(error) or "\n" in str(error):
                findings.append(f"{kind} {number}: not a line that names the file: {error}")
        except Exception as error:
            findings.append(f"{kind} {number}: {type(error).__name__}: {error}"[:300])
        path.unlink()
        path.with_suffix(".cfl").unlink(missing_ok=True)
    print(json.dumps({"outcomes": outcomes, "findings": findings}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
