"""Files and folders of every format in, volumes and their images out."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import h5py
from torch import Tensor

from perpcore._checks import require
from perpcore.data.coils import sense_adjoint, walsh_csm
from perpcore.data.kspace import fft2c, ifft2c
from perpcore.data.readers import arrays, calgary, fastmri, mrd, nifti
from perpcore.data.readers.base import Options, UnreadableFileError, Volume, naming

FORMATS = {"fastmri": fastmri, "calgary": calgary, "mrd": mrd, "nifti": nifti, "arrays": arrays}
SUFFIXES = (".h5", ".hdf5", ".mrd", ".npy", ".npz", ".mat", ".nii", ".nii.gz", ".cfl")
MAX_SLICE = 2**28  # complex numbers in one slice of all coils, 2 GB: more is a damaged header, not an MR image


def open_file(path: Path | str, format: str = "auto", **options: Unpack[Options]) -> list[Volume]:
    """Volumes of one file, in one of `FORMATS`; "auto" looks into the file.

    Raises OSError, or UnreadableFileError of one line: the file, expected, got, and which of `Options` settles it.
    """
    path, domain = Path(path), options.get("domain")
    require(format in (*FORMATS, "auto"), f"format: expected auto, {', '.join(FORMATS)}, got {format!r}")
    require(domain in (None, "kspace", "image"), f"domain: expected kspace or image, got {domain!r}")
    if unknown := options.keys() - Options.__optional_keys__:
        raise TypeError(f"options: expected domain, axes, array or phase_unit, got {', '.join(unknown)}")
    with path.open("rb"):
        pass  # none, a folder, no permission: say so before any format is guessed
    with naming(path):
        require(path.name[:2] != "._", "what a Mac keeps beside copied files, not data")
        reader = FORMATS[_find_format(path) if format == "auto" else format]
        volumes: list[Volume] = reader.open_volumes(path, options)
        for volume in volumes:
            fits = min(volume.shape) >= 1 and math.prod(volume.shape[1:]) <= MAX_SLICE
            wanted = f"(slices, coils, rows, columns) of at least 1 and at most {MAX_SLICE} numbers a slice"
            require(fits, f"expected {wanted}, its header claims {volume.shape}")
            require(domain in (None, volume.domain), f"expected {domain}, got {volume.domain}")
    return volumes


def open_source(source: Path | str, *, skip_bad: bool = False, **options: Unpack[Options]) -> list[Volume]:
    """Volumes of a file or of all below a folder, by name; `source` is a path or "FORMAT:PATH".

    With `skip_bad` a file of a folder that cannot be read is no error, but reported and left out.
    """
    format, _, name = str(source).partition(":")
    if format not in (*FORMATS, "auto") or not name:
        format, name = "auto", str(source)
    path = Path(name)
    if not path.is_dir():
        return open_file(path, format, **options)
    volumes: dict[Volume, None] = {}  # two files that belong together give the same volume
    for file in sorted(path.rglob("*")):
        if not file.name.lower().endswith(SUFFIXES) or file.name[:2] == "._":
            continue
        try:
            volumes |= dict.fromkeys(open_file(file, format, **options))
        except (UnreadableFileError, OSError) as error:
            if not skip_bad:
                raise UnreadableFileError(f"{error} (--skip-bad leaves it out)") from None
            print(f"left out: {error}")
    if not volumes:
        raise FileNotFoundError(f"{path}: no readable file with suffix {', '.join(SUFFIXES)}")
    return list(volumes)


def image_shape(volume: Volume) -> tuple[int, int]:
    """(rows, columns) of `combined_image`: the field of view that is to be reconstructed."""
    encoded = volume.info.get("fov_mm", (1, 1))
    recon = volume.info.get("recon_fov_mm", encoded)
    rows, columns = (min(n, round(n * r / e)) for n, r, e in zip(volume.shape[2:], recon, encoded, strict=True))
    return rows, columns


def combined_image(volume: Volume, index: int) -> Tensor:
    """Slice as one complex64 image (row, column) of `image_shape`; coils adaptively combined."""
    data = volume.read(index)
    image = data[0] if volume.domain == "image" else ifft2c(data[0])
    if len(data) > 1:
        kspace = data if volume.domain == "kspace" else fft2c(data)
        image = sense_adjoint(kspace, walsh_csm(kspace))
    for axis, size in enumerate(image_shape(volume)):
        image = image.narrow(axis, image.shape[axis] // 2 - size // 2, size)
    return image


def fingerprint(volumes: Sequence[Volume]) -> str:
    """12 hex digits of names, shapes, subjects and contents (of more than 4 MiB, 64 blocks of 64 KiB) of the files."""
    said = []
    for v in volumes:
        axes, unit = str(v.info.get("axes")), str(v.info.get("phase_unit"))
        said.append((v.path.name, v.domain, v.key, v.shape, v.subject, axes, unit))
    digest = hashlib.sha256(repr(sorted(said)).encode())
    files = {v.path for v in volumes} | {v.info.get("partner", v.path) for v in volumes}
    for path in sorted(files, key=lambda p: (p.name, p)):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for start in range(0, size, max(size // 64, 2**16)):
                file.seek(start)
                digest.update(file.read(2**16))
    return digest.hexdigest()[:12]


def _find_format(path: Path) -> str:
    """Calgary-Campinas is known by 12 or 32 channels; others of its files may be anything."""
    if nifti.SUFFIX.search(path.name):
        return "nifti"
    if not h5py.is_hdf5(path):
        return "arrays"
    with h5py.File(path, "r") as file:
        kspace = file.get("kspace")
        if isinstance(kspace, h5py.Dataset) and "ismrmrd_header" in file:
            return "fastmri"
        if isinstance(kspace, h5py.Dataset) and kspace.dtype.kind == "f":
            return "calgary" if kspace.shape[3:] in ((24,), (64,)) else "arrays"
        return "mrd" if mrd.groups_of(file) else "arrays"
