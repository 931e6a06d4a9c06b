"""The metrics against scikit-image and numpy, and their edge cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from conftest import complex_tensor
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from perpcore.metrics import METRICS, evaluate_fields, evaluate_images


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    target = complex_tensor(3, 24, 20, seed=1)
    pred = target + 0.3 * complex_tensor(3, 24, 20, seed=2)
    return pred, target, target.abs() > 0.5


def test_ssim_and_psnr_equal_scikit_image(pair) -> None:
    pred, target, mask = pair
    values = evaluate_images(pred, target, mask)
    for i in range(3):
        p, y, m = pred[i].abs().numpy(), target[i].abs().numpy(), mask[i].numpy()
        # scikit-image crops its padded map to the windows that lie inside the image.
        whole, similarity = structural_similarity(p, y, win_size=7, data_range=y.max(), full=True)
        assert values["ssim_whole"][i].item() == pytest.approx(whole, abs=1e-12)
        inner = slice(3, -3), slice(3, -3)
        assert values["ssim"][i].item() == pytest.approx(similarity[inner][m[inner]].mean(), abs=1e-12)
        whole = peak_signal_noise_ratio(y, p, data_range=y.max())
        assert values["psnr_whole"][i].item() == pytest.approx(whole, abs=1e-10)
        inside = peak_signal_noise_ratio(y[m], p[m], data_range=y.max())
        assert values["psnr"][i].item() == pytest.approx(inside, abs=1e-10)


def test_errors_equal_numpy(pair) -> None:
    pred, target, mask = pair
    for foreground in (mask, None):
        values = evaluate_images(pred, target, foreground)
        for i in range(3):
            m = np.ones(mask[i].shape, bool) if foreground is None else mask[i].numpy()
            p, y = pred[i].numpy()[m], target[i].numpy()[m]
            norm = np.linalg.norm
            assert values["complex_nrmse"][i].item() == pytest.approx(norm(p - y) / norm(y))
            angles = np.abs((np.angle(p) - np.angle(y) + np.pi) % (2 * np.pi) - np.pi)
            assert values["phase_error"][i].item() == pytest.approx((angles * abs(y)).sum() / abs(y).sum())
            assert values["magnitude_bias"][i].item() == pytest.approx((abs(p) - abs(y)).sum() / abs(y).sum())


def test_only_the_whole_image_metrics_see_the_background(pair) -> None:
    """SSIM's windows reach three pixels beyond the foreground."""
    pred, target, _ = pair
    mask = torch.zeros(3, 24, 20, dtype=torch.bool)
    mask[:, 4:12, 4:12] = True
    near = torch.zeros_like(mask)
    near[:, 1:15, 1:15] = True
    values = evaluate_images(pred, target, mask)
    changed = evaluate_images(torch.where(near, pred, 3 * pred), target, mask)
    moved = {name for name in values if not torch.allclose(values[name], changed[name], rtol=1e-9)}
    assert moved == {"ssim_whole", "psnr_whole"}
    changed = evaluate_images(torch.where(mask, pred, 3 * pred), target, mask)
    moved = {name for name in values if not torch.allclose(values[name], changed[name], rtol=1e-9)}
    assert moved == {"ssim_whole", "psnr_whole", "ssim"}


def test_without_a_mask_the_whole_image_counts(pair) -> None:
    values = evaluate_images(*pair[:2])
    for name in ("ssim", "psnr"):
        assert torch.equal(values[name], values[f"{name}_whole"])


def test_known_errors() -> None:
    target = complex_tensor(1, 16, 16, seed=3)
    perfect = evaluate_images(target, target)
    assert perfect["ssim"].item() == pytest.approx(1)
    assert math.isinf(perfect["psnr"].item())
    turned = evaluate_images(target * np.exp(3.1j), target)
    assert turned["phase_error"].item() == pytest.approx(3.1)
    assert turned["complex_nrmse"].item() == pytest.approx(2 * math.sin(1.55))
    smaller = evaluate_images(0.9 * target, target)
    assert smaller["magnitude_bias"].item() == pytest.approx(-0.1)
    assert smaller["phase_error"].item() == pytest.approx(0, abs=1e-7)


