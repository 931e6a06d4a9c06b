"""environment.yml, pyproject.toml, constraints.txt, Makefile and README agree."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import yaml
from conftest import ROOT

import perpcore
from perpcore.inventory import FIGURES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.lower().split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)


def normal(requirement: str) -> str:
    return re.split(r"[<>=!\[ ]", requirement)[0].lower().replace("_", "-")


def test_every_dependency_is_pinned() -> None:
    wanted = [*PROJECT["dependencies"]]
    for extra in PROJECT["optional-dependencies"].values():
        wanted += extra
    missing = [name for name in map(normal, wanted) if name not in PINS]
    assert not missing
    assert PINS["torch"] == "2.13.0"
    assert not [name for name in PINS if name.startswith(("torchvision", "nvidia"))]


def test_conda_users_get_what_the_makefile_installs() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.11", "pip"]
    install = re.search(r"pip install (.*)", (ROOT / "Makefile").read_text())
    assert install is not None
    assert " ".join(pip["pip"]) == install[1].replace('"', "")
    assert PROJECT["requires-python"] == ">=3.11"


def test_readme_says_what_there_is() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    for command in set(re.findall(r"make ([a-z-]+)", readme)):
        assert command in targets
    for link in re.findall(r"\]\(([^)#:]+)\)", readme) + re.findall(r'src="([^":]+)"', readme):
        assert (ROOT / link).exists(), link
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert notebook.name in readme
    assert re.search(r"pip install -c constraints.txt -e", readme)


def test_citation_has_this_version_and_the_article() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == perpcore.__version__
    assert citation["preferred-citation"]["doi"] == "10.1016/j.media.2022.102509"


def test_every_figure_is_committed_and_indexed() -> None:
    index = (ROOT / "figures" / "index.md").read_text()
    for name, entry in FIGURES.items():
        kinds = ("png", "svg", "json") if name.startswith("fig") else ("md", "json")
        for kind in kinds:
            assert (ROOT / "figures" / f"{name}.{kind}").exists()
        assert name in index and entry.caption in index


def lines_of_code(text: str) -> int:
    """Lines that are neither blank nor comment nor docstring."""
    lines = text.splitlines()
    documentation: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documentation.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        bool(line.strip()) and not line.strip().startswith("#")
        for number, line in enumerate(lines, 1)
        if number not in documentation
    )


AROUND = (
    "cli.py",
    "execute.py",
    "exercises.py",
    "files.py",
    "interactive.py",
    "inventory.py",
    "pool.py",
    "pretrained.py",
    "shipping.py",
    "sources.py",
    "store.py",
)
"""With the readers of other people's files, not the module that a reader of the article studies."""


def test_files_stay_small() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    total = 0
    for path in (ROOT / name for name in tracked if name.startswith("perpcore/")):
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        if path.parent.name != "readers" and path.name not in AROUND:
            total += lines_of_code(text)
    assert total < 2500
    shipped = [p for p in Path(ROOT / "data" / "results" / "quick").glob("*")]
    assert sum(p.stat().st_size for p in shipped) <= 3_000_000
    assert sum(p.stat().st_size for p in (ROOT / "data" / "results").rglob("*.*")) <= 25_000_000
