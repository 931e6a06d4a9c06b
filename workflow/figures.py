"""Run the notebooks with papermill; each draws its figures and tables into a folder.

python workflow/figures.py                     # from the precomputed results, to figures/drawn/
python workflow/figures.py --own-runs --preset quick               # to figures/quick/
python workflow/figures.py --data nifti:PATH --test-subjects P7    # to figures/own/
python workflow/figures.py --commit            # to figures/, outputs into notebooks/
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

import tyro
from compare import compare, write_index
from joblib import Parallel, delayed

ROOT = Path(__file__).parents[1]
READS_FIGURES = "10"  # the notebook of the claims, which runs after the others


def run(path: Path, out: Path, parameters: dict[str, object], commit: bool) -> tuple[str, float]:
    """Execute a notebook; keep it in data/executed/, or with `commit` in its place."""
    # The environment's own interpreter, not a python3 kernel that somebody else has installed.
    os.environ.pop("JUPYTER_PATH", None)
    os.environ |= {"JUPYTER_PREFER_ENV_PATH": "1", "TQDM_DISABLE": "1"}
    os.chdir(path.parent)
    warnings.simplefilter("ignore")  # of the notebook tools; the notebooks' own are shown
    import papermill
    from traitlets.config import Config

    began = time.perf_counter()
    # Two kernels that start together can take each other's TCP port; sockets in a folder cannot.
    with tempfile.TemporaryDirectory(dir="/tmp" if os.path.isdir("/tmp") else None) as folder:
        sockets = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        papermill.execute_notebook(
            path, path if commit else out, parameters, kernel_name="python3", progress_bar=False,
            config=Config({} if os.name == "nt" else {"KernelManager": sockets}),
        )  # fmt: skip
    return path.stem, time.perf_counter() - began


def main(
    preset: str = "full",
    own_runs: bool = False,
    data: str = "",
    test_subjects: tuple[str, ...] = (),
    only: str = "",
    device: str = "auto",
    workers: int = 2,
    commit: bool = False,
) -> None:
    """Draw all figures and tables, or those of the notebooks whose names match `only`."""
    began = time.perf_counter()
    only = only or ("0[4567]" if data else "")
    notebooks = [
        p for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")) if re.match(only, p.name)
    ]
    folder = "own" if data else preset if own_runs else "drawn"
    figures = ROOT / "figures" / ("" if commit else folder)
    executed = ROOT / "data" / "executed" / folder
    executed.mkdir(parents=True, exist_ok=True)
    parameters: dict[str, object] = {
        "preset": preset, "own_runs": own_runs or bool(data), "device": device, "widgets": False,
        "out": str(figures), **({"data": data, "test_subjects": [*test_subjects]} if data else {}),
    }  # fmt: skip
    last = [p for p in notebooks if p.name.startswith(READS_FIGURES)]
    for group in ([p for p in notebooks if p not in last], last):
        jobs = Parallel(workers, return_as="generator_unordered")(
            delayed(run)(p, executed / p.name, parameters, commit) for p in group
        )
        for name, seconds in jobs:
            print(f"{name}  {seconds:.0f} s", flush=True)
    write_index(figures, ROOT / "notebooks")
    print(f"{(time.perf_counter() - began) / 60:.1f} min; {compare(ROOT / 'figures', figures)}")


if __name__ == "__main__":
    try:
        tyro.cli(main)
    except Exception as error:  # of a notebook, whose traceback papermill has shown
        sys.exit(f"figures: {type(error).__name__}: {str(error).strip().splitlines()[-1]}")
