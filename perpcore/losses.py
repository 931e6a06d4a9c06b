"""The ⊥-loss of Terpstra et al. 2022 and the losses it is compared with.

Throughout, Ŷ (``pred``) is the prediction, Y (``target``) the target and Δφ the angle between them. A *vector field* is
a complex tensor of any shape, or a real tensor whose axis ``dim`` holds the n ≥ 2 components. Half-precision input is
computed and returned in float32. Every loss takes an optional ``mask``, boolean and broadcastable to the map of pixels:
pixels outside count neither in the value nor in the gradient, whatever they hold.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional

from perpcore._checks import check_choice, check_fields, check_same, require, single

DEFAULT_EPS = 1e-3  # where |Ŷ| < eps·|Y| the direction of Ŷ is faded out (see `perpendicular`)
SSIM_WINDOW = 7  # pixels
REDUCTIONS = ("mean", "sum", "none")

Vectors = Sequence[Tensor]  # the n components of a vector field, one tensor each


def l_perp(pred: Vectors, target: Vectors) -> tuple[Tensor, Tensor, Tensor]:
    """Compute L⊥ (eq. 2–4), |Ŷ| and |Y| of vectors given by their components; Ŷ must not be 0."""
    size, true_size = norm(pred), norm(target)
    unit = [component / size for component in pred]  # û = Ŷ/|Ŷ|: divided by the prediction
    # ℓ⊥ = |Y − (Y·û)û| = |û × Y|: Lagrange's identity, which does not cancel at small angles
    cross = [a * d - b * c for (a, c), (b, d) in combinations(zip(unit, target, strict=True), 2)]
    rejection = norm(cross)
    # Beyond 90°, where û·Y < 0, the loss rises on to 2|Y| at 180°.
    perp = torch.where(inner(unit, target) < 0, 2 * true_size - rejection, rejection)
    return perp, size, true_size


def inner(a: Vectors, b: Vectors) -> Tensor:
    """Compute a·b."""
    total: Tensor = sum(x * y for x, y in zip(a, b, strict=True))  # type: ignore[assignment]
    return total


def norm(x: Vectors) -> Tensor:
    """Compute |x| without overflow or underflow, with derivatives of 0 at x = 0."""
    return x[0].abs() if len(x) == 1 else reduce(_hypot, x)


def _hypot(a: Tensor, b: Tensor) -> Tensor:
    zero = (a == 0) & (b == 0)
    return torch.where(zero, 0, torch.hypot(torch.where(zero, 1, a), b))


def perpendicular(
    pred: Tensor, target: Tensor, *, dim: int | None = None, normalize_by: str = "prediction",
    continuation: bool = True, eps: float = DEFAULT_EPS,
) -> Tensor:  # fmt: skip
    r"""Compute the map of L⊥, the length of the part of Y perpendicular to Ŷ (eq. 2–4).

    .. math:: L_\perp = |Y|\,|\sin\Delta\varphi| \text{ for } |\Delta\varphi| < \pi/2,
              \quad 2|Y| - |Y|\,|\sin\Delta\varphi| \text{ else.}

    Its gradient with respect to Ŷ is tangential, of size |Y||cos Δφ|/|Ŷ|. At Ŷ = 0 the direction is undefined: where
    |Ŷ| < eps·|Y|, L⊥ is replaced by its linear interpolation along the ray to |Y| at Ŷ = 0, its mean over all
    directions. So the gradient is at most 1/eps outside that disc and √2/eps inside, and at Ŷ = 0 it points along Y.

    `pred` and `target` are complex, of one shape, or real floating point with the n-vectors along `dim`; `eps`, with
    0 < eps ≤ 1, is the radius of the disc around Ŷ = 0, relative to |Y|. For the ablation: `normalize_by` "target"
    exchanges the roles of Ŷ and Y (|Ŷ||sin Δφ|, the form of the 2021 abstract), and without `continuation` eq. 4 is
    left out, so that Ŷ = −Y costs nothing.

    Returns a real map ≥ 0, in the units of the data, of the input's shape without `dim`. Raises TypeError or ValueError
    naming the argument, what was expected and what came.
    """
    return _perp_and_sizes(pred, target, dim, None, normalize_by, continuation, eps)[0]


def _perp_and_sizes(
    pred: Tensor, target: Tensor, dim: int | None, mask: Tensor | None,
    normalize_by: str, continuation: bool, eps: float, signed: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Compute L⊥ with its guard, |Ŷ| (negative where it points away from Y, if `signed`) and |Y|."""
    check_fields(pred, target, dim)
    check_choice("normalize_by", normalize_by, ("prediction", "target"))
    require(0 < eps <= 1, f"eps: expected 0 < eps <= 1, got {eps}")
    pair = [_components(_inside(single(x), mask, dim), dim) for x in (pred, target)]
    a, b = pair if normalize_by == "prediction" else pair[::-1]
    # Where a = 0 it takes the direction of b, or any if b = 0 too, so that it has a gradient to leave zero by.
    zero = reduce(torch.logical_and, [x == 0 for x in a])
    both = reduce(torch.logical_and, [y == 0 for y in b], zero)
    steered = [torch.where(zero, torch.where(both, 1, y.detach()), x) for x, y in zip(a, b, strict=True)]
    perp, size, true_size = l_perp(steered, b)
    along = inner([x.detach() for x in steered], a) / size.detach()
    size = torch.where(zero, along, size)
    disc = eps * true_size
    inside = size < disc
    fade = torch.where(inside, size / torch.where(inside, disc, 1), 1)
    if continuation:
        perp = true_size + fade * (perp - true_size)
    else:
        perp = fade * torch.where(perp > true_size, 2 * true_size - perp, perp)
    if normalize_by == "target":
        size, true_size = true_size, size
    if signed:  # |Ŷ| clamp(2 cos Δφ, −1, 1), without a division by |Ŷ|
        absent = true_size == 0
        along = 2 * inner(*pair) / torch.where(absent, 1, true_size)
        size = torch.where(absent, size, torch.minimum(torch.maximum(along, -size), size))
    return perp, size, true_size


