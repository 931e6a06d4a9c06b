"""Validation metrics of ⊥+ℓ2 against its weight w, the one trial that chose w at `quick`.

    python benchmarks/perp_l2_weight.py [--weights 1 10 30]

Runs are kept in the run store, so a second call only prints.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import torch

from perpcore.experiments import PRESETS, train

SHOWN = ["psnr", "ssim", "complex_nrmse", "phase_error", "magnitude_bias"]


def last_row(weight: float) -> dict[str, float]:
    torch.set_num_threads(1)
    run = replace(PRESETS["quick"], loss="perp_l2", weight=weight)
    return train(run, device="cpu", progress=False).history.iloc[-1].to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=float, nargs="+", default=[1.0, 10.0, 30.0])
    args = parser.parse_args()
    print(f"{'w':>6}", *(f"{name:>15}" for name in SHOWN))
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for weight, row in zip(args.weights, pool.map(last_row, args.weights), strict=True):
            print(f"{weight:6g}", *(f"{row[name]:15.3f}" for name in SHOWN), flush=True)


if __name__ == "__main__":
    main()
