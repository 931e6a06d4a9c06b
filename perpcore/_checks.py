"""Checks of tensor arguments; each error names the argument, what was expected and what came."""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor


def single(x: Tensor) -> Tensor:
    """Half precision to float32: squares and quotients of images do not fit into it."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def require(ok: bool, said: str) -> None:
    """Raise ValueError, which says what was expected of which argument and what came."""
    if not ok:
        raise ValueError(said)


def check_choice(name: str, value: Any, known: Collection[Any]) -> None:
    """Raise ValueError unless `value` is one of those known."""
    if value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(str, known))}, got {value!r}")


def check_same(name: str, x: Tensor, other_name: str, other: Tensor) -> None:
    for label, value in ((name, x), (other_name, other)):
        if not isinstance(value, Tensor):
            raise TypeError(f"{label}: expected a torch.Tensor, got {type(value).__name__}")
        if not (value.is_complex() or value.is_floating_point()):
            raise TypeError(f"{label}: expected floating point or complex, got {value.dtype}")
    if x.is_complex() != other.is_complex():
        kind = "complex" if x.is_complex() else "real"
        raise TypeError(f"{other_name}: expected {kind} like {name}, got {other.dtype} beside {x.dtype}")
    shape, got = tuple(x.shape), tuple(other.shape)
    require(shape == got, f"{other_name}: expected the shape of {name}, {shape}, got {got}")
    require(x.numel() > 0, f"{name}: expected at least one element, got shape {shape}")


def check_fields(pred: Tensor, target: Tensor, dim: int | None) -> None:
    check_same("pred", pred, "target", target)
    if pred.is_complex():
        require(dim is None, f"dim: expected None for complex input, got {dim}")
        return
    if dim is None:
        advice = "for an image with two channels, pass dim or torch.complex(re, im)"
        raise ValueError(f"dim: expected the axis of the vector components for real input, got None; {advice}")
    shape = tuple(pred.shape)
    require(-pred.ndim <= dim < pred.ndim, f"dim: expected an axis of shape {shape}, got {dim}")
    require(shape[dim] > 1, f"pred: expected at least 2 components along dim={dim}, got shape {shape}")


def check_displacement(displacement: Tensor, name: str = "displacement") -> None:
    """Raise TypeError or ValueError unless it is a real (batch, n, *space) field."""
    if not isinstance(displacement, Tensor) or not displacement.is_floating_point():
        kind = getattr(displacement, "dtype", type(displacement).__name__)
        raise TypeError(f"{name}: expected a real floating-point tensor, got {kind}")
    n, got = displacement.ndim - 2, tuple(displacement.shape)
    fits = n in (2, 3) and got[1] == n
    require(fits, f"{name}: expected (batch, 2, row, column) or (batch, 3, slice, row, column), got {got}")


def check_collection(indices: Sequence[int], size: int) -> None:
    """What every generated collection asks of its arguments."""
    require(size >= 16, f"size: expected at least 16 pixels, got {size}")
    fits = len(indices) > 0 and min(indices) >= 0
    require(fits, f"indices: expected non-negative numbers, at least one, got {indices}")
