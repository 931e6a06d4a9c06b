"""The training loop: resumes after SIGKILL, stops at a non-finite loss, notices damage."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import random
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from perpcore.files import seal
from torch import nn

from perpcore.data.datasets import PhantomRecon
from perpcore.experiments import build_loss, build_model
from perpcore.grid import PRESETS
from perpcore.training import (
    NonFiniteLossError,
    fit,
    learning_rate,
    peak_memory,
    pick_device,
)

RUN = replace(PRESETS["smoke"], loss="perp_ssim", steps=20, validate_every=4)


def run_fit(checkpoint: Path | None, run=RUN, loss: nn.Module | None = None):
    model = build_model(run)
    data = PhantomRecon(run)
    history = fit(
        run, model, loss or build_loss(run), data.training_batch, lambda m: {"psnr": 1.0},
        checkpoint=checkpoint, progress=False, main_metric="psnr",
    )  # fmt: skip
    return model, history


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_learning_rate_rises_and_falls_to_zero() -> None:
    rates = [learning_rate(RUN, step) for step in range(RUN.steps + 1)]
    assert max(rates) == pytest.approx(RUN.learning_rate)
    assert rates[-1] == pytest.approx(0) and rates[-2] < 0.05 * RUN.learning_rate


def test_the_same_run_gives_the_same_weights() -> None:
    (a, history), (b, _) = run_fit(None), run_fit(None)
    assert same_weights(a, b)
    assert history["step"] == [4, 8, 12, 16, 20] and len(history["loss"]) == 5


def killed_job(checkpoint: Path, out: Path, started: Any) -> None:
    """In a process of its own: train, and keep the result beside the checkpoint."""
    started.set()
    model, history = run_fit(checkpoint, LONGER)
    part = out.with_suffix(".part")
    torch.save([model.state_dict(), history], part)
    part.rename(out)  # a kill may come while it is written


LONGER = replace(RUN, steps=40)


def test_runs_killed_twenty_times_continue_to_the_same_result(tmp_path: Path) -> None:
    """SIGKILL at random moments; a server that has imported torch starts the processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["perpcore.experiments", "pytest"])
    checkpoint, out = tmp_path / "c" / "checkpoint.pt", tmp_path / "out.pt"
    rng, kills, reached = random.Random(1), 0, []
    while kills < 20 or not out.exists():
        if out.exists():  # through before the last kill: begin again
            shutil.rmtree(checkpoint.parent)
            out.unlink()
        started = context.Event()
        process = context.Process(target=killed_job, args=(checkpoint, out, started))
        process.start()
        assert started.wait(60)
        if kills < 20:
            # Every third attempt lives until it has written a checkpoint, so that the run advances.
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            while kills % 3 == 0 and process.is_alive():
                if checkpoint.exists() and checkpoint.stat().st_mtime_ns > before:
                    break
                time.sleep(0.002)
            time.sleep(rng.uniform(0, 0.15))
            process.kill()
            kills += 1
            reached.append(checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0)
        process.join()
    assert kills == 20 and len(set(reached)) > 3
    weights, history = torch.load(out, weights_only=True)
    uninterrupted, expected = run_fit(None, LONGER)
    assert all(torch.equal(weights[n], w) for n, w in uninterrupted.state_dict().items())
    assert history == expected
    assert sorted(p.name for p in checkpoint.parent.glob("*.pt")) == [
        "checkpoint.previous.pt", "checkpoint.pt",
    ]  # fmt: skip


def test_two_processes_train_like_one(tmp_path: Path) -> None:
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import torch
        from pathlib import Path
        from perpcore.training import processes
        from test_training import run_fit
        rank, world = processes()
        assert world == 2
        model, _ = run_fit(Path(sys.argv[1]) / "checkpoint.pt")
        torch.save(model.state_dict(), f"{{sys.argv[1]}}/rank{{rank}}.pt")
    """)
    )
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    done = subprocess.run([*command, script, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    alone = run_fit(None)[0].state_dict()
    for rank in (0, 1):
        together = torch.load(tmp_path / f"rank{rank}.pt", weights_only=True)
        for name, weight in alone.items():
            torch.testing.assert_close(together[name], weight, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty"])
def test_a_damaged_checkpoint_is_named_and_the_previous_one_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    path = tmp_path / "checkpoint.pt"
    model, _ = run_fit(path)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes({"flip": content, "truncate": content[:-10], "empty": b""}[damage])
    again, history = run_fit(path)
    assert f"{path}: damaged" in capsys.readouterr().err
    assert same_weights(model, again) and history["step"][-1] == 20


def test_a_clock_that_jumps_back_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest checkpoint is known by its name, and no result depends on the time."""
    path = tmp_path / "checkpoint.pt"
    whole, expected = run_fit(None)
    with pytest.raises(NonFiniteLossError):
        run_fit(path, loss=Explodes(10))
    os.utime(path, (0, 0))
    assert path.stat().st_mtime < path.with_suffix(".previous.pt").stat().st_mtime
    later = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(later)))
    drawn: list[int] = []
    data = PhantomRecon(RUN)

    def draw(step: int) -> Any:
        drawn.append(step)
        return data.training_batch(step)

    model = build_model(RUN)
    history = fit(
        RUN, model, build_loss(RUN), draw, lambda m: {"psnr": 1.0}, checkpoint=path, progress=True
    )
    assert drawn[0] == 8 and history["step"] == expected["step"]


def test_a_checkpoint_that_holds_a_pickle_is_refused(tmp_path: Path) -> None:
    """Even under a valid seal nothing in it is executed."""
    path, harm = tmp_path / "checkpoint.pt", tmp_path / "harm"

    class Harmful:
        def __reduce__(self) -> Any:
            return Path.touch, (harm,)

    buffer = io.BytesIO()
    torch.save({"run": RUN.key, "step": Harmful()}, buffer)
    path.write_bytes(seal(buffer.getvalue()))
    with pytest.raises(pickle.UnpicklingError):
        run_fit(path)
    assert not harm.exists()


def test_a_checkpoint_of_another_run_is_not_used(tmp_path: Path, capsys) -> None:
    path = tmp_path / "checkpoint.pt"
    run_fit(path)
    other = replace(RUN, seed=5)
    model, _ = run_fit(path, other)
    assert "another run" in capsys.readouterr().err
    assert same_weights(model, run_fit(None, other)[0])


class Explodes(nn.Module):
    def __init__(self, at: int) -> None:
        super().__init__()
        self.calls, self.at = 0, at

    def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value = (pred - target).abs().mean()
        self.calls += 1
        return value * float("nan") if self.calls > self.at else value


def test_a_non_finite_loss_names_step_and_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(NonFiniteLossError, match=f"nan at step 10; .*{path}"):
        run_fit(path, loss=Explodes(10))
    with pytest.raises(NonFiniteLossError, match="step 2; .*none"):
        run_fit(None, loss=Explodes(2))
    _, history = run_fit(path)
    assert history["step"] == [4, 8, 12, 16, 20]


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="device.*quantum"):
        pick_device("quantum")
    assert 0.05 < peak_memory(torch.device("cpu")) < 1000


def test_warm_up_uses_the_other_loss_first() -> None:
    seen: list[str] = []

    class Named(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            seen.append(self.name)
            return (pred - target).abs().mean()

    run = replace(RUN, steps=5)
    fit(
        run, build_model(run), Named("own"), PhantomRecon(run).training_batch, lambda m: {},
        progress=False, warmup=(2, Named("warm")),
    )  # fmt: skip
    assert seen == ["warm"] * 2 + ["own"] * 3
