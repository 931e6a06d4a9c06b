"""Results belong to RESULTS_VERSION: tiny runs give the numbers that were committed with it.

If a test fails after a change that was meant to move results, raise RESULTS_VERSION in
perpcore/experiments/results.py, train and publish anew, and write golden.json anew:

    python tests/experiments/test_golden.py
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from perpcore.experiments.configs import COMPARISONS
from perpcore.experiments.run import train

PATH = Path(__file__).parent / "golden.json"
GOLDEN = json.loads(PATH.read_text())
NAMES = ("abdomen-perp_l2-s00", "brain-unet_l2-s00", "abdomen-filter-s00", "registration-perp_l2-s00")
TOLERANCE = 2e-3  # relative; processors differ by rounding, which a few steps do not amplify


def means(name: str) -> dict[str, float]:
    """Metrics of a run of preset smoke, and the last training loss."""
    (config,) = [c for runs_of in COMPARISONS.values() for c in runs_of("smoke") if c.name == name]
    result = train(config, "cpu", progress=False)
    found = result.metrics.drop(columns=["acceleration", "image"]).mean().to_dict()
    return found if result.history.empty else {**found, "loss": result.history["loss"].iloc[-1]}


@pytest.mark.parametrize("name", NAMES)
def test_a_tiny_run_gives_the_committed_numbers(empty_project: Path, name: str) -> None:
    if name.startswith("brain"):
        pytest.importorskip("nilearn", reason="brains need nilearn (extra experiments)")
    found, golden = means(name), GOLDEN[name]
    assert set(found) == set(golden)
    moved = {
        metric: (found[metric], value)
        for metric, value in golden.items()
        if found[metric] != pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE * 0.1)
    }
    assert not moved, f"raise RESULTS_VERSION: (now, committed) {moved}"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in ("notebooks", "data"):
            (Path(folder) / name).mkdir()
        os.chdir(folder)
        now = {name: means(name) for name in NAMES}
    PATH.write_text(json.dumps(now, indent=1, sort_keys=True) + "\n")
