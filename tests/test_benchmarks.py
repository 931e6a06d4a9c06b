"""Every benchmark says what it measures, and its result is kept."""

from __future__ import annotations

import importlib.util
import re

from conftest import ROOT

FOLDER = ROOT / "benchmarks"


def test_every_script_has_a_result() -> None:
    spec = importlib.util.spec_from_file_location("run_all", FOLDER / "run_all.py")
    assert spec is not None and spec.loader is not None
    run_all = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run_all)
    scripts = {path.stem for path in FOLDER.glob("*.py")} - run_all.HELPERS
    assert scripts == set(run_all.ORDER)
    results = (FOLDER / "RESULTS.md").read_text()
    assert re.findall(r"^## (.*)$", results, re.M) == list(run_all.ORDER)
    assert "**Failed**" not in results
