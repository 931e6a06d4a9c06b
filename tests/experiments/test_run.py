"""A configuration becomes a result, for every task, the same one each time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from perpcore.classical import METHODS, Method
from perpcore.data.datasets import PhantomMotion, PhantomRecon
from perpcore.experiments import run as module
from perpcore.experiments.configs import (
    ANATOMIES,
    CLASSICAL,
    RECON,
    RECON_LOSSES,
    REGISTRATION,
    SEEDS,
    recon_configs,
    registration_configs,
)
from perpcore.experiments.results import load_result, own_path, precomputed_path, write_result
from perpcore.experiments.run import (
    baseline,
    build_loss,
    build_model,
    evaluate,
    load_or_train,
    open_data,
    pretrained,
    train,
    train_all,
    tune,
)
from perpcore.metrics import FIELD_METRICS, METRICS, psnr
from perpcore.models import load_pretrained

SHORT = replace(RECON["smoke"], anatomy="abdomen", steps=2, validate_every=1)
PAIR = replace(REGISTRATION["smoke"], loss="perp_l2", steps=6, warmup=3, validate_every=3, chans=8)


STEPS = [
    *(c for c in recon_configs("smoke") if c.method not in CLASSICAL and (c.anatomy == "abdomen" or c.loss == "l2")),
    *(c for c in registration_configs("smoke") if c.loss in ("epe", "perp_l2")),
]


@pytest.mark.parametrize("config", STEPS, ids=lambda c: c.name)
def test_no_step_waits_for_the_device(config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of the device "meta" have no values: whatever would fetch one from a GPU raises."""
    if config.comparison == "brain":
        pytest.importorskip("nilearn", reason="brains need nilearn (extra experiments)")
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())  # "meta" has none
    batch = open_data(config, "meta")("train").batch(range(2))
    model, loss = build_model(config).to("meta"), build_loss(config)
    value = loss(model(*batch.inputs), batch.target)
    value.backward()
    assert value.is_meta and value.dtype == torch.float32 and all(p.grad is not None for p in model.parameters())


def test_the_device_meta_notices_waiting() -> None:
    """Or the test above could not fail."""
    with pytest.raises(RuntimeError, match="meta"):
        bool((torch.ones(2, device="meta") > 0).all())


@pytest.mark.parametrize("inputs", ["magnitude", "complex"])
def test_registrations_train_and_are_kept(empty_project: Path, inputs: str) -> None:
    config = replace(PAIR, inputs=inputs)
    result = train(config, "cpu", progress=False)
    assert list(result.metrics) == ["acceleration", "image", *FIELD_METRICS]
    assert len(result.metrics) == len(config.accelerations) * config.n_test
    assert np.isfinite(result.metrics.to_numpy()).all()
    loaded = load_result(own_path(config), config)
    assert loaded is not None and loaded.config == config
    assert loaded.examples["R4"].shape == (2, 2, 32, 32)
    assert list(loaded.history.step) == [3, 6]


