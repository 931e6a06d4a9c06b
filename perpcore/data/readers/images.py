"""Complex images from volumes: coils combined, single slices, pairs to register."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from perpcore._files import project_root, write_atomically
from perpcore.data.coils import sense_adjoint, walsh_csm
from perpcore.data.kspace import crop_center, fft2c, ifft2c
from perpcore.data.readers.base import UnreadableFileError, Volume
from perpcore.data.readers.open import open_file

HEAD = "se_t1_sag_data.mat"
MEASURED_SOURCE = "`perpcore data fetch head`, or name a file of your own in PERPCORE_MEASURED"
FULL = 0.7  # share of sampled points below which k-space is undersampled; an ellipse has 0.79


def combined_image(volume: Volume, index: int, *, target: bool = False) -> Tensor:
    """Read a slice as one complex image (row, column); coils by adaptive combination.

    With `target`, undersampled k-space is an UnreadableFileError: it can be the input of a
    reconstruction, not what a network is trained towards.
    """
    data = volume.read(index)
    if volume.domain == "image":
        return data[0]
    if target and (volume.info.get("mask") is not None or is_undersampled(data)):
        raise UnreadableFileError(
            f"{volume.path}: slice {index}: undersampled k-space: usable as input of a "
            "reconstruction, not as a training target; expected fully sampled data"
        )
    if len(data) == 1:
        return ifft2c(data)[0]
    return sense_adjoint(data, walsh_csm(data, min(24, *data.shape[-2:])))


def is_undersampled(kspace: Tensor) -> bool:
    """Say whether k-space (coil, row, column) has gaps.

    What lies outside the smallest rectangle around the samples was not acquired, as with partial
    Fourier or zero-padding, and is no gap.
    """
    sampled = (kspace != 0).any(0)
    rows, columns = (sampled.any(axis).nonzero().flatten() for axis in (1, 0))
    box = sampled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    lines = bool(box.any(0).all() and box.any(1).all())
    return not lines or float(box.float().mean()) < FULL


def find_measured() -> Path | None:
    """Find the measured head slice: `PERPCORE_MEASURED`, data/measured/, or the test data.

    Returns None where there is none; a name in `PERPCORE_MEASURED` whether it exists or not.
    """
    if named := os.environ.get("PERPCORE_MEASURED"):
        return Path(named)
    fetched = project_root() / "data" / "measured" / HEAD
    return fetched if fetched.is_file() else find_test_data(f"larson/{HEAD}")


def find_test_data(name: str) -> Path | None:
    """Find measured test data in `PERPCORE_TEST_DATA`, by default ../shared/data; or None."""
    folder = os.environ.get("PERPCORE_TEST_DATA") or project_root().parent / "shared" / "data"
    path = Path(folder) / name
    return path if path.is_file() else None


def read_kspace(path: Path | str) -> Tensor:
    """Read centred k-space (row, column), complex64, of a file with one slice of one coil."""
    return _single(path, "kspace")


def read_image(path: Path | str) -> Tensor:
    """Read a magnitude or complex image (row, column), as complex64, of a file with one slice."""
    return _single(path, "image")


def read_image_pair(fixed: Path | str, moving: Path | str, size: int) -> tuple[Tensor, Tensor]:
    """Read two images to register, cropped in k-space to (size, size), maximum magnitude 1.

    Raises ValueError naming both files where their shapes differ, or the one that is too small.
    """
    images = [read_image(path) for path in (fixed, moving)]
    if images[0].shape != images[1].shape:
        raise ValueError(
            f"{moving}: expected the shape of {fixed}, {tuple(images[0].shape)}, got {tuple(images[1].shape)}"
        )
    if min(images[0].shape) < size:
        raise ValueError(f"{fixed}: expected at least {size}×{size} pixels, got {tuple(images[0].shape)}")
    small = [ifft2c(crop_center(fft2c(image), size)) for image in images]
    return small[0] / small[0].abs().max(), small[1] / small[1].abs().max()


def describe(path: Path | str, format: str = "auto", *, size: int | None = None, **options: str | None) -> str:
    """Say what a file is, what it does not say, and what training will do with it.

    `size` is the matrix of the preset that will be trained.
    """
    volumes = open_file(path, format, **options)
    several = "s" * (len(volumes) > 1)
    lines = [f"{path}: {volumes[0].format}, {len(volumes)} volume{several}"]
    for v in volumes:
        slices, coils, rows, columns = v.shape
        name = f"{v.key}: " if v.key else ""
        lines.append(f"  {name}{v.domain}, {slices} slices, {coils} coils, {rows} × {columns}, "
                     f"subject {v.subject}")  # fmt: skip
    first = volumes[0]
    hidden = ("acquisitions", "axes", "phase_low")
    known = {k: v for k, v in first.info.items() if v is not None and k not in hidden}
    lines += [f"  {k}: {' '.join(str(v).split())}" for k, v in known.items()]
    missing = [n for n in ("fov_mm", "padding", "mask", "acquisition") if n not in known]
    lines.append(f"  the file does not say: {', '.join(missing) or 'nothing is missing'}")
    try:
        rows, columns = combined_image(first, len(first) // 2, target=True).shape
        matrix = f"{size} × {size}" if size else "the preset's matrix"
        lines.append(f"  at training: images of {rows} × {columns}"
                     f"{', coils combined' if first.shape[1] > 1 else ''}, cropped in k-space to "
                     f"{matrix}, scaled to maximum 1, split by subject")  # fmt: skip
        if size and min(rows, columns) < size:
            lines.append(f"  too small for {size} × {size}: it will be refused")
    except UnreadableFileError as error:
        lines.append(f"  at training: refused ({str(error).partition(': slice')[2]})")
    return "\n".join(lines)


def preview(path: Path | str, out: Path, format: str = "auto", **options: str | None) -> Path:
    """Draw magnitude and phase of the middle slice of the first volume into a PNG.

    NIfTI images are turned upright by their affine: anterior or superior up, right to the right.
    """
    from matplotlib.figure import Figure

    volume = open_file(path, format, **options)[0]
    index = len(volume) // 2
    image = upright(combined_image(volume, index), volume.info)
    size = image.abs()
    figure = Figure(figsize=(6, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    peak = float(size.quantile(0.998)) or 1.0
    shown = left.imshow(size, cmap="gray", vmin=0, vmax=peak)
    phase = image.angle().masked_fill(size <= 0.1 * size.max(), torch.nan)
    turned = right.imshow(phase, cmap="twilight", vmin=-torch.pi, vmax=torch.pi)
    for ax, drawn, label in ((left, shown, "magnitude (a.u.)"), (right, turned, "phase (rad)")):
        ax.set(xticks=[], yticks=[], facecolor="0.85")
        figure.colorbar(drawn, ax=ax, label=label)
    figure.suptitle(f"{Path(path).name}, slice {index} of {len(volume)}", fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    write_atomically(out, buffer.getvalue())
    return out


def upright(image: Tensor, info: Any) -> Tensor:
    """Flip an image (row, column) so that rows run down and columns to the right of the body."""
    if info.get("affine") is None:
        return image
    import nibabel

    along_columns, along_rows, _ = nibabel.aff2axcodes(info["affine"])
    flips = [axis for axis, flip in ((0, along_rows in "ASR"), (1, along_columns in "LPI")) if flip]
    return image.flip(flips)


def _single(path: Path | str, domain: str) -> Tensor:
    nifti = str(path).lower().endswith((".nii", ".nii.gz"))
    options = {} if nifti and domain == "kspace" else {"domain": domain}
    try:
        volumes = open_file(path, **options)
    except UnreadableFileError as error:
        if "files say it themselves" not in str(error):
            raise
        volumes = open_file(path)
    if [v.shape[:2] for v in volumes] != [(1, 1)] or volumes[0].domain != domain:
        found = ", ".join(f"{v.key or 'array'} {v.domain} {v.shape}" for v in volumes)
        raise UnreadableFileError(f"{path}: expected one slice of one coil, {domain}, got {found}")
    return volumes[0].read(0)[0]
