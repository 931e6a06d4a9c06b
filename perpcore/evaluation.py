"""Test and validation of a network: per-image metrics, calibration and a few examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from perpcore.data.datasets import PhantomMotion, PhantomMultiCoil, PhantomRecon
from perpcore.data.motion import jacobian_determinant, warp
from perpcore.data.readers.measured import MeasuredRecon
from perpcore.metrics import evaluate, evaluate_fields, image_norm

ReconData = PhantomRecon | PhantomMultiCoil | MeasuredRecon

N_EXAMPLES = 2
RECON_BINS = np.linspace(0, 1, 21)
"""Bins of |Y| / max |Y|."""
MOTION_BINS = np.linspace(0, 1, 13)
"""Bins of |u| over the largest amplitude of the data."""


class Evaluation(NamedTuple):
    """One row of `metrics` per image and acceleration; see `store.Result` for the rest."""

    metrics: pd.DataFrame
    calibration: pd.DataFrame
    examples: dict[str, np.ndarray]


def evaluate_recon(model: nn.Module, data: ReconData, split: str, count: int) -> Evaluation:
    """Reconstruct the first `count` images of a split at each acceleration."""

    def step(indices: range, rate: int) -> tuple[dict[str, Tensor], Tensor, np.ndarray]:
        batch = data.batch(split, indices, rate)
        pred = model(*batch.inputs)
        size = batch.target.abs()
        bins = size / size.amax((-2, -1), keepdim=True)
        sums = _sums(bins[batch.body], size[batch.body], pred.abs()[batch.body], RECON_BINS)
        return evaluate(pred, batch.target, batch.body), pred, sums

    return _collect(data.run.accelerations, count, data.run.batch, step)


def evaluate_motion(model: nn.Module, data: PhantomMotion, split: str, count: int) -> Evaluation:
    """Register the first `count` pairs of a split at each acceleration."""

    def step(indices: range, rate: int) -> tuple[dict[str, Tensor], Tensor, np.ndarray]:
        batch = data.batch(split, indices, rate)
        pred = model(*batch.inputs)
        body = batch.body
        metrics = evaluate_fields(pred, batch.target, body)
        folded = (jacobian_determinant(pred) <= 0) & body
        metrics["folded_area"] = 100 * folded.sum((-2, -1)) / body.sum((-2, -1))
        error = (warp(batch.moving_full.abs(), pred) - batch.fixed_full.abs()) * body
        reference = batch.fixed_full.abs() * body
        metrics["warp_nrmse"] = image_norm(error) / image_norm(reference)
        true, found = (torch.linalg.vector_norm(f, dim=1)[body] for f in (batch.target, pred))
        sums = _sums(true / data.largest, true, found, MOTION_BINS)
        return metrics, pred, sums

    return _collect(data.run.accelerations, count, data.run.batch, step)


Step = Callable[[range, int], tuple[dict[str, Tensor], Tensor, np.ndarray]]


def _collect(rates: tuple[int, ...], count: int, batch: int, step: Step) -> Evaluation:
    frames, calibration = [], []
    examples: dict[str, np.ndarray] = {}
    for rate in rates:
        total: np.ndarray | float = 0.0
        kept: list[np.ndarray] = []
        for first in range(0, count, batch):
            metrics, pred, sums = step(range(first, min(first + batch, count)), rate)
            frame = pd.DataFrame({name: v.cpu().numpy() for name, v in metrics.items()})
            frame.insert(0, "image", np.arange(first, first + len(frame)))
            frame.insert(0, "acceleration", rate)
            frames.append(frame)
            total = total + sums
            if first < N_EXAMPLES:
                kept.append(pred[: N_EXAMPLES - first].cpu().numpy())
        examples[f"R{rate}"] = np.concatenate(kept)
        calibration.append(_calibration_table(np.asarray(total), rate))
    return Evaluation(
        pd.concat(frames, ignore_index=True), pd.concat(calibration, ignore_index=True), examples
    )


def _sums(position: Tensor, true: Tensor, found: Tensor, bins: np.ndarray) -> np.ndarray:
    """Count, Σ true and Σ found of the pixels in each bin of `position`; (3, bin)."""
    where, y, p = (x.cpu().numpy() for x in (position, true, found))
    weights: Iterator[np.ndarray | None] = iter((None, y, p))
    return np.stack([np.histogram(where, bins, weights=w)[0] for w in weights])


def _calibration_table(sums: np.ndarray, rate: int) -> pd.DataFrame:
    """One row per bin, the empty ones too, so that the tables of all losses align."""
    count, true, found = sums
    filled = np.maximum(count, 1)
    return pd.DataFrame(
        {"acceleration": rate, "target": true / filled, "pred": found / filled, "count": count}
    )
