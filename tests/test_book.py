"""The rendered book: no warning, nothing from outside, no broken link between its pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import exercises
import pytest

ROOT = Path(__file__).parents[1]


def test_the_book_builds_without_warnings_and_stands_alone() -> None:
    pytest.importorskip("sphinx", reason="the extra book is not installed (make book does)")
    done = subprocess.run([sys.executable, ROOT / "book" / "build.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    html = ROOT / "book" / "_build" / "html"
    pages = [*html.glob("*.html"), *html.glob("notebooks/*.html"), *html.glob("notebooks/exercises/*.html")]
    pages += html.glob("figures/*.html")
    assert len(pages) > 35
    for page in pages:
        text = page.read_text()
        assert not re.findall(r"<(?:script|img|iframe)[^>]* src=\"https?://[^\"]+", text), page
        assert not re.findall(r"<link[^>]* rel=\"stylesheet\"[^>]* href=\"https?://", text), page
        for link, place in re.findall(r"<a [^>]*href=\"([^\"#:?]*)#?([^\":?]*)\"", text):
            target = page.parent / unquote(link) if link else page
            assert target.exists(), f"{page}: {link}"
            if place:
                assert f'id="{unquote(place)}"' in target.read_text(), f"{page}: {link}#{place}"


def test_exercises_of_an_unknown_notebook_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exercises, "NotebookClient", None)  # nothing is run
    monkeypatch.setattr(sys, "argv", ["exercises.py", "01", "77"])
    with pytest.raises(SystemExit, match="no notebook 77, only 00, 01"):
        exercises.main()
