"""The two openly licensed measured files, downloaded when they are asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from perpcore._files import project_root


class Source(NamedTuple):
    """A measured file that may be shared."""

    file: str
    address: str
    sha256: str
    licence: str
    what: str


SOURCES = {
    "head": Source(
        "se_t1_sag_data.mat",
        "https://github.com/LarsonLab/MRI-education-resources/raw/fd66a1f/Data/se_t1_sag_data.mat",
        "28efd2d75c8e9af0bef6a55c3110153e2a911e75f31d92a15d3160e2ef466de6",
        "MIT, LarsonLab/MRI-education-resources",
        "fully sampled k-space of one sagittal T1 spin-echo head slice, 256 × 256",
    ),
    "brain": Source(
        "cartesian_ksp.npy",
        "https://github.com/mikgroup/sigpy-mri-tutorial/raw/b21dcdc/data/cartesian_ksp.npy",
        "bcfd07b767d26602bfccd08329321be57d500dc3f6b208cccddeb59162573045",
        "BSD-3-Clause, mikgroup/sigpy-mri-tutorial",
        "undersampled k-space of one axial brain slice, 8 coils, 230 × 180",
    ),
}


def fetch(name: str) -> Path:
    """Download a file of `SOURCES` into data/measured/, unless it is there; return its path.

    The file appears only when it is whole and has the right SHA-256. `PERPCORE_MIRROR` replaces
    the address by that of a folder that has the same files. Raises ValueError for an unknown name
    and OSError naming the address where the file cannot be got.
    """
    if name not in SOURCES:
        raise ValueError(f"name: expected one of {', '.join(SOURCES)}, got {name!r}")
    try:
        import pooch
        import requests
    except ImportError:
        raise ValueError("fetching needs pooch: pip install pooch") from None
    source = SOURCES[name]
    mirror = os.environ.get("PERPCORE_MIRROR")
    address = f"{mirror.rstrip('/')}/{source.file}" if mirror else source.address
    folder = project_root() / "data" / "measured"
    try:
        found = pooch.retrieve(
            address, f"sha256:{source.sha256}", fname=source.file, path=folder,
            downloader=pooch.HTTPDownloader(progressbar=True, timeout=30),
        )  # fmt: skip
    except (requests.RequestException, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise OSError(
            f"{address}: could not be fetched ({reason}). Without internet: put {source.file} "
            f"into {folder} yourself, or name a folder that has it in PERPCORE_MIRROR"
        ) from None
    return Path(found)
