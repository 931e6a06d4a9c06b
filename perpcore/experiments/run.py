"""How a configuration becomes a result: data, model, loss → `fit` → test → file."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, cpu_count, delayed, parallel_config
from torch import Tensor, nn

from perpcore._checks import require
from perpcore.classical import METHODS
from perpcore.data.datasets import PhantomMotion, PhantomRecon, RegistrationBatch, Samples
from perpcore.data.kspace import PIXELS
from perpcore.data.measured import MeasuredMotion, MeasuredRecon
from perpcore.data.motion import jacobian_determinant, warp
from perpcore.data.readers.open import fingerprint, open_source
from perpcore.experiments import results as files
from perpcore.experiments.configs import Config, ReconConfig, RegistrationConfig, from_dict
from perpcore.experiments.results import Result, Summary, load_result, own_path, write_result
from perpcore.experiments.trials import Trial
from perpcore.losses import LOSSES
from perpcore.metrics import evaluate_fields, evaluate_images, psnr
from perpcore.models import MODELS, load_pretrained, parameter_count, pretrained_names
from perpcore.training import fit, peak_memory, pick_device

N_EXAMPLES = 2
RECON_BINS = np.linspace(0, 1, 21)  # of |Y| / max |Y|
MOTION_BINS = np.linspace(0, 1, 13)  # of |u| over the largest amplitude of the data


def train(
    config: Config, device: str = "auto", *, path: Path | None = None, progress: bool = True, precision: str = "float32"
) -> Result:
    """Make a result in `path`, by default `own_path`: one that is there is returned, a run that was killed goes on."""
    path, where = path or own_path(config), pick_device(device)
    if (done := load_result(path, config)) is not None:
        return done
    began = time.perf_counter()
    data, size = open_data(config, where), config.batch_size
    validation = [data("validation", acceleration) for acceleration in config.accelerations]
    test = [data(config.evaluate_on, **setting) for setting in config.settings]
    checkpoint = path.with_suffix(".checkpoint.pt")
    predict: Predict
    if isinstance(config, ReconConfig) and config.method in METHODS:
        chosen = tune(config.method, validation, config.n_validation)
        reconstruct = METHODS[config.method].reconstruct
        predict = lambda batch, acceleration: reconstruct(batch, *chosen[acceleration])  # noqa: E731
        learnt: dict[str, Any] = {"tuned": {f"R{acceleration}": [*found] for acceleration, found in chosen.items()}}
        history, weights = {}, {}
    else:
        model, training = build_model(config, pretrained(config)).train().to(where), data("train")

        def validate(network: nn.Module) -> dict[str, float]:
            table = evaluate(lambda batch, _: network(*batch.inputs), validation, config.n_validation, size).metrics
            return {str(k): float(v) for k, v in table.iloc[:, 2:].mean().items()}

        history = fit(
            model, build_loss(config).to(where), lambda step: training.batch(range(step * size, (step + 1) * size)),
            validate, steps=config.steps, learning_rate=config.learning_rate, validate_every=config.validate_every,
            warmup=(config.warmup, LOSSES["epe"]()) if isinstance(config, RegistrationConfig) else None,
            checkpoint=checkpoint, identity=json.dumps([files.RESULTS_VERSION, asdict(config)]),
            progress=config.name if progress else "", precision=precision,
        )  # fmt: skip
        predict = lambda batch, acceleration: model(*batch.inputs)  # noqa: E731
        learnt = {"parameters": parameter_count(model), "precision": precision}
        weights = {name: value.cpu() for name, value in model.state_dict().items()}
    with torch.no_grad():
        tested = evaluate(predict, test, config.n_test, size)
    for name in config.settings[0].keys() - {"acceleration"}:  # of a mixture
        tested.metrics[name] = np.repeat([setting[name] for setting in config.settings], config.n_test)
    record = files.provenance(where, time.perf_counter() - began, peak_memory(where)) | learnt
    result = Result(config, **tested._asdict(), history=pd.DataFrame(history), weights=weights, provenance=record)
    write_result(path, result)
    checkpoint.unlink(missing_ok=True)
    return result


def tune(method: str, validation: Sequence[Samples[Any]], count: int) -> dict[int, tuple[float, ...]]:
    """Choose the parameters of a classical method per acceleration: highest mean PSNR of `count` images."""
    reconstruct, grid = METHODS[method]
    chosen = {}
    for samples in validation:
        batch = samples.batch(range(count))
        chosen[samples.accelerations[0]] = max(
            grid, key=lambda p: psnr(reconstruct(batch, *p), batch.target, batch.foreground).mean().item()
        )
    return chosen


def open_data(config: Config, device: torch.device | str = "cpu") -> Callable[..., Samples[Any]]:
    """Open images: a function of split, acceleration (None: mixed) and what else to change.

    Raises ValueError where the files are not those of the run.
    """
    generated, is_recon = config.data == "generated", isinstance(config, ReconConfig)
    names = ["size", "sampling", "noise", "seed", *(("n_coils", "target_noise") if is_recon else ("sliding",))]
    kind: Callable[..., Samples[Any]]
    if generated:
        kind = PhantomRecon if is_recon else PhantomMotion
        names += ["anatomy", "roughness"] if is_recon else []
    else:
        volumes = open_source(config.source, skip_bad=config.skip_bad, **dict(config.reader_options))
        found = fingerprint(volumes)
        fits = config.data.endswith(found)
        require(fits, f"{config.source}: expected the files of the run, {config.data}, got {found}")
        kind = partial(MeasuredRecon if is_recon else MeasuredMotion, volumes, config.test_subjects)
        names.append("skip_bad")
    options = {name: getattr(config, name) for name in names}
    lengths = {"train": config.steps * config.batch_size, "validation": config.n_validation}

    def of_split(split: str, acceleration: int | None = None, **changes: Any) -> Samples[Any]:
        accelerations = config.accelerations if acceleration is None else (acceleration,)
        length = lengths.get(split, config.n_test)
        return kind(split, length, accelerations=accelerations, device=device, **{**options, **changes})

    return of_split


def build_model(config: Config, weights: dict[str, Tensor] | None = None) -> nn.Module:
    """Build the network of a run, at its seed's initialisation or with trained weights."""
    name, arguments = config.network
    # Its own random state: equal for every loss and untouched by what ran before.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = MODELS[name](**arguments)
    if weights is not None:
        model.load_state_dict(weights)
        model.eval()
    return model


