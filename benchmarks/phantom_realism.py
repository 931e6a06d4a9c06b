"""Phase and brightness of the generated images next to those of measured ones.

    python benchmarks/phantom_realism.py [--data FOLDER]

FOLDER holds the measured test data (larson/se_t1_sag_data.mat, sigpy/cartesian_ksp.npy,
abdomen_gre.h5); what is not there is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from scipy import ndimage
from side_by_side import table

from perpcore.classical import METHODS
from perpcore.data.coils import sense_adjoint, walsh_csm
from perpcore.data.datasets import ReconBatch
from perpcore.data.kspace import crop_center, fft2c, ifft2c
from perpcore.data.phantoms import ROUGHNESS, generate
from perpcore.data.readers import read_single

ROWS: list[list[object]] = []


class PhaseStatistics(NamedTuple):
    """Phase of one image where there is signal; see `phase_statistics`."""

    circular_sd: float
    gradient: float
    residual: float


def phase_statistics(image: torch.Tensor | np.ndarray, trend_sigma: float = 4.0) -> PhaseStatistics:
    """How rough the phase of a complex image (row, column) is, where |Y| > 0.1 max |Y|.

    Returns the circular standard deviation (rad), the median size of the phase difference of
    horizontal and vertical neighbours (rad/pixel, from their products, so without wraps), and
    the root mean square (rad, weighted with |Y|²) of the phase that is left after removing the
    phase of the image smoothed with a Gaussian of `trend_sigma` pixels.
    """
    pixels = np.asarray(image)
    size = np.abs(pixels)
    mask = size > 0.1 * size.max()
    unit = np.where(mask, np.exp(1j * np.angle(pixels)), 0)
    circular_sd = np.sqrt(-2 * np.log(np.abs(unit[mask].mean())))
    steps = [
        np.angle(a * b.conj())[(a != 0) & (b != 0)] for a, b in ((unit[:, 1:], unit[:, :-1]), (unit[1:], unit[:-1]))
    ]
    trend = ndimage.gaussian_filter(unit, trend_sigma)
    residual = np.angle(unit * trend.conj())[mask]
    return PhaseStatistics(
        float(circular_sd),
        float(np.median(np.abs(np.concatenate(steps)))),
        float(np.sqrt(np.average(residual**2, weights=size[mask] ** 2))),
    )


def brightness(image: torch.Tensor | np.ndarray) -> float:
    """Median magnitude of what is above a tenth of the maximum, over the maximum: noise is relative to that."""
    size = np.abs(np.asarray(image))
    return float(np.median(size[size > 0.1 * size.max()]) / size.max())


def report(label: str, images: list[np.ndarray]) -> None:
    values = np.array([(*phase_statistics(image), brightness(image)) for image in images])
    cells = []
    for column in values.T:
        low, middle, high = np.quantile(column, [0.05, 0.5, 0.95])
        cells.append(f"{middle:.3f} ({low:.3f} … {high:.3f})")
    ROWS.append([label, len(images), *cells])


def measured_abdomens(path: Path, echo: int, size: int) -> list[np.ndarray]:
    """Every slice of the file at this echo, its k-space cropped to (size, size)."""
    with h5py.File(path) as file:
        images = [
            s["magnitude"][echo, k] * np.exp(1j * s["phase"][echo, k] / 1000)  # mrad
            for s in file.values()
            for k in range(s["magnitude"].shape[1])
        ]
    return list(ifft2c(crop_center(fft2c(torch.from_numpy(np.stack(images))), size)).numpy())


def measured_brain(path: Path, size: int) -> np.ndarray:
    """The undersampled axial brain, reconstructed with wavelets, its k-space cropped to (size, size)."""
    kspace = torch.from_numpy(np.load(path))
    csm, mask = walsh_csm(kspace), (kspace != 0).any(0)
    zero_filled = sense_adjoint(kspace, csm)
    scale = zero_filled.abs().max()
    image = (zero_filled / scale)[None]
    batch = ReconBatch(image, image, image.abs() > 0, kspace[None] / scale, csm[None], mask[None])
    return ifft2c(crop_center(fft2c(METHODS["wavelet"].reconstruct(batch, 0.003)[0]), size)).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside)
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    head, abdomen = args.data / "larson" / "se_t1_sag_data.mat", args.data / "abdomen_gre.h5"
    brain = args.data / "sigpy" / "cartesian_ksp.npy"
    for size in (64, 128):
        for kind in ROUGHNESS:
            images = generate(range(args.count), size, seed=7, kind=kind).image.numpy()
            report(f"generated {kind}, {size}²", list(images))
        if head.exists():
            report(
                f"measured head, spin echo, {size}²", [ifft2c(crop_center(read_single(head, "kspace"), size)).numpy()]
            )
        if brain.exists():
            report(f"measured brain, from 12 % of k-space, {size}²", [measured_brain(brain, size)])
        for echo in (0, 1) if abdomen.exists() else ():
            report(f"measured abdomen, echo {echo + 1}, {size}²", measured_abdomens(abdomen, echo, size))
    if head.exists():
        report("measured head, spin echo, 256²", [ifft2c(read_single(head, "kspace")).numpy()])
    print("Median (5 % … 95 %).\n")
    table(["images", "n", "circular SD (rad)", "gradient (rad/px)", "residual (rad)", "median over maximum"], ROWS)


if __name__ == "__main__":
    main()
