"""A training step of our U-Net against one of the `fastmri` package's, of equal width and depth.

    python benchmarks/unet_step.py [--size 96] [--batch 4] [--device cuda] [--bf16]

Forward, complex ℓ2, backward, AdamW, on the same images. The package's U-Net doubles its channels
at each level and normalises each of its layers; ours keeps to three times the width and does
neither. The second comparison takes that away: ours with as many channels as the package's.
"""

from __future__ import annotations

import argparse
import statistics
from contextlib import nullcontext

import torch
from fastmri.models.unet import Unet
from side_by_side import machine, measure, ratio, spread, table
from torch import Tensor, nn

from perpcore import LOSSES
from perpcore.models import UNet, parameter_count


class PackageNet(nn.Module):
    """The package's U-Net on two real channels, in the layout given."""

    def __init__(self, width: int, depth: int, layout: torch.memory_format) -> None:
        super().__init__()
        self.net, self.layout = Unet(2, 2, chans=width, num_pool_layers=depth), layout
        self.to(memory_format=layout)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.view_as_real(image).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)
        x = self.net(x).float()
        return image + torch.complex(x[:, 0].contiguous(), x[:, 1].contiguous())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--bf16", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    shape = (args.batch, args.size, args.size)
    image, target = (
        torch.randn(shape, dtype=torch.complex64, device=args.device) for _ in range(2)
    )
    networks = {
        "perpcore": UNet(args.width, args.depth),
        "perpcore, channels doubled": UNet(args.width, args.depth, widest=2**args.depth),
        "fastmri": PackageNet(args.width, args.depth, torch.contiguous_format),
        "fastmri, channels_last": PackageNet(args.width, args.depth, torch.channels_last),
    }
    loss, cases = LOSSES["l2"](), {}
    for name, network in networks.items():
        network.to(args.device)
        optimizer = torch.optim.AdamW(network.parameters(), fused=True)

        def step(network: nn.Module = network, optimizer: torch.optim.AdamW = optimizer) -> None:
            optimizer.zero_grad()
            context = torch.autocast(args.device.split(":")[0], torch.bfloat16)
            with context if args.bf16 else nullcontext():
                pred = network(image)
            loss(pred, target).backward()
            optimizer.step()

        cases[name] = step
    seconds = measure(cases, args.repeats, 3, args.device)
    best = min(("fastmri", "fastmri, channels_last"), key=lambda n: statistics.median(seconds[n]))
    print(f"{machine(args.device)}; {shape}, width {args.width}, depth {args.depth}"
          f"{', bfloat16' if args.bf16 else ''}; {args.repeats} repeats in turn.\n")  # fmt: skip
    table(
        ["network", "parameters", "ms per step, median (quartiles)", "images/s", f"images/s over `{best}`"],
        [
            [name, f"{parameter_count(network):,}", spread(seconds[name], digits=1),
             f"{args.batch / statistics.median(seconds[name]):.1f}", ratio(seconds[best], seconds[name])]
            for name, network in networks.items()
        ],
    )  # fmt: skip


if __name__ == "__main__":
    main()
