"""Runs notebooks and keeps their outputs."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from perpcore.store import project_root
from perpcore.training import write_atomically


class NotebookError(RuntimeError):
    """A notebook stopped with an error."""


def execute(path: Path, parameters: dict[str, Any], in_place: bool) -> None:
    """Run a notebook with these parameters in its own folder; keeps it in data/executed/.

    With `in_place` the outputs also go into the notebook itself. Raises NotebookError.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook tools, not of the notebooks
        import nbformat
        import papermill

        out = project_root() / "data" / "executed" / str(parameters["preset"]) / path.name
        out.parent.mkdir(parents=True, exist_ok=True)
        os.environ["PERPCORE_STATIC"] = "1"  # sliders have nobody to answer
        try:
            papermill.execute_notebook(
                path, out, parameters, cwd=path.parent, kernel_name="python3", progress_bar=False,
                extra_arguments=["--log-level=40"],
            )  # fmt: skip
        except papermill.PapermillExecutionError as error:
            raise NotebookError(
                f"{path.name} failed: {error.ename}: {error.evalue} (all of it: {out})"
            ) from None
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
