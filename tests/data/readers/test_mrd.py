"""MRD: labels, flags, averages, partial Fourier, asymmetric echoes."""

from __future__ import annotations

import pickle
from pathlib import Path

import ismrmrd
import numpy as np
import pytest
import torch
from files import BARE, Line, header, random_kspace, write_lines, write_mrd

from perpcore.data.kspace import ifft2c
from perpcore.data.readers import UnreadableFileError, is_undersampled, mrd, open_file

TEXT = BARE.format(x=8, y=8)


def lines(full: np.ndarray, *flags: str, **fields: int) -> list[Line]:
    """Of k-space (coil, row, column)."""
    return [(full[:, row], {"kspace_encode_step_1": row, **fields}, flags) for row in range(full.shape[1])]


@pytest.mark.parametrize("oversampling", [1, 2])
def test_what_was_written_is_read(tmp_path: Path, oversampling: int) -> None:
    full = write_mrd(tmp_path / "scan.h5", oversampling=oversampling)
    (volume,) = open_file(tmp_path / "scan.h5")
    assert volume.format == "mrd" and volume.shape == (2, 2, 12, 16)
    assert volume.info["fov_mm"] == volume.info["recon_fov_mm"] == (220, 220)
    # Removing the oversampling keeps the middle of the image.
    image = ifft2c(torch.from_numpy(full[1]))
    first = image.shape[-1] // 2 - 8
    expected = image[..., first : first + 16]
    torch.testing.assert_close(ifft2c(volume.read(1)), expected, rtol=1e-4, atol=1e-4)
    again = pickle.loads(pickle.dumps(volume))
    assert torch.equal(again.read(1), volume.read(1)) and not is_undersampled(volume, 0)


@pytest.mark.parametrize("label", ["contrast", "repetition", "set", "phase"])
def test_labels_tell_volumes_apart(tmp_path: Path, label: str) -> None:
    full = random_kspace(2, 1, 8, 8)
    write_lines(tmp_path / "a.h5", TEXT, [n for k in (0, 1) for n in lines(full[k], **{label: 3 * k})])
    volumes = open_file(tmp_path / "a.h5")
    assert [v.key for v in volumes] == [f"dataset {label}=0", f"dataset {label}=3"]
    for k, volume in enumerate(volumes):
        np.testing.assert_allclose(volume.read(0), full[k], rtol=1e-6)


def test_encoding_spaces_are_volumes_of_their_own_size(tmp_path: Path) -> None:
    small = TEXT.partition("<encoding>")[2].partition("</ismrmrdHeader>")[0]
    small = "<encoding>" + small.replace("<y>8", "<y>4")
    text = TEXT.replace("</ismrmrdHeader>", small + "</ismrmrdHeader>")
    first, second = random_kspace(1, 8, 8), random_kspace(1, 4, 8, seed=1)
    write_lines(tmp_path / "a.h5", text, lines(first) + lines(second, encoding_space_ref=1))
    volumes = open_file(tmp_path / "a.h5")
    assert [v.shape for v in volumes] == [(1, 1, 8, 8), (1, 1, 4, 8)]
    assert volumes[1].key == "dataset encoding_space_ref=1"
    np.testing.assert_allclose(volumes[1].read(0), second)
    write_lines(tmp_path / "b.h5", TEXT, lines(first, encoding_space_ref=1))
    with pytest.raises(UnreadableFileError, match="b.h5: .*no encoding 1 in the header"):
        open_file(tmp_path / "b.h5")


def test_averages_are_averaged_and_nothing_else_is(tmp_path: Path) -> None:
    full = random_kspace(2, 1, 8, 8)
    write_lines(tmp_path / "a.h5", TEXT, [n for k in (0, 1) for n in lines(full[k], average=k)])
    np.testing.assert_allclose(open_file(tmp_path / "a.h5")[0].read(0), full.mean(0), rtol=1e-5)
    for twice in ({}, {"segment": 1}):
        write_lines(tmp_path / "b.h5", TEXT, lines(full[0]) + lines(full[1], **twice))
        with pytest.raises(UnreadableFileError, match="b.h5: acquisition 8: not to be told"):
            open_file(tmp_path / "b.h5")


