"""Many runs at once, and their summaries."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from perpcore import pool, shipping, store
from perpcore.experiments.results import Store, read_result
from perpcore.grid import PRESETS, Trial
from perpcore.statistics import mean_interval

RUNS = [replace(PRESETS["smoke"], steps=2, validate_every=2, seed=s) for s in (0, 1, 2)]
ONE, TWO = Trial("", "one seed", (RUNS[0],)), Trial("", "two seeds", (RUNS[0], RUNS[1]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERPCORE_RUNS", str(root))
        pool.train_all([*RUNS[:2], RUNS[0]], "cpu", workers=2)
    return root


def test_two_at_a_time_store_each_run_once(trained: Path) -> None:
    assert {read_result(path).run for path in Store(trained).paths()} == set(RUNS[:2])


def test_a_summary_is_the_mean_over_seeds_and_images_of_all_accelerations(trained: Path) -> None:
    results = [Store(trained).load(run) for run in RUNS[:2]]
    per_image = []
    for result in results:
        assert result is not None
        table = result.metrics.pivot(index="image", columns="acceleration", values="psnr")
        per_image.append(table.mean(axis=1).to_numpy())
    for count in (1, 2):
        summary = pool.summarize([r for r in results[:count] if r is not None])
        assert summary["psnr"] == mean_interval(np.stack(per_image[:count]))
        assert "image" not in summary and "acceleration" not in summary


def test_summaries_come_from_store_or_shipped_file(
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PERPCORE_RUNS", str(trained))
    monkeypatch.setattr(store, "project_root", lambda: tmp_path)
    assert pool.shipped_summaries("smoke") == {}
    stored = pool.obtain_summaries([ONE, TWO], device="cpu")
    assert "0 shipped, 2 from the run store" in capsys.readouterr().out
    shipping.ship_summaries([ONE, TWO])
    assert pool.shipped_summaries("smoke") == {}, "nobody said which code they are of"
    store.stamp_shipped("smoke")
    monkeypatch.setenv("PERPCORE_RUNS", str(tmp_path / "empty"))
    shipped = pool.obtain_summaries([ONE, TWO], device="cpu")
    assert "2 shipped, 0 from the run store" in capsys.readouterr().out
    assert set(stored) == {ONE.name, TWO.name}
    for name, summary in stored.items():
        for metric, value in summary.items():
            assert shipped[name][metric] == pytest.approx(value, rel=1e-5)
    with pytest.raises(ValueError, match="no result of l2"):
        shipping.ship_summaries([Trial("", "", (RUNS[2],))])


def test_workers_end_with_the_command_that_started_them(tmp_path: Path) -> None:
    code = (
        "from dataclasses import replace; from perpcore import grid, pool\n"
        "if __name__ == '__main__':\n"
        "    pool.train_all([replace(grid.PRESETS['smoke'], steps=10**6, seed=s) for s in (0, 1)], 'cpu', 2)\n"
    )
    (tmp_path / "long.py").write_text(code)
    environment = {**os.environ, "PERPCORE_RUNS": str(tmp_path / "runs")}
    command = subprocess.Popen(
        [sys.executable, tmp_path / "long.py"], env=environment, stdout=subprocess.DEVNULL
    )

    def locked() -> bool:  # both are at work
        return len(list((tmp_path / "runs").glob("*/lock"))) == 2

    wait_for(locked)
    workers = psutil.Process(command.pid).children(recursive=True)
    command.kill()
    command.wait()
    wait_for(lambda: not any(w.is_running() and w.status() != "zombie" for w in workers))


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
