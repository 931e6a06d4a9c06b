"""Saved figures: complete, indexed and the same bytes for the same numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from committed import write_index
from matplotlib import pyplot as plt

from perpcore import plotting
from perpcore.experiments.configs import RECON_LOSSES, REGISTRATION_LOSSES, recon_configs, registration_configs


def draw(numbers: np.ndarray) -> plt.Figure:
    plotting.set_style()
    fig, axes = plt.subplots(1, 4)
    axes[0].plot(numbers)
    image = torch.polar(torch.ones(4, 4), torch.arange(16.0).reshape(4, 4))
    plotting.show_magnitude(axes[1], image, 1)
    plotting.show_phase(axes[2], image, np.eye(4) > 0)
    plotting.show_error(axes[3], image.real.numpy(), 1)
    return fig


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is displayed: figures with their metadata, tables, captions."""
    calls: list[Any] = []
    monkeypatch.setattr(plotting, "display", lambda what, **more: calls.append((what, more)))
    return calls


def test_redrawing_gives_the_same_bytes(tmp_path: Path, shown: list[Any]) -> None:
    kept: dict[str, bytes] = {}
    for _ in range(2):
        fig = draw(np.linspace(0, 1, 7))
        numbers = {"x": np.linspace(0, 1, 7)}
        plotting.save_figure(fig, tmp_path, "fig01", numbers, caption="A line.", alt="It rises.", preset="quick")
        now = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
        assert set(now) == {f"fig01.{kind}" for kind in ("png", "svg", "json")}
        assert not kept or kept == now
        kept = now
    record = json.loads(kept["fig01.json"])
    assert record["preset"] == "quick" and record["caption"] == "A line."
    assert record["numbers"]["x"][1] == 0.166667
    assert not plt.get_fignums()


def test_figures_are_shown_with_alternative_text_and_caption(shown: list[Any]) -> None:
    plotting.show(draw(np.arange(3)), caption="Three points.", alt="three points")
    (_, metadata), (caption, _) = shown
    assert metadata["metadata"]["image/png"]["alt"] == "three points"
    assert caption.data == "*Three points.*"
    with pytest.raises(TypeError, match="alt"):
        plotting.show(draw(np.arange(3)))
    plt.close("all")


def test_tables_and_index(tmp_path: Path, shown: list[Any]) -> None:
    table = pd.DataFrame({"loss": ["l2"], "SSIM": [0.5]}).set_index("loss")
    numbers = {"ssim": np.float32(0.5), "bad": np.inf, "n": np.int64(3)}
    plotting.save_table(table, tmp_path, "tab01", numbers, caption="One loss.", preset="smoke")
    record = json.loads((tmp_path / "tab01.json").read_text())
    assert record["numbers"] == {"ssim": 0.5, "bad": None, "n": 3}
    text = (tmp_path / "tab01.md").read_text()
    assert text.startswith("One loss.\n\n| loss") and "| l2" in text
    assert shown[0][0] is table and shown[1][0].data == "*One loss.*"
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_some.ipynb").write_text('save_table(table, \\"tab01\\")')
    write_index(tmp_path, tmp_path / "notebooks")
    index = (tmp_path / "index.md").read_text()
    assert "## tab01" in index and "preset `smoke`" in index and "[02_some]" in index


def test_calibration_is_averaged_over_seeds_in_filled_bins() -> None:
    bins = {"acceleration": [4, 4, 8], "target": [0.1, 0.2, 0.3], "count": [300, 10, 300]}
    tables = [pd.DataFrame({**bins, "pred": [p, p, p]}) for p in (0.1, 0.3)]
    curve = plotting.calibration_curve(tables, 4)
    assert curve.pred.tolist() == pytest.approx([0.2]) and curve.target.tolist() == [0.1]
    assert curve.bias.tolist() == pytest.approx([100]) and curve.low.item() < 0 < 200 < curve.high.item()
    assert plotting.calibration_curve(tables, 4, reference=tables)[["bias", "low", "high"]].values.tolist() == [[0] * 3]
    assert plotting.calibration_curve(tables[:1], 4).low.tolist() == pytest.approx([0])
    fig, ax = plt.subplots()
    plotting.draw_band(ax, "l2", curve.target, curve.low, curve.bias, curve.high)
    assert ax.lines[0].get_ydata().tolist() == pytest.approx([100])
    plt.close(fig)


def test_arrows_are_stretched_and_left_out_where_little_moves() -> None:
    field = torch.zeros(2, 8, 12)
    field[0, :, 6:] = 3
    fig, ax = plt.subplots()
    plotting.show_arrows(ax, field, every=4, stretch=2)
    (arrows,) = ax.collections
    assert arrows.XY.tolist() == [[x, y] for y in (2, 6) for x in (2, 6, 10)] and arrows.scale == 0.5
    assert np.where(arrows.Umask, np.nan, arrows.U).tolist() == pytest.approx([np.nan, 3, 3] * 2, nan_ok=True)
    plt.close(fig)


def test_reconstructions_are_shown_on_one_scale_per_row() -> None:
    target = torch.polar(torch.ones(8, 8), torch.zeros(8, 8))
    fig = plt.figure()
    images = {"target": target, "zero_filled": 0.9 * target}
    notes = {"zero_filled": "20 dB"}
    plotting.show_reconstructions(fig, images, np.ones((8, 8), bool), "title", notes=notes)
    assert [text.get_text() for ax in fig.axes for text in ax.texts] == ["20 dB"]
    shown = [ax.images[0] for ax in fig.axes if ax.images]
    scales = {tuple(np.round(image.get_clim(), 3).tolist()) for image in shown}
    assert scales == {(0, 1), (-0.1, 0.1), (-3.142, 3.142), (-1, 1)}
    assert np.allclose(shown[2].get_array(), -0.1)  # the target has no error of its own
    plt.close(fig)


def test_every_loss_has_a_colour_and_a_label() -> None:
    for loss in (*RECON_LOSSES, *REGISTRATION_LOSSES):
        assert loss in plotting.COLORS and loss in plotting.LABELS and loss in plotting.LINES
    for shown in ({c.label for c in recon_configs()}, {c.label for c in registration_configs()}):
        looks = {(plotting.COLORS[name], plotting.LINES[name], plotting.FILLS[name]) for name in shown}
        assert len(looks) == len(shown) == len({plotting.LABELS[name] for name in shown})
    assert plotting.LABELS["cold_plain_perp_l2"] == "⊥+ℓ2, cold, plain"
    assert len({plotting.COLORS[name] for name in RECON_LOSSES}) == len(RECON_LOSSES)


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
