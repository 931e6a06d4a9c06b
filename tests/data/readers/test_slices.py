"""k-space files: what is read, and what is refused with the file's name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from conftest import complex_tensor

from perpcore.data.kspace import fft2c, ifft2c
from perpcore.data.readers import crop_center, find_measured, read_image, read_image_pair, read_kspace


def test_reads_npy_and_mat(tmp_path: Path) -> None:
    kspace = complex_tensor(12, 10).numpy()
    np.save(tmp_path / "k.npy", kspace)
    scipy.io.savemat(tmp_path / "k.mat", {"data": kspace, "info": np.ones(3)})
    for name in ("k.npy", "k.mat"):
        read = read_kspace(tmp_path / name)
        assert read.dtype == torch.complex64
        np.testing.assert_allclose(read.numpy(), kspace, rtol=1e-6)


def test_measured_head_slice(measured_data: Path) -> None:
    kspace = read_kspace(measured_data / "larson" / "se_t1_sag_data.mat")
    assert kspace.shape == (256, 256)
    size = ifft2c(kspace).abs()
    # Centred DC: the head is in the middle, the corners are dark.
    assert size[64:192, 64:192].mean() > 5 * size[:16, :16].mean()


def test_cropping_keeps_the_low_frequencies() -> None:
    y, x = np.mgrid[:32, :32]
    smooth = torch.from_numpy(np.exp(1j * 2 * np.pi * (2 * x + y) / 32))
    small = ifft2c(crop_center(fft2c(smooth), 16)) / 2
    expected = np.exp(1j * 2 * np.pi * (4 * x + 2 * y) / 32)[:16, :16]
    np.testing.assert_allclose(small.numpy(), expected, atol=1e-12)


def test_finds_the_slice_where_the_user_says(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PERPCORE_MEASURED", str(tmp_path / "mine.npy"))
    assert find_measured() == tmp_path / "mine.npy"
    monkeypatch.delenv("PERPCORE_MEASURED")
    monkeypatch.setenv("PERPCORE_TEST_DATA", str(tmp_path))
    assert find_measured() is None or find_measured().parent.name == "measured"


def make_bad(folder: Path, kind: str) -> Path:
    path = folder / ("bad.mat" if kind in ("two arrays", "not mat") else "bad.npy")
    if kind == "missing":
        return path
    if kind == "suffix":
        path = folder / "bad.dat"
        path.write_bytes(b"1")
    elif kind == "real":
        np.save(path, np.ones((8, 8)))
    elif kind == "rank":
        np.save(path, np.ones((2, 8, 8), dtype=complex))
    elif kind == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "truncated":
        np.save(path, np.ones((8, 8), dtype=complex))
        path.write_bytes(path.read_bytes()[:-20])
    elif kind == "nan":
        np.save(path, np.full((8, 8), np.nan + 0j))
    elif kind == "two arrays":
        scipy.io.savemat(path, {"a": np.ones((4, 4), complex), "b": np.ones((4, 4), complex)})
    else:
        path.write_bytes(b"this is not a MAT file" * 20)
    return path


@pytest.mark.parametrize(
    "kind", ["missing", "suffix", "real", "rank", "pickle", "truncated", "nan", "two arrays", "not mat"]
)
def test_bad_files_are_named(tmp_path: Path, kind: str) -> None:
    path = make_bad(tmp_path, kind)
    with pytest.raises((ValueError, FileNotFoundError), match=str(path)):
        read_kspace(path)


def test_too_small_to_crop() -> None:
    with pytest.raises(ValueError, match="at least 16×16, got 8×8"):
        crop_center(torch.zeros(8, 8), 16)


def test_image_pairs_of_every_format(tmp_path: Path) -> None:
    y, x = np.mgrid[:40, :48]
    image = 5 * np.exp(-((x - 24) ** 2 + (y - 20) ** 2) / 80) + 0.01
    np.save(tmp_path / "a.npy", image)
    scipy.io.savemat(tmp_path / "b.mat", {"image": image * 1j})
    nibabel = pytest.importorskip("nibabel")
    nibabel.save(nibabel.Nifti1Image(image.T[..., None], np.eye(4)), tmp_path / "c.nii.gz")
    for name in ("b.mat", "c.nii.gz"):
        fixed, moving = read_image_pair(tmp_path / "a.npy", tmp_path / name, 32)
        assert fixed.shape == moving.shape == (32, 32)
        np.testing.assert_allclose(fixed.abs(), moving.abs(), atol=1e-3)
        assert fixed.abs().max().item() == pytest.approx(1)


def test_bad_image_pairs_are_named(tmp_path: Path) -> None:
    a, b, zero = (tmp_path / name for name in ("a.npy", "b.npy", "zero.npy"))
    np.save(a, np.ones((32, 32)))
    np.save(b, np.ones((32, 30)))
    np.save(zero, np.zeros((32, 32)))
    with pytest.raises(ValueError, match=f"{b}.*32, 32.*32, 30"):
        read_image_pair(a, b, 16)
    with pytest.raises(ValueError, match=f"{zero}.*zero"):
        read_image_pair(a, zero, 16)
    with pytest.raises(ValueError, match=f"{a}.*at least 33×33"):
        read_image_pair(a, a, 33)
    (tmp_path / "bad.nii").write_bytes(b"no")
    with pytest.raises(ValueError, match="bad.nii"):
        read_image(tmp_path / "bad.nii")