def test_every_metric_gives_one_number_per_image(pair) -> None:
    values = evaluate_images(*pair)
    assert set(values) == set(METRICS)
    for i, single in enumerate(zip(*pair, strict=True)):
        alone = evaluate_images(*(x[None] for x in single))
        for name, value in values.items():
            assert value.shape == (3,)
            torch.testing.assert_close(value[i], alone[name][0])


@pytest.mark.parametrize(
    ("error", "words", "change"),
    [
        (TypeError, "pred", lambda p, y, m: (p.real, y, m)),
        (TypeError, "pred.*complex", lambda p, y, m: (p.real, y.real, m)),
        (ValueError, "target", lambda p, y, m: (p, y[:1], m)),
        (ValueError, "batch, row, column", lambda p, y, m: (p[0], y[0], None)),
        (ValueError, "mask", lambda p, y, m: (p, y, m[:1])),
        (ValueError, r"target.*\[1\]", lambda p, y, m: (p, y * (torch.arange(3) != 1)[:, None, None], m)),
        (ValueError, "target.*mask", lambda p, y, m: (p, y, torch.zeros_like(m))),
    ],
)  # fmt: skip
def test_wrong_input_is_named(pair, error: type[Exception], words: str, change) -> None:
    with pytest.raises(error, match=words):
        evaluate_images(*change(*pair))


def known_fields() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    target = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    target[:, 1] = 2
    pred = torch.zeros_like(target)
    pred[:, 0] = 1
    body = torch.zeros(1, 6, 6, dtype=torch.bool)
    body[:, :3] = True
    pred[:, :, 3:] = 99  # outside the body: must not count
    return pred, target, body


def test_field_metrics_by_hand() -> None:
    values = evaluate_fields(*known_fields())
    assert values["epe"].item() == pytest.approx(math.sqrt(5))
    assert values["magnitude_error"].item() == pytest.approx(1)
    assert values["motion_bias"].item() == pytest.approx(-1)
    assert values["angular_error"].item() == pytest.approx(90)


def test_pairs_that_do_not_move_have_an_angle_of_zero_so_that_means_are_finite() -> None:
    still = torch.zeros(2, 2, 6, 6)
    still[1, 0] = 2
    values = evaluate_fields(torch.ones(2, 2, 6, 6), still, torch.ones(2, 6, 6, dtype=torch.bool))
    assert values["angular_error"].tolist() == pytest.approx([0, 45])
    assert all(torch.isfinite(value).all() for value in values.values())


def test_field_metrics_equal_numpy_in_2d_and_3d() -> None:
    for n in (2, 3):
        space = (5,) * n
        pred, target = torch.randn(2, n, *space), torch.randn(2, n, *space)
        body = torch.rand(2, *space) > 0.3
        values = evaluate_fields(pred, target, body)
        for i in range(2):
            p, y = (x[i].numpy()[:, body[i].numpy()] for x in (pred, target))
            size_p, size_y = np.linalg.norm(p, axis=0), np.linalg.norm(y, axis=0)
            assert values["epe"][i].item() == pytest.approx(np.linalg.norm(p - y, axis=0).mean())
            cosine = (p * y).sum(0) / size_p / size_y
            moving = size_y > 0.5
            expected = np.degrees(np.arccos(np.clip(cosine, -1, 1)))[moving].mean()
            assert values["angular_error"][i].item() == pytest.approx(expected, rel=1e-4)
            bias = (size_p - size_y).mean()
            assert values["motion_bias"][i].item() == pytest.approx(bias, abs=1e-5)


@pytest.mark.parametrize(
    ("error", "words", "change"),
    [
        (ValueError, "target", lambda p, y, b: (p, y[..., :5], b)),
        (ValueError, "pred.*row, column", lambda p, y, b: (p[:, :1], y, b)),
        (ValueError, "pred.*NaN", lambda p, y, b: (p * float("nan"), y, b)),
        (ValueError, "foreground.*shape", lambda p, y, b: (p, y, b[:, :2])),
        (ValueError, r"foreground.*\[0\].*empty", lambda p, y, b: (p, y, b & False)),
        (TypeError, "target", lambda p, y, b: (p, y.long(), b)),
    ],
)
def test_wrong_fields_are_named(error: type[Exception], words: str, change) -> None:
    with pytest.raises(error, match=words):
        evaluate_fields(*change(*known_fields()))
