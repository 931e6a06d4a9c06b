"""Training runs from end to end, for both tasks."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from perpcore.data.datasets import PhantomRecon
from perpcore.experiments import (
    build_loss,
    build_model,
    train,
    zero_field_result,
    zero_filled_result,
)
from perpcore.experiments.configs import MotionRun, Run
from perpcore.experiments.results import Store, read_result, shipped_path
from perpcore.grid import PRESETS, RECON_LOSSES, SEEDS, motion_runs, recon_runs

MOTION = MotionRun(
    loss="perp_l2", size=32, width=8, depth=3, steps=6, warmup=3, batch=2, validate_every=3,
    n_validation=2, n_test=4, preset="smoke",
)  # fmt: skip


@pytest.mark.parametrize("inputs", ["magnitude", "complex"])
def test_registration_runs_train_and_are_stored(tmp_path: Path, inputs: str) -> None:
    run = replace(MOTION, inputs=inputs)
    result = train(run, Store(tmp_path), "cpu", progress=False)
    wanted = {
        "acceleration", "image", "epe", "magnitude_error", "magnitude_bias", "angular_error",
        "folded_area", "warp_nrmse",
    }  # fmt: skip
    assert set(result.metrics) == wanted
    assert len(result.metrics) == len(run.accelerations) * run.n_test
    assert np.isfinite(result.metrics.to_numpy()).all()
    loaded = Store(tmp_path).load(run)
    assert loaded is not None and loaded.run == run
    assert loaded.examples["R4"].shape == (2, 2, 32, 32)
    assert list(loaded.history.step) == [3, 6]


def shipped_means(label: str) -> list[pd.Series]:
    """Means over the test pairs, one per seed."""
    runs = [r for r in motion_runs("cpu") if r.label == label]
    return [read_result(shipped_path(run), run).metrics.mean() for run in runs]


def test_the_registration_comparison_is_worth_making() -> None:
    """At `cpu`: EPE halves the zero field's; warm ⊥+ℓ2 is less biased; a cold start fails."""
    zero = zero_field_result(motion_runs("cpu")[0]).metrics.mean()
    epe, warm = shipped_means("epe"), shipped_means("perp_l2")
    assert len(epe) == SEEDS["cpu"] and max(m.epe for m in epe) <= 0.5 * zero.epe
    for ours, theirs in zip(warm, epe, strict=True):
        assert abs(ours.magnitude_bias) < abs(theirs.magnitude_bias)
    assert max(m.angular_error for m in shipped_means("cold_plain_perp_l2")) > 60
    assert min(m.angular_error for m in shipped_means("plain_l2")) < 45


def test_registration_runs_get_the_same_steps_and_a_warm_up_only_where_named() -> None:
    runs = motion_runs("quick")
    assert [r.label for r in runs] == [
        "epe", "l2", "perp_l1", "perp_l2", "plain_l2", *["cold_plain_perp_l2"] * 3,
    ]  # fmt: skip
    assert len({r.steps for r in runs}) == 1
    assert [r.warmup for r in runs] == [0, 0, 240, 240, 0, 0, 0, 0]
    with pytest.raises(ValueError, match="preset: expected one of smoke, quick, cpu, paper"):
        motion_runs("huge")


def test_all_losses_start_from_the_same_network_whatever_ran_before() -> None:
    first = build_model(PRESETS["smoke"]).state_dict()
    torch.rand(7)
    second = build_model(replace(PRESETS["smoke"], loss="ssim")).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_model(replace(PRESETS["smoke"], seed=1)).state_dict()
    assert not torch.equal(first["out.weight"], other["out.weight"])


def test_building_a_model_leaves_the_global_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    build_model(PRESETS["smoke"])
    assert torch.equal(torch.rand(2), expected)


def test_weights_reach_the_losses() -> None:
    run = next(r for r in recon_runs("quick") if r.loss == "perp_l2")
    assert run.weight == 10 and build_loss(run).weight == 10
    assert [r.loss for r in recon_runs("quick")] == list(RECON_LOSSES)
    assert build_loss(MOTION).dim == 1


def test_zero_filled_images_are_worse_at_higher_acceleration() -> None:
    metrics = zero_filled_result(replace(PRESETS["smoke"], size=64, n_test=6)).metrics
    psnr = metrics.groupby("acceleration").psnr.mean()
    assert psnr[4] > psnr[8] + 1


