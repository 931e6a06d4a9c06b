"""Run notebooks/solved/, and write notebooks/exercises/ from it without the solutions.

    python book/exercises.py [01 02 ...]

Solutions stand between the markers of nbgrader, `### BEGIN SOLUTION` and `### END SOLUTION`.
"""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).absolute().parents[1] / "notebooks"
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION\n?", re.M | re.S)


def stub(source: str) -> str:
    """Return a cell without its solution; inside a function an ellipsis takes its place."""
    return SOLUTION.sub(lambda m: f"{m[1]}...  # your answer\n" if m[1] else "", source).rstrip()


def generate(solved: Path, folder: Path) -> Path:
    """Write the exercises of one solved notebook into `folder`; return their path."""
    notebook = nbformat.read(solved, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.update(source=stub(cell.source), outputs=[], execution_count=None)
        else:
            cell.source = cell.source.replace("(solved)", "(exercises)")
    nbformat.write(notebook, folder / solved.name)
    return folder / solved.name


def main() -> None:
    """Run the solved notebooks in place, all or those numbered, then write their exercises."""
    warnings.simplefilter("ignore")  # of the notebook tools, not of the notebooks
    numbered = {path.name[:2]: path for path in sorted((NOTEBOOKS / "solved").glob("*.ipynb"))}
    if unknown := [number for number in sys.argv[1:] if number not in numbered]:
        sys.exit(f"exercises: no notebook {', '.join(unknown)}, only {', '.join(numbered)}")
    for solved in [numbered[number] for number in sys.argv[1:] or numbered]:
        notebook = nbformat.read(solved, as_version=4)
        options = {"extra_arguments": ["--log-level=40"], "store_widget_state": False, "coalesce_streams": True}
        where = {"metadata": {"path": solved.parent}}
        NotebookClient(notebook, resources=where, **options).execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, solved)
        print(generate(solved, NOTEBOOKS / "exercises").relative_to(NOTEBOOKS))


if __name__ == "__main__":
    main()
