"""Presets, the grid of runs behind the notebooks, and how a run gets its result."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from perpcore.datasets import PhantomRecon
from perpcore.losses import LOSSES
from perpcore.metrics import evaluate
from perpcore.models import UNet, parameter_count
from perpcore.runs import Run
from perpcore.store import (
    DamagedResultError,
    Result,
    Store,
    provenance,
    read_result,
    shipped_folder,
)
from perpcore.training import fit, peak_memory, pick_device

PRESETS: dict[str, Run] = {
    # tests: does everything run?
    "smoke": Run(
        preset="smoke", size=32, width=8, steps=30, batch=2, validate_every=10, n_validation=2,
        n_test=4,
    ),
    # default: a laptop
    "quick": Run(preset="quick"),
    # one GPU
    "paper": Run(
        preset="paper", size=192, width=32, depth=4, steps=20000, batch=16, learning_rate=1e-3,
        validate_every=500, n_validation=64, n_test=400,
    ),
}  # fmt: skip
"""Reconstruction runs as they are before loss, weight and seed are filled in."""

SEEDS = {"smoke": 1, "quick": 1, "paper": 5}

RECON_LOSSES = ("l1", "l2", "ssim", "perp_l1", "perp_l2", "perp_ssim")
RECON_WEIGHTS = {"perp_l2": 10.0}
"""w where it is not 1. With w = 1 the magnitude term of ⊥+ℓ2 is so weak, on images of maximum 1,
that the network learns nothing (benchmarks/perp_l2_weight.py); 10 was the better of 10 and 30 on
validation images."""

N_EXAMPLES = 2
CALIBRATION_BINS = np.linspace(0, 1, 21)


def recon_runs(preset: str = "quick", seed: int = 0) -> list[Run]:
    """The runs of notebooks 04 and 05: one per loss and seed, same everything else."""
    if preset not in PRESETS:
        raise ValueError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
    return [
        replace(PRESETS[preset], loss=loss, weight=RECON_WEIGHTS.get(loss, 1.0), seed=s)
        for s in range(seed, seed + SEEDS[preset])
        for loss in RECON_LOSSES
    ]


def all_runs(preset: str = "quick", seed: int = 0) -> list[Run]:
    """Every training run behind the figures."""
    return recon_runs(preset, seed)


def build_loss(run: Run) -> nn.Module:
    """The run's loss; w applies to ⊥+ℓ1 and ⊥+ℓ2."""
    if run.loss in ("perp_l1", "perp_l2"):
        return LOSSES[run.loss](weight=run.weight)
    return LOSSES[run.loss]()


def build_model(run: Run, weights: dict[str, Tensor] | None = None) -> nn.Module:
    """The run's network: at its seed's initialisation, or with trained weights, ready for use."""
    # Its own random state: equal for every loss and untouched by what ran before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = UNet(run.width, run.depth)
    if weights is not None:
        model.load_state_dict(weights)
        model.eval()
    return model


def train(
    run: Run, store: Store | None = None, device: str = "auto", *, progress: bool = True
) -> Result:
    """Train and evaluate a run and keep its result; continues a run that was interrupted.

    Idempotent: where the store has the result, or another process is making it, that is returned.
    """
    store = store or Store()
    with store.lock(run):
        done = store.load(run)
        if done is not None:
            return done
        target = pick_device(device)
        began = time.perf_counter()
        data = PhantomRecon(run, target)
        model = build_model(run).to(target)
        loss = build_loss(run).to(target)
        history = fit(
            run, model, loss, data.training_batch, lambda m: _validate(m, data),
            checkpoint=store.checkpoint_path(run), progress=progress, main_metric="psnr",
        )  # fmt: skip
        metrics, calibration, examples = _test(model, data)
        seconds = time.perf_counter() - began
        record = provenance(target, seconds, peak_memory(target))
        record["parameters"] = parameter_count(model)
        result = Result(
            run, metrics, pd.DataFrame(history), calibration, examples,
            {name: value.cpu() for name, value in model.state_dict().items()}, record,
        )  # fmt: skip
        store.save(result)
        return result


