"""What several notebooks share: the style, pictures of images and fields, figures and tables."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

from perpcore._files import write_atomically

# Okabe and Ito's palette, told apart by colour-blind readers; the line styles serve grey prints.
_LOOK = {
    "target": ("target", "black", "-"), "zero_filled": ("zero-filled", "#7f7f7f", ":"),
    "zero": ("zero field", "#7f7f7f", ":"), "l1": ("ℓ1", "#E69F00", "--"),
    "l2": ("ℓ2", "#D55E00", "-"), "ssim": ("SSIM", "#CC79A7", "-."),
    "perp_l1": ("⊥+ℓ1", "#56B4E9", "--"), "perp_l2": ("⊥+ℓ2", "#0072B2", "-"),
    "perp_ssim": ("⊥+SSIM", "#009E73", "-."), "epe": ("EPE", "#E69F00", "--"),
    "plain_l2": ("ℓ2, plain", "#CC79A7", "-."),
    "cold_plain_perp_l2": ("⊥+ℓ2, cold, plain", "#7f7f7f", ":"),
}  # fmt: skip
LABELS, COLORS, LINES = ({name: look[k] for name, look in _LOOK.items()} for k in range(3))
"""How losses are written and drawn in figures and tables."""

WIDTH = 7.0  # inches: two columns of a journal


def set_style(photos: bool = False) -> None:
    """Set the one style of all figures; also makes SVG output reproducible.

    With `photos` a notebook shows its pictures as JPEG: a tenth of the size for MR images.
    """
    plt.ioff()  # figures are displayed by `show`, with their alternative text
    if photos:
        set_matplotlib_formats("jpeg", pil_kwargs={"quality": 85})
    matplotlib.rcParams.update({
        "font.size": 8, "font.family": "DejaVu Sans", "axes.titlesize": 8, "axes.grid": False,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
        "image.interpolation": "nearest", "figure.dpi": 100,
        "figure.constrained_layout.use": True, "svg.hashsalt": "perpcore",
    })  # fmt: skip


def to_numpy(image: Tensor | np.ndarray) -> np.ndarray:
    """Return the pixels of an image, wherever it lies."""
    return image.detach().cpu().numpy() if isinstance(image, torch.Tensor) else np.asarray(image)


def show_magnitude(ax: Axes, image: Tensor | np.ndarray, vmax: float) -> AxesImage:
    """Show |image| in grey from 0 to vmax, without ticks."""
    frameless(ax)
    return ax.imshow(np.abs(to_numpy(image)), cmap="gray", vmin=0, vmax=vmax)


def show_phase(ax: Axes, image: Tensor | np.ndarray, foreground: np.ndarray) -> AxesImage:
    """Show the phase in rad on a cyclic map, in the foreground: elsewhere it has no meaning."""
    frameless(ax)
    phase = np.where(foreground, np.angle(to_numpy(image)), np.nan)
    return ax.imshow(phase, cmap="twilight", vmin=-np.pi, vmax=np.pi)


def show_error(ax: Axes, error: np.ndarray, limit: float) -> AxesImage:
    """Show a signed error from −limit (blue) to +limit (red); NaN in grey."""
    frameless(ax)
    return ax.imshow(error, cmap="RdBu_r", vmin=-limit, vmax=limit)


def show_arrows(ax: Axes, field: Tensor, every: int, color: str = COLORS["l1"]) -> None:
    """Show a displacement field (2, row, column) as arrows, twice as long, one per `every` pixels.

    Displacements below 0.1 px are left out.
    """
    u = to_numpy(field)[:, every // 2 :: every, every // 2 :: every]
    u = np.where(np.hypot(*u) < 0.1, np.nan, u)
    y, x = np.mgrid[every // 2 : field.shape[1] : every, every // 2 : field.shape[2] : every]
    ax.quiver(x, y, u[0], u[1], color=color, angles="xy", scale_units="xy", scale=0.5, width=0.014)


def frameless(ax: Axes) -> None:
    """Remove ticks and frame; what is NaN shows grey."""
    ax.set(xticks=[], yticks=[], facecolor="0.85")
    ax.spines[:].set_visible(False)


def show_reconstructions(figure: FigureBase, images: dict[str, Tensor], foreground: np.ndarray, title: str) -> None:
    """Show complex images by name, "target" first: one column each, one scale per row.

    Rows: magnitude, magnitude error, phase and phase error; the last three in the foreground.
    """
    axes = figure.subplots(4, len(images))
    figure.suptitle(title, fontsize=8)
    target = to_numpy(images["target"])
    peak = float(np.quantile(np.abs(target), 0.998))
    for column, (name, image) in zip(axes.T, images.items(), strict=True):
        pixels = to_numpy(image)
        error = np.where(foreground, np.abs(pixels) - np.abs(target), np.nan)
        turned = np.where(foreground, np.angle(pixels * target.conj()), np.nan)
        shown = [
            show_magnitude(column[0], pixels, peak), show_error(column[1], error, 0.2 * peak),
            show_phase(column[2], pixels, foreground), show_error(column[3], turned, 0.5),
        ]  # fmt: skip
        column[0].set_title(LABELS[name])
    for ax in axes[[1, 3], 0]:  # the target has no error
        ax.clear()
        ax.axis("off")
    labels = ("|Ŷ| (a.u.)", "|Ŷ|−|Y| (a.u.)", "φ (rad)", "Δφ (rad)")
    for row, drawn, label in zip(axes, shown, labels, strict=True):
        figure.colorbar(drawn, ax=row, label=label, shrink=0.9, pad=0.01, aspect=10)


def boxes(ax: Axes, values: dict[str, np.ndarray]) -> None:
    """Draw one box per loss in its colour, named below the axis, of its (seed, image) values.

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


