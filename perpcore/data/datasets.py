"""Generated training, validation and test data as torch data sets.

Every data set draws sample number i of its split from (seed, i) alone. So `dataset[i]`, a batch and a `DataLoader` see
the same images, and each loss of a comparison the same ones in the same order. `dataset[i]` is a named tuple without
batch axis, of which a `DataLoader` makes batches; `dataset.batch(indices)` draws several at once, which is faster.
"""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor
from torch.utils.data import Dataset

from perpcore._checks import check_choice
from perpcore.data import motion, phantoms
from perpcore.data.coils import sense_adjoint, sense_forward, simulate_csm
from perpcore.data.kspace import complex_noise, fft2c, ifft2c, sampling_mask

Images = Complex[Tensor, "batch row column"]
Masks = Bool[Tensor, "batch row column"]

SPLITS = ("train", "validation", "test")
FOREGROUND = 0.1  # a measured pixel above this share of the image's maximum is foreground


class ReconBatch(NamedTuple):
    """Aᴴy, target and foreground, what was measured and how; scaled to max |zero_filled| = 1."""

    zero_filled: Images
    target: Images
    foreground: Masks
    kspace: Complex[Tensor, "batch coil row column"]
    coil_sensitivities: Complex[Tensor, "batch coil row column"]
    mask: Masks

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        """Arguments of `models.UnrolledNet`, and of `models.UNet`, which looks at the first only."""
        return self.zero_filled, self.coil_sensitivities, self.mask


class RegistrationBatch(NamedTuple):
    """Two zero-filled images, the displacement (px) and foreground of the fixed one, and both fully sampled."""

    fixed: Images
    moving: Images
    target: Float[Tensor, "batch 2 row column"]
    foreground: Masks
    fixed_full: Images
    moving_full: Images

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """Arguments of `models.MotionNet`."""
        return self.fixed, self.moving


B = TypeVar("B", bound="tuple[Tensor, ...]")


class Samples(Dataset[B], Generic[B]):
    """What all data sets share.

    `split` is one of `SPLITS`; only training samples depend on `seed`. `length` is the number of samples (generated
    data have no end, so any will do), `size` that of rows and columns. Each sample draws one of the `accelerations`; to
    evaluate at one, give that one alone. `sampling` is one of `kspace.MASKS`, `noise` the standard deviation in each
    part of k-space, for images of maximum 1, or a range to draw it from.
    """

    def __init__(
        self, split: str = "train", length: int = 1024, *,
        size: int = 64, accelerations: Sequence[int] = (4, 8, 12), sampling: str = "radial",
        noise: float | tuple[float, float] = 0.01, seed: int = 0, device: torch.device | str = "cpu",
    ) -> None:  # fmt: skip
        check_choice("split", split, SPLITS)
        self.split, self.length, self.size = split, length, size
        self.accelerations, self.sampling, self.noise = tuple(accelerations), sampling, noise
        self.seed = {"validation": 1, "test": 2}.get(split, 1000 + seed)
        self.device = torch.device(device)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> B:
        if not 0 <= index < self.length:
            raise IndexError(f"index: expected 0 … {self.length - 1}, got {index}")
        batch = self.batch([index])
        return type(batch)(*(part[0] for part in batch))

    def batch(self, indices: Sequence[int]) -> B:
        """Draw samples `indices` as one batch on the device."""
        raise NotImplementedError

    def _acquisition(self, key: list[int], n_coils: int = 1) -> tuple[Tensor, Tensor, np.random.Generator]:
        """Sampling mask and k-space noise (coil, row, column) of one sample, and the generator that goes on."""
        one, *others = self.accelerations
        rng = np.random.default_rng([*key, 0 if others else one])
        shape = (self.size, self.size)
        acceleration = int(rng.choice(self.accelerations)) if others else one
        mask = sampling_mask(self.sampling, shape, acceleration, rng)
        sd = rng.uniform(*self.noise) if isinstance(self.noise, tuple) else self.noise
        return mask, self._noise((n_coils, *shape), sd, rng), rng

    @staticmethod
    def _noise(shape: tuple[int, ...], sd: float, rng: np.random.Generator) -> Tensor:
        return complex_noise(shape, sd, torch.Generator().manual_seed(int(rng.integers(2**62))), "cpu")


