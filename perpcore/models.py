"""Networks. Complex images in, complex images or displacement fields out; real only inside."""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Complex, Float, Num
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn import functional

from perpcore._checks import check_choice, require
from perpcore._files import project_root
from perpcore.data.coils import Coils, Sampling, solve_sense
from perpcore.data.motion import warp

Images = Complex[Tensor, "batch row column"]

_CONVOLUTION: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
_POOLING = {2: functional.avg_pool2d, 3: functional.avg_pool3d}
_LAYOUT = {2: torch.channels_last, 3: torch.contiguous_format}  # in which convolutions are fastest

START_WEIGHT, START_STEPS = 0.003, 10  # λ and iterations of the CG-SENSE image that cascades begin with


def _convolutions(*channels: int, dims: int = 2) -> nn.Sequential:
    """Convolutions between `channels`. No normalisation: it would hide the size of the image from the network."""
    layers: list[nn.Module] = []
    for c_in, c_out in pairwise(channels):
        layers += [_CONVOLUTION[dims](c_in, c_out, 3, padding=1), nn.LeakyReLU(0.1, inplace=True)]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015) that corrects a complex image.

    Its output is added to the input: Ŷ starts near the zero-filled image, away from Ŷ = 0 where ⊥-loss has no
    direction. `chans` are the channels of the first level. The image is halved `num_pool_layers` times; each level has
    twice the channels of the one above, up to `max_factor`·`chans`.
    """

    def __init__(self, chans: int = 16, num_pool_layers: int = 3, max_factor: int = 3) -> None:
        super().__init__()
        widths = [chans * min(2**level, max_factor) for level in range(num_pool_layers + 1)]
        self.num_pool_layers = num_pool_layers
        self.down = nn.ModuleList(_convolutions(above, here, here) for above, here in pairwise([2, *widths]))
        self.up = nn.ModuleList(_convolutions(deep + skip, skip, skip) for skip, deep in pairwise(widths))
        self.out = nn.Conv2d(chans, 2, 1)
        for layer in self.modules():  # He et al. 2015: from torch's own start the image fades on its way through
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, 0.1)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        nn.init.normal_(self.out.weight, std=1e-3)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, image: Images, *acquisition: Tensor) -> Images:
        """Return corrected images of any size in the dtype of the image; `acquisition` is not looked at."""
        fits, got = image.ndim == 3 and image.is_complex(), f"{image.dtype} of shape {tuple(image.shape)}"
        require(fits, f"image: expected complex (batch, row, column), got {got}")
        return _corrected(image, self._correct, 2**self.num_pool_layers, self.out.weight.dtype)

    def _correct(self, x: Tensor) -> Tensor:
        skips = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else functional.avg_pool2d(x, 2))
            skips.append(x)
        for level in reversed(range(self.num_pool_layers)):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[level](torch.cat([x, skips[level]], 1))
        return self.out(x)  # type: ignore[no-any-return]


class UnrolledNet(nn.Module):
    """Cascades of a small CNN and data consistency by conjugate gradients (MoDL, Aggarwal et al. 2019).

    Begins with CG-SENSE. Each cascade: z = x + CNN(x), then x = argmin ‖A x − y‖² + λ‖x − z‖² with its own learnt λ
    and, unless `shared`, its own CNN. The CNNs work at half resolution, on blocks of 2 × 2 pixels: a quarter of the
    time, twice the field of view. `chans` are the channels of the hidden layers, `cg_steps` the iterations per cascade,
    `weight` is λ before training.
    """

    def __init__(
        self, n_cascades: int = 3, chans: int = 32, cg_steps: int = 4, shared: bool = False, weight: float = 0.02
    ) -> None:
        super().__init__()
        self.cg_steps = cg_steps
        self.networks = nn.ModuleList(_half_resolution_cnn(chans) for _ in range(1 if shared else n_cascades))
        self.log_weight = nn.Parameter(torch.full((n_cascades,), weight).log())
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, zero_filled: Images, coil_sensitivities: Coils, mask: Sampling) -> Images:
        """Return images from Aᴴy, S and the sampling mask, of any size."""
        with torch.no_grad():  # nothing to learn in it
            image = solve_sense(zero_filled, coil_sensitivities, mask, START_WEIGHT, steps=START_STEPS)
        for cascade, weight in enumerate(self.log_weight.exp()):
            image = _corrected(image, self.networks[cascade % len(self.networks)], 2, self.log_weight.dtype)
            image = solve_sense(zero_filled, coil_sensitivities, mask, weight, image, steps=self.cg_steps)
        return image


def _corrected(image: Images, correct: Callable[[Tensor], Tensor], multiple: int, dtype: torch.dtype) -> Images:
    """Add to the image what a real network makes of it, padded to rows and columns divisible by `multiple`."""
    rows, columns = image.shape[-2:]
    x = torch.view_as_real(image).to(dtype).permute(0, 3, 1, 2)
    x = functional.pad(x, (0, -columns % multiple, 0, -rows % multiple))
    x = correct(x.contiguous(memory_format=torch.channels_last))[..., :rows, :columns].to(dtype)
    return image + torch.complex(x[:, 0], x[:, 1])


def _half_resolution_cnn(chans: int) -> nn.Sequential:
    body, last = _convolutions(8, *[chans] * 4), nn.Conv2d(chans, 8, 3, padding=1)
    nn.init.normal_(last.weight, std=1e-3)
    nn.init.zeros_(last.bias)  # type: ignore[arg-type]
    return nn.Sequential(nn.PixelUnshuffle(2), *body, last, nn.PixelShuffle(2))


class MotionNet(nn.Module):
    """Coarse-to-fine registration network, after SPyNet (Ranjan and Black 2017).

    Each level upsamples the field of the level below, warps the moving image by it and predicts a correction from both
    images, the field and, with `normal_flow`, the normal flow: the displacement along the image gradient that explains
    the difference of the images to first order. It tells the network the direction of the motion, which a small network
    without it needs hundreds of steps to find.
    With `in_channels` 1 it sees magnitudes, with 2 complex images. `chans` are the channels of the hidden layers; the
    coarsest of the `levels` is 2^(levels − 1) times smaller. With `dims` 3 it registers volumes.
    """

    def __init__(
        self, in_channels: int = 1, chans: int = 16, levels: int = 4, normal_flow: bool = True, dims: int = 2
    ) -> None:
        super().__init__()
        self.in_channels, self.levels, self.normal_flow, self.dims = in_channels, levels, normal_flow, dims
        seen = (2 + dims * normal_flow) * in_channels + dims
        self.refine = nn.ModuleList()
        for _ in range(levels):
            hidden = _convolutions(seen, chans, chans, chans, chans, dims=dims)
            last = _CONVOLUTION[dims](chans, dims, 3, padding=1)
            nn.init.normal_(last.weight, std=1e-3)
            self.refine.append(hidden.append(last))
        self.to(memory_format=_LAYOUT[dims])  # type: ignore[call-overload]

    def forward(
        self, fixed: Num[Tensor, "batch *space"], moving: Num[Tensor, "batch *space"]
    ) -> Float[Tensor, "batch n *space"]:
        """Return the displacement in pixels (see `data.motion`); each axis must be divisible by 2^(levels − 1)."""
        multiple = 2 ** (self.levels - 1)
        fits = self.in_channels == 1 or (fixed.is_complex() and moving.is_complex())
        require(fits, f"fixed, moving: expected complex images, got {fixed.dtype} and {moving.dtype}")
        shape, got = tuple(fixed.shape), tuple(moving.shape)
        wanted = "(batch, row, column)" if self.dims == 2 else "(batch, slice, row, column)"
        fits = len(shape) == 1 + self.dims and shape == got
        require(fits, f"moving: expected {wanted} like fixed {shape}, got {got}")
        fits = not any(size % multiple for size in shape[1:])
        require(fits, f"fixed: expected pixels along each axis divisible by {multiple}, got {shape[1:]}")
        pyramid = [[self._to_channels(fixed), self._to_channels(moving)]]
        for _ in range(self.levels - 1):
            pyramid.append([_POOLING[self.dims](image, 2) for image in pyramid[-1]])
        coarsest = pyramid[-1][0]
        field = coarsest.new_zeros(len(coarsest), self.dims, *coarsest.shape[2:])
        mode = "bilinear" if self.dims == 2 else "trilinear"
        for level, (fixed_image, moving_image) in zip(self.refine, reversed(pyramid), strict=True):
            if field.shape[2:] != fixed_image.shape[2:]:
                field = 2 * functional.interpolate(field, scale_factor=2, mode=mode, align_corners=False)
            warped = warp(moving_image, field)
            flow = [_normal_flow(fixed_image, warped)] if self.normal_flow else []
            x = torch.cat([fixed_image, warped, field, *flow], 1)
            field = field + level(x.contiguous(memory_format=_LAYOUT[self.dims]))
        return field.contiguous()

    def _to_channels(self, image: Tensor) -> Tensor:
        seen = image.abs().unsqueeze(1) if self.in_channels == 1 else torch.view_as_real(image).movedim(-1, 1)
        return seen.to(next(self.parameters()).dtype)


def _normal_flow(fixed: Tensor, moving: Tensor) -> Tensor:
    """(fixed − moving) ∇I / (|∇I|² + δ²) per channel, I the mean of both: (batch, 2·channels, …).

    From fixed(x) = moving(x + u) ≈ moving + u·∇I (Horn and Schunck 1981), u along ∇I. δ = 0.05, in units of the images'
    maximum per pixel, keeps it bounded where the image is flat.
    """
    slopes = torch.gradient((fixed + moving) / 2, dim=[*range(fixed.ndim - 1, 1, -1)])  # along x first
    scale = (fixed - moving) / (sum(slope.square() for slope in slopes) + 0.05**2)
    return torch.cat([scale * slope for slope in slopes], 1)


def parameter_count(model: nn.Module) -> int:
    """Count the trainable scalars."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


