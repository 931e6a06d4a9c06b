"""A trained network on measured files: complex images in, magnitude and phase out."""

import gzip
import io
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from perpcore._files import write_atomically
from perpcore.data.coils import sense_adjoint, walsh_csm
from perpcore.data.readers.base import Volume
from perpcore.data.readers.open import combined_image
from perpcore.models import MotionNet, UnrolledNet

OUTPUTS = (".npy", ".h5", ".nii", ".nii.gz")


@torch.no_grad()
def reconstruct(volume: Volume, network: nn.Module) -> np.ndarray:
    """Reconstruct every slice of a volume: complex64 (slice, row, column), in the file's units.

    A `UNet` gets the zero-filled image, an `UnrolledNet` k-space and estimated sensitivities; ValueError: other data.
    """
    is_unrolled = isinstance(network, UnrolledNet)
    if isinstance(network, MotionNet) or (is_unrolled and volume.domain != "kspace"):
        raise ValueError(f"network: {type(network).__name__} cannot reconstruct {volume.domain} data")
    images, measured = [], []
    for index in range(len(volume)):
        if is_unrolled:
            kspace = volume.read(index)
            csm = walsh_csm(kspace)
            zero_filled, measured = sense_adjoint(kspace, csm), [csm[None], (kspace != 0).any(0)[None]]
        else:
            zero_filled = combined_image(volume, index)
        scale = zero_filled.abs().max()
        images.append(scale * network(zero_filled[None] / scale, *measured)[0])
    return torch.stack(images).numpy()


def save_images(images: np.ndarray, out: Path, affine: np.ndarray | None = None) -> list[Path]:
    """Write complex images (slice, row, column) as their suffix says; return the files.

    .npy: complex64. .h5: datasets "magnitude" and "phase" (rad). .nii, .nii.gz: two files, named …_mag and …_ph (rad),
    with axes (column, row, slice) and `affine`. Raises ValueError for another suffix.
    """
    suffix = next((s for s in OUTPUTS[::-1] if out.name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f"out: expected a name that ends with {', '.join(OUTPUTS)}, got {out.name!r}")
    magnitude, phase = np.abs(images).astype(np.float32), np.angle(images).astype(np.float32)
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, images.astype(np.complex64))
    elif suffix == ".h5":
        with h5py.File(buffer, "w") as file:
            file["magnitude"], file["phase"] = magnitude, phase
    else:
        import nibabel

        written = []
        for ending, values in (("mag", magnitude), ("ph", phase)):
            content = nibabel.Nifti1Image(values.T, np.eye(4) if affine is None else affine).to_bytes()
            written.append(out.with_name(f"{out.name[: -len(suffix)]}_{ending}{suffix}"))
            write_atomically(written[-1], gzip.compress(content) if suffix == ".nii.gz" else content)
        return written
    write_atomically(out, buffer.getvalue())
    return [out]
