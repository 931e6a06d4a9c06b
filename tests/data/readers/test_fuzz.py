"""Mutated files: read or refused with the file's name, in bounded memory, without a crash.

PERPCORE_FUZZ sets the number of files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from perpcore.data.readers import UnreadableFileError, open_file

COUNT = int(os.environ.get("PERPCORE_FUZZ", "1500"))
# MATLAB's and MRD files are parsed in a process of their own, half a second each.
SHARES = {
    "fastmri": 0.2,
    "calgary": 0.2,
    "nifti": 0.2,
    "npy": 0.2,
    "arrays": 0.15,
    "store": 0.05,
    "mat": 0.01,
    "mrd": 0.01,
}


@pytest.mark.parametrize("kind", SHARES)
def test_mutated_files_give_clear_errors(kind: str, tmp_path: Path) -> None:
    command = [sys.executable, Path(__file__).with_name("fuzz.py"), tmp_path, "0"]
    command += [str(int(COUNT * SHARES[kind])), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3000)
    last = (tmp_path / "current").read_text()
    assert done.returncode == 0, f"died at {last}: {done.stderr[-500:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    assert not found["findings"]
    assert found["outcomes"]["refused"] > 0 and found["outcomes"]["read"] > 0


def test_a_header_that_claims_too_much_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "huge.h5", "w") as file:  # chunks that are not there take no space
        file.create_dataset("kspace", (10**6, 10**6), np.complex64, chunks=(100, 100))
    with pytest.raises(UnreadableFileError, match="huge.h5: expected .* claims"):
        open_file(tmp_path / "huge.h5")
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file.create_dataset("kspace", (0, 8, 8), np.complex64)
    with pytest.raises(UnreadableFileError, match="none.h5"):
        open_file(tmp_path / "none.h5")
    (tmp_path / "huge.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<c8', 'fortran_order': False, 'shape': (1000000, 1000000), }".ljust(117)
        + b"\n"
    )
    with pytest.raises(UnreadableFileError, match=r"huge.npy"):
        open_file(tmp_path / "huge.npy")
