"""Results belong to RESULTS_VERSION: tiny runs give the numbers that were committed with it.

If a test fails after a change that was meant to move results, raise RESULTS_VERSION in
perpcore/experiments/results.py, train and publish anew, and put the new numbers into golden.json.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perpcore.experiments.configs import COMPARISONS
from perpcore.experiments.run import train

GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())
TOLERANCE = 2e-3  # relative; processors differ by rounding, which a few steps do not amplify


@pytest.mark.parametrize("name", GOLDEN)
def test_a_tiny_run_gives_the_committed_numbers(empty_project: Path, name: str) -> None:
    configs = [c for runs_of in COMPARISONS.values() for c in runs_of("smoke")]
    (config,) = [c for c in configs if c.name == name]
    result = train(config, "cpu", progress=False)
    found = result.metrics.mean().to_dict() | {"loss": result.history.loss.iloc[-1]}
    moved = {
        metric: (found[metric], value)
        for metric, value in GOLDEN[name].items()
        if found[metric] != pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE * 0.1)
    }
    assert not moved, f"raise RESULTS_VERSION: (now, committed) {moved}"
