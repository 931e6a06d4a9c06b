"""Mutated files: read or refused with the file's name, in bounded memory.

PERPCORE_FUZZ sets the number of files. libhdf5 itself loops for ever or crashes on about one
mutated file in 3,000, where a heap or object header is damaged: these are counted, not allowed to
become many.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from perpcore.data.readers import UnreadableFileError, open_file

COUNT = int(os.environ.get("PERPCORE_FUZZ", "900"))
HDF5 = ("fastmri", "calgary", "mrd", "arrays")
KINDS = (*HDF5, "nifti", "npy", "npz", "mat", "bart")


def test_mutated_files_give_clear_errors(tmp_path: Path) -> None:
    first, lost = 0, 0
    outcomes: Counter[str] = Counter()
    while first < COUNT:
        command = [sys.executable, Path(__file__).with_name("fuzz.py"), tmp_path, str(first), str(COUNT - first)]
        done = subprocess.run([*command, *KINDS], capture_output=True, text=True, timeout=3000)
        kind, number = (tmp_path / "current").read_text().split()
        if kind in HDF5 and done.returncode in (-signal.SIGALRM, -signal.SIGSEGV):
            first, lost = int(number) + 1, lost + 1
            continue
        assert done.returncode == 0, f"died at {kind} {number}: {done.stderr[-500:]}"
        found = json.loads(done.stdout.splitlines()[-1])
        assert not found["findings"]
        outcomes.update(found["outcomes"])
        break
    assert set(outcomes) == {f"{kind} {outcome}" for kind in KINDS for outcome in ("read", "refused")}
    assert lost <= COUNT * len(HDF5) / len(KINDS) / 400


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "huge.h5", "w") as file:  # chunks that are not there take no space
        file.create_dataset("kspace", (10**6, 10**6), np.complex64, chunks=(100, 100))
    with pytest.raises(UnreadableFileError, match="huge.h5: expected .* claims"):
        open_file(tmp_path / "huge.h5")
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.create_dataset("kspace", (0, 8), np.complex64)
    with pytest.raises(UnreadableFileError, match="none.h5"):
        open_file(tmp_path / "none.h5")
    (tmp_path / "huge.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<c8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117)
        + b"\n"
    )
    with pytest.raises(UnreadableFileError, match=r"huge.npy"):
        open_file(tmp_path / "huge.npy", domain="kspace")
