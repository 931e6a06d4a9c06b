"""Hold drawn figures against the committed ones; renew what is committed.

python workflow/committed.py    # the tables that README.md shows, from figures/
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from perpcore.claims import FINDINGS

ROOT = Path(__file__).absolute().parents[1]
README_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.S)


def compare(committed: Path, drawn: Path) -> str:
    """Say in one line how many figures agree and which number moved most."""
    if committed == drawn:
        return f"figures and tables in {drawn}"
    names = sorted(p.name for p in drawn.glob("*.json") if (committed / p.name).exists())
    changed, most = [], (0.0, "")
    for name in names:
        old, new = (dict(_numbers(json.loads((f / name).read_text())["numbers"])) for f in (committed, drawn))
        moved = {key: _difference(old.get(key), new.get(key)) for key in old.keys() | new.keys()}
        worst = max(moved, key=lambda key: moved[key], default="")
        if worst and moved[worst] > 0:
            changed.append(name)
            text = f"{name} {worst}: {old.get(worst)} → {new.get(worst)}"
            most = max(most, (moved[worst], text))
    equal = len(names) - len(changed)
    said = f"{equal} of {len(names)} figures and tables in {drawn} have the committed numbers"
    return said + (f"; most changed, by {most[0]:.2g} of its size: {most[1]}" if changed else "")


def keep(executed: Path, path: Path) -> None:
    """Put an executed notebook in its place, without what papermill adds."""
    notebook = nbformat.read(executed, as_version=4)
    injected = "injected-parameters"
    notebook.cells = [c for c in notebook.cells if injected not in c.metadata.get("tags", [])]
    for holder in (notebook, *notebook.cells):
        for name in ("papermill", "execution", "widgets"):
            holder.metadata.pop(name, None)
    nbformat.write(notebook, path)


def write_index(figures: Path, notebooks: Path) -> None:
    """Write index.md: every figure and table of a folder, with caption and notebook."""
    sources = {p.stem: p.read_text() for p in sorted(notebooks.glob("[0-9]*.ipynb"))}
    lines = ["# Figures and tables", "", "Drawn by `make figures`. The numbers and the numbering "
             "are the companion's own, not the article's.", ""]  # fmt: skip
    for path in sorted(figures.glob("*.json")):
        record, name = json.loads(path.read_text()), path.stem
        makers = [stem for stem, text in sources.items() if f'\\"{name}\\"' in text]
        trained = record["preset"] != "any"
        made = f"Notebook [{makers[0]}](../notebooks/{makers[0]}.ipynb)" if makers else "No notebook"
        made += f", preset `{record['preset']}`" if trained else ", nothing trained"
        shown = f"![{record['alt']}]({name}.png)" if "alt" in record else f"[table]({name}.md)"
        lines += [f"## {name}", "", f"{record['caption']} {made}; [numbers]({name}.json).", "",
                  shown, ""]  # fmt: skip
    (figures / "index.md").write_text("\n".join(lines))


def _numbers(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what a record holds, each number with its place."""
    if isinstance(value, dict):
        for name, entry in value.items():
            yield from _numbers(entry, f"{key}/{name}")
    elif isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _numbers(entry, f"{key}[{position}]")
    else:
        yield key, value


def _difference(old: Any, new: Any) -> float:
    """Return how far a value moved, relative to its size; infinity for what is no number."""
    if old == new:
        return 0.0
    if not isinstance(old, (int, float)) or not isinstance(new, (int, float)):
        return math.inf
    if abs(new - old) < 1e-9:  # rounding about zero
        return 0.0
    return abs(new - old) / max(abs(old), abs(new))


def readme_table(name: str) -> str:
    """Return a table of figures/ as README.md shows it."""
    if name == "tab05_claims":
        return markdown(json.loads((ROOT / "figures" / f"{name}.json").read_text())["numbers"], "figures/")
    return (ROOT / "figures" / f"{name}.md").read_text().split("\n\n", 1)[1].rstrip()


def markdown(judged: dict[str, Any], prefix: str = "") -> str:
    """Write the table of `claims.judge`; `prefix` leads to the figures folder.

    Of several checks the first that fails is shown, or else the first that is open, or else the first.
    """
    lines = ["| claim | in our words | verdict | decisive statistic [95 % interval] | figure |"]
    lines.append("|---|---|---|---|---|")
    for claim in judged["claims"]:
        checks = claim["checks"]
        shown = min(checks, key=lambda check: ("fails", "open", "holds").index(check["finding"]))
        interval = f" [{shown['low']:.3f}, {shown['high']:.3f}]" * (shown["low"] < shown["high"])
        counts = {f: sum(c["finding"] == f for c in checks) for f in FINDINGS}
        said = f"{counts['holds']} of {len(checks)} checks hold"
        said += f", {counts['fails']} fail" * bool(counts["fails"])
        said += f", {counts['open']} open" * bool(counts["open"])
        held = f" ({said})" * (len(checks) > 1)
        kind = "md" if claim["source"].startswith("tab") else "png"
        lines.append(
            f"| {claim['claim']} | {claim['text']} | **{claim['verdict']}**{held} "
            f"| {shown['statistic']}: {shown['mean']:.3f}{interval}, wanted {shown['wanted']} "
            f"| [{claim['source'][:5]}]({prefix}{claim['source']}.{kind}) |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(README_TABLE.sub(lambda m: f"{m[1]}{readme_table(m[2])}\n{m[3]}", readme.read_text()))
