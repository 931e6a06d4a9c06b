"""The command line: what users type, and errors without a traceback."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from perpcore import cli, experiments
from perpcore.experiments import PRESETS
from perpcore.store import Store


def perpcore(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "perpcore.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def one_short_run(monkeypatch: pytest.MonkeyPatch, isolated_store: Path) -> experiments.Run:
    run = replace(PRESETS["smoke"], steps=2, validate_every=1)
    monkeypatch.setattr(experiments, "all_runs", lambda preset="quick", seed=0: [run])
    return run


def test_help_and_info_run(isolated_store: Path) -> None:
    assert "figures" in perpcore("--help").stdout
    info = perpcore("info")
    assert info.returncode == 0 and "0 of " in info.stdout and "device: " in info.stdout


def test_train_lists_and_trains(one_short_run, capsys: pytest.CaptureFixture[str]) -> None:
    cli.runs("smoke")
    assert f"{one_short_run.key}  recon  l2         seed 0  missing" in capsys.readouterr().out
    cli.train(one_short_run.key, "smoke", "cpu")
    assert "psnr" in capsys.readouterr().out
    cli.runs("smoke")
    assert "done" in capsys.readouterr().out


def test_ship_copies_results(one_short_run, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli, "shipped_path", lambda run: tmp_path / "shipped" / f"{run.key}.h5")
    with pytest.raises(ValueError, match="no result of l2"):
        cli.ship("smoke")
    cli.train("l2", "smoke", "cpu")
    cli.ship("smoke")
    assert [p.name for p in (tmp_path / "shipped").iterdir()] == [f"{one_short_run.key}.h5"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nonsense", "--preset", "smoke"], "key: no run of preset 'smoke'"),
        (["train", "l2", "--preset", "smoke", "--device", "quantum"], "device: 'quantum'"),
        (["figures", "--only", "99"], "only: no notebook"),
    ],
)
def test_errors_are_one_line(isolated_store: Path, arguments: list[str], words: str) -> None:
    done = perpcore(*arguments)
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_damaged_result_is_one_line(isolated_store: Path) -> None:
    path = Store().result_path(experiments.recon_runs("smoke")[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"broken")
    done = perpcore("figures", "--preset", "smoke")
    assert done.returncode == 1 and str(path) in done.stderr and "Traceback" not in done.stderr
