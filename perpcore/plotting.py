"""What several notebooks share: the style, complex images, and how figures and tables are saved."""

from __future__ import annotations

import io
import json
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

from perpcore.files import write_atomically
from perpcore.inventory import FIGURES, figures_folder

LABELS = {
    "zero_filled": "zero-filled",
    "zero": "zero field",
    "target": "target",
    "l1": "ℓ1",
    "l2": "ℓ2",
    "ssim": "SSIM",
    "perp_l1": "⊥+ℓ1",
    "perp_l2": "⊥+ℓ2",
    "perp_ssim": "⊥+SSIM",
    "epe": "EPE",
    "plain_l2": "ℓ2, plain",
    "cold_plain_perp_l2": "⊥+ℓ2, cold, plain",
}
"""How losses are written in figures and tables."""

# Okabe and Ito's palette, told apart by colour-blind readers; the line styles serve grey prints.
COLORS = {
    "zero_filled": "#7f7f7f",
    "l1": "#E69F00",
    "l2": "#D55E00",
    "ssim": "#CC79A7",
    "perp_l1": "#56B4E9",
    "perp_l2": "#0072B2",
    "perp_ssim": "#009E73",
    "epe": "#E69F00",
    "plain_l2": "#CC79A7",
    "cold_plain_perp_l2": "#7f7f7f",
}
LINES = {
    "l1": "--",
    "l2": "-",
    "ssim": "-.",
    "perp_l1": "--",
    "perp_l2": "-",
    "perp_ssim": "-.",
    "epe": "--",
    "plain_l2": "-.",
    "cold_plain_perp_l2": ":",
}
WIDTH = 7.0
"""Width of a figure in inches: two columns of a journal."""


def set_style(photos: bool = False) -> None:
    """The one style of all figures; also makes SVG output reproducible.

    With `photos` a notebook shows its pictures as JPEG: a tenth of the size for MR images.
    """
    if photos:
        set_matplotlib_formats("jpeg", pil_kwargs={"quality": 85})
    matplotlib.rcParams.update(
        {
            "font.size": 8,
            "font.family": "DejaVu Sans",
            "axes.titlesize": 8,
            "axes.grid": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
            "image.interpolation": "nearest",
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "svg.hashsalt": "perpcore",
        }
    )


def to_numpy(image: Tensor | np.ndarray) -> np.ndarray:
    """The pixels of an image, wherever it lies."""
    return image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)


def show_magnitude(ax: Axes, image: Tensor | np.ndarray, vmax: float) -> AxesImage:
    """|image| in grey from 0 to vmax, without ticks."""
    frameless(ax)
    return ax.imshow(np.abs(to_numpy(image)), cmap="gray", vmin=0, vmax=vmax)


def show_phase(ax: Axes, image: Tensor | np.ndarray, body: np.ndarray) -> AxesImage:
    """Phase in rad on a cyclic map, only where `body`: elsewhere it has no meaning."""
    frameless(ax)
    phase = np.where(body, np.angle(to_numpy(image)), np.nan)
    return ax.imshow(phase, cmap="twilight", vmin=-np.pi, vmax=np.pi)


def show_error(ax: Axes, error: np.ndarray, limit: float) -> AxesImage:
    """Signed error from −limit (blue) to +limit (red); NaN in grey."""
    frameless(ax)
    return ax.imshow(error, cmap="RdBu_r", vmin=-limit, vmax=limit)


