"""The command `perpcore`: figures, train, runs, info."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

import perpcore
from perpcore import experiments, grid, pool, shipping
from perpcore.claims import markdown
from perpcore.execute import NotebookError, execute_all
from perpcore.experiments.configs import Run
from perpcore.experiments.results import (
    DamagedResultError,
    Store,
    project_root,
)
from perpcore.files import write_atomically
from perpcore.inventory import figures_folder, write_index
from perpcore.training import NonFiniteLossError, pick_device

CLAIMS_MARKERS = ("<!-- claims: perpcore claims --update-readme -->", "<!-- end of claims -->")

TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.S)

MAX_KERNELS = 4
"""Notebooks at a time: each kernel takes half a GB of memory or more."""

Preset = Literal["smoke", "quick", "cpu", "paper"]

SHIPPED_FIRST = ("cpu", "paper")
"""Presets that take hours, and are drawn from the results that come with the project."""


def figures(
    preset: Preset = "quick",
    device: str = "auto",
    seed: int = 0,
    retrain: bool = False,
    from_shipped: bool = False,
    only: str = "",
    workers: int = 0,
    in_place: bool = False,
    data: str = "",
    test_subjects: tuple[str, ...] = (),
    skip_bad: bool = False,
) -> None:
    """Train what the run store lacks, then run the notebooks: all figures and tables.

    Presets cpu and paper take the results that come with the project, where there are any.

    Args:
        preset: Size of the experiments.
        device: "auto", "cpu", "cuda" or "mps".
        seed: First seed.
        retrain: Train anew, whatever the run store and the project have.
        from_shipped: Use the results that come with the project at smoke and quick too.
        only: Run only the notebooks whose name starts with this, e.g. 02.
        workers: Training runs and notebooks at a time; 0: one per CPU core (at most 8 runs and 4
            notebooks), one run on a GPU.
        in_place: Write the outputs into notebooks/ (for committing them).
        data: Measured images, a file or folder ("PATH" or "FORMAT:PATH"): notebooks 04 to 07
            are run on them, and the figures go to figures/own/.
        test_subjects: Subjects of `data` that are kept for testing.
        skip_bad: Report files and slices of `data` that cannot be read, and go on without them.
    """
    os.environ["PERPCORE_SKIP_BAD"] = str(int(skip_bad))
    if data:
        only = only or "0[4567]"
        os.environ.setdefault("PERPCORE_FIGURES", str(project_root() / "figures" / "own"))
    if workers < 0:
        raise ValueError(f"workers: expected 0 or more, got {workers}")
    try:
        wanted_name = re.compile(only)
    except re.error as error:
        raise ValueError(f"only: expected the start of a name, got {only!r} ({error})") from None
    notebooks = [
        path for path in sorted((project_root() / "notebooks").glob("[0-9]*.ipynb"))
        if wanted_name.match(path.name)
    ]  # fmt: skip
    if not notebooks:
        raise ValueError(
            f"only: no notebook in {project_root() / 'notebooks'} starts with {only!r}"
        )
    began = time.perf_counter()
    from_shipped = not retrain and (from_shipped or preset in SHIPPED_FIRST)
    if data:
        wanted: list[Run] = []
        if any(path.name < "06" for path in notebooks):
            wanted += grid.recon_runs(preset, seed, data, test_subjects)
        if any(path.name >= "06" for path in notebooks):
            wanted += grid.motion_runs(preset, seed, data, test_subjects)
    else:
        wanted = [
            run for path in notebooks if path.name[:2] in grid.NOTEBOOK_RUNS
            for run in grid.NOTEBOOK_RUNS[path.name[:2]](preset, seed)
        ]  # fmt: skip
    wanted = list(dict.fromkeys(wanted))
    wanted = shipping.not_shipped(wanted) if from_shipped else wanted
    if retrain:
        for run in wanted:
            Store().discard(run)
    if wanted and preset == "paper" and pick_device(device).type == "cpu":
        print("preset paper is made for a GPU: on a CPU it takes weeks; cpu is the largest for one")
    pool.train_all(wanted, device, workers)
    os.environ["PERPCORE_FROM_SHIPPED"] = "1" if from_shipped else "0"
    # A bar in a saved notebook is a heap of carriage returns.
    os.environ["TQDM_DISABLE"] = "1"
    parameters: dict[str, Any] = {
        "preset": preset, "device": device, "seed": seed, "retrain": False,
        **({"data": data, "test_subjects": list(test_subjects)} if data else {}),
    }  # fmt: skip
    execute_all(notebooks, parameters, in_place, min(workers or pool.cpu_cores(), MAX_KERNELS))
    print(f"{write_index()}  ({(time.perf_counter() - began) / 60:.1f} min in all)")


def train(
    key: tyro.conf.Positional[str],
    preset: Preset = "quick",
    device: str = "auto",
    seed: int = 0,
    data: str = "",
    format: str = "auto",
    loss: str = "",
    test_subjects: tuple[str, ...] = (),
    skip_bad: bool = False,
) -> None:
    """Train one run; continues where it was interrupted, returns at once where it is done.

    Args:
        key: Key of the run, or its name (see `perpcore runs`), or "recon" with `data`.
        preset: Preset that the run belongs to.
        device: "auto", "cpu", "cuda" or "mps".
        seed: First seed of the preset.
        data: Measured images to train on: a file or folder.
        format: Their reader: auto, fastmri, calgary, mrd, nifti or arrays.
        loss: With `data`: only this loss.
        test_subjects: Subjects of `data` that are kept for testing.
        skip_bad: Report files and slices of `data` that cannot be read, and go on without them.
    """
    os.environ["PERPCORE_SKIP_BAD"] = str(int(skip_bad))
    if data:
        found = grid.recon_runs(preset, seed, f"{format}:{data}", test_subjects)
        runs = [r for r in found if key == "recon" and loss in ("", r.loss)]
    else:
        runs = [r for r in grid.all_runs(preset, seed) if key in (r.key, r.label)]
    if not runs:
        raise ValueError(f"key: no run of preset {preset!r} has key or name {key!r}")
    for run in runs:
        result = experiments.train(run, device=device)
        print(result.metrics.groupby("acceleration").mean().drop(columns="image").round(4))
        print(Store().result_path(run))


def runs(preset: Preset = "quick", seed: int = 0) -> None:
    """List the training runs of a preset and whether the run store has them.

    Args:
        preset: Size of the experiments.
        seed: First seed.
    """
    store = Store()
    for run in grid.all_runs(preset, seed):
        state = "done" if store.result_path(run).exists() else "missing"
        if state == "missing" and store.checkpoint_path(run).exists():
            state = "begun"
        task = f"{run.coils} coils" if run.coils > 1 else run.task
        print(f"{run.key}  {task:<12}  {run.label:<18} seed {run.seed}  {state}")


def ship(preset: Preset = "quick", seed: int = 0) -> None:
    """Copy a preset's results to data/results/: metrics, curves, weights in half precision (not
    those of unrolled networks and of later seeds); of the trials and ablations only means and
    intervals. Of preset cpu or paper also the best networks, to data/pretrained/. What the run
    store lacks stays as it was shipped.

    Args:
        preset: Size of the experiments.
        seed: First seed.
    """
    for path in shipping.ship(preset, seed, networks=preset in SHIPPED_FIRST):
        print(f"{path.relative_to(project_root())}  {path.stat().st_size / 1e3:.0f} kB")


def claims(update_readme: bool = False) -> None:
    """Print the claims of the article and their verdicts, from the figures folder.

    Args:
        update_readme: Also write it, and the other tables that README.md shows, between their
            markers there.
    """
    path = figures_folder() / "tab05_claims.json"
    if not path.exists():
        raise ValueError(f"{path}: not there; `perpcore figures` makes it")
    judged = json.loads(path.read_text())["numbers"]
    print(f"preset {judged['preset']}")
    for claim in judged["claims"]:
        print(f"{claim['claim']:<13} {claim['verdict']:<16} {claim['text']}")
    if update_readme:
        readme = project_root() / "README.md"
        before, rest = readme.read_text().split(CLAIMS_MARKERS[0])
        after = rest.split(CLAIMS_MARKERS[1])[1]
        table = markdown(judged, "figures/")
        text = f"{before}{CLAIMS_MARKERS[0]}\n{table}\n{CLAIMS_MARKERS[1]}{after}"
        text = TABLE.sub(lambda m: f"{m[1]}{_table(m[2])}{m[3]}", text)
        write_atomically(readme, text.encode())


def _table(name: str) -> str:
    return (figures_folder() / f"{name}.md").read_text().split("\n\n", 1)[1]


def data(
    action: tyro.conf.Positional[Literal["fetch", "inspect"]],
    target: tyro.conf.Positional[str],
    format: str = "auto",
    preview: str = "preview.png",
) -> None:
    """Get an openly licensed measured file, or say what a file of one's own is.

    Args:
        action: "fetch" or "inspect".
        target: Name of a file to fetch (head, brain), or path of a file to inspect.
        format: Reader for `inspect`: auto, fastmri, calgary, mrd, nifti or arrays.
        preview: Where `inspect` writes a picture of the middle slice; "" for none.
    """
    from perpcore.data.readers import fetch, inspect

    if action == "fetch":
        path = fetch.fetch(target)
        source = fetch.SOURCES[target]
        print(f"{path}\n{source.what}\nlicence: {source.licence}")
        return
    print(inspect.describe(target, format))
    if preview:
        print(f"preview: {inspect.preview(target, Path(preview), format)}")


def info() -> None:
    """Versions, device, presets, and what the run store holds."""
    print(f"perpcore {perpcore.__version__}, torch {torch.__version__}, "
          f"python {platform.python_version()}")  # fmt: skip
    print(f"device: {pick_device()}, {os.cpu_count()} CPU cores")
    store = Store()
    size = sum(f.stat().st_size for f in store.root.rglob("*") if f.is_file())
    inside = store.root.is_relative_to(project_root())
    where = store.root.relative_to(project_root()) if inside else store.root
    root = store.root if store.root.exists() else project_root()
    print(f"run store: {where}, {len(store.paths())} results, {size / 1e6:.1f} MB; "
          f"{shutil.disk_usage(root).free / 1e9:.0f} GB of disk free")  # fmt: skip
    for preset in grid.PRESETS:
        wanted = grid.all_runs(preset)
        have = sum(store.result_path(run).exists() for run in wanted)
        shipped = len(wanted) - len(shipping.not_shipped(wanted))
        print(f"  {preset}: {have} of {len(wanted)} runs in the store, {shipped} shipped")


def main() -> None:
    """Entry point: errors that a user can act on are one line, without a traceback."""
    commands: dict[str, Callable[..., None]] = {
        "figures": figures,
        "train": train,
        "runs": runs,
        "ship": ship,
        "claims": claims,
        "data": data,
        "info": info,
    }
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="perpcore")
    except (ValueError, OSError, DamagedResultError, NonFiniteLossError, NotebookError) as error:
        sys.exit(f"perpcore: {error}")
    except KeyboardInterrupt:
        sys.exit("perpcore: interrupted; training continues from its last checkpoint")


if __name__ == "__main__":
    main()
