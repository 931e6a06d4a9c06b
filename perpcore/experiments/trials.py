"""Tuning trials and ablations: small runs, judged on validation data."""

from dataclasses import replace
from typing import Any, NamedTuple

from perpcore.experiments.configs import (
    COMPARISONS,
    RECON,
    RECON_LOSSES,
    REGISTRATION,
    REGISTRATION_LOSSES,
    WARMUP,
    AnyConfig,
    ReconConfig,
    RegistrationConfig,
    changed_preset,
    tuned,
    with_warmup,
)

TRIAL: dict[str, dict[str, Any]] = {
    "smoke": {"size": 32, "steps": 2, "validate_every": 2, "n_test": 2},
    "quick": {"size": 48, "steps": 240, "validate_every": 240, "n_validation": 4, "n_test": 24},
    "paper": {"size": 96, "steps": 3000, "validate_every": 3000, "n_validation": 8, "n_test": 64},
}
"""Trials and ablations are smaller than their preset's runs, and never see test images."""
TRIAL["full"] = TRIAL["quick"]
TRIAL_SEEDS = {"smoke": 1, "quick": 1, "full": 3, "paper": 3}

SELECTION = {"recon": ("ssim", max), "registration": ("epe", min)}
"""Validation metric that chooses among the trials, and whether more or less of it is better."""

LEARNING_RATES = (1e-3, 2e-3, 4e-3, 8e-3)
WEIGHTED_TRIALS = ((2e-3, 1.0), (2e-3, 10.0), (4e-3, 1.0), (4e-3, 10.0))


class Trial(NamedTuple):
    """A small run, once per seed: the question that it belongs to, and its name in that."""

    group: str
    label: str
    configs: tuple[ReconConfig | RegistrationConfig, ...]

    @property
    def config(self) -> ReconConfig | RegistrationConfig:
        """Run of the first seed."""
        return self.configs[0]

    @property
    def name(self) -> str:
        """Name of its summary: that of the runs, without the seed."""
        return self.config.name.rpartition("-s")[0]


def tuning_trials(preset: str = "quick") -> list[Trial]:
    """List four trials per loss: learning rates, or for ⊥+ℓ1 and ⊥+ℓ2 rates and weights."""
    trials = []
    for base, losses in ((_small(RECON, preset), RECON_LOSSES),
                         (_small(REGISTRATION, preset), REGISTRATION_LOSSES)):  # fmt: skip
        for loss in losses:
            weighted = loss in ("perp_l1", "perp_l2")
            pairs = WEIGHTED_TRIALS if weighted else [(rate, 1.0) for rate in LEARNING_RATES]
            for rate, weight in pairs:
                config = replace(base, loss=loss, learning_rate=rate, weight=weight)
                config = with_warmup(config) if isinstance(config, RegistrationConfig) else config
                label = f"learning rate {rate:g}" + (f", w = {weight:g}" if weighted else "")
                trials.append(_trial(f"tuning {config.task} {loss}", label, config))
    return trials


def ablation_trials(preset: str = "quick") -> list[Trial]:
    """List what each part of loss and data does, one change at a time from the tuned values."""
    base = _small(RECON, preset)
    weights = (0.1, 0.3, 1, 3, 10, 30, 100) if preset == "paper" else (0.1, 1, 10, 100)
    trials: list[Trial] = []

    def add(group: str, label: str, loss: str, **changes: Any) -> None:
        trials.append(_trial(group, label, replace(tuned(replace(base, loss=loss)), **changes)))

    for loss in ("perp_l1", "perp_l2"):
        for weight in weights:
            add("weight", f"w = {weight:g}", loss, weight=float(weight))
        add("variant", "as it is", loss)
        add("variant", "divided by |Y|", loss, loss_options=(("normalize_by", "target"),))
        add("variant", "no continuation", loss, loss_options=(("continuation", False),))
        add("variant", "guard ε = 0.1", loss, loss_options=(("eps", 0.1),))
    add("mix", "a = ½", "perp_ssim")
    add("mix", "a trainable", "perp_ssim", loss_options=(("trainable_mix", True),))
    for loss in ("l2", "perp_l1", "perp_l2"):
        for scale in (1.0, 10.0):
            add("scaling", f"× {scale:g}", loss, loss_scale=scale)
        for noise in (0.0, 0.2):
            add("target noise", f"SD {noise:g}", loss, target_noise=noise)
        for phase in (0.0, 0.6):
            add("phase", f"SD {phase:g} rad", loss, rough_phase=phase)
        for inputs in ("complex", "magnitude"):
            add("input", inputs, loss, inputs=inputs)
    start = replace(_small(REGISTRATION, preset), loss="perp_l2")
    for flow, shares in ((True, (0.0, 0.1, WARMUP)), (False, (0.0, WARMUP))):
        for share in shares:
            config = tuned(replace(start, normal_flow=flow, warmup=int(share * start.steps)))
            network = "with normal flow" if flow else "plain network"
            trials.append(_trial("warm-up", f"{network}, {share:.0%}", config))
    return trials


def all_configs(preset: str = "quick") -> list[ReconConfig | RegistrationConfig]:
    """List every run behind the figures, each once."""
    found = [config for comparison in COMPARISONS.values() for config in comparison(preset)]
    trials = [*tuning_trials(preset), *ablation_trials(preset)]
    return list(dict.fromkeys([*found, *(c for trial in trials for c in trial.configs)]))


def _small(presets: dict[str, AnyConfig], preset: str) -> AnyConfig:
    return replace(changed_preset(presets, preset, {}), evaluate_on="validation", **TRIAL[preset])


def _trial(group: str, label: str, config: ReconConfig | RegistrationConfig) -> Trial:
    seeds = range(TRIAL_SEEDS[config.preset])
    return Trial(group, label, tuple(replace(config, seed=seed) for seed in seeds))
