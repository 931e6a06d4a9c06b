"""The run store: what goes in comes out; what is damaged is named and never used."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from perpcore import experiments, runs
from perpcore import store as store_module
from perpcore.experiments import build_model, obtain, train
from perpcore.experiments.results import (
    DamagedResultError,
    Result,
    Store,
    encode_result,
    read_result,
)
from perpcore.grid import PRESETS
from perpcore.training import fit

RUN = replace(PRESETS["smoke"], steps=4, validate_every=2)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return train(RUN, Store(tmp_path_factory.mktemp("store")), "cpu", progress=False)


def test_round_trip(result: Result, tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.load(RUN) is None
    path = store.save(result)
    loaded = store.load(RUN)
    assert loaded is not None and loaded.run == RUN
    for name in ("metrics", "history", "calibration"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(result, name), check_like=True)
    assert all(torch.equal(loaded.weights[n], w) for n, w in result.weights.items())
    assert loaded.provenance == result.provenance
    for name, image in result.examples.items():
        np.testing.assert_allclose(loaded.examples[name], image, atol=1e-3)
    assert store.paths() == [path]
    assert [p.name for p in path.parent.iterdir()] == ["result.h5"]


def test_a_result_says_what_made_it(result: Result) -> None:
    assert {"device", "torch", "commit", "seconds", "peak_memory_gb", "date"} <= set(
        result.provenance
    )
    assert len(result.metrics) == RUN.n_test * len(RUN.accelerations)
    assert set(result.examples) == {"R4", "R8"}
    assert result.calibration["count"].sum() > 0


def test_shipped_weights_are_half_precision_and_good_enough(result: Result, tmp_path: Path) -> None:
    full, half = encode_result(result), encode_result(result, half_weights=True)
    assert len(half) < 0.8 * len(full)
    path = tmp_path / "half.h5"
    path.write_bytes(half)
    assert read_result(path, RUN).examples.keys() == result.examples.keys()
    path.write_bytes(encode_result(replace(result, examples={}), half_weights=True))
    assert read_result(path, RUN).examples == {}
    images = torch.randn(1, 32, 32, dtype=torch.complex64)
    with torch.no_grad():
        a, b = (build_model(RUN, r.weights)(images) for r in (result, read_result(path, RUN)))
    assert (a - b).abs().max() < 1e-2 * a.abs().max()


def test_a_run_is_trained_once(result: Result, tmp_path: Path, monkeypatch) -> None:
    store = Store(tmp_path)
    store.save(result)

    def refuse(*args, **kwargs):
        raise AssertionError("trained again")

    monkeypatch.setattr(experiments, "fit", refuse)
    assert train(RUN, store).provenance == result.provenance
    with pytest.raises(AssertionError, match="trained again"):
        train(replace(RUN, seed=7), store)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text", "foreign", "other run"])
def test_damaged_files_are_named_and_not_used(result: Result, tmp_path: Path, damage: str) -> None:
    store = Store(tmp_path)
    path = store.save(result)
    content = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        # The largest compressed dataset: a bit in the middle of a weight.
        with h5py.File(path) as file:
            weight = max(
                (w for w in file["weights"].values() for w in _datasets(w)), key=lambda d: d.size
            )
            position = weight.id.get_chunk_info(0).byte_offset + 40
        path.write_bytes(
            content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :]
        )
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not HDF5")
    elif damage == "foreign":
        path.unlink()
        with h5py.File(path, "w") as file:
            file["kspace"] = [1.0]
    else:
        other = Store(tmp_path).result_path(replace(RUN, seed=1))
        other.parent.mkdir()
        path.rename(other)
        path = other
    wanted = replace(RUN, seed=1) if damage == "other run" else RUN
    with pytest.raises(DamagedResultError, match=str(path)):
        store.load(wanted)


def _datasets(item):
    if isinstance(item, h5py.Dataset):
        yield item
    else:
        for child in item.values():
            yield from _datasets(child)


def test_order_of_the_sources(result: Result, isolated_store: Path, monkeypatch, capsys) -> None:
    shipped = isolated_store / "shipped"
    shipped.mkdir()
    monkeypatch.setattr(experiments, "shipped_path", lambda run: shipped / f"{run.key}.h5")
    (shipped / f"{RUN.key}.h5").write_bytes(encode_result(result, half_weights=True))
    monkeypatch.setattr(experiments, "shipped_is_current", lambda preset: True)
    monkeypatch.setenv("PERPCORE_FROM_SHIPPED", "1")
    assert obtain(RUN)[1] == "shipped results"
    monkeypatch.setenv("PERPCORE_FROM_SHIPPED", "0")
    assert obtain(RUN, device="cpu", progress=False)[1] == "trained now"
    monkeypatch.setenv("PERPCORE_FROM_SHIPPED", "1")
    assert obtain(RUN)[1] == "run store"
    assert obtain(RUN, device="cpu", retrain=True, progress=False)[1] == "trained now"
    Store().result_path(RUN).unlink()
    (shipped / f"{RUN.key}.h5").write_bytes(b"broken")
    assert obtain(RUN, device="cpu", progress=False)[1] == "trained now"
    assert f"{RUN.key}.h5: damaged" in capsys.readouterr().out


def test_results_of_other_code_are_never_used(
    result: Result, isolated_store: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    shipped = isolated_store / "shipped.h5"
    shipped.write_bytes(encode_result(result))
    monkeypatch.setattr(experiments, "shipped_path", lambda run: shipped)
    monkeypatch.setattr(store_module, "project_root", lambda: isolated_store)
    monkeypatch.setenv("PERPCORE_FROM_SHIPPED", "1")
    store_module.stamp_shipped("smoke")
    Store().save(result)
    assert obtain(RUN)[1] == "run store"
    monkeypatch.setattr(runs, "source_hash", lambda readers: "changed")
    assert Store().load(RUN) is None
    assert obtain(RUN)[1] == "shipped results"
    monkeypatch.setattr(store_module, "source_hash", lambda: "changed")
    assert obtain(RUN, device="cpu", progress=False)[1] == "trained now"
    assert "made by other code" in capsys.readouterr().out
    assert obtain(RUN)[1] == "run store" and len(Store().paths()) == 2


@pytest.mark.parametrize("change", [{"learning_rate": 1e-3}, {"weight": 2.0}, {"seed": 3}])
def test_results_of_another_configuration_are_never_used(
    result: Result, tmp_path: Path, change: dict[str, Any]
) -> None:
    store = Store(tmp_path)
    store.save(result)
    assert store.load(RUN) is not None and store.load(replace(RUN, **change)) is None


def test_training_continues_from_the_stores_checkpoint(tmp_path: Path, monkeypatch) -> None:
    store = Store(tmp_path)

    def interrupted(*args, **kwargs):
        fit(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(experiments, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(RUN, store, "cpu", progress=False)
    assert store.checkpoint_path(RUN).exists() and store.load(RUN) is None
    monkeypatch.setattr(experiments, "fit", fit)
    done = train(RUN, store, "cpu", progress=False)
    assert done.history.step.tolist() == [2, 4]
    assert not store.checkpoint_path(RUN).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_store_is_named(result: Result, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match=str(tmp_path)):
        Store(tmp_path).save(result)


def save_for_ever(root: Path, result: Result, started: Any) -> None:
    """In a process of its own: write the same result again and again."""
    store = Store(root)
    assert result.run.key  # the hash of the code takes a while, once in a process
    started.set()
    while True:
        store.save(result)


def test_killed_writes_leave_a_whole_result_or_none(result: Result, tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["perpcore.experiments", "pytest"])
    rng, found = random.Random(0), 0
    for attempt in range(20):
        started = context.Event()
        root = tmp_path / str(attempt % 4)  # into empty stores and over a result
        process = context.Process(target=save_for_ever, args=(root, result, started))
        process.start()
        assert started.wait(60)
        time.sleep(rng.uniform(0, 0.1))
        process.kill()
        process.join()
        loaded = Store(root).load(result.run)
        found += loaded is not None
        if loaded is not None:
            assert all(torch.equal(loaded.weights[n], w) for n, w in result.weights.items())
    assert found >= 10
    Store(tmp_path / "0").save(result)  # what a killed write left behind is in nobody's way
