"""Networks that come with the project: the best seed, whole, and those that are promised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from perpcore import pretrained
from perpcore.experiments import build_model, recon_data, train
from perpcore.experiments.results import DamagedResultError, Store
from perpcore.grid import MOTION_LOSSES, PRESETS, RECON_LOSSES
from perpcore.metrics import evaluate
from perpcore.models import UNet, load_pretrained


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three seeds of one loss, of which the second is said to be best."""
    monkeypatch.setattr(pretrained, "project_root", lambda: tmp_path)
    run = replace(PRESETS["smoke"], steps=2, validate_every=1, n_test=1)
    results = []
    for seed, ssim in ((0, 0.5), (1, 0.7), (2, 0.6)):
        result = train(replace(run, seed=seed), Store(tmp_path), "cpu", progress=False)
        result.history["ssim"] = ssim
        results.append(result)
    (path,) = pretrained.ship(results)
    return path


def test_the_best_seed_on_validation_images_is_kept(shipped: Path) -> None:
    assert pretrained.names() == ["recon/l2"]
    run = pretrained.load_run("recon/l2")
    assert run.seed == 1
    stored = Store(shipped.parents[3]).load(run)
    assert stored is not None
    network = load_pretrained("recon/l2")
    assert not network.training
    for name, weight in network.state_dict().items():
        torch.testing.assert_close(weight, stored.weights[name], rtol=1e-3, atol=1e-6)
    image = recon_data(run).batch("test", range(1)).zero_filled
    expected = build_model(run, stored.weights)(image)
    torch.testing.assert_close(network(image), expected, rtol=1e-2, atol=1e-3)


def test_damage_and_unknown_names_are_said(shipped: Path) -> None:
    with pytest.raises(ValueError, match="name: expected one of recon/l2, got 'recon/l3'"):
        load_pretrained("recon/l3")
    content = bytearray(shipped.read_bytes())
    content[-1] ^= 1
    shipped.write_bytes(content)
    with pytest.raises(DamagedResultError, match="l2.safetensors: damaged"):
        load_pretrained("recon/l2")
    shipped.write_bytes(content[:100])
    with pytest.raises(DamagedResultError, match="l2.safetensors: damaged"):
        load_pretrained("recon/l2")


def test_the_project_comes_with_every_loss_and_they_reconstruct() -> None:
    names = set(pretrained.names())
    assert {f"recon/{loss}" for loss in RECON_LOSSES} <= names
    assert {f"unrolled/{loss}" for loss in RECON_LOSSES} <= names
    assert {f"registration/{loss}" for loss in MOTION_LOSSES} <= names
    files = list(pretrained.folder().glob("*/*"))
    assert (
        max(f.stat().st_size for f in files) <= 8e6 and sum(f.stat().st_size for f in files) <= 60e6
    )
    network = load_pretrained("recon/perp_l2")
    assert isinstance(network, UNet)
    batch = recon_data(pretrained.load_run("recon/perp_l2")).batch("test", range(4), 4)
    with torch.no_grad():
        gained = evaluate(network(batch.zero_filled), batch.target)["psnr"]
    assert (gained > evaluate(batch.zero_filled, batch.target)["psnr"] + 2).all()
