"""fastMRI: fields of view, padding, undersampling."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from files import BARE, header, random_kspace, write_fastmri

from perpcore.data.kspace import fft2c, ifft2c
from perpcore.data.readers import UnreadableFileError, combined_image, is_undersampled, open_file, require_fully_sampled
from perpcore.data.readers.base import parse_header


@pytest.mark.parametrize("coils", [0, 3])
def test_what_was_written_is_read(tmp_path: Path, coils: int) -> None:
    kspace = write_fastmri(tmp_path / "file1.h5", coils)
    (volume,) = open_file(tmp_path / "file1.h5")
    assert (volume.format, volume.domain, volume.subject) == ("fastmri", "kspace", "p7")
    assert volume.shape == (3, max(coils, 1), 24, 20) and len(volume) == 3
    for index in range(3):
        read = volume.read(index).reshape(kspace[index].shape)
        np.testing.assert_array_equal(read, kspace[index])
    # Columns 2 … 17 were acquired: encoded 20, centre line 8, 16 lines.
    assert volume.info["padding"] == (2, 18) and volume.info["fov_mm"] == (220, 220)
    assert volume.info["acquisition"] == "AXT1"


@pytest.mark.parametrize("coils", [0, 3])
def test_as_the_public_reader_reads_it(tmp_path: Path, coils: int) -> None:
    data = pytest.importorskip("fastmri.data", reason="the package fastmri is not installed")
    write_fastmri(tmp_path / "file1.h5", coils)
    theirs = data.SliceDataset(tmp_path, "multicoil" if coils else "singlecoil")
    (volume,) = open_file(tmp_path / "file1.h5")
    for index in range(3):
        kspace, _, _, attributes, *_ = theirs[index]
        np.testing.assert_array_equal(volume.read(index).reshape(kspace.shape), kspace)
        assert volume.info["padding"] == (attributes["padding_left"], attributes["padding_right"])


def disc(rows: int, columns: int, pixel_mm: tuple[float, float]) -> torch.Tensor:
    """k-space of a disc of 70 mm radius."""
    y, x = np.mgrid[:rows, :columns]
    y, x = (y - rows // 2) * pixel_mm[0], (x - columns // 2) * pixel_mm[1]
    return fft2c(torch.from_numpy((y**2 + x**2 < 70**2) + 0j))


@pytest.mark.parametrize(
    ("rows", "columns", "fov", "fov_y"),
    [(384, 192, 440, 220), (192, 192, 220, 220), (384, 240, 440, 275), (300, 200, 330, 220)],
    ids=["readout oversampled", "nothing oversampled", "both oversampled", "by half"],
)
def test_a_disc_stays_a_disc(tmp_path: Path, rows: int, columns: int, fov: int, fov_y: int) -> None:
    kspace = disc(rows, columns, (fov / rows, fov_y / columns))[None, None].numpy()
    changes = {"fov": fov, "fov_y": fov_y, "recon": 192}
    write_fastmri(tmp_path / "a.h5", kspace=kspace.astype(np.complex64), **changes)
    (volume,) = open_file(tmp_path / "a.h5")
    inside = combined_image(volume, 0).abs() > 0.5
    size_mm = [220 / n * int(inside.any(1 - k).sum()) for k, n in enumerate(inside.shape)]
    assert size_mm == pytest.approx([140, 140], abs=2.5)
    assert volume.info["fov_mm"] == (220, fov_y)  # of what `read` gives: all columns are kept
    assert volume.shape[2:] == (round(rows * 220 / fov), columns)


def test_cropping_the_readout_keeps_the_columns_that_are_zero(tmp_path: Path) -> None:
    kspace = random_kspace(1, 2, 32, 16)
    kspace[..., ::2] = 0
    write_fastmri(tmp_path / "a.h5", kspace=kspace, fov=440)
    read = open_file(tmp_path / "a.h5")[0].read(0)
    assert read.shape == (2, 16, 16)
    assert not read[..., ::2].any() and read[..., 1::2].all()


def test_matrix_sizes_alone_do_not_tell_oversampling(tmp_path: Path) -> None:
    write_fastmri(tmp_path / "a.h5")
    for x, fails in (("24", False), ("48", True)):
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            del file["ismrmrd_header"]
            file["ismrmrd_header"] = BARE.format(x=24, y=20).replace("<x>24", f"<x>{x}", 1).encode()
        if fails:
            with pytest.raises(UnreadableFileError, match="a.h5: header: expected fieldOfView_mm"):
                open_file(tmp_path / "a.h5")
        else:
            assert open_file(tmp_path / "a.h5")[0].shape == (3, 1, 24, 20)


def add_mask(path: Path, mask: np.ndarray) -> None:
    with h5py.File(path, "r+") as file:
        file["mask"] = mask


@pytest.mark.parametrize("kind", ["mask", "mask alone", "zero columns"])
def test_undersampled_files_are_input_and_no_target(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.h5"
    kspace = random_kspace(2, 3, 24, 20)
    mask = np.ones(20)
    mask[5::4] = 0
    write_fastmri(path, kspace=kspace if kind == "mask alone" else kspace * mask.astype("f4"))
    if kind != "zero columns":
        add_mask(path, mask)
    (volume,) = open_file(path)
    assert volume.info["undersampled"] is True and is_undersampled(volume, 0)
    with pytest.raises(UnreadableFileError, match="a.h5: slice 1: expected fully sampled .* input"):
        require_fully_sampled(volume)
    assert torch.isfinite(combined_image(volume, 1).abs()).all()


@pytest.mark.parametrize("kind", ["padding", "mask of ones", "plain"])
def test_fully_sampled_files_are_targets(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.h5"
    kspace = random_kspace(2, 3, 24, 20)
    if kind == "padding":
        kspace[..., :2] = kspace[..., 18:] = 0
    write_fastmri(path, kspace=kspace, maximum=15, center=8)
    if kind == "mask of ones":
        add_mask(path, np.ones(20))
    (volume,) = open_file(path)
    assert volume.info["undersampled"] is False
    require_fully_sampled(volume)
    require_fully_sampled(volume, 0)


BAD = {
    "missing key": "expected kspace and ismrmrd_header", "no header": "ismrmrd_header",
    "rank": "expected complex .slice", "real": "got float32", "nan": "NaN",
    "zero": "zero everywhere", "mask": "expected 20 columns, got .7", "entity bomb": "EntitiesForbidden",
    "header": "ParseError", "3D": "2D slices", "no encoding": "expected an encoding", "fov": "fieldOfView_mm: got",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bad.h5"
    write_fastmri(path)
    text = header(24, 20)
    bad_headers = {
        "entity bomb": '<!DOCTYPE x [<!ENTITY a "ha">]>' + text.partition("?>")[2].replace(
            "cartesian", "&a;"),
        "header": "<a>",
        "3D": text.replace("<z>1<", "<z>8<"),
        "no encoding": "<a></a>",
        "fov": text.replace("<x>220", "<x>0"),
    }  # fmt: skip
    with h5py.File(path, "r+") as file:
        if kind == "missing key":
            del file["kspace"]
        elif kind == "mask":
            file["mask"] = np.ones(7)
        elif kind in bad_headers or kind == "no header":
            del file["ismrmrd_header"]
            if kind != "no header":
                file["ismrmrd_header"] = bad_headers[kind].encode()
        else:
            shape = (4, 4) if kind == "rank" else (3, 24, 20)
            value = {"nan": np.nan, "zero": 0}.get(kind, 1)
            del file["kspace"]
            file["kspace"] = np.full(shape, value, np.float32 if kind == "real" else np.complex64)
    with pytest.raises(UnreadableFileError, match=f"{path}: .*{BAD[kind]}"):
        open_file(path, "fastmri")[0].read(0)


def test_a_header_without_limits_is_read() -> None:
    text = header(8, 8)
    start, end = text.index("<encodingLimits>"), text.index("</encodingLimits>")
    (known,) = parse_header(text[:start] + text[end + 17 :])
    assert "limits" not in known and known["matrix"] == (8, 8, 1)


def test_odd_sizes_survive_the_way_to_the_image(tmp_path: Path) -> None:
    image = torch.from_numpy(random_kspace(1, 1, 15, 13))
    np.save(tmp_path / "a.npy", fft2c(image)[0, 0].numpy())
    (volume,) = open_file(tmp_path / "a.npy", domain="kspace")
    torch.testing.assert_close(ifft2c(volume.read(0)), image[0], rtol=1e-4, atol=1e-5)