def calibration_curve(tables: Sequence[pd.DataFrame], acceleration: int) -> pd.DataFrame:
    """Average `Result.calibration` over seeds, in bins of more than 200 pixels."""
    table = pd.concat([t[t.acceleration == acceleration] for t in tables])
    table = table.groupby(level=0).mean()
    return table[table["count"] > 200]


def draw_calibration(axes: Sequence[Axes], curves: dict[str, pd.DataFrame], limits: tuple[float, float]) -> None:
    """Draw predicted against true length, and the relative deviation in per cent."""
    for name, curve in curves.items():
        style: dict[str, Any] = {"color": COLORS[name], "ls": LINES[name], "lw": 1.3}
        axes[0].plot(curve.target, curve.pred, label=LABELS[name], **style)
        axes[1].plot(curve.target, 100 * (curve.pred / curve.target - 1), **style)
    top = max(curve.target.max() for curve in curves.values())
    axes[0].plot([0, top], [0, top], color="0.6", lw=0.6)
    axes[1].axhline(0, color="0.6", lw=0.6)
    axes[1].set(ylim=limits, ylabel="relative bias (%)")


def save_figure(
    fig: Figure, folder: Path | str, name: str, numbers: dict[str, Any],
    *, caption: str, alt: str, preset: str = "any",
) -> None:  # fmt: skip
    """Write NAME.png, NAME.svg and NAME.json (what is drawn, to 6 digits), and show the figure.

    The same numbers give byte-identical SVG and JSON.

    Parameters
    ----------
    caption : str
        What is drawn: every axis, symbol and colour that has no label in the figure.
    alt : str
        The figure in words, for readers who do not see it.
    preset : str
        Size of the experiments behind it; "any" where nothing is trained.
    """
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        fig.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        write_atomically(Path(folder) / f"{name}.{kind}", buffer.getvalue())
    _save_json(Path(folder), name, {"numbers": numbers, "caption": caption, "alt": alt}, preset)
    show(fig, caption=caption, alt=alt)


def show(fig: Figure, *, caption: str = "", alt: str) -> None:
    """Display a figure with its alternative text, its caption below it, and close it."""
    spoken = {"alt": alt}
    display(fig, metadata={"image/png": spoken, "image/jpeg": spoken})
    if caption:
        display(Markdown(f"*{caption}*"))
    plt.close(fig)


def wide_table(rows: list[dict[str, Any]], metrics: dict[str, str], digits: dict[str, int]) -> pd.DataFrame:
    """Arrange rows of `statistics.compare` as "mean [low, high]", one column per metric.

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


def save_table(
    table: pd.DataFrame, folder: Path | str, name: str, numbers: dict[str, Any],
    *, caption: str, preset: str = "any",
) -> None:  # fmt: skip
    """Write NAME.md (as shown) and NAME.json (the numbers behind it), and show the table."""
    text = f"{caption}\n\n{table.reset_index().to_markdown(index=False)}\n"
    write_atomically(Path(folder) / f"{name}.md", text.encode())
    _save_json(Path(folder), name, {"numbers": numbers, "caption": caption}, preset)
    display(table)
    display(Markdown(f"*{caption}*"))


def _save_json(folder: Path, name: str, record: dict[str, Any], preset: str) -> None:
    content = _rounded({**record, "preset": preset})
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(folder / f"{name}.json", (text + "\n").encode())


def _rounded(value: Any) -> Any:
    """Return plain JSON types, floats to 6 significant digits."""
    if isinstance(value, dict):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, np.ndarray, pd.Series)):
        return [_rounded(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.6g}") if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