def pretrained(config: Config) -> dict[str, Tensor] | None:
    """Weights that a run on measured images begins with: of the same network and loss, trained on generated images."""
    name = f"{replace(config, data='generated').comparison}/{config.label}"
    if config.data == "generated" or name not in pretrained_names():
        return None
    network: Any = load_pretrained(name)
    return network.state_dict() if from_dict(network.config).network == config.network else None


def build_loss(config: Config) -> nn.Module:
    """Build the loss of a run, on complex images or on fields; w applies to ⊥+ℓ1 and ⊥+ℓ2."""
    options: dict[str, Any] = {"dim": 1} if isinstance(config, RegistrationConfig) else {}
    options |= config.loss_options
    if config.loss in ("perp_l1", "perp_l2"):
        options["weight"] = config.weight
    return LOSSES[config.loss](**options)


class Evaluation(NamedTuple):
    """One row of `metrics` per image and acceleration; see `Result` for the rest."""

    metrics: pd.DataFrame
    calibration: pd.DataFrame
    examples: dict[str, np.ndarray]


Predict = Callable[[Any, int], Tensor]  # from a batch and its acceleration


def evaluate(predict: Predict, data: Sequence[Samples[Any]], count: int, batch_size: int) -> Evaluation:
    """Test a prediction on the first `count` samples of data sets, one per acceleration."""
    metrics, calibration, examples = [], [], {}
    for samples in data:
        (acceleration,) = samples.accelerations
        sums, kept = [], []
        for first in range(0, count, batch_size):
            numbers = range(first, min(first + batch_size, count))
            batch = samples.batch(numbers)
            pred = predict(batch, acceleration)
            measured, found = _measure(pred, batch)
            columns = {name: values.cpu().numpy() for name, values in measured.items()}
            metrics.append(pd.DataFrame({"acceleration": acceleration, "image": numbers, **columns}))
            sums.append(found)
            kept.append(pred[: max(N_EXAMPLES - first, 0)].cpu().numpy())
        examples[f"R{acceleration}"] = np.concatenate(kept)
        pixels, true, pred_sum = np.sum(sums, 0)
        filled = np.maximum(pixels, 1)  # empty bins stay, so that the tables of all losses align
        row = {"target": true / filled, "pred": pred_sum / filled, "count": pixels}
        calibration.append(pd.DataFrame({"acceleration": acceleration, **row}))
    return Evaluation(pd.concat(metrics, ignore_index=True), pd.concat(calibration, ignore_index=True), examples)


