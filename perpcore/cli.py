"""The command `perpcore`: data, train, claims."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from perpcore import claims as judging
from perpcore._files import project_root
from perpcore.data.measured import measured_fields
from perpcore.data.readers import describe, fetch, preview
from perpcore.experiments.configs import COMPARISONS, Config
from perpcore.experiments.results import DamagedResultError, load_result, own_path, precomputed_path
from perpcore.experiments.run import train_all
from perpcore.experiments.trials import all_configs
from perpcore.training import NonFiniteLossError, pick_device

Preset = Literal["smoke", "quick", "full", "paper"]


def data(
    action: tyro.conf.Positional[Literal["fetch", "inspect"]],
    target: tyro.conf.Positional[str],
    format: str = "auto",
    domain: str | None = None,
    axes: str | None = None,
    phase_unit: str | None = None,
    preview_file: Path | None = Path("preview.png"),
) -> None:
    """Get an openly licensed measured file, or say what a file of one's own is.

    Args:
        action: "fetch" or "inspect".
        target: Name of a file to fetch (head, brain), or path of a file to inspect.
        format: Reader for `inspect`: auto, fastmri, calgary, mrd, nifti, bart or arrays.
        domain: What complex arrays are: kspace or image.
        axes: What the axes of an array are, for example slice,coil,row,column.
        phase_unit: Unit of a stored phase: rad, mrad, degrees or siemens.
        preview_file: Where `inspect` writes a picture of the middle slice.
    """
    if action == "fetch":
        print(fetch(target))
        return
    options = _reader_options(domain, axes, phase_unit)
    print(describe(target, format, **options))
    if preview_file is not None:
        print(f"preview: {preview(target, preview_file, format, **options)}")


def train(
    what: tyro.conf.Positional[str],
    preset: Preset = "quick",
    device: str = "auto",
    workers: int = 0,
    list_only: bool = False,
    data: str = "",
    loss: str = "",
    test_subjects: tuple[str, ...] = (),
    skip_bad: bool = False,
    domain: str | None = None,
    axes: str | None = None,
    phase_unit: str | None = None,
) -> None:
    """Train runs; continue where they were interrupted, pass over those that are done.

    Args:
        what: "all", a comparison (recon, unrolled, registration), or the name of one run.
        preset: Size of the experiments.
        device: "auto", "cpu", "cuda" or "mps".
        workers: Runs at a time; 0: one per CPU core (at most 8), one on a GPU.
        list_only: List the runs and whether they are done, and train none.
        data: Measured images to train on: "PATH" or "FORMAT:PATH", a file or a folder.
        loss: Only this loss.
        test_subjects: Subjects of `data` (patients, sessions) that are kept for testing.
        skip_bad: Report files and slices of `data` that cannot be read, and go on without them.
        domain: See `perpcore data`.
        axes: See `perpcore data`.
        phase_unit: See `perpcore data`.
    """
    configs: list[Any]
    if data:
        options = _reader_options(domain, axes, phase_unit)
        if what not in ("recon", "registration"):
            raise ValueError(f"what: expected recon or registration with data, got {what!r}")
        fields = measured_fields(data, test_subjects, skip_bad=skip_bad, **options)
        configs = list(COMPARISONS[what](preset, **fields))
    else:
        configs = [c for c in all_configs(preset) if what in ("all", c.comparison, c.name)]
        if what in COMPARISONS:
            configs = [c for c in configs if c.evaluate_on == "test"]
    if not configs:
        raise ValueError(
            f"what: expected all, {', '.join(COMPARISONS)} or the name of a run of preset "
            f"{preset} (--list-only shows them), got {what!r}"
        )
    losses = list(dict.fromkeys(c.loss for c in configs))
    if loss and loss not in losses:
        raise ValueError(f"loss: expected one of {', '.join(losses)}, got {loss!r}")
    configs = [c for c in configs if loss in ("", c.loss)]
    if list_only:
        for config in configs:
            print(f"{config.name:<60} {_state(config)}")
        return
    if preset == "paper" and pick_device(device).type == "cpu":
        print("preset paper is made for a GPU: on a CPU it takes weeks; full is the largest for one")
    train_all(configs, device, workers)
    for config in configs[:1] if len(configs) == 1 else []:
        result = load_result(own_path(config), config)
        assert result is not None
        table = result.metrics.groupby("acceleration").mean().drop(columns="image").round(4)
        print(table.to_string())
    print(f"{len(configs)} results in {own_path(configs[0]).parent}")


def claims(folder: Path | None = None, against: Path | None = None) -> None:
    """Print the claims of the article and their verdicts.

    Args:
        folder: Figures to read; figures/ of the project, if not given.
        against: Other figures, whose statistics stand beside: do both agree?
    """
    committed = project_root() / "figures"
    judged = _judged(folder or committed)
    if against is not None:
        table = judging.agreement(judged, _judged(against))
        print(table.to_string(index=False))
        agreeing = int(table["agrees"].sum())
        print(f"{agreeing} of {len(table)} statistics agree within three standard deviations of "
              "the seeds (or 1 % where there is one)")  # fmt: skip
    else:
        print(f"preset {judged['preset']}")
        for claim in judged["claims"]:
            print(f"{claim['claim']:<13} {claim['verdict']:<16} {claim['text']}")


def main() -> None:
    """Run the command; errors that a user can act on are one line, without a traceback."""
    commands: dict[str, Callable[..., Any]] = {"data": data, "train": train, "claims": claims}
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="perpcore")
    except (ValueError, OSError, DamagedResultError, NonFiniteLossError) as error:
        sys.exit(f"perpcore: {error}")
    except KeyboardInterrupt:
        sys.exit("perpcore: interrupted; training continues from its last checkpoint")


def _reader_options(domain: str | None, axes: str | None, phase_unit: str | None) -> dict[str, Any]:
    given = {"domain": domain, "axes": axes, "phase_unit": phase_unit}
    return {name: value for name, value in given.items() if value is not None}


def _state(config: Config) -> str:
    if own_path(config).exists():
        return "done"
    if own_path(config).with_suffix(".checkpoint.pt").exists():
        return "begun"
    return "precomputed" if precomputed_path(config).exists() else "missing"


def _judged(folder: Path) -> dict[str, Any]:
    path = folder / "tab05_claims.json"
    if not path.exists():
        raise ValueError(f"{path}: not there; make figures draws it")
    numbers: dict[str, Any] = json.loads(path.read_text())["numbers"]
    return numbers


if __name__ == "__main__":
    main()
