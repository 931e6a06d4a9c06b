"""Measured images: split by subject, named by their fingerprint, trained on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from perpcore.data.readers.measured import MeasuredMotion, MeasuredRecon
from perpcore.grid import motion_runs, recon_runs

from perpcore.data.kspace import fft2c
from perpcore.data.motion import warp
from perpcore.data.readers import UnreadableFileError
from perpcore.experiments import train
from perpcore.experiments.configs import Run
from perpcore.experiments.results import Store


def write_subjects(folder: Path) -> None:
    """Three subjects of 5 slices, 24 × 20, each in a file of its own."""
    rng = np.random.default_rng(0)
    for subject in "abc":
        smooth = rng.normal(size=(5, 6, 5)) + 1j * rng.normal(size=(5, 6, 5))
        images = np.kron(smooth, np.ones((4, 4)))
        np.save(folder / f"{subject}.npy", fft2c(torch.from_numpy(images)).numpy())


def measured_run(folder: Path, **changes) -> Run:
    runs = recon_runs("smoke", 0, str(folder), ["b"])
    return replace(runs[1], size=16, **changes)


def test_measured_images_are_split_by_subject(tmp_path: Path) -> None:
    write_subjects(tmp_path)
    data = MeasuredRecon(measured_run(tmp_path))
    subjects = {split: {v.subject for v, _ in slices} for split, slices in data.slices.items()}
    assert subjects == {"test": {"b"}, "validation": {"a"}, "train": {"c"}}
    batch = data.batch("test", range(5), 4)
    assert batch.target.shape == (5, 16, 16) and batch.target.dtype == torch.complex64
    # All five slices of the test subject, each once.
    sums = {round(t.abs().sum().item() / t.abs().max().item(), 3) for t in batch.target}
    assert len(sums) == 5
    again = MeasuredRecon(measured_run(tmp_path)).batch("test", range(5), 4)
    assert torch.equal(batch.zero_filled, again.zero_filled)


def test_the_fingerprint_follows_the_files_not_their_place(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    write_subjects(here)
    shutil.copytree(here, there)
    runs = [measured_run(folder) for folder in (here, there)]
    assert runs[0] == runs[1] and runs[0].key == runs[1].key and str(here) not in runs[0].to_json()
    np.save(there / "d.npy", np.ones((2, 24, 20), complex))
    assert measured_run(there).key != runs[0].key
    with pytest.raises(ValueError, match=f"{there}: expected the files of the run"):
        MeasuredRecon(runs[1])


@pytest.mark.parametrize("subjects", [[], ["z"], ["a", "b", "c"]])
def test_test_subjects_must_be_some_but_not_all(tmp_path: Path, subjects: list[str]) -> None:
    write_subjects(tmp_path)
    run = recon_runs("smoke", 0, str(tmp_path), subjects)[0]
    with pytest.raises(ValueError, match="test_subjects: expected some, not all, of a, b, c"):
        MeasuredRecon(run)


def test_measured_images_train(tmp_path: Path) -> None:
    write_subjects(tmp_path)
    run = measured_run(tmp_path, steps=2, validate_every=2, n_test=5)
    result = train(run, Store(tmp_path / "store"), "cpu", progress=False)
    assert len(result.metrics) == 10 and np.isfinite(result.metrics.to_numpy()).all()
    loaded = Store(tmp_path / "store").load(run)
    assert loaded is not None and loaded.run == run


def test_measured_images_are_moved_by_known_fields(tmp_path: Path) -> None:
    write_subjects(tmp_path)
    run = replace(motion_runs("smoke", 0, str(tmp_path), ["b"])[0], size=16, depth=2)
    data = MeasuredMotion(run)
    batch = data.batch("test", range(3), 4)
    assert batch.target.shape == (3, 2, 16, 16) and batch.body.any((1, 2)).all()
    torch.testing.assert_close(warp(batch.moving_full, batch.target), batch.fixed_full)
    still = data.measured.images("test", range(3))
    torch.testing.assert_close(batch.moving_full, still)
    result = train(replace(run, steps=2, validate_every=2, n_test=3), Store(tmp_path / "s"), "cpu", progress=False)
    assert np.isfinite(result.metrics.to_numpy()).all()


def test_bad_files_and_slices_are_left_out_only_if_the_user_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_subjects(tmp_path)
    kspace = np.load(tmp_path / "c.npy")
    kspace[2] = 0
    np.save(tmp_path / "c.npy", kspace)
    (tmp_path / "d.npy").write_bytes(b"broken")
    with pytest.raises(UnreadableFileError, match="d.npy"):
        measured_run(tmp_path)
    monkeypatch.setenv("PERPCORE_SKIP_BAD", "1")
    data = MeasuredRecon(measured_run(tmp_path))
    assert [k for _, k in data.slices["train"]] == [0, 1, 3, 4]
    reported = capsys.readouterr().out
    assert "left out:" in reported and "d.npy" in reported and "slice 2 is zero" in reported
