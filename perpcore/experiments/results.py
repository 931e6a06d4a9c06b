"""Results: HDF5 files in data/results/<preset>/ (precomputed) and data/runs/<preset>/ (own), by configuration."""

import io
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from torch import Tensor

import perpcore
from perpcore._files import project_root, write_atomically
from perpcore.experiments.configs import Config, from_dict
from perpcore.statistics import Interval, mean_interval

Summary = dict[str, Interval]

RESULTS_VERSION = 4
"""Raise by hand when a run would give other numbers; tests/experiments/test_golden.py tells."""

_TABLES = ("metrics", "history", "calibration")


@dataclass
class Result:
    """What a run leaves behind."""

    config: Config
    metrics: pd.DataFrame  # one row per test image and acceleration
    history: pd.DataFrame  # one per validation
    calibration: pd.DataFrame  # one per acceleration and bin of |Y|
    examples: dict[str, np.ndarray]  # complex64 images or fields, one entry per acceleration
    weights: dict[str, Tensor]  # the network's parameters
    provenance: dict[str, Any]


def precomputed_folder(preset: str) -> Path:
    """Return where the results of a preset lie that come with the project."""
    return project_root() / "data" / "results" / preset


def precomputed_path(config: Config) -> Path:
    """Return the file of a precomputed result, there or not."""
    return precomputed_folder(config.preset) / f"{config.name}.h5"


def own_path(config: Config) -> Path:
    """Return the file of an own run's result, there or not."""
    return project_root() / "data" / "runs" / config.preset / f"{config.name}.h5"


def load_result(path: Path, config: Config) -> Result | None:
    """Read a result; None where none of this configuration and `RESULTS_VERSION` is.

    Raises ValueError naming a file that is damaged, or not a result.
    """
    if not path.exists():
        return None
    try:
        with h5py.File(path, "r") as file:
            if int(file.attrs["results_version"]) != RESULTS_VERSION:  # its configuration may have other fields
                return None
            made_by, made = from_dict(json.loads(file.attrs["config"])), json.loads(file.attrs["provenance"])
            groups = {g: {n: array[()] for n, array in file[g].items()} for g in (*_TABLES, "examples", "weights")}
        tables = {name: pd.DataFrame(groups[name]) for name in _TABLES}
        examples = {n: parts.astype(np.float32).view(np.complex64)[..., 0] for n, parts in groups["examples"].items()}
        weights = {name: torch.from_numpy(array.astype(np.float32)) for name, array in groups["weights"].items()}
    except (OSError, KeyError, ValueError, RuntimeError) as error:  # whatever does not fit is damage
        raise ValueError(f"{path}: damaged, or not a result ({error}); delete it to train the run again") from None
    if made_by != config:
        return None
    # Equal configurations may differ in where images lie: the one asked for is returned.
    return Result(config, examples=examples, weights=weights, provenance=made, **tables)


def write_result(path: Path, result: Result) -> None:
    """Write a result whole or not at all, with checksums; examples are kept in half precision."""
    groups = {name: {column: v.to_numpy() for column, v in getattr(result, name).items()} for name in _TABLES}
    groups["examples"] = {n: np.stack([z.real, z.imag], -1).astype(np.float16) for n, z in result.examples.items()}
    groups["weights"] = {name: np.atleast_1d(w.detach().cpu().numpy()) for name, w in result.weights.items()}
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver="v110") as file:
        file.attrs["results_version"] = RESULTS_VERSION
        file.attrs["config"] = json.dumps(asdict(result.config), sort_keys=True)
        file.attrs["provenance"] = json.dumps(result.provenance, sort_keys=True)
        for group, arrays in groups.items():
            target = file.create_group(group, track_order=group in _TABLES)  # columns in the order of the table
            for name, array in arrays.items():
                target.create_dataset(name, data=array, compression=9, shuffle=True, fletcher32=True)
    write_atomically(path, buffer.getvalue())


def summarize(results: Sequence[Result]) -> Summary:
    """Mean and 95 % interval of each metric over the seeds of one run and images, accelerations averaged."""
    tables = [r.metrics.groupby("image").mean().drop(columns="acceleration") for r in results]
    return {str(name): mean_interval(np.stack([t[name] for t in tables])) for name in tables[0]}


def own_results(configs: Sequence[Config]) -> list[Result]:
    """Read own results; raises ValueError naming the first that is not there."""
    results = []
    for config in configs:
        if (result := load_result(own_path(config), config)) is None:
            raise ValueError(f"{own_path(config)}: no result of this configuration")
        results.append(result)
    return results


def precomputed_table(preset: str, name: str) -> pd.DataFrame:
    """Read NAME.csv of the precomputed results; empty where it is missing or of another `RESULTS_VERSION`."""
    path = precomputed_folder(preset) / f"{name}.csv"
    table = pd.read_csv(path) if path.exists() else pd.DataFrame({"results_version": []})
    return table[table.results_version == RESULTS_VERSION].drop(columns=["results_version", "commit"], errors="ignore")


def precomputed_summaries(preset: str) -> dict[str, Summary]:
    """Read the precomputed summaries of trials."""
    summaries: dict[str, Summary] = {}
    for row in precomputed_table(preset, "trials").itertuples():
        summaries.setdefault(row.trial, {})[row.metric] = Interval(row.mean, row.low, row.high)
    return summaries


def commit() -> str:
    """Return the project's commit, with -dirty after it where files differ; "unknown" without git."""
    said = subprocess.run("git describe --always --dirty", shell=True, cwd=project_root(), capture_output=True).stdout
    return said.decode().strip() or "unknown"


def provenance(device: torch.device, seconds: float, memory_gb: float) -> dict[str, Any]:
    """Say where and with what a result was made."""
    # Kernels for other instructions add in another order, and so give other bits.
    instructions = torch.backends.cpu.get_cpu_capability()
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "machine": f"{platform.system()} {platform.machine()} ({instructions}), {os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(), "python": platform.python_version(), "torch": torch.__version__,
        "numpy": np.__version__, "perpcore": perpcore.__version__, "commit": commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1), "peak_memory_gb": round(memory_gb, 2),
    }  # fmt: skip
