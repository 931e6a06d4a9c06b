"""Results: what goes in comes out; what is damaged or of another version is never used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

from perpcore.experiments import results as module
from perpcore.experiments.configs import CLASSICAL, COMPARISONS, RECON
from perpcore.experiments.results import RESULTS_VERSION, Result, load_result, own_path, precomputed_path, write_result
from perpcore.experiments.run import build_model, open_data, train

CONFIG = replace(RECON["smoke"], anatomy="abdomen", steps=2, validate_every=1)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Result:
    folder = tmp_path_factory.mktemp("project")
    for name in ("notebooks", "data"):
        (folder / name).mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return train(CONFIG, "cpu", progress=False)


@pytest.fixture
def path(result: Result, empty_project: Path) -> Path:
    write_result(own_path(CONFIG), result)
    return own_path(CONFIG)


def test_round_trip(result: Result, path: Path) -> None:
    loaded = load_result(path, CONFIG)
    assert loaded is not None and loaded.config == CONFIG
    for name in ("metrics", "history", "calibration"):
        pd.testing.assert_frame_equal(getattr(loaded, name), getattr(result, name), check_like=True)
        assert list(getattr(loaded, name)) == list(getattr(result, name))
    assert all(torch.equal(loaded.weights[n], w) for n, w in result.weights.items())
    assert loaded.provenance == result.provenance
    for name, image in result.examples.items():
        np.testing.assert_allclose(loaded.examples[name], image, atol=1e-3)
    assert [p.name for p in path.parent.iterdir()] == ["abdomen-l2-s00.h5"]


def test_a_result_says_what_made_it(result: Result) -> None:
    wanted = {"device", "machine", "torch", "commit", "seconds", "peak_memory_gb", "date", "parameters"}
    assert wanted <= set(result.provenance)
    assert len(result.metrics) == CONFIG.n_test * len(CONFIG.accelerations)
    assert set(result.examples) == {f"R{r}" for r in CONFIG.accelerations}
    assert result.calibration["count"].sum() > 0


def test_precomputed_weights_are_half_precision_and_good_enough(result: Result, path: Path) -> None:
    size = path.stat().st_size
    write_result(path, replace(result, weights={n: w.bfloat16().half() for n, w in result.weights.items()}))
    assert size - path.stat().st_size > 1.5 * result.provenance["parameters"]  # bytes
    half = load_result(path, CONFIG)
    assert half is not None
    inputs = open_data(CONFIG)("test", 4).batch([0]).inputs
    with torch.no_grad():
        a, b = (build_model(CONFIG, r.weights)(*inputs) for r in (result, half))
    assert (a - b).abs().max() < 1e-2 * a.abs().max()


def test_another_configuration_or_version_under_the_name_is_not_used(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_result(path, replace(CONFIG, noise=0.1)) is None
    monkeypatch.setattr(module, "RESULTS_VERSION", RESULTS_VERSION + 1)
    assert load_result(path, CONFIG) is None


def test_a_file_of_an_older_version_is_absent_though_its_configuration_had_other_fields(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["config"] = '{"task": "recon", "width": 16}'
    with pytest.raises(ValueError, match="unexpected or missing fields"):
        load_result(path, CONFIG)
    with h5py.File(path, "r+") as file:
        file.attrs["results_version"] = RESULTS_VERSION - 1
    assert load_result(path, CONFIG) is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "text", "foreign"])
def test_damaged_files_are_named_and_not_used(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        with h5py.File(path) as file:
            weights: list[h5py.Dataset] = []
            file["weights"].visititems(lambda _, item: weights.append(item) if isinstance(item, h5py.Dataset) else None)
            largest = max(weights, key=lambda d: d.size)
            at = largest.id.get_chunk_info(0).byte_offset + 40  # in the middle of a weight
        path.write_bytes(content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not HDF5")
    else:
        path.unlink()
        with h5py.File(path, "w") as file:
            file["kspace"] = [1.0]
    with pytest.raises(ValueError, match=f"{path}: damaged, or not a result.*delete it"):
        load_result(path, CONFIG)


def test_tables_that_do_not_fit_together_are_damage(result: Result, path: Path) -> None:
    write_result(path, result)
    with h5py.File(path, "r+") as file:
        del file["metrics/psnr"]
        file["metrics/psnr"] = np.zeros(1)
    with pytest.raises(ValueError, match=f"{path}: damaged"):
        load_result(path, CONFIG)


def test_every_run_of_the_figures_is_precomputed_in_this_version() -> None:
    configs = [c for runs_of in COMPARISONS.values() for c in runs_of("full")]
    origins = set()
    for config in configs:
        result = load_result(precomputed_path(config), config)
        assert result is not None, config.name
        origins.add((result.provenance["commit"], result.provenance["machine"]))
        assert np.isfinite(result.metrics.to_numpy()).all()
        assert bool(result.examples) == (config.seed == 0)
        kept = config.network[0] != "UNet" and config.comparison != "mixture" and config.label not in CLASSICAL
        assert bool(result.weights) == kept
    assert len(origins) == 1  # one commit and kind of machine: what differs between runs is what the comparison changes
    assert "dirty" not in str(origins)
    named = {precomputed_path(c).name for c in configs}
    folder = precomputed_path(configs[0]).parent
    assert {p.name for p in folder.glob("*.h5")} == named
    ((commit, _),) = origins
    tables = {p.stem: set(pd.read_csv(p, dtype=str)["commit"]) for p in folder.glob("*.csv")}
    assert tables == dict.fromkeys(("cold_starts", "downstream", "trials", "volumes"), {commit})
    assert sum(p.stat().st_size for p in folder.iterdir()) < 20_000_000
