"""Every notebook: runs from nothing at `smoke`, and its committed outputs are true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
FIGURES = {p.name for p in (ROOT / "figures").iterdir() if p.suffix in (".json", ".svg", ".png")}
NEEDS_MEASURED = {"tab06_measured.json", "tab14_head.json", *(f"fig14_real.{kind}" for kind in ("json", "svg", "png"))}
UNTRAINED = ("fig01_geometry", "fig02_landscape", "fig03_descent", "tab01_properties")
AT_EVERY_PRESET = (*UNTRAINED, "fig04_bias")  # by notebooks 01 to 03, which nbval runs
# 04 and 06 train in front of the reader for a minute, and 11 has no cell to compare: they are run at `smoke`.
CHECKED = [path for path in NOTEBOOKS if not path.name.startswith(("04", "06", "11"))]
PARTS = ("## Aim", "## Theory", "## Practical", "## Discussion", "## Quiz")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project without own runs and figures; the module is that of the project."""
    folder = tmp_path_factory.mktemp("project") / "with a space and ⊥"
    ignore = shutil.ignore_patterns(".*", "exercises", "solved", "drawn", "own", "quick", "smoke")
    for name in ("notebooks", "figures", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignore)
    (folder / "data").mkdir()
    (folder / "perpcore").symlink_to(ROOT / "perpcore")
    for name in ("results", "pretrained"):
        (folder / "data" / name).symlink_to(ROOT / "data" / name)
    return folder


def figures(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, project / "workflow" / "figures.py", "--device", "cpu", *options]
    environment = {**os.environ, "PERPCORE_TEST_DATA": str(project)}
    return subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="session")
def smoke(project: Path) -> Path:
    """All figures from own runs at `smoke`, as `make reproduce` draws them; those of notebooks 01 to 03 are copied."""
    folder = project / "figures" / "smoke"
    folder.mkdir()
    for name in AT_EVERY_PRESET:
        for path in (project / "figures").glob(f"{name}.*"):
            shutil.copy(path, folder)
    command = [sys.executable, "-m", "perpcore", "train", "all", "--preset", "smoke", "--device", "cpu"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    done = figures(project, "--own-runs", "--preset", "smoke", "--only", "0[4-9]|1")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_all_notebooks_run_and_every_figure_is_drawn(smoke: Path) -> None:
    made = {p.name for p in smoke.iterdir()}
    assert made >= FIGURES - NEEDS_MEASURED and "index.md" in made


def compare(a: object, b: object, tolerance: float) -> None:
    assert type(a) is type(b) or {type(a), type(b)} <= {int, float}
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            compare(a[key], b[key], tolerance)
    elif isinstance(a, list):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            compare(x, y, tolerance)
    elif isinstance(a, (int, float)):
        assert a == pytest.approx(b, rel=tolerance, abs=tolerance)
    else:
        assert a == b


@pytest.fixture(scope="session")
def checked(project: Path) -> dict[Path, str]:
    """What nbval says of each notebook at its default preset; two at a time, for it takes minutes."""

    def check(path: Path) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax"]
        command += ["--nbval-current-env", "--nbval-cell-timeout=300", "-W", "default"]
        command.append(str(project / "notebooks" / path.name))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=environment)
        return "" if done.returncode == 0 else done.stdout[-3000:]

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CHECKED, pool.map(check, CHECKED), strict=True))


@pytest.mark.parametrize("path", CHECKED, ids=lambda p: p.stem)
def test_committed_outputs_are_true(path: Path, checked: dict[Path, str], project: Path) -> None:
    """nbval compares the cells tagged nbval-check-output with what they print now."""
    assert not checked[path], checked[path]
    assert not (project / "data" / "runs" / "full").exists(), "precomputed results are missing"


@pytest.mark.parametrize("name", UNTRAINED)
def test_numbers_without_training_equal_the_committed_ones(name: str, project: Path, checked: dict[Path, str]) -> None:
    folders = (project / "figures" / "own", ROOT / "figures")
    ours, committed = (json.loads((folder / f"{name}.json").read_text()) for folder in folders)
    compare(ours["numbers"], committed["numbers"], 1e-4)


def test_drawing_from_the_same_results_gives_the_same_bytes(project: Path, checked: dict[Path, str]) -> None:
    done = figures(project, "--only", "08", "--workers", "1")
    assert done.returncode == 0, done.stderr
    folder = project / "figures" / "drawn"
    drawn = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "index.md"}
    assert len(drawn) >= 8
    assert all((project / "figures" / "own" / name).read_bytes() == content for name, content in drawn.items())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_keep_the_houses_form(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    positions = [text.find(part) for part in PARTS]
    assert -1 not in positions and positions == sorted(positions)
    for heading in ("**Minutes:**", "**Needs:**", "**Before:**", "**Next:**"):
        assert heading in text
    assert f"(exercises/{path.name})" in text and "<summary>Answers</summary>" in text
    code = [c for c in notebook.cells if c.cell_type == "code"]
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for name in ("preset", "own_runs", "device", "out", "widgets"):
        assert f"{name} = " in tagged[0].source
    assert any(c.outputs for c in code), "committed without outputs"
    for cell in code:
        assert len(cell.source.splitlines()) <= 25, cell.source[:200]
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            assert " at 0x" not in output.get("data", {}).get("text/plain", ""), "an object, not what it says"
            for kind in ("image/png", "image/jpeg"):
                image = output.get("data", {}).get(kind, "")
                assert len(image) * 3 / 4 < 150_000
                assert not image or output.metadata[kind]["alt"], "a picture without alternative text"
    assert not {"papermill", "widgets"} & set(notebook.metadata)
    for cell in code:  # folded in JupyterLab as in the book
        tags = cell.metadata.get("tags", [])
        assert ("hide-input" in tags) == cell.metadata.get("jupyter", {}).get("source_hidden", False), cell.id
        assert ("scroll-output" in tags) == cell.metadata.get("scrolled", False), cell.id
        assert "hide-input" in tags or not cell.source.startswith(("plotting.save_", "plotting.show(")), cell.id
    assert not [c for c in code if "injected-parameters" in c.metadata.get("tags", [])]
