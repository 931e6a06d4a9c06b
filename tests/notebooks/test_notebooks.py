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

from perpcore.inventory import FIGURES

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
NEEDS_MEASURED = {"tab06_measured"}
UNTRAINED = ("fig01", "fig02", "fig03", "tab01", "fig04")
PARTS = ("## Aim", "## Theory", "## Practical", "## Discussion", "## Quiz")


def environment(folder: Path, **extra: str) -> dict[str, str]:
    return {
        **os.environ,
        "PERPCORE_RUNS": str(folder / "runs"),
        "PERPCORE_FIGURES": str(folder / "figures"),
        "PERPCORE_MEASURED": "",
        "PERPCORE_TEST_DATA": str(folder),
        **extra,
    }


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All figures from an empty store, by the command that users type."""
    folder = tmp_path_factory.mktemp("smoke")
    command = [sys.executable, "-m", "perpcore.cli", "figures", "--preset", "smoke"]
    command += ["--device", "cpu"]
    done = subprocess.run(command, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_all_notebooks_run_and_every_figure_is_made(smoke: Path) -> None:
    made = {p.name for p in (smoke / "figures").iterdir()}
    for name in set(FIGURES) - NEEDS_MEASURED:
        kinds = ("png", "svg", "json") if name.startswith("fig") else ("md", "json")
        assert {f"{name}.{kind}" for kind in kinds} <= made
    assert "index.md" in made


@pytest.mark.parametrize("name", [n for n in FIGURES if n.startswith(UNTRAINED)])
def test_numbers_without_training_equal_the_committed_ones(smoke: Path, name: str) -> None:
    ours = json.loads((smoke / "figures" / f"{name}.json").read_text())["numbers"]
    committed = json.loads((ROOT / "figures" / f"{name}.json").read_text())["numbers"]
    # Toy networks are trained on the machine at hand.
    tolerance = 0.03 if name == "fig04_bias" else 1e-4
    compare(ours, committed, tolerance)


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


def preset_of(path: Path) -> str:
    """Training notebooks run at smoke; the others read the shipped results of cpu."""
    return "smoke" if "train" in path.stem else "cpu"


@pytest.fixture(scope="session")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, tuple[str, Path]]:
    """What nbval says of each notebook, and its folder; two at a time, for it takes minutes."""
    folders = {path: tmp_path_factory.mktemp(path.stem) for path in NOTEBOOKS}

    def check(path: Path) -> str:
        folder = folders[path]
        # The claims are judged from the numbers of the committed figures.
        shutil.copytree(
            ROOT / "figures", folder / "figures", ignore=shutil.ignore_patterns("*.png", "own")
        )
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax"]
        command += ["--nbval-current-env", "--nbval-cell-timeout=300", "-W", "default", str(path)]
        variables = environment(
            folder, PERPCORE_PRESET=preset_of(path), PERPCORE_FROM_SHIPPED="1", TQDM_DISABLE="1",
            OMP_NUM_THREADS="1",
        )  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=variables)
        return "" if done.returncode == 0 else done.stdout[-3000:]

    with ThreadPoolExecutor(2) as pool:
        said = pool.map(check, NOTEBOOKS)
        return {path: (text, folders[path]) for path, text in zip(NOTEBOOKS, said, strict=True)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_outputs_are_true(path: Path, checked: dict[Path, tuple[str, Path]]) -> None:
    """nbval compares the cells marked NBVAL_CHECK_OUTPUT with what they print now."""
    said, folder = checked[path]
    assert not said, said
    trained = list((folder / "runs").glob("*/result.h5"))
    assert preset_of(path) == "smoke" or not trained, "shipped results are missing or outdated"


def test_redrawing_from_the_same_results_gives_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perpcore.cli", "figures", "--from-shipped", "--only", "05"]
    folders = [tmp_path / attempt for attempt in ("first", "second")]
    running = [
        subprocess.Popen(
            command, env=environment(folder, OMP_NUM_THREADS="1"), stdout=subprocess.DEVNULL
        )
        for folder in folders
    ]
    assert [process.wait() for process in running] == [0, 0]
    first, second = (
        {p.name: p.read_bytes() for p in (folder / "figures").iterdir() if p.suffix in (".svg", ".json")}
        for folder in folders
    )  # fmt: skip
    assert len(first) == 11 and first == second


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_keep_the_houses_form(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    positions = [text.find(part) for part in PARTS]
    assert -1 not in positions and positions == sorted(positions)
    for heading in ("**Minutes:**", "**Needs:**", "**Before:**", "**Next:**"):
        assert heading in text
    assert f"../exercises/{path.name}" in text and "<summary>Answers</summary>" in text
    code = [c for c in notebook.cells if c.cell_type == "code"]
    tagged = [c for c in code if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for name in ("preset", "seed", "device", "retrain"):
        assert f"{name} = " in tagged[0].source
    assert any(c.outputs for c in code), "committed without outputs"
    for cell in code:
        assert len(cell.source.splitlines()) <= 25, cell.source[:200]
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.get("text")
            for kind in ("image/png", "image/jpeg"):
                image = output.get("data", {}).get(kind, "")
                assert len(image) * 3 / 4 < 150_000
                assert not image or output.metadata[kind]["alt"], (
                    "a picture without alternative text"
                )
    assert not {"papermill", "widgets"} & set(notebook.metadata)
