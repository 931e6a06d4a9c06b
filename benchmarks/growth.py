"""How time and memory grow: loss and step with the images, readers with volumes, store with runs.

    python benchmarks/growth.py [--volumes 1000] [--runs 1000]

Memory is the growth of the process's highest resident set during the case, each in a process of its
own; volumes and results are small generated ones.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from side_by_side import extent, machine, table

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def used() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def loss(size: int, batch: int) -> Any:
    from perpcore import LOSSES

    function = LOSSES["perp_l2"]()
    pred = torch.randn(batch, size, size, dtype=torch.complex64, requires_grad=True)
    target = torch.randn(batch, size, size, dtype=torch.complex64)
    return lambda: function(pred, target).backward()


def step(size: int, batch: int) -> Any:
    from perpcore import LOSSES
    from perpcore.models import UNet

    network, function = UNet(), LOSSES["perp_l2"]()
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    image, target = (torch.randn(batch, size, size, dtype=torch.complex64) for _ in range(2))

    def run() -> None:
        optimizer.zero_grad()
        function(network(image), target).backward()
        optimizer.step()

    return run


def readers(folder: str, count: int) -> Any:
    from readers.files import write_fastmri

    from perpcore.data.readers import open_folder

    inside = Path(folder) / str(count)
    inside.mkdir()
    write_fastmri(inside / "v0.h5", 2, slices=4, rows=64, columns=64)
    for number in range(1, count):
        (inside / f"v{number}.h5").write_bytes((inside / "v0.h5").read_bytes())

    def run() -> None:
        volumes = open_folder(inside, "fastmri")
        order = [(v, k) for v in volumes for k in range(len(v))]
        random.Random(0).shuffle(order)
        for volume, index in order:
            volume.read(index)

    return run


def store(folder: str, count: int, what: str) -> Any:
    import pandas as pd

    from perpcore.experiments.results import Result, Store
    from perpcore.grid import PRESETS

    box = Store(Path(folder) / f"{what}{count}")
    table_ = pd.DataFrame({"psnr": np.arange(128.0)})
    weights = {"w": torch.randn(50_000)}
    runs = [replace(PRESETS["smoke"], seed=seed) for seed in range(count)]

    def fill() -> None:
        for run in runs:
            box.save(Result(run, table_, table_, table_, {}, weights, {}))

    if what == "write":
        return fill
    fill()
    if what == "read":
        return lambda: [box.load(run) for run in runs]
    return lambda: ([box.result_path(run).exists() for run in runs], len(box.paths()))


CASES = {"loss": loss, "step": step, "readers": readers, "store": store}


def in_process(kind: str, arguments: tuple[Any, ...], repeats: int) -> tuple[list[float], float]:
    torch.set_num_threads(2)
    case = CASES[kind](*arguments)
    before, seconds = used(), []
    for _ in range(repeats):
        began = time.perf_counter()
        case()
        seconds.append(time.perf_counter() - began)
    return seconds, used() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--volumes", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=1000)
    args = parser.parse_args()
    pool = multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1)
    print(f"{machine()}\n")

    def measured(kind: str, arguments: tuple[Any, ...], repeats: int = 5) -> list[str]:
        seconds, memory = pool.apply(in_process, (kind, arguments, repeats))
        return [extent(seconds, 4), f"{memory:.0f}"]

    shapes = [(s, b) for s in (64, 128, 256, 512) for b in (1, 8) if s * s * b <= 2**20]
    rows = [
        [f"{what}, {s}² × {b}", *measured(what, (s, b))] for what in ("loss", "step") for s, b in shapes
    ]  # fmt: skip
    table(["loss or training step of ⊥+ℓ2", "s, median (range)", "MB"], rows)
    with tempfile.TemporaryDirectory() as folder:
        counts = [n for n in (1, 10, 100, 1000) if n <= args.volumes]
        rows = [[n, 4 * n, *measured("readers", (folder, n), 3)] for n in counts]
        table(
            ["volumes", "slices, opened and read in random order", "s, median (range)", "MB"], rows
        )
        counts = [n for n in (1, 10, 100, 1000) if n <= args.runs]
        rows = [
            [n, what, *measured("store", (folder, n, what), 1 if what == "write" else 3)]
            for what in ("write", "read", "list")
            for n in counts
        ]
        table(["runs in the store", "all of them", "s, median (range)", "MB"], rows)
    pool.terminate()


if __name__ == "__main__":
    main()
