"""How a run gets its result."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import Tensor, distributed, nn

from perpcore.data.datasets import PhantomMotion, PhantomMultiCoil, PhantomRecon
from perpcore.data.readers.measured import MeasuredMotion, MeasuredRecon
from perpcore.evaluation import Evaluation, ReconData, evaluate_motion, evaluate_recon
from perpcore.experiments.configs import MotionRun, Run
from perpcore.experiments.results import (
    DamagedResultError,
    Result,
    Store,
    provenance,
    read_result,
    shipped_is_current,
    shipped_path,
)
from perpcore.losses import LOSSES
from perpcore.models import MotionNet, UNet, UnrolledNet, parameter_count
from perpcore.training import fit, peak_memory, pick_device, processes


class Task(NamedTuple):
    """What `make_task` returns."""

    data: ReconData | PhantomMotion
    evaluate: Callable[[nn.Module, str, int], Evaluation]
    main_metric: str


def build_loss(run: Run) -> nn.Module:
    """The run's loss, on complex images or on fields; w applies to ⊥+ℓ1 and ⊥+ℓ2."""
    options: dict[str, Any] = {"dim": 1} if isinstance(run, MotionRun) else {}
    options.update(run.loss_options)
    if run.loss in ("perp_l1", "perp_l2"):
        options["weight"] = run.weight
    loss = LOSSES[run.loss](**options)
    return loss if run.loss_scale == 1 else ScaledLoss(loss, run.loss_scale)


class ScaledLoss(nn.Module):
    """A loss of images that are scaled otherwise; network and optimiser do not notice."""

    def __init__(self, loss: nn.Module, scale: float) -> None:
        super().__init__()
        self.loss, self.scale = loss, scale

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss of the scaled pair."""
        value: Tensor = self.loss(self.scale * pred, self.scale * target)
        return value


def build_model(run: Run, weights: dict[str, Tensor] | None = None) -> nn.Module:
    """The run's network: at its seed's initialisation, or with trained weights, ready for use."""
    # Its own random state: equal for every loss and untouched by what ran before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model: nn.Module
        if isinstance(run, MotionRun):
            channels = 1 if run.inputs == "magnitude" else 2
            model = MotionNet(channels, run.width, run.depth, run.flow)
        elif run.cascades:
            model = UnrolledNet(run.cascades, run.width, run.depth)
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
    Under torchrun the processes share the training, and the first one keeps the result.
    """
    store = store or Store()
    rank, world = processes()
    with store.lock(run) if rank == 0 else nullcontext():
        if world > 1:
            distributed.barrier()  # not before the first process holds the lock
        done = store.load(run)
        if world > 1:
            distributed.barrier()  # all have looked before it can be written
        if done is not None:
            return done
        target = pick_device(device)
        began = time.perf_counter()
        task = make_task(run, target)
        model = build_model(run).to(target)
        loss = build_loss(run).to(target)

        def validate(network: nn.Module) -> dict[str, float]:
            metrics = task.evaluate(network, "validation", run.n_validation).metrics
            means: dict[str, float] = (
                metrics.drop(columns=["image", "acceleration"]).mean().to_dict()
            )
            return means

        history = fit(
            run, model, loss, task.data.training_batch, validate,
            checkpoint=store.checkpoint_path(run), progress=progress,
            main_metric=task.main_metric,
            warmup=(run.warmup, LOSSES["epe"]()) if isinstance(run, MotionRun) else None,
        )  # fmt: skip
        with torch.no_grad():
            tested = task.evaluate(model, run.evaluate_on, run.n_test)
        seconds = time.perf_counter() - began
        record = provenance(target, seconds, peak_memory(target))
        record["parameters"] = parameter_count(model)
        result = Result(
            run, tested.metrics, pd.DataFrame(history), tested.calibration, tested.examples,
            {name: value.cpu() for name, value in model.state_dict().items()}, record,
        )  # fmt: skip
        if rank == 0:
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
                if shipped_is_current(run.preset):
                    return read_result(path, run), "shipped results"
                print(f"{path}: made by other code than today's, not used")
            except DamagedResultError as error:
                print(error)
    return train(run, store, device, progress=progress), "trained now"


def obtain_all(
    runs: Sequence[Run], *, device: str = "auto", retrain: bool = False
) -> dict[str, list[Result]]:
    """Results by `Run.label`, one per seed; prints where they came from."""
    results: dict[str, list[Result]] = {}
    sources: dict[str, list[str]] = {}
    for run in runs:
        result, source = obtain(run, device=device, retrain=retrain)
        results.setdefault(run.label, []).append(result)
        sources.setdefault(source, []).append(run.label)
    for source, labels in sources.items():
        seeds = Counter(labels).items()
        print(f"{source}: {', '.join(f'{label} × {n}' if n > 1 else label for label, n in seeds)}")
    return results


def make_task(run: Run, device: torch.device | str = "cpu") -> Task:
    """The data of a run, how a network is evaluated on them, and what a progress bar shows."""
    if isinstance(run, MotionRun):
        motion = motion_data(run, device)
        return Task(motion, lambda m, split, n: evaluate_motion(m, motion, split, n), "epe")
    recon = recon_data(run, device)
    return Task(recon, lambda m, split, n: evaluate_recon(m, recon, split, n), "psnr")


def zero_filled_result(run: Run) -> Evaluation:
    """Test metrics and calibration of the network's input, for comparison."""

    class ZeroFilled(nn.Module):
        def forward(self, zero_filled: Tensor, *others: Tensor) -> Tensor:
            return zero_filled

    return evaluate_recon(ZeroFilled(), recon_data(run), "test", run.n_test)


def recon_data(run: Run, device: torch.device | str = "cpu") -> ReconData:
    """The images of a reconstruction run, generated or measured."""
    if run.data != "phantom":
        return MeasuredRecon(run, device)
    return PhantomMultiCoil(run, device) if run.coils > 1 else PhantomRecon(run, device)


def zero_field_result(run: MotionRun) -> Evaluation:
    """The same for registration: of the field that is zero everywhere."""

    class ZeroField(nn.Module):
        def forward(self, fixed: Tensor, moving: Tensor) -> Tensor:
            return torch.zeros(len(fixed), 2, *fixed.shape[1:], device=fixed.device)

    return evaluate_motion(ZeroField(), motion_data(run), "test", run.n_test)


def motion_data(run: MotionRun, device: torch.device | str = "cpu") -> PhantomMotion:
    """The pairs of a registration run, generated or measured."""
    return PhantomMotion(run, device) if run.data == "coronal" else MeasuredMotion(run, device)
