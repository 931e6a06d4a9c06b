"""Generated images: reproducible, complex like measured ones."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import scipy.io
import torch
from phantom_realism import brightness, measured_abdomens, measured_brain, phase_statistics

from perpcore.data import motion
from perpcore.data.kspace import crop_center, ifft2c
from perpcore.data.phantoms import ROUGHNESS, generate
from perpcore.data.readers import read_single

# Of generated images at 64²; "abdomen": of measured ones cropped to 64².
RANGES = {
    "brain": {"circular_sd": (0.4, 2.7), "gradient": (0.03, 0.16), "residual": (0.10, 0.15)},
    "abdomen": {"circular_sd": (1.6, 2.3), "gradient": (0.26, 0.42), "residual": (0.72, 1.2)},
}
# Of a measured head and a measured brain, median magnitude over the maximum.
BRIGHTNESS = (0.28, 0.38)
# Single abdomens vary more than the few measured people do.
SHARES = {("abdomen", "circular_sd"): 0.7}


@pytest.fixture(autouse=True)
def _maps() -> None:
    if not all(importlib.util.find_spec(name) for name in ("nilearn", "nibabel")):
        pytest.skip("brains need nilearn and nibabel")


def test_an_image_does_not_depend_on_its_batch() -> None:
    together = generate(range(6), 48, seed=3)
    for index in (0, 5):
        alone = generate([index], 48, seed=3)
        torch.testing.assert_close(alone.image[0], together.image[index], atol=1e-5, rtol=0)
        assert torch.equal(alone.mask[0], together.mask[index])
    assert not torch.allclose(together.image[0], together.image[1])
    assert not torch.allclose(generate([0], 48, seed=4).image, together.image[:1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_devices_agree() -> None:
    cpu, gpu = (generate(range(8), 96, seed=1, device=d) for d in ("cpu", "cuda"))
    torch.testing.assert_close(gpu.image.cpu(), cpu.image, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ROUGHNESS)
@pytest.mark.parametrize("size", [64, 96])
def test_images_are_scaled_and_inside_the_field_of_view(kind: str, size: int) -> None:
    image, mask = generate(range(20), size, seed=1, kind=kind)
    assert image.dtype == torch.complex64 and image.shape == mask.shape == (20, size, size)
    torch.testing.assert_close(image.abs().amax((-2, -1)), torch.ones(20))
    margin = size // 16
    around = torch.nn.functional.max_pool2d(mask.float(), 2 * margin + 1, 1, margin) > 0
    assert (image.abs() * ~around).amax() < 0.05
    share = mask.float().mean((-2, -1))
    assert (share > 0.25).all() and (share < 0.8).all()
    if kind == "abdomen":  # the neck of a head leaves the field of view, and some noses do
        edge = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], -1)
        assert edge.abs().max() < 0.05


@pytest.mark.parametrize("kind", ROUGHNESS)
def test_phase_is_like_that_of_measured_images(kind: str) -> None:
    statistics = [phase_statistics(i) for i in generate(range(80), 64, seed=5, kind=kind).image]
    for name, (low, high) in RANGES[kind].items():
        values = [getattr(s, name) for s in statistics]
        inside = [low <= v <= high for v in values]
        assert low <= np.median(values) <= high, name
        assert np.mean(inside) >= SHARES.get((kind, name), 0.8), name


def test_brains_are_as_dark_as_measured_ones_against_their_brightest_fat() -> None:
    values = [brightness(image) for image in generate(range(80), 64, seed=5).image]
    low, high = BRIGHTNESS
    assert low <= np.median(values) <= high
    assert np.mean([low / 2 <= value <= high * 2 for value in values]) >= 0.9


@pytest.mark.parametrize("kind", ROUGHNESS)
def test_roughness_and_texture_do_what_they_say(kind: str) -> None:
    smooth, rough = (generate(range(8), 64, kind=kind, roughness=r).image for r in (0.0, 0.3))
    assert (smooth.abs() - rough.abs()).abs().max() < 1e-5
    body = smooth.abs() > 0.2
    turned = (rough * smooth.conj()).angle()[body]
    assert turned.std().item() == pytest.approx(0.3, rel=0.15)
    plain, textured = (generate(range(8), 64, kind=kind, texture=t).image for t in (0.0, 0.05))
    ratio = (textured.abs() / plain.abs())[body]
    assert 0.03 < (ratio / ratio.mean()).std() < 0.08


@pytest.mark.parametrize("kind", ROUGHNESS)
def test_the_anatomy_is_the_same_at_every_matrix_size(kind: str) -> None:
    coarse, fine = (generate(range(8), size, seed=2, kind=kind, roughness=0.0, texture=0.0) for size in (64, 128))
    differ = (coarse.mask != fine.mask[:, ::2, ::2]).float().mean()
    assert differ < 0.005  # pixel k of 64 lies where pixel 2k of 128 does
    wrong = (coarse.image.abs() - fine.image[:, ::2, ::2].abs()).abs().mean((-2, -1))
    assert wrong.max() < 0.02


@pytest.mark.parametrize("kind", ROUGHNESS)
def test_a_displaced_body_is_the_body_warped(kind: str) -> None:
    options = {"seed": 3, "kind": kind, "roughness": 0.0, "texture": 0.0}
    first = generate(range(4), 96, **options)
    whole = torch.tensor([3.0, -2.0]).reshape(1, 2, 1, 1).expand(4, 2, 96, 96)  # pixels: warping is exact
    moved = generate(range(4), 96, displacement=whole, **options)
    inner = slice(4, -4)
    expected, found = (x[:, inner, inner] for x in (motion.warp(first.image, whole), moved.image))
    # What leaves the field of view may have been the brightest.
    expected, found = (x / x.abs().amax((-2, -1), keepdim=True) for x in (expected, found))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    # Between pixels it is sharper than a warped image, so only close to it.
    breath = motion.respiratory(range(4), 96, seed=3)
    moved = generate(range(4), 96, displacement=breath, **options)
    blurred = motion.warp(first.image, breath)
    assert ((blurred - moved.image).norm() / moved.image.norm()) < 0.2


def test_statistics_of_a_known_phase() -> None:
    y, x = np.mgrid[:64, :64]
    ramp = phase_statistics(np.exp(0.02j * x))
    assert ramp.residual < 0.02  # not 0: the trend is wrong at the image's border
    diagonal = phase_statistics(np.exp(0.1j * (x - y)))
    assert diagonal.gradient == pytest.approx(0.1)
    noise = np.random.default_rng(0).normal(0, 0.2, (64, 64))
    assert phase_statistics(np.exp(1j * noise)).residual == pytest.approx(0.2, rel=0.1)
    uniform = np.random.default_rng(0).uniform(-np.pi, np.pi, (64, 64))
    assert phase_statistics(np.exp(1j * uniform)).circular_sd > 2.5


def test_statistics_of_the_measured_head_are_in_the_published_range(measured_data) -> None:
    kspace = scipy.io.loadmat(measured_data / "larson" / "se_t1_sag_data.mat")["data"]
    statistics = phase_statistics(ifft2c(torch.from_numpy(kspace)))
    for name, (low, high) in RANGES["brain"].items():
        assert low <= getattr(statistics, name) <= high


def test_brightness_is_that_of_measured_images(measured_data) -> None:
    head = ifft2c(crop_center(read_single(measured_data / "larson" / "se_t1_sag_data.mat", "kspace"), 64))
    brain = measured_brain(measured_data / "sigpy" / "cartesian_ksp.npy", 64)
    assert [brightness(head), brightness(brain)] == pytest.approx(BRIGHTNESS, abs=0.01)


def test_ranges_of_the_abdomen_are_those_of_measured_images(measured_data) -> None:
    statistics = [
        phase_statistics(image) for image in measured_abdomens(measured_data / "abdomen_gre.h5", echo=0, size=64)
    ]
    for name, (low, high) in RANGES["abdomen"].items():
        assert low <= np.median([getattr(s, name) for s in statistics]) <= high, name


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("kind", {"indices": [0], "size": 32, "kind": "knee"}),
        ("size", {"indices": [0], "size": 8}),
        ("indices", {"indices": [], "size": 32}),
        ("indices", {"indices": [-1], "size": 32}),
    ],
)
def test_wrong_input_is_named(words: str, arguments: dict) -> None:
    with pytest.raises(ValueError, match=words):
        generate(**arguments)
