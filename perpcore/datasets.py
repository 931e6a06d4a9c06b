"""What a training step draws from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from perpcore import motion, phantoms
from perpcore.coils import adjoint, forward, generated_sensitivities
from perpcore.kspace import complex_noise, fft2c, ifft2c, sampling_mask
from perpcore.runs import MotionRun, Run

SPLITS = ("train", "validation", "test")


class ReconBatch(NamedTuple):
    """Network input, target and body mask, all (batch, row, column)."""

    zero_filled: Tensor
    target: Tensor
    body: Tensor

    @property
    def inputs(self) -> tuple[Tensor]:
        """Arguments of the network."""
        return (self.zero_filled,)


class TrainingBatches:
    """Batches by number of the training step, of whatever `batch` draws."""

    run: Run
    batch: Callable[..., Any]

    def training_batch(self, step: int) -> Any:
        """Batch of a training step: new samples at every step, accelerations mixed."""
        first = step * self.run.batch
        return self.batch("train", range(first, first + self.run.batch))


class PhantomRecon(TrainingBatches):
    """Undersampled generated images, the same for every loss and every device.

    Validation and test images are the same for every seed; training images depend on it. An
    image's sampling mask and noise depend on its index only.
    """

    def __init__(self, run: Run, device: torch.device | str = "cpu") -> None:
        self.run, self.device = run, torch.device(device)

    def batch(self, split: str, indices: range, acceleration: int | None = None) -> ReconBatch:
        """Images `indices` of a split; by default each with one of the run's accelerations."""
        seed = split_seed(self.run, split)
        run = self.run
        images, body = phantoms.generate(indices, run.size, seed=seed, device=self.device)
        if run.rough_phase:
            phase = _noise(run, [seed, 41], indices, run.rough_phase).real.to(self.device)
            images = images * torch.polar(torch.ones_like(phase), phase)
        zero_filled = undersample(images, run, [seed], indices, acceleration)
        zero_filled, target = scale_to_input(zero_filled, images)
        if run.inputs == "magnitude":
            zero_filled = zero_filled.abs().to(images.dtype)
        if run.target_noise and split == "train":
            target = target + _noise(run, [seed, 43], indices, run.target_noise).to(self.device)
        return ReconBatch(zero_filled, target, body)


class MultiCoilBatch(NamedTuple):
    """Aᴴy, target and body (batch, row, column), and what an unrolled network needs besides.

    k-space and sensitivities are (batch, coil, row, column), the mask (batch, row, column).
    """

    zero_filled: Tensor
    target: Tensor
    body: Tensor
    kspace: Tensor
    coil_sensitivities: Tensor
    mask: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Arguments of the network."""
        return self.zero_filled, self.kspace, self.coil_sensitivities, self.mask


class PhantomMultiCoil(PhantomRecon):
    """The images of `PhantomRecon` seen by several coils, each with its own noise."""

    def batch(  # type: ignore[override]
        self, split: str, indices: range, acceleration: int | None = None
    ) -> MultiCoilBatch:
        """Images `indices` of a split; by default each with one of the run's accelerations."""
        run, seed = self.run, split_seed(self.run, split)
        images, body = phantoms.generate(indices, run.size, seed=seed, device=self.device)
        masks, noise, maps = [], [], []
        for index in indices:
            rng = np.random.default_rng([seed, index, acceleration or 0, 47])
            rate = acceleration or int(rng.choice(run.accelerations))
            masks.append(sampling_mask(run.sampling, (run.size, run.size), rate, rng))
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            shape = (run.coils, run.size, run.size)
            noise.append(complex_noise(shape, run.noise, generator, "cpu"))
            maps.append(generated_sensitivities(run.size, run.coils, rng))
        mask, sensitivities = (torch.stack(x).to(images.device) for x in (masks, maps))
        measured = forward(images, sensitivities) + torch.stack(noise).to(images.device)
        kspace = measured * mask.unsqueeze(1)
        zero_filled = adjoint(kspace, sensitivities)
        scale = zero_filled.abs().amax((-2, -1), keepdim=True)
        return MultiCoilBatch(
            zero_filled / scale, images / scale, body, kspace / scale.unsqueeze(1), sensitivities,
            mask,
        )  # fmt: skip