class Recon(Samples[ReconBatch]):
    """`images`, which subclasses bring, seen by `n_coils` generated coils, undersampled, with noise in each coil.

    `target_noise` is the SD of noise in each part of the training targets, for images of maximum 1.
    """

    def __init__(self, *args: Any, n_coils: int = 4, target_noise: float = 0.0, **options: Any) -> None:
        super().__init__(*args, **options)
        self.n_coils, self.target_noise = n_coils, target_noise

    def images(self, indices: Sequence[int]) -> tuple[Images, Masks]:
        """Fully sampled images of maximum 1, and their foreground."""
        raise NotImplementedError

    def batch(self, indices: Sequence[int]) -> ReconBatch:
        """Draw images `indices`, each with its own mask, noise and coil sensitivities."""
        images, foreground = self.images(indices)
        drawn, sd = [], self.target_noise if self.split == "train" else 0.0
        for index in indices:
            mask, noise, rng = self._acquisition([self.seed, index], self.n_coils)
            csm = simulate_csm(self.size, self.n_coils, rng, images.device)
            drawn.append((mask, noise, csm, self._noise(images.shape[1:], sd, rng)))
        mask, noise, csm, of_target = (torch.stack(x).to(images.device) for x in zip(*drawn, strict=True))
        kspace = (sense_forward(images, csm) + noise) * mask.unsqueeze(1)
        zero_filled, target, kspace = scale_to_input(sense_adjoint(kspace, csm), images, kspace)
        return ReconBatch(zero_filled, target + of_target, foreground, kspace, csm, mask)


class PhantomRecon(Recon):
    """Generated images of `anatomy`, "brain" or "abdomen"; `roughness` in rad as in `phantoms.generate`."""

    def __init__(
        self, *args: Any, anatomy: str = "brain", roughness: float | tuple[float, float] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self.anatomy, self.roughness = anatomy, roughness

    def images(self, indices: Sequence[int]) -> tuple[Images, Masks]:
        """Draw images `indices` and where they show tissue."""
        image, body = phantoms.generate(
            indices, self.size, seed=self.seed, kind=self.anatomy, roughness=self.roughness, device=self.device
        )
        return image, body & foreground_mask(image)


class PhantomMotion(Samples[RegistrationBatch]):
    """Two undersampled states of generated torsos (coronal) and their motion; `sliding`: along the chest wall."""

    def __init__(self, *args: Any, sliding: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sliding = sliding

    @staticmethod
    def largest(size: int) -> float:
        """Return the largest displacement to expect, in pixels: breath and deformation."""
        return 1.3 * motion.MAX_AMPLITUDE * size

    def batch(self, indices: Sequence[int]) -> RegistrationBatch:
        """Draw pairs `indices`, each image with its own mask and noise."""
        displacement = motion.respiratory(indices, self.size, seed=self.seed, sliding=self.sliding, device=self.device)
        fixed_full, moving_full, foreground = self._states(indices, displacement)
        fixed, moving = self._undersample(fixed_full, indices, 17), self._undersample(moving_full, indices, 18)
        return RegistrationBatch(fixed, moving, displacement, foreground, fixed_full, moving_full)

    def _states(self, indices: Sequence[int], displacement: Tensor) -> tuple[Tensor, ...]:
        """Fixed and moving image as if fully sampled, and the foreground of the fixed one."""
        # Both states at once: a fifth of a step faster.
        image, body = phantoms.generate(
            [*indices, *indices], self.size, seed=self.seed, kind="abdomen", roughness=0.1, texture=0.15,
            device=self.device, displacement=torch.cat([displacement, torch.zeros_like(displacement)]),
        )  # fmt: skip
        return *image.chunk(2), body[: len(indices)]

    def _undersample(self, images: Images, indices: Sequence[int], key: int) -> Images:
        drawn = [self._acquisition([self.seed, key, i])[:2] for i in indices]
        masks, noise = (torch.stack(x).to(images.device) for x in zip(*drawn, strict=True))
        return scale_to_input(ifft2c((fft2c(images) + noise[:, 0]) * masks))[0]


def scale_to_input(zero_filled: Images, *others: Tensor) -> tuple[Tensor, ...]:
    """Divide all by the zero-filled image's maximum magnitude: known for measured data, where the target is not."""
    scale = zero_filled.abs().amax((-2, -1), keepdim=True)
    return zero_filled / scale, *(x / scale.reshape(-1, *[1] * (x.ndim - 1)) for x in others)


def foreground_mask(images: Images) -> Masks:
    """Mark where an image shows something: above `FOREGROUND` of its maximum."""
    return images.abs() > FOREGROUND * images.abs().amax((-2, -1), keepdim=True)
