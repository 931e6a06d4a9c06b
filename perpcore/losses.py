"""The ⊥-loss of Terpstra et al. 2022 and the losses it is compared with.

Throughout, Ŷ (``pred``) is the prediction, Y (``target``) the target and Δφ the angle between
them. A *vector field* is either a complex tensor of any shape, each element a vector in R², or a
real tensor whose axis ``dim`` holds the n ≥ 2 components. Half-precision input is computed and
returned in float32, as autocast does for losses.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from perpcore._checks import check_fields, check_same, single
from perpcore.polar import polar_terms_2d, polar_terms_nd, safe_norm
from perpcore.ssim import ssim_map

DEFAULT_EPS = 1e-3
"""Where |Ŷ| < eps·|Y| the direction of Ŷ is faded out (see `perpendicular`)."""


def perpendicular(
    pred: Tensor,
    target: Tensor,
    *,
    dim: int | None = None,
    normalize_by: str = "prediction",
    continuation: bool = True,
    eps: float = DEFAULT_EPS,
) -> Tensor:
    r"""Map of L⊥, the length of the part of Y that is perpendicular to Ŷ (eq. 2–4).

    .. math:: L_\perp = |Y|\,|\sin\Delta\varphi| \text{ for } |\Delta\varphi| < \pi/2,
              \quad 2|Y| - |Y|\,|\sin\Delta\varphi| \text{ else.}

    It does not depend on |Ŷ|, is continuous at 90° and rises to 2|Y| at 180°. Its gradient with
    respect to Ŷ is tangential, of size |Y||cos Δφ|/|Ŷ|. At Ŷ = 0 the direction is undefined:
    where |Ŷ| < eps·|Y|, L⊥ is replaced by its linear interpolation along the ray to |Y| at Ŷ = 0,
    its mean over all directions. So the gradient is at most 1/eps outside that disc and √2/eps
    inside, and at Ŷ = 0 it points along Y (size 1/eps) instead of vanishing.

    Parameters
    ----------
    pred, target : Tensor
        Complex, of one shape; or real floating point with the n-vectors along `dim`.
    dim : int, optional
        Axis of the vector components; required for real input, absent for complex input.
    normalize_by : {"prediction", "target"}
        "prediction" is the article's. "target" exchanges the roles of Ŷ and Y:
        |Ŷ||sin Δφ|, the form of the 2021 abstract, kept for the ablation.
    continuation : bool
        False leaves out eq. 4, so that Ŷ = −Y costs nothing; kept for the ablation.
    eps : float
        Radius, relative to |Y|, of the disc around Ŷ = 0 described above; 0 < eps ≤ 1.

    Returns
    -------
    Tensor
        Real, ≥ 0, in the units of the data, of the input's shape without `dim`. Once
        differentiable for complex input and n = 2.

    Raises
    ------
    TypeError, ValueError
        Naming the argument, what was expected and what came.
    """
    return _perpendicular_terms(pred, target, dim, normalize_by, continuation, eps)[0]


def _perpendicular_terms(
    pred: Tensor, target: Tensor, dim: int | None, normalize_by: str, continuation: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """L⊥, |Ŷ| and |Y|, which share most of their arithmetic."""
    check_fields(pred, target, dim)
    if normalize_by not in ("prediction", "target"):
        raise ValueError(f"normalize_by: expected 'prediction' or 'target', got {normalize_by!r}")
    if not 0 < eps <= 1:
        raise ValueError(f"eps: expected 0 < eps <= 1, got {eps}")
    pred, target = single(pred), single(target)
    nd = dim is not None and pred.shape[dim] > 2
    if nd:
        pred, target = torch.movedim(pred, dim or 0, 0), torch.movedim(target, dim or 0, 0)
    else:
        pred, target = _as_complex(pred, dim), _as_complex(target, dim)
    terms = polar_terms_nd if nd else polar_terms_2d
    if normalize_by == "target":
        perp, mag_target, mag_pred = terms(target, pred, continuation, eps)
    else:
        perp, mag_pred, mag_target = terms(pred, target, continuation, eps)
    return perp, mag_pred, mag_target


MagnitudeLoss = Callable[[Tensor, Tensor], Tensor]
MAGNITUDE_LOSSES: dict[str, MagnitudeLoss] = {
    "l1": lambda pred, target: (pred - target).abs(),
    "l2": lambda pred, target: (pred - target).square(),
    "ssim": lambda pred, target: 1 - ssim_map(pred, target),
}


class PerpLoss(nn.Module):
    r"""⊥+f = mean L⊥ + w · f(|Ŷ|, |Y|) (eq. 5), f a loss on magnitudes.

    L⊥ is homogeneous of degree 1 in the data, ℓ2 of degree 2, SSIM of degree 0: what a weight
    means depends on how the images are scaled. State both together.

    Parameters
    ----------
    magnitude : {"l2", "l1", "ssim"}, callable or None
        f. A callable takes (|Ŷ|, |Y|) and returns a map, or a scalar if `reduction` is "mean".
        None leaves L⊥ alone, which does not determine |Ŷ|.
    weight : float
        w, non-negative.
    mix : float, optional
        a of a·⊥ + (1 − a)·f, in [0, 1], the form of the authors' ⊥+SSIM; then `weight` is unused
        and must stay 1.
    trainable_mix : bool
        Makes `mix` a parameter, clamped to [0, 1], as the authors do. An optimiser can lower the
        loss by moving it to the cheaper term.
    dim, normalize_by, continuation, eps
        See `perpendicular`.
    reduction : {"mean", "sum", "none"}
        Over all pixels; with "ssim", which has fewer windows than pixels, only "mean".
    """

    def __init__(
        self,
        magnitude: str | MagnitudeLoss | None = "l2",
        weight: float = 1.0,
        dim: int | None = None,
        reduction: str = "mean",
        *,
        mix: float | None = None,
        trainable_mix: bool = False,
        normalize_by: str = "prediction",
        continuation: bool = True,
        eps: float = DEFAULT_EPS,
    ) -> None:
        super().__init__()
        if isinstance(magnitude, str) and magnitude not in MAGNITUDE_LOSSES:
            known = ", ".join(MAGNITUDE_LOSSES)
            raise ValueError(f"magnitude: expected {known}, callable or None, got {magnitude!r}")
        _check_reduction(reduction)
        if magnitude == "ssim" and reduction != "mean":
            raise ValueError(f"reduction: expected 'mean' with SSIM, got {reduction!r}")
        if not (weight >= 0 and weight < float("inf")):
            raise ValueError(f"weight: expected a finite number >= 0, got {weight}")
        if mix is not None and not 0 <= mix <= 1:
            raise ValueError(f"mix: expected a number in [0, 1], got {mix}")
        if mix is not None and (weight != 1 or magnitude is None):
            raise ValueError("mix: expected weight = 1 and a magnitude loss beside it")
        if trainable_mix and mix is None:
            raise ValueError("trainable_mix: expected a starting value in mix, got None")
        self.magnitude = MAGNITUDE_LOSSES[magnitude] if isinstance(magnitude, str) else magnitude
        self.weight, self.dim, self.reduction = float(weight), dim, reduction
        self.options = {"normalize_by": normalize_by, "continuation": continuation, "eps": eps}
        self.mix = nn.Parameter(torch.tensor(float(mix or 0))) if trainable_mix else mix

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss of a prediction; shapes and errors as in `perpendicular`."""
        perp, mag_pred, mag_target = _perpendicular_terms(pred, target, self.dim, **self.options)  # type: ignore[arg-type]
        perp_weight: float | Tensor = 1.0
        weight: float | Tensor = self.weight
        if self.mix is not None:
            perp_weight = self.mix.clamp(0, 1) if isinstance(self.mix, Tensor) else self.mix
            weight = 1 - perp_weight
        loss = perp_weight * _reduce(perp, self.reduction)
        if self.magnitude is None:
            return loss
        value = self.magnitude(mag_pred, mag_target)
        if value.shape != perp.shape and self.reduction != "mean":
            raise ValueError(
                f"magnitude: expected a map of shape {tuple(perp.shape)} for reduction "
                f"{self.reduction!r}, got {tuple(value.shape)}"
            )
        return loss + weight * _reduce(value, self.reduction)

    def extra_repr(self) -> str:
        return f"weight={self.weight}, dim={self.dim}, reduction={self.reduction!r}"


