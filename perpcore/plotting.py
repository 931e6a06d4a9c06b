"""What several notebooks share: the style, pictures of images and fields, figures and tables."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from matplotlib_inline.backend_inline import set_matplotlib_formats
from numpy.typing import ArrayLike
from torch import Tensor

from perpcore._files import write_atomically
from perpcore.statistics import mean_interval

# Okabe and Ito's palette, told apart by colour-blind readers; the line styles serve grey prints.
_LOSSES = {
    "l1": ("ℓ1", "#E69F00", "--"), "l2": ("ℓ2", "#D55E00", "-"), "ssim": ("SSIM", "#CC79A7", "-."),
    "perp_l1": ("⊥+ℓ1", "#56B4E9", "--"), "perp_l2": ("⊥+ℓ2", "#0072B2", "-"),
    "perp_ssim": ("⊥+SSIM", "#009E73", "-."), "epe": ("EPE", "#E69F00", "--"),
}  # fmt: skip
_OTHERS = {
    "target": ("target", "black", "-"), "zero": ("zero field", "#999999", ":"),
    "zero_filled": ("zero-filled", "#999999", ":"), "cg_sense": ("CG-SENSE", "#888888", "--"),
    "filter": ("filter", "#888888", "-."), "wavelet": ("wavelets", "#444444", "-"),
}  # fmt: skip
# A loss with another network or start: what stands after its name, whether it is dotted and whether it is hollow.
_VARIANTS = {
    "unet_": (", U-Net", True, True), "cold_": (", cold", True, False), "plain_": (", plain", False, True),
    "cold_plain_": (", cold, plain", True, True),
}  # fmt: skip
_LOOK = {name: (*look, look[1]) for name, look in (_OTHERS | _LOSSES).items()} | {
    prefix + name: (label + more, color, ":" if dotted else line, "white" if hollow else color)
    for prefix, (more, dotted, hollow) in _VARIANTS.items()
    for name, (label, color, line) in _LOSSES.items()
}
LABELS, COLORS, LINES, FILLS = ({name: look[k] for name, look in _LOOK.items()} for k in range(4))
"""How losses and methods are written and drawn: a loss keeps its colour; another network has hollow markers."""

WIDTH = 7.0  # inches: two columns of a journal


def set_style(photos: bool = False) -> None:
    """Set the style of all figures, SVG reproducible; with `photos` notebooks show JPEG, a tenth of the size."""
    plt.ioff()  # figures are displayed by `show`, with their alternative text
    if photos:
        set_matplotlib_formats("jpeg", pil_kwargs={"quality": 85})
    matplotlib.rcParams.update({
        "font.size": 8, "font.family": "DejaVu Sans", "axes.titlesize": 8, "axes.grid": False,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
        "image.interpolation": "nearest", "figure.dpi": 100,
        "figure.constrained_layout.use": True, "svg.hashsalt": "perpcore",
    })  # fmt: skip


def show_magnitude(ax: Axes, image: Tensor | np.ndarray, vmax: float) -> AxesImage:
    """Show |image| in grey from 0 to vmax, without ticks."""
    frameless(ax)
    return ax.imshow(np.abs(np.asarray(image)), cmap="gray", vmin=0, vmax=vmax)


def show_phase(ax: Axes, image: Tensor | np.ndarray, foreground: np.ndarray) -> AxesImage:
    """Show the phase in rad on a cyclic map, in the foreground: elsewhere it has no meaning."""
    frameless(ax)
    phase = np.where(foreground, np.angle(np.asarray(image)), np.nan)
    return ax.imshow(phase, cmap="twilight", vmin=-np.pi, vmax=np.pi)


def show_error(ax: Axes, error: np.ndarray, limit: float) -> AxesImage:
    """Show a signed error from −limit (blue) to +limit (red); NaN in grey."""
    frameless(ax)
    return ax.imshow(error, cmap="RdBu_r", vmin=-limit, vmax=limit)


def show_arrows(ax: Axes, field: Tensor, every: int, stretch: float) -> None:
    """Show a field (2, row, column) as arrows every `every` pixels, `stretch` times as long; none below 0.5 px."""
    y, x = (np.arange(every // 2, n, every) for n in field.shape[1:])
    u = np.asarray(field)[:, y[:, None], x]
    u = np.where(np.hypot(*u) < 0.5, np.nan, u)
    look: dict[str, Any] = {"color": "#F0E442", "edgecolor": "black", "linewidth": 0.4, "width": 0.14 * every}
    head: dict[str, Any] = {"headwidth": 3.3, "headlength": 3, "headaxislength": 2.8, "minlength": 0}
    ax.quiver(x, y, *u, angles="xy", units="xy", scale_units="xy", scale=1 / stretch, **look, **head)


def frameless(ax: Axes) -> None:
    """Remove ticks and frame; what is NaN shows grey."""
    ax.set(xticks=[], yticks=[], facecolor="0.85")
    ax.spines[:].set_visible(False)


def show_reconstructions(
    figure: FigureBase, images: dict[str, Tensor], foreground: np.ndarray, title: str,
    *, notes: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Show complex images by name, "target" first: one column each, one scale per row.

    Rows: magnitude, magnitude error, phase and phase error; the last three in the foreground. A scale of errors ends
    at the 97 % quantile. `notes` are written into magnitudes.
    """
    axes = figure.subplots(4, len(images))
    figure.suptitle(title, fontsize=9)
    target = np.asarray(images["target"])
    peak = float(np.quantile(np.abs(target), 0.998))
    pixels = np.stack([*images.values()])
    errors, turns = np.abs(pixels) - np.abs(target), np.angle(pixels * target.conj())
    limits = [float(np.quantile(np.abs(z[1:, foreground]), 0.97)) or 1.0 for z in (errors, turns)]
    for column, name, image, error, turn in zip(axes.T, images, pixels, errors, turns, strict=True):
        shown = [
            show_magnitude(column[0], image, peak),
            show_error(column[1], np.where(foreground, error, np.nan), limits[0]),
            show_phase(column[2], image, foreground),
            show_error(column[3], np.where(foreground, turn, np.nan), limits[1]),
        ]
        column[0].set_title(LABELS[name])
        shade = {"facecolor": "black", "alpha": 0.5, "lw": 0, "pad": 1}
        look: dict[str, Any] = {"color": "white", "fontsize": 7, "va": "top", "linespacing": 1.0, "bbox": shade}
        if notes and name in notes:
            column[0].text(0.03, 0.97, notes[name], transform=column[0].transAxes, **look)
    edges = [(max(i.min() - 2, 0) - 0.5, min(i.max() + 2, n - 1) + 0.5)
             for i, n in zip(np.nonzero(foreground), foreground.shape, strict=True)]  # fmt: skip
    for ax in axes.flat:  # what is around the body is left out
        ax.set(xlim=edges[1], ylim=edges[0][::-1])
    for ax in axes[[1, 3], 0]:  # the target has no error
        ax.clear()
        ax.axis("off")
    labels = ("|Ŷ| (a.u.)", "|Ŷ|−|Y| (a.u.)", "φ (rad)", "Δφ (rad)")
    for row, drawn, label in zip(axes, shown, labels, strict=True):
        bar = figure.colorbar(drawn, ax=row, label=label, shrink=0.9, pad=0.01, aspect=10)
        if drawn is shown[2]:
            bar.set_ticks([-np.pi, 0, np.pi], labels=["−π", "0", "π"])


