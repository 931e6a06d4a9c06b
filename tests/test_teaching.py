"""Exercises: solutions pass, stubs do not; sliders redraw the picture."""

from __future__ import annotations

import contextlib
import io
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import numpy as np
import pytest
import teaching
import torch
from conftest import ROOT
from exercises import SOLUTION, generate, stub
from matplotlib import pyplot as plt
from teaching import OPEN, RIGHT, WRONG, check

SOLVED = sorted((ROOT / "notebooks" / "solved").glob("*.ipynb"))


def run(path: Path) -> list[str]:
    """What each check prints, cell by cell, in one process instead of one kernel per notebook."""
    matplotlib.use("Agg")
    namespace: dict[str, object] = {}
    printed = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            out = io.StringIO()
            with contextlib.redirect_stdout(out), warnings.catch_warnings():
                exec(compile(cell.source, str(path), "exec"), namespace)
            if "check" in cell.metadata.get("tags", []):
                printed.append(out.getvalue())
    return printed


def test_no_notebook_is_marked_as_changed_when_it_is_opened() -> None:
    """JupyterLab writes what the kernel says of itself into a notebook; what already stands there changes nothing."""
    for path in (ROOT / "notebooks").rglob("[0-9]*.ipynb"):
        metadata = nbformat.read(path, as_version=4).metadata
        assert metadata.kernelspec == {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
        assert metadata.language_info.version.startswith("3.11."), path


def test_every_notebook_has_exercises() -> None:
    chapters = [p.name for p in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
    assert [p.name for p in SOLVED] == chapters
    assert [p.name for p in sorted((ROOT / "notebooks" / "exercises").glob("*.ipynb"))] == chapters


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_solutions_pass_and_stubs_fail(path: Path, tmp_path: Path) -> None:
    solved = run(path)
    assert 3 <= len(solved) <= 5
    for text in solved:
        lines = text.strip().splitlines()
        assert lines and all(line.startswith(RIGHT) for line in lines), text
    for text in run(generate(path, tmp_path)):
        assert text.strip() and RIGHT not in text, text


@pytest.mark.parametrize("path", SOLVED, ids=lambda p: p.stem)
def test_committed_exercises_are_generated_from_the_solutions(path: Path, tmp_path: Path) -> None:
    made = generate(path, tmp_path).read_text()
    assert made == (ROOT / "notebooks" / "exercises" / path.name).read_text(), "run make exercises"
    assert "SOLUTION" not in made and "solved)\\n" not in made


def test_stub_leaves_no_solution() -> None:
    source = "a = ...\n### BEGIN SOLUTION\na = 1\n### END SOLUTION\nb = 2"
    assert stub(source) == "a = ...\nb = 2"
    inside = "def f(x):\n    ### BEGIN SOLUTION\n    y = x\n    return y\n    ### END SOLUTION"
    assert stub(inside) == "def f(x):\n    ...  # your answer"
    assert not SOLUTION.search(stub(source) + stub(inside))


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (1.0004, 1.0, RIGHT),
        (1.1, 1.0, WRONG),
        (2.0, 1.0, "twice"),
        (np.nan, 1.0, WRONG),
        (..., 1.0, OPEN),
        ([1.0, ...], [1.0, 2.0], OPEN),
        (None, "word", OPEN),
        (" Word ", "word", RIGHT),
        (1.0, "word", WRONG),
        ("word", 1.0, WRONG),
        ([1.0, "no"], [1.0, 2.0], WRONG),
        (torch.tensor([1.0, 2.0], requires_grad=True), np.array([1.0, 2.0]), RIGHT),
        (torch.tensor([1.0]), np.array([1.0, 2.0]), WRONG),
        (1 + 1j, torch.tensor(1 + 1j), RIGHT),
        (torch.tensor([1 + 1j]).conj(), 1 - 1j, RIGHT),
        (Fraction(1, 3), 0.333, RIGHT),
        ([1, "Word "], [1.0, "word"], RIGHT),
        (lambda: 1.004, 1.0, RIGHT),
        (1.006, 1.0, "close, but not within 0.5 %"),
        (-1.0, 1.0, "sign"),
        ([1.0, -2.0], [1.0, 2.0], "absolute value"),
        (1.5, [1.0, 2.0], "the mean of the map"),
        ([1.0, 2.0], 1.5, "its mean is asked"),
        ([1], [1, "word"], "expected [a number, a word], got [a number]"),
        (torch.zeros(2, 3), 1.0, "expected a number, got an array of shape (2, 3)"),
        (True, 1.0, "expected a number, got a truth value"),
        (lambda: 1 / 0, "word", "expected a word, got ZeroDivisionError"),
        (lambda: None, 1.0, "`return`"),
        (object(), 1.0, "got an object of type object"),
    ],
)
def test_check_says_right_wrong_or_open(
    answer: object, expected: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(answer, expected, "because", mistakes={"twice": 2.0})
    printed = capsys.readouterr().out
    assert said in printed
    assert ("because" in printed) == (said == RIGHT)


def test_every_known_mistake_in_a_list_gets_its_hint(capsys: pytest.CaptureFixture[str]) -> None:
    check([2, 5], [1, 3], "", mistakes={"the first.": [2, ...], "the second.": [..., 5], "another.": [..., 4]})
    assert "the first. And the second.\n" in capsys.readouterr().out


def draw(size: float, loss: str) -> tuple[plt.Figure, str]:
    fig, ax = plt.subplots()
    ax.bar([loss], [size])
    return fig, f'{loss} "{size:g}"'


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    calls: list[tuple[dict[str, Any], dict[str, Any]]] = []
    monkeypatch.setattr(teaching, "display", lambda data, metadata, raw: calls.append((data, metadata)))
    return calls


def test_moving_a_slider_changes_the_picture_and_its_text(shown: list) -> None:
    pytest.importorskip("ipywidgets")
    size = teaching.slider("size", 0, 2, 1, 0.1)
    loss = teaching.choice("loss", {"ℓ2": "l2", "⊥": "perp"}, "l2")
    teaching.explore(draw, widgets=True, size=size, loss=loss)
    data, metadata = shown[0]
    view = data["application/vnd.jupyter.widget-view+json"]
    from ipywidgets.widgets.widget import _instances

    box = _instances[view["model_id"]]
    picture = box.children[-1]
    first = picture.value
    assert metadata["image/png"]["alt"] == 'l2 "1"' and "image/png" in data
    size.value = 1.5
    assert picture.value != first and "l2 &quot;1.5&quot;" in picture.value
    second = picture.value
    loss.value = "perp"
    assert picture.value != second and "perp" in picture.value
    assert not plt.get_fignums()


def test_batch_runs_show_the_picture_alone(shown: list) -> None:
    control = teaching.slider("size", 0, 2, 1, 0.1)
    loss = teaching.choice("loss", {"ℓ2": "l2"}, "l2")
    teaching.explore(draw, widgets=False, size=control, loss=loss)
    assert set(shown[0][0]) == {"text/plain", "image/png"}
