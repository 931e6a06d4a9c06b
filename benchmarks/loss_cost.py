"""Cost of the losses, forward and backward, on (8, 320, 320) complex64, side by side.

    python benchmarks/loss_cost.py [--device cuda] [--save]

--save writes data/results/loss_cost.json, which tab01 quotes.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import torch
from complextorch.nn.modules.loss import PerpLossSSIM
from torch import Tensor

from perpcore import LOSSES

SHAPE = (8, 320, 320)


def l2_fused(pred: Tensor, target: Tensor) -> Tensor:
    """ℓ2 on real views: the fastest way to write it."""
    return torch.view_as_real(pred - target).square().mean()


def copied_formulation(pred: Tensor, target: Tensor) -> Tensor:
    """⊥+ℓ2 as it is widely copied: a difference of two atan2, boolean-index assignment."""
    size_p, size_t = pred.abs(), target.abs()
    cross = (pred.real * target.imag - pred.imag * target.real).abs()
    delta = torch.atan2(pred.imag, pred.real) - torch.atan2(target.imag, target.real)
    delta = torch.remainder(delta + torch.pi, 2 * torch.pi) - torch.pi
    acute = delta.abs() < torch.pi / 2
    length = cross / (size_p + 1e-8)
    loss = torch.zeros_like(length)
    loss[acute] = length[acute]
    loss[~acute] = 2 * size_t[~acute] - length[~acute]
    return loss.mean() + (size_p - size_t).square().mean()


def perp_by_autograd(pred: Tensor, target: Tensor) -> Tensor:
    """⊥+ℓ2 by inner product and where, differentiated by autograd."""
    size_p, size_t = pred.abs(), target.abs()
    unit = pred / torch.maximum(size_p, 1e-3 * size_t).clamp_min(1e-30)
    product = target * unit.conj()
    length = product.imag.abs()
    loss = torch.where(product.real < 0, 2 * size_t - length, length)
    return loss.mean() + (size_p - size_t).square().mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    device = torch.device(args.device)
    torch.manual_seed(0)
    pred = torch.randn(SHAPE, dtype=torch.complex64, device=device, requires_grad=True)
    target = torch.randn(SHAPE, dtype=torch.complex64, device=device)
    peer = PerpLossSSIM().to(device)
    cases = {name: LOSSES[name]() for name in LOSSES if name != "epe"}
    cases |= {
        "l2, real views": l2_fused,
        "perp_l2, copied formulation": copied_formulation,
        "perp_l2, autograd over where": perp_by_autograd,
        "perp_ssim, complextorch": lambda p, y: peer(p[:, None], y[:, None]).sum(),
    }
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for repeat in range(args.repeats + 5):
        for name, loss in cases.items():
            pred.grad = None
            _wait(device)
            start = time.perf_counter()
            loss(pred, target).backward()
            _wait(device)
            if repeat >= 5:
                seconds[name].append(time.perf_counter() - start)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    where = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    machine = f"{where}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    print(f"{machine}; {SHAPE} complex64; {args.repeats} repeats, interleaved")
    print(f"{'loss':30} {'median ms':>10} {'quartiles':>16} {'/ ℓ2':>6} {'/ ℓ2 on real views':>19}")
    for name, times in seconds.items():
        low, _, high = statistics.quantiles(times, n=4)
        ratios = median[name] / median["l2"], median[name] / median["l2, real views"]
        print(
            f"{name:30} {median[name] * 1e3:10.2f} {low * 1e3:7.2f} … {high * 1e3:6.2f} "
            f"{ratios[0]:6.2f} {ratios[1]:19.2f}"
        )
    saved = median["perp_l2, copied formulation"] / median["perp_l2"]
    print(f"the copied formulation costs {saved:.1f} times as much as perp_l2")
    if args.save:
        record = {
            "machine": machine,
            "median_ms": {name: round(t * 1e3, 2) for name, t in median.items()},
            "ratio_to_l2": {name: round(t / median["l2"], 2) for name, t in median.items()},
        }
        path = Path(__file__).parents[1] / "data" / "results" / "loss_cost.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
