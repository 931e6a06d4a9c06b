"""Phase statistics of the generated images next to those of measured ones.

    python benchmarks/phantom_realism.py [--data FOLDER]

FOLDER holds the measured test data (larson/se_t1_sag_data.mat, abdomen_gre.h5); what is not there
is left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from side_by_side import table

from perpcore.data.kspace import ifft2c
from perpcore.data.phantoms import KINDS, generate, phase_statistics
from perpcore.data.readers import read_kspace

ROWS: list[list[object]] = []


def report(label: str, images: list[np.ndarray]) -> None:
    values = np.array([phase_statistics(image) for image in images])
    cells = []
    for column in values.T:
        low, middle, high = np.quantile(column, [0.05, 0.5, 0.95])
        cells.append(f"{middle:.3f} ({low:.3f} … {high:.3f})")
    ROWS.append([label, len(images), *cells])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    beside = Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=beside)
    parser.add_argument("--count", type=int, default=200)
    args = parser.parse_args()
    for kind in KINDS:
        for size in (96, 128, 192):
            images = generate(range(args.count), size, seed=7, kind=kind).image.numpy()
            report(f"generated {kind}, {size}²", list(images))
    head = args.data / "larson" / "se_t1_sag_data.mat"
    if head.exists():
        report("measured head, spin echo, 256²", [ifft2c(read_kspace(head)).numpy()])
    abdomen = args.data / "abdomen_gre.h5"
    if abdomen.exists():
        with h5py.File(abdomen) as file:
            for echo in (0, 1):
                images = [
                    s["magnitude"][echo, k] * np.exp(1j * s["phase"][echo, k] / 1000)
                    for s in file.values()
                    for k in range(s["magnitude"].shape[1])
                ]
                report(f"measured abdomen, echo {echo + 1}, 128²", images)
    heads = ("circular SD (rad)", "gradient (rad/px)", "residual (rad)")
    print("Median (5 % … 95 %).\n")
    table(["images", "n", *heads], ROWS)
    print("published ranges: SD 1.0 … 2.7, gradient 0.03 … 0.16; residual: brain 0.10 … 0.15,")
    print("torso, neck, knee 0.18 … 0.41, abdomen at 3 T 0.64 … 0.77")


if __name__ == "__main__":
    main()
