"""What several notebooks share: the style, complex images, and how figures and tables are saved."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib_inline.backend_inline import set_matplotlib_formats
from torch import Tensor

from perpcore.store import project_root
from perpcore.training import write_atomically


class Entry(NamedTuple):
    """A figure or table: what it shows (also its alternative text) and who makes it."""

    caption: str
    notebook: str


FIGURES: dict[str, Entry] = {
    "fig01_geometry": Entry(
        "Prediction, target and the perpendicular part of the target in the complex plane, for an "
        "angle below and one above 90°, and L⊥ against the angle",
        "01_geometry",
    ),
    "fig02_landscape": Entry(
        "Six losses over magnitude ratio and angle, with contours; only ⊥+ℓ1 and ⊥+ℓ2 are "
        "symmetric about a ratio of 1 at every angle",
        "02_landscape",
    ),
    "fig03_descent": Entry(
        "Descent directions and gradient-flow paths in the complex plane for ℓ2 and ⊥+ℓ2",
        "02_landscape",
    ),
    "tab01_properties": Entry(
        "Per loss: symmetry index, degree of homogeneity, value at 180°, gradient, cost",
        "02_landscape",
    ),
    "fig04_bias": Entry(
        "Magnitude that minimises the expected loss against phase noise (ℓ2 and ℓ1 shrink, ⊥ does "
        "not) and against complex noise (ℓ2 is right, ⊥ follows the Rician mean or median)",
        "03_magnitude_bias",
    ),
    "fig05_recon_examples": Entry(
        "A generated test image and the measured head slice: target, zero-filled and the "
        "reconstruction of each loss, as magnitude, magnitude error, phase and phase error",
        "05_reconstruction_results",
    ),
    "fig06_recon_metrics": Entry(
        "Distribution of each metric over the test images, per loss and acceleration",
        "05_reconstruction_results",
    ),
    "fig07_recon_calibration": Entry(
        "Predicted against true magnitude and its relative bias, per loss and acceleration",
        "05_reconstruction_results",
    ),
    "fig08_recon_convergence": Entry(
        "Validation metrics against training step, per loss",
        "05_reconstruction_results",
    ),
    "tab02_reconstruction": Entry(
        "Mean and 95 % confidence interval of each metric, per loss and acceleration, with paired "
        "tests against ℓ2",
        "05_reconstruction_results",
    ),
}

LABELS = {
    "zero_filled": "zero-filled",
    "target": "target",
    "l1": "ℓ1",
    "l2": "ℓ2",
    "ssim": "SSIM",
    "perp_l1": "⊥+ℓ1",
    "perp_l2": "⊥+ℓ2",
    "perp_ssim": "⊥+SSIM",
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
}
LINES = {
    "l1": "--",
    "l2": "-",
    "ssim": "-.",
    "perp_l1": "--",
    "perp_l2": "-",
    "perp_ssim": "-.",
}
PHASE_CMAP = "twilight"
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
    _frameless(ax)
    return ax.imshow(np.abs(to_numpy(image)), cmap="gray", vmin=0, vmax=vmax)


def show_phase(ax: Axes, image: Tensor | np.ndarray, body: np.ndarray) -> AxesImage:
    """Phase in rad on a cyclic map, only where `body`: elsewhere it has no meaning."""
    _frameless(ax)
    phase = np.where(body, np.angle(to_numpy(image)), np.nan)
    return ax.imshow(phase, cmap=PHASE_CMAP, vmin=-np.pi, vmax=np.pi)


def show_error(ax: Axes, error: np.ndarray, limit: float) -> AxesImage:
    """Signed error from −limit (blue) to +limit (red); NaN in grey."""
    _frameless(ax)
    return ax.imshow(error, cmap="RdBu_r", vmin=-limit, vmax=limit)


def _frameless(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[], facecolor="0.85")
    ax.spines[:].set_visible(False)


def figures_folder() -> Path:
    """Where figures go: `PERPCORE_FIGURES`, or figures/ of the project."""
    return Path(os.environ.get("PERPCORE_FIGURES") or project_root() / "figures")


def save_figure(fig: Figure, name: str, numbers: dict[str, Any], preset: str = "any") -> None:
    """Write NAME.png, NAME.svg and NAME.json (what is drawn, to 6 digits) to the figures folder.

    The same numbers give byte-identical SVG and JSON. `preset` is "any" where nothing is trained.
    """
    entry = FIGURES[name]
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None, "Creator": None})):
        buffer = io.BytesIO()
        fig.savefig(buffer, format=kind, dpi=150, metadata=metadata)
        write_atomically(figures_folder() / f"{name}.{kind}", buffer.getvalue())
    _save_json(name, {"numbers": numbers, "preset": preset, **entry._asdict()})


def save_table(table: pd.DataFrame, name: str, numbers: dict[str, Any], preset: str) -> None:
    """Write NAME.md (as shown) and NAME.json (the numbers behind it) to the figures folder."""
    text = f"{FIGURES[name].caption} (preset {preset}).\n\n{table.to_markdown()}\n"
    write_atomically(figures_folder() / f"{name}.md", text.encode())
    _save_json(name, {"numbers": numbers, "preset": preset, **FIGURES[name]._asdict()})


def write_index() -> Path:
    """figures/index.md: every figure and table that is there, with its notebook."""
    lines = [
        "# Figures and tables",
        "",
        "Made by `perpcore figures`. The numbers of the figures are the companion's own, not the "
        "article's.",
        "",
    ]
    for name, entry in FIGURES.items():
        record = figures_folder() / f"{name}.json"
        if not record.exists():
            continue
        preset = json.loads(record.read_text())["preset"]
        made = "nothing trained" if preset == "any" else f"preset `{preset}`"
        lines += [
            f"## {name}",
            "",
            f"{entry.caption}. Notebook [{entry.notebook}](../notebooks/{entry.notebook}.ipynb), "
            f"{made}; [numbers]({name}.json).",
            "",
            f"![{entry.caption}]({name}.png)" if name.startswith("fig") else f"[table]({name}.md)",
            "",
        ]
    path = figures_folder() / "index.md"
    write_atomically(path, "\n".join(lines).encode())
    return path


def _save_json(name: str, record: dict[str, Any]) -> None:
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
