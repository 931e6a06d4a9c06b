"""A trained network on measured files: complex images in, magnitude and phase out."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from perpcore._files import write_atomically
from perpcore.data.coils import sense_adjoint, walsh_csm
from perpcore.data.readers.base import Volume
from perpcore.data.readers.images import combined_image
from perpcore.models import MotionNet, UnrolledNet

OUTPUTS = (".npy", ".h5", ".nii", ".nii.gz")


def reconstruct(volume: Volume, network: nn.Module) -> np.ndarray:
    """Reconstruct every slice of a volume: complex64 (slice, row, column), in the file's units.

    A `UNet` corrects the zero-filled image, an `UnrolledNet` gets k-space and sensitivities that are
    estimated from its centre.
    """
    if isinstance(network, MotionNet) or (isinstance(network, UnrolledNet) and volume.domain != "kspace"):
        raise ValueError(f"network: {type(network).__name__} cannot reconstruct {volume.domain} data")
    images = []
    for index in range(len(volume)):
        more: tuple[Tensor, ...] = ()
        if isinstance(network, UnrolledNet):
            kspace = volume.read(index)
            csm, mask = walsh_csm(kspace, min(24, *kspace.shape[1:])), (kspace != 0).any(0)
            zero_filled, more = sense_adjoint(kspace, csm), (kspace, csm, mask)
        else:
            zero_filled = combined_image(volume, index)
        scale = zero_filled.abs().max()
        if more:
            more = (more[0] / scale, *more[1:])
        with torch.no_grad():
            inputs = ((zero_filled / scale)[None], *(x[None] for x in more))
            images.append(scale * network(*inputs)[0])
    return torch.stack(images).numpy()


def save_images(images: np.ndarray, out: Path, affine: np.ndarray | None = None) -> list[Path]:
    """Write complex images (slice, row, column) as their suffix says; return the files.

    .npy: complex64. .h5: datasets "magnitude" and "phase" (rad). .nii, .nii.gz: two files, named
    …_mag and …_ph (rad), with axes (column, row, slice) and `affine`.
    """
    suffix = next((s for s in OUTPUTS[::-1] if out.name.lower().endswith(s)), None)
    if suffix is None:
        raise ValueError(f"out: expected a name that ends with {', '.join(OUTPUTS)}, got {out.name!r}")
    parts = {"magnitude": np.abs(images).astype(np.float32), "phase": np.angle(images).astype(np.float32)}
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, images.astype(np.complex64))
    elif suffix == ".h5":
        with h5py.File(buffer, "w") as file:
            for name, values in parts.items():
                file[name] = values
    else:
        import nibabel

        stem, written = out.name[: -len(suffix)], []
        for ending, values in zip(("_mag", "_ph"), parts.values(), strict=True):
            image = nibabel.Nifti1Image(values.transpose(2, 1, 0), np.eye(4) if affine is None else affine)
            content = image.to_bytes()
            written.append(out.with_name(stem + ending + suffix))
            write_atomically(written[-1], gzip.compress(content) if suffix == ".nii.gz" else content)
        return written
    write_atomically(out, buffer.getvalue())
    return [out]
