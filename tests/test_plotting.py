"""Saved figures: complete, indexed and the same bytes for the same numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt

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
    index = plotting.write_index().read_text()
    assert "tab01_properties" in index and "preset `smoke`" in index
    assert "fig02_landscape" not in index


def test_every_loss_has_a_colour_and_a_label() -> None:
    from perpcore.grid import MOTION_LOSSES, RECON_LOSSES, motion_runs

    for loss in (*RECON_LOSSES, *MOTION_LOSSES):
        assert loss in plotting.COLORS and loss in plotting.LABELS and loss in plotting.LINES
    for shown in (set(RECON_LOSSES), {run.label for run in motion_runs()}):
        assert len({plotting.COLORS[name] for name in shown}) == len(shown)
