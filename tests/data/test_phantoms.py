"""Generated images: reproducible, complex like measured ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io
import torch
from phantom_realism import phase_statistics

from perpcore.data.kspace import ifft2c
from perpcore.data.phantoms import KINDS, generate

MEASURED_RANGES = {"circular_sd": (1.0, 2.7), "gradient": (0.03, 0.16)}
RESIDUAL_RANGES = {"brain": (0.10, 0.15), "torso": (0.18, 0.41), "coronal": (0.18, 0.41)}


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


@pytest.mark.parametrize("kind", KINDS)
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
    edge = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], -1)
    assert edge.abs().max() < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_phase_is_like_that_of_measured_images(kind: str) -> None:
    statistics = [phase_statistics(i) for i in generate(range(80), 96, seed=5, kind=kind).image]
    for name, (low, high) in MEASURED_RANGES.items():
        values = [getattr(s, name) for s in statistics]
        inside = [low <= v <= high for v in values]
        assert np.mean(inside) >= 0.9 and low <= np.median(values) <= high, name
    low, high = RESIDUAL_RANGES[kind]
    inside = [low <= s.residual <= high for s in statistics]
    assert np.mean(inside) >= 0.9


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
    for name, (low, high) in MEASURED_RANGES.items():
        assert low <= getattr(statistics, name) <= high
    assert RESIDUAL_RANGES["brain"][0] <= statistics.residual <= RESIDUAL_RANGES["brain"][1]


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
