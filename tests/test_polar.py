"""The two implementations of the ⊥ term check each other, gradients included."""

from __future__ import annotations

import itertools

import pytest
import torch
from conftest import complex_tensor

from perpcore.polar import polar_terms_2d, polar_terms_nd, safe_norm


@pytest.mark.parametrize("continuation", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e-4, 0.0])
def test_own_gradient_equals_autograds(continuation: bool, scale: float) -> None:
    """With a third component of zero the n-vector form must give the complex one's values."""
    a, b = scale * complex_tensor(50, seed=1), complex_tensor(50, seed=2)
    complex_in = [x.clone().requires_grad_() for x in (a, b)]
    real_in = [
        torch.stack([x.real, x.imag, torch.zeros_like(x.real)]).requires_grad_() for x in (a, b)
    ]
    weights = torch.rand(3, 50, dtype=torch.float64)
    for terms, inputs in ((polar_terms_2d, complex_in), (polar_terms_nd, real_in)):
        outputs = terms(*inputs, continuation, 1e-3)
        sum((w * o).sum() for w, o in zip(weights, outputs, strict=True)).backward()
    for x, y in zip(complex_in, real_in, strict=True):
        if scale == 0 and not continuation and x is complex_in[0]:
            continue  # a kink without a preferred direction: any subgradient will do
        torch.testing.assert_close(x.grad.real, y.grad[0], atol=1e-8, rtol=1e-8)
        torch.testing.assert_close(x.grad.imag, y.grad[1], atol=1e-8, rtol=1e-8)


def test_second_derivatives_are_refused_not_wrong() -> None:
    a, b = (complex_tensor(5, seed=s).requires_grad_() for s in (1, 2))
    value = polar_terms_2d(a, b, True, 1e-3)[0].sum()
    (gradient,) = torch.autograd.grad(value, a, create_graph=True)
    with pytest.raises(RuntimeError):
        torch.autograd.grad(gradient.abs().sum(), a)


def test_norm_of_extreme_vectors() -> None:
    for size, dtype in itertools.product((1e-40, 1e-30, 1.0, 1e38), (torch.float32,)):
        x = torch.full((2, 3), size, dtype=dtype)
        expected = torch.full((3,), size, dtype=torch.float64) * 2**0.5
        torch.testing.assert_close(safe_norm(x).double(), expected, rtol=1e-5, atol=1e-44)
    zero = torch.zeros(2, 3, requires_grad=True)
    safe_norm(zero).sum().backward()
    assert (zero.grad == 0).all()
