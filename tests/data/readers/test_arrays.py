"""Plain arrays: what they are is said by the file or by the user, never guessed."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from files import random_kspace, write_bart

from perpcore.data.readers import UnreadableFileError, open_file

KSPACE = random_kspace(3, 2, 8, 10)
AXES = "slice,coil,row,column"


def as_matlab(array: np.ndarray) -> np.ndarray:
    """As MAT 7.3 stores complex numbers; the axes of `array` reversed."""
    turned = array.transpose()
    compound = np.zeros(turned.shape, [("real", "f4"), ("imag", "f4")])
    compound["real"], compound["imag"] = turned.real, turned.imag
    return compound


def write(path: Path, array: np.ndarray, key: str = "data") -> Path:
    if path.suffix.lower() == ".npy":
        with path.open("wb") as file:
            np.save(file, array)
    elif path.suffix == ".npz":
        np.savez(path, **{key: array})
    elif path.name.endswith("7.3.mat"):
        with h5py.File(path, "w") as file:
            file[key] = as_matlab(array)
    elif path.suffix == ".mat":
        more = {"numbers": np.ones(3)} if np.iscomplexobj(array) else {}
        scipy.io.savemat(path, {key: array, "text": "a", **more})
    elif path.suffix == ".cfl":
        write_bart(path, array)
    else:
        with h5py.File(path, "w") as file:
            file[key] = array
    return path


NAMES = ["a.npy", "a.NPY", "a.npz", "a.mat", "a_7.3.mat", "a.h5"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("domain", ["kspace", "image"])
def test_four_axes_need_the_domain_and_the_axes(tmp_path: Path, name: str, domain: str) -> None:
    path = write(tmp_path / name, KSPACE)
    with pytest.raises(UnreadableFileError, match=f"{name}: .*say --domain kspace.image"):
        open_file(path)
    with pytest.raises(UnreadableFileError, match=rf"{name}: axes \(3, 2, 8, 10\).*--axes"):
        open_file(path, domain=domain)
    (volume,) = open_file(path, domain=domain, axes=AXES)
    assert volume.shape == (3, 2, 8, 10) and volume.domain == domain
    for k in range(3):
        np.testing.assert_array_equal(volume.read(k), KSPACE[k])


@pytest.mark.parametrize("name", NAMES)
def test_axes_in_any_order(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, KSPACE.transpose(3, 0, 2, 1))
    (volume,) = open_file(path, domain="kspace", axes="column,slice,row,coil")
    assert volume.shape == (3, 2, 8, 10)
    np.testing.assert_array_equal(volume.read(2), KSPACE[2])
    for axes in ("slice,row,column", "slice,row,row,column", "a,coil,row,column", "row,column"):
        with pytest.raises(UnreadableFileError, match=f"{name}: axes .*got {axes}"):
            open_file(path, domain="kspace", axes=axes)


@pytest.mark.parametrize("name", NAMES)
def test_several_slices_count_in_one_order_in_every_container(tmp_path: Path, name: str) -> None:
    array = random_kspace(2, 3, 4, 5)  # echo, slice, row, column; of MATLAB its reverse
    is_matlab, axes = name.endswith(".mat"), "echo,slice,row,column"
    path = write(tmp_path / name, array.transpose() if is_matlab else array)
    (volume,) = open_file(path, domain="image", axes="column,row,slice,echo" if is_matlab else axes)
    assert volume.shape == (6, 1, 4, 5)
    np.testing.assert_array_equal(volume.read(4)[0], array[1, 1])


@pytest.mark.parametrize("name", NAMES)
def test_two_long_axes_need_the_domain_alone(tmp_path: Path, name: str) -> None:
    for array in (KSPACE[0, 0], KSPACE[:1, :1, :, :], KSPACE[0, 0][..., None]):
        path = write(tmp_path / name, array)
        with pytest.raises(UnreadableFileError, match="say --domain"):
            open_file(path)
        (volume,) = open_file(path, domain="kspace")
        assert volume.shape == (1, 1, 8, 10)
        np.testing.assert_array_equal(volume.read(0)[0], KSPACE[0, 0])


@pytest.mark.parametrize(("key", "domain"), [("kspace", "kspace"), ("ksp", "kspace"), ("Images", "image")])
def test_the_name_of_an_array_may_say_what_it_is(tmp_path: Path, key: str, domain: str) -> None:
    for name in ("a.npz", "a.mat", "a_7.3.mat", "a.h5"):
        path = write(tmp_path / name, KSPACE[0, 0], key)
        assert open_file(path)[0].domain == domain
        other = "image" if domain == "kspace" else "kspace"
        with pytest.raises(UnreadableFileError, match=f"{key}: is {domain}, says the file"):
            open_file(path, domain=other)


def test_attributes_may_say_domain_axes_and_subject(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/data"] = KSPACE
        file["group/data"].attrs["domain"] = "kspace"
        file["group"].attrs.update({"axes": "slice, coil, row, column", "subject": "anna"})
    (volume,) = open_file(tmp_path / "a.h5")
    assert (volume.domain, volume.subject, volume.key) == ("kspace", "anna", "group/data")
    np.testing.assert_array_equal(volume.read(1), KSPACE[1])


def test_several_arrays_are_named(tmp_path: Path) -> None:
    maps = np.ones((8, 10), complex)
    scipy.io.savemat(tmp_path / "a.mat", {"kspace": KSPACE[0, 0], "maps": maps})
    with pytest.raises(UnreadableFileError, match="kspace complex64 .* maps .*--array NAME"):
        open_file(tmp_path / "a.mat", domain="kspace")
    (volume,) = open_file(tmp_path / "a.mat", array="kspace")
    np.testing.assert_array_equal(volume.read(0)[0], KSPACE[0, 0])
    with pytest.raises(UnreadableFileError, match="expected other, got kspace"):
        open_file(tmp_path / "a.mat", array="other")
    with h5py.File(tmp_path / "b.h5", "w") as file:  # their names say the same of all
        file["first/kspace"], file["second/kspace"] = KSPACE[0, 0], KSPACE[1, 0]
    assert [v.key for v in open_file(tmp_path / "b.h5")] == ["first/kspace", "second/kspace"]


def test_a_real_array_beside_complex_ones_can_be_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", k=KSPACE[0, 0], size=np.abs(KSPACE[0, 0]), other=np.ones(3))
    (volume,) = open_file(tmp_path / "a.npz", domain="image", array="size")
    np.testing.assert_array_equal(volume.read(0)[0].real, np.abs(KSPACE[0, 0]))
    assert [v.key for v in open_file(tmp_path / "a.npz", domain="image")] == ["k"]


def test_arrays_within_structures_of_matlab(tmp_path: Path) -> None:
    images = random_kspace(8, 6, 1, 1, 4)
    cells = np.empty(2, dtype=object)
    cells[:] = ["text", np.ones(3)]
    content = {"data": {"images": images, "TI": np.arange(4.0)}, "cells": cells}
    scipy.io.savemat(tmp_path / "a.mat", content)
    with pytest.raises(UnreadableFileError, match=r"axes \(8, 6, 1, 1, 4\)"):
        open_file(tmp_path / "a.mat")
    (volume,) = open_file(tmp_path / "a.mat", axes="row,column,slice,coil,frame")
    assert volume.key == "data.images" and volume.shape == (4, 1, 8, 6)
    assert volume.domain == "image"  # so it is named
    np.testing.assert_array_equal(volume.read(3)[0], images[..., 0, 0, 3])


def test_what_matlab_keeps_for_itself_is_no_array(tmp_path: Path) -> None:
    path = write(tmp_path / "a_7.3.mat", KSPACE[0, 0])
    with h5py.File(path, "r+") as file:
        file["#refs#/a"] = as_matlab(KSPACE[0, 1])
    assert [v.key for v in open_file(path, domain="kspace")] == ["data"]


def test_real_arrays_are_images_if_the_user_says_so(tmp_path: Path) -> None:
    for name in NAMES[:4]:
        path = write(tmp_path / name, np.arange(80.0).reshape(8, 10))
        with pytest.raises(UnreadableFileError, match="complex .*--domain image reads real"):
            open_file(path)
        np.testing.assert_array_equal(
            open_file(path, domain="image")[0].read(0)[0].real, np.arange(80.0).reshape(8, 10)
        )


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".mat"])
def test_pairs_are_images_and_their_phase_has_a_certain_unit(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    magnitude = rng.integers(1, 99, (2, 3, 4, 5)).astype(np.int16)
    phase = rng.integers(-3141, 3142, (2, 3, 4, 5)).astype(np.int16)
    phase.flat[:2] = -3141, 3141
    path = tmp_path / f"a{suffix}"

    def store(phase: np.ndarray) -> None:
        arrays = {"magnitude": magnitude, "phase": phase}
        if suffix == ".h5":
            with h5py.File(path, "w") as file:
                file["series/magnitude"], file["series/phase"] = magnitude, phase
        elif suffix == ".npz":
            np.savez(path, **arrays)
        else:
            scipy.io.savemat(path, {k: a.transpose(2, 3, 1, 0) for k, a in arrays.items()})

    store(phase)
    (volume,) = open_file(path)
    assert volume.domain == "image" and volume.shape == (6, 1, 4, 5)
    assert volume.info["phase_unit"] == "mrad"
    expected = magnitude[1, 1] * np.exp(1j * phase[1, 1] / 1000)
    np.testing.assert_allclose(volume.read(4)[0], expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(UnreadableFileError, match="says the file"):
        open_file(path, domain="kspace")
    store(np.abs(phase))
    with pytest.raises(UnreadableFileError, match="got int16 from .* say --phase-unit"):
        open_file(path)
    assert open_file(path, phase_unit="mrad")[0].info["phase_unit"] == "mrad"
    if suffix != ".mat":
        store(phase[:1])
        with pytest.raises(UnreadableFileError, match=r"phase: expected \(2, 3, 4, 5\), got \(1"):
            open_file(path)


@pytest.mark.parametrize("named", [".cfl", ".hdr", ".CFL"])
def test_bart(tmp_path: Path, named: str) -> None:
    array = KSPACE[0].transpose(1, 2, 0)[:, :, None]  # readout, phase 1, phase 2, coils
    write_bart(tmp_path / "a.cfl", array)
    if named == ".CFL":
        for suffix in (".cfl", ".hdr"):
            (tmp_path / f"a{suffix}").rename(tmp_path / f"a{suffix.upper()}")
    with pytest.raises(UnreadableFileError, match="a.(cfl|hdr|CFL): .*say --domain"):
        open_file(tmp_path / f"a{named}")
    (volume,) = open_file(tmp_path / f"a{named}", domain="kspace")
    assert volume.shape == (1, 2, 8, 10)
    np.testing.assert_array_equal(volume.read(0), KSPACE[0])


def test_bart_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.cfl"
    write_bart(path, random_kspace(8, 10, 1, 2, 2))
    with pytest.raises(UnreadableFileError, match="a.cfl: axes .*got row,column,phase 2,coil,dimension 4"):
        open_file(path, domain="kspace")
    write_bart(path, random_kspace(8, 10, 4))
    with pytest.raises(UnreadableFileError, match="a.cfl: axes .*got row,column,phase 2"):
        open_file(path, domain="kspace")
    assert open_file(path, domain="image")[0].shape == (4, 1, 8, 10)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UnreadableFileError, match="a.cfl: expected 8 bytes"):
        open_file(path, domain="image")
    path.with_suffix(".hdr").unlink()
    with pytest.raises(UnreadableFileError, match="a.cfl: .*a.hdr"):
        open_file(path, domain="image")


def test_measured_files(measured_data: Path) -> None:
    head, brain = (measured_data / "larson/se_t1_sag_data.mat", measured_data / "sigpy/cartesian_ksp.npy")
    with pytest.raises(UnreadableFileError, match="data: k-space or image"):
        open_file(head)
    assert open_file(head, domain="kspace")[0].shape == (1, 1, 256, 256)
    (volume,) = open_file(brain, domain="kspace", axes="coil,row,column")
    assert volume.shape == (1, 8, 230, 180)
    assert (volume.read(0) != 0).any(0).float().mean() == pytest.approx(0.124, abs=0.002)
    abdomen = open_file(measured_data / "abdomen_gre.h5")
    assert len(abdomen) == 17 and {v.subject for v in abdomen} == {"A", "B", "C"}
    assert abdomen[0].shape == (18, 1, 128, 128) and abdomen[0].domain == "image"
    with h5py.File(measured_data / "abdomen_gre.h5") as file:
        group = file["series_01"]
        expected = group["magnitude"][1, 3] * np.exp(1j * group["phase"][1, 3] / 1000)
    np.testing.assert_allclose(abdomen[0].read(9 + 3)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["pickle", "truncated", "not mat", "empty", "no arrays"])
def test_bad_files_are_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("bad.mat" if kind in ("not mat", "no arrays") else "bad.npy")
    if kind == "pickle":
        np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif kind == "truncated":
        np.save(path, np.ones((8, 8), dtype=complex))
        path.write_bytes(path.read_bytes()[:-20])
    elif kind == "no arrays":
        scipy.io.savemat(path, {"a": "text"})
    else:
        path.write_bytes(b"" if kind == "empty" else b"this is not a MAT file" * 20)
    with pytest.raises(UnreadableFileError, match=f"{path}: "):
        open_file(path, domain="kspace")
