"""Theory: symmetry of the losses and what minimises them, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from perpcore import theory as ls
from perpcore.experiments.configs import RECON_LOSSES
from perpcore.losses import LOSSES

ANGLES = st.floats(-math.pi, math.pi)
DEVIATIONS = st.floats(0.01, 0.99)


def value(name: str, ratio: float, angle: float) -> float:
    return ls.landscape(name, np.array([ratio]), np.array([angle])).item()


@pytest.mark.parametrize("name", ["perp_l1", "perp_l2"])
@given(d=DEVIATIONS, angle=ANGLES)
def test_perp_losses_are_symmetric(name: str, d: float, angle: float) -> None:
    assert value(name, 1 + d, angle) == pytest.approx(value(name, 1 - d, angle), rel=1e-9)
    assert value(name, 1 + d, angle) == pytest.approx(value(name, 1 + d, -angle), rel=1e-9)


@pytest.mark.parametrize("name", ["l1", "l2"])
@given(d=st.floats(0.05, 0.95), angle=st.floats(0.3, math.pi))
def test_complex_l1_and_l2_favour_the_smaller_magnitude(name: str, d: float, angle: float) -> None:
    assert value(name, 1 - d, angle) < value(name, 1 + d, angle)
    # Without a phase error they are symmetric too.
    assert value(name, 1 - d, 0) == pytest.approx(value(name, 1 + d, 0), rel=1e-9)


@given(d=st.floats(0.1, 0.9), angle=ANGLES)
def test_ssim_ignores_the_angle_and_is_not_symmetric(d: float, angle: float) -> None:
    assert value("ssim", 1 + d, angle) == pytest.approx(value("ssim", 1 + d, 0), rel=1e-9)
    assert value("ssim", 1 - d, angle) > value("ssim", 1 + d, angle)


def test_symmetry_index_ranks_the_losses() -> None:
    index = {name: ls.symmetry_index(name, 13) for name in RECON_LOSSES}
    assert index["perp_l1"] == pytest.approx(1) and index["perp_l2"] == pytest.approx(1)
    assert index["l2"] < index["l1"] < 0.9
    assert index["ssim"] < index["perp_ssim"] < 0.95


def test_degrees_of_homogeneity() -> None:
    expected = {"l1": 1, "l2": 2, "ssim": 0, "perp_l1": 1}
    for name, degree in expected.items():
        assert ls.homogeneity(name) == pytest.approx(degree, abs=1e-9)
    assert 1 < ls.homogeneity("perp_l2") < 2


def test_gradient_of_a_pixel() -> None:
    angle, ratio = np.array([[0.4], [2.5]]), np.array([0.1, 1.5])
    points = ratio * np.exp(1j * angle)
    sizes = {name: np.abs(ls.descent_field(name, points)[1]) for name in ("l2", "perp_l1")}
    np.testing.assert_allclose(sizes["l2"], 2 * np.abs(points - 1))
    np.testing.assert_allclose(sizes["perp_l1"], np.hypot(np.cos(angle) / ratio, 1))


@pytest.mark.parametrize("spread", [0.3, 1.2])
def test_minimiser_under_gaussian_phase_noise(spread: float) -> None:
    targets = np.exp(1j * np.random.default_rng(0).normal(0, spread, 200_000))
    check_minimisers(targets, math.exp(-(spread**2) / 2))


@pytest.mark.parametrize("kappa", [0.5, 2.0, 10.0])
def test_minimiser_under_von_mises_phase_noise(kappa: float) -> None:
    density = integrate.quad(lambda t: math.exp(kappa * math.cos(t)), 0, math.pi)[0]
    cosine = integrate.quad(lambda t: math.cos(t) * math.exp(kappa * math.cos(t)), 0, math.pi)[0]
    targets = np.exp(1j * np.random.default_rng(0).vonmises(0, kappa, 200_000))
    check_minimisers(targets, cosine / density)


def check_minimisers(targets: np.ndarray, expected_l2: float) -> None:
    assert ls.minimising_magnitude("l2", targets) == pytest.approx(expected_l2, rel=0.01)
    for name in ("perp_l1", "perp_l2"):
        assert ls.minimising_magnitude(name, targets) == pytest.approx(1, rel=0.01)
    shrunk = ls.minimising_magnitude("l1", targets)
    assert expected_l2 < shrunk < 1


def test_minimiser_under_complex_noise_swaps_the_roles() -> None:
    rng = np.random.default_rng(0)
    sd = 0.8
    targets = 1 + sd * (rng.normal(size=200_000) + 1j * rng.normal(size=200_000))
    assert ls.minimising_magnitude("l2", targets) == pytest.approx(1, rel=0.01)
    mean, median = (of(1 / sd, scale=sd) for of in (stats.rice.mean, stats.rice.median))
    assert mean > median > 1.2
    assert ls.minimising_magnitude("perp_l2", targets) == pytest.approx(mean, rel=0.01)
    assert ls.minimising_magnitude("perp_l1", targets) == pytest.approx(median, rel=0.01)


@pytest.mark.parametrize("name", ["l2", "perp_l2"])
def test_descent_reaches_the_target_from_less_than_90_degrees(name: str) -> None:
    start = np.array([0.5 + 0.8j, 0.3 - 0.2j, 1.5 - 1j])
    path = ls.gradient_flow(name, start, step=0.02, steps=1500)
    assert path.shape == (1501, 3)
    np.testing.assert_allclose(path[-1], 1, atol=0.05)
    losses = ls.descent_field(name, path[::100])[0]
    assert (np.diff(losses, axis=0) <= 1e-3).all()


def test_descent_of_the_perp_loss_stops_at_90_degrees() -> None:
    start = np.array([-0.5 + 0.5j, -1 - 0.3j])
    path = ls.gradient_flow("perp_l2", start, step=0.02, steps=1500)
    np.testing.assert_allclose(path[-1], [1j, -1j], atol=0.02)
    np.testing.assert_allclose(ls.gradient_flow("l2", start, 0.02, 1500)[-1], 1, atol=0.02)


def test_landscape_accepts_a_loss_module() -> None:
    grid = ls.landscape(LOSSES["l1"](), np.array([0.0, 1.0, 2.0]), np.array([0.0, np.pi]))
    expected = ls.texture().abs().mean().item() * np.array([[1, 0, 1], [1, 2, 3]])
    np.testing.assert_allclose(grid, expected, atol=1e-12)