SHARED = replace(PRESETS["smoke"], steps=60, validate_every=10)


def shared_job(root: Path, name: str, barrier: Any) -> None:
    """In a process of its own: ask for the run, and note each training step."""
    draw = PhantomRecon.training_batch

    def noted(self: PhantomRecon, step: int) -> Any:
        with (root / "steps").open("a") as file:
            file.write(f"{name} {step}\n")
        return draw(self, step)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PhantomRecon, "training_batch", noted)
        if barrier is not None:
            barrier.wait(60)
        result = train(SHARED, Store(root), "cpu", progress=False)
    (root / f"{name}.date").write_text(json.dumps(result.provenance, sort_keys=True))


def start_job(context: Any, root: Path, name: str, barrier: Any = None) -> Any:
    process = context.Process(target=shared_job, args=(root, name, barrier))
    process.start()
    return process


@pytest.fixture(scope="module")
def processes() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["perpcore.experiments", "pytest"])
    return context


def test_two_processes_that_ask_for_the_same_run_train_it_once(
    tmp_path: Path, processes: Any
) -> None:
    barrier = processes.Barrier(2)
    jobs = [start_job(processes, tmp_path, name, barrier) for name in ("one", "two")]
    for job in jobs:
        job.join(120)
        assert job.exitcode == 0
    steps = (tmp_path / "steps").read_text().split("\n")[:-1]
    trained_by = {line.split()[0] for line in steps}
    assert len(trained_by) == 1 and len(steps) == SHARED.steps
    assert (tmp_path / "one.date").read_text() == (tmp_path / "two.date").read_text()


def test_the_process_that_waits_goes_on_where_a_killed_one_stopped(
    tmp_path: Path, processes: Any
) -> None:
    first = start_job(processes, tmp_path, "first")
    checkpoint = Store(tmp_path).checkpoint_path(SHARED)
    while not checkpoint.exists():
        assert first.is_alive()
        time.sleep(0.002)
    second = start_job(processes, tmp_path, "second")
    time.sleep(0.05)
    first.kill()
    second.join(120)
    assert second.exitcode == 0
    steps = [line.split() for line in (tmp_path / "steps").read_text().split("\n")[:-1]]
    own = [int(step) for name, step in steps if name == "second"]
    assert own[0] > 0 and own == list(range(own[0], SHARED.steps))
    result = Store(tmp_path).load(SHARED)
    alone = train(SHARED, Store(tmp_path / "alone"), "cpu", progress=False)
    assert result is not None
    assert all(torch.equal(result.weights[n], w) for n, w in alone.weights.items())


HUNDRED = [
    replace(PRESETS["smoke"], steps=100, validate_every=50, loss="perp_l2"),
    replace(MOTION, steps=100, validate_every=50, warmup=20),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    """Both runs of HUNDRED with 1, again 1 and 2 threads, each time in a process of its own."""
    script = """
        import sys, torch
        from pathlib import Path
        from perpcore.experiments import train
        from perpcore.experiments.configs import Run
        from perpcore.experiments.results import Store
        torch.set_num_threads(int(sys.argv[2]))
        for run in sys.argv[3:]:
            train(Run.from_json(run), Store(Path(sys.argv[1])), "cpu", progress=False)
    """
    stores = []
    for threads in ("1", "1", "2"):
        folder = tmp_path_factory.mktemp("store")
        runs = [run.to_json() for run in HUNDRED]
        command = [sys.executable, "-c", textwrap.dedent(script), str(folder), threads, *runs]
        subprocess.run(command, check=True)
        stores.append(Store(folder))
    return stores


@pytest.mark.parametrize("run", HUNDRED, ids=["recon", "registration"])
def test_a_hundred_steps_give_the_same_weights_again(run: Run, trained: list[Store]) -> None:
    """Same seed, machine and number of threads: the same bits.

    With another number of threads, sums are taken in another order. AdamW divides by the size of a
    gradient, so single weights drift apart; what the network does agrees: mean metrics to 1 %.
    """
    first, again, two_threads = (store.load(run) for store in trained)
    assert first is not None and again is not None and two_threads is not None
    assert all(torch.equal(w, again.weights[n]) for n, w in first.weights.items())
    pd.testing.assert_frame_equal(first.metrics, again.metrics)
    pd.testing.assert_series_equal(
        first.metrics.mean(), two_threads.metrics.mean(), rtol=0.01, atol=0.002
    )
