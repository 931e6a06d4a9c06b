"""The run store: where the result of a run lies, how it is written, found and checked.

One folder per run, named by its key, holds `result.h5` and, while it trains, checkpoints.
"""

from __future__ import annotations

import io
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch
from filelock import FileLock
from torch import Tensor

import perpcore
from perpcore.experiments.configs import FORMAT_VERSION, Run
from perpcore.files import seal, unseal, write_atomically
from perpcore.sources import source_hash

_MAGIC = "perpcore result"
_TABLES = ("metrics", "history", "calibration")


class DamagedResultError(RuntimeError):
    """A results file that is not whole, not ours or of another run."""


@dataclass
class Result:
    """What a run leaves behind.

    `metrics` has one row per test image and acceleration; `history` one per validation;
    `calibration` one per acceleration and bin of |Y|; `examples` are complex64 images, one entry
    per acceleration; `weights` the network's parameters.
    """

    run: Run
    metrics: pd.DataFrame
    history: pd.DataFrame
    calibration: pd.DataFrame
    examples: dict[str, np.ndarray]
    weights: dict[str, Tensor]
    provenance: dict[str, Any]


def project_root() -> Path:
    """Folder that holds notebooks/ and figures/: the nearest above the working folder."""
    here = Path.cwd()
    for folder in (here, *here.parents, Path(perpcore.__file__).parents[1]):
        if (folder / "notebooks").is_dir() and (folder / "perpcore").is_dir():
            return folder
    return here


def runs_folder() -> Path:
    """The run store: `PERPCORE_RUNS`, or data/runs of the project."""
    return Path(os.environ.get("PERPCORE_RUNS") or project_root() / "data" / "runs")


def shipped_path(run: Run) -> Path:
    """File of a result that comes with the project, there or not: data/results/<preset>/."""
    return shipped_folder(run.preset) / f"{run.name}.h5"


def shipped_folder(preset: str) -> Path:
    """Where the results of a preset lie that come with the project."""
    return project_root() / "data" / "results" / preset


def shipped_is_current(preset: str) -> bool:
    """Whether the shipped results are of today's code, as `stamp_shipped` last said."""
    stamp = shipped_folder(preset) / "code.json"
    return stamp.exists() and json.loads(stamp.read_text())["code"] == source_hash()


def stamp_shipped(preset: str) -> None:
    """Record that the shipped results of a preset are what today's code gives."""
    content = json.dumps({"code": source_hash()}) + "\n"
    write_atomically(shipped_folder(preset) / "code.json", content.encode())


class Store:
    """Results by run, in a folder."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = runs_folder() if root is None else Path(root)

    def result_path(self, run: Run) -> Path:
        """File of the run's result, there or not."""
        return self.root / run.key / "result.h5"

    def checkpoint_path(self, run: Run) -> Path:
        """File that training continues from."""
        return self.root / run.key / "checkpoint.pt"

    def load(self, run: Run) -> Result | None:
        """The result, or None where there is none; a damaged one raises DamagedResultError."""
        path = self.result_path(run)
        return read_result(path, run) if path.exists() else None

    def save(self, result: Result) -> Path:
        """Write atomically and drop the checkpoints."""
        path = self.result_path(result.run)
        write_atomically(path, encode_result(result))
        self.clear_checkpoints(result.run)
        return path

    def discard(self, run: Run) -> None:
        """Forget the run, so that it is trained from its first step."""
        self.result_path(run).unlink(missing_ok=True)
        self.clear_checkpoints(run)

    def clear_checkpoints(self, run: Run) -> None:
        """Remove what training would continue from."""
        for file in (self.root / run.key).glob("checkpoint*.pt"):
            file.unlink()

    def lock(self, run: Run) -> FileLock:
        """Held by the process that trains the run; another one waits."""
        folder = self.root / run.key
        folder.mkdir(parents=True, exist_ok=True)
        return FileLock(folder / "lock")

    def paths(self) -> list[Path]:
        """Files of all results, whatever is in them and whatever code made them."""
        return sorted(self.root.glob("*/result.h5"))


def encode_result(result: Result, *, half_weights: bool = False) -> bytes:
    """HDF5 file as bytes, with a SHA-256 behind its end, so that damage is noticed.

    Examples are kept in half precision (they are looked at, not measured); so are the weights
    where `half_weights`, rounded to the 8 significant bits of bfloat16, which compress better.
    """
    buffer = io.BytesIO()
    options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
    with h5py.File(buffer, "w", libver="v110") as file:
        file.attrs.update(
            {
                "kind": _MAGIC,
                "format": FORMAT_VERSION,
                "run": result.run.to_json(),
                "provenance": json.dumps(result.provenance, sort_keys=True),
            }
        )
        for name in _TABLES:
            file.create_group(name, track_order=True)  # columns in the order of the table
            for column, values in getattr(result, name).items():
                file.create_dataset(f"{name}/{column}", data=values.to_numpy(), **options)
        file.create_group("examples")
        for name, image in result.examples.items():
            parts = np.stack([image.real, image.imag], -1).astype(np.float16)
            file.create_dataset(f"examples/{name}", data=parts, **options)
        file.create_group("weights")
        for name, weight in result.weights.items():
            rounded = weight.bfloat16().half() if half_weights else weight
            array = np.atleast_1d(rounded.detach().cpu().numpy())
            file.create_dataset(f"weights/{name}", data=array, **options)
    return seal(buffer.getvalue())


def read_result(path: Path, run: Run | None = None) -> Result:
    """Read and check a results file; with `run`, it must be of that run.

    Raises DamagedResultError naming the file and what is wrong with it.
    """
    try:
        # libhdf5 can loop for ever in a damaged file, so it gets none to read.
        payload = unseal(path.read_bytes())
        if payload is None:
            raise ValueError("its checksum does not fit, or it has none")
        with h5py.File(io.BytesIO(payload), "r") as file:
            if file.attrs.get("kind") != _MAGIC or file.attrs.get("format") != FORMAT_VERSION:
                raise ValueError(f"not of format {FORMAT_VERSION}")
            stored = Run.from_json(file.attrs["run"])
            tables = {
                name: pd.DataFrame({column: values[()] for column, values in file[name].items()})
                for name in _TABLES
            }
            examples = {
                name: parts[..., 0].astype(np.float32) + 1j * parts[..., 1].astype(np.float32)
                for name, parts in ((n, d[()]) for n, d in file["examples"].items())
            }
            weights = {
                name: torch.from_numpy(values[()].astype(np.float32))
                for name, values in file["weights"].items()
            }
            provenance = json.loads(file.attrs["provenance"])
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DamagedResultError(
            f"{path}: damaged or not a results file ({error}); delete it to train the run again"
        ) from None
    if run is not None and stored != run:
        raise DamagedResultError(
            f"{path}: holds another run ({stored.loss}, key {stored.key}), not {run.key}; "
            "delete it to train the run again"
        )
    return Result(
        run or stored, examples=examples, weights=weights, provenance=provenance, **tables
    )


def provenance(device: torch.device, seconds: float, memory_gb: float) -> dict[str, Any]:
    """Where and with what a result was made."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else device.type,
        # Kernels for other instructions add in another order, and so give other bits.
        "machine": f"{platform.system()} {platform.machine()} "
        f"({torch.backends.cpu.get_cpu_capability()}), {os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "perpcore": perpcore.__version__,
        "commit": _git_commit(),
        "code": source_hash(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "peak_memory_gb": round(memory_gb, 2),
    }


def _git_commit() -> str:
    command = ["git", "-C", str(project_root()), "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