def draw_band(ax: Axes, name: str, x: ArrayLike, low: ArrayLike, middle: ArrayLike, high: ArrayLike) -> None:
    """Draw a line in the look of `name` in a band from low to high."""
    ax.fill_between(x, low, high, color=COLORS[name], alpha=0.15, lw=0)
    ax.plot(x, middle, color=COLORS[name], ls=LINES[name], lw=1.2, label=LABELS[name])


def calibration_curve(
    tables: Sequence[pd.DataFrame], acceleration: int, reference: Sequence[pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Average `Result.calibration` over seeds, in bins of more than 200 pixels.

    Adds bias (%, less that of the `reference` tables of the same seeds) and low and high, its 95 % interval over seeds.
    """

    def of(these: Sequence[pd.DataFrame]) -> tuple[pd.DataFrame, np.ndarray]:
        chosen = [t[t.acceleration == acceleration] for t in these]
        mean = pd.concat(chosen).groupby(level=0).mean()
        return mean, np.stack([100 * (t.pred / t.target.where(t.target > 0) - 1) for t in chosen])

    table, bias = of(tables)
    if reference is not None:
        bias = bias - of(reference)[1]
    kept = (table["count"] > 200).to_numpy()
    several = len(bias) > 1  # one seed has no interval
    intervals = [mean_interval(b[:, None]) if several else (b.item(),) * 3 for b in bias.T[kept]]
    columns = np.reshape(intervals, (-1, 3)).T
    return table[kept].assign(**dict(zip(("bias", "low", "high"), columns, strict=True)))


def save_figure(
    fig: Figure, folder: Path | str, name: str, numbers: dict[str, Any],
    *, caption: str, alt: str, preset: str = "any",
) -> None:  # fmt: skip
    """Write NAME.png, NAME.svg and NAME.json (what is drawn, to 6 digits), and show the figure.

    The same numbers give byte-identical SVG and JSON. `caption` says what is drawn: every axis, symbol and colour that
    has no label in the figure. `alt` is the figure in words, for readers who do not see it; `preset` the size of the
    experiments behind it, "any" where nothing is trained.
    """
    fig.draw_without_rendering()
    fig.set_layout_engine("none")  # once laid out, it is drawn three times
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        fig.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        write_atomically(Path(folder) / f"{name}.{kind}", buffer.getvalue())
    _save_json(Path(folder), name, {"numbers": numbers, "caption": caption, "alt": alt}, preset)
    show(fig, caption=caption, alt=alt)


def show(fig: Figure, *, caption: str = "", alt: str) -> None:
    """Display a figure at 137 pixels per inch, with its alternative text and its caption below it, and close it."""
    spoken = {"alt": alt, "width": round(137 * fig.get_figwidth())}  # 959 for `WIDTH`: as wide as JupyterLab's cells
    display(fig, metadata=dict.fromkeys(("image/png", "image/jpeg"), spoken))
    if caption:
        display(Markdown(f"*{caption}*"))
    plt.close(fig)


def wide_table(rows: list[dict[str, Any]], metrics: dict[str, str], digits: dict[str, int]) -> pd.DataFrame:
    """Arrange rows of `statistics.compare` as "mean [low, high]", one column per metric.

    `metrics` gives the columns' order and labels, `digits` the decimals where they are not 3. An asterisk marks
    p < 0.05 after Holm's correction. What is not in `LABELS` is written as it stands.
    """

    def cell(row: pd.Series) -> str:
        d, star = digits.get(row.metric, 3), "*" if row.get("p_holm", 1) < 0.05 else ""
        return f"{row['mean']:.{d}f}{star} [{row.low:.{d}f}, {row.high:.{d}f}]"

    table = pd.DataFrame(rows).assign(cell=lambda t: t.apply(cell, axis=1), loss=lambda t: t.loss.replace(LABELS))
    index = [c for c in ("anatomy", "R", "loss", "metric") if c in table]
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
    """Write floats to 6 significant digits, and null for what is not finite."""
    exact = json.dumps({**record, "preset": preset}, default=lambda array: array.tolist())
    rounded = json.loads(exact, parse_float=lambda x: float(f"{float(x):.6g}"), parse_constant=lambda _: None)
    text = json.dumps(rounded, indent=1, sort_keys=True, ensure_ascii=False)
    write_atomically(folder / f"{name}.json", (text + "\n").encode())
