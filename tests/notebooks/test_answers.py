"""The self-check judges rightly: right answers pass however written, wrong ones fail with a hint that fits."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from functools import cache

import nbformat
import pytest
from answers import ANSWERS, TYPES
from conftest import ROOT
from teaching import OPEN, RIGHT, WRONG

from perpcore.experiments.configs import Config

IMPORTS = "import numpy as np\nimport torch\nfrom fractions import Fraction\nfrom perpcore import PerpLoss\n"
FOLDER = ROOT / "notebooks" / "exercises"


@pytest.fixture(scope="module", autouse=True)
def no_training() -> Iterator[None]:
    """Where results are missing an exercise would train for hours."""

    def refuse(configs: Sequence[Config], *_: object) -> None:
        pytest.fail(f"precomputed results are missing, one of {len(configs)} like {configs[0].name}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("perpcore.experiments.run.train_all", refuse)
        yield


@cache
def exercises(number: str) -> dict[str, tuple[dict[str, object], str]]:
    """Exercise → what is defined when a reader comes to answer it, and the cell that checks the answer."""
    (path,) = FOLDER.glob(f"{number}_*.ipynb")
    namespace: dict[str, object] = {}
    found: dict[str, tuple[dict[str, object], str]] = {}
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            with contextlib.redirect_stdout(io.StringIO()):
                if "check" in cell.metadata.tags:
                    found[f"{number}.{len(found) + 1}"] = dict(namespace), cell.source
                exec(cell.source, namespace)
    return found


def verdicts(name: str, answer: str) -> list[str]:
    """What the reader's own check cell prints for an answer, line by line."""
    namespace, check = exercises(name[:2])[name]
    namespace = dict(namespace)
    out = io.StringIO()
    with contextlib.redirect_stdout(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader sees them and goes on
        exec(IMPORTS + answer, namespace)
        exec(check, namespace)
    return out.getvalue().splitlines()


def test_every_exercise_has_answers() -> None:
    numbers = {path.name[:2] for path in FOLDER.glob("*.ipynb")}
    assert {name[:2] for name in ANSWERS} == numbers
    assert sorted(ANSWERS) == sorted(name for n in numbers for name in exercises(n))
    for answers in ANSWERS.values():
        assert len(set(answers.right)) >= 3 and len(answers.wrong) >= 5


@pytest.mark.parametrize("name", ANSWERS)
def test_right_answers_pass(name: str) -> None:
    for answer in ANSWERS[name].right:
        said = verdicts(name, ANSWERS[name].form.replace("{}", answer))
        assert said and all(line.startswith(RIGHT) for line in said), (answer, said)


@pytest.mark.parametrize("name", ANSWERS)
def test_wrong_answers_fail_with_a_hint_that_fits(name: str) -> None:
    for answer, hint in ANSWERS[name].wrong.items():
        said = verdicts(name, ANSWERS[name].form.replace("{}", answer))
        assert any(line.startswith(WRONG) and hint in line for line in said), (answer, said)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_of_a_wrong_type_get_a_sentence(name: str) -> None:
    form = "u = {}" if name == "06.1" else ANSWERS[name].form
    tried = [form.replace("{}", thing) for thing in TYPES]
    if function := re.search(r"def (\w+)", form):
        tried += [f"{function[1]} = {thing}" for thing in TYPES] + [f"del {function[1]}"]
    for answer in tried:
        said = verdicts(name, answer)[0]
        assert said.startswith((WRONG, OPEN)), (answer, said)
        sentences = "expected .*, got ", 'write "', "division by 0", "return"
        assert any(re.search(s, said) for s in sentences), (answer, said)
