"""Files, folders and sources; what every volume keeps to."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import torch
from files import random_kspace, write_bart, write_calgary, write_fastmri, write_mrd, write_nifti

from perpcore.data.kspace import ifft2c
from perpcore.data.readers import UnreadableFileError, fingerprint, open_file, open_source, require_fully_sampled


def test_calgary_multichannel(tmp_path: Path) -> None:
    kspace = write_calgary(tmp_path / "e14110s3_P59904.7.h5")
    (volume,) = open_file(tmp_path / "e14110s3_P59904.7.h5")
    assert volume.format == "calgary" and volume.shape == (4, 12, 12, 20)
    np.testing.assert_array_equal(volume.read(2), kspace[2])
    assert volume.info["padding"] == (0, 17)
    require_fully_sampled(volume)


def test_calgary_of_other_channels_is_read_where_it_is_named(tmp_path: Path) -> None:
    kspace = write_calgary(tmp_path / "a.h5", coils=3)
    with pytest.raises(UnreadableFileError, match="a.h5: expected complex numbers"):
        open_file(tmp_path / "a.h5")
    (volume,) = open_source(f"calgary:{tmp_path / 'a.h5'}")
    np.testing.assert_array_equal(volume.read(1), kspace[1])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["kspace"] = np.ones((2, 3, 4, 5), np.float32)
    with pytest.raises(UnreadableFileError, match=r"b.h5: expected real .* \(2, 3, 4, 5\)"):
        open_file(tmp_path / "b.h5", "calgary")


def test_calgary_single_channel_gives_the_image_of_the_plain_transform(tmp_path: Path) -> None:
    image = random_kspace(3, 16, 16)
    kspace = np.fft.fft2(image)
    np.save(tmp_path / "v.npy", np.stack([kspace.real, kspace.imag], -1).astype(np.float32))
    with pytest.raises(UnreadableFileError, match="v.npy: expected complex numbers"):
        open_file(tmp_path / "v.npy")
    (volume,) = open_file(tmp_path / "v.npy", "calgary")
    assert volume.format == "calgary" and volume.shape == (3, 1, 16, 16)
    seen = ifft2c(volume.read(1))[0]
    np.testing.assert_allclose(seen, image[1] * 16, rtol=1e-4, atol=1e-3)


def test_a_file_replaced_under_its_name_is_read_anew(tmp_path: Path) -> None:
    def values(name: str) -> float:
        (volume,) = open_file(tmp_path / name, domain="kspace")
        return float(volume.read(0).abs().mean())

    for name in ("a.h5", "a.npz", "a.npy"):
        for value, size in ((1, 8), (5, 8), (7, 16)):
            new = tmp_path / f"new{Path(name).suffix}"
            array = np.full((size, size), value, np.complex64)
            if new.suffix == ".h5":
                with h5py.File(new, "w") as file:
                    file["kspace"] = array
            else:
                (np.save if new.suffix == ".npy" else np.savez)(new, array)
            os.replace(new, tmp_path / name)
            assert values(name) == value


def test_many_volumes_leave_no_file_open_and_can_be_pickled(tmp_path: Path) -> None:
    for number in range(20):
        write_fastmri(tmp_path / f"v{number:02}.h5", slices=1, rows=8, columns=8)
    write_calgary(tmp_path / "c.h5", slices=1)
    np.save(tmp_path / "d.npy", random_kspace(8, 8))
    write_mrd(tmp_path / "e.mrd")
    found = open_source(tmp_path, domain="kspace")
    assert len(found) == 23
    for volume in found:
        volume.read(0)
    opened = [p for p in Path(f"/proc/{os.getpid()}/fd").iterdir() if p.exists()]
    assert not [p for p in opened if tmp_path.name in str(p.resolve())]
    for volume in found:
        again = pickle.loads(pickle.dumps(volume))
        assert again == volume and torch.equal(again.read(0), volume.read(0))


class Read:
    def __init__(self, volume) -> None:
        self.volume = volume

    def __call__(self, indices: list[int]) -> torch.Tensor:
        return self.volume.read(indices[0])


def test_workers_read_at_the_same_time(tmp_path: Path) -> None:
    kspace = write_fastmri(tmp_path / "v.h5", 2, slices=6)
    (volume,) = open_file(tmp_path / "v.h5")
    loader = torch.utils.data.DataLoader(range(6), batch_size=1, num_workers=2, collate_fn=Read(volume))
    for index, batch in enumerate(loader):
        np.testing.assert_array_equal(batch, kspace[index])


def test_every_format_in_one_folder_whatever_the_case_of_suffixes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fastmri(tmp_path / "a.H5")
    write_mrd(tmp_path / "b.mrd")
    with (tmp_path / "c.NPY").open("wb") as file:
        np.save(file, random_kspace(8, 8))
    np.savez(tmp_path / "d.npz", kspace=random_kspace(8, 8))
    write_nifti(tmp_path / "e_mag.nii.gz", np.ones((8, 8), np.float32))
    write_nifti(tmp_path / "e_ph.nii.gz", np.ones((8, 8), np.float32))
    for name in ("e_mag", "e_ph"):
        (tmp_path / f"{name}.nii.gz").rename(tmp_path / f"{name}.NII.GZ")
    (tmp_path / "sub").mkdir()
    write_bart(tmp_path / "sub" / "f.cfl", random_kspace(8, 8))
    (tmp_path / "notes.txt").write_text("no data")
    for name in ("._a.H5", "sub/._f.cfl"):
        (tmp_path / name).write_bytes(b"\x00\x05\x16\x07")
    with pytest.raises(UnreadableFileError, match="c.NPY: .*--domain.*--skip-bad"):
        open_source(tmp_path)
    found = open_source(tmp_path, domain="kspace", skip_bad=True)
    report = capsys.readouterr().out.splitlines()
    assert [v.path.name for v in found] == ["a.H5", "b.mrd", "c.NPY", "d.npz", "f.cfl"]
    assert len(report) == 2 and all("expected kspace, got image" in line for line in report)
    assert [v.format for v in open_source(str(tmp_path / "e_mag.NII.GZ"))] == ["nifti"]
    with pytest.raises(UnreadableFileError, match="._a.H5: what a Mac keeps"):
        open_file(tmp_path / "._a.H5")


def test_one_bad_file_among_many(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_fastmri(tmp_path / "good.h5")
    (tmp_path / "bad.h5").write_bytes(b"no" * 100)
    with pytest.raises(UnreadableFileError, match=r"bad.h5: expected HDF5.*--skip-bad"):
        open_source(tmp_path)
    assert len(open_source(tmp_path, skip_bad=True)) == 1
    report = capsys.readouterr().out.splitlines()
    assert len(report) == 1 and "bad.h5" in report[0]
    assert len(open_source(f"fastmri:{tmp_path}", skip_bad=True)) == 1


def test_paths_and_names_that_cannot_be(tmp_path: Path) -> None:
    for opener in (open_file, open_source):
        with pytest.raises(FileNotFoundError, match="No such file .*gone.h5"):
            opener(str(tmp_path / "gone.h5"))
    with pytest.raises(FileNotFoundError, match="no readable file"):
        open_source(tmp_path)
    with pytest.raises(IsADirectoryError, match="Is a directory"):
        open_file(tmp_path)
    with pytest.raises(ValueError, match="format: expected auto, fastmri"):
        open_file(tmp_path, "dicom")
    with pytest.raises(ValueError, match="domain: expected kspace or image, got 'k'"):
        open_file(tmp_path, domain="k")
    with pytest.raises(TypeError, match="options: expected domain, axes, array or phase_unit, got unit"):
        open_file(tmp_path, unit="rad")
    (tmp_path / "a.dat").write_bytes(b"1")
    with pytest.raises(UnreadableFileError, match="a.dat: expected HDF5, .npy"):
        open_file(tmp_path / "a.dat")
    np.save(tmp_path / "a.npy", random_kspace(4, 4))
    (volume,) = open_file(tmp_path / "a.npy", domain="kspace")
    with pytest.raises(IndexError, match="slice 1 of 1"):
        volume.read(1)


def test_bad_slices_are_named(tmp_path: Path) -> None:
    kspace = np.ones((3, 4, 4), complex)
    kspace[1], kspace[2, 0, 0] = 0, np.nan
    np.save(tmp_path / "a.npy", kspace)
    (volume,) = open_file(tmp_path / "a.npy", domain="kspace", axes="slice,row,column")
    for index, said in ((1, "is zero everywhere"), (2, "holds NaN or infinity")):
        with pytest.raises(UnreadableFileError, match=f"a.npy: slice {index}: {said}"):
            volume.read(index)
    np.save(tmp_path / "a.npy", kspace[:, :3])
    with pytest.raises(UnreadableFileError, match=r"slice 0: expected \(1, 4, 4\), got \(1, 3, 4"):
        volume.read(0)


def test_the_fingerprint_follows_content_not_place_or_time(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    write_fastmri(here / "a.h5")
    big = np.zeros((40, 256, 256), np.complex64)
    big[:] = random_kspace(256, 256)
    np.save(here / "b.npy", big)
    write_nifti(here / "c_mag.nii", np.ones((8, 8), np.float32))
    write_nifti(here / "c_ph.nii", np.ones((8, 8), np.float32))

    def digits(folder: Path, **options: str) -> str:
        volumes = [*open_source(folder / "a.h5"), *open_source(folder / "c_mag.nii")]
        axes = options.get("axes", "slice,row,column")
        volumes += open_file(folder / "b.npy", domain=options.get("domain", "kspace"), axes=axes)
        return fingerprint(volumes)

    first = digits(here)
    shutil.copytree(here, there)
    os.utime(there / "a.h5", (1, 1))
    assert digits(there) == first and len(first) == 12 and int(first, 16)
    others = {"domain": "image"}, {"axes": "coil,row,column"}, {"axes": "slice,column,row"}
    assert len({first, *(digits(there, **options) for options in others)}) == 4
    big[20:] = random_kspace(256, 256, seed=1)
    np.save(there / "b.npy", big)  # another of the same name and size
    changed = digits(there)
    assert changed != first
    image = nibabel.load(there / "c_ph.nii").get_fdata().astype(np.float32)
    write_nifti(there / "c_ph.nii", image + 1)
    assert digits(there) not in (first, changed)
