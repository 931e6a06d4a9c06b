"""Runs notebooks and keeps their outputs."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from perpcore.experiments.results import project_root
from perpcore.files import write_atomically
from perpcore.pool import cpu_cores


class NotebookError(RuntimeError):
    """A notebook stopped with an error."""


READ_FIGURES = ("10",)
"""Numbers of the notebooks that read what others have drawn."""


def execute_all(
    notebooks: Sequence[Path], parameters: dict[str, Any], in_place: bool, workers: int
) -> None:
    """Run notebooks, so many at a time, those of READ_FIGURES after the others; prints seconds."""
    last = [path for path in notebooks if path.name.startswith(READ_FIGURES)]
    for group in ([path for path in notebooks if path not in last], last):
        if not group:
            continue
        count = min(workers, len(group))
        # Processes, because papermill changes the working folder.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(count, mp_context=context) as pool:
            threads = max(cpu_cores() // count, 1)
            jobs = [pool.submit(_timed, path, parameters, in_place, threads) for path in group]
            for job in as_completed(jobs):
                name, seconds = job.result()
                print(f"{name}  {seconds:.0f} s", flush=True)


def _timed(
    path: Path, parameters: dict[str, Any], in_place: bool, threads: int
) -> tuple[str, float]:
    # Kernels that each take all cores wait for each other's threads, many times as long.
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    began = time.perf_counter()
    execute(path, parameters, in_place)
    return path.stem, time.perf_counter() - began


def execute(path: Path, parameters: dict[str, Any], in_place: bool) -> None:
    """Run a notebook with these parameters in its own folder; keeps it in data/executed/.

    With `in_place` the outputs also go into the notebook itself. Raises NotebookError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook tools, not of the notebooks
        import nbformat
        import papermill
        from traitlets.config import Config

        out = project_root() / "data" / "executed" / str(parameters["preset"]) / path.name
        out.parent.mkdir(parents=True, exist_ok=True)
        os.environ["PERPCORE_STATIC"] = "1"  # sliders have nobody to answer
        with tempfile.TemporaryDirectory(prefix="perpcore") as folder:
            # Of two kernels that start together, one can take the TCP port of the other and leave
            # it waiting; sockets in a folder are the kernel's own. Windows has none.
            sockets = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
            config = Config({} if os.name == "nt" else {"KernelManager": sockets})
            try:
                papermill.execute_notebook(
                    path, out, parameters, cwd=path.parent, kernel_name="python3",
                    progress_bar=False, extra_arguments=["--log-level=50"], config=config,
                )  # fmt: skip
            except papermill.PapermillExecutionError as error:
                raise NotebookError(
                    f"{path.name} failed: {error.ename}: {error.evalue} (all of it: {out})"
                ) from None
            except RuntimeError as error:  # of nbclient, which says what the kernel did not do
                raise NotebookError(f"{path.name}: {error}; run it again") from None
        if not in_place:
            return
        notebook = nbformat.read(out, as_version=4)
        notebook.cells = [
            c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])
        ]
        notebook.metadata.pop("widgets", None)  # the state of sliders that nobody sees
        for holder in (notebook, *notebook.cells):
            holder.metadata.pop("papermill", None)
            holder.metadata.pop("execution", None)
        write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
