"""Notebooks run side by side, keep their outputs, and name the one that failed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbformat import v4

from perpcore.execute import NotebookError, execute_all

PARAMETERS = {"preset": "test of execute"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    shutil.rmtree(ROOT / "data" / "executed" / PARAMETERS["preset"])


def write(path: Path, code: str) -> Path:
    cell = v4.new_code_cell("preset = ''")
    cell.metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = v4.new_notebook(
        cells=[cell, v4.new_code_cell(code)], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, path)
    return path


def test_outputs_are_kept_and_the_last_waits_for_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = "import time; time.sleep(1); open('made', 'w').write(preset); print('written')"
    paths = [
        write(folder / "10_reads.ipynb", "import os; print(open('made').read(), os.environ['OMP_NUM_THREADS'])"),
        write(folder / "05_writes.ipynb", writer),
    ]  # fmt: skip
    execute_all(paths, PARAMETERS, in_place=True, workers=2)
    said = capsys.readouterr().out
    assert said.index("05_writes") < said.index("10_reads")
    *_, last = nbformat.read(paths[0], 4).cells
    assert last.outputs[0].text.startswith("test of execute ")
    assert len(nbformat.read(paths[0], 4).cells) == 2, "the injected parameters are not kept"


def test_a_notebook_that_fails_is_named(folder: Path) -> None:
    path = write(folder / "03_fails.ipynb", "1 / 0")
    before = path.read_text()
    with pytest.raises(
        NotebookError, match=r"03_fails.ipynb failed: ZeroDivisionError: .*all of it"
    ):
        execute_all([path], PARAMETERS, in_place=True, workers=2)
    assert path.read_text() == before


def test_kernels_do_not_compete_for_tcp_ports(folder: Path) -> None:
    code = "import ipykernel, json; print(json.loads(ipykernel.get_connection_info())['transport'])"
    path = write(folder / "01_transport.ipynb", code)
    execute_all([path], PARAMETERS, in_place=True, workers=1)
    said = nbformat.read(path, 4).cells[-1].outputs[0].text
    assert said.strip() == ("tcp" if os.name == "nt" else "ipc")


def test_a_kernel_that_dies_is_named(folder: Path) -> None:
    path = write(folder / "02_dies.ipynb", "import os; os._exit(1)")
    with pytest.raises(NotebookError, match="02_dies.ipynb: Kernel died; run it again"):
        execute_all([path], PARAMETERS, in_place=False, workers=1)
