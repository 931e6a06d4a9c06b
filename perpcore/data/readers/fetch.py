"""The two openly licensed measured files: fetched when they are asked for, and found."""

import os
from pathlib import Path

from perpcore._checks import check_choice
from perpcore._files import project_root

MEASURED_SOURCE = "`perpcore data fetch head`, or name a file of your own in PERPCORE_MEASURED"
SOURCES = {  # file, folder, SHA-256
    # Fully sampled k-space of one sagittal T1 spin-echo head slice, 256 × 256. MIT, LarsonLab/MRI-education-resources.
    "head": (
        "se_t1_sag_data.mat", "https://github.com/LarsonLab/MRI-education-resources/raw/fd66a1f/Data",
        "28efd2d75c8e9af0bef6a55c3110153e2a911e75f31d92a15d3160e2ef466de6"),
    # Undersampled k-space of one axial brain slice, 8 coils, 230 × 180. BSD-3-Clause, mikgroup/sigpy-mri-tutorial.
    "brain": (
        "cartesian_ksp.npy", "https://github.com/mikgroup/sigpy-mri-tutorial/raw/b21dcdc/data",
        "bcfd07b767d26602bfccd08329321be57d500dc3f6b208cccddeb59162573045"),
}  # fmt: skip


def fetch(name: str) -> Path:
    """Download a file of `SOURCES`, whole or not at all, into data/measured/ of the project; returns its path.

    One that is there with the right SHA-256 is not fetched again. `PERPCORE_MIRROR` names an address of a folder with
    the same files. Raises ValueError for an unknown name and OSError with the address where the file cannot be got.
    """
    check_choice("name", name, SOURCES)
    try:
        import pooch
    except ImportError:
        raise ValueError("fetching needs pooch: pip install pooch") from None
    file, folder, sha256 = SOURCES[name]
    address = f"{(os.environ.get('PERPCORE_MIRROR') or folder).rstrip('/')}/{file}"
    target = project_root() / "data" / "measured"
    loader = pooch.HTTPDownloader(progressbar=True, timeout=30)
    try:
        return Path(pooch.retrieve(address, f"sha256:{sha256}", file, target, downloader=loader))
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        advice = f"put {file} into {target} yourself, or name a folder that has it in PERPCORE_MIRROR"
        raise OSError(f"{address}: could not be fetched ({reason}). Without internet: {advice}") from None


def find_measured() -> Path | None:
    """The head slice: `PERPCORE_MEASURED`, there or not; else as fetched, or the one of the tests' data, if there."""
    if named := os.environ.get("PERPCORE_MEASURED"):
        return Path(named)
    file, root = SOURCES["head"][0], project_root()
    test_data = Path(os.environ.get("PERPCORE_TEST_DATA") or root.parent / "shared" / "data")
    places = (root / "data" / "measured" / file, test_data / "larson" / file)
    return next((path for path in places if path.is_file()), None)
