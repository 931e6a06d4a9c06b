"""Run the notebooks with papermill; each draws its figures and tables into a folder."""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import papermill
import tyro
from committed import compare, keep, write_index
from joblib import Parallel, delayed
from traitlets.config import Config

ROOT = Path(__file__).absolute().parents[1]


def run(path: Path, out: Path, parameters: dict[str, object]) -> str:
    """Execute a notebook and keep it in `out`; return its name and seconds, or "! error"."""
    os.chdir(path.parent)
    # Paths: the environment's own interpreter, not a python3 kernel that somebody has installed.
    os.environ |= {"JUPYTER_PATH": "", "JUPYTER_PREFER_ENV_PATH": "1", "TQDM_DISABLE": "1"}
    began = time.perf_counter()
    # Two kernels that start together can take each other's TCP port; sockets in a folder cannot.
    with tempfile.TemporaryDirectory(dir=None if os.name == "nt" else "/tmp") as folder:
        config = Config(NotebookClient={"extra_arguments": ["--log-level=CRITICAL"]})  # or it tells of its own end
        if os.name != "nt":
            config.KernelManager.update(transport="ipc", connection_file=f"{folder}/kernel.json")
        try:
            papermill.execute_notebook(path, out, parameters, kernel_name="python3", progress_bar=False, config=config)
        except papermill.PapermillExecutionError as error:
            return f"! {path.stem}: {error.ename}: {error.evalue} (all of it: {out})"
    return f"{path.stem}  {time.perf_counter() - began:.0f} s"


def main(preset: str = "full", own_runs: bool = False, data: str = "", test_subjects: tuple[str, ...] = (),
         only: str = "", device: str = "auto", workers: int = 2, commit: bool = False) -> None:  # fmt: skip
    """Draw what the notebooks matching `only` make: from precomputed results to figures/drawn/ (or another PRESET/),
    from `own_runs` to figures/PRESET/, of own `data` to figures/own/, with `commit` to figures/."""
    began, name = time.perf_counter(), "own" if data else preset if own_runs or preset != "full" else "drawn"
    out, executed = ROOT / "figures" / ("" if commit else name), ROOT / "data" / "executed" / name
    [folder.mkdir(parents=True, exist_ok=True) for folder in (out, executed)]
    parameters = {"preset": preset, "own_runs": own_runs or bool(data), "device": device, "widgets": False,
                  "out": os.path.relpath(out, ROOT / "notebooks")}  # fmt: skip
    parameters |= {"data": data, "test_subjects": [*test_subjects]} if data else {}
    only = only or ("0[4567]" if data else "" if commit else "(?!0[046])")  # 00, 04, 06 draw no figure
    paths = [p for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")) if re.match(only, p.name)]
    claims = [p for p in paths if p.name.startswith("10")]  # reads what the others draw
    for group in ([p for p in reversed(paths) if p not in claims], claims):  # the longest are the last
        jobs = (delayed(run)(p, executed / p.name, parameters) for p in group)
        for said in Parallel(workers, return_as="generator_unordered")(jobs):
            print(said, flush=True) if said[0] != "!" else sys.exit(f"figures:{said[1:]}")
    [keep(executed / path.name, path) for path in paths if commit]
    write_index(out, ROOT / "notebooks")
    print(f"{(time.perf_counter() - began) / 60:.1f} min; {compare(ROOT / 'figures', out)}")


if __name__ == "__main__":
    tyro.cli(main)
