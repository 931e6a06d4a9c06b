"""k-space from NumPy and MAT files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import scipy.io
import torch
from torch import Tensor

from perpcore.store import project_root

MEASURED_NAME = "se_t1_sag_data.mat"
MEASURED_SOURCE = (
    f"{MEASURED_NAME} of the repository LarsonLab/MRI-education-resources (MIT licence), put into "
    "data/measured/ or named in PERPCORE_MEASURED"
)


def find_measured() -> Path | None:
    """The measured head slice: `PERPCORE_MEASURED`, data/measured/ of the project, or test data.

    Test data lie in `PERPCORE_TEST_DATA`, by default ../shared/data beside the project. None
    where there is no such file; a name in `PERPCORE_MEASURED` is returned whether it exists or not.
    """
    named = os.environ.get("PERPCORE_MEASURED")
    if named:
        return Path(named)
    root = project_root()
    test_data = Path(os.environ.get("PERPCORE_TEST_DATA") or root.parent / "shared" / "data")
    places = (root / "data" / "measured", test_data / "larson")
    return next((p / MEASURED_NAME for p in places if (p / MEASURED_NAME).is_file()), None)


def read_kspace(path: Path | str) -> Tensor:
    """Centred k-space (row, column), complex64, of a .npy or .mat file.

    A .mat file must hold exactly one two-dimensional complex array. Raises FileNotFoundError, or
    ValueError naming the file, what was expected and what came.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        if path.suffix == ".npy":
            arrays = {"array": np.load(path, allow_pickle=False)}
        elif path.suffix == ".mat":
            content = scipy.io.loadmat(path)
            arrays = {name: a for name, a in content.items() if not name.startswith("__")}
        else:
            raise ValueError(f"expected a .npy or .mat file, got {path.suffix or 'no suffix'}")
        found = {n: a for n, a in arrays.items() if a.ndim == 2 and np.iscomplexobj(a)}
        if len(found) != 1:
            shapes = {name: f"{a.dtype} {a.shape}" for name, a in arrays.items()}
            raise ValueError(f"expected one complex array (row, column), got {shapes}")
    except (ValueError, OSError, EOFError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{path}: cannot be read as k-space: {error}") from None
    kspace = torch.from_numpy(next(iter(found.values())).astype(np.complex64))
    if not torch.isfinite(torch.view_as_real(kspace)).all():
        raise ValueError(f"{path}: k-space holds values that are not finite")
    return kspace


def crop_center(kspace: Tensor, size: int) -> Tensor:
    """Central (size, size) of centred k-space: the same field of view at lower resolution."""
    rows, columns = kspace.shape
    if min(rows, columns) < size:
        raise ValueError(f"kspace: expected at least {size}×{size}, got {rows}×{columns}")
    top, left = rows // 2 - size // 2, columns // 2 - size // 2
    return kspace[top : top + size, left : left + size]
