"""Evaluation: perfect networks are perfect, calibration adds up."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perpcore.data.datasets import PhantomMotion, PhantomRecon
from perpcore.evaluation import evaluate_motion, evaluate_recon
from perpcore.experiments.configs import MotionRun
from perpcore.grid import PRESETS

RECON = PRESETS["smoke"]
MOTION = MotionRun(size=32, batch=3, accelerations=(4,))


class Answers(nn.Module):
    """Returns the targets of the test split in order, times a factor."""

    def __init__(self, data: PhantomRecon | PhantomMotion, factor: float) -> None:
        super().__init__()
        self.data, self.factor, self.next = data, factor, 0

    def forward(self, *inputs: Tensor) -> Tensor:
        count = len(inputs[0])
        rates = self.data.run.accelerations
        rate, first = rates[self.next // 5], self.next % 5
        self.next += count
        return self.factor * self.data.batch("test", range(first, first + count), rate).target


@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_reconstruction(factor: float) -> None:
    data = PhantomRecon(RECON)
    result = evaluate_recon(Answers(data, factor), data, "test", 5)
    metrics, calibration = result.metrics, result.calibration
    assert metrics.image.tolist() == [*range(5), *range(5)]
    np.testing.assert_allclose(metrics.magnitude_bias, factor - 1, atol=1e-5)
    np.testing.assert_allclose(metrics.phase_error, 0, atol=1e-3)
    filled = calibration[calibration["count"] > 0]
    np.testing.assert_allclose(filled.pred, factor * filled.target, rtol=1e-5)
    pixels = sum(int(data.batch("test", range(5), r).body.sum()) for r in RECON.accelerations)
    assert calibration["count"].sum() == pixels
    assert result.examples["R4"].shape == (2, 32, 32)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_registration(factor: float) -> None:
    data = PhantomMotion(MOTION)
    result = evaluate_motion(Answers(data, factor), data, "test", 5)
    batch = data.batch("test", range(5), 4)
    length = torch.linalg.vector_norm(batch.target, dim=1)
    expected = [length[i][batch.body[i]].mean().item() * (factor - 1) for i in range(5)]
    np.testing.assert_allclose(result.metrics.magnitude_bias, expected, atol=1e-5)
    np.testing.assert_allclose(result.metrics.epe, np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(result.metrics.angular_error, 0, atol=0.1)
    assert (result.metrics.folded_area == 0).all()
    filled = result.calibration[result.calibration["count"] > 0]
    np.testing.assert_allclose(filled.pred, factor * filled.target, rtol=1e-4)
