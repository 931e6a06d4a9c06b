"""Exercises: the self-check, and the stubs that are generated from the solved notebooks.

    python -m perpcore.exercises    # runs notebooks/solved/, writes exercises/

Solutions stand between the markers of nbgrader, `### BEGIN SOLUTION` and `### END SOLUTION`.
Generating a stub removes what lies between; inside a function an ellipsis takes its place.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from perpcore.experiments.results import project_root
from perpcore.files import write_atomically

RIGHT, WRONG, OPEN = "✔ right", "✘ not right", "○ not answered yet"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.M | re.S)


def check(
    answer: Any,
    expected: Any,
    why: str,
    *,
    mistakes: Mapping[str, Any] | None = None,
    hint: str = "",
    tolerance: float = 1e-3,
) -> None:
    """Print whether an answer is right, and why.

    Parameters
    ----------
    answer, expected
        Numbers, arrays, tensors or lists of them, compared within `tolerance` (relative, and
        absolute near 0); or words, compared without regard to case. An ellipsis or None anywhere
        in `answer` means that the exercise is still open.
    why : str
        Printed when the answer is right.
    mistakes : mapping, optional
        What a frequent wrong answer comes from → that answer.
    hint : str
        Printed when the answer is wrong in another way.
    """
    if _is_open(answer):
        print(OPEN)
    elif _same(answer, expected, tolerance):
        print(f"{RIGHT}: {why}")
    else:
        known = [
            text for text, value in (mistakes or {}).items() if _same(answer, value, tolerance)
        ]
        print(f"{WRONG}, you have {_plain(answer)}: {known[0] if known else hint or 'try again'}")


def stub(source: str) -> str:
    """A cell without its solution."""
    return SOLUTION.sub(lambda m: f"{m[1]}...  # your answer\n" if m[1] else "", source).rstrip()


def generate(solved: Path, folder: Path) -> Path:
    """Write the exercises of one solved notebook into `folder`; returns their path."""
    import nbformat

    notebook = nbformat.read(solved, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(source=stub(cell.source), outputs=[], execution_count=None)
        elif cell.cell_type == "markdown":
            cell.source = cell.source.replace("(solved)", "(exercises)")
            cell.source = cell.source.replace("](../", "](../notebooks/")
    path = folder / solved.name
    write_atomically(path, (nbformat.writes(notebook) + "\n").encode())
    return path


def main() -> None:
    """Run every solved notebook in place, then write its exercises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the notebook tools, not of the notebooks
        import nbformat
        from nbclient import NotebookClient

        folder = project_root() / "exercises"
        folder.mkdir(exist_ok=True)
        for solved in sorted((project_root() / "notebooks" / "solved").glob("*.ipynb")):
            notebook = nbformat.read(solved, as_version=4)
            NotebookClient(
                notebook,
                resources={"metadata": {"path": solved.parent}},
                extra_arguments=["--log-level=40"],
                store_widget_state=False,
            ).execute()
            for cell in notebook.cells:
                cell.metadata.pop("execution", None)
            notebook.metadata.get("language_info", {}).pop("version", None)
            write_atomically(solved, (nbformat.writes(notebook) + "\n").encode())
            print(generate(solved, folder).relative_to(project_root()))


def _is_open(answer: Any) -> bool:
    if isinstance(answer, (list, tuple)):
        return any(map(_is_open, answer))
    return answer is None or answer is Ellipsis


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        return np.round(value, 4).tolist()
    return round(value, 4) if isinstance(value, float) else value


def _same(answer: Any, expected: Any, tolerance: float) -> bool:
    if isinstance(expected, str):
        return isinstance(answer, str) and answer.strip().lower() == expected.lower()
    try:
        a, b = np.asarray(_raw(answer)), np.asarray(_raw(expected))
        return a.shape == b.shape and bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))
    except (TypeError, ValueError):
        return False


def _raw(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_raw(v) for v in value]
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


if __name__ == "__main__":
    main()
