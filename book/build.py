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
from typing import Any

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).parent
ROOT = HERE.parent
# Headings at which a long page goes on as the next one: no page is longer than eight screens.
CUTS = {
    "04_train_reconstruction": ["Train one yourself"],
    "05_reconstruction_results": ["Is the magnitude right?", "Do the networks beat what needs no training?"],
    "06_train_registration": ["The design of the full runs"],
    "07_registration_results": [
        "What do the warm-up and the normal flow do?", "Which differences are more than chance?",
    ],
    "08_ablations": ["When not to use ⊥-loss"],
    "09_your_own_data": [
        "What do networks trained on generated brains make of measured slices?",
        "How do the losses compare on measured images?",
    ],
    "11_when_it_pays": [
        "The law inside images", "What it buys: field maps and T2\\*", "The cold start, explained",
        "In three dimensions", "Discussion",
    ],
    "index": ["fig05_recon_examples", "fig09_reg_examples", "fig12_weight", "fig16_when", "tab01_properties"],
    "api": ["Fourier transform, coils, motion", "Networks and training", "Readers"],
}  # fmt: skip


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
        content = notebook(path)
        for number, cells in enumerate(pages_of(content["cells"], path.stem), 1):
            page = numbered(source / "notebooks" / path.name, number)
            page.write_text(json.dumps(content | {"cells": cells}))
    for path in (ROOT / "notebooks" / "solved").glob("*.ipynb"):
        (source / "notebooks" / "exercises" / path.name).write_text(exercises(path))
    (source / "figures").mkdir()
    for path in (ROOT / "figures").glob("*.*"):
        shutil.copy(path, source / "figures")
    for table in (source / "figures").glob("tab*.md"):  # a page needs a title
        table.write_text(f"# {table.stem}\n\n{table.read_text()}")

    readme = (ROOT / "README.md").read_text()
    claims = re.search(r"<!-- table: tab05_claims -->\n(.*?)<!--", readme, re.S)
    table = claims[1] if claims else ""
    for path in (source / "api.md", source / "figures" / "index.md"):
        first, *others = cut(path.read_text(), CUTS[path.stem])
        title = first.splitlines()[0]
        named = [f"{title}: {text.splitlines()[0]} …\n\n## {text}" for text in others]
        for number, text in enumerate([first, *named], 1):
            page = numbered(path, number)
            page.write_text(text)
            for figure in re.findall(r"^## (fig\w+)$", text, re.M):
                table = table.replace(f"(figures/{figure}.png)", f"(figures/{page.name}#{figure})")
    index = source / "index.md"
    index.write_text(index.read_text().replace("CLAIMS\n", table))


def numbered(path: Path, number: int) -> Path:
    """File of a page that goes on as several; the first keeps its name, so that links to it hold."""
    return path if number == 1 else path.with_stem(f"{path.stem}-{number}")


def cut(text: str, headings: list[str]) -> list[str]:
    """The parts of a text that begin with one of the headings, whose marks are left out."""
    return re.split(rf"^#+ (?=(?:{'|'.join(map(re.escape, headings))})$)", text, flags=re.M)


def pages_of(cells: list[dict[str, Any]], stem: str) -> list[list[dict[str, Any]]]:
    """The cells of a notebook on one page or more; each further page has the heading where it begins as its title."""
    if stem not in CUTS:
        return [cells]
    pages: list[list[dict[str, Any]]] = [[]]
    for cell in cells:
        if cell["cell_type"] == "markdown":
            first, *others = cut("".join(cell["source"]), CUTS[stem])
            pages[-1] += [cell | {"source": first}] * bool(first.strip())
            for text in others:
                pages.append([cell | {"source": f"# {stem[:2]} · {text}"}])
        else:
            pages[-1].append(cell)
    for page in pages[1:]:  # no level may be left out below the title
        for cell in page:
            if cell["cell_type"] == "markdown":
                cell["source"] = re.sub(r"^### ", "## ", "".join(cell["source"]), flags=re.M)
    assert len(pages) == 1 + len(CUTS[stem]), f"{stem}: a heading of CUTS is not there"
    return pages


def notebook(path: Path) -> dict[str, Any]:
    """A notebook whose pictures tell MyST-NB their alternative text."""
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        for output in cell.get("outputs", []):
            for spoken in output.get("metadata", {}).values():
                if isinstance(spoken, dict) and "alt" in spoken:
                    cell["metadata"]["mystnb"] = {"image": {"alt": spoken["alt"]}}
    return content


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
