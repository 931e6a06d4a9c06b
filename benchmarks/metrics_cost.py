"""SSIM and PSNR of images of one batch against scikit-image's, which takes one image at a time.

python benchmarks/metrics_cost.py [--size 320] [--batch 16]
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from side_by_side import machine, measure, ratio, spread, table
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from perpcore.data.phantoms import generate
from perpcore.metrics import psnr, ssim


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    target = generate(range(args.batch), args.size).image
    pred = target + 0.05 * torch.randn_like(target)
    images = list(zip(pred.numpy(), target.numpy(), strict=True))

    def theirs(function):
        sizes = ((np.abs(p), np.abs(y)) for p, y in images)  # ours take complex images too
        return [function(y, p, data_range=y.max()) for p, y in sizes]

    for ours, peer in ((ssim, structural_similarity), (psnr, peak_signal_noise_ratio)):
        torch.testing.assert_close(
            ours(pred, target).double(), torch.tensor(theirs(peer), dtype=torch.float64), rtol=1e-4, atol=1e-4
        )  # fmt: skip
    cases = {
        "SSIM, perpcore": lambda: ssim(pred, target),
        "SSIM, scikit-image": lambda: theirs(structural_similarity),
        "PSNR, perpcore": lambda: psnr(pred, target),
        "PSNR, scikit-image": lambda: theirs(peak_signal_noise_ratio),
    }
    seconds = measure(cases, 15, 2)
    print(f"{machine()}; {args.batch} images of {args.size}²; equal to 10⁻⁴.\n")
    table(
        ["metric", "ms per image, median (quartiles)", "times as fast as scikit-image"],
        [
            [name, spread([t / args.batch for t in times]),
             ratio(seconds[name.split(",")[0] + ", scikit-image"], times)]
            for name, times in seconds.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
