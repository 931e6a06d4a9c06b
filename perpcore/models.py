"""Networks. Complex images in, complex images out; two real channels only inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class _Block(nn.Sequential):
    """Two convolutions. No normalisation: it would hide the size of the image from the network."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        layers: list[nn.Module] = []
        for c in (channels_in, channels_out):
            layers += [nn.Conv2d(c, channels_out, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
        super().__init__(*layers)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) that corrects a complex image.

    Its output is added to the input: Ŷ starts near the zero-filled image, away from Ŷ = 0 where
    ⊥-loss has no direction.

    Parameters
    ----------
    width : int
        Channels of the first level, twice that at the second, three times below.
    depth : int
        Number of times the image is halved.
    """

    def __init__(self, width: int = 16, depth: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**level, 3) for level in range(depth + 1)]
        self.depth = depth
        self.down = nn.ModuleList(
            _Block(c_in, c_out) for c_in, c_out in zip([2, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList(
            _Block(deep + skip, skip) for deep, skip in zip(widths[1:], widths, strict=False)
        )
        self.out = nn.Conv2d(width, 2, 1)
        nn.init.normal_(self.out.weight, std=1e-3)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)
        # The layout in which CPU and GPU convolutions are fastest.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Tensor) -> Tensor:
        """(batch, row, column) complex64 → the same shape; any size is padded inside."""
        if image.ndim != 3 or not image.is_complex():
            raise ValueError(
                "image: expected complex (batch, row, column), "
                f"got {image.dtype} of shape {tuple(image.shape)}"
            )
        rows, columns = image.shape[-2:]
        multiple = 2**self.depth
        x = torch.view_as_real(image).permute(0, 3, 1, 2)
        x = functional.pad(x, (0, -columns % multiple, 0, -rows % multiple))
        x = x.contiguous(memory_format=torch.channels_last)
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.avg_pool2d(x, 2))
            skips.append(x)
        for level in reversed(range(self.depth)):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[level](torch.cat([x, skips[level]], 1))
        x = self.out(x)[..., :rows, :columns]
        return image + torch.complex(x[:, 0], x[:, 1])


def parameter_count(model: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
