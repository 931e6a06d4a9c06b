"""What a training step draws from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from perpcore import phantoms
from perpcore.kspace import complex_noise, fft2c, ifft2c, sampling_mask
from perpcore.runs import Run

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


class PhantomRecon:
    """Undersampled generated images, the same for every loss and every device.

    Validation and test images are the same for every seed; training images depend on it. An
    image's sampling mask and noise depend on its index only.
    """

    def __init__(self, run: Run, device: torch.device | str = "cpu") -> None:
        self.run, self.device = run, torch.device(device)

    def training_batch(self, step: int) -> ReconBatch:
        """Batch of a training step: new images at every step, accelerations mixed."""
        first = step * self.run.batch
        return self.batch("train", range(first, first + self.run.batch))

    def batch(self, split: str, indices: range, acceleration: int | None = None) -> ReconBatch:
        """Images `indices` of a split; by default each with one of the run's accelerations."""
        seed = self._seed(split)
        images, body = phantoms.generate(indices, self.run.size, seed=seed, device=self.device)
        masks, noise = [], []
        for index in indices:
            rng = np.random.default_rng([seed, index, acceleration or 0])
            rate = acceleration or int(rng.choice(self.run.accelerations))
            shape = (self.run.size, self.run.size)
            masks.append(sampling_mask(self.run.sampling, shape, rate, rng))
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            noise.append(complex_noise(shape, self.run.noise, generator, "cpu"))
        kspace = fft2c(images) + torch.stack(noise).to(self.device)
        zero_filled = ifft2c(kspace * torch.stack(masks).to(self.device))
        return ReconBatch(*scale_to_input(zero_filled, images), body)

    def _seed(self, split: str) -> int:
        if split not in SPLITS:
            raise ValueError(f"split: expected one of {', '.join(SPLITS)}, got {split!r}")
        return {"validation": 1, "test": 2}.get(split, 1000 + self.run.seed)


def scale_to_input(zero_filled: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Divide both by the maximum magnitude of the zero-filled image.

    That scale is known for measured data too, where the target is not.
    """
    scale = zero_filled.abs().amax((-2, -1), keepdim=True)
    if not (scale > 0).all():
        raise ValueError("zero_filled: expected images that are not zero everywhere")
    return zero_filled / scale, target / scale
