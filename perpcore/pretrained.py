"""Trained networks that come with the project: per task and loss, the best seed of preset `cpu`.

`models.load_pretrained` is what users call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from perpcore.experiments import build_model
from perpcore.experiments.configs import Run
from perpcore.experiments.results import DamagedResultError, Result, project_root
from perpcore.files import write_atomically
from perpcore.grid import SELECTION


def folder() -> Path:
    """Where the files lie: data/pretrained/ of the project."""
    return project_root() / "data" / "pretrained"


def names() -> list[str]:
    """Names of the networks that are there, "task/loss"."""
    files = folder().glob("*/*.safetensors")
    return sorted(f"{path.parent.name}/{path.stem}" for path in files)


def load(name: str) -> nn.Module:
    """See `models.load_pretrained`."""
    run, weights = _read(name)
    try:
        return build_model(run, weights)
    except RuntimeError as error:
        raise DamagedResultError(f"{_path(name)}: not of today's network ({error})") from None


def load_run(name: str) -> Run:
    """The run that trained a network: its data, steps, learning rate, weight, seed."""
    return _read(name)[0]


def ship(results: Iterable[Result]) -> list[Path]:
    """Write the network of the best seed of every task and loss, in half precision.

    Best by the last validation metric that also chose the learning rates (`grid.SELECTION`).
    """
    best: dict[str, tuple[float, Result]] = {}
    for result in results:
        run = result.run
        metric, better = SELECTION[run.task]
        name = f"{'unrolled' if run.cascades else run.task}/{run.label}"
        value = float(result.history[metric].iloc[-1])
        if name not in best or better(value, best[name][0]) != best[name][0]:
            best[name] = value, result
    written = []
    for name, (_, result) in best.items():
        weights = {key: weight.half().contiguous() for key, weight in result.weights.items()}
        record = {"run": result.run.to_json(), "sha256": _digest(weights)}
        write_atomically(_path(name), save(weights, record))
        written.append(_path(name))
    return written


def _path(name: str) -> Path:
    return folder() / f"{name}.safetensors"


def _read(name: str) -> tuple[Run, dict[str, Tensor]]:
    if name not in names():
        raise ValueError(f"name: expected one of {', '.join(names()) or 'none'}, got {name!r}")
    try:
        with safe_open(_path(name), "pt") as file:
            record = file.metadata() or {}
            stored = file.keys()
            weights = {key: file.get_tensor(key) for key in stored}
        if record.get("sha256") != _digest(weights):
            raise ValueError("its checksum does not fit, or it has none")
        return Run.from_json(record["run"]), {k: w.float() for k, w in weights.items()}
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise DamagedResultError(f"{_path(name)}: damaged ({error})") from None


def _digest(weights: dict[str, Tensor]) -> str:
    return hashlib.sha256(
        b"".join(weights[k].numpy().tobytes() for k in sorted(weights))
    ).hexdigest()
