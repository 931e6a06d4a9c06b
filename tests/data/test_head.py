"""The head of which brains are slices: shares of tissue, in the places where they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import NEEDS_BRAINS

from perpcore.data import head
from perpcore.data.phantoms import generate

WHITE, GREY, FLUID, DISTANCE, MUSCLE, FAT, BELOW = range(7)


@pytest.fixture
def volume() -> torch.Tensor:
    return head.head(torch.device("cpu"))[0]


def at(volume: torch.Tensor, x: float, y: float, z: float) -> torch.Tensor:
    """All channels of the voxel around a point in mm."""
    where = [int(p - low) // 2 for p, low in zip((x, y, z), head.BOX[:, 0], strict=True)]
    return volume[:, where[2], where[1], where[0]]


@NEEDS_BRAINS
def test_shares_are_shares(volume: torch.Tensor) -> None:
    assert volume.dtype == torch.float32 and volume.shape[1:] == tuple(np.ptp(head.BOX, 1)[::-1] // 2)
    assert (volume >= 0).all()
    assert (volume[[WHITE, GREY, FLUID, MUSCLE, FAT, BELOW]] <= 1.001).all()
    assert (volume[MUSCLE] + volume[FAT] <= volume[BELOW] + 1e-3).all()
    assert (volume[DISTANCE][volume[GREY] > 0.5] == 0).float().mean() > 0.99


@NEEDS_BRAINS
def test_organs_are_where_they_are_in_a_head(volume: torch.Tensor) -> None:
    assert at(volume, 26, -20, 30)[WHITE] > 0.9 and at(volume, 0, -39, -120)[WHITE] > 0.9  # spinal cord
    assert at(volume, 31, 62, -32)[FLUID] > 0.9 and at(volume, -31, 62, -32)[FLUID] > 0.9  # both eyes
    assert at(volume, 0, 12, -165)[[MUSCLE, FAT, FLUID]].max() < 0.05  # air of the trachea
    assert at(volume, 0, -84, -125)[FAT] > 0.9  # of the neck
    assert at(volume, 0, 128, 60).sum() == at(volume, 0, 128, 60)[DISTANCE]  # air around the head
    assert at(volume, 0, 0, head.TOP)[DISTANCE] > 8


def test_brains_without_their_maps_say_what_to_install(monkeypatch) -> None:
    monkeypatch.setattr(head.importlib.util, "find_spec", lambda name: None)
    head.head.cache_clear()
    with pytest.raises(ValueError, match="pip install nilearn"):
        generate([0], 32)
    generate([0], 32, kind="abdomen")
