"""Presets, the grid of runs behind the notebooks, and how a run gets its result."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, nn

from perpcore.datasets import PhantomMotion, PhantomRecon
from perpcore.evaluation import Evaluation, evaluate_motion, evaluate_recon
from perpcore.losses import LOSSES
from perpcore.models import MotionNet, UNet, parameter_count
from perpcore.runs import MotionRun, Run
from perpcore.store import (
    DamagedResultError,
    Result,
    Store,
    provenance,
    read_result,
    shipped_path,
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


class Task(NamedTuple):
    """What `make_task` returns."""

    data: PhantomRecon | PhantomMotion
    evaluate: Callable[[nn.Module, str, int], Evaluation]
    main_metric: str


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
    """The run's loss, on complex images or on fields; w applies to ⊥+ℓ1 and ⊥+ℓ2."""
    options: dict[str, Any] = {"dim": 1} if isinstance(run, MotionRun) else {}
    if run.loss in ("perp_l1", "perp_l2"):
        options["weight"] = run.weight
    return LOSSES[run.loss](**options)


def build_model(run: Run, weights: dict[str, Tensor] | None = None) -> nn.Module:
    """The run's network: at its seed's initialisation, or with trained weights, ready for use."""
    # Its own random state: equal for every loss and untouched by what ran before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model: nn.Module
        if isinstance(run, MotionRun):
            model = MotionNet(1 if run.inputs == "magnitude" else 2, run.width, run.depth)
        else:
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
        task = make_task(run, target)
        model = build_model(run).to(target)
        loss = build_loss(run).to(target)

        def validate(network: nn.Module) -> dict[str, float]:
            metrics = task.evaluate(network, "validation", run.n_validation).metrics
            return metrics.drop(columns=["image", "acceleration"]).mean().to_dict()

        history = fit(
            run, model, loss, task.data.training_batch, validate,
            checkpoint=store.checkpoint_path(run), progress=progress,
            main_metric=task.main_metric,
            warmup=(run.warmup, LOSSES["epe"]()) if isinstance(run, MotionRun) else None,
        )  # fmt: skip
        with torch.no_grad():
            tested = task.evaluate(model, "test", run.n_test)
        seconds = time.perf_counter() - began
        record = provenance(target, seconds, peak_memory(target))
        record["parameters"] = parameter_count(model)
        result = Result(
            run, tested.metrics, pd.DataFrame(history), tested.calibration, tested.examples,
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
        store.discard(run)
    else:
        stored = store.load(run)
        if stored is not None:
            return stored, "run store"
        path = shipped_path(run)
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


def make_task(run: Run, device: torch.device | str = "cpu") -> Task:
    """The data of a run, how a network is evaluated on them, and what a progress bar shows."""
    if isinstance(run, MotionRun):
        motion = PhantomMotion(run, device)
        return Task(motion, lambda m, split, n: evaluate_motion(m, motion, split, n), "epe")
    recon = PhantomRecon(run, device)
    return Task(recon, lambda m, split, n: evaluate_recon(m, recon, split, n), "psnr")


def zero_filled_result(run: Run) -> Evaluation:
    """Test metrics and calibration of the network's input, for comparison."""
    return evaluate_recon(nn.Identity(), PhantomRecon(run), "test", run.n_test)