def test_segments_are_parts_of_one_image(tmp_path: Path) -> None:
    full = random_kspace(1, 8, 8)
    parts = [(s, f | {"segment": f["kspace_encode_step_1"] % 2}, n) for s, f, n in lines(full)]
    write_lines(tmp_path / "a.h5", TEXT, parts)
    (volume,) = open_file(tmp_path / "a.h5")
    np.testing.assert_array_equal(volume.read(0), full)


FLAGS = {name.removeprefix("ACQ_"): getattr(ismrmrd, name)
         for name in dir(ismrmrd) if name.startswith("ACQ_")}  # fmt: skip
LEFT_OUT = [
    "IS_NOISE_MEASUREMENT", "IS_PARALLEL_CALIBRATION", "IS_NAVIGATION_DATA", "IS_PHASECORR_DATA",
    "IS_HPFEEDBACK_DATA", "IS_DUMMYSCAN_DATA", "IS_RTFEEDBACK_DATA",
    "IS_SURFACECOILCORRECTIONSCAN_DATA", "IS_PHASE_STABILIZATION_REFERENCE",
    "IS_PHASE_STABILIZATION",
]  # fmt: skip


@pytest.mark.parametrize("flag", FLAGS)
def test_every_flag_is_handled(tmp_path: Path, flag: str) -> None:
    full = random_kspace(1, 8, 8)
    line: Line = (np.full((1, 8), 100, "c8"), {"kspace_encode_step_1": 4}, (flag,))
    write_lines(tmp_path / "a.h5", TEXT, [*lines(full), line])
    if flag in LEFT_OUT:
        np.testing.assert_array_equal(open_file(tmp_path / "a.h5")[0].read(0), full)
        return
    write_lines(tmp_path / "a.h5", TEXT, lines(full, flag))
    if flag.startswith(("USER", "COMPRESSION")):
        with pytest.raises(UnreadableFileError, match=rf"a.h5: flags \[{FLAGS[flag]}\]"):
            open_file(tmp_path / "a.h5")
    else:
        expected = full[..., ::-1] if flag == "IS_REVERSE" else full
        np.testing.assert_array_equal(open_file(tmp_path / "a.h5")[0].read(0), expected)


def test_the_numbers_of_flags_are_those_of_the_package() -> None:
    numbers = {FLAGS[name] for name in LEFT_OUT}
    assert numbers == {*mrd.NOT_IMAGING, mrd.CALIBRATION}
    assert FLAGS["IS_REVERSE"] == mrd.REVERSE
    assert FLAGS["IS_PARALLEL_CALIBRATION_AND_IMAGING"] == mrd.CALIBRATION_AND_IMAGING


def test_calibration_that_is_imaging_too_is_kept(tmp_path: Path) -> None:
    full = random_kspace(1, 8, 8)
    flags = ("IS_PARALLEL_CALIBRATION", "IS_PARALLEL_CALIBRATION_AND_IMAGING")
    write_lines(tmp_path / "a.h5", TEXT, lines(full, *flags))
    np.testing.assert_array_equal(open_file(tmp_path / "a.h5")[0].read(0), full)


def test_every_other_line_reversed(tmp_path: Path) -> None:
    full = random_kspace(1, 8, 8)
    mixed = [(s[:, ::-1] if k % 2 else s, f, ("IS_REVERSE",) * (k % 2)) for k, (s, f, _) in enumerate(lines(full))]
    write_lines(tmp_path / "a.h5", TEXT, mixed)
    np.testing.assert_array_equal(open_file(tmp_path / "a.h5")[0].read(0), full)


def test_partial_fourier_is_where_it_belongs(tmp_path: Path) -> None:
    full = random_kspace(1, 16, 8)  # rows 0 … 4 were not acquired
    text = header(8, 16, maximum=10, center=3)
    taken = [(full[:, 5 + k], {"kspace_encode_step_1": k}, ()) for k in range(11)]
    write_lines(tmp_path / "a.h5", text, taken)
    (volume,) = open_file(tmp_path / "a.h5")
    read = volume.read(0)
    assert not read[:, :5].any() and volume.info["undersampled"] is False
    np.testing.assert_array_equal(read[:, 5:], full[:, 5:])


