"""Single slices: the measured head slice, and pairs of images to register."""

from __future__ import annotations

import os
from pathlib import Path

from torch import Tensor

from perpcore._files import project_root
from perpcore.data.kspace import crop_center, fft2c, ifft2c
from perpcore.data.readers.fetch import SOURCES, measured_folder
from perpcore.data.readers.volumes import UnreadableFileError, open_file

MEASURED_NAME = SOURCES["head"].file
MEASURED_SOURCE = "`perpcore data fetch head`, or name a file of your own in PERPCORE_MEASURED"


def find_measured() -> Path | None:
    """The measured head slice: `PERPCORE_MEASURED`, data/measured/ of the project, or test data.

    Test data lie in `PERPCORE_TEST_DATA`, by default ../shared/data beside the project. None
    where there is no such file; a name in `PERPCORE_MEASURED` is returned whether it exists or not.
    """
    named = os.environ.get("PERPCORE_MEASURED")
    if named:
        return Path(named)
    fetched = measured_folder() / MEASURED_NAME
    return fetched if fetched.is_file() else find_test_data(f"larson/{MEASURED_NAME}")


def find_test_data(name: str) -> Path | None:
    """A file of the project's measured test data, or None where they are not at hand."""
    folder = os.environ.get("PERPCORE_TEST_DATA") or project_root().parent / "shared" / "data"
    path = Path(folder) / name
    return path if path.is_file() else None


def read_kspace(path: Path | str) -> Tensor:
    """Centred k-space (row, column), complex64, of a file with one slice of one coil.

    Raises FileNotFoundError, or UnreadableFileError naming the file, what was expected and what
    came.
    """
    return _single(path)


def read_image(path: Path | str) -> Tensor:
    """Magnitude or complex image (row, column), as complex64, of a file with one slice."""
    path = Path(path)
    return _single(path, **({} if path.name.endswith((".nii", ".nii.gz")) else {"domain": "image"}))


def read_image_pair(fixed: Path | str, moving: Path | str, size: int) -> tuple[Tensor, Tensor]:
    """Two images to register, cropped in k-space to (size, size), maximum magnitude 1.

    Raises ValueError naming both files where their shapes differ, and the file that is smaller.
    """
    images = [read_image(path) for path in (fixed, moving)]
    if images[0].shape != images[1].shape:
        raise ValueError(
            f"{moving}: expected the shape of {fixed}, {tuple(images[0].shape)}, "
            f"got {tuple(images[1].shape)}"
        )
    resized = []
    for path, image in zip((fixed, moving), images, strict=True):
        if min(image.shape) < size:
            raise ValueError(
                f"{path}: expected at least {size}×{size} pixels, got {tuple(image.shape)}"
            )
        small = ifft2c(crop_center(fft2c(image), size))
        resized.append(small / small.abs().max())
    return resized[0], resized[1]


def _single(path: Path | str, **options: str) -> Tensor:
    volumes = open_file(path, **options)
    if [v.shape[:2] for v in volumes] != [(1, 1)]:
        found = ", ".join(f"{v.key or 'array'} {v.shape}" for v in volumes)
        raise UnreadableFileError(f"{path}: expected one slice of one coil, got {found}")
    return volumes[0].read(0)[0]
