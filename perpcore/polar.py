"""The arithmetic behind L⊥: length and direction of two vectors and their gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def polar_terms_2d(
    a: Tensor, b: Tensor, continuation: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """L⊥, |a| and |b| of complex a, whose direction counts, and b; see `losses.perpendicular`."""
    perp, size, ref_size, *_ = _PolarTerms.apply(a, b, continuation, eps)  # type: ignore[no-untyped-call]
    return perp, size, ref_size


class _PolarTerms(torch.autograd.Function):
    """The same with its gradient.

    Autograd over the same expression keeps a dozen maps alive and costs twice as much
    (benchmarks/loss_cost.py); the gradient is the unit vector û = a/|a|, scaled and turned, so
    few maps hold it.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, continuation: bool, eps: float) -> tuple[Tensor, ...]:
        unit, size, ref_size, inverse, inside, cross, inner = _polar_parts(a, b, eps)
        length = cross.abs()
        fade = size * inverse
        # û·(radial + i·tangential) is the gradient with respect to a.
        tangential = cross.sign_().mul_(inner.abs() if continuation else inner).mul_(inverse).neg_()
        if continuation:
            gain = inner.sign_().mul_(ref_size - length)
            perp = torch.addcmul(ref_size, fade, gain, value=-1)
            radial = gain.mul_(inside).mul_(inverse).neg_()
        else:
            perp = fade * length
            radial = inside.mul_(length).mul_(inverse)
        return perp, size, ref_size, unit, radial, tangential

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
        a, b, ctx.continuation, ctx.eps = inputs
        ctx.mark_non_differentiable(*output[3:])
        ctx.save_for_backward(a, b, *output[3:])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # type: ignore[no-untyped-def]
        ctx, grad_perp, grad_size, grad_ref_size, *_unused
    ):
        a, b, unit, radial, tangential = ctx.saved_tensors
        grad_a: Tensor | None = None
        grad_b: Tensor | None = None
        if ctx.needs_input_grad[0]:
            along = torch.addcmul(grad_size, grad_perp, radial)
            grad_a = unit * torch.complex(along, grad_perp * tangential)
        if ctx.needs_input_grad[1]:
            parts = _polar_parts(a, b, ctx.eps)
            _, size, ref_size, inverse, inside, cross, inner = parts
            tiny = torch.finfo(size.dtype).tiny
            unit_b = b * ref_size.clamp_min(tiny).reciprocal()
            fade = size * inverse
            sine = cross.abs() / ref_size.clamp_min(tiny)
            # Inside the disc the fade |a|/(eps |b|) itself depends on b.
            along_cross = unit * torch.complex(torch.zeros_like(size), cross.sign() * fade)
            if ctx.continuation:
                side = inner.sign()
                along_b = 1 - side * fade * (1 + inside * (sine - 1))
                grad_perp_b = unit_b * along_b + along_cross * side
            else:
                grad_perp_b = along_cross - unit_b * (inside * fade * sine)
            grad_b = grad_perp_b * grad_perp + unit_b * grad_ref_size
        return grad_a, grad_b, None, None


def _polar_parts(a: Tensor, b: Tensor, eps: float) -> tuple[Tensor, ...]:
    """Unit vector of a, |a|, |b|, 1/max(|a|, eps|b|), |a| < eps|b|, û×b and û·b."""
    tiny = torch.finfo(a.real.dtype).tiny
    # Contiguous parts: arithmetic on the strided views of a complex tensor is not vectorised.
    a_re, a_im, b_re, b_im = (x.contiguous() for x in (a.real, a.imag, b.real, b.imag))
    size, ref_size = torch.hypot(a_re, a_im), torch.hypot(b_re, b_im)
    disc = ref_size * eps
    inverse = torch.maximum(size, disc).clamp_min_(tiny).reciprocal_()
    inside = (size < disc).to(size.dtype)
    # A zero vector takes the direction of b, so that it has a gradient to leave zero by.
    zero = (size == 0).to(size.dtype)
    scale = torch.addcmul(size, zero, ref_size).clamp_min_(tiny).reciprocal_()
    u_re = torch.addcmul(a_re, zero, b_re).mul_(scale)
    u_im = torch.addcmul(a_im, zero, b_im).mul_(scale)
    # Exactly 0 for that borrowed direction, whatever the rounding.
    cross = torch.addcmul(u_re * b_im, u_im, b_re, value=-1).mul_(1 - zero)
    inner = torch.addcmul(u_re * b_re, u_im, b_im)
    return torch.complex(u_re, u_im), size, ref_size, inverse, inside, cross, inner


def polar_terms_nd(
    a: Tensor, b: Tensor, continuation: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The same for real vectors along axis 0, by plain autograd."""
    tiny = torch.finfo(a.dtype).tiny
    ref_size = safe_norm(b)
    zero = (a == 0).all(0).to(a.dtype)
    steered = a + zero * b.detach()
    unit = steered / safe_norm(steered).clamp_min(tiny)
    # |a| as û·a: its gradient is û, also where a = 0.
    size = (unit.detach() * a).sum(0)
    disc = ref_size * eps
    fade = size / torch.maximum(size, disc).clamp_min(tiny)
    inner = (unit * b).sum(0)
    # Lagrange's identity: unlike b − (b·û)û, it does not cancel at small angles.
    rows, columns = torch.triu_indices(len(a), len(a), 1, device=a.device)
    length = safe_norm(unit[rows] * b[columns] - unit[columns] * b[rows])
    if not continuation:
        return fade * length, size, ref_size
    return ref_size - torch.sign(inner.detach()) * fade * (ref_size - length), size, ref_size


def safe_norm(x: Tensor) -> Tensor:
    """Euclidean norm along axis 0 that neither overflows nor underflows; gradient 0 at 0."""
    scale = x.detach().abs().amax(0).clamp_min(torch.finfo(x.dtype).tiny)
    relative: Tensor = torch.linalg.vector_norm(x / scale, dim=0)
    return relative * scale