class LpLoss(nn.Module):
    """mean |Ŷ − Y|^p of complex images or, with `dim`, of vector fields.

    p = 2 is the complex ℓ2 of eq. 1, p = 1 the complex ℓ1; p = 1 with `dim` is the end-point
    error of registration.
    """

    def __init__(self, p: int, dim: int | None = None, reduction: str = "mean") -> None:
        super().__init__()
        if p not in (1, 2):
            raise ValueError(f"p: expected 1 or 2, got {p}")
        _check_reduction(reduction)
        self.p, self.dim, self.reduction = p, dim, reduction

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss of a prediction; shapes and errors as in `perpendicular`."""
        check_fields(pred, target, self.dim)
        error = single(pred) - single(target)
        size = error.abs() if self.dim is None else safe_norm(torch.movedim(error, self.dim, 0))
        return _reduce(size if self.p == 1 else size.square(), self.reduction)

    def extra_repr(self) -> str:
        return f"p={self.p}, dim={self.dim}, reduction={self.reduction!r}"


class SSIMLoss(nn.Module):
    """1 − mean SSIM of the magnitudes of complex (or real) images (..., row, column)."""

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Scalar loss; the phase of the images does not enter."""
        check_same("pred", pred, "target", target)
        return 1 - ssim_map(single(pred).abs(), single(target).abs()).mean()


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "l1": lambda **options: LpLoss(1, **options),
    "l2": lambda **options: LpLoss(2, **options),
    "ssim": SSIMLoss,
    "perp_l1": lambda **options: PerpLoss("l1", **options),
    "perp_l2": lambda **options: PerpLoss("l2", **options),
    "perp_ssim": lambda **options: PerpLoss("ssim", **{"mix": 0.5, **options}),
    "epe": lambda **options: LpLoss(1, **{"dim": 1, **options}),
}
"""Name → constructor; the names are used in runs, results and figures."""


def _as_complex(x: Tensor, dim: int | None) -> Tensor:
    return x if dim is None else torch.complex(*x.unbind(dim))


def _reduce(x: Tensor, reduction: str) -> Tensor:
    return x.mean() if reduction == "mean" else x.sum() if reduction == "sum" else x


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")