MODELS: dict[str, type[nn.Module]] = {"UNet": UNet, "UnrolledNet": UnrolledNet, "MotionNet": MotionNet}


def pretrained_names() -> list[str]:
    """List the trained networks that come with the project, as "comparison/loss"."""
    files = (project_root() / "data" / "pretrained").glob("*/*.safetensors")
    return sorted(f"{path.parent.name}/{path.stem}" for path in files)


def load_pretrained(name: str) -> nn.Module:
    """Load a trained network that comes with the project, for evaluation, on the CPU.

    `name` is one of `pretrained_names()`: "brain/perp_l2" (an `UnrolledNet` for Aᴴy scaled to maximum 1),
    "abdomen/unet_l2" (a `UNet` for zero-filled complex images), "registration/epe" (a `MotionNet`). `config` of the
    network is a dict of what trained it: data, steps, learning rate, weight, seed. Raises ValueError for an unknown
    name and for a damaged file.
    """
    check_choice("name", name, pretrained_names())
    path = project_root() / "data" / "pretrained" / f"{name}.safetensors"
    try:
        with safe_open(path, "pt") as file:
            record = file.metadata()
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        model = MODELS[record["class"]](**json.loads(record["arguments"]))
        model.load_state_dict(weights)
        model.config = json.loads(record["config"])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise ValueError(f"{path}: damaged, or not of today's networks ({error})") from None
    return model.eval()
