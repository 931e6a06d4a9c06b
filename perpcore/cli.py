"""The command `perpcore`: data, train, reconstruct, claims."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, Unpack

import tyro

from perpcore._checks import require
from perpcore._files import project_root
from perpcore.data.measured import measured_fields
from perpcore.data.readers import describe, open_source, preview
from perpcore.data.readers.base import Options
from perpcore.data.readers.fetch import fetch
from perpcore.experiments.configs import COMPARISONS
from perpcore.experiments.results import load_result, own_path, precomputed_path
from perpcore.experiments.run import train_all
from perpcore.experiments.trials import all_configs
from perpcore.models import load_pretrained
from perpcore.reconstruct import reconstruct as run_network
from perpcore.reconstruct import save_images


def data(
    action: tyro.conf.Positional[Literal["fetch", "inspect"]], target: tyro.conf.Positional[str],
    size: int | None = None, preview_file: Path | None = Path("preview.png"), **reading: Unpack[Options],
) -> None:  # fmt: skip
    """Get an openly licensed measured file, or say what a file or folder of one's own is.

    Args:
        action: "fetch" or "inspect".
        target: Name of a file to fetch (head, brain), or "PATH" or "FORMAT:PATH" to inspect; formats are fastmri,
            calgary, mrd, nifti and arrays.
        size: Matrix that will be trained, to say what becomes of the images.
        preview_file: Where `inspect` writes a picture of the middle slice; None for none.
        reading: What the file does not say of itself.
    """
    if action == "fetch":
        print(fetch(target))
        return
    print(describe(target, size=size, **reading))
    if preview_file is not None:
        print(f"preview: {preview(target, preview_file, **reading)}")


def train(
    what: tyro.conf.Positional[str], preset: Literal["smoke", "quick", "full", "paper"] = "quick",
    device: str = "auto", workers: int = 0, list_only: bool = False, data: str = "", loss: str = "",
    test_subjects: tuple[str, ...] = (), skip_bad: bool = False,
    precision: Literal["float32", "bfloat16"] = "float32", **reading: Unpack[Options],
) -> None:  # fmt: skip
    """Train runs; continue where they were interrupted, pass over those that are done.

    Args:
        what: "all", a comparison (recon or one of its three, brain, abdomen and mixture; registration), or the name of
            one run.
        preset: Size of the experiments.
        device: "auto", "cpu", "cuda" or "mps".
        workers: Runs at a time; 0: one per CPU core (at most 8), one on a GPU.
        list_only: List the runs and whether they are done, and train none.
        data: Measured images to train on: "PATH" or "FORMAT:PATH", a file or a folder.
        loss: Only this loss.
        test_subjects: Subjects of `data` (patients, sessions) that are kept for testing.
        skip_bad: Report files and slices of `data` that cannot be read, and go on without them.
        precision: Of the networks' convolutions while they train; the losses stay in float32.
        reading: What the files do not say of themselves.
    """
    configs: list[Any] = [c for c in all_configs(preset) if what in ("all", c.task, c.comparison, c.name)]
    if data:
        require(what in ("recon", "registration"), f"what: expected recon or registration with data, got {what!r}")
        fields = measured_fields(data, test_subjects, skip_bad=skip_bad, **reading)
        configs = list(COMPARISONS[what](preset, **fields))
    elif what != "all" and len(configs) > 1:  # a comparison, without its ablations
        configs = [c for c in configs if c.evaluate_on == "test"]
    known = f"all, {', '.join(COMPARISONS)} or the name of a run of preset {preset}"
    require(bool(configs), f"what: expected {known} (--list-only shows them), got {what!r}")
    losses = dict.fromkeys(c.loss for c in configs)
    require(loss in ("", *losses), f"loss: expected one of {', '.join(losses)}, got {loss!r}")
    configs = [c for c in configs if loss in ("", c.loss)]
    if list_only:
        for config in configs:
            own = own_path(config)
            paths = {"done": own, "begun": own.with_suffix(".checkpoint.pt"), "precomputed": precomputed_path(config)}
            state = next((state for state, path in paths.items() if path.exists()), "missing")
            print(f"{config.name:<60} {state}")
        return
    train_all(configs, device, workers, precision)
    if len(configs) == 1 and (result := load_result(own_path(configs[0]), configs[0])):
        print(result.metrics.groupby("acceleration").mean().drop(columns="image").round(4).to_string())
    print(f"{len(configs)} results in {own_path(configs[0]).parent}")


def reconstruct(
    file: tyro.conf.Positional[str], network: str, out: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    **reading: Unpack[Options],
) -> None:  # fmt: skip
    """Reconstruct a measured file with a trained network; write magnitude and phase.

    Args:
        file: "PATH" or "FORMAT:PATH".
        network: One that comes with the project, such as brain/perp_l2.
        out: .npy (complex), .h5 (magnitude, phase), .nii or .nii.gz (two files, with the affine).
        reading: What the file does not say of itself.
    """
    model = load_pretrained(network)
    volumes = open_source(file, **reading)
    for number, volume in enumerate(volumes):
        images = run_network(volume, model)
        name = out.name if len(volumes) == 1 else f"{number}_{out.name}"
        for path in save_images(images, out.with_name(name), volume.info.get("affine")):
            print(f"{path}  {' × '.join(map(str, images.shape))}  {volume.path.name} {volume.key}".rstrip())


def claims(folder: Path | None = None) -> None:
    """Print the claims of the article and their verdicts.

    Args:
        folder: Figures to read; figures/ of the project, if not given.
    """
    path = (folder or project_root() / "figures") / "tab05_claims.json"
    require(path.exists(), f"{path}: not there; make figures draws it")
    judged = json.loads(path.read_text())["numbers"]
    print(f"preset {judged['preset']}")
    for claim in judged["claims"]:
        print(f"{claim['claim']:<13} {claim['verdict']:<16} {claim['text']}")


def main() -> None:
    """Run the command; errors that a user can act on are one line, without a traceback."""
    commands = {command.__name__: command for command in (data, train, reconstruct, claims)}
    try:
        tyro.extras.subcommand_cli_from_dict(commands, prog="perpcore", config=[tyro.conf.OmitArgPrefixes])
        sys.stdout.flush()
    except BrokenPipeError:  # of `perpcore … | head`: who reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ImportError, FloatingPointError) as error:
        sys.exit(f"perpcore: {error}")
    except KeyboardInterrupt:
        sys.exit("perpcore: interrupted; training continues from its last checkpoint")
