"""The inventory: every figure and table, what it shows and which notebook makes it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from perpcore.experiments.results import project_root
from perpcore.files import write_atomically


class Entry(NamedTuple):
    """A figure or table: what it shows, who makes it, and a figure in words (alternative text)."""

    caption: str
    notebook: str
    alt: str = ""


FIGURES: dict[str, Entry] = {
    "fig01_geometry": Entry(
        "Prediction, target and the perpendicular part of the target in the complex plane, for an "
        "angle below and one above 90°, and L⊥ against the angle",
        "01_geometry",
        "Two pixels as arrows in the complex plane, real against imaginary part: prediction, "
        "target, and the perpendicular part of the target as a segment from the target's tip to "
        "the line through the prediction, at 50 and at 125 degrees. Right: L⊥ over |Y| against "
        "the angle from −180 to 180 degrees; it rises from 0 to 1 at 90 and to 2 at 180 degrees, "
        "while the curve without continuation falls back to 0.",
    ),
    "fig02_landscape": Entry(
        "Six losses over magnitude ratio and angle, with contours; only ⊥+ℓ1 and ⊥+ℓ2 are "
        "symmetric about a ratio of 1 at every angle",
        "02_landscape",
        "Six colour maps of a loss over the magnitude ratio from 0 to 2 (horizontal) and the "
        "angle from −180 to 180 degrees (vertical). The line of cheapest ratios bends to 0 with "
        "growing angle for ℓ1 and ℓ2 and stays at 1 for ⊥+ℓ1 and ⊥+ℓ2.",
    ),
    "fig03_descent": Entry(
        "Descent directions and gradient-flow paths in the complex plane for ℓ2 and ⊥+ℓ2",
        "02_landscape",
        "The complex plane with descent arrows, contours and 18 descent paths to the target at 1. "
        "Left, ℓ2: straight paths, all arrive. Right, ⊥+ℓ2: paths first move to the unit circle, "
        "then along it; those that start beyond 90 degrees stop at 90 degrees.",
    ),
    "tab01_properties": Entry(
        "Per loss: symmetry index, degree of homogeneity, value at 180°, gradient, cost",
        "02_landscape",
    ),
    "fig04_bias": Entry(
        "Magnitude that minimises the expected loss against phase noise (ℓ2 and ℓ1 shrink, ⊥ does "
        "not) and against complex noise (ℓ2 is right, ⊥ follows the Rician mean or median)",
        "03_magnitude_bias",
        "Learnt over true magnitude. Left, against the standard deviation of the phase: ℓ2 falls "
        "along exp(−σ²/2), complex ℓ1 falls less, both ⊥-losses stay at 1. Right, against complex "
        "noise: ℓ2 stays at 1, the ⊥-losses rise with the Rician mean and median. Theory, Monte "
        "Carlo and trained networks lie on each other.",
    ),
    "fig05_recon_examples": Entry(
        "A generated test image and the measured head slice: target, zero-filled and the "
        "reconstruction of each loss, as magnitude, magnitude error, phase and phase error",
        "05_reconstruction_results",
        "Two panels of images, a generated one and a measured head slice; columns: target, "
        "zero-filled and the six losses; rows: magnitude, magnitude error, phase, phase error, one "
        "colour scale per row.",
    ),
    "fig06_recon_metrics": Entry(
        "Distribution of each metric over the test images, per loss and acceleration",
        "05_reconstruction_results",
        "Box plots over test images, one column per metric (SSIM, PSNR, NRMSE, complex NRMSE, "
        "phase error, magnitude bias), one row per acceleration, one box for zero-filled and for "
        "each loss. Means and intervals are in tab02.",
    ),
    "fig07_recon_calibration": Entry(
        "Predicted against true magnitude and its relative bias, per loss and acceleration",
        "05_reconstruction_results",
        "Top: mean predicted against true magnitude, one line per loss, with the identity in "
        "grey. Bottom: the relative deviation in per cent. One column per acceleration.",
    ),
    "fig08_recon_convergence": Entry(
        "Validation metrics against training step, per loss",
        "05_reconstruction_results",
        "SSIM, PSNR, phase error and magnitude bias on validation images against the training "
        "step, one line per loss.",
    ),
    "tab02_reconstruction": Entry(
        "Mean and 95 % confidence interval of each metric, per loss and acceleration, with paired "
        "tests against ℓ2",
        "05_reconstruction_results",
    ),
    "tab08_background": Entry(
        "SSIM of the whole image, of the body and of the background, per loss: mean, smallest and "
        "largest of the first four seeds",
        "05_reconstruction_results",
    ),
    "tab07_multicoil": Entry(
        "Unrolled networks on multi-coil k-space: mean and 95 % confidence interval of each "
        "metric, per loss and acceleration",
        "05_reconstruction_results",
    ),
    "fig09_reg_examples": Entry(
        "A generated pair: true and predicted displacement fields as arrows and as colour, their "
        "error and what remains of the image difference, per loss",
        "07_registration_results",
        "One torso in coronal view; columns: true field and each network; rows: the field as "
        "arrows over the image, the field as colour with a colour wheel, the length of its error "
        "in pixels, and the warped moving image minus the fixed one.",
    ),
    "fig10_reg_metrics": Entry(
        "Distribution of each registration metric over the test pairs, per loss",
        "07_registration_results",
        "Box plots over test pairs of end-point error, magnitude error, motion bias, angular "
        "error, folded area and warped-image error, one box per network. Means and intervals are "
        "in tab03.",
    ),
    "fig11_reg_calibration": Entry(
        "Predicted against true length of the motion and its relative bias, per loss",
        "07_registration_results",
        "Left: mean predicted against true length of the motion in pixels, one line per network. "
        "Middle: the relative deviation in per cent. Right: length learnt by free three- "
        "dimensional vectors against the uncertainty of their direction; the end-point error and "
        "ℓ2 fall below 1, the ⊥-losses stay at 1.",
    ),
    "tab03_registration": Entry(
        "Mean and 95 % confidence interval of each registration metric, per loss, with paired "
        "tests against the end-point error",
        "07_registration_results",
    ),
    "fig12_weight": Entry(
        "Quality on validation images against the weight w of ⊥+ℓ1 and ⊥+ℓ2",
        "08_ablations",
        "PSNR, SSIM, phase error and magnitude bias on validation images against the weight w on "
        "a logarithmic axis, for ⊥+ℓ1 and ⊥+ℓ2, with 95 % intervals. The numbers are in tab04.",
    ),
    "fig13_variants": Entry(
        "What changes with the normaliser, the continuation, the guard, the scaling, noise in the "
        "targets, uncertain phase, a magnitude-only input and the warm-up",
        "08_ablations",
        "Five panels of means with 95 % intervals for ℓ2, ⊥+ℓ1 and ⊥+ℓ2: variants of the loss, "
        "scaling of the images, noise in the targets, uncertain phase, input of the network; a "
        "sixth: angular error of registration against the share of warm-up steps, with normal "
        "flow and for a plain network. The numbers are in tab04.",
    ),
    "tab04_ablation": Entry(
        "Tuning trials and ablations: mean and 95 % confidence interval on validation data",
        "08_ablations",
    ),
    "fig14_real": Entry(
        "A measured head slice, undersampled and reconstructed by the networks that were trained "
        "on generated images",
        "09_your_own_data",
        "A sagittal head slice in grey: target, zero-filled and the reconstruction of each loss "
        "with its SSIM, one row per acceleration.",
    ),
    "tab06_measured": Entry(
        "Networks trained and tested on measured abdominal images, split by scan session: mean and "
        "95 % confidence interval of each metric, with paired tests against ℓ2",
        "09_your_own_data",
    ),
    "fig15_checks": Entry(
        "The checks on trained networks: every seed, mean and 95 % confidence interval, and "
        "the threshold",
        "10_claims",
        "One panel per metric: SSIM, PSNR, phase error, magnitude bias, and the metrics of "
        "registration. Each row is a check, with a tick for every seed, a bar for the interval "
        "and the threshold as a line; the colour says whether the check holds, fails or is open.",
    ),
    "tab05_claims": Entry(
        "The article's claims C1 to C9, the statistic that judges each, and the verdict",
        "10_claims",
    ),
}


def figures_folder() -> Path:
    """Where figures go: `PERPCORE_FIGURES`, or figures/ of the project."""
    return Path(os.environ.get("PERPCORE_FIGURES") or project_root() / "figures")


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
            f"![{entry.alt}]({name}.png)" if name.startswith("fig") else f"[table]({name}.md)",
            "",
        ]
    path = figures_folder() / "index.md"
    write_atomically(path, "\n".join(lines).encode())
    return path
