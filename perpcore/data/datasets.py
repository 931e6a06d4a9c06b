"""What a training step draws from."""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np
import torch
from jaxtyping import Bool, Complex, Float
from torch import Tensor

from perpcore.data import motion, phantoms
from perpcore.data.coils import sense_adjoint, sense_forward, simulate_csm
from perpcore.data.kspace import complex_noise, fft2c, ifft2c, sampling_mask
from perpcore.experiments.configs import MotionRun, Run

Images = Complex[Tensor, "batch row column"]
Masks = Bool[Tensor, "batch row column"]

SPLITS = ("train", "validation", "test")


class ReconBatch(NamedTuple):
    """Network input, target and body mask."""

    zero_filled: Images
    target: Images
    body: Masks

    @property
    def inputs(self) -> tuple[Tensor]:
        """Arguments of the network."""
        return (self.zero_filled,)


B = TypeVar("B", bound="tuple[Tensor, ...]")

NOT_OF_THE_DATA = frozenset(
    {
        "loss", "weight", "loss_options", "loss_scale", "width", "depth", "cascades", "flow",
        "steps", "batch", "learning_rate", "warmup", "validate_every", "n_validation", "n_test",
        "evaluate_on", "preset",
    }
)  # fmt: skip
"""Fields of a run that its batches do not depend on; a field not named here counts."""


class _Kept:
    """Batches that were drawn, by their data, split, samples and acceleration."""

    def __init__(self) -> None:
        self.limit = self.used = 0
        self.batches: dict[tuple[Any, ...], tuple[Tensor, ...]] = {}
        self.data: Any = None  # those of all batches, where it is known that there are no others

    def add(self, name: tuple[Any, ...], drawn: tuple[Tensor, ...]) -> None:
        needed = sum(part.nbytes for part in drawn)
        if self.used + needed > self.limit and self.data != name[0]:
            self.batches = {k: v for k, v in self.batches.items() if k[0] == name[0]}
            self.used = sum(part.nbytes for batch in self.batches.values() for part in batch)
            self.data = name[0]
        if self.used + needed <= self.limit:
            self.batches[name] = drawn
            self.used += needed
            self.data = name[0] if self.data == name[0] else None


_kept = _Kept()


def keep_batches(limit: int) -> None:
    """Keep up to `limit` bytes of the batches that are drawn on the CPU; 0 keeps none.

    For a process that trains several runs on the same data. What came first stays, until another
    run's data need the room.
    """
    if limit != _kept.limit:
        _kept.limit, _kept.used, _kept.batches = limit, 0, {}


class Batches(Generic[B]):
    """Batches of a run's data: what training, validation and test ask for."""

    def __init__(self, run: Run, device: torch.device | str = "cpu") -> None:
        self.run, self.device = run, torch.device(device)
        fields = {k: v for k, v in vars(run).items() if k not in NOT_OF_THE_DATA}
        self._data = type(self), tuple(sorted(fields.items()))

    def draw(self, split: str, indices: range, acceleration: int | None) -> B:
        """Samples `indices` of a split; those of another call do not change them."""
        raise TypeError(f"{type(self).__name__} draws nothing")

    def batch(self, split: str, indices: range, acceleration: int | None = None) -> B:
        """Samples `indices` of a split; by default each with one of the run's accelerations."""
        name = (self._data, split, indices, acceleration)
        if name in _kept.batches:
            return cast(B, _kept.batches[name])
        drawn = self.draw(split, indices, acceleration)
        if _kept.limit and self.device.type == "cpu":
            _kept.add(name, drawn)
        return drawn

    def training_batch(self, step: int) -> B:
        """Batch of a training step: new samples at every step, accelerations mixed."""
        first = step * self.run.batch
        return self.batch("train", range(first, first + self.run.batch))


class PhantomRecon(Batches[ReconBatch]):
    """Undersampled generated images, the same for every loss and every device.

    Validation and test images are the same for every seed; training images depend on it. An
    image's sampling mask and noise depend on its index only.
    """

    def draw(self, split: str, indices: range, acceleration: int | None) -> ReconBatch:
        """Images `indices` of a split, each with its own mask and noise."""
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
    """Aᴴy, target and body, and what an unrolled network needs besides."""

    zero_filled: Images
    target: Images
    body: Masks
    kspace: Complex[Tensor, "batch coil row column"]
    coil_sensitivities: Complex[Tensor, "batch coil row column"]
    mask: Masks

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Arguments of the network."""
        return self.zero_filled, self.kspace, self.coil_sensitivities, self.mask


class PhantomMultiCoil(Batches[MultiCoilBatch]):
    """The images of `PhantomRecon` seen by several coils, each with its own noise."""

    def draw(self, split: str, indices: range, acceleration: int | None) -> MultiCoilBatch:
        """Images `indices` of a split, each with its own mask, noise and sensitivities."""
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
            maps.append(simulate_csm(run.size, run.coils, rng))
        mask, sensitivities = (torch.stack(x).to(images.device) for x in (masks, maps))
        measured = sense_forward(images, sensitivities) + torch.stack(noise).to(images.device)
        kspace = measured * mask.unsqueeze(1)
        zero_filled = sense_adjoint(kspace, sensitivities)
        scale = zero_filled.abs().amax((-2, -1), keepdim=True)
        return MultiCoilBatch(
            zero_filled / scale, images / scale, body, kspace / scale.unsqueeze(1), sensitivities,
            mask,
        )  # fmt: skip


def scale_to_input(zero_filled: Images, target: Images) -> tuple[Images, Images]:
    """Divide both by the maximum magnitude of the zero-filled image.

    That scale is known for measured data too, where the target is not.
    """
    scale = zero_filled.abs().amax((-2, -1), keepdim=True)
    if not (scale > 0).all():
        raise ValueError("zero_filled: expected images that are not zero everywhere")
    return zero_filled / scale, target / scale


class MotionBatch(NamedTuple):
    """Network inputs, true field and body, and the images as if fully sampled.

    The field is in pixels; see `motion` for its convention. Body and field belong to the fixed
    image.
    """

    fixed: Images
    moving: Images
    target: Float[Tensor, "batch 2 row column"]
    body: Masks
    fixed_full: Images
    moving_full: Images

    @property
    def inputs(self) -> tuple[Tensor, Tensor]:
        """Arguments of the network."""
        return self.fixed, self.moving


class PhantomMotion(Batches[MotionBatch]):
    """Two undersampled states of generated torsos in coronal view, and the motion between them.

    Collections, splits and what an index determines are as in `PhantomRecon`. Each zero-filled
    image is divided by its maximum magnitude.
    """

    run: MotionRun

    def __init__(self, run: MotionRun, device: torch.device | str = "cpu") -> None:
        super().__init__(run, device)
        self.largest = 1.3 * motion.MAX_AMPLITUDE * run.size

    def draw(self, split: str, indices: range, acceleration: int | None) -> MotionBatch:
        """Pairs `indices` of a split, each image with its own mask and noise."""
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
    images: Images, run: Run, seed: list[int], indices: range, acceleration: int | None
) -> Images:
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