def scale_to_input(zero_filled: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Divide both by the maximum magnitude of the zero-filled image.

    That scale is known for measured data too, where the target is not.
    """
    scale = zero_filled.abs().amax((-2, -1), keepdim=True)
    if not (scale > 0).all():
        raise ValueError("zero_filled: expected images that are not zero everywhere")
    return zero_filled / scale, target / scale


class MotionBatch(NamedTuple):
    """Network inputs, true field and body, and the images as if fully sampled.

    Images and body are (batch, row, column), the target (batch, 2, row, column) in pixels; see
    `motion` for its convention. Body and field belong to the fixed image.
    """

    fixed: Tensor
    moving: Tensor
    target: Tensor
    body: Tensor
    fixed_full: Tensor
    moving_full: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """Arguments of the network."""
        return self.fixed, self.moving


class PhantomMotion(TrainingBatches):
    """Two undersampled states of generated torsos in coronal view, and the motion between them.

    Collections, splits and what an index determines are as in `PhantomRecon`. Each zero-filled
    image is divided by its maximum magnitude.
    """

    run: MotionRun

    def __init__(self, run: MotionRun, device: torch.device | str = "cpu") -> None:
        self.run, self.device = run, torch.device(device)
        self.largest = 1.3 * motion.MAX_AMPLITUDE * run.size

    def batch(self, split: str, indices: range, acceleration: int | None = None) -> MotionBatch:
        """Pairs `indices` of a split; by default each with one of the run's accelerations."""
        run, seed = self.run, split_seed(self.run, split)
        field = motion.respiratory(
            indices, run.size, seed=seed, sliding=run.sliding, device=self.device
        )
        moved, still, body = self.states(split, indices, field)
        seen = []
        for state, images in enumerate((moved, still)):
            zero_filled = undersample(images, run, [seed, 17 + state], indices, acceleration)
            seen.append(scale_to_input(zero_filled, images)[0])
        fixed, moving = seen
        return MotionBatch(fixed, moving, field, body, moved, still)

    def states(self, split: str, indices: range, field: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fixed and moving image as if fully sampled, and the body in the fixed one."""
        seed, size = split_seed(self.run, split), self.run.size
        still = phantoms.generate(indices, size, seed=seed, kind="coronal", device=self.device)
        moved = phantoms.generate(
            indices, size, seed=seed, kind="coronal", device=self.device, displacement=field
        )
        return moved.image, still.image, moved.mask


def split_seed(run: Run, split: str) -> int:
    """Seed of a split: training images differ between runs' seeds, the others do not."""
    if split not in SPLITS:
        raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
    return {"validation": 1, "test": 2}.get(split, 1000 + run.seed)


def _noise(run: Run, seed: list[int], indices: range, sd: float) -> Tensor:
    """Complex Gaussian noise on the pixels, each image's by its own (seed, index)."""
    shape, drawn = (run.size, run.size), []
    for index in indices:
        rng = np.random.default_rng([*seed, index])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        drawn.append(complex_noise(shape, sd, generator, "cpu"))
    return torch.stack(drawn)


def undersample(
    images: Tensor, run: Run, seed: list[int], indices: range, acceleration: int | None
) -> Tensor:
    """Zero-filled images from noisy undersampled k-space, each by its own (seed, index)."""
    shape = (run.size, run.size)
    masks, noise = [], []
    for index in indices:
        rng = np.random.default_rng([*seed, index, acceleration or 0])
        rate = acceleration or int(rng.choice(run.accelerations))
        masks.append(sampling_mask(run.sampling, shape, rate, rng))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise.append(complex_noise(shape, run.noise, generator, "cpu"))
    kspace = fft2c(images) + torch.stack(noise).to(images.device)
    return ifft2c(kspace * torch.stack(masks).to(images.device))
