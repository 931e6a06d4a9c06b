"""The command line: what users type, and errors without a traceback."""

from __future__ import annotations

import inspect
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import agreement
import numpy as np
import pytest
from conftest import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from perpcore import cli
from perpcore.experiments.configs import RECON, Config, recon_configs
from perpcore.experiments.results import own_path
from perpcore.models import UNet


def perpcore(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "perpcore", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def one_short_run(monkeypatch: pytest.MonkeyPatch, empty_project: Path) -> Config:
    config = replace(RECON["smoke"], anatomy="abdomen", steps=2, validate_every=1)
    monkeypatch.setattr(cli, "all_configs", lambda preset: [config])
    return config


def test_help_names_the_commands() -> None:
    said = perpcore("--help").stdout
    assert all(command in said for command in ("data", "train", "claims"))


def test_train_lists_and_trains(one_short_run, capsys: pytest.CaptureFixture[str]) -> None:
    cli.train("all", "smoke", list_only=True)
    assert capsys.readouterr().out.split() == ["abdomen-l2-s00", "missing"]
    cli.train("abdomen-l2-s00", "smoke", "cpu")
    said = capsys.readouterr().out
    assert "psnr" in said and f"1 results in {own_path(one_short_run).parent}" in said
    cli.train("recon", "smoke", list_only=True)
    assert capsys.readouterr().out.split() == ["abdomen-l2-s00", "done"]


def test_a_measured_file_is_reconstructed(empty_project: Path, tmp_path: Path) -> None:
    folder = empty_project / "data" / "pretrained" / "abdomen"
    folder.mkdir(parents=True)
    record = {"class": "UNet", "arguments": json.dumps({"chans": 4, "num_pool_layers": 1}), "config": "{}"}
    weights = {name: weight.contiguous() for name, weight in UNet(4, 1).state_dict().items()}
    save_file(weights, folder / "unet_l2.safetensors", record)
    np.save(tmp_path / "scan.npy", np.random.default_rng(0).normal(size=(2, 32, 32)) + 0j)
    options = ["--domain", "image", "--axes", "slice,row,column"]
    command = ["reconstruct", str(tmp_path / "scan.npy"), "--network", "abdomen/unet_l2", "-o"]
    done = perpcore(*command, str(tmp_path / "out.npy"), *options)
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "out.npy").shape == (2, 32, 32) and "2 × 32 × 32" in done.stdout
    done = perpcore(*command, str(tmp_path / "out.npy"))
    assert done.returncode == 1 and "--domain" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1 and "Traceback" not in done.stderr


def test_head_may_close_the_pipe() -> None:
    command = f"{sys.executable} -m perpcore train all --preset full --list-only | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.startswith("brain-l1-s00") and not done.stderr


def test_claims_are_printed_and_compared(empty_project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="tab05_claims.json: not there"):
        cli.claims()
    check = {"statistic": "s", "wanted": "< 1", "mean": 0.5, "low": 0.4, "high": 0.6,
             "seeds": [0.4, 0.5, 0.6], "finding": "holds"}  # fmt: skip
    for folder, mean in (("figures", 0.5), ("figures/own", 0.7), ("figures/far", 0.9)):
        judged = {"preset": "quick", "claims": [
            {"claim": "C1", "text": "so it is", "source": "tab01_properties", "verdict": "mixed",
             "checks": [{**check, "mean": mean}]}]}  # fmt: skip
        (empty_project / folder).mkdir()
        (empty_project / folder / "tab05_claims.json").write_text(json.dumps({"numbers": judged}))
    cli.claims()
    assert "C1            mixed" in capsys.readouterr().out
    agreement.main(Path("figures/own"), Path("figures"))
    assert "1 of 1 statistics agree" in capsys.readouterr().out
    agreement.main(Path("figures/far"), Path("figures"))
    assert "0 of 1 statistics agree" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="nowhere/tab05_claims.json: not there"):
        agreement.main(Path("nowhere"), Path("figures"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "nonsense", "--preset", "smoke"], "what: expected all, recon, mixture, registration"),
        (["train", "recon", "--preset", "smoke", "--loss", "l7"], "loss: expected one of l1, l2"),
        (["train", "recon", "--preset", "smoke", "--device", "quantum"], "device: 'quantum'"),
        (["train", "brain", "--data", "x.h5"], "what: expected recon or registration"),
        (["train", "recon", "--data", "x.h5"], "No such file or directory: 'x.h5'"),
        (["claims", "--folder", "nowhere"], "nowhere/tab05_claims.json: not there"),
        (["data", "inspect", "x.h5"], "No such file or directory: 'x.h5'"),
        (["reconstruct", "x.npy", "--network", "brain/l9", "--out", "y.npy"], "name: expected one of"),
        (["data", "fetch", "moon"], "name: expected one of head, brain"),
    ],
)
def test_errors_are_one_line(
    empty_project: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    assert words in failed(monkeypatch, *arguments)


def failed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    """What a command says that fails: it is one line for stderr, and exit status 1."""
    monkeypatch.setattr(sys, "argv", ["perpcore", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, str) and len(end.value.code.splitlines()) == 1
    return end.value.code


def test_a_damaged_result_is_one_line(empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = own_path(recon_configs("smoke")[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"broken")
    assert str(path) in failed(monkeypatch, "train", "recon", "--preset", "smoke")


def test_a_full_disk_is_one_line_and_the_run_goes_on_afterwards(empty_project: Path) -> None:
    """The kernel refuses the checkpoint; with room again the run continues to its end."""

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    command = [sys.executable, "-m", "perpcore", "train", "abdomen-l2-s00", "--preset", "smoke"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=little_room)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    *_, last = done.stderr.strip().splitlines()
    assert last.startswith("perpcore: ") and "cannot be written" in last and "checkpoint.pt" in last
    runs = empty_project / "data" / "runs" / "smoke"
    assert not [p for p in runs.rglob("*") if p.is_file()]
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert [p.name for p in runs.iterdir()] == ["abdomen-l2-s00.h5"]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The command line without training, downloads and the project's own files."""
    folder = tmp_path_factory.mktemp("fuzz")
    for name in ("notebooks", "data"):
        (folder / name).mkdir()
    shutil.copytree(ROOT / "figures", folder / "figures", ignore=shutil.ignore_patterns("*.png"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)

        def refuse(*arguments: object, **options: object) -> None:
            raise ValueError("not in this test")

        for name in ("train_all", "fetch"):
            patch.setattr(cli, name, refuse)
        yield folder


COMMANDS = {
    name: [f"--{p.replace('_', '-')}" for p in inspect.signature(getattr(cli, name)).parameters]
    for name in ("data", "train", "reconstruct", "claims")
}
COUNT = int(os.environ.get("PERPCORE_FUZZ", "900")) // 5
VALUES = st.one_of(
    st.sampled_from(["smoke", "quick", "full", "0", "-1", "1e9", "99999999999999999999", "", "[",
                     "*", ".", "/", "recon", "all", "fastmri:x", "inspect", "fetch", "head", "True"]),
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
@example(["train", "l2", "--workers", "99999999999999999999"])
@example(["data", "inspect", "\0"])
@example([])
def test_whatever_is_typed_ends_in_an_answer_or_one_clear_line(harmless: Path, arguments: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["perpcore", *arguments])
        try:
            cli.main()
        except SystemExit as end:
            if isinstance(end.code, str):
                assert end.code.startswith("perpcore: ") and len(end.code.splitlines()) == 1
            else:
                assert end.code in (0, None, 2), "tyro's help and its usage errors"