def test_a_run_is_trained_once_and_leaves_no_checkpoint(empty_project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = train(SHORT, "cpu", progress=False)
    assert list(first.metrics) == ["acceleration", "image", *METRICS]
    assert [p.name for p in own_path(SHORT).parent.iterdir()] == ["abdomen-l2-s00.h5"]

    def refuse(*arguments: Any, **options: Any) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(module, "fit", refuse)
    assert train(SHORT, "cpu").provenance == first.provenance
    with pytest.raises(AssertionError, match="trained again"):
        train(replace(SHORT, seed=7), "cpu")


def test_measured_runs_begin_with_the_network_of_the_same_loss_that_learnt_from_generated_images() -> None:
    config = next(c for c in recon_configs("full", data="scans-12ab", source="x") if c.label == "perp_l2")
    weights, network = pretrained(config), load_pretrained("abdomen/perp_l2")
    assert weights is not None and weights.keys() == network.state_dict().keys()
    for name, weight in network.state_dict().items():
        assert torch.equal(weights[name], weight)
    assert pretrained(replace(config, data="generated")) is None
    assert pretrained(replace(config, chans=8)) is None, "another network"


def test_a_mixture_says_at_which_setting_each_image_was_tested(empty_project: Path) -> None:
    ranges = {"accelerations": (2, 4), "roughness": (0.0, 1.0), "noise": (0.0, 0.04)}
    config = replace(SHORT, steps=1, validate_every=1, **ranges)
    result = train(config, "cpu", progress=False)
    keys = ["acceleration", "roughness", "noise", "image"]
    assert len(result.metrics) == len(config.settings) * config.n_test == len(result.metrics[keys].drop_duplicates())
    chosen = result.metrics[(result.metrics.roughness == 0.8) & (result.metrics.noise == 0.03)]
    batch = open_data(config)("test", 4, roughness=0.8, noise=0.03).batch(range(config.n_test))
    with torch.no_grad():
        pred = build_model(config, result.weights)(*batch.inputs)
    found = chosen[chosen.acceleration == 4].psnr
    np.testing.assert_allclose(found, psnr(pred, batch.target, batch.foreground), rtol=1e-4)


def test_classical_methods_are_tuned_tested_and_kept_without_training(
    empty_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(SHORT, method="cg_sense", accelerations=(4, 8))
    monkeypatch.setattr(module, "fit", None)
    result = train(config, "cpu")
    assert list(result.metrics) == ["acceleration", "image", *METRICS]
    assert len(result.metrics) == len(config.accelerations) * config.n_test
    assert not result.weights and result.history.empty
    chosen = result.provenance["tuned"]
    assert set(chosen) == set(result.examples) == {f"R{r}" for r in config.accelerations}
    for acceleration in config.accelerations:
        parameters = chosen[f"R{acceleration}"]
        batch = open_data(config)("test", acceleration).batch(range(config.n_test))
        expected = psnr(METHODS["cg_sense"].reconstruct(batch, *parameters), batch.target, batch.foreground)
        found = result.metrics[result.metrics.acceleration == acceleration].psnr
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    loaded = load_result(own_path(config), config)
    assert loaded is not None and loaded.provenance["tuned"] == chosen
    assert [p.name for p in own_path(config).parent.iterdir()] == ["abdomen-cg_sense-s00.h5"]
    monkeypatch.setattr(module, "tune", None)
    assert train(config, "cpu").provenance == loaded.provenance


def test_the_parameters_of_a_method_have_the_best_psnr_of_the_foreground(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where another choice makes a better background; for each acceleration on its own."""

    def spoil(batch: Any, share: float, background: float) -> torch.Tensor:
        wanted = 1 / share == pytest.approx(1 / batch.mask.float().mean(), rel=0.5)
        image = batch.target * (1.0 if wanted else 0.8)
        return torch.where(batch.foreground, image, image + background)

    grid = [(share, background) for background in (0.0, 1.0) for share in (1 / 2, 1 / 8)]
    grid = [pair for pair in grid if pair != (1 / 2, 0.0)]
    monkeypatch.setitem(METHODS, "filter", Method(spoil, grid))
    data = [open_data(SHORT)("validation", r) for r in (2, 8)]
    assert tune("filter", data, 2) == {2: (1 / 2, 1.0), 8: (1 / 8, 0.0)}


def test_all_losses_start_from_the_same_network_whatever_ran_before() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = build_model(SHORT).state_dict()
    assert torch.equal(torch.rand(2), expected), "building draws none of the global numbers"
    second = build_model(replace(SHORT, loss="ssim")).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_model(replace(SHORT, seed=1)).state_dict()
    assert not any(torch.equal(first[n], w) for n, w in other.items() if w.ndim > 1)


def test_options_reach_the_losses() -> None:
    assert build_loss(replace(SHORT, loss="perp_l2", weight=10.0)).weight == 10
    assert build_loss(PAIR).dim == 1
    changed = build_loss(replace(SHORT, loss="perp_l2", loss_options=(("continuation", False),)))
    assert not changed.continuation


def test_options_reach_the_data() -> None:
    config = replace(SHORT, n_coils=3, roughness=0.2, target_noise=0.1, seed=3)
    data = open_data(config)("train", None)
    assert isinstance(data, PhantomRecon) and data.seed == 1003
    found = data.anatomy, data.n_coils, data.roughness, data.target_noise, data.accelerations
    assert found == ("abdomen", 3, 0.2, 0.1, config.accelerations)
    moving = open_data(replace(PAIR, sliding=True))("test", 4)
    assert isinstance(moving, PhantomMotion) and moving.sliding and moving.accelerations == (4,)


@pytest.mark.parametrize("factor", [1.0, 0.8])
def test_perfect_and_scaled_reconstructions_are_measured_as_such(factor: float) -> None:
    data = [open_data(SHORT)("test", r) for r in SHORT.accelerations]
    seen = []

    def answer(batch: Any, acceleration: int) -> torch.Tensor:
        seen.append((len(batch.target), acceleration))
        return factor * batch.target

    result = evaluate(answer, data, 5, 2)
    assert seen == [(n, r) for r in SHORT.accelerations for n in (2, 2, 1)]
    metrics, calibration = result.metrics, result.calibration
    rows = [(r, image) for r in SHORT.accelerations for image in range(5)]
    assert list(zip(metrics.acceleration, metrics.image, strict=True)) == rows
    np.testing.assert_allclose(metrics.magnitude_bias, factor - 1, atol=1e-5)
    np.testing.assert_allclose(metrics.phase_error, 0, atol=1e-3)
    filled = calibration[calibration["count"] > 0]
    np.testing.assert_allclose(filled.pred, factor * filled.target, rtol=1e-4)
    pixels = sum(int(d.batch(range(5)).foreground.sum()) for d in data)
    assert calibration["count"].sum() == pixels
    assert result.examples["R4"].shape == (2, 32, 32)


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_perfect_and_scaled_fields_are_measured_as_such(factor: float) -> None:
    data = [open_data(PAIR)("test", 4)]
    result = evaluate(lambda batch, acceleration: factor * batch.target, data, 5, 3)
    batch = data[0].batch(range(5))
    length = torch.linalg.vector_norm(batch.target, dim=1)
    expected = [length[i][batch.foreground[i]].mean().item() * (factor - 1) for i in range(5)]
    np.testing.assert_allclose(result.metrics.motion_bias, expected, atol=1e-5)
    np.testing.assert_allclose(result.metrics.epe, np.abs(expected), atol=1e-5)
    np.testing.assert_allclose(result.metrics.angular_error, 0, atol=0.1)
    assert (result.metrics.folded_area == 0).all()
    filled = result.calibration[result.calibration["count"] > 0]
    np.testing.assert_allclose(filled.pred, factor * filled.target, rtol=1e-4)


def test_what_a_registration_has_to_beat_is_the_zero_field() -> None:
    metrics = baseline(PAIR).metrics
    np.testing.assert_allclose(metrics.motion_bias, -metrics.epe)
    assert len(metrics) == len(PAIR.accelerations) * PAIR.n_test and (metrics.epe > 0).all()


def test_a_comparison_is_precomputed_or_own_never_a_mixture(
    empty_project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [SHORT, replace(SHORT, seed=1)]
    train_all([*both, SHORT], "cpu", workers=2)
    assert len(list(own_path(SHORT).parent.iterdir())) == 2
    shipped = load_result(own_path(SHORT), SHORT)
    assert shipped is not None
    shipped.provenance["seconds"] = -1.0
    write_result(precomputed_path(SHORT), shipped)
    capsys.readouterr()
    (of_one,) = load_or_train([SHORT], device="cpu").values()
    assert of_one[0].provenance["seconds"] == -1
    assert capsys.readouterr().out == "1 precomputed results, preset smoke\n"
    (of_two,) = load_or_train(both, device="cpu").values()
    assert all(r.provenance["seconds"] > 0 for r in of_two)
    assert capsys.readouterr().out == "2 own runs, preset smoke\n"
    (forced,) = load_or_train([SHORT], own_runs=True, device="cpu").values()
    assert forced[0].provenance["seconds"] > 0


def test_results_are_found_by_label_one_per_seed(empty_project: Path) -> None:
    tiny = replace(SHORT, steps=1, n_validation=1, n_test=1, accelerations=(4,))
    configs = [replace(tiny, method="zero_filled"), tiny, replace(tiny, seed=1)]
    for config in configs:
        train(config, "cpu", progress=False)
    found = load_or_train(configs, device="cpu")
    assert {label: [r.config.seed for r in results] for label, results in found.items()} == {
        "zero_filled": [0], "l2": [0, 1],
    }  # fmt: skip


LONGER = [
    replace(SHORT, steps=20, validate_every=10, loss="perp_l2", weight=10.0),
    replace(PAIR, steps=20, validate_every=10, warmup=5),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Both runs of LONGER with 1, again 1 and 2 threads, each time in a process of its own."""
    script = """
        import json, sys, torch
        from pathlib import Path
        from perpcore.experiments.configs import from_dict
        from perpcore.experiments.run import train
        torch.set_num_threads(int(sys.argv[2]))
        for k, text in enumerate(sys.argv[3:]):
            path = Path(sys.argv[1]) / f"{k}.h5"
            train(from_dict(json.loads(text)), "cpu", path=path, progress=False)
    """
    folders = []
    for threads in ("1", "1", "2"):
        folder = tmp_path_factory.mktemp("runs")
        texts = [json.dumps(asdict(config)) for config in LONGER]
        command = [sys.executable, "-c", textwrap.dedent(script), str(folder), threads, *texts]
        subprocess.run(command, check=True)
        folders.append(folder)
    return folders


@pytest.mark.parametrize("number", [0, 1], ids=["recon", "registration"])
def test_twenty_steps_give_the_same_weights_again(number: int, trained: list[Path]) -> None:
    """Same seed, machine and number of threads: the same bits.

    With another number of threads, sums are taken in another order. AdamW divides by the size of a
    gradient, so single weights drift apart; what the network does agrees: mean metrics to 1 %.
    """
    found = [load_result(folder / f"{number}.h5", LONGER[number]) for folder in trained]
    first, again, two_threads = found
    assert first is not None and again is not None and two_threads is not None
    assert all(torch.equal(w, again.weights[n]) for n, w in first.weights.items())
    pd.testing.assert_frame_equal(first.metrics, again.metrics)
    pd.testing.assert_series_equal(first.metrics.mean(), two_threads.metrics.mean(), rtol=0.01, atol=0.002)


@pytest.fixture(scope="module")
def precomputed() -> dict[tuple[str, str], list[pd.DataFrame]]:
    """Means at each acceleration by comparison and label, one table per seed."""
    found: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for config in (*recon_configs("full"), *registration_configs("full")):
        result = load_result(precomputed_path(config), config)
        assert result is not None, config.name
        found.setdefault((config.comparison, config.label), []).append(result.metrics.groupby("acceleration").mean())
    return found


@pytest.mark.parametrize("anatomy", ANATOMIES)
def test_every_training_reconstructs_and_unrolled_networks_beat_the_classical_methods(
    anatomy: str, precomputed: dict[tuple[str, str], list[pd.DataFrame]]
) -> None:
    """By 1 dB in each seed more than the zero-filled image; U-Nets, the weaker network, by anything."""
    of = {label: tables for (comparison, label), tables in precomputed.items() if comparison == anatomy}
    (zero_filled,) = of["zero_filled"]
    for label, tables in of.items():
        if label not in CLASSICAL:
            assert len(tables) == SEEDS["full"]
            for seed, table in enumerate(tables):
                least = 1.0 if label in RECON_LOSSES else 0.0
                assert (table.psnr > zero_filled.psnr + least).all(), (label, seed)
    for loss in RECON_LOSSES:
        ours = sum(table.psnr for table in of[loss]) / SEEDS["full"]
        for method in CLASSICAL:
            assert (ours > of[method][0].psnr).all(), (loss, method)


def test_every_registration_with_the_end_point_error_halves_that_of_the_zero_field_at_low_acceleration(
    precomputed: dict[tuple[str, str], list[pd.DataFrame]],
) -> None:
    zero = baseline(registration_configs("full")[0]).metrics.groupby("acceleration").epe.mean()
    tables = precomputed["registration", "epe"]
    assert len(tables) == SEEDS["full"] and all(table.epe[2] < 0.5 * zero[2] for table in tables)
