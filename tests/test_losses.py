"""The losses as mathematics: values, symmetry, gradients, and clear errors."""

from __future__ import annotations

import copy
import io
import math
import pickle
import shutil

import numpy as np
import pytest
import torch
from complextorch.nn.modules.loss import PerpLossSSIM
from conftest import complex_tensor
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from skimage.metrics import structural_similarity

from perpcore.losses import LOSSES, LpLoss, PerpLoss, SSIMLoss, norm, perpendicular, ssim_map
from perpcore.theory import homogeneity, symmetry_index

ANGLES = st.floats(-math.pi, math.pi)
SIZES = st.floats(1e-3, 1e3)
VALUE_TOLERANCE = {torch.float32: 1e-6, torch.float64: 1e-13}


def oracle(pred: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Equations 2–4 in numpy's longest floats, by the angle."""
    pred, target = pred.astype(np.clongdouble), target.astype(np.clongdouble)
    delta = np.angle(pred * target.conj())
    length = np.abs(target) * np.abs(np.sin(delta))
    return np.where(np.abs(delta) < np.pi / 2, length, 2 * np.abs(target) - length)


def polar(size: float, angle: float, dtype: torch.dtype = torch.complex128) -> torch.Tensor:
    return torch.tensor(size * np.exp(1j * angle), dtype=dtype)


def as_vectors(z: torch.Tensor, n: int = 2, dim: int = -1) -> torch.Tensor:
    """Complex numbers as real n-vectors along `dim`, the other components zero."""
    zeros = [torch.zeros_like(z.real)] * (n - 2)
    return torch.stack([z.real, z.imag, *zeros], dim)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(data=st.data())
def test_value_is_the_articles(dtype: torch.dtype, data: st.DataObject) -> None:
    ratio = data.draw(npst.arrays(float, 20, elements=st.floats(1e-3, 1e3)))
    angle = data.draw(npst.arrays(float, 20, elements=ANGLES))
    size = data.draw(npst.arrays(float, 20, elements=st.floats(1e-20, 1e20)))
    start = data.draw(ANGLES)
    target = torch.from_numpy(size * np.exp(1j * start)).to(dtype.to_complex())
    pred = torch.from_numpy(ratio * size * np.exp(1j * (start + angle))).to(dtype.to_complex())
    # What arrives is the rounded pair; a ratio of 1e-3 may round to just below eps.
    keep = pred.abs() >= 1e-3 * target.abs()
    expected = oracle(pred.numpy(), target.numpy())[keep]
    bound = VALUE_TOLERANCE[dtype] * target.abs().numpy()[keep]
    for n in (0, 2, 3):
        if n == 0:
            value = perpendicular(pred, target)
        else:
            value = perpendicular(as_vectors(pred, n), as_vectors(target, n), dim=-1)
        assert value.dtype == dtype
        assert (np.abs(value.numpy()[keep] - expected) <= bound).all()


@given(SIZES, SIZES, ANGLES, ANGLES, ANGLES)
def test_invariances(a: float, b: float, angle: float, turn: float, start: float) -> None:
    value = perpendicular(polar(a, start + angle), polar(b, start))
    turned = perpendicular(polar(a, start + angle + turn), polar(b, start + turn))
    torch.testing.assert_close(value, turned, atol=1e-12 * b, rtol=0)
    both = perpendicular(polar(3 * a, start + angle), polar(3 * b, start))
    torch.testing.assert_close(both, 3 * value, atol=1e-12 * b, rtol=0)
    if a >= 2e-3 * b:
        half = perpendicular(polar(a / 2, start + angle), polar(b, start))
        torch.testing.assert_close(half, value, atol=1e-12 * b, rtol=0)


@given(SIZES, SIZES, st.floats(1e-3, math.pi - 1e-3))
def test_rises_with_the_angle_and_is_continuous_at_90_degrees(a: float, b: float, angle: float):
    a = max(a, 1e-2 * b)
    y = polar(b, 0)
    assert perpendicular(polar(a, angle + 1e-3), y) > perpendicular(polar(a, angle), y) - 1e-12 * b
    below, above = (perpendicular(polar(a, math.pi / 2 + d), y) for d in (-1e-9, 1e-9))
    assert abs(above - b) <= 1e-8 * b and abs(below - b) <= 1e-8 * b
    assert perpendicular(polar(a, math.pi), y).item() == pytest.approx(2 * b, rel=1e-12)
    assert perpendicular(polar(a, 0), y).item() == pytest.approx(0, abs=1e-12 * b)


def test_variants_of_the_ablation() -> None:
    y, angle = 2.0, 2.5
    pred, target = polar(3.0, angle), polar(y, 0)
    assert perpendicular(pred, target, continuation=False).item() == pytest.approx(y * abs(math.sin(angle)))
    assert perpendicular(pred, target, normalize_by="target").item() == pytest.approx(3 * (2 - math.sin(angle)))
    opposite = {"normalize_by": "target", "continuation": False}
    assert perpendicular(polar(3.0, math.pi), target, **opposite).item() == pytest.approx(0, abs=1e-9)


OPTIONS = [
    {"normalize_by": by, "continuation": c, "eps": eps}
    for by in ("prediction", "target")
    for c in (True, False)
    for eps in (1e-3, 0.8)
]


@pytest.mark.parametrize("options", OPTIONS)
def test_gradcheck(options: dict) -> None:
    a, b = (complex_tensor(30, seed=s).requires_grad_() for s in (1, 2))
    assert torch.autograd.gradcheck(lambda a, b: perpendicular(a, b, **options), (a, b))
    u, v = (as_vectors(complex_tensor(4, 5, seed=s), 3, 1) for s in (3, 4))
    u, v = ((x + torch.arange(60).reshape(4, 3, 5) / 60).requires_grad_() for x in (u, v))
    assert torch.autograd.gradcheck(lambda a, b: perpendicular(a, b, dim=1, **options), (u, v))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_has_a_correct_gradient(name: str) -> None:
    a, b = (complex_tensor(2, 9, 8, seed=s).requires_grad_() for s in (1, 2))
    loss = LOSSES[name]()
    if name == "epe":
        a, b = (as_vectors(x.detach(), 2, 1).requires_grad_() for x in (a, b))
    if "ssim" in name:  # its data range, the target's maximum, counts as a constant
        b = b.detach()
    assert torch.autograd.gradcheck(loss, (a, b))
    assert loss(b.detach(), b.detach()).item() == pytest.approx(0, abs=1e-12)
    assert loss(a, b).item() > 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("by", ["prediction", "target"])
def test_finite_for_every_finite_input(dtype: torch.dtype, n: int, by: str) -> None:
    largest = 1e30 if torch.finfo(dtype).max > 1e30 else 6e4
    numbers = [0, 1e-30, -1e-30, 1e-4, 1, -1, largest, -largest]
    grid = torch.tensor([(x, y) for x in numbers for y in numbers], dtype=dtype)
    grid = torch.cat([grid, torch.zeros(len(grid), n - 2, dtype=dtype)], 1)
    pred = grid.repeat_interleave(len(grid), 0).requires_grad_()
    target = grid.repeat(len(grid), 1).requires_grad_()
    value = perpendicular(pred, target, dim=1, normalize_by=by)
    value.sum().backward() if dtype == torch.float64 else value.backward(torch.ones_like(value))
    assert torch.isfinite(value).all()
    for x in (pred, target):
        assert torch.isfinite(x.grad).all()
    if by == "prediction":
        # The stated bound, √2/eps, with room for rounding to the type.
        bound = math.sqrt(2) / 1e-3 * (1 + 4 * torch.finfo(dtype).eps)
        assert torch.linalg.vector_norm(pred.grad.double(), dim=1).max() <= bound


@pytest.mark.parametrize("name", ["perp_l1", "perp_l2", "l1", "l2"])
@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_losses_are_finite_at_zero(name: str, dtype: torch.dtype) -> None:
    for pred, target in ((0, 1), (1, 0), (0, 0), (1, -1), (1e-15, 1), (1, 1e-15)):
        p = torch.full((3,), pred, dtype=dtype, requires_grad=True)
        y = torch.full((3,), target, dtype=dtype, requires_grad=True)
        value = LOSSES[name]()(p, y)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(p.grad).all()
        assert torch.isfinite(y.grad).all()


@pytest.mark.parametrize("n", [0, 2, 3])
def test_zero_prediction_costs_the_mean_and_is_drawn_to_the_target(n: int) -> None:
    target = torch.tensor([3 + 4j, -2j, 1])
    pred = torch.zeros_like(target)
    expected_direction = as_vectors(target / target.abs(), max(n, 2))
    if n:
        pred, target = as_vectors(pred, n), as_vectors(target, n)
    pred.requires_grad_()
    value = perpendicular(pred, target, dim=-1 if n else None)
    torch.testing.assert_close(value, torch.tensor([5.0, 2.0, 1.0]))
    value.sum().backward()
    downhill = -pred.grad if n else -torch.view_as_real(pred.grad)
    torch.testing.assert_close(downhill, 1000 * expected_direction, rtol=1e-5, atol=1e-3)
    angles = torch.linspace(-math.pi, math.pi, 20001, dtype=torch.float64)[:-1]
    ring = torch.polar(torch.ones_like(angles), angles)
    mean = perpendicular(ring, torch.ones_like(ring)).mean()
    assert mean.item() == pytest.approx(1, abs=1e-6)


def test_gradient_is_tangential_and_grows_as_one_over_the_prediction() -> None:
    for ratio in (0.01, 0.5, 2.0):
        for angle in (0.3, 1.2, 2.0, -2.8):
            pred = polar(ratio, angle).requires_grad_()
            perpendicular(pred, polar(1, 0)).backward()
            assert pred.grad.abs().item() == pytest.approx(abs(math.cos(angle)) / ratio, rel=1e-9)
            assert (pred.grad * pred.detach().conj()).real.item() == pytest.approx(0, abs=1e-9)


def test_inner_product_and_angle_choose_the_same_branch() -> None:
    a, b = complex_tensor(100_000, seed=5), complex_tensor(100_000, seed=6)
    np.testing.assert_allclose(perpendicular(a, b).numpy(), oracle(a.numpy(), b.numpy()).astype(float), atol=1e-12)


def test_against_the_public_package() -> None:
    a, b = (complex_tensor(1, 1, 32, 32, seed=s, dtype=torch.complex64) for s in (1, 2))
    reference = PerpLossSSIM()
    with torch.no_grad():
        reference.param.fill_(1.0)
    torch.testing.assert_close(PerpLoss(None)(a, b), reference(a, b)[0], rtol=1e-5, atol=0)


def test_vmap_and_autocast() -> None:
    a, b = complex_tensor(4, 6, seed=1), complex_tensor(4, 6, seed=2)
    torch.testing.assert_close(torch.func.vmap(perpendicular)(a, b), perpendicular(a, b))
    u, v = as_vectors(a, 3, 1), as_vectors(b, 3, 1)
    mapped = torch.func.vmap(lambda x, y: perpendicular(x, y, dim=0))(u, v)
    torch.testing.assert_close(mapped, perpendicular(u, v, dim=1))
    per_sample = torch.func.vmap(torch.func.grad(PerpLoss(dim=0)))(u, v)
    assert per_sample.shape == u.shape
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer = torch.nn.Linear(3, 3)
        pred = layer(torch.randn(5, 3))
        assert pred.dtype == torch.bfloat16
        value = PerpLoss(dim=-1)(pred, torch.randn(5, 3, dtype=torch.bfloat16))
        assert value.dtype == torch.float32
    value.backward()
    assert torch.isfinite(layer.weight.grad).all()


def test_perp_loss_is_the_sum_of_its_terms() -> None:
    a, b = complex_tensor(2, 9, 9, seed=1), complex_tensor(2, 9, 9, seed=2)
    perp, dm = perpendicular(a, b), a.abs() - b.abs()
    for reduction in ("mean", "sum", "none"):
        reduce = {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}[reduction]
        loss = PerpLoss("l2", weight=3, reduction=reduction)
        torch.testing.assert_close(loss(a, b), reduce(perp + 3 * dm**2))
        loss = PerpLoss("l1", weight=0.5, reduction=reduction)
        torch.testing.assert_close(loss(a, b), reduce(perp + 0.5 * dm.abs()))
        torch.testing.assert_close(PerpLoss(None, reduction=reduction)(a, b), reduce(perp))
    ssim_term = SSIMLoss()(a, b)
    torch.testing.assert_close(LOSSES["perp_ssim"]()(a, b), (perp.mean() + ssim_term) / 2)
    mixed = PerpLoss("ssim", mix=0.25)(a, b)
    torch.testing.assert_close(mixed, 0.25 * perp.mean() + 0.75 * ssim_term)
    custom = PerpLoss(lambda p, y: (p - y).square().mean(), weight=3)
    torch.testing.assert_close(custom(a, b), PerpLoss("l2", weight=3)(a, b))


@pytest.mark.parametrize("magnitude", ["l1", "l2"])
@given(SIZES, SIZES, ANGLES, ANGLES)
def test_signed_magnitudes_change_nothing_within_60_degrees(
    magnitude: str, a: float, b: float, angle: float, turn: float
) -> None:
    pred, target = polar(a, turn + angle), polar(b, turn)
    size = a * min(max(2 * math.cos(angle), -1), 1)
    expected = perpendicular(pred, target) + (abs(size - b) if magnitude == "l1" else (size - b) ** 2)
    signed = PerpLoss(magnitude, signed=True)(pred, target)
    torch.testing.assert_close(signed, expected, rtol=1e-9, atol=1e-9)
    if abs(angle) < math.pi / 3 - 1e-6:
        torch.testing.assert_close(signed, PerpLoss(magnitude)(pred, target), rtol=1e-12, atol=1e-12)


def test_signed_magnitudes_lose_the_barrier_and_the_symmetry_beyond_60_degrees() -> None:
    plain, signed = PerpLoss("l1"), PerpLoss("l1", signed=True)
    assert symmetry_index(plain) == pytest.approx(1, abs=1e-9)
    assert 0.85 < symmetry_index(signed) < 0.95, "the price: a small vector that points away is better than a long one"
    assert homogeneity(signed) == pytest.approx(homogeneity(plain), abs=1e-6)
    right = polar(1, math.pi / 2)  # at 90°, where the slope of L⊥ along the angle vanishes
    for loss, slope in ((plain, 0.0), (signed, 2.0)):
        pred = right.clone().requires_grad_()
        loss(pred, polar(1, 0)).backward()
        assert (pred.grad * (1j * right).conj()).real.item() == pytest.approx(slope, abs=1e-9)
    away = polar(0.1, math.pi)  # points away: grows without the sign, shrinks with it
    for loss, slope in ((plain, -1.0), (signed, 1.0)):
        pred = away.clone().requires_grad_()
        loss(pred, polar(1, 0)).backward()
        assert (pred.grad * (away / away.abs()).conj()).real.item() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("dim", [None, 0])
@pytest.mark.parametrize("eps", [1e-3, 1.0])
def test_signed_magnitudes_are_finite_at_zero(dim: int | None, eps: float) -> None:
    for pred, target in ((0, 1), (1, 0), (0, 0), (1, -1), (1e-30, 1), (1, 1e-30), (1e-30, 1e-30)):
        pair = [torch.full((3,), x, dtype=torch.complex64) for x in (pred, target)]
        p, y = (as_vectors(x, dim=0) if dim == 0 else x for x in pair)
        p.requires_grad_()
        value = PerpLoss("l2", dim=dim, signed=True, eps=eps)(p, y)
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(p.grad).all()


def test_trainable_mix_is_clamped_and_learns() -> None:
    a, b = complex_tensor(1, 9, 9, seed=1), complex_tensor(1, 9, 9, seed=2)
    loss = PerpLoss("ssim", mix=0.5, trainable_mix=True)
    assert [p.numel() for p in loss.parameters()] == [1]
    loss(a, b).backward()
    expected = perpendicular(a, b).mean() - SSIMLoss()(a, b)
    assert loss.mix.grad.item() == pytest.approx(expected.item(), rel=1e-5)
    with torch.no_grad():
        loss.mix.fill_(7.0)
    torch.testing.assert_close(loss(a, b), perpendicular(a, b).mean())


def test_l2_splits_into_magnitude_and_angle() -> None:
    a, b = complex_tensor(50, seed=1), complex_tensor(50, seed=2)
    cosine = torch.cos((a * b.conj()).angle())
    expected = (a.abs() - b.abs()) ** 2 + 2 * a.abs() * b.abs() * (1 - cosine)
    torch.testing.assert_close(LpLoss(2)(a, b), expected.mean())


def test_end_point_error() -> None:
    a, b = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    expected = np.linalg.norm((a - b).numpy(), axis=1).mean()
    assert LOSSES["epe"]()(a, b).item() == pytest.approx(expected, rel=1e-6)


def pair_for(name: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Prediction and target that a loss takes: images, or fields for the end-point error."""
    a, b = complex_tensor(2, 9, 8, seed=seed), complex_tensor(2, 9, 8, seed=seed + 1)
    return (as_vectors(a, 2, 1), as_vectors(b, 2, 1)) if name == "epe" else (a, b)


@pytest.mark.parametrize("name", LOSSES)
def test_second_derivatives_are_right(name: str) -> None:
    a, b = pair_for(name)
    assert torch.autograd.gradgradcheck(lambda x: LOSSES[name]()(x, b), a.requires_grad_())


def test_second_derivatives_in_three_dimensions_and_finite_at_zero() -> None:
    u, v = (as_vectors(complex_tensor(6, seed=s), 3, 1) + 0.1 for s in (1, 2))
    loss = PerpLoss("l2", dim=1)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, v), u.requires_grad_())
    for pred in (torch.zeros(3, 2), torch.tensor([[0.0, 0.0], [1e-15, 0.0], [2.0, 0.0]])):
        target = torch.tensor([[1.0, 0.5], [0.0, 0.0], [1.0, 0.0]])
        hessian = torch.autograd.functional.hessian(lambda x, y=target: PerpLoss(dim=1)(x, y), pred)
        assert torch.isfinite(hessian).all()


def test_functional_transforms_agree_with_autograd() -> None:
    a, b = complex_tensor(7, seed=1), complex_tensor(7, seed=2)
    u, v = as_vectors(a), as_vectors(b)
    jacobian = torch.func.jacrev(lambda x: perpendicular(x, v, dim=-1))(u)
    u.requires_grad_()
    (gradient,) = torch.autograd.grad(perpendicular(u, v, dim=-1).sum(), u)
    torch.testing.assert_close(jacobian.sum(0), gradient)
    torch.testing.assert_close(torch.func.grad(lambda x: PerpLoss()(x, b))(a), _gradient(a, b))


def _gradient(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    a = a.clone().requires_grad_()
    PerpLoss()(a, b).backward()
    assert a.grad is not None
    return a.grad


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore")
def test_compiled_losses_and_gradients_agree() -> None:
    a, b = (complex_tensor(4, 8, 8, seed=s, dtype=torch.complex64) for s in (1, 2))
    torch.testing.assert_close(torch.compile(PerpLoss("l1"))(a, b), PerpLoss("l1")(a, b))
    gradient = torch.compile(torch.func.grad(lambda x: PerpLoss()(x, b)))(a)
    torch.testing.assert_close(gradient, _gradient(a, b))


def test_a_printed_loss_states_its_weight() -> None:
    assert str(PerpLoss("l1", weight=3.0)) == "PerpLoss(weight=3.0, dim=None, reduction='mean')"
    assert str(LpLoss(1, dim=1)) == "LpLoss(p=1, dim=1, reduction='mean')"


@pytest.mark.parametrize("name", LOSSES)
def test_losses_survive_pickling_saving_and_copying(name: str) -> None:
    a, b = pair_for(name)
    loss = LOSSES[name]()
    buffer = io.BytesIO()
    torch.save(torch.nn.ModuleDict({"loss": loss}), buffer)
    buffer.seek(0)
    copies = [pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)]
    copies += [torch.load(buffer, weights_only=False)["loss"], pickle.loads(pickle.dumps(LOSSES))[name]()]
    for other in copies:
        assert torch.equal(other(a, b), loss(a, b))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("outside", [0.0, 7.0, math.nan, math.inf])
def test_pixels_outside_the_mask_count_nowhere(name: str, outside: float) -> None:
    a, b = complex_tensor(2, 16, 16, seed=1), complex_tensor(2, 16, 16, seed=2)
    mask = torch.zeros(2, 16, 16, dtype=torch.bool)
    mask[:, 2:12, 3:14] = True
    dirty = [torch.where(mask, x, outside) for x in (a, b)]
    cut = [x[:, 2:12, 3:14] for x in (a, b)]
    if name == "epe":
        dirty, cut = ([as_vectors(x, 2, 1) for x in pair] for pair in (dirty, cut))
    if "ssim" in name:  # the range of an image is the maximum inside the mask
        b[:, 5, 5] = 10
        dirty[1][:, 5, 5] = cut[1][:, 3, 2] = 10
    dirty[0].requires_grad_()
    value = LOSSES[name]()(*dirty, mask=mask)
    torch.testing.assert_close(value, LOSSES[name]()(*cut))
    value.backward()
    gradient = dirty[0].grad
    assert torch.isfinite(gradient.abs()).all()
    lengths = gradient.abs() if name != "epe" else torch.linalg.vector_norm(gradient, dim=1)
    assert not lengths[~mask].any() and lengths[mask].any()


def test_masks_with_other_reductions_and_shapes() -> None:
    a, b = complex_tensor(2, 9, 9, seed=1), complex_tensor(2, 9, 9, seed=2)
    mask = torch.zeros(9, 9)
    mask[3:5, 2:8] = 1
    per_pixel = PerpLoss(reduction="none")(a, b, mask)
    assert per_pixel.shape == (2, 9, 9) and not per_pixel[:, mask == 0].any()
    torch.testing.assert_close(per_pixel.sum(), PerpLoss(reduction="sum")(a, b, mask))
    torch.testing.assert_close(per_pixel.sum() / 24, PerpLoss()(a, b, mask))
    with pytest.raises(ValueError, match="mask: expected at least one pixel"):
        PerpLoss()(a, b, torch.zeros(9, 9))
    with pytest.raises(ValueError, match="mask: expected at least one pixel .one window"):
        SSIMLoss()(a, b, mask)
    with pytest.raises(ValueError, match=r"mask: expected a shape that broadcasts to \(2, 9, 9\)"):
        LpLoss(1)(a, b, torch.ones(9, 8))


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("size", [1e-38, 1e-30, 1.0, 1e38])
def test_norm_of_extreme_vectors(n: int, size: float) -> None:
    x = torch.full((n, 3), size)
    expected = torch.full((3,), size, dtype=torch.float64) * n**0.5
    torch.testing.assert_close(norm(tuple(x)).double(), expected, rtol=1e-5, atol=1e-44)
    zero = torch.zeros(n, 3, requires_grad=True)
    norm(tuple(zero)).sum().backward()
    assert zero.grad is not None and (zero.grad == 0).all()


def test_the_ssim_map_equals_scikit_images() -> None:
    rng = np.random.default_rng(0)
    target = rng.random((2, 3, 20, 24))
    pred = target + rng.normal(0, 0.2, target.shape)
    ours = ssim_map(torch.from_numpy(pred), torch.from_numpy(target))
    for index in np.ndindex(2, 3):
        y = target[index]
        _, full = structural_similarity(pred[index], y, win_size=7, data_range=y.max(), full=True)
        np.testing.assert_allclose(ours[index].numpy(), full[3:-3, 3:-3], atol=1e-10)
    zero = torch.zeros(1, 16, 16)
    torch.testing.assert_close(ssim_map(zero, zero), torch.ones(1, 10, 10))
    flat = 1 + 0.01 * torch.rand(1, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):  # must not spoil the variances
        value = ssim_map(flat, flat.flip(-1))
    torch.testing.assert_close(value, ssim_map(flat, flat.flip(-1)))


Z, R = torch.ones(2, 8, 8, dtype=torch.complex64), torch.ones(2, 2, 8)


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "dim", lambda: perpendicular(R, R)),
        (TypeError, "target.*complex", lambda: perpendicular(Z, Z.real)),
        (ValueError, r"target.*\(2, 8, 8\).*\(8, 8\)", lambda: perpendicular(Z, Z[0])),
        (ValueError, "pred.*at least one element", lambda: perpendicular(Z[:0], Z[:0])),
        (TypeError, "pred.*int64", lambda: perpendicular(R.long(), R.long(), dim=1)),
        (ValueError, "at least 2 components", lambda: perpendicular(R[:, :1], R[:, :1], dim=1)),
        (ValueError, "dim.*None for complex", lambda: perpendicular(Z, Z, dim=1)),
        (ValueError, "dim.*axis", lambda: perpendicular(R, R, dim=5)),
        (TypeError, "pred.*Tensor.*ndarray", lambda: perpendicular(np.ones(3), Z)),
        (ValueError, "normalize_by", lambda: perpendicular(Z, Z, normalize_by="both")),
        (ValueError, "eps", lambda: perpendicular(Z, Z, eps=0)),
        (TypeError, "pred.*real", lambda: ssim_map(Z, Z)),
        (ValueError, "7×7", lambda: SSIMLoss()(Z[..., :6], Z[..., :6])),
        (ValueError, "7×7", lambda: PerpLoss("ssim")(Z[..., :6], Z[..., :6])),
        (ValueError, "magnitude.*l3", lambda: PerpLoss("l3")),
        (ValueError, "weight", lambda: PerpLoss(weight=-1)),
        (ValueError, "weight", lambda: PerpLoss(weight=float("nan"))),
        (ValueError, "mix", lambda: PerpLoss("ssim", mix=2)),
        (ValueError, "mix", lambda: PerpLoss("ssim", mix=0.5, weight=2)),
        (ValueError, "trainable_mix", lambda: PerpLoss("ssim", trainable_mix=True)),
        (ValueError, "reduction", lambda: PerpLoss(reduction="median")),
        (ValueError, "reduction", lambda: PerpLoss("ssim", reduction="sum")),
        (ValueError, "p:", lambda: LpLoss(3)),
        (ValueError, "magnitude.*map", lambda: PerpLoss(lambda p, y: p.sum(), reduction="sum")(Z, Z)),
    ],
)  # fmt: skip
def test_wrong_input_is_named(error: type[Exception], words: str, call) -> None:
    with pytest.raises(error, match=words):
        call()
