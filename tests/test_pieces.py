"""Preset paper in pieces: everything is planned once, and what a piece trained is kept and not trained again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pieces
import pytest

from perpcore.experiments.configs import CLASSICAL, COMPARISONS, REGISTRATION
from perpcore.experiments.results import load_result, precomputed_path

SHORT = replace(REGISTRATION["smoke"], steps=2, validate_every=1)


def test_every_trained_run_is_planned_once_and_what_decides_most_comes_first() -> None:
    planned = pieces.ordered("paper")
    names = [config.name for _, config in planned]
    wanted = {c.name for runs_of in COMPARISONS.values() for c in runs_of("paper") if c.label not in CLASSICAL}
    assert len(names) == len(set(names)) and set(names) == wanted
    questions = [question for question, _ in planned]
    assert list(dict.fromkeys(questions)) == [question for question, _ in pieces.QUESTIONS]
    assert {config.label for question, config in planned if question == "C2, C4"} == {"l2", "perp_l2"}


def test_no_piece_of_the_plan_is_longer_than_its_minutes(empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MINUTES", 1.0001)
    table = pieces.plan("smoke")
    assert len(table) == len(pieces.ordered("smoke")) and (table["GFLOP"] > 0).all() and not table["done"].any()
    seconds = table.groupby("piece")["seconds"].sum()
    assert (seconds <= 60 * (pieces.MINUTES - 1)).all() and 1 < len(seconds) < len(table)


def test_a_network_on_four_times_the_pixels_costs_four_times_as_much(empty_project: Path) -> None:
    config = next(c for _, c in pieces.ordered("smoke") if c.label == "unet_l2")
    flops, traffic = pieces.cost(config)
    again, larger = pieces.cost(replace(config, size=2 * config.size))
    assert again == pytest.approx(4 * flops) and larger == pytest.approx(4 * traffic, rel=0.2)


def test_a_piece_is_trained_packed_and_kept(empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configs = [replace(SHORT, seed=seed) for seed in (0, 1)]
    monkeypatch.setattr(pieces, "ordered", lambda preset: [("C8", config) for config in configs])
    out = empty_project / "out"
    pieces.run("smoke", out, minutes=9, workers=1, device="cpu", precision="float32")
    assert [path.name for path in out.iterdir()] == ["piece0.tar"]
    (empty_project / "data" / "runs" / "smoke").rename(empty_project / "elsewhere")  # the card's machine is another
    assert not any(map(pieces.is_done, configs))
    assert pieces.keep("smoke", out) == 2 and all(map(pieces.is_done, configs))
    first, second = (load_result(precomputed_path(config), config) for config in configs)
    assert first is not None and first.weights and first.examples
    assert second is not None and not second.weights and len(second.metrics) == len(first.metrics)


def test_checkpoints_travel_and_files_are_split(
    empty_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "ordered", lambda preset: [("C8", SHORT)])
    monkeypatch.setattr(pieces, "LARGEST_FILE", 100)
    runs = empty_project / "data" / "runs" / "smoke"
    runs.mkdir(parents=True)
    configs = [replace(SHORT, seed=seed) for seed in range(3)]
    for config in configs:
        (runs / f"{config.name}.checkpoint.pt").write_bytes(bytes(60))
    written = pieces.pack(configs, tmp_path / "out")
    assert len(written) == 3
    for path in runs.iterdir():
        path.unlink()
    assert pieces.keep("smoke", tmp_path / "out") == 0
    assert sorted(p.name for p in runs.iterdir()) == [f"{config.name}.checkpoint.pt" for config in configs]