def _ssim(pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute 1 − mean SSIM over the windows that lie entirely inside a mask."""
    value = 1 - ssim_map(pred, target)
    if mask is not None:
        outside = (~mask.bool()).float().expand(pred.shape).reshape(1, -1, *pred.shape[-2:])
        mask = (functional.max_pool2d(outside, SSIM_WINDOW, 1) == 0).reshape(value.shape)
    return _reduce(value, "mean", mask)


MagnitudeLoss = Callable[[Tensor, Tensor], Tensor]
MAGNITUDE_LOSSES: dict[str, MagnitudeLoss] = {
    "l1": partial(functional.l1_loss, reduction="none"), "l2": partial(functional.mse_loss, reduction="none"),
    "ssim": _ssim,
}  # fmt: skip


class PerpLoss(nn.Module):
    r"""⊥+f = mean L⊥ + w · f(|Ŷ|, |Y|) (eq. 5), f a loss on magnitudes.

    L⊥ is homogeneous of degree 1 in the data, ℓ2 of degree 2, SSIM of degree 0: what a weight means depends on how the
    images are scaled. State both together. `dim`, `normalize_by`, `continuation`, `eps`: see `perpendicular`.

    `magnitude` is f: "l2", "l1", "ssim", or a callable that takes (|Ŷ|, |Y|) and returns a map, or a scalar if
    `reduction` is "mean" and there is no mask; None leaves L⊥ alone, which does not determine |Ŷ|. `weight` is w ≥ 0.
    `reduction`, "mean", "sum" or "none", is over all pixels; only "mean" with "ssim", which has fewer windows. `mix` is
    a of a·⊥ + (1 − a)·f, in [0, 1], the form of the authors' ⊥+SSIM; `weight` stays 1. With `trainable_mix` it is a
    parameter, and an optimiser can lower the loss by moving it to the cheaper term.

    With `signed`, f takes |Ŷ| clamp(2 cos Δφ, −1, 1) for |Ŷ|: the same within 60°, but a prediction that points away
    from Y counts as too small. So it shrinks and turns, where otherwise it would grow in the wrong direction: networks
    that start near Ŷ = 0 and get no warm-up need it, best with eps = 1 (notebook 11).
    """

    def __init__(
        self, magnitude: str | MagnitudeLoss | None = "l2", weight: float = 1.0,
        dim: int | None = None, reduction: str = "mean", *,
        mix: float | None = None, trainable_mix: bool = False,
        normalize_by: str = "prediction", continuation: bool = True, eps: float = DEFAULT_EPS, signed: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if isinstance(magnitude, str) and magnitude not in MAGNITUDE_LOSSES:
            known = ", ".join(MAGNITUDE_LOSSES)
            raise ValueError(f"magnitude: expected {known}, callable or None, got {magnitude!r}")
        check_choice("reduction", reduction, ("mean",) if magnitude == "ssim" else REDUCTIONS)
        require(0 <= weight < float("inf"), f"weight: expected a finite number >= 0, got {weight}")
        require(mix is None or 0 <= mix <= 1, f"mix: expected a number in [0, 1], got {mix}")
        alone = mix is None or (weight == 1 and magnitude is not None)
        require(alone, "mix: expected weight = 1 and a magnitude loss beside it")
        require(mix is not None or not trainable_mix, "trainable_mix: expected a starting value in mix, got None")
        self.magnitude = MAGNITUDE_LOSSES[magnitude] if isinstance(magnitude, str) else magnitude
        self.weight, self.dim, self.reduction = float(weight), dim, reduction
        self.normalize_by, self.continuation, self.eps, self.signed = normalize_by, continuation, eps, signed
        self.mix = nn.Parameter(torch.tensor(float(mix or 0))) if trainable_mix else mix

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss of a prediction; as `perpendicular`. With SSIM, windows that lie inside the mask count."""
        options = self.normalize_by, self.continuation, self.eps, self.signed
        perp, size, true_size = _perp_and_sizes(pred, target, self.dim, mask, *options)
        mix = self.mix.clamp(0, 1) if isinstance(self.mix, Tensor) else self.mix
        perp_weight, weight = (1.0, self.weight) if mix is None else (mix, 1 - mix)
        loss = perp_weight * _reduce(perp, self.reduction, mask)
        if self.magnitude is None:
            return loss
        if self.magnitude is _ssim:
            return loss + weight * _ssim(size, true_size, mask)
        value = self.magnitude(size, true_size)
        if value.shape != perp.shape and (self.reduction != "mean" or mask is not None):
            why = f"for reduction {self.reduction!r} or a mask"
            raise ValueError(f"magnitude: expected a map of shape {tuple(perp.shape)} {why}, got {tuple(value.shape)}")
        return loss + weight * _reduce(value, self.reduction, mask)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, dim={self.dim}, reduction={self.reduction!r}"


class LpLoss(nn.Module):
    """mean |Ŷ − Y|^p of complex images (p = 2: eq. 1) or, with `dim`, of vector fields (p = 1: end-point error)."""

    def __init__(self, p: int, dim: int | None = None, reduction: str = "mean") -> None:
        super().__init__()
        check_choice("p", p, (1, 2))
        check_choice("reduction", reduction, REDUCTIONS)
        self.p, self.dim, self.reduction = p, dim, reduction

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss of a prediction; shapes and errors as in `perpendicular`."""
        check_fields(pred, target, self.dim)
        inside = [_inside(single(x), mask, self.dim) for x in (pred, target)]
        error = _components(inside[0] - inside[1], self.dim)
        size = norm(error) if self.p == 1 else inner(error, error)
        return _reduce(size, self.reduction, mask)

    def extra_repr(self) -> str:
        return f"p={self.p}, dim={self.dim}, reduction={self.reduction!r}"


class SSIMLoss(nn.Module):
    """1 − mean SSIM of the magnitudes of complex (or real) images (..., row, column)."""

    def forward(self, pred: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return a scalar; the phase does not enter. Windows that lie inside the mask count."""
        check_same("pred", pred, "target", target)
        size, true_size = (_inside(single(x), mask, None).abs() for x in (pred, target))
        return _ssim(size, true_size, mask)


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "l1": partial(LpLoss, 1), "l2": partial(LpLoss, 2), "epe": partial(LpLoss, 1, dim=1),
    "ssim": SSIMLoss, "perp_ssim": partial(PerpLoss, "ssim", mix=0.5),
    "perp_l1": partial(PerpLoss, "l1"), "perp_l2": partial(PerpLoss, "l2"),
}  # fmt: skip
"""Name → constructor; the names are used in runs, results and figures."""