def test_missing_lines_are_undersampling(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.h5", TEXT, lines(random_kspace(1, 8, 8))[::2])
    (volume,) = open_file(tmp_path / "a.h5")
    assert volume.info["undersampled"] is True and not volume.read(0)[:, 1::2].any()


@pytest.mark.parametrize("reverse", [False, True])
def test_asymmetric_echoes_and_discarded_samples(tmp_path: Path, reverse: bool) -> None:
    full = random_kspace(1, 8, 16)
    full[..., :5] = 0  # DC at 8: the echo starts 3 samples before it
    flags = ("IS_REVERSE",) if reverse else ()
    rubbish = np.full((1, 2), 9, "c8")
    taken = [
        (np.concatenate([rubbish, s[:, 5:], rubbish[:, :1]], 1),
         f | {"center_sample": 5, "discard_pre": 2, "discard_post": 1}, flags)
        for s, f, _ in lines(full)
    ]  # fmt: skip
    write_lines(tmp_path / "a.h5", BARE.format(x=16, y=8), taken)
    expected = full[..., ::-1] if reverse else full
    np.testing.assert_array_equal(open_file(tmp_path / "a.h5")[0].read(0), expected)


@pytest.mark.parametrize("center", [0, 1, 7])
def test_lines_of_uncertain_place_are_refused(tmp_path: Path, center: int) -> None:
    short = lines(random_kspace(1, 8, 6), center_sample=center)
    write_lines(tmp_path / "a.h5", TEXT, short)
    with pytest.raises(UnreadableFileError, match="a.h5: slice 0: acquisition 0: expected DC in"):
        open_file(tmp_path / "a.h5")[0].read(0)


def test_slices_are_those_that_the_file_has(tmp_path: Path) -> None:
    full = random_kspace(2, 1, 8, 8)
    write_lines(tmp_path / "a.h5", TEXT, lines(full[1], slice=5) + lines(full[0], slice=2))
    (volume,) = open_file(tmp_path / "a.h5")
    assert volume.shape == (2, 1, 8, 8)
    for k in (0, 1):
        np.testing.assert_array_equal(volume.read(k), full[k])


BAD = {
    "3D step": "expected 2D Cartesian, .* encode_step_2 1", "radial": "got radial",
    "3D matrix": "2D slices", "only noise": "no imaging acquisition among 8",
    "coils": "one number of coils", "row": "expected one of 8 rows, got 9",
    "no field of view": "expected fieldOfView_mm",
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_is_said(tmp_path: Path, kind: str) -> None:
    taken, text = lines(random_kspace(1, 8, 8)), header(8, 8)
    if kind == "3D step":
        taken = lines(random_kspace(1, 8, 8), kspace_encode_step_2=1)
    elif kind == "radial":
        text = text.replace("cartesian", "radial")
    elif kind == "3D matrix":
        text = text.replace("<z>1<", "<z>4<")
    elif kind == "only noise":
        taken = lines(random_kspace(1, 8, 8), "IS_NOISE_MEASUREMENT")
    elif kind == "coils":
        taken += lines(random_kspace(2, 8, 8), average=1)
    elif kind == "row":
        taken[0][1]["kspace_encode_step_1"] = 9
    else:
        text = TEXT.replace("<x>8", "<x>16", 1)
    write_lines(tmp_path / "a.h5", text, taken)
    with pytest.raises(UnreadableFileError, match=f"a.h5: .*{BAD[kind]}"):
        open_file(tmp_path / "a.h5")[0].read(0)


def test_the_patient_of_the_header_is_the_subject(tmp_path: Path) -> None:
    patient = "<subjectInformation><patientID>eva</patientID></subjectInformation>"
    text = TEXT.replace("<encoding>", patient + "<encoding>", 1)
    write_lines(tmp_path / "a.h5", text, lines(random_kspace(1, 8, 8)))
    assert open_file(tmp_path / "a.h5")[0].subject == "eva"
