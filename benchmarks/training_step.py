"""Where the time of a training step goes: drawing the batch, the network, the loss.

    python benchmarks/training_step.py [--preset full] [--device cpu]

On one thread: `perpcore train` starts as many runs as there are cores. And our U-Net beside that of the
`fastmri` package, of equal width and depth, on the same images.
"""

from __future__ import annotations

import argparse
import statistics
import time
from functools import partial

import torch
from side_by_side import machine, measure, ratio, spread, table, wait

from perpcore.experiments.configs import COMPARISONS
from perpcore.experiments.run import build_loss, build_model, open_data
from perpcore.models import UNet


def step_parts(config: object, device: str, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each part of a step."""
    model, loss = build_model(config).to(device), build_loss(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    data = open_data(config, device)("train", None)
    times: dict[str, list[float]] = {"draw": [], "forward": [], "loss": [], "backward": []}
    for repeat in range(repeats + 3):
        stamps = [time.perf_counter()]

        def mark(stamps: list[float] = stamps) -> None:
            wait(device)
            stamps.append(time.perf_counter())

        batch = data.batch(range(repeat * config.batch_size, (repeat + 1) * config.batch_size))
        mark()
        pred = model(*batch.inputs)
        mark()
        leaf = pred.detach().requires_grad_()
        loss(leaf, batch.target).backward()
        mark()
        optimizer.zero_grad()
        pred.backward(leaf.grad)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        mark()
        if repeat >= 3:
            for (_, values), a, b in zip(times.items(), stamps, stamps[1:], strict=False):
                values.append(1e3 * (b - a))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="full")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=40)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine(args.device)}; preset {args.preset}.\n")
    rows = []
    for configs in COMPARISONS.values():
        for config in configs(args.preset):
            if config.seed == 0 and config.label in ("l2", "epe", "perp_l2", "perp_ssim", "unet_l2"):
                parts = step_parts(config, args.device, args.repeats)
                total = sum(statistics.median(v) for v in parts.values())
                shares = [f"{statistics.median(v) / total:.1%}" for v in parts.values()]
                rows.append([config.comparison, config.label, f"{total:.1f}", *shares])
    table(["comparison", "run", "step, ms (sum of medians)", "draw", "forward", "loss, both ways", "backward and AdamW"], rows)  # fmt: skip
    from fastmri.models import Unet

    image = torch.randn(4, 96, 96, dtype=torch.complex64, device=args.device)
    real = torch.view_as_real(image).permute(0, 3, 1, 2).contiguous()
    networks = {"perpcore": (UNet(16, 3), image), "fastmri": (Unet(2, 2, 16, 3), real)}

    def step(network: torch.nn.Module, x: torch.Tensor) -> None:
        network.zero_grad()
        (network(x) - x).abs().square().mean().backward()

    cases = {n: partial(step, m.to(args.device), x) for n, (m, x) in networks.items()}
    seconds = measure(cases, args.repeats, 3, args.device)
    table(["U-Net, forward and backward", "ms, median (quartiles)", "over `fastmri`"],
          [[n, spread(v), ratio(v, seconds["fastmri"])] for n, v in seconds.items()])  # fmt: skip


if __name__ == "__main__":
    main()
