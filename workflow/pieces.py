"""The comparisons of preset `paper` on a GPU that is lent for minutes: a plan, and pieces of it that resume.

    python workflow/pieces.py plan          # runs in the order of what they decide, minutes on a card, pieces
    python workflow/pieces.py run FOLDER    # train the next piece; results go to FOLDER as .tar files
    python workflow/pieces.py keep FOLDER   # results from FOLDER to data/results/paper/, to be committed
    python workflow/figures.py --preset paper --only '0[1-7]|10'

A piece needs torch, h5py, numpy, scipy, pandas, joblib, jaxtyping, safetensors and tqdm, and for brains nilearn and
nibabel. Classical methods are no part of it: `perpcore train` runs them on a CPU; their files in data/runs/paper/ are
to be copied to data/results/paper/.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import signal
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from perpcore.experiments.configs import ANATOMIES, CLASSICAL, COMPARISONS, Config
from perpcore.experiments.results import load_result, own_path, precomputed_path, write_result
from perpcore.experiments.run import build_loss, build_model, open_data, train_all

MINUTES = 9.0  # of a piece; the first and the last half minute train nothing
FLOPS, BYTES = 0.3 * 495e12, 0.5 * 3.35e12  # a second: 30 % of an H100's TF32 peak, half of its memory bandwidth
LARGEST_FILE = 15 * 2**20

QUESTIONS = (
    ("C2, C4", lambda c: c.comparison in ANATOMIES and c.label in ("l2", "perp_l2")),
    ("C5, C6", lambda c: c.comparison in ANATOMIES and c.label == "ssim"),
    ("C7", lambda c: c.comparison in ANATOMIES and c.label == "perp_ssim"),
    ("C8", lambda c: c.comparison == "registration" and c.label in ("epe", "perp_l2")),
    ("C10, U-Net", lambda c: c.comparison in ANATOMIES),
    ("other registrations", lambda c: c.comparison == "registration"),
    ("map of notebook 11", lambda c: True),
)


def ordered(preset: str) -> list[tuple[str, Config]]:
    """List the trained runs of all comparisons, with the question that each helps to decide; most important first."""
    configs = [c for runs_of in COMPARISONS.values() for c in runs_of(preset) if c.label not in CLASSICAL]
    first = [next(n for n, (_, belongs) in enumerate(QUESTIONS) if belongs(c)) for c in configs]
    return [(QUESTIONS[n][0], configs[k]) for n, k in sorted((n, k) for k, n in enumerate(first))]


class _Traffic(TorchDispatchMode):
    """Bytes that operations read and write, each from and to memory."""

    total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(x.nbytes for x in tree_leaves((args, out)) if isinstance(x, torch.Tensor))
        return out


def training_step(config: Config, device: str) -> Callable[[], None]:
    """Prepare a training step, without drawing its data and AdamW."""
    batch = open_data(config, device)("train").batch(range(config.batch_size))
    model, loss = build_model(config).to(device), build_loss(config)
    return lambda: loss(model(*batch.inputs), batch.target).backward()


def cost(config: Config) -> tuple[float, float]:
    """Count the floating-point operations and bytes of a training step; FFTs as bytes only."""
    step = training_step(config, "meta")
    with FlopCounterMode(display=False) as flops, _Traffic() as traffic:
        step()
    return float(flops.get_total_flops()), float(traffic.total)


def cpu_seconds(config: Config) -> float:
    """Measure a training step here; the second, as the first is slower."""
    step = training_step(config, "cpu")
    step()
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def plan(preset: str, measure: bool = False) -> pd.DataFrame:
    """List every run: question, size, steps, cost of a step, estimated seconds on a card, and its piece."""
    rows, known, piece, filled = [], {}, 1, 0.0
    for question, config in ordered(preset):
        # Losses cost little beside the network.
        same = {"warmup": 0} if config.task == "registration" else {"anatomy": "abdomen"}
        alike = replace(config, loss="l2", loss_options=(), weight=1.0, seed=0, **same)
        if alike not in known:
            known[alike] = *cost(alike), cpu_seconds(alike) if measure else float("nan")
        flops, traffic, on_cpu = known[alike]
        step = flops / FLOPS + traffic / BYTES
        validations = config.steps // config.validate_every * len(config.accelerations) * config.n_validation
        images = validations + len(config.settings) * config.n_test
        seconds = step * (config.steps + images / config.batch_size / 3)  # a third of a step is the forward pass
        if filled + seconds > 60 * (MINUTES - 1):
            piece, filled = piece + 1, 0.0
        filled += seconds
        rows.append({
            "question": question, "run": config.name, "size": config.size, "steps": config.steps,
            "GFLOP": flops / 1e9, "GB": traffic / 1e9, "ms": 1e3 * step, "s here": on_cpu,
            "seconds": seconds, "piece": piece, "done": is_done(config),
        })  # fmt: skip
    return pd.DataFrame(rows)


def is_done(config: Config) -> bool:
    """Whether a result is there, precomputed or own."""
    return any(load_result(path(config), config) is not None for path in (precomputed_path, own_path))


def run(preset: str, folder: Path, minutes: float, workers: int, device: str, precision: str) -> None:
    """Train what is not done, in order, until the minutes are over; pack results and checkpoints of the rest."""
    began = time.monotonic()
    todo = [config for _, config in ordered(preset) if not is_done(config)]
    print(f"{len(todo)} runs to do", flush=True)
    child = multiprocessing.get_context("spawn").Process(target=_train, args=(todo, device, workers, precision))
    child.start()
    child.join(60 * (minutes - 0.5) - (time.monotonic() - began))
    if child.is_alive():  # the minutes are over; runs go on from their last checkpoints
        os.kill(child.pid, signal.SIGINT)
        child.join(10)
        with contextlib.suppress(ProcessLookupError):  # workers that are left
            os.killpg(child.pid, signal.SIGKILL)
    elif child.exitcode:
        print(f"training ended with exit code {child.exitcode}", flush=True)
    print("\n".join(f"{path}  {path.stat().st_size / 2**20:.1f} MiB" for path in pack(todo, folder)))


def _train(configs: Sequence[Config], device: str, workers: int, precision: str) -> None:
    os.setsid()
    with contextlib.suppress(KeyboardInterrupt):
        train_all(configs, device, workers, precision)


def pack(configs: Sequence[Config], folder: Path) -> list[Path]:
    """Write own results and checkpoints into as few .tar files as fit; only seed 0 keeps examples and weights."""
    folder.mkdir(parents=True, exist_ok=True)
    written, found = [], []
    with tempfile.TemporaryDirectory() as small:  # own results stay whole
        for config in configs:
            path = own_path(config)
            if (result := load_result(path, config)) is not None:
                if config.seed:
                    result.examples, result.weights = {}, {}
                result.weights = {name: weight.half() for name, weight in result.weights.items()}
                found.append(Path(small) / path.name)
                write_result(found[-1], result)
            elif (checkpoint := path.with_suffix(".checkpoint.pt")).exists():
                found.append(checkpoint)
        for number, files in enumerate(_together(found)):
            written.append(folder / f"piece{number}.tar")
            with tarfile.open(written[-1], "w") as archive:
                for file in files:
                    archive.add(file, file.name)
    return written


def _together(files: Sequence[Path]) -> Iterator[list[Path]]:
    group: list[Path] = []
    for file in files:
        if group and sum(f.stat().st_size for f in (*group, file)) > LARGEST_FILE:
            yield group
            group = []
        group.append(file)
    if group:
        yield group


def keep(preset: str, folder: Path) -> int:
    """Take over what `run` packed: results as precomputed ones, checkpoints to go on from; return how many results."""
    (any_config, *_) = (config for _, config in ordered(preset))
    results, runs = precomputed_path(any_config).parent, own_path(any_config).parent
    count = 0
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                is_result = member.name.endswith(".h5")
                count += is_result
                archive.extract(member, results if is_result else runs, filter="data")
    return count


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("plan", "run", "keep"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--preset", default="paper")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--workers", type=int, default=6, help="runs at a time on the one device")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--measure", action="store_true", help="time a training step on this machine, too")
    said = parser.parse_args()
    if said.command == "plan":
        table = plan(said.preset, said.measure)
        total = table.groupby("question", sort=False).agg(
            runs=("run", "size"), GFLOP=("GFLOP", "max"), GB=("GB", "max"), ms=("ms", "max"), here=("s here", "max"),
            minutes=("seconds", lambda s: s.sum() / 60), pieces=("piece", "max"), done=("done", "sum"),
        )  # fmt: skip
        print(table.round(2).to_string(index=False), total.round(2).to_string(), sep="\n\n")
    elif said.folder is None:
        parser.error(f"{said.command}: expected a folder")
    elif said.command == "run":
        run(said.preset, said.folder, said.minutes, said.workers, said.device, said.precision)
    else:
        print(f"{keep(said.preset, said.folder)} results kept")


if __name__ == "__main__":
    main()
