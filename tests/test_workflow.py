"""What draws the figures: one line on what moved; a foreign kernel, a failing notebook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from committed import compare
from conftest import ROOT
from nbformat import v4

sys.path.insert(0, str(ROOT / "workflow"))


def record(folder: Path, value: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "fig01.json").write_text(json.dumps({"numbers": {"a": [1.0, value]}}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (2.0, "1 of 1 figures"),
        (2.2, r"0 of 1 figures.*by 0.091 of its size: fig01.json /a[1]: 2.0 → 2.2"),
        (None, "by inf of its size"),
    ],
)
def test_what_moved_is_said(tmp_path: Path, value: object, said: str) -> None:
    record(tmp_path / "old", 2.0)
    record(tmp_path / "new", value)
    found = compare(tmp_path / "old", tmp_path / "new")
    assert all(part in found for part in said.split(".*"))


@pytest.fixture
def project(empty_project: Path) -> Path:
    shutil.copytree(ROOT / "workflow", empty_project / "workflow")
    return empty_project


def write(project: Path, name: str, code: str) -> Path:
    names = ("preset", "own_runs", "device", "out", "widgets")
    cell = v4.new_code_cell("\n".join(f"{n} = ''" for n in names))
    cell.metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(cells=[cell, v4.new_code_cell(code)], metadata={"kernelspec": kernel})
    nbformat.write(notebook, project / "notebooks" / name)
    return project / "notebooks" / name


def draw(project: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, project / "workflow" / "figures.py", "--workers", "1", *options]
    env = {**os.environ, **environment}
    return subprocess.run(command, capture_output=True, text=True, cwd=project, env=env)


def test_the_notebook_of_the_claims_waits_and_commit_keeps_outputs(project: Path) -> None:
    writes = (
        "import pathlib, time; time.sleep(1); pathlib.Path(out).mkdir(exist_ok=True); pathlib.Path(out, 'made').touch()"
    )
    write(project, "05_writes.ipynb", writes)
    path = write(project, "10_reads.ipynb", "import os; print(os.listdir(out), preset)")
    done = draw(project, "--commit")
    assert done.returncode == 0, done.stderr
    cells = nbformat.read(path, 4).cells
    assert len(cells) == 2, "the injected parameters are not kept"
    assert "'made'" in cells[1].outputs[0].text and "full" in cells[1].outputs[0].text
    assert str(project) not in path.read_text()


def test_a_notebook_that_fails_is_named_in_one_line(project: Path) -> None:
    write(project, "03_fails.ipynb", "1 / 0")
    done = draw(project)
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("figures:"))
    assert said.startswith("figures: 03_fails: ZeroDivisionError: division by zero (all of it: ")
    # Not "Traceback": a kernel that is told to end sometimes writes one of its own.
    assert "workflow/figures.py" not in done.stderr


def test_a_foreign_kernel_and_a_long_temporary_folder_are_no_obstacle(project: Path, tmp_path: Path) -> None:
    code = "import sys, pathlib; pathlib.Path(out, 'made').touch(); print(sys.executable)"
    path = write(project, "01_start.ipynb", code)
    before = path.read_text()
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    kernel = {"argv": ["/nowhere/python", "-f", "{connection_file}"], "display_name": "theirs", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    long = tmp_path / ("x" * 120)
    long.mkdir()
    done = draw(project, JUPYTER_PATH=str(tmp_path / "jupyter"), TMPDIR=str(long))
    assert done.returncode == 0, done.stderr
    assert path.read_text() == before, "nothing is overwritten unasked"
    assert [p.name for p in (project / "figures" / "drawn").iterdir() if p.suffix == ""] == ["made"]
    executed = nbformat.read(project / "data" / "executed" / "drawn" / "01_start.ipynb", 4)
    assert executed.cells[-1].outputs[0].text.strip() == sys.executable
