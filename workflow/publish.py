"""Make own results the precomputed ones that come with the project: data/results/, data/pretrained/.

perpcore train all --preset full && python workflow/publish.py --preset full
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import tyro
from safetensors.torch import save

from perpcore._files import project_root, write_atomically
from perpcore.experiments.configs import COMPARISONS
from perpcore.experiments.results import (
    RESULTS_VERSION,
    Result,
    own_path,
    own_results,
    precomputed_folder,
    precomputed_path,
    summarize,
    write_result,
)
from perpcore.experiments.trials import ablation_trials

SELECTION = {"recon": ("ssim", max), "registration": ("epe", min)}  # the validation metric that chooses


def publish(preset: str, only: str = "") -> list[Path]:
    """Copy all own results of a preset, or those of `only` one comparison, to the folders that are in git.

    Nothing is written where one is missing; the error names it. To keep the files small, examples are of seed 0 only,
    U-Nets and mixtures have no weights but those of the best in data/pretrained/.
    """
    results = own_results(
        [c for runs_of in COMPARISONS.values() for c in runs_of(preset) if only in ("", c.comparison)]
    )
    rows = []
    for trial in [] if only else ablation_trials(preset):
        found = own_results(trial.configs)
        commits = " ".join(sorted({result.provenance["commit"] for result in found}))
        for metric, interval in summarize(found).items():
            rounded = [float(f"{x:.6g}") for x in interval]
            rows.append([RESULTS_VERSION, commits, trial.name, metric, *rounded])
    columns = ["results_version", "commit", "trial", "metric", "mean", "low", "high"]
    trials = pd.DataFrame(rows, columns=columns).drop_duplicates(["trial", "metric"])  # questions share runs
    written = _publish_networks(results, only)
    for old in precomputed_folder(preset).glob(f"{only}*.h5"):
        old.unlink()
    for result in results:
        path = precomputed_path(result.config)
        if result.config.seed:
            result.examples = {}
        if result.config.network[0] == "UNet" or result.config.comparison == "mixture":
            result.weights = {}
        # The 8 significant bits of bfloat16 compress better.
        result.weights = {name: weight.bfloat16().half() for name, weight in result.weights.items()}
        write_result(path, result)
        written.append(path)
    for table in own_path(results[0].config).parent.glob("*.csv"):  # experiments of notebook 11
        written.append(precomputed_folder(preset) / table.name)
        write_atomically(written[-1], table.read_bytes())
    if not only:
        written.append(precomputed_folder(preset) / "trials.csv")
        write_atomically(written[-1], trials.to_csv(index=False).encode())
    return written


def _publish_networks(results: Sequence[Result], only: str) -> list[Path]:
    """Write the network of the best seed of every comparison and label, in half precision; remove the others' files.

    Best by the last value of the validation metric that also chooses among the trials.
    """
    best: dict[str, tuple[float, Result]] = {}
    for result in results:
        if not result.weights:  # a classical method
            continue
        config = result.config
        metric, better = SELECTION[config.task]
        name = f"{config.comparison}/{config.label}"
        value = float(result.history[metric].iloc[-1])
        if name not in best or better(value, best[name][0]) != best[name][0]:
            best[name] = value, result
    folder, written = project_root() / "data" / "pretrained", []
    for name, (_, result) in best.items():
        weights = {key: weight.half().contiguous() for key, weight in result.weights.items()}
        network, arguments = result.config.network
        record = {
            "class": network, "arguments": json.dumps(arguments),
            "config": json.dumps(asdict(result.config)),
        }  # fmt: skip
        written.append(folder / f"{name}.safetensors")
        write_atomically(written[-1], save(weights, record))
    for old in set(folder.glob(f"{only or '*'}/*.safetensors")) - set(written):
        old.unlink()
        if not any(old.parent.iterdir()):
            old.parent.rmdir()
    return written


if __name__ == "__main__":
    print("\n".join(map(str, tyro.cli(publish))))
