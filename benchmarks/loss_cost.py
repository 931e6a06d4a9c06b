"""Cost of the losses, forward and backward, on (8, 320, 320) complex64, side by side.

    python benchmarks/loss_cost.py [--device cuda] [--save]

The bound is the time that memory needs for the bytes that no implementation can avoid: Ŷ and Y are
read, the gradient is written, at the speed of a plain copy measured in the same turns. --save
writes data/results/loss_cost.json, which tab01 quotes.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path

import torch
from complextorch.nn.modules.loss import PerpLossSSIM
from side_by_side import machine, measure, spread, table
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--save", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    pred = torch.randn(SHAPE, dtype=torch.complex64, device=args.device, requires_grad=True)
    target = torch.randn(SHAPE, dtype=torch.complex64, device=args.device)
    other = torch.empty_like(target)
    peer = PerpLossSSIM().to(args.device)
    losses: dict[str, Callable[[Tensor, Tensor], Tensor]] = {name: LOSSES[name]() for name in LOSSES if name != "epe"}
    losses |= {
        "l2, real views": l2_fused,
        "perp_l2, copied formulation": copied_formulation,
        "perp_ssim, complextorch": lambda p, y: peer(p[:, None], y[:, None]).sum(),
    }

    def step(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        pred.grad = None
        loss(pred, target).backward()

    cases: dict[str, Callable[[], object]] = {name: (lambda loss=loss: step(loss)) for name, loss in losses.items()}
    cases["copy"] = lambda: other.copy_(target)
    seconds = measure(cases, args.repeats, 5, args.device)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    bound = 1.5 * median["copy"]  # a copy reads one array and writes one, the loss moves three
    print(f"{machine(args.device)}; {args.repeats} repeats in turn.\n")
    print(f"Copy of one array: {2 * target.nbytes / median['copy'] / 1e9:.1f} GB/s; bound {bound * 1e3:.2f} ms.\n")  # fmt: skip
    table(
        ["loss", "ms, median (quartiles)", "/ l2", "/ l2 on real views", "/ bound"],
        [
            [name, spread(seconds[name]), *(f"{median[name] / against:.2f}" for against in (median["l2"], median["l2, real views"], bound))]
            for name in losses
        ],
    )  # fmt: skip
    for name, ours in (("perp_l2, copied formulation", "perp_l2"), ("perp_ssim, complextorch", "perp_ssim")):  # fmt: skip
        print(f"`{name}` costs {median[name] / median[ours]:.1f} times as much as `{ours}`.\n")
    if args.save:
        record = {
            "machine": machine(args.device),
            "median_ms": {name: round(median[name] * 1e3, 2) for name in losses},
            "ratio_to_l2": {name: round(median[name] / median["l2"], 2) for name in losses},
        }
        path = Path(__file__).parents[1] / "data" / "results" / "loss_cost.json"
        path.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
