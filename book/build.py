"""Builds the book: stages notebooks, figures and these pages side by side, then runs Sphinx.

    python book/build.py

No warning is tolerated, and the pages need nothing from outside: formulas and scripts are local.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent


def stage(source: Path) -> None:
    """The folders beside each other as in the project, so that links between them hold."""
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    for page in [*HERE.glob("*.md"), HERE / "conf.py"]:
        shutil.copy(page, source)
    shutil.copytree(ROOT / "notebooks", source / "notebooks", ignore=shutil.ignore_patterns(".*"))
    shutil.copytree(
        ROOT / "figures", source / "figures", ignore=shutil.ignore_patterns("own", ".*")
    )
    for table in (source / "figures").glob("tab*.md"):  # a page needs a title
        table.write_text(f"# {table.stem}\n\n{table.read_text()}")


def main() -> int:
    """Exit status of Sphinx."""
    source, out = HERE / "_build" / "source", HERE / "_build" / "html"
    stage(source)
    return sphinx(["-W", "--keep-going", "-q", "-b", "html", str(source), str(out)])


if __name__ == "__main__":
    sys.exit(main())