def ssim_map(pred: Tensor, target: Tensor) -> Tensor:
    """Compute structural similarity in a uniform window, with the sample covariance (Wang 2004), as scikit-image does.

    Of real images (..., row, column), range: the target's maximum. Returns (..., row − 6, column − 6); 1: they agree.
    """
    check_same("pred", pred, "target", target)
    if pred.is_complex():
        raise TypeError(f"pred: expected real magnitudes, got {pred.dtype}")
    window, shape = SSIM_WINDOW, tuple(pred.shape)
    fits, least = pred.ndim > 1 and min(shape[-2:]) >= window, f"{window}×{window} pixels for SSIM's window"
    require(fits, f"pred: expected images of at least {least}, got shape {shape}")
    pred, target = single(pred), single(target)
    peak = target.detach().amax((-2, -1), keepdim=True)
    peak = peak + (peak == 0)
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    # SSIM needs the two variances only as their sum: four maps instead of five.
    stack = torch.stack([pred, target, pred * pred + target * target, pred * target])
    channels = stack.reshape(1, -1, *pred.shape[-2:])
    kernel = channels.new_full((channels.shape[1], 1, window, window), 1 / window**2)
    # A depthwise convolution is 6 times faster than pooling on a CPU. Half precision would spoil the variances.
    with torch.autocast(pred.device.type, enabled=False):
        pooled = functional.conv2d(channels, kernel, groups=channels.shape[1])
    mx, my, squares, mxy = pooled.reshape(4, *pred.shape[:-2], *pooled.shape[-2:]).unbind()
    product, means, sample = mx * my, mx * mx + my * my, window**2 / (window**2 - 1)
    luminance = (2 * product + c1) / (means + c1)
    return luminance * (2 * sample * (mxy - product) + c2) / (sample * (squares - means) + c2)


