"""Multi-coil model: adjointness, CG-SENSE as a dense solve, sensitivities that combine without loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conftest import complex_tensor

from perpcore.data import phantoms
from perpcore.data.coils import sense_adjoint, sense_forward, simulate_csm, solve_sense, walsh_csm
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


def small_problem(sampling: str, rows: int, columns: int) -> tuple[torch.Tensor, ...]:
    """Aᴴy, S, mask and the matrix AᴴA, of two images seen by three coils, each with its own mask."""
    csm = complex_tensor(2, 3, rows, columns)
    masks = [sampling_mask(sampling, (rows, columns), 2, np.random.default_rng(k)) for k in range(2)]
    mask = torch.stack(masks)
    assert not mask.all() and not torch.equal(*masks)
    kspace = complex_tensor(2, 3, rows, columns, seed=1)
    basis = torch.eye(rows * columns, dtype=torch.complex128).view(-1, 1, rows, columns).expand(-1, 2, -1, -1)
    forward = [sense_forward(image, csm, mask).flatten(1) for image in basis]
    matrix = torch.stack(forward, -1)  # (batch, sample, pixel)
    return sense_adjoint(kspace, csm, mask), csm, mask, matrix.mH @ matrix


@pytest.mark.parametrize("size", [(12, 16), (9, 13)])
@pytest.mark.parametrize("sampling", ["random", "radial"])
def test_cg_sense_equals_a_dense_solve(sampling: str, size: tuple[int, int]) -> None:
    adjoint, csm, mask, matrix = small_problem(sampling, *size)
    start = complex_tensor(2, *size, seed=2)
    for weight, first in ((0.5, None), (0.5, start), (1e6, start)):
        right = adjoint if first is None else adjoint + weight * first
        expected = torch.linalg.solve(matrix + weight * torch.eye(len(matrix[0])), right.flatten(1)).view_as(adjoint)
        found = solve_sense(adjoint, csm, mask, weight, first, steps=100)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(found, start, rtol=1e-3, atol=1e-3)  # the last weight: nothing but the start counts


def test_cg_sense_begins_with_its_start_and_comes_closer_with_each_step() -> None:
    adjoint, csm, mask, _ = small_problem("random", 12, 16)
    start = complex_tensor(2, 12, 16, seed=2)
    assert torch.equal(solve_sense(adjoint, csm, mask, 0.5, start, steps=0), start)
    solved = solve_sense(adjoint, csm, mask, 0.5, start, steps=100)
    errors = [(solve_sense(adjoint, csm, mask, 0.5, start, steps=n) - solved).abs().square().sum() for n in range(6)]
    assert all(later < 0.9 * earlier for earlier, later in zip(errors, errors[1:], strict=False))


@pytest.mark.parametrize("sampling", ["random", "radial"])
def test_cg_sense_is_differentiable_in_image_weight_and_start(sampling: str) -> None:
    csm = complex_tensor(1, 2, 3, 4)
    mask = torch.ones(1, 3, 4)
    mask[..., 1] = 0
    if sampling == "radial":
        mask[:, 2, 2:] = 0
    adjoint = sense_adjoint(complex_tensor(1, 2, 3, 4, seed=1), csm, mask).requires_grad_()
    weight = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    start = complex_tensor(1, 3, 4, seed=2).requires_grad_()

    def solve(adjoint: torch.Tensor, weight: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        return solve_sense(adjoint, csm, mask, weight, start, steps=3)

    assert torch.autograd.gradcheck(solve, (adjoint, weight, start))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_what_is_solved_already_stays_as_it_is(value: float) -> None:
    """A residual of 0 divides 0 by 0: neither the image nor its gradient may become NaN."""
    csm, mask = simulate_csm(16, 2, np.random.default_rng(0))[None], torch.ones(1, 16, 16)
    start = torch.full((1, 16, 16), value, dtype=torch.complex64, requires_grad=True)
    adjoint = start.detach().clone()  # fully sampled and Σ|S|² = 1: AᴴA = 1
    found = solve_sense(adjoint, csm, mask, 0.1, start, steps=30)
    torch.testing.assert_close(found, start)
    found.abs().sum().backward()
    assert start.grad is not None and torch.isfinite(torch.view_as_real(start.grad)).all()


def test_cg_sense_recovers_an_image_that_several_coils_saw() -> None:
    csm = simulate_csm(48, 8, np.random.default_rng(0))[None]
    image, body = phantoms.generate([1], 48, seed=2, kind="abdomen")
    mask = torch.zeros(1, 48, 48, dtype=torch.bool)
    mask[..., ::3] = mask[..., 21:27] = True
    zero_filled = sense_adjoint(sense_forward(image, csm, mask), csm, mask)
    found = solve_sense(zero_filled, csm, mask, 0.0, steps=30)
    assert (found - image)[body].abs().mean() < 0.2 * (zero_filled - image)[body].abs().mean()


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
    image, body = phantoms.generate([0], 64, seed=4, kind="abdomen")
    found = walsh_csm(sense_forward(image, truth[None])[0])
    similarity = (found.conj() * truth).sum(0).abs()[body[0]]
    assert similarity.median() > 0.99 and similarity.quantile(0.05) > 0.95


def test_measured_brain_is_combined_with_what_the_coils_agree_on(measured_data) -> None:
    (volume,) = open_file(measured_data / "sigpy" / "cartesian_ksp.npy", domain="kspace", axes="coil,row,column")
    kspace = volume.read(0)
    maps = walsh_csm(kspace)
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
        ("kspace: expected complex", lambda: walsh_csm(torch.ones(2, 8, 8))),
        ("coils, size", lambda: simulate_csm(8, 0, np.random.default_rng(0))),
    ],
)
def test_wrong_input_is_named(words: str, call) -> None:
    with pytest.raises(ValueError, match=words):
        call()
