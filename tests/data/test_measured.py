"""Measured images: split by subject, named by their fingerprint, trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perpcore.data.datasets import foreground_mask
from perpcore.data.kspace import fft2c
from perpcore.data.measured import MeasuredMotion, MeasuredRecon, measured_fields
from perpcore.data.motion import warp
from perpcore.data.readers import UnreadableFileError, open_source
from perpcore.experiments.configs import Config, recon_configs, registration_configs
from perpcore.experiments.run import open_data, train

OPTIONS: dict[str, Any] = {"domain": "kspace", "axes": "slice,row,column"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three subjects of 5 slices, 24 × 20, each in a file of its own."""
    rng, folder = np.random.default_rng(0), tmp_path / "measured"
    folder.mkdir()
    for subject in "abc":
        smooth = rng.normal(size=(5, 6, 5)) + 1j * rng.normal(size=(5, 6, 5))
        noise = 0.01 * rng.normal(size=(5, 24, 20))  # or the spectrum of the blocks has zeros
        images = np.kron(smooth, np.ones((4, 4))) + noise
        np.save(folder / f"{subject}.npy", fft2c(torch.from_numpy(images)).numpy())
    return folder


def fields(folder: Path, **options: Any) -> dict[str, Any]:
    return measured_fields(str(folder), ["b"], **OPTIONS, **options)


def short(folder: Path, **changes: Any) -> Config:
    changes = {"size": 16, "accelerations": (2, 4), "steps": 2, "validate_every": 2, **changes}
    return replace(recon_configs("smoke", **fields(folder))[1], **changes)


def test_images_are_split_by_subject(folder: Path) -> None:
    volumes = open_source(str(folder), **OPTIONS)
    options: dict[str, Any] = {"size": 16, "accelerations": (4,)}
    parts = {s: MeasuredRecon(volumes, ["b"], s, **options) for s in ("train", "validation", "test")}
    subjects = {s: {v.subject for v, _ in data.slices} for s, data in parts.items()}
    assert subjects == {"test": {"b"}, "validation": {"a"}, "train": {"c"}}
    batch = parts["test"].batch(range(5))
    assert batch.target.shape == (5, 16, 16) and batch.target.dtype == torch.complex64
    # All five slices of the test subject, each once.
    sums = {round(t.abs().sum().item() / t.abs().max().item(), 3) for t in batch.target}
    assert len(sums) == 5
    again = MeasuredRecon(volumes, ["b"], "test", **options).batch(range(5))
    assert torch.equal(batch.zero_filled, again.zero_filled)
    assert batch.coil_sensitivities.shape == (5, 4, 16, 16), "the coils are generated"
    images = parts["test"].slices_at(range(5))
    torch.testing.assert_close(batch.target / batch.target.abs().amax((1, 2), keepdim=True), images)
    assert torch.equal(batch.foreground, foreground_mask(images))


def test_a_run_is_of_its_files_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    shutil.copytree(folder, there)
    ours, theirs = short(folder), short(there)
    assert ours == theirs and ours.name == theirs.name
    np.save(there / "d.npy", np.ones((2, 24, 20), complex))
    assert short(there) != ours
    with pytest.raises(ValueError, match=f"{there}: expected the files of the run"):
        open_data(theirs)


def test_training_images_are_mirrored_and_transposed(folder: Path) -> None:
    data = MeasuredRecon(open_source(str(folder), **OPTIONS), ["b"], "train", 80, size=16)
    turned, whole = data.images(range(80))[0], data.slices_at(range(80))
    ways = [(k, mirrored) for k in range(4) for mirrored in (False, True)]
    seen = {
        next(way for way in ways if torch.equal(torch.rot90(x.flip(0) if way[1] else x, way[0]), y))
        for x, y in zip(whole, turned, strict=True)
    }
    assert seen == set(ways)


@pytest.mark.parametrize("subjects", [[], ["z"], ["a", "b", "c"]])
def test_test_subjects_must_be_some_but_not_all(folder: Path, subjects: list[str]) -> None:
    volumes = open_source(str(folder), **OPTIONS)
    with pytest.raises(ValueError, match="test_subjects: expected some, not all, of a, b, c"):
        MeasuredRecon(volumes, subjects, "test", size=16)


def test_measured_images_train(folder: Path, empty_project: Path) -> None:
    result = train(short(folder, n_test=5), "cpu", progress=False)
    assert len(result.metrics) == 10 and np.isfinite(result.metrics.to_numpy()).all()


def test_measured_images_are_moved_by_known_fields(folder: Path, empty_project: Path) -> None:
    volumes = open_source(str(folder), **OPTIONS)
    data = MeasuredMotion(volumes, ["b"], "test", size=16, accelerations=(4,))
    batch = data.batch(range(3))
    assert batch.target.shape == (3, 2, 16, 16) and batch.foreground.any((1, 2)).all()
    torch.testing.assert_close(warp(batch.moving_full, batch.target), batch.fixed_full)
    torch.testing.assert_close(batch.moving_full, data.slices_at(range(3)))
    config = registration_configs("smoke", **fields(folder))[0]
    config = replace(config, size=16, levels=2, steps=2, validate_every=2, n_test=3)
    result = train(config, "cpu", progress=False)
    assert np.isfinite(result.metrics.to_numpy()).all()


def test_bad_files_and_slices_are_left_out_only_if_the_user_says_so(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kspace = np.load(folder / "c.npy")
    kspace[2] = 0
    np.save(folder / "c.npy", kspace)
    (folder / "d.npy").write_bytes(b"broken")
    with pytest.raises(UnreadableFileError, match="d.npy"):
        fields(folder)
    config = recon_configs("smoke", **fields(folder, skip_bad=True))[0]
    data = open_data(replace(config, size=16))("train", None)
    assert isinstance(data, MeasuredRecon)
    assert [k for _, k in data.slices] == [0, 1, 3, 4]
    reported = capsys.readouterr().out
    assert (
        "left out:" in reported and "d.npy" in reported and "slice 2" in reported and "is zero everywhere" in reported
    )
