"""The house: small files, imports that point down, no circle; and papers that agree with it."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib

import grimp
import pytest
import yaml
from conftest import ROOT

import perpcore

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = dict(
    line.lower().split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if line and not line.startswith("#")
)
MAX_LAYERS = 7
MAX_FILE, MAX_PACKAGE, MAX_STUDIED = 350, 4395, 2000


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """Module → modules of ours that it imports, wherever in the file."""
    graph = grimp.build_graph("perpcore", cache_dir=None)
    names = {m: graph.find_modules_directly_imported_by(m) for m in graph.modules}
    return {m: {n for n in found if n != "perpcore"} for m, found in names.items()}


def test_imports_point_down_without_a_circle(imports: dict[str, set[str]]) -> None:
    height: dict[str, int] = {}

    def measure(module: str, above: tuple[str, ...] = ()) -> int:
        assert module not in above, f"circle: {' → '.join([*above, module])}"
        if module not in height:
            below = [measure(name, (*above, module)) for name in imports[module]]
            height[module] = 1 + max(below, default=0)
        return height[module]

    layers = {module: measure(module) for module in imports if module != "perpcore.__main__"}
    top = max(layers, key=lambda module: layers[module])
    assert layers[top] <= MAX_LAYERS, (top, layers)
    assert layers["perpcore.data.datasets"] < layers["perpcore.classical"] < layers["perpcore.experiments.run"]


def test_the_loss_and_the_data_know_nothing_of_experiments(imports: dict[str, set[str]]) -> None:
    def reaches(module: str) -> set[str]:
        found = set(imports[module])
        for name in imports[module]:
            found |= reaches(name)
        return found

    assert reaches("perpcore.losses") <= {"perpcore._checks"}
    for module in imports:
        if module.startswith(("perpcore.data", "perpcore.training")):
            assert not [n for n in reaches(module) if n.startswith("perpcore.experiments")], module


def test_files_stay_small() -> None:
    command = ["git", "ls-files", "perpcore/*.py"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in listed.split()}
    assert max(lines.values()) <= MAX_FILE, max(lines, key=lambda name: lines[name])
    assert sum(lines.values()) <= MAX_PACKAGE
    studied = [n for name, n in lines.items()
               if name in ("perpcore/losses.py", "perpcore/models.py")
               or (name.startswith("perpcore/data/") and "readers" not in name)]  # fmt: skip
    assert sum(studied) <= MAX_STUDIED
    assert len(list((ROOT / "benchmarks").glob("*.py"))) <= 8
    assert len((ROOT / "workflow" / "figures.py").read_text().splitlines()) <= 60


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


def test_the_readme_says_what_there_is_and_is_short() -> None:
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    for command in set(re.findall(r"make ([a-z-]+)", readme)):
        assert command in targets
    for link in re.findall(r"\]\(([^)#:]+)\)", readme) + re.findall(r'src="([^":]+)"', readme):
        assert (ROOT / link).exists(), link
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert notebook.name in readme
    text = re.sub(r"<!-- table:.*?<!-- end of table -->", "", readme, flags=re.S)
    assert len(text.split()) <= 1300
    assert re.search(r"pip install -c constraints.txt -e", readme)


def test_the_citation_has_this_version_and_the_article() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["version"]) == perpcore.__version__
    assert citation["preferred-citation"]["doi"] == "10.1016/j.media.2022.102509"


def test_every_figure_is_whole_captioned_and_indexed() -> None:
    index = (ROOT / "figures" / "index.md").read_text()
    notebooks = "".join(p.read_text() for p in (ROOT / "notebooks").glob("[0-9]*.ipynb"))
    records = sorted((ROOT / "figures").glob("*.json"))
    assert len(records) == 32
    for path in records:
        record, name = json.loads(path.read_text()), path.stem
        for kind in ("png", "svg") if name.startswith("fig") else ("md",):
            assert path.with_suffix(f".{kind}").exists()
        assert f'\\"{name}\\"' in notebooks, f"no notebook makes {name}"
        assert f"## {name}" in index and record["caption"] in index
        assert not name.startswith("fig") or len(record["alt"]) > 40