def _components(x: Tensor, dim: int | None) -> Vectors:
    if dim is not None:
        return x.unbind(dim)
    # Contiguous: arithmetic on the strided views of a complex tensor is not vectorised.
    return [part.contiguous() for part in torch.view_as_real(x.resolve_conj()).unbind(-1)]


def _inside(x: Tensor, mask: Tensor | None, dim: int | None) -> Tensor:
    """Set what lies outside the mask to 0: it reaches neither value nor gradient."""
    if mask is None:
        return x
    shape = x.shape if dim is None else x.select(dim, 0).shape
    try:
        kept = mask.bool().expand(shape)
    except RuntimeError:
        raise ValueError(f"mask: expected a shape that broadcasts to {tuple(shape)}, got {tuple(mask.shape)}") from None
    return torch.where(kept if dim is None else kept.unsqueeze(dim), x, 0)


def _reduce(x: Tensor, reduction: str, mask: Tensor | None) -> Tensor:
    if mask is not None:
        counted = mask.bool().expand(x.shape)
        x = torch.where(counted, x, 0)
        if reduction == "mean":
            require(bool(counted.any()), "mask: expected at least one pixel (one window, for SSIM) inside")
            return x.sum() / counted.sum()
    return x if reduction == "none" else x.sum() if reduction == "sum" else x.mean()
