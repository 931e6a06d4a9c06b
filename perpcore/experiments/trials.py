"""Ablations and the choice of w: small runs, judged on validation data."""

from dataclasses import replace
from itertools import chain
from typing import Any, NamedTuple

from perpcore.experiments.configs import (
    ANATOMIES,
    BRAIN_NOISE,
    COMPARISONS,
    RECON,
    UNET_LOSSES,
    Config,
    ReconConfig,
    weighted,
)

TRIAL: dict[str, dict[str, Any]] = {
    "smoke": {"size": 32, "steps": 2, "validate_every": 2},
    "quick": {"size": 32, "batch_size": 4, "steps": 60, "validate_every": 60, "n_validation": 4, "n_test": 12},
    "full": {"size": 48, "steps": 200, "validate_every": 200, "n_validation": 4, "n_test": 24},
    "paper": {"size": 96, "steps": 400, "validate_every": 400, "n_validation": 8, "n_test": 64},
}
"""Trials are smaller than their preset's runs, and never see test images."""
TRIAL_SEEDS = {"smoke": 1, "quick": 1, "full": 2, "paper": 3}
WEIGHT_GRID = (1.0, 10.0, 100.0, 1000.0)


class Trial(NamedTuple):
    """A small run, once per seed: the question that it belongs to, and its name in that."""

    group: str
    label: str
    configs: tuple[ReconConfig, ...]

    @property
    def config(self) -> ReconConfig:
        """Run of the first seed."""
        return self.configs[0]

    @property
    def name(self) -> str:
        """Name of its summary: that of the runs, without the seed."""
        return self.config.name.rpartition("-s")[0]


def ablation_trials(preset: str = "quick") -> list[Trial]:
    """List what each part of loss, network and data does, one change at a time."""
    trials = []
    small = replace(RECON[preset], evaluate_on="validation", **TRIAL[preset])

    def add(group: str, label: str, loss: str, anatomy: str = "abdomen", **changes: Any) -> None:
        noise = BRAIN_NOISE if anatomy == "brain" else small.noise
        base = replace(weighted(replace(small, loss=loss, anatomy=anatomy, noise=noise)), **changes)
        trials.append(Trial(group, label, tuple(replace(base, seed=seed) for seed in range(TRIAL_SEEDS[preset]))))

    for loss in ("perp_l1", "perp_l2"):
        for anatomy in ANATOMIES:
            for weight in WEIGHT_GRID:
                add("weight", f"w = {weight:g}", loss, anatomy, weight=weight)
        add("variant", "as it is", loss)
        add("variant", "divided by |Y|", loss, loss_options=(("normalize_by", "target"),))
        add("variant", "no continuation", loss, loss_options=(("continuation", False),))
        add("variant", "guard ε = 0.1", loss, loss_options=(("eps", 0.1),))
    add("mix", "a = ½", "perp_ssim")
    add("mix", "a trainable", "perp_ssim", loss_options=(("trainable_mix", True),))
    for loss in UNET_LOSSES:
        add("network", "own CNN per cascade", loss)
        add("network", "one CNN", loss, shared=True)
    for loss in ("l2", "perp_l1", "perp_l2"):
        for noise in (0.0, 0.2):
            add("target noise", f"SD {noise:g}", loss, target_noise=noise)
        for roughness in (0.1, 0.4, 0.8):
            add("phase", f"SD {roughness:g} rad", loss, roughness=roughness)
    return trials


def all_configs(preset: str = "quick") -> list[Config]:
    """List every run behind the figures, each once."""
    comparisons = [comparison(preset) for comparison in COMPARISONS.values()]
    return list(dict.fromkeys(chain(*comparisons, *(trial.configs for trial in ablation_trials(preset)))))
