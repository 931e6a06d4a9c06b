"""Builds the book: stages notebooks, figures and these pages side by side, then runs Sphinx.

    python book/build.py

No warning is tolerated, and the pages need nothing from outside: formulas and scripts are local.
"""

from __future__ import annotations

import json
import re
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
    shutil.copytree(HERE / "static", source / "static")
    (source / "notebooks").mkdir()
    (source / "notebooks" / "exercises").mkdir()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        (source / "notebooks" / path.name).write_text(notebook(path))
    for path in (ROOT / "notebooks" / "solved").glob("*.ipynb"):
        (source / "notebooks" / "exercises" / path.name).write_text(exercises(path))
    (source / "figures").mkdir()
    for path in (ROOT / "figures").glob("*.*"):
        shutil.copy(path, source / "figures")
    for table in (source / "figures").glob("tab*.md"):  # a page needs a title
        table.write_text(f"# {table.stem}\n\n{table.read_text()}")

    readme = (ROOT / "README.md").read_text()
    claims = re.search(r"<!-- table: tab05_claims -->\n(.*?)<!--", readme, re.S)
    index = source / "index.md"
    table = re.sub(r"\(figures/(fig\w+)\.png\)", r"(figures/index.md#\1)", claims[1] if claims else "")
    index.write_text(index.read_text().replace("CLAIMS\n", table))


def notebook(path: Path) -> str:
    """A notebook whose pictures tell MyST-NB their alternative text."""
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            for spoken in output.get("metadata", {}).values():
                if isinstance(spoken, dict) and "alt" in spoken:
                    cell["metadata"]["mystnb"] = {"image": {"alt": spoken["alt"]}}
    return json.dumps(content)


def exercises(path: Path) -> str:
    """The solved exercises with every solution and its check folded away."""
    content = json.loads(path.read_text().replace(" (solved)", ": exercises"))
    for cell in content["cells"]:
        tags = cell["metadata"].get("tags", [])
        if "exercise" in tags or "check" in tags:
            cell["metadata"]["tags"] = [*tags, "hide-cell"]
            cell["metadata"]["mystnb"] = {"code_prompt_show": "Solution" if "exercise" in tags else "Self-check"}
    text = json.dumps(content, ensure_ascii=False)
    text = re.sub(r"\*\*Solutions:\*\* \[solved\]\([^)]*\)", "Solutions are folded away.", text)
    return text.replace("Replace each", "In notebooks/exercises/ of the repository: replace each")


def main() -> int:
    """Exit status of Sphinx."""
    source, out = HERE / "_build" / "source", HERE / "_build" / "html"
    stage(source)
    return sphinx(["-W", "--keep-going", "-q", "-b", "html", str(source), str(out)])


if __name__ == "__main__":
    sys.exit(main())
