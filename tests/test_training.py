"""The training loop: resumes after SIGKILL, stops at a non-finite loss, notices damage."""

from __future__ import annotations

import multiprocessing
import random
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perpcore.data.datasets import PhantomRecon
from perpcore.losses import LOSSES
from perpcore.models import UNet
from perpcore.training import cosine_schedule, fit, peak_memory, pick_device

STEPS = 20


def draw(step: int, seed: int = 0) -> Any:
    return PhantomRecon(anatomy="abdomen", size=32, seed=seed).batch(range(2 * step, 2 * step + 2))


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return UNet(8, 2)


def run_fit(checkpoint: Path | None, loss: nn.Module | None = None, **options: Any):
    model = network()
    wanted = {"steps": STEPS, "learning_rate": 2e-3, "validate_every": 4, **options}
    history = fit(
        model, loss or LOSSES["perp_ssim"](), draw, lambda m: {"psnr": 1.0},
        checkpoint=checkpoint, **wanted,
    )  # fmt: skip
    return model, history


def same_weights(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_the_learning_rate_rises_and_falls_to_zero() -> None:
    rates = [cosine_schedule(step, 30, 2e-3) for step in range(31)]
    assert max(rates) == pytest.approx(2e-3)
    assert rates[-1] == pytest.approx(0) and rates[-2] < 0.05 * 2e-3


def test_the_same_run_gives_the_same_weights() -> None:
    (a, history), (b, _) = run_fit(None), run_fit(None)
    assert same_weights(a, b)
    assert history["step"] == [4, 8, 12, 16, 20] and len(history["loss"]) == 5


@pytest.mark.parametrize("name", ["perp_l2", "perp_ssim", "l1"])
def test_the_loss_stays_in_float32_where_convolutions_are_bfloat16(name: str) -> None:
    seen = []

    def loss(pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((pred.dtype, torch.is_autocast_enabled("cpu")))
        return LOSSES[name]()(pred, target)

    class Seen(nn.Module):
        forward = staticmethod(loss)

    (exact, before), (rounded, after) = (run_fit(None, Seen(), precision=p) for p in ("float32", "bfloat16"))
    assert set(seen) == {(torch.complex64, False)}
    assert not same_weights(exact, rounded)
    assert after["loss"] == pytest.approx(before["loss"], rel=0.05)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision: expected one of float32, bfloat16, got 'bf16'"):
        run_fit(None, nn.MSELoss(), precision="bf16")


def killed_job(checkpoint: Path, out: Path, started: Any) -> None:
    """In a process of its own: train, and keep the result beside the checkpoint."""
    torch.set_num_threads(1)
    started.set()
    model, history = run_fit(checkpoint, steps=40)
    part = out.with_suffix(".part")
    torch.save([model.state_dict(), history], part)
    part.rename(out)  # a kill may come while it is written


def test_runs_killed_ten_times_continue_to_the_same_result(tmp_path: Path) -> None:
    """SIGKILL at random moments; a server that has imported torch starts the processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["perpcore.experiments.run", "pytest"])
    checkpoint, out = tmp_path / "c" / "checkpoint.pt", tmp_path / "out.pt"
    rng, kills, reached = random.Random(1), 0, []
    while kills < 10 or not out.exists():
        if out.exists():  # through before the last kill: begin again
            shutil.rmtree(checkpoint.parent)
            out.unlink()
        started = context.Event()
        process = context.Process(target=killed_job, args=(checkpoint, out, started))
        process.start()
        assert started.wait(60)
        if kills < 10:
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
    assert kills == 10 and len(set(reached)) > 2
    weights, history = torch.load(out, weights_only=True)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    uninterrupted, expected = run_fit(None, steps=40)
    torch.set_num_threads(threads)
    assert all(torch.equal(weights[n], w) for n, w in uninterrupted.state_dict().items())
    assert history == expected
    assert [p.name for p in checkpoint.parent.glob("*.pt")] == ["checkpoint.pt"]


@pytest.mark.parametrize("damage", ["truncate", "empty", "pickle"])
def test_a_damaged_checkpoint_is_named_and_nothing_in_it_is_executed(tmp_path: Path, damage: str) -> None:
    path, harm = tmp_path / "checkpoint.pt", tmp_path / "harm"

    class Harmful:
        def __reduce__(self) -> Any:
            return Path.touch, (harm,)

    run_fit(path)
    content = path.read_bytes()
    path.write_bytes(content[:-10] if damage == "truncate" else b"")
    if damage == "pickle":
        torch.save({"identity": "", "step": Harmful()}, path)
    with pytest.raises(ValueError, match=f"{path}: damaged checkpoint .*delete it"):
        run_fit(path)
    assert not harm.exists()


def test_a_checkpoint_of_another_run_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(FloatingPointError):
        run_fit(path, Explodes(10), identity="one")
    model, history = run_fit(path, identity="two")
    assert same_weights(model, run_fit(None)[0]) and history["step"][0] == 4


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
    with pytest.raises(FloatingPointError, match=f"nan at step 10; .*{path}"):
        run_fit(path, Explodes(10))
    with pytest.raises(FloatingPointError, match="step 2; .*none"):
        run_fit(None, Explodes(2))
    _, history = run_fit(path)
    assert history["step"] == [4, 8, 12, 16, 20]


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="device.*quantum"):
        pick_device("quantum")
    assert 0.05 < peak_memory(torch.device("cpu")) < 1000


def test_the_warm_up_uses_the_other_loss_first(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    class Named(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def forward(self, pred: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            seen.append(self.name)
            return (pred - target).abs().mean()

    run_fit(None, Named("own"), steps=5, warmup=(2, Named("warm")), progress="the bar's name")
    assert seen == ["warm"] * 2 + ["own"] * 3
    assert "the bar's name" in capsys.readouterr().out
