"""NIfTI: pairs by the end of their names, units of phase, orientation."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from files import write_nifti
from PIL import Image

from perpcore.data.readers import UnreadableFileError, open_file, open_source, preview, read_single

SHAPE = (10, 8, 3)
RNG = np.random.default_rng(0)
MAGNITUDE = RNG.uniform(1, 9, SHAPE).astype(np.float32)
PHASE = RNG.uniform(-np.pi, np.pi, SHAPE)
PHASE.flat[:2] = -np.pi, np.pi - 0.001  # as in every image with noise around the body
EXPECTED = (MAGNITUDE * np.exp(1j * PHASE)).T  # (slice, row, column)


def stored(unit: str) -> tuple[np.ndarray, float, float]:
    """The phase as a scanner or converter stores it; slope and intercept."""
    if unit == "rad":
        return PHASE.astype(np.float32), 1, 0
    if unit == "rad, scaled":
        return np.round(PHASE / np.pi * 2048).astype(np.int16), np.pi / 2048, 0
    if unit == "rad, 0 ... 2π":
        return (PHASE % (2 * np.pi)).astype(np.float32), 1, 0
    if unit == "mrad":
        return np.round(PHASE * 1000).astype(np.int16), 1, 0
    if unit == "mrad, 0 ... 6283":
        return np.round(PHASE % (2 * np.pi) * 1000).astype(np.int16), 1, 0
    if unit == "mrad, scaled":  # Philips
        return np.round((PHASE * 1000 + 3142) / 1.5346).astype(np.int16), 1.5346, -3142
    if unit == "siemens":
        return np.clip(np.round(PHASE / np.pi * 4096), -4096, 4095).astype(np.int16), 1, 0
    if unit == "siemens, scaled":
        return np.clip(np.round(PHASE / np.pi * 2048) + 2048, 0, 4095).astype(np.int16), 2, -4096
    if unit == "siemens, 0 ... 4095":
        return np.clip(np.round(PHASE / np.pi * 2048) + 2048, 0, 4095).astype(np.int16), 1, 0
    if unit == "degrees":
        return np.round(PHASE / np.pi * 180).astype(np.int16), 1, 0
    assert unit == "degrees, 0 ... 360"
    return np.round(PHASE % (2 * np.pi) / np.pi * 180).astype(np.int16), 1, 0


CERTAIN = ["rad", "rad, scaled", "rad, 0 ... 2π", "mrad", "mrad, 0 ... 6283", "mrad, scaled",
           "siemens", "siemens, scaled"]  # fmt: skip
ASKED = ["siemens, 0 ... 4095", "degrees", "degrees, 0 ... 360"]


def largest_phase_error(folder: Path, **options: str) -> float:
    (volume,) = open_source(folder, **options)
    read = np.stack([volume.read(k)[0] for k in range(len(volume))])
    np.testing.assert_allclose(np.abs(read), np.abs(EXPECTED), rtol=1e-5)
    return float(np.abs(np.angle(read / EXPECTED)).max())


@pytest.mark.parametrize("unit", CERTAIN + ASKED)
def test_units_of_phase(tmp_path: Path, unit: str) -> None:
    write_nifti(tmp_path / "a_mag.nii.gz", MAGNITUDE)
    write_nifti(tmp_path / "a_phase.nii.gz", *stored(unit))
    if unit in ASKED:
        with pytest.raises(UnreadableFileError, match="a_phase.nii.gz: phase: got int16 from .*"
                           "say --phase-unit rad|mrad|degrees|siemens"):  # fmt: skip
            open_source(tmp_path)
    else:
        assert largest_phase_error(tmp_path) < 0.02
        assert open_source(tmp_path)[0].info["phase_unit"] == unit.split(",")[0]
    assert largest_phase_error(tmp_path, phase_unit=unit.split(",")[0]) < 0.02


def test_a_unit_that_cannot_be_is_refused(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a_mag.nii", MAGNITUDE)
    write_nifti(tmp_path / "a_phase.nii", *stored("siemens"))
    with pytest.raises(UnreadableFileError, match="a_phase.nii: .*more than a turn"):
        open_source(tmp_path, phase_unit="mrad")
    write_nifti(tmp_path / "a_phase.nii", np.linspace(-2900, 2900, 240, dtype="i2").reshape(SHAPE))
    with pytest.raises(UnreadableFileError, match="from -2900 to 2900"):
        open_source(tmp_path)
    with pytest.raises(UnreadableFileError, match="unit turns"):
        open_source(tmp_path, phase_unit="turns")
    write_nifti(tmp_path / "a_phase.nii", np.full(SHAPE, np.nan, np.float32))
    with pytest.raises(UnreadableFileError, match="a_phase.nii: .*NaN"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("magnitude", "phase"),
    [
        ("x_e1.nii", "x_e1_ph.nii"), ("x.nii", "x_phase.nii.gz"), ("x_mag.nii", "x_phase.nii"),
        ("sub-1_part-mag_GRE.nii.gz", "sub-1_part-phase_GRE.nii.gz"),
        ("sub-1_echo-1_part-mag_T2starw.nii", "sub-1_echo-1_part-phase_T2starw.nii"),
        ("sub-1_magnitude1.nii", "sub-1_phase1.nii"), ("mag.nii", "phase.nii"),
        ("Magdalena_T1_mag.nii.gz", "Magdalena_T1_ph.nii.gz"), ("X_MAG.NII", "X_PH.NII.GZ"),
    ],
)  # fmt: skip
def test_names_that_belong_together(tmp_path: Path, magnitude: str, phase: str) -> None:
    write_nifti(tmp_path / magnitude.lower(), MAGNITUDE).rename(tmp_path / magnitude)
    write_nifti(tmp_path / phase.lower(), PHASE.astype(np.float32)).rename(tmp_path / phase)
    write_nifti(tmp_path / "other_real.nii", EXPECTED.real.T.astype(np.float32))
    write_nifti(tmp_path / "other_imaginary.nii", EXPECTED.imag.T.astype(np.float32))
    (tmp_path / f"._{phase}").write_bytes(b"what a Mac keeps")
    assert len(open_source(tmp_path)) == 2
    for name in (magnitude, phase, "other_real.nii", "other_imaginary.nii"):
        (volume,) = open_file(tmp_path / name)
        assert volume.shape == (3, 1, 8, 10) and volume.info["fov_mm"] == (24, 20)
        np.testing.assert_allclose(volume.read(1)[0], EXPECTED[1], rtol=1e-4, atol=1e-4)


def test_parts_without_their_other_part_say_so(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "Magdalena_T1.nii", MAGNITUDE)
    with pytest.raises(UnreadableFileError, match="T1.nii: magnitude without phase: .*--domain image"):
        open_file(path)
    read = open_file(path, domain="image")[0].read(0)[0]
    np.testing.assert_array_equal(read, MAGNITUDE[..., 0].T)
    for name, part in (("x_ph.nii", "phase without magnitude"), ("x_real.nii", "real without")):
        write_nifti(tmp_path / name, MAGNITUDE)
        with pytest.raises(UnreadableFileError, match=f"{name}: {part}"):
            open_file(tmp_path / name, domain="image")
    with pytest.raises(UnreadableFileError, match="expected kspace, got image"):
        write_nifti(tmp_path / "x_mag.nii", MAGNITUDE)
        write_nifti(tmp_path / "x_ph.nii", PHASE.astype(np.float32))
        open_file(tmp_path / "x_mag.nii", domain="kspace")


def test_an_image_with_its_phase_takes_the_unit(tmp_path: Path) -> None:
    write_nifti(tmp_path / "x_mag.nii", MAGNITUDE[..., :1])
    write_nifti(tmp_path / "x_ph.nii", np.full((10, 8, 1), 90, np.int16))
    with pytest.raises(UnreadableFileError, match="--phase-unit"):
        read_single(tmp_path / "x_mag.nii", "image")
    image = read_single(tmp_path / "x_mag.nii", "image", phase_unit="degrees")
    np.testing.assert_allclose(image, 1j * MAGNITUDE[..., 0].T, atol=1e-5)


def test_more_than_one_partner_is_uncertain(tmp_path: Path) -> None:
    for name in ("x.nii", "x_ph.nii", "x_phase.nii.gz"):
        write_nifti(tmp_path / name, MAGNITUDE)
    with pytest.raises(UnreadableFileError, match="x.nii: .*x_ph.nii.*x_phase.nii.gz"):
        open_file(tmp_path / "x.nii")
    (tmp_path / "x_phase.nii.gz").unlink()
    write_nifti(tmp_path / "x_mag.nii", MAGNITUDE)
    with pytest.raises(UnreadableFileError, match="x.nii: .*x_mag.nii.*x_ph.nii"):
        open_file(tmp_path / "x.nii")


def test_shapes_must_agree(tmp_path: Path) -> None:
    write_nifti(tmp_path / "x_mag.nii", MAGNITUDE)
    write_nifti(tmp_path / "x_ph.nii", MAGNITUDE[:-1])
    with pytest.raises(UnreadableFileError, match=r"x_mag.nii: expected the shape of .*x_ph.nii"):
        open_file(tmp_path / "x_mag.nii")


def test_a_fourth_axis_gives_volumes_and_complex_numbers_are_images(tmp_path: Path) -> None:
    images = RNG.normal(size=(4, 5, 2, 3)) + 1j * RNG.normal(size=(4, 5, 2, 3))
    volumes = open_file(write_nifti(tmp_path / "x.nii", images.astype(np.complex64)))
    assert [v.key for v in volumes] == ["frame 0", "frame 1", "frame 2"]
    for k, volume in enumerate(volumes):
        np.testing.assert_allclose(volume.read(1)[0], images[:, :, 1, k].T, rtol=1e-6)
    write_nifti(tmp_path / "y.nii", np.ones((2, 2, 2, 2, 2), np.complex64))
    with pytest.raises(UnreadableFileError, match="y.nii: expected 2 to 4 axes"):
        open_file(tmp_path / "y.nii")
    (flat,) = open_file(write_nifti(tmp_path / "z.nii", images[..., 0, 0].astype(np.complex64)))
    assert flat.shape == (1, 1, 5, 4) and flat.read(0).shape == (1, 5, 4)


@pytest.mark.parametrize("codes", ["RAS", "LAS", "RPS", "PIR"])
def test_the_preview_looks_the_same_whatever_the_axes_of_the_file(tmp_path: Path, codes: str) -> None:
    image = np.zeros((32, 32, 1), np.float32)
    image[2:8, 26:30] = 1
    across, up = codes[0] in "RAS", codes[1] in "RAS"
    turned = image[:: 1 if across else -1, :: 1 if up else -1]
    affine = np.zeros((4, 4))
    for k, code in enumerate(codes):
        affine["RLAPSI".index(code) // 2, k] = 1 if code in "RAS" else -1
    affine[3, 3] = 1
    nibabel.save(nibabel.Nifti1Image(turned, affine), tmp_path / "a.nii")
    (volume,) = open_file(tmp_path / "a.nii", domain="image")
    assert nibabel.aff2axcodes(volume.info["affine"]) == tuple(codes)
    np.testing.assert_array_equal(volume.read(0)[0].real, turned[..., 0].T)
    preview(tmp_path / "a.nii", tmp_path / "a.png", domain="image")
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"), float)
    bright = np.argwhere(picture[70:390, 20:320] > 250)
    black = np.argwhere(picture[70:390, 20:320] < 5)  # the square: low in x, high in y
    centre = black.mean(0)
    white = [p for p in bright if black.min(0)[0] <= p[0] <= black.max(0)[0]
             and black.min(0)[1] <= p[1] <= black.max(0)[1]]  # fmt: skip
    assert np.mean(white, 0)[0] < centre[0] and np.mean(white, 0)[1] < centre[1]