def show_arrows(ax: Axes, field: Tensor, every: int, color: str = COLORS["l1"]) -> None:
    """A displacement field (2, row, column) as arrows, twice as long, one per `every` pixels.

    Displacements below 0.1 px are left out.
    """
    u = to_numpy(field)[:, every // 2 :: every, every // 2 :: every]
    u = np.where(np.hypot(*u) < 0.1, np.nan, u)
    y, x = np.mgrid[every // 2 : field.shape[1] : every, every // 2 : field.shape[2] : every]
    ax.quiver(x, y, u[0], u[1], color=color, angles="xy", scale_units="xy", scale=0.5, width=0.014)


def field_colors(field: Tensor | np.ndarray, largest: float) -> np.ndarray:
    """A displacement field (2, row, column) as RGB: hue for direction, saturation for length.

    Right yellow, down orange, left purple, up blue: opposites differ for colour-blind readers.
    """
    u = to_numpy(field)
    length = np.clip(np.hypot(*u) / largest, 0, 1)[..., None]
    angle = np.arctan2(u[1], u[0]) / (np.pi / 2)
    anchors = np.array([to_rgb(c) for c in ("#F0E442", "#D55E00", "#CC79A7", "#0072B2")])
    cyclic = [
        np.interp(angle, range(5), [*anchors[:, k], anchors[0, k]], period=4) for k in (0, 1, 2)
    ]
    colours: np.ndarray = 1 - length * (1 - np.stack(cyclic, -1))
    return colours


def draw_wheel(ax: Axes, largest: float) -> None:
    """The legend of `field_colors`: the colour of each vector up to `largest` pixels."""
    y, x = np.mgrid[-1:1:101j, -1:1:101j]
    ax.imshow(np.where((np.hypot(x, y) <= 1)[..., None], field_colors(np.stack([x, y]), 1), 1))
    ax.axis("off")
    ax.set_title(f"{largest:.1f} px", fontsize=6)


def frameless(ax: Axes) -> None:
    """No ticks, no frame; what is NaN shows grey."""
    ax.set(xticks=[], yticks=[], facecolor="0.85")
    ax.spines[:].set_visible(False)


def boxes(ax: Axes, values: dict[str, np.ndarray]) -> None:
    """One box per loss in its colour, named below the axis, of its (seed, image) values.

    The box is over images, each averaged over its seeds, without outliers; dashes beside it are
    the means of several seeds.
    """
    look: dict[str, Any] = {"patch_artist": True, "medianprops": {"color": "black"}}
    drawn = ax.boxplot([v.mean(0) for v in values.values()], widths=0.55, showfliers=False, **look)
    for position, (patch, name) in enumerate(zip(drawn["boxes"], values, strict=True), 1):
        patch.set(facecolor=COLORS[name], alpha=0.8)
        means = values[name].mean(1)
        if means.size > 1:
            ax.plot([position + 0.42] * means.size, means, "k_", ms=3, mew=0.7)
    ax.set_xlim(0.4, len(values) + 0.7)
    ax.set_xticks(range(1, len(values) + 1), [LABELS[name] for name in values], rotation=90)


def save_figure(fig: Figure, name: str, numbers: dict[str, Any], preset: str = "any") -> None:
    """Write NAME.png, NAME.svg and NAME.json (what is drawn, to 6 digits) to the figures folder.

    The same numbers give byte-identical SVG and JSON. `preset` is "any" where nothing is trained.
    """
    fig.set_label(name)
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        fig.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        write_atomically(figures_folder() / f"{name}.{kind}", buffer.getvalue())
    _save_json(name, numbers, preset)


def show(fig: Figure, alt: str = "") -> None:
    """Display a figure with its alternative text and close it.

    `alt` says in words what a reader who does not see the figure should know; by default it is
    the inventory's, for figures that went through `save_figure`.
    """
    spoken = {"alt": alt or FIGURES[str(fig.get_label())].alt}
    display(fig, metadata={"image/png": spoken, "image/jpeg": spoken})
    plt.close(fig)


def wide_table(
    rows: list[dict[str, Any]], metrics: dict[str, str], digits: dict[str, int]
) -> pd.DataFrame:
    """Rows of `statistics.compare` as "mean [low, high]", one column per metric.

    `metrics` gives the columns' order and labels, `digits` the decimals where they are not 3. An
    asterisk marks p < 0.05 after Holm's correction.
    """

    def cell(row: pd.Series) -> str:
        d, star = digits.get(row.metric, 3), "*" if row.get("p_holm", 1) < 0.05 else ""
        return f"{row['mean']:.{d}f}{star} [{row.low:.{d}f}, {row.high:.{d}f}]"

    table = pd.DataFrame(rows)
    table = table.assign(cell=table.apply(cell, axis=1), loss=table.loss.map(LABELS))
    index = [c for c in ("R", "loss", "metric") if c in table]
    wide = table.set_index(index)["cell"].unstack(sort=False)
    return wide[list(metrics)].rename(columns=metrics)


def save_table(table: pd.DataFrame, name: str, numbers: dict[str, Any], preset: str) -> None:
    """Write NAME.md (as shown) and NAME.json (the numbers behind it) to the figures folder."""
    text = f"{FIGURES[name].caption} (preset {preset}).\n\n{table.to_markdown()}\n"
    write_atomically(figures_folder() / f"{name}.md", text.encode())
    _save_json(name, numbers, preset)


def _save_json(name: str, numbers: dict[str, Any], preset: str) -> None:
    caption, notebook, _ = FIGURES[name]
    record = {"numbers": numbers, "preset": preset, "caption": caption, "notebook": notebook}
    text = json.dumps(_rounded(record), indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(figures_folder() / f"{name}.json", (text + "\n").encode())


def _rounded(value: Any) -> Any:
    """Plain JSON types, floats to 6 significant digits."""
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray, pd.Series)):
        return [_rounded(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
