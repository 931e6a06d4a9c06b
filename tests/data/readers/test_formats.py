"""Every format: what was written is what is read, and bad files are named."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from readers.files import HEADER, random_kspace, write_calgary, write_fastmri, write_mrd

from perpcore.data.kspace import fft2c, ifft2c
from perpcore.data.readers import UnreadableFileError, open_file, open_folder, volumes
from perpcore.data.readers.header import parse_header


@pytest.mark.parametrize("coils", [0, 3])
def test_fastmri(tmp_path: Path, coils: int) -> None:
    kspace = write_fastmri(tmp_path / "file1.h5", coils)
    (volume,) = open_file(tmp_path / "file1.h5")
    assert (volume.format, volume.domain, volume.subject) == ("fastmri", "kspace", "p7")
    assert volume.shape == (3, max(coils, 1), 24, 20) and len(volume) == 3
    for index in range(3):
        np.testing.assert_array_equal(volume.read(index).reshape(kspace[index].shape), kspace[index])
    # Columns 2 … 17 were acquired: encoded 20, centre line 8, 16 lines.
    assert volume.info["padding"] == (2, 18) and volume.info["fov_mm"] == (440, 220, 5)
    assert volume.info["acquisition"] == "AXT1" and volume.info["mask"] is None
    assert volume.info["target"] == ("reconstruction_rss" if coils else "reconstruction_esc")


@pytest.mark.parametrize("coils", [0, 3])
def test_fastmri_as_the_public_reader_reads_it(tmp_path: Path, coils: int) -> None:
    data = pytest.importorskip("fastmri.data", reason="the package fastmri is not installed")
    write_fastmri(tmp_path / "file1.h5", coils)
    theirs = data.SliceDataset(tmp_path, "multicoil" if coils else "singlecoil")
    (volume,) = open_file(tmp_path / "file1.h5")
    for index in range(3):
        kspace, _, _, attributes, *_ = theirs[index]
        np.testing.assert_array_equal(volume.read(index).reshape(kspace.shape), kspace)
        assert volume.info["padding"] == (attributes["padding_left"], attributes["padding_right"])


def test_calgary_multichannel(tmp_path: Path) -> None:
    kspace = write_calgary(tmp_path / "e14110s3_P59904.7.h5")
    (volume,) = open_file(tmp_path / "e14110s3_P59904.7.h5")
    assert volume.format == "calgary" and volume.shape == (4, 3, 12, 20)
    np.testing.assert_array_equal(volume.read(2), kspace[2])
    left, right = volume.info["padding"]
    assert not kspace[..., right:].any() and kspace[..., left:right].all()


def test_calgary_single_channel_gives_the_image_of_the_plain_transform(tmp_path: Path) -> None:
    image = random_kspace(3, 16, 16)
    kspace = np.fft.fft2(image)
    np.save(tmp_path / "v.npy", np.stack([kspace.real, kspace.imag], -1).astype(np.float32))
    (volume,) = open_file(tmp_path / "v.npy")
    assert volume.format == "calgary" and volume.shape == (3, 1, 16, 16)
    seen = ifft2c(volume.read(1))[0]
    np.testing.assert_allclose(seen, image[1] * 16, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("oversampling", [1, 2])
def test_mrd(tmp_path: Path, oversampling: int) -> None:
    full = write_mrd(tmp_path / "scan.h5", oversampling=oversampling)
    (volume,) = open_file(tmp_path / "scan.h5")
    assert volume.format == "mrd" and volume.shape == (2, 2, 12, 16)
    # Removing the oversampling keeps the middle of the image.
    image = ifft2c(torch.from_numpy(full[1]))
    first = image.shape[-1] // 2 - 8
    expected = image[..., first : first + 16]
    torch.testing.assert_close(ifft2c(volume.read(1)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("phase_unit", ["rad", "mrad"])
def test_nifti_pairs(tmp_path: Path, phase_unit: str) -> None:
    nibabel = pytest.importorskip("nibabel")
    rng = np.random.default_rng(0)
    magnitude, phase = rng.uniform(1, 9, (10, 8, 3)), rng.uniform(-3, 3, (10, 8, 3))
    stored = phase.astype(np.float32) if phase_unit == "rad" else np.round(1000 * phase).astype(np.int16)
    affine = np.diag([2.0, 3, 4, 1])
    nibabel.save(nibabel.Nifti1Image(magnitude.astype(np.float32), affine), tmp_path / "a_mag.nii.gz")
    nibabel.save(nibabel.Nifti1Image(stored, affine), tmp_path / "a_phase.nii.gz")
    (volume,) = open_folder(tmp_path)
    assert volume.shape == (3, 1, 8, 10) and volume.domain == "image"
    assert volume.info["fov_mm"] == (20, 24, 12)
    expected = (magnitude * np.exp(1j * phase))[..., 1].T
    np.testing.assert_allclose(volume.read(1)[0], expected, atol=0.01)


def test_arrays_of_every_container(tmp_path: Path) -> None:
    kspace = random_kspace(3, 2, 8, 10)
    np.save(tmp_path / "a.npy", kspace)
    scipy.io.savemat(tmp_path / "b.mat", {"k": kspace.transpose(2, 3, 1, 0)})
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["group/k"] = kspace
        file["group"].attrs["subject"] = "anna"
    as_matlab = np.zeros(kspace.shape[:2] + (10, 8), [("real", "f4"), ("imag", "f4")])
    as_matlab["real"], as_matlab["imag"] = (kspace.real.swapaxes(-2, -1), kspace.imag.swapaxes(-2, -1))
    with h5py.File(tmp_path / "d.mat", "w") as file:  # MAT 7.3
        file["k"] = as_matlab
    for name, subject in (("a.npy", "a"), ("b.mat", "b"), ("c.h5", "anna"), ("d.mat", "d")):
        (volume,) = open_file(tmp_path / name)
        assert volume.shape == (3, 2, 8, 10) and volume.subject == subject
        np.testing.assert_array_equal(volume.read(2), kspace[2])


def test_three_axes_are_slices_or_coils(tmp_path: Path) -> None:
    kspace = random_kspace(3, 8, 10)
    np.save(tmp_path / "a.npy", kspace)
    (slices,) = open_file(tmp_path / "a.npy")
    (coils,) = open_file(tmp_path / "a.npy", leading_axis="coil")
    assert slices.shape == (3, 1, 8, 10) and coils.shape == (1, 3, 8, 10)
    np.testing.assert_array_equal(slices.read(1)[0], kspace[1])
    np.testing.assert_array_equal(coils.read(0), kspace)


def test_measured_files(measured_data: Path) -> None:
    (head,) = open_file(measured_data / "larson" / "se_t1_sag_data.mat")
    assert head.shape == (1, 1, 256, 256)
    (brain,) = open_file(measured_data / "sigpy" / "cartesian_ksp.npy", leading_axis="coil")
    assert brain.shape == (1, 8, 230, 180)
    share = (brain.read(0).abs().sum(0) > 0).float().mean()
    assert share == pytest.approx(0.124, abs=0.002)
    abdomen = open_file(measured_data / "abdomen_gre.h5")
    assert len(abdomen) == 17 and {v.subject for v in abdomen} == {"A", "B", "C"}
    assert abdomen[0].shape == (18, 1, 128, 128) and abdomen[0].domain == "image"
    with h5py.File(measured_data / "abdomen_gre.h5") as file:
        group = file["series_01"]
        expected = group["magnitude"][1, 3] * np.exp(1j * group["phase"][1, 3] / 1000)
    np.testing.assert_allclose(abdomen[0].read(9 + 3)[0], expected, rtol=1e-5)


def test_many_volumes_open_few_files_and_can_be_pickled(tmp_path: Path) -> None:
    for number in range(40):
        write_fastmri(tmp_path / f"v{number:02}.h5", slices=1, rows=8, columns=8)
    found = open_folder(tmp_path)
    assert len(found) == 40
    for volume in found:
        volume.read(0)
    opened = [p for p in Path(f"/proc/{os.getpid()}/fd").iterdir() if tmp_path.name in str(p.resolve())]
    assert len(opened) <= volumes.MAX_OPEN_FILES and len(volumes._files) <= volumes.MAX_OPEN_FILES
    again = pickle.loads(pickle.dumps(found[3]))
    torch.testing.assert_close(again.read(0), found[3].read(0))


def test_workers_read_at_the_same_time(tmp_path: Path) -> None:
    kspace = write_fastmri(tmp_path / "v.h5", 2, slices=12)
    (volume,) = open_file(tmp_path / "v.h5")
    volume.read(0)  # an open file that the workers inherit
    loader = torch.utils.data.DataLoader(range(12), batch_size=1, num_workers=2, collate_fn=_Read(volume))
    for index, batch in enumerate(loader):
        np.testing.assert_array_equal(batch, kspace[index])


class _Read:
    def __init__(self, volume) -> None:
        self.volume = volume

    def __call__(self, indices: list[int]) -> torch.Tensor:
        return self.volume.read(indices[0])


def bad_file(folder: Path, kind: str) -> Path:
    path = folder / "bad.h5"
    if kind == "not HDF5":
        path.write_bytes(b"no" * 100)
        return path
    write_fastmri(path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-3000])
        return path
    with h5py.File(path, "r+") as file:
        if kind == "missing key":
            del file["kspace"]
        elif kind in ("rank", "real", "nan", "zero"):
            shape = {"rank": (4, 4)}.get(kind, (2, 4, 4))
            value = {"nan": np.nan, "zero": 0}.get(kind, 1)
            del file["kspace"]
            file["kspace"] = np.full(shape, value, np.float32 if kind == "real" else np.complex64)
        elif kind == "mask":
            file["mask"] = np.ones(7)
        elif kind == "entity bomb":
            bomb = '<!DOCTYPE x [<!ENTITY a "ha">]>' + HEADER.partition("?>")[2].replace("{x}", "&a;")
            del file["ismrmrd_header"]
            file["ismrmrd_header"] = bomb.encode()
        elif kind == "header":
            del file["ismrmrd_header"]
            file["ismrmrd_header"] = b"<a>"
    return path


WORDS = {
    "not HDF5": "not an HDF5 file", "truncated": "", "missing key": "no dataset kspace",
    "rank": "expected .slice", "real": "expected complex, got float32", "nan": "NaN",
    "zero": "zero everywhere", "mask": "20 columns, got .7", "entity bomb": "safe XML",
    "header": "well-formed",
}  # fmt: skip


@pytest.mark.parametrize("kind", WORDS)
def test_bad_files_are_named(tmp_path: Path, kind: str) -> None:
    path = bad_file(tmp_path, kind)
    with pytest.raises(UnreadableFileError, match=f"{path}.*{WORDS[kind]}"):
        open_file(path, "fastmri")[0].read(0)


def test_one_bad_file_among_many(tmp_path: Path) -> None:
    write_fastmri(tmp_path / "good.h5")
    bad_file(tmp_path, "not HDF5")
    with pytest.raises(UnreadableFileError, match="bad.h5"):
        open_folder(tmp_path)
    reported: list[str] = []
    assert len(open_folder(tmp_path, skip_bad=True, report=reported.append)) == 1
    assert len(reported) == 1 and "bad.h5" in reported[0]


def test_paths_and_names_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_file(tmp_path / "gone.h5")
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_folder(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="no readable file"):
        open_folder(tmp_path)
    with pytest.raises(ValueError, match="format: expected auto, fastmri"):
        open_file(tmp_path, "dicom")
    np.save(tmp_path / "a.npy", random_kspace(2, 4, 4))
    (volume,) = open_file(tmp_path / "a.npy")
    with pytest.raises(IndexError, match="slice 2 of 2"):
        volume.read(2)


def test_odd_sizes_survive_the_way_to_the_image(tmp_path: Path) -> None:
    image = torch.from_numpy(random_kspace(1, 1, 15, 13))
    np.save(tmp_path / "a.npy", fft2c(image).numpy())
    (volume,) = open_file(tmp_path / "a.npy")
    torch.testing.assert_close(ifft2c(volume.read(0)), image[0], rtol=1e-4, atol=1e-5)


def test_a_header_without_limits_is_read(tmp_path: Path) -> None:
    text = HEADER.format(x=8, y=8, recon=8, maximum=7, center=4)
    start, end = text.index("<encodingLimits>"), text.index("</encodingLimits>")
    known = parse_header(text[:start] + text[end + 17 :], tmp_path)
    assert "padding" not in known and known["encoded_matrix"] == (8, 8, 1)
