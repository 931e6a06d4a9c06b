"""Training and test images from measured volumes."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from itertools import count
from math import gcd

import numpy as np
import torch
from torch import Tensor

from perpcore.data.datasets import (
    Batches,
    PhantomMotion,
    ReconBatch,
    scale_to_input,
    split_seed,
    undersample,
)
from perpcore.data.kspace import fft2c, ifft2c
from perpcore.data.motion import warp
from perpcore.data.readers.inspect import combined_image
from perpcore.data.readers.slices import crop_center
from perpcore.data.readers.volumes import FORMATS, UnreadableFileError, Volume, open_folder
from perpcore.experiments.configs import MotionRun, Run


class MeasuredRecon(Batches[ReconBatch]):
    """Undersampled measured images, split by subject.

    `run.source` is a file or folder that the readers know, as "FORMAT:PATH". The slices of
    `run.test_subjects` are for testing; of the others every fifth volume is for validation. Images
    of several coils are combined; all are cropped in k-space to the run's matrix. Nothing is kept
    in memory but the last 256 images. Files and slices that cannot be read are errors, unless
    `skip_bad()`: then they are reported and left out.
    """

    def __init__(self, run: Run, device: torch.device | str = "cpu") -> None:
        super().__init__(run, device)
        volumes = open_source(run.source)
        found = fingerprint(volumes)
        if found != run.data:
            raise ValueError(
                f"{run.source}: expected the files of the run, {run.data}, got {found}"
            )
        subjects = sorted({v.subject for v in volumes})
        unknown = set(run.test_subjects) - set(subjects)
        training = [v for v in volumes if v.subject not in run.test_subjects]
        if unknown or not run.test_subjects or not training:
            raise ValueError(
                f"test_subjects: expected some, not all, of {', '.join(subjects)}, "
                f"got {', '.join(run.test_subjects) or 'none'}"
            )
        parts = {
            "test": [v for v in volumes if v.subject in run.test_subjects],
            "validation": training[::5],
            "train": [v for k, v in enumerate(training) if k % 5] or training,
        }
        self.slices = {
            split: [(v, k) for v in part for k in range(len(v)) if _readable(v, k)]
            for split, part in parts.items()
        }
        self._image = lru_cache(maxsize=256)(self._prepare)

    def draw(self, split: str, indices: range, acceleration: int | None) -> ReconBatch:
        """Slices of a split, with masks and noise as in `PhantomRecon`.

        Test and validation slices are spread evenly over the split, the first `run.n_test` and
        `run.n_validation` of them without repetition.
        """
        images = self.images(split, indices)
        zero_filled = undersample(
            images, self.run, [split_seed(self.run, split)], indices, acceleration
        )
        return ReconBatch(*scale_to_input(zero_filled, images), body_mask(images))

    def images(self, split: str, indices: range) -> Tensor:
        """Fully sampled images of maximum 1, complex64 (batch, row, column)."""
        seed, slices = split_seed(self.run, split), self.slices[split]
        if split == "train":
            chosen = [int(np.random.default_rng([seed, i]).integers(len(slices))) for i in indices]
        else:
            # Multiples of a step that shares no factor with their number visit every slice.
            step = next(s for s in count(int(0.618 * len(slices)) + 1) if gcd(s, len(slices)) == 1)
            chosen = [i * step % len(slices) for i in indices]
        return torch.stack([self._image(split, k) for k in chosen]).to(self.device)

    def _prepare(self, split: str, number: int) -> Tensor:
        volume, index = self.slices[split][number]
        image = ifft2c(crop_center(fft2c(combined_image(volume, index)), self.run.size))
        return image / image.abs().max()


class MeasuredMotion(PhantomMotion):
    """Measured images, each moved by a generated field: the truth is known, the anatomy real.

    Splits and sources are those of `MeasuredRecon`.
    """

    def __init__(self, run: MotionRun, device: torch.device | str = "cpu") -> None:
        super().__init__(run, device)
        self.measured = MeasuredRecon(run, device)

    def states(self, split: str, indices: range, field: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fixed and moving image as if fully sampled, and the body in the fixed one."""
        still = self.measured.images(split, indices)
        moved = warp(still, field)
        return moved, still, body_mask(moved)


def body_mask(images: Tensor) -> Tensor:
    """Where a measured image shows something: above a tenth of its maximum."""
    return images.abs() > 0.1 * images.abs().amax((-2, -1), keepdim=True)


def open_source(source: str) -> list[Volume]:
    """Volumes of "FORMAT:PATH", or of a path alone; bad files are left out where `skip_bad()`."""
    name, colon, path = source.partition(":")
    if not colon or name not in (*FORMATS, "auto"):
        name, path = "auto", source
    return open_folder(path, name, skip_bad=skip_bad())


def skip_bad() -> bool:
    """Whether the user wants to go on without bad files and slices: `PERPCORE_SKIP_BAD=1`."""
    return os.environ.get("PERPCORE_SKIP_BAD", "0") == "1"


def _readable(volume: Volume, index: int) -> bool:
    if not skip_bad():
        return True
    try:
        volume.read(index)
    except UnreadableFileError as error:
        print(f"left out: {error}")
        return False
    return True


def fingerprint(volumes: list[Volume]) -> str:
    """Name of a set of volumes: a hash of files' names and sizes, keys and shapes."""
    parts = [(v.path.name, v.path.stat().st_size, v.key, v.shape, v.subject) for v in volumes]
    return "measured " + hashlib.sha256(repr(sorted(parts)).encode()).hexdigest()[:12]
