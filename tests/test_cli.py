"""The command line: what users type, and errors without a traceback."""

from __future__ import annotations

import inspect
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from perpcore import cli, experiments, grid, pool, pretrained, shipping, store
from perpcore.data.readers import fetch
from perpcore.experiments.configs import Run
from perpcore.experiments.results import Store, read_result
from perpcore.grid import PRESETS


def perpcore(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "perpcore.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def one_short_run(monkeypatch: pytest.MonkeyPatch, isolated_store: Path) -> Run:
    run = replace(PRESETS["smoke"], steps=2, validate_every=1)
    unrolled = replace(run, coils=2, cascades=1, depth=1)
    for name, runs in (("all_runs", [run]), ("recon_runs", [run]), ("motion_runs", []), ("unrolled_runs", [unrolled]),
                       ("tuning_trials", [grid.Trial("", "", (replace(run, seed=7),))]), ("ablation_trials", [])):  # fmt: skip
        monkeypatch.setattr(grid, name, lambda preset="quick", seed=0, runs=runs: runs)
    return run


def test_help_and_info_run(isolated_store: Path) -> None:
    assert "figures" in perpcore("--help").stdout
    info = perpcore("info")
    assert info.returncode == 0 and "0 of " in info.stdout and "device: " in info.stdout


def test_train_lists_and_trains(one_short_run, capsys: pytest.CaptureFixture[str]) -> None:
    cli.runs("smoke")
    assert (
        f"{one_short_run.key}  recon         l2                 seed 0  missing"
        in capsys.readouterr().out
    )
    cli.train(one_short_run.key, "smoke", "cpu")
    assert "psnr" in capsys.readouterr().out
    cli.runs("smoke")
    assert "done" in capsys.readouterr().out


def test_ship_copies_results(one_short_run, tmp_path: Path, monkeypatch, capsys) -> None:
    for module in (store, cli, pretrained):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    with pytest.raises(ValueError, match="no result of l2"):
        cli.ship("smoke")
    (unrolled,) = grid.unrolled_runs("smoke")
    pool.train_all([one_short_run, unrolled, *grid.trial_runs("smoke")], "cpu")
    cli.ship("smoke")
    for run in (one_short_run, unrolled):
        shipped = read_result(store.shipped_path(run), run)
        assert bool(shipped.weights) == (run.cascades == 0)
    (trial,) = grid.trial_runs("smoke")
    assert set(pool.shipped_summaries("smoke")) == {trial.name}
    assert shipping.not_shipped([one_short_run, unrolled, trial]) == []
    assert not pretrained.names()


def test_seeds_are_added_to_what_is_shipped(one_short_run, tmp_path: Path, monkeypatch) -> None:
    for module in (store, cli, pretrained):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    late = replace(one_short_run, seed=shipping.WEIGHTS_OF)
    pool.train_all([one_short_run, late, *grid.unrolled_runs("smoke"), *grid.trial_runs("smoke")], "cpu")  # fmt: skip
    shipping.ship("smoke")
    before = store.shipped_path(one_short_run).read_bytes()
    Store().discard(one_short_run)
    for run in grid.trial_runs("smoke"):
        Store().discard(run)
    monkeypatch.setattr(grid, "recon_runs", lambda *of: [one_short_run, late])
    written = shipping.ship("smoke", networks=True)
    assert store.shipped_path(one_short_run).read_bytes() == before
    assert store.shipped_path(late) in written and not read_result(store.shipped_path(late)).weights
    assert not pretrained.names(), "not the best of those that happen to be there"
    monkeypatch.setattr(shipping, "shipped_is_current", lambda preset: False)
    with pytest.raises(ValueError, match="no result of l2"):
        shipping.ship("smoke")


def test_presets_that_take_hours_are_drawn_from_what_is_shipped(
    isolated_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[list[Run]] = []
    monkeypatch.setattr(pool, "train_all", lambda runs, *others: wanted.append(list(runs)))
    monkeypatch.setattr(cli, "execute_all", lambda *arguments: None)
    monkeypatch.setattr(cli, "write_index", lambda: "index")
    for variable in ("PERPCORE_FROM_SHIPPED", "PERPCORE_SKIP_BAD", "TQDM_DISABLE"):
        monkeypatch.setenv(variable, "")  # put back when the test ends
    cli.figures("cpu", "cpu")
    assert wanted == [[]] and os.environ["PERPCORE_FROM_SHIPPED"] == "1"
    cli.figures("cpu", "cpu", retrain=True)
    assert set(wanted[1]) == set(grid.all_runs("cpu"))
    assert os.environ["PERPCORE_FROM_SHIPPED"] == "0"
    cli.figures("quick", "cpu")
    assert set(wanted[2]) == set(grid.all_runs("quick"))


def test_claims_are_printed_and_written_to_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PERPCORE_FIGURES", str(tmp_path))
    with pytest.raises(ValueError, match="tab05_claims.json: not there"):
        cli.claims()
    judged = {"preset": "quick", "claims": [
        {"claim": "C1", "text": "so it is", "source": "tab01_properties", "verdict": "partly",
         "checks": [{"statistic": "s", "wanted": "< 1", "mean": 0.5, "low": 0.4, "high": 0.6,
                     "seeds": [0.5], "finding": "holds"}]}]}  # fmt: skip
    (tmp_path / "tab05_claims.json").write_text(json.dumps({"numbers": judged}))
    monkeypatch.setattr(cli, "project_root", lambda: tmp_path)
    start, end = cli.CLAIMS_MARKERS
    (tmp_path / "README.md").write_text(f"before\n{start}\nold\n{end}\nafter\n")
    cli.claims(update_readme=True)
    assert "C1            partly" in capsys.readouterr().out
    text = (tmp_path / "README.md").read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "old" not in text
    assert "| C1 | so it is | **partly** | s: 0.500 [0.400, 0.600], wanted < 1 |" in text


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
    path = Store().result_path(grid.recon_runs("smoke")[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"broken")
    done = perpcore("figures", "--preset", "smoke")
    assert done.returncode == 1 and str(path) in done.stderr and "Traceback" not in done.stderr


def test_a_full_disk_is_one_line_and_the_run_goes_on_afterwards(isolated_store: Path) -> None:
    """The kernel refuses the checkpoint; with room again the run continues to its end."""

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "-m", "perpcore.cli", "train", "l2", "--preset", "smoke"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=little_room)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("perpcore: ") and "cannot be written" in last and "checkpoint.pt" in last
    assert not Store().paths() and not list(isolated_store.rglob("*.pt"))
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert len(Store().paths()) >= 1


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The command line without training, notebooks, downloads and the project's own files."""
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUNS", "FIGURES"):
            patch.setenv(f"PERPCORE_{name}", str(folder / name))
        for variable in ("PERPCORE_SKIP_BAD", "PERPCORE_FROM_SHIPPED", "TQDM_DISABLE"):
            patch.setenv(variable, "0")  # commands set them; put back afterwards
        patch.setattr(cli, "execute_all", lambda *arguments: None)
        patch.setattr(pool, "train_all", lambda *arguments: None)
        patch.setattr(store, "project_root", lambda: folder)
        patch.setattr(cli, "project_root", lambda: folder)
        (folder / "notebooks").mkdir()
        (folder / "notebooks" / "02_some.ipynb").write_text("")

        def refuse(*arguments: object, **options: object) -> None:
            raise ValueError("not in this test")

        patch.setattr(experiments, "train", refuse)
        patch.setattr(fetch, "fetch", refuse)
        patch.chdir(folder)
        yield folder


COMMANDS = {
    name: [f"--{p.replace('_', '-')}" for p in inspect.signature(getattr(cli, name)).parameters]
    for name in ("figures", "train", "runs", "ship", "claims", "data", "info")
}
COUNT = int(os.environ.get("PERPCORE_FUZZ", "1500")) // 5
VALUES = st.one_of(
    st.sampled_from(["smoke", "quick", "cpu", "0", "-1", "1e9", "99999999999999999999", "", "[", "*",
                     ".", "/", "recon", "fastmri:x", "inspect", "fetch", "head", "True"]),
    st.text(max_size=12),
    st.integers().map(str),
)  # fmt: skip


@st.composite
def typed(draw: st.DrawFn) -> list[str]:
    """A command with its own flags and with values that mostly do not fit."""
    command = draw(st.sampled_from(sorted(COMMANDS)))
    flags = st.sampled_from(["--help", "--nonsense", *COMMANDS[command]])
    pairs = st.lists(st.tuples(flags, VALUES) | st.tuples(flags) | st.tuples(VALUES), max_size=3)
    return [command, *sum(draw(pairs), ())]


@settings(max_examples=COUNT)
@given(typed())
@example(["figures", "--only", "["])
@example(["figures", "--workers", "-3"])
@example(["train", "l2", "--seed", "99999999999999999999"])
@example([])
def test_whatever_is_typed_ends_in_an_answer_or_one_clear_line(
    harmless: Path, arguments: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["perpcore", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            if isinstance(end.code, str):
                assert end.code.startswith("perpcore: ") and len(end.code.splitlines()) == 1
            else:
                assert end.code in (0, None, 2), "tyro's help and its usage errors"