def obtain(
    run: Run, *, device: str = "auto", retrain: bool = False, progress: bool = True
) -> tuple[Result, str]:
    """A result and where it came from: "run store", "shipped results" or "trained now".

    Asked in that order. `PERPCORE_FROM_SHIPPED=0` leaves out the shipped results; `retrain`
    leaves out both. A damaged file in the run store is an error that names it; a damaged or
    outdated shipped file is passed over.
    """
    store = Store()
    if retrain:
        store.result_path(run).unlink(missing_ok=True)
        store.clear_checkpoints(run)
    else:
        stored = store.load(run)
        if stored is not None:
            return stored, "run store"
        path = shipped_folder(run.preset) / f"{run.key}.h5"
        if os.environ.get("PERPCORE_FROM_SHIPPED", "1") != "0" and path.exists():
            try:
                return read_result(path, run), "shipped results"
            except DamagedResultError as error:
                print(error)
    return train(run, store, device, progress=progress), "trained now"


def obtain_all(
    runs: Sequence[Run], *, device: str = "auto", retrain: bool = False
) -> dict[str, list[Result]]:
    """Results by loss, one per seed; prints where they came from."""
    results: dict[str, list[Result]] = {}
    sources: dict[str, list[str]] = {}
    for run in runs:
        result, source = obtain(run, device=device, retrain=retrain)
        results.setdefault(run.loss, []).append(result)
        sources.setdefault(source, []).append(run.loss)
    for source, losses in sources.items():
        print(f"{source}: {', '.join(losses)}")
    return results


def _validate(model: nn.Module, data: PhantomRecon) -> dict[str, float]:
    """Mean validation metrics over all accelerations."""
    n = data.run.n_validation
    metrics, _, _ = _evaluate_split(model, data, "validation", n)
    return metrics.drop(columns=["image", "acceleration"]).mean().to_dict()


def _test(
    model: nn.Module, data: PhantomRecon
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    with torch.no_grad():
        return _evaluate_split(model, data, "test", data.run.n_test)


def zero_filled_result(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test metrics and calibration of the network's input, for comparison."""
    metrics, calibration, _ = _test(nn.Identity(), PhantomRecon(run))
    return metrics, calibration


def _evaluate_split(
    model: nn.Module, data: PhantomRecon, split: str, count: int
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, np.ndarray]]:
    run = data.run
    frames, calibration = [], []
    examples: dict[str, np.ndarray] = {}
    for acceleration in run.accelerations:
        sums = np.zeros((3, len(CALIBRATION_BINS) - 1))
        for first in range(0, count, run.batch):
            batch = data.batch(split, range(first, min(first + run.batch, count)), acceleration)
            pred = model(*batch.inputs)
            frame = pd.DataFrame(
                {k: v.cpu().numpy() for k, v in evaluate(pred, batch.target, batch.body).items()}
            )
            frame.insert(0, "image", np.arange(first, first + len(frame)))
            frame.insert(0, "acceleration", acceleration)
            frames.append(frame)
            sums += _calibration_sums(pred, batch.target, batch.body)
            if first < N_EXAMPLES:
                kept = pred[: N_EXAMPLES - first].cpu().numpy()
                name = f"R{acceleration}"
                examples[name] = np.concatenate([examples[name], kept]) if first else kept
        calibration.append(_calibration_table(sums, acceleration))
    return pd.concat(frames, ignore_index=True), pd.concat(calibration, ignore_index=True), examples


def _calibration_sums(pred: Tensor, target: Tensor, body: Tensor) -> np.ndarray:
    """Count, Σ|Ŷ| and Σ|Y| of the body's pixels in bins of |Y|/max|Y|; (3, bin)."""
    size = target.abs()
    peak = size.amax((-2, -1), keepdim=True)
    y, p = ((x / peak)[body].cpu().numpy() for x in (size, pred.abs()))
    weights: tuple[np.ndarray | None, ...] = (None, p, y)
    return np.stack([np.histogram(y, CALIBRATION_BINS, weights=w)[0] for w in weights])


def _calibration_table(sums: np.ndarray, acceleration: int) -> pd.DataFrame:
    count, pred, target = sums
    filled = count > 0
    return pd.DataFrame(
        {
            "acceleration": acceleration,
            "target": target[filled] / count[filled],
            "pred": pred[filled] / count[filled],
            "count": count[filled],
        }
    )
