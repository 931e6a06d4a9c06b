"""Checks of tensor arguments; each error names the argument, what was expected and what came."""

from collections.abc import Sequence

import torch
from torch import Tensor


def single(x: Tensor) -> Tensor:
    """Half precision to float32: squares and quotients of images do not fit into it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_same(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    for label, value in ((name, x), (other_name, other)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{label}: expected a torch.Tensor, got {type(value).__name__}")
        if not (value.is_complex() or value.is_floating_point()):
            raise TypeError(f"{label}: expected floating point or complex, got {value.dtype}")
    if x.is_complex() != other.is_complex():
        kind = "complex" if x.is_complex() else "real"
        raise TypeError(f"{other_name}: expected {kind} like {name}, got {other.dtype} beside {x.dtype}")
    if x.shape != other.shape:
        raise ValueError(f"{other_name}: expected the shape of {name}, {tuple(x.shape)}, got {tuple(other.shape)}")
    if x.numel() == 0:
        raise ValueError(f"{name}: expected at least one element, got shape {tuple(x.shape)}")


def check_fields(pred: Tensor, target: Tensor, dim: int | None) -> None:
    check_same("pred", pred, "target", target)
    if pred.is_complex():
        if dim is not None:
            raise ValueError(f"dim: expected None for complex input, got {dim}")
        return
    if dim is None:
        advice = "for an image with two channels, pass dim or torch.complex(re, im)"
        raise ValueError(f"dim: expected the axis of the vector components for real input, got None; {advice}")
    if not -pred.ndim <= dim < pred.ndim:
        raise ValueError(f"dim: expected an axis of shape {tuple(pred.shape)}, got {dim}")
    if pred.shape[dim] < 2:
        raise ValueError(f"pred: expected at least 2 components along dim={dim}, got shape {tuple(pred.shape)}")


def check_reduction(reduction: str, known: Sequence[str]) -> None:
    if reduction not in known:
        raise ValueError(f"reduction: expected one of {', '.join(known)}, got {reduction!r}")


def check_displacement(displacement: Tensor, name: str = "displacement") -> None:
    """Raise TypeError or ValueError unless it is a real (batch, n, *space) field."""
    if not isinstance(displacement, Tensor) or not displacement.is_floating_point():
        kind = getattr(displacement, "dtype", type(displacement).__name__)
        raise TypeError(f"{name}: expected a real floating-point tensor, got {kind}")
    n = displacement.ndim - 2
    if n not in (2, 3) or displacement.shape[1] != n:
        got = tuple(displacement.shape)
        raise ValueError(f"{name}: expected (batch, 2, row, column) or (batch, 3, slice, row, column), got {got}")


def check_collection(indices: Sequence[int], size: int) -> None:
    """What every generated collection asks of its arguments."""
    if size < 16:
        raise ValueError(f"size: expected at least 16 pixels, got {size}")
    if len(indices) == 0 or min(indices) < 0:
        raise ValueError(f"indices: expected non-negative numbers, at least one, got {indices}")