def _measure(pred: Tensor, batch: Any) -> tuple[dict[str, Tensor], np.ndarray]:
    """Return metrics per sample, and pixels, Σ true and Σ predicted length per bin."""
    inside = batch.foreground
    if not isinstance(batch, RegistrationBatch):
        size = batch.target.abs()
        relative = size / size.amax((-2, -1), keepdim=True)
        sums = _sums(relative[inside], size[inside], pred.abs()[inside], RECON_BINS)
        return evaluate_images(pred, batch.target, inside), sums
    metrics = evaluate_fields(pred, batch.target, inside)
    folded = (jacobian_determinant(pred) <= 0) & inside
    metrics["folded_area"] = 100 * folded.sum((-2, -1)) / inside.sum((-2, -1))
    reference = batch.fixed_full.abs() * inside
    error = warp(batch.moving_full.abs(), pred) * inside - reference
    size = partial(torch.linalg.vector_norm, dim=PIXELS)
    metrics["warp_nrmse"] = size(error) / size(reference)
    true, found = (torch.linalg.vector_norm(u, dim=1)[inside] for u in (batch.target, pred))
    return metrics, _sums(true / PhantomMotion.largest(pred.shape[-1]), true, found, MOTION_BINS)


def _sums(position: Tensor, true: Tensor, found: Tensor, bins: np.ndarray) -> np.ndarray:
    where, *lengths = (x.cpu().numpy() for x in (position, true, found))
    return np.stack([np.histogram(where, bins, weights=weights)[0] for weights in (None, *lengths)])


def baseline(config: RegistrationConfig) -> Evaluation:
    """Test what a registration has to beat: the field that is zero."""
    data = open_data(config)
    test = [data("test", **setting) for setting in config.settings]
    return evaluate(lambda batch, acceleration: torch.zeros_like(batch.target), test, config.n_test, config.batch_size)


def train_all(configs: Sequence[Config], device: str = "auto", workers: int = 0, precision: str = "float32") -> None:
    """Train what has no own result; `workers` 0: one per CPU core (at most 8), or one on a GPU. Prints progress."""
    missing = [c for c in dict.fromkeys(configs) if load_result(own_path(c), c) is None]
    if not missing:
        return
    cores, on_cpu = cpu_count(), pick_device(device).type == "cpu"
    count = min(workers or (min(cores, 8) if on_cpu else 1), len(missing))
    threads = max(cores // count, 1)
    print(f"training {len(missing)} of {len(configs)} runs, {count} at a time", flush=True)
    began, work, finished = time.perf_counter(), sum(map(_work, missing)), 0
    with parallel_config("loky", inner_max_num_threads=threads):
        runs = [delayed(_train_one)(config, device, threads, own_path(config), precision) for config in missing]
        for done, config in enumerate(Parallel(count, return_as="generator_unordered")(runs), 1):
            finished += _work(config)
            minutes = (time.perf_counter() - began) / 60
            left = minutes / finished * (work - finished)
            print(f"{done}/{len(missing)} {config.name} after {minutes:.1f} min, {left:.1f} left", flush=True)


def _train_one(config: Config, device: str, threads: int, path: Path, precision: str) -> Config:
    torch.set_num_threads(threads)
    train(config, device, path=path, progress=sys.stdout.isatty(), precision=precision)
    return config


def _work(config: Config) -> int:
    """Return a number that is roughly proportional to the minutes of a run."""
    unrolled = getattr(config, "method", "") == "UnrolledNet"
    return config.steps * config.batch_size * config.size**2 * (3 if unrolled else 1)


def load_or_train(
    configs: Sequence[Config], *, own_runs: bool = False, device: str = "auto"
) -> dict[str, list[Result]]:
    """Return results by `Config.label`, one per seed, and print where they came from.

    All precomputed ones, but with `own_runs`; else all own ones, training what is missing: never a mixture of both.
    """
    found = [] if own_runs else [r for c in configs if (r := load_result(files.precomputed_path(c), c))]
    where = "precomputed results"
    if len(found) < len(configs):
        train_all(configs, device)
        found, where = files.own_results(configs), "own runs"
    print(f"{len(configs)} {where}, preset {configs[0].preset}")
    labels = dict.fromkeys(result.config.label for result in found)
    return {label: [result for result in found if result.config.label == label] for label in labels}


def load_or_train_trials(
    trials: Sequence[Trial], *, own_runs: bool = False, device: str = "auto"
) -> dict[str, Summary]:
    """Return summaries by `Trial.name`: the precomputed ones, or those of own runs, never both."""
    preset, where = trials[0].config.preset, "precomputed summaries"
    found = {} if own_runs else files.precomputed_summaries(preset)
    if not all(trial.name in found for trial in trials):
        train_all([config for trial in trials for config in trial.configs], device)
        found = {trial.name: files.summarize(files.own_results(trial.configs)) for trial in trials}
        where = "summaries of own runs"
    print(f"{len(trials)} {where}, preset {preset}")
    return found
