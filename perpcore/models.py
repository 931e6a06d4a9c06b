"""Networks. Complex images in, complex images or displacement fields out; real only inside."""

from __future__ import annotations

import torch
from jaxtyping import Complex, Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from perpcore.data.coils import sense_adjoint, sense_forward
from perpcore.data.motion import warp

Images = Complex[Tensor, "batch row column"]


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
        Channels of the first level; each further level has twice those of the one above.
    depth : int
        Number of times the image is halved.
    widest : int
        Where the doubling ends, in multiples of `width`: by default 1, 2, 3, 3, …
    """

    def __init__(self, width: int = 16, depth: int = 3, widest: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**level, widest) for level in range(depth + 1)]
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

    def forward(self, image: Images) -> Images:
        """Corrected images; any size is padded inside."""
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


class UnrolledNet(nn.Module):
    """Cascades of a small U-Net and soft data consistency (after Schlemper et al. 2018).

    Each cascade: x ← x − λ Aᴴ(A x − y) + CNN(x), with its own λ and network; A as in `coils`.

    Parameters
    ----------
    cascades, width, depth : int
        Number of cascades, and size of their U-Nets.
    """

    def __init__(self, cascades: int = 3, width: int = 16, depth: int = 2) -> None:
        super().__init__()
        self.networks = nn.ModuleList(UNet(width, depth) for _ in range(cascades))
        self.step = nn.Parameter(torch.full((cascades,), 0.5))

    def forward(
        self,
        zero_filled: Images,
        kspace: Complex[Tensor, "batch coil row column"],
        coil_sensitivities: Complex[Tensor, "batch coil row column"],
        mask: Shaped[Tensor, "batch row column"],
    ) -> Images:
        """Images from Aᴴy, y, S and the sampling mask."""
        image = zero_filled
        for step, network in zip(self.step, self.networks, strict=True):
            residual = sense_forward(image, coil_sensitivities, mask) - kspace
            # The U-Net adds its correction to its input.
            image = network(image) - step * sense_adjoint(residual, coil_sensitivities, mask)
        return image


class MotionNet(nn.Module):
    """Coarse-to-fine registration network, after SPyNet (Ranjan and Black 2017).

    A pyramid of small CNNs: each level upsamples the field of the level below, warps the moving
    image by it and predicts a correction from both images, the field and, with `flow`, the normal
    flow: the displacement along the image gradient that explains the difference of the images to
    first order. It hands the network the direction of the motion. A small network without it
    needs hundreds of steps to find that direction.

    Parameters
    ----------
    channels : int
        Channels of each input image: 1 for magnitudes, 2 for complex images.
    width : int
        Channels of the hidden layers.
    levels : int
        Levels of the pyramid; the coarsest is 2^(levels − 1) times smaller.
    flow : bool
        Add the normal flow to the inputs of each level.
    """

    def __init__(
        self, channels: int = 1, width: int = 16, levels: int = 4, flow: bool = True
    ) -> None:
        super().__init__()
        self.channels, self.levels, self.flow = channels, levels, flow
        seen = (4 if flow else 2) * channels + 2
        self.refine = nn.ModuleList(_refiner(seen, width) for _ in range(levels))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, fixed: Images, moving: Images) -> Float[Tensor, "batch 2 row column"]:
        """Displacement in pixels that takes the moving image to the fixed one (see `motion`).

        With one channel only the magnitudes are seen. Rows and columns must be divisible by
        2^(levels − 1).
        """
        multiple = 2 ** (self.levels - 1)
        if fixed.shape != moving.shape or fixed.ndim != 3:
            raise ValueError(
                "moving: expected (batch, row, column) like fixed "
                f"{tuple(fixed.shape)}, got {tuple(moving.shape)}"
            )
        if fixed.shape[-1] % multiple or fixed.shape[-2] % multiple:
            raise ValueError(
                f"fixed: expected rows and columns divisible by {multiple}, "
                f"got {tuple(fixed.shape[-2:])}"
            )
        pyramid = [(self._to_channels(fixed), self._to_channels(moving))]
        for _ in range(self.levels - 1):
            pyramid.append(
                (functional.avg_pool2d(pyramid[-1][0], 2), functional.avg_pool2d(pyramid[-1][1], 2))
            )
        coarsest = pyramid[-1][0]
        field = coarsest.new_zeros(len(coarsest), 2, *coarsest.shape[-2:])
        for level, (still, mobile) in zip(self.refine, reversed(pyramid), strict=True):
            if field.shape[-2:] != still.shape[-2:]:
                field = 2 * functional.interpolate(
                    field, scale_factor=2, mode="bilinear", align_corners=False
                )
            warped = warp(mobile, field)
            inputs = [still, warped, field]
            if self.flow:
                inputs.append(_normal_flow(still, warped))
            x = torch.cat(inputs, 1)
            field = field + level(x.contiguous(memory_format=torch.channels_last))
        return field.contiguous()

    def _to_channels(self, image: Tensor) -> Tensor:
        if self.channels == 1:
            return image.abs().unsqueeze(1)
        return torch.view_as_real(image).permute(0, 3, 1, 2)


def _normal_flow(fixed: Tensor, moving: Tensor) -> Tensor:
    """(fixed − moving) ∇I / (|∇I|² + δ²) per channel, I the mean of both: (batch, 2·channels, …).

    From fixed(x) = moving(x + u) ≈ moving + u·∇I (Horn and Schunck 1981), u along ∇I. δ = 0.05,
    in units of the images' maximum per pixel, keeps it bounded where the image is flat.
    """
    down, right = torch.gradient((fixed + moving) / 2, dim=(-2, -1))
    scale = (fixed - moving) / (right.square() + down.square() + 0.05**2)
    return torch.cat([scale * right, scale * down], 1)


def _refiner(channels_in: int, width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for c_in in (channels_in, width, width, width):
        layers += [nn.Conv2d(c_in, width, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
    last = nn.Conv2d(width, 2, 3, padding=1)
    nn.init.normal_(last.weight, std=1e-3)
    return nn.Sequential(*layers, last)


def parameter_count(model: nn.Module) -> int:
    """Number of trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def load_pretrained(name: str) -> nn.Module:
    """A trained network that comes with the project, in evaluation mode, on the CPU.

    Parameters
    ----------
    name : str
        Task and loss: "recon/perp_l2" (a `UNet` for complex images (batch, row, column),
        zero-filled and scaled to maximum 1), "unrolled/l1" (an `UnrolledNet`),
        "registration/epe" (a `MotionNet`). `pretrained.names()` lists them, `pretrained.load_run`
        says how each was trained.

    Raises ValueError naming those there are, and `store.DamagedResultError` for a damaged file.
    """
    from perpcore import pretrained  # it builds networks, and so needs this module

    return pretrained.load(name)
