"""Saved figures: complete, indexed and the same bytes for the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from perpcore.inventory import write_index

from perpcore import plotting


def draw(numbers: np.ndarray) -> plt.Figure:
    plotting.set_style()
    fig, axes = plt.subplots(1, 4)
    axes[0].plot(numbers)
    image = torch.polar(torch.ones(4, 4), torch.arange(16.0).reshape(4, 4))
    plotting.show_magnitude(axes[1], image, 1)
    plotting.show_phase(axes[2], image, np.eye(4) > 0)
    plotting.show_error(axes[3], image.real.numpy(), 1)
    return fig


def test_redrawing_gives_the_same_bytes(isolated_store: Path) -> None:
    folder, kept = isolated_store / "figures", {}
    for _ in range(2):
        fig = draw(np.linspace(0, 1, 7))
        plotting.save_figure(fig, "fig01_geometry", {"x": np.linspace(0, 1, 7)}, "quick")
        plt.close(fig)
        now = {p.name: p.read_bytes() for p in folder.iterdir()}
        assert set(now) == {f"fig01_geometry.{kind}" for kind in ("png", "svg", "json")}
        assert not kept or kept == now
        kept = now
    record = json.loads(kept["fig01_geometry.json"])
    assert record["preset"] == "quick" and record["notebook"] == "01_geometry"
    assert record["numbers"]["x"][1] == 0.166667


def test_tables_and_index(isolated_store: Path) -> None:
    table = pd.DataFrame({"loss": ["l2"], "SSIM": [0.5]})
    numbers = {"ssim": np.float32(0.5), "bad": np.inf, "n": np.int64(3)}
    plotting.save_table(table, "tab01_properties", numbers, "smoke")
    record = json.loads((isolated_store / "figures" / "tab01_properties.json").read_text())
    assert record["numbers"] == {"ssim": 0.5, "bad": None, "n": 3}
    assert "| l2" in (isolated_store / "figures" / "tab01_properties.md").read_text()
    index = write_index().read_text()
    assert "tab01_properties" in index and "preset `smoke`" in index
    assert "fig02_landscape" not in index


def test_every_loss_has_a_colour_and_a_label() -> None:
    from perpcore.grid import MOTION_LOSSES, RECON_LOSSES, motion_runs

    for loss in (*RECON_LOSSES, *MOTION_LOSSES):
        assert loss in plotting.COLORS and loss in plotting.LABELS and loss in plotting.LINES
    for shown in (set(RECON_LOSSES), {run.label for run in motion_runs()}):
        assert len({plotting.COLORS[name] for name in shown}) == len(shown)


def test_shown_figures_carry_their_alternative_text(
    isolated_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(
        plotting, "display", lambda fig, metadata: told.append(metadata["image/png"]["alt"])
    )
    fig = draw(np.arange(3))
    plotting.save_figure(fig, "fig01_geometry", {}, "quick")
    plotting.show(fig)
    plotting.show(draw(np.arange(3)), "three points")
    assert told == [plotting.FIGURES["fig01_geometry"].alt, "three points"]
    assert not plt.get_fignums()
    with pytest.raises(KeyError):
        plotting.show(draw(np.arange(3)))
    plt.close("all")
    assert all(entry.alt for name, entry in plotting.FIGURES.items() if name.startswith("fig"))


def test_wide_table_has_a_cell_for_every_row_in_the_order_given() -> None:
    rows = [
        {"R": rate, "loss": loss, "metric": metric, "mean": 20.25, "low": 20, "high": 20.5}
        | ({"p_holm": 0.01} if loss == "perp_l2" else {})
        for rate in (8, 4)
        for loss in ("l2", "perp_l2")
        for metric in ("ssim", "psnr")
    ]
    wide = plotting.wide_table(rows, {"psnr": "PSNR (dB)", "ssim": "SSIM"}, {"psnr": 1})
    assert list(wide.index) == [(8, "ℓ2"), (8, "⊥+ℓ2"), (4, "ℓ2"), (4, "⊥+ℓ2")]
    assert list(wide.columns) == ["PSNR (dB)", "SSIM"]
    assert wide.loc[(4, "⊥+ℓ2"), "PSNR (dB)"] == "20.2* [20.0, 20.5]"
    assert wide.loc[(8, "ℓ2"), "SSIM"] == "20.250 [20.000, 20.500]"
