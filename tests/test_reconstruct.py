"""A trained network on measured files: what goes in comes out, in the file's units."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from conftest import complex_tensor

from perpcore.data.coils import sense_forward, simulate_csm
from perpcore.data.kspace import fft2c
from perpcore.data.readers import open_file
from perpcore.models import MotionNet, UNet, UnrolledNet
from perpcore.reconstruct import reconstruct, save_images


def untrained(network: torch.nn.Module) -> torch.nn.Module:
    """A network that corrects nothing."""
    lasts = [cnn[-2] for cnn in network.networks] if isinstance(network, UnrolledNet) else [network.out]
    for last in lasts:
        torch.nn.init.zeros_(last.weight)
        torch.nn.init.zeros_(last.bias)
    return network.eval()


def test_a_network_that_corrects_nothing_gives_the_image_back(tmp_path: Path) -> None:
    image = 1e-6 * complex_tensor(3, 20, 24, dtype=torch.complex64)
    np.save(tmp_path / "scan.npy", fft2c(image).numpy())
    (volume,) = open_file(tmp_path / "scan.npy", domain="kspace", axes="slice,row,column")
    found = reconstruct(volume, untrained(UNet(4, 1)))
    np.testing.assert_allclose(found, image.numpy(), atol=1e-11)


def test_an_unrolled_network_gets_the_coils(tmp_path: Path) -> None:
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    image = torch.polar(torch.exp(-4 * (x**2 + y**2)), x)
    csm = simulate_csm(32, 4, np.random.default_rng(0))
    np.save(tmp_path / "scan.npy", sense_forward(image, csm).numpy())
    (volume,) = open_file(tmp_path / "scan.npy", domain="kspace", axes="coil,row,column")
    found = reconstruct(volume, untrained(UnrolledNet(2, 4)))
    error = np.abs(np.abs(found[0]) - image.abs().numpy()).max()
    assert error < 0.01
    with pytest.raises(ValueError, match="network: MotionNet cannot reconstruct kspace data"):
        reconstruct(volume, MotionNet())


def test_images_are_written_as_the_suffix_says(tmp_path: Path) -> None:
    nibabel = pytest.importorskip("nibabel")
    images = complex_tensor(2, 4, 5, dtype=torch.complex64).numpy()
    (path,) = save_images(images, tmp_path / "a.npy")
    np.testing.assert_array_equal(np.load(path), images)
    (path,) = save_images(images, tmp_path / "a.h5")
    with h5py.File(path) as file:
        again = file["magnitude"][()] * np.exp(1j * file["phase"][()])
    np.testing.assert_allclose(again, images, atol=1e-6)
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    for suffix in (".nii", ".nii.gz"):
        paths = save_images(images, tmp_path / f"b{len(suffix)}{suffix}", affine)
        assert [p.name for p in paths] == [f"b{len(suffix)}_mag{suffix}", f"b{len(suffix)}_ph{suffix}"]
        magnitude, phase = (nibabel.load(p) for p in paths)
        np.testing.assert_array_equal(magnitude.affine, affine)
        assert magnitude.shape == (5, 4, 2)
        (volume,) = open_file(paths[0])
        np.testing.assert_allclose(volume.read(1)[0].numpy(), images[1], atol=1e-5)
    with pytest.raises(ValueError, match="out: expected a name that ends with .npy"):
        save_images(images, tmp_path / "a.png")
