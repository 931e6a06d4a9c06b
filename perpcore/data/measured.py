"""Measured training, validation and test data, split by subject."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from math import gcd
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perpcore._checks import require
from perpcore.data import motion
from perpcore.data.datasets import Images, Masks, PhantomMotion, Recon, Samples, foreground_mask
from perpcore.data.kspace import crop_center, fft2c, ifft2c
from perpcore.data.readers.base import UnreadableFileError, Volume, require_fully_sampled
from perpcore.data.readers.open import combined_image, fingerprint, open_source


class _Measured(Samples[Any]):
    """What both measured data sets share: images with coils combined, cropped in k-space to `size`, maximum 1.

    `volumes` are those of `readers.open_source`, `test_subjects` the subjects of the test split; every fifth other
    volume is for validation. With `skip_bad`, slices that cannot be read are reported and left out.
    """

    def __init__(
        self, volumes: Sequence[Volume], test_subjects: Sequence[str], *args: Any, skip_bad: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        subjects = sorted({v.subject for v in volumes})
        training = [v for v in volumes if v.subject not in test_subjects]
        fits = set() < set(test_subjects) < set(subjects)
        got = ", ".join(test_subjects) or "none"
        require(fits, f"test_subjects: expected some, not all, of {', '.join(subjects)}, got {got}")
        chosen = {
            "test": [v for v in volumes if v.subject in test_subjects],
            "validation": training[::5],
            "train": [v for k, v in enumerate(training) if k % 5] or training,
        }[self.split]
        self.slices = [(v, k) for v in chosen for k in range(len(v)) if not skip_bad or _readable(v, k)]
        require(bool(self.slices), f"test_subjects: no readable slice is left for {self.split}")
        self._image = lru_cache(maxsize=256)(self._prepare)

    def slices_at(self, indices: Sequence[int]) -> Images:
        """Return fully sampled images `indices`, complex64 (batch, row, column); training draws them at random."""
        n = len(self.slices)
        if self.split == "train":
            chosen = [int(np.random.default_rng([self.seed, i]).integers(n)) for i in indices]
        else:
            # Multiples of a step that shares no factor with their number: spread evenly, none twice before all were.
            step = next(s for s in count(int(0.618 * n) + 1) if gcd(s, n) == 1)
            chosen = [i * step % n for i in indices]
        return torch.stack([self._image(k) for k in chosen]).to(self.device)

    def _prepare(self, number: int) -> Tensor:
        volume, index = self.slices[number]
        require_fully_sampled(volume, index)
        image = ifft2c(crop_center(fft2c(combined_image(volume, index)), self.size))
        return image / image.abs().max()


class MeasuredRecon(_Measured, Recon):
    """Measured images, undersampled as in `Recon`: the coils are generated, the images are not.

    Training images are few, so each is shown mirrored and transposed at random.
    """

    def images(self, indices: Sequence[int]) -> tuple[Images, Masks]:
        """Return images `indices`, and where they show something."""
        images = self.slices_at(indices)
        if self.split == "train":
            turns = [(np.random.default_rng([self.seed, 7, i]).random(3) < 0.5).tolist() for i in indices]
            images = torch.stack([_turned(image, *turn) for image, turn in zip(images, turns, strict=True)])
        return images, foreground_mask(images)


class MeasuredMotion(_Measured, PhantomMotion):
    """Measured images, each moved by a generated field: the truth is known, the anatomy real."""

    def _states(self, indices: Sequence[int], displacement: Tensor) -> tuple[Tensor, ...]:
        moving = self.slices_at(indices)
        fixed = motion.warp(moving, displacement)
        return fixed, moving, foreground_mask(fixed)


def measured_fields(
    source: str, test_subjects: Sequence[str], *, skip_bad: bool = False, **reader_options: str
) -> dict[str, Any]:
    """Return the fields of a configuration that name the images of a `readers.open_source`; none for source ""."""
    if not source:
        return {}
    volumes = open_source(source, skip_bad=skip_bad, **reader_options)
    return {
        "data": f"measured-{fingerprint(volumes)}", "source": source, "test_subjects": tuple(test_subjects),
        "skip_bad": skip_bad, "reader_options": tuple(sorted(reader_options.items())),
    }  # fmt: skip


def _turned(image: Tensor, upside_down: bool, left_right: bool, transposed: bool) -> Tensor:
    image = image.flip([0] * upside_down + [1] * left_right)
    return image.T if transposed else image


def _readable(volume: Volume, index: int) -> bool:
    try:
        volume.read(index)
    except UnreadableFileError as error:
        print(f"left out: {error}")
        return False
    return True
