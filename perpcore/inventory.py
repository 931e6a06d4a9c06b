"""The inventory: every figure and table, what it shows and which notebook makes it."""

from __future__ import annotations

from typing import NamedTuple


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
    "tab07_multicoil": Entry(
        "Unrolled networks on multi-coil k-space: mean and 95 % confidence interval of each "
        "metric, per loss and acceleration",
        "05_reconstruction_results",
    ),
    "fig09_reg_examples": Entry(
        "A generated pair: true and predicted displacement fields as arrows and as colour, their "
        "error and what remains of the image difference, per loss",
        "07_registration_results",
    ),
    "fig10_reg_metrics": Entry(
        "Distribution of each registration metric over the test pairs, per loss",
        "07_registration_results",
    ),
    "fig11_reg_calibration": Entry(
        "Predicted against true length of the motion and its relative bias, per loss",
        "07_registration_results",
    ),
    "tab03_registration": Entry(
        "Mean and 95 % confidence interval of each registration metric, per loss, with paired "
        "tests against the end-point error",
        "07_registration_results",
    ),
    "fig12_weight": Entry(
        "Quality on validation images against the weight w of ⊥+ℓ1 and ⊥+ℓ2",
        "08_ablations",
    ),
    "fig13_variants": Entry(
        "What changes with the normaliser, the continuation, the guard, the scaling, noise in the "
        "targets, uncertain phase, a magnitude-only input and the warm-up",
        "08_ablations",
    ),
    "tab04_ablation": Entry(
        "Tuning trials and ablations: mean and 95 % confidence interval on validation data",
        "08_ablations",
    ),
    "fig14_real": Entry(
        "A measured head slice, undersampled and reconstructed by the networks that were trained "
        "on generated images",
        "09_your_own_data",
    ),
    "tab06_measured": Entry(
        "Networks trained and tested on measured abdominal images, split by scan session: mean and "
        "95 % confidence interval of each metric, with paired tests against ℓ2",
        "09_your_own_data",
    ),
    "tab05_claims": Entry(
        "The article's claims C1 to C9, the statistic that judges each, and the verdict",
        "10_claims",
    ),
}
