"""k-space and images from NumPy, MAT and NIfTI files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import scipy.io
import torch
from torch import Tensor

from perpcore.kspace import fft2c, ifft2c
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
    return _finite(_read_array(Path(path), complex_only=True), path)


def _read_array(path: Path, complex_only: bool) -> np.ndarray:
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
        kinds = "c" if complex_only else "cfiu"
        found = [a for a in arrays.values() if a.ndim == 2 and a.dtype.kind in kinds]
        if len(found) != 1:
            shapes = {name: f"{a.dtype} {a.shape}" for name, a in arrays.items()}
            wanted = "complex array" if complex_only else "array"
            raise ValueError(f"expected one {wanted} (row, column), got {shapes}")
    # NotImplementedError is scipy's refusal of MAT files of version 7.3.
    except (ValueError, OSError, EOFError, TypeError, NotImplementedError) as error:
        raise ValueError(f"{path}: cannot be read: {error}") from None
    return found[0]


def _finite(pixels: np.ndarray, path: Path | str) -> Tensor:
    array = torch.from_numpy(np.ascontiguousarray(pixels).astype(np.complex64))
    if not torch.isfinite(torch.view_as_real(array)).all():
        raise ValueError(f"{path}: holds values that are not finite")
    return array


def read_image(path: Path | str) -> Tensor:
    """Magnitude or complex image (row, column), as complex64, of a .npy, .mat or NIfTI file.

    NIfTI needs the package nibabel. Raises FileNotFoundError, or ValueError naming the file.
    """
    path = Path(path)
    if path.suffixes[-1:] == [".nii"] or path.suffixes[-2:] == [".nii", ".gz"]:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            import nibabel
        except ImportError:
            raise ValueError(f"{path}: NIfTI files need nibabel: pip install nibabel") from None
        try:
            pixels = np.squeeze(np.asarray(nibabel.Nifti1Image.from_filename(path).dataobj))
        except (
            nibabel.filebasedimages.ImageFileError, nibabel.wrapstruct.WrapStructError,
            OSError, EOFError, ValueError,
        ) as error:  # fmt: skip
            raise ValueError(f"{path}: cannot be read as NIfTI: {error}") from None
        if pixels.ndim != 2:
            raise ValueError(f"{path}: expected one slice (row, column), got {pixels.shape}")
        return _finite(pixels.T, path)
    return _finite(_read_array(path, complex_only=False), path)


def read_image_pair(fixed: Path | str, moving: Path | str, size: int) -> tuple[Tensor, Tensor]:
    """Two images to register, cropped in k-space to (size, size), maximum magnitude 1.

    Raises ValueError naming both files where their shapes differ or one is zero everywhere.
    """
    images = [read_image(path) for path in (fixed, moving)]
    if images[0].shape != images[1].shape:
        raise ValueError(
            f"{moving}: expected the shape of {fixed}, {tuple(images[0].shape)}, "
            f"got {tuple(images[1].shape)}"
        )
    resized = []
    for path, image in zip((fixed, moving), images, strict=True):
        small = ifft2c(crop_center(fft2c(image), size))
        peak = small.abs().max()
        if peak == 0:
            raise ValueError(f"{path}: the image is zero everywhere")
        resized.append(small / peak)
    return resized[0], resized[1]


def crop_center(kspace: Tensor, size: int) -> Tensor:
    """Central (size, size) of centred k-space: the same field of view at lower resolution."""
    rows, columns = kspace.shape
    if min(rows, columns) < size:
        raise ValueError(f"kspace: expected at least {size}×{size}, got {rows}×{columns}")
    top, left = rows // 2 - size // 2, columns // 2 - size // 2
    return kspace[top : top + size, left : left + size]
