"""Single images, pairs to register, descriptions and previews."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from files import random_kspace, write_fastmri, write_nifti
from PIL import Image

from perpcore.data.coils import sense_forward, simulate_csm
from perpcore.data.kspace import fft2c, ifft2c
from perpcore.data.readers import (
    UnreadableFileError,
    combined_image,
    describe,
    is_undersampled,
    open_file,
    preview,
    read_single,
    require_fully_sampled,
)


def smooth(rows: int, columns: int) -> torch.Tensor:
    y, x = np.mgrid[:rows, :columns]
    size = np.exp(-((x - columns / 2) ** 2 + (y - rows / 2) ** 2) / 200) + 0.02
    return torch.from_numpy((size * np.exp(1j * (x + 2 * y) / 40)).astype(np.complex64))


@pytest.mark.parametrize("domain", ["kspace", "image"])
def test_coils_are_combined_in_both_domains(tmp_path: Path, domain: str) -> None:
    image, maps = smooth(48, 48), simulate_csm(48, 4, np.random.default_rng(0))
    kspace = sense_forward(image, maps)
    np.save(tmp_path / "a.npy", (kspace if domain == "kspace" else ifft2c(kspace)).numpy())
    (volume,) = open_file(tmp_path / "a.npy", domain=domain, axes="coil,row,column")
    combined = combined_image(volume, 0)
    assert combined.shape == (48, 48) and combined.dtype == torch.complex64
    error = (combined.abs() - image.abs()).abs().max() / image.abs().max()
    assert error < 0.05


def test_one_coil_is_taken_as_it_is(tmp_path: Path) -> None:
    image = smooth(24, 20)
    np.save(tmp_path / "a.npy", fft2c(image).numpy())
    kspace = open_file(tmp_path / "a.npy", domain="kspace")[0]
    torch.testing.assert_close(combined_image(kspace, 0), image, rtol=1e-4, atol=1e-5)
    assert not is_undersampled(kspace, 0)
    as_image = open_file(tmp_path / "a.npy", domain="image")[0]
    torch.testing.assert_close(combined_image(as_image, 0), fft2c(image))
    assert not is_undersampled(as_image, 0)


@pytest.mark.parametrize("kind", ["columns", "rows", "points"])
def test_zeros_in_plain_kspace_are_undersampling(tmp_path: Path, kind: str) -> None:
    kspace = random_kspace(128, 120)  # one line of which is less than UNSAMPLED
    if kind == "points":
        kspace[np.random.default_rng(0).random(kspace.shape) < 0.3] = 0
    else:
        kspace[(slice(None), 3) if kind == "columns" else 3] = 0
    np.save(tmp_path / "a.npy", kspace)
    (volume,) = open_file(tmp_path / "a.npy", domain="kspace")
    with pytest.raises(UnreadableFileError, match="a.npy: slice 0: expected fully sampled"):
        require_fully_sampled(volume, 0)


def test_the_measured_brain_is_input_alone(measured_data: Path) -> None:
    path = measured_data / "sigpy/cartesian_ksp.npy"
    (brain,) = open_file(path, domain="kspace", axes="coil,row,column")
    with pytest.raises(UnreadableFileError, match="undersampled"):
        require_fully_sampled(brain)
    (head,) = open_file(measured_data / "larson/se_t1_sag_data.mat", domain="kspace")
    require_fully_sampled(head)


def test_measured_head_slice(measured_data: Path) -> None:
    kspace = read_single(measured_data / "larson/se_t1_sag_data.mat", "kspace")
    assert kspace.shape == (256, 256) and kspace.dtype == torch.complex64
    size = ifft2c(kspace).abs()
    # Centred DC: the head is in the middle, the corners are dark.
    assert size[64:192, 64:192].mean() > 5 * size[:16, :16].mean()


def test_kspace_of_one_slice(tmp_path: Path) -> None:
    kspace = random_kspace(12, 10)
    np.save(tmp_path / "k.npy", kspace)
    scipy.io.savemat(tmp_path / "k.mat", {"data": kspace, "info": np.ones(3)})
    for name in ("k.npy", "k.mat"):
        np.testing.assert_array_equal(read_single(tmp_path / name, "kspace"), kspace)
    write_fastmri(tmp_path / "many.h5")
    with pytest.raises(UnreadableFileError, match="many.h5: expected one slice .*kspace .3, 1"):
        read_single(tmp_path / "many.h5", "kspace")
    with pytest.raises(UnreadableFileError, match="many.h5: expected image, got kspace"):
        read_single(tmp_path / "many.h5", "image")


def test_images_of_every_format(tmp_path: Path) -> None:
    image = smooth(40, 48).abs().numpy()
    np.save(tmp_path / "a.npy", image)
    scipy.io.savemat(tmp_path / "b.mat", {"data": image * 1j})
    write_nifti(tmp_path / "c.nii.gz", image.T[..., None])
    for name in ("a.npy", "b.mat", "c.nii.gz"):
        read = read_single(tmp_path / name, "image")
        assert read.dtype == torch.complex64
        np.testing.assert_allclose(read.abs(), image, atol=1e-6)
    np.save(tmp_path / "zero.npy", np.zeros((32, 32)))
    with pytest.raises(ValueError, match="zero.npy: slice 0: is zero everywhere"):
        read_single(tmp_path / "zero.npy", "image")


def test_describes_and_draws(tmp_path: Path) -> None:
    write_fastmri(tmp_path / "v.h5", 3, kspace=random_kspace(3, 3, 48, 20), fov=440)
    text = describe(tmp_path / "v.h5", size=16)
    for said in (
        "v.h5: volumes: 1, subjects: 1", "format fastmri, kspace, subject p7",
        "slices 3, coils 3, rows 24, columns 20", "fov_mm: (220.0, 220.0)", "acquisition: AXT1",
        "the file does not say: phase_unit, partner, affine",
        "training: coils combined, image 24 × 20, ", "cropped in k-space to 16 × 16",
    ):  # fmt: skip
        assert said in text, text
    assert "refused, 24 × 20 is smaller than 32 × 32" in describe(tmp_path, size=32)
    assert preview(tmp_path / "v.h5", tmp_path / "p.png") == tmp_path / "p.png"
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (900, 450)
    kspace = random_kspace(1, 24, 20)
    kspace[..., 1::2] = 0
    write_fastmri(tmp_path / "u.h5", kspace=kspace)
    assert "training: refused, undersampled; usable as input" in describe(tmp_path / "u.h5")


def test_no_line_of_a_description_is_cut_or_broken(tmp_path: Path, measured_data: Path) -> None:
    text = describe(measured_data / "abdomen_gre.h5", size=64)
    assert text.count("phase_unit: mrad") == 17 and "…" not in text and "..." not in text
    path = tmp_path / f"{'long' * 40}.npy"
    np.save(path, random_kspace(8, 8))
    assert describe(path, domain="kspace").count(str(path)) == 1
