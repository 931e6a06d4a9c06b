"""Many runs at once, and their summaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perpcore import pool, store
from perpcore.grid import PRESETS
from perpcore.statistics import bootstrap_mean
from perpcore.store import Store, read_result

RUNS = [replace(PRESETS["smoke"], steps=2, validate_every=2, seed=s) for s in (0, 1, 2)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERPCORE_RUNS", str(root))
        pool.train_all([*RUNS[:2], RUNS[0]], "cpu", workers=2)
    return root


def test_two_at_a_time_store_each_run_once(trained: Path) -> None:
    assert {read_result(path).run for path in Store(trained).paths()} == set(RUNS[:2])


def test_a_summary_is_the_mean_over_images_of_all_accelerations(trained: Path) -> None:
    result = Store(trained).load(RUNS[0])
    assert result is not None
    summary = pool.summarize(result)
    per_image = result.metrics.pivot(index="image", columns="acceleration", values="psnr").mean(
        axis=1
    )
    assert summary["psnr"] == bootstrap_mean(per_image.to_numpy())
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
    stored = pool.obtain_summaries(RUNS[:2], device="cpu")
    assert "0 shipped, 2 from the run store" in capsys.readouterr().out
    pool.ship_summaries(RUNS[:2])
    assert pool.shipped_summaries("smoke") == {}, "nobody said which code they are of"
    store.stamp_shipped("smoke")
    monkeypatch.setenv("PERPCORE_RUNS", str(tmp_path / "empty"))
    shipped = pool.obtain_summaries(RUNS[:2], device="cpu")
    assert "2 shipped, 0 from the run store" in capsys.readouterr().out
    for key, summary in stored.items():
        for metric, value in summary.items():
            assert shipped[key][metric] == pytest.approx(value, rel=1e-5)
    with pytest.raises(ValueError, match="no result of l2"):
        pool.ship_summaries([RUNS[2]])
