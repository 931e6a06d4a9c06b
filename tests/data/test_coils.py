"""Multi-coil model: adjointness, sensitivities that combine without loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import complex_tensor

from perpcore.data import phantoms
from perpcore.data.coils import sense_adjoint, sense_forward, simulate_csm, walsh_csm
from perpcore.data.kspace import ifft2c, sampling_mask
from perpcore.data.readers import open_file


@pytest.mark.parametrize("masked", [False, True])
def test_adjointness(masked: bool) -> None:
    """⟨Ax, y⟩ = ⟨x, Aᴴy⟩."""
    sensitivities, image, kspace = (
        complex_tensor(2, 4, 12, 10),
        complex_tensor(2, 12, 10, seed=1),
        complex_tensor(2, 4, 12, 10, seed=2),
    )
    mask = (torch.rand(12, 10) < 0.4).double() if masked else None
    left = torch.vdot(sense_forward(image, sensitivities, mask).flatten(), kspace.flatten())
    right = torch.vdot(image.flatten(), sense_adjoint(kspace, sensitivities, mask).flatten())
    torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


def test_generated_sensitivities_are_normalised_smooth_and_different() -> None:
    maps = simulate_csm(32, 6, np.random.default_rng(0))
    torch.testing.assert_close(maps.abs().square().sum(0), torch.ones(32, 32))
    assert (maps[:, 1:] - maps[:, :-1]).abs().max() < 0.2
    gram = torch.einsum("aij,bij->ab", maps, maps.conj()).abs()
    correlation = gram / (gram.diag()[:, None] * gram.diag()).sqrt()
    assert (correlation - torch.eye(6)).max() < 0.9
    # With Σ|S|² = 1 the adjoint undoes the fully sampled forward model.
    image = complex_tensor(1, 32, 32, dtype=torch.complex64)
    torch.testing.assert_close(sense_adjoint(sense_forward(image, maps[None]), maps[None]), image, rtol=1e-4, atol=1e-5)


def test_estimated_sensitivities_are_the_true_ones_up_to_a_phase() -> None:
    truth = simulate_csm(64, 5, np.random.default_rng(3))
    image, body = phantoms.generate([0], 64, seed=4, kind="brain")
    found = walsh_csm(sense_forward(image, truth[None])[0], calibration=24)
    similarity = (found.conj() * truth).sum(0).abs()[body[0]]
    assert similarity.median() > 0.99 and similarity.quantile(0.05) > 0.95


def test_measured_brain_is_combined_with_what_the_coils_agree_on(measured_data) -> None:
    (volume,) = open_file(measured_data / "sigpy" / "cartesian_ksp.npy", domain="kspace", axes="coil,row,column")
    kspace = volume.read(0)
    maps = walsh_csm(kspace, calibration=16)
    torch.testing.assert_close(maps.abs().square().sum(0), torch.ones(230, 180), rtol=1e-4, atol=1e-4)
    combined = sense_adjoint(kspace, maps)
    coil_images = ifft2c(kspace)
    root_sum_of_squares = coil_images.abs().square().sum(0).sqrt()
    bright = root_sum_of_squares > 0.3 * root_sum_of_squares.max()
    # No coil combination is brighter than the root sum of squares; a right one comes close.
    share = (combined.abs() / root_sum_of_squares)[bright]
    assert share.max() <= 1.001 and share.median() > 0.9


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("image: expected shape", lambda: sense_forward(torch.ones(1, 4, 4), torch.ones(1, 2, 5, 4))),
        ("kspace: expected the shape", lambda: sense_adjoint(torch.ones(1, 3, 4, 4), torch.ones(1, 2, 4, 4))),
        ("calibration: expected 1 … 8", lambda: walsh_csm(torch.ones(2, 8, 8) * 1j, 9)),
        ("window: expected an odd", lambda: walsh_csm(torch.ones(2, 8, 8) * 1j, 8, 2)),
        ("kspace: expected complex", lambda: walsh_csm(torch.ones(2, 8, 8), 8)),
        ("coils, size", lambda: simulate_csm(8, 0, np.random.default_rng(0))),
    ],
)
def test_wrong_input_is_named(words: str, call) -> None:
    with pytest.raises(ValueError, match=words):
        call()


def test_undersampled_multicoil_beats_undersampled_single_coil_information() -> None:
    """CG on AᴴA recovers an image from a quarter of the samples better than zero-filling."""
    truth = simulate_csm(48, 8, np.random.default_rng(0))[None]
    image, body = phantoms.generate([1], 48, seed=2, kind="brain")
    mask = torch.from_numpy(np.asarray(sampling_mask("equispaced", (48, 48), 3, np.random.default_rng(0)))).float()
    start = sense_adjoint(sense_forward(image, truth, mask), truth, mask)
    found, residual = torch.zeros_like(image), start.clone()
    direction = residual.clone()
    for _ in range(30):
        step = sense_adjoint(sense_forward(direction, truth, mask), truth, mask)
        size = torch.vdot(residual.flatten(), residual.flatten())
        alpha = size / torch.vdot(direction.flatten(), step.flatten())
        found, residual = found + alpha * direction, residual - alpha * step
        direction = residual + torch.vdot(residual.flatten(), residual.flatten()) / size * direction
    assert (found - image)[body].abs().mean() < 0.2 * (start - image)[body].abs().mean()
