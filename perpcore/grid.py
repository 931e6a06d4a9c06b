"""The grid: presets, tuned values, and every run behind the figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from perpcore.data.readers.measured import fingerprint, open_source
from perpcore.experiments.configs import MotionRun, Run

AnyRun = TypeVar("AnyRun", Run, MotionRun)

PRESETS: dict[str, Run] = {
    # tests: does everything run?
    "smoke": Run(
        preset="smoke", size=32, width=8, steps=30, batch=2, validate_every=10, n_validation=2,
        n_test=4,
    ),
    # default: a laptop
    "quick": Run(preset="quick"),
    # one to four hours of two CPU cores: `quick` with several seeds
    "cpu": Run(preset="cpu"),
    # one GPU
    "paper": Run(
        preset="paper", size=192, width=32, depth=4, steps=20000, batch=16, validate_every=500,
        n_validation=64, n_test=400,
    ),
}  # fmt: skip
"""Reconstruction runs as they are before loss, learning rate, weight and seed are filled in."""

MOTION_PRESETS: dict[str, MotionRun] = {
    "smoke": MotionRun(
        preset="smoke", size=32, width=8, depth=3, steps=12, batch=2, validate_every=6,
        n_validation=2, n_test=4,
    ),
    "quick": MotionRun(preset="quick"),
    "cpu": MotionRun(preset="cpu"),
    "paper": MotionRun(
        preset="paper", size=192, width=48, depth=5, steps=20000, batch=16, validate_every=500,
        n_validation=64, n_test=400,
    ),
}  # fmt: skip
"""Registration runs, likewise; fields in pixels."""

SEEDS = {"smoke": 1, "quick": 1, "cpu": 12, "paper": 5}
MEASURED_SEEDS = {**SEEDS, "cpu": 4}  # measured images take as long again
COLD_SEEDS = 3
TRIAL_SEEDS = {"smoke": 1, "quick": 1, "cpu": 3, "paper": 3}

RECON_LOSSES = ("l1", "l2", "ssim", "perp_l1", "perp_l2", "perp_ssim")
MOTION_LOSSES = ("epe", "l2", "perp_l1", "perp_l2")

TUNED: dict[str, dict[str, tuple[float, float]]] = {
    "recon": {
        "l1": (4e-3, 1.0), "l2": (2e-3, 1.0), "ssim": (4e-3, 1.0),
        "perp_l1": (4e-3, 10.0), "perp_l2": (2e-3, 10.0), "perp_ssim": (2e-3, 1.0),
    },
    "registration": {
        "epe": (2e-3, 1.0), "l2": (2e-3, 1.0), "perp_l1": (4e-3, 1.0), "perp_l2": (2e-3, 1.0),
    },
}  # fmt: skip
"""Learning rate and w per task and loss: the best of the tuning trials at `cpu` (notebook 08).

Four trials for every loss, of three seeds each, on validation images, by `SELECTION`. The trials of
another preset are listed in notebook 08 when it runs at that preset; `cpu`'s choice is used until
it is copied here.
"""

SELECTION = {"recon": ("ssim", max), "registration": ("epe", min)}
"""Validation metric that chooses, and whether more or less of it is better. PSNR would choose the
same at `cpu`, except for ⊥+ℓ1."""

_TRIAL_SIZE: dict[str, dict[str, Any]] = {
    "smoke": {"size": 32, "steps": 2, "validate_every": 2, "n_validation": 2, "n_test": 2},
    "quick": {"size": 48, "steps": 240, "validate_every": 240, "n_validation": 4, "n_test": 24},
    "paper": {"size": 96, "steps": 3000, "validate_every": 3000, "n_validation": 8, "n_test": 64},
}
"""Trials and ablations are smaller than the runs of their preset, and never see test images."""

_UNROLLED: dict[str, dict[str, Any]] = {
    "smoke": {"coils": 2, "cascades": 2, "depth": 1, "steps": 6, "validate_every": 3},
    "quick": {"coils": 4, "cascades": 3, "depth": 2, "size": 64, "steps": 400, "n_test": 32},
    "paper": {"coils": 8, "cascades": 6, "depth": 3, "width": 24},
}

for _sizes in (_TRIAL_SIZE, _UNROLLED):
    _sizes["cpu"] = _sizes["quick"]  # more seeds of the same runs

RATES = (1e-3, 2e-3, 4e-3, 8e-3)
WEIGHTED_TRIALS = ((2e-3, 1.0), (2e-3, 10.0), (4e-3, 1.0), (4e-3, 10.0))
WARMUP = 0.4
"""Share of the steps that ⊥ runs of registration spend on the end-point error."""


class Trial(NamedTuple):
    """A small run, once per seed: the question it belongs to, its name in that, and the runs."""

    group: str
    label: str
    runs: tuple[Run, ...]

    @property
    def run(self) -> Run:
        """That of the first seed."""
        return self.runs[0]

    @property
    def name(self) -> str:
        """What its summary is called."""
        return "+".join(run.name for run in self.runs)


def recon_runs(
    preset: str = "quick", seed: int = 0, data: str = "", test_subjects: Sequence[str] = ()
) -> list[Run]:
    """The runs of notebooks 04 and 05: one per loss and seed, same everything else.

    With `data`, a file or folder of measured images ("PATH", or "FORMAT:PATH" with a reader's
    name), the networks are trained on those of all subjects but `test_subjects`. No noise is
    added to them.
    """
    base = _measured(_preset(PRESETS, preset), data, test_subjects)
    return [
        _tuned(replace(base, loss=loss, seed=s))
        for s in range(seed, seed + (MEASURED_SEEDS if data else SEEDS)[preset])
        for loss in RECON_LOSSES
    ]


def unrolled_runs(preset: str = "quick", seed: int = 0) -> list[Run]:
    """The second comparison of notebooks 04 and 05: unrolled networks on multi-coil k-space."""
    base = replace(_preset(PRESETS, preset), **_UNROLLED[preset])
    return [
        _tuned(replace(base, loss=loss, seed=s))
        for s in range(seed, seed + SEEDS[preset])
        for loss in RECON_LOSSES
    ]


def motion_runs(
    preset: str = "quick", seed: int = 0, data: str = "", test_subjects: Sequence[str] = ()
) -> list[MotionRun]:
    """The runs of notebooks 06 and 07: one per loss and seed, and two of the plain network.

    The ⊥-losses spend the first 40 % of the same number of steps on the end-point error. The plain
    network, which is not handed the normal flow, is trained with ⊥+ℓ2 without that warm-up, and
    with ℓ2 to show that it can learn. Whether the cold start fails is a matter of luck, so it gets
    several seeds. With `data` measured images are moved by generated fields (see `recon_runs`).
    """
    base = _measured(_preset(MOTION_PRESETS, preset), data, test_subjects)
    runs: list[MotionRun] = []
    plain = replace(base, flow=False)
    seeds = (MEASURED_SEEDS if data else SEEDS)[preset]
    for s in range(seed, seed + seeds):
        runs += [_tuned(_warm(replace(base, loss=loss, seed=s))) for loss in MOTION_LOSSES]
        runs.append(_tuned(replace(plain, loss="l2", seed=s)))
    for s in range(seed, seed + max(seeds, COLD_SEEDS)):
        runs.append(_tuned(replace(plain, loss="perp_l2", seed=s)))
    return runs


def tuning_trials(preset: str = "quick", seed: int = 0) -> list[Trial]:
    """Four trials per loss: learning rates, or for ⊥+ℓ1 and ⊥+ℓ2 learning rates and weights."""
    trials = []
    for base, losses in ((_small(PRESETS, preset, seed), RECON_LOSSES),
                         (_small(MOTION_PRESETS, preset, seed), MOTION_LOSSES)):  # fmt: skip
        for loss in losses:
            weighted = loss in ("perp_l1", "perp_l2")
            for rate, weight in WEIGHTED_TRIALS if weighted else [(r, 1.0) for r in RATES]:
                run = replace(base, loss=loss, learning_rate=rate, weight=weight)
                run = _warm(run) if isinstance(run, MotionRun) else run
                label = f"learning rate {rate:g}" + (f", w = {weight:g}" if weighted else "")
                trials.append(_trial(f"tuning {run.task} {loss}", label, run))
    return trials


def ablation_trials(preset: str = "quick", seed: int = 0) -> list[Trial]:
    """What each part of the loss and of the data does, one change at a time from tuned values."""
    base = _small(PRESETS, preset, seed)
    weights = (0.1, 0.3, 1, 3, 10, 30, 100) if preset == "paper" else (0.1, 1, 10, 100)
    trials: list[Trial] = []

    def add(group: str, label: str, loss: str, **changes: Any) -> None:
        trials.append(_trial(group, label, replace(_tuned(replace(base, loss=loss)), **changes)))

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
    return trials + _warmup_trials(preset, seed)


def all_runs(preset: str = "quick", seed: int = 0) -> list[Run]:
    """Every training run behind the figures, each once."""
    wanted = [run for runs in NOTEBOOK_RUNS.values() for run in runs(preset, seed)]
    return list(dict.fromkeys(wanted))


def trial_runs(preset: str = "quick", seed: int = 0) -> list[Run]:
    """The runs of notebook 08, each once."""
    trials = [*tuning_trials(preset, seed), *ablation_trials(preset, seed)]
    return list(dict.fromkeys(run for trial in trials for run in trial.runs))


def _both_recon(preset: str, seed: int) -> list[Run]:
    return [*recon_runs(preset, seed), *unrolled_runs(preset, seed)]


NOTEBOOK_RUNS: dict[str, Callable[[str, int], Sequence[Run]]] = {
    "04": _both_recon, "05": _both_recon, "06": motion_runs, "07": motion_runs,
    "08": trial_runs,
}  # fmt: skip
"""Number of a notebook → the runs it needs."""


def _warmup_trials(preset: str, seed: int) -> list[Trial]:
    base, trials = _small(MOTION_PRESETS, preset, seed), []
    for flow, shares in ((True, (0.0, 0.1, WARMUP)), (False, (0.0, WARMUP))):
        for share in shares:
            run = _tuned(replace(base, loss="perp_l2", flow=flow))
            network = "with normal flow" if flow else "plain network"
            label = f"{network}, {share:.0%}"
            trials.append(_trial("warm-up", label, replace(run, warmup=int(share * run.steps))))
    return trials


def _trial(group: str, label: str, run: Run) -> Trial:
    seeds = range(run.seed, run.seed + TRIAL_SEEDS[run.preset])
    return Trial(group, label, tuple(replace(run, seed=seed) for seed in seeds))


def _preset(presets: dict[str, AnyRun], preset: str) -> AnyRun:
    if preset not in presets:
        raise ValueError(f"preset: expected one of {', '.join(presets)}, got {preset!r}")
    return presets[preset]


def _measured(run: AnyRun, data: str, test_subjects: Sequence[str]) -> AnyRun:
    if not data:
        return run
    found = fingerprint(open_source(data))
    return replace(run, data=found, source=data, test_subjects=tuple(test_subjects), noise=0.0)


def _small(presets: dict[str, AnyRun], preset: str, seed: int) -> AnyRun:
    base = _preset(presets, preset)
    return replace(base, seed=seed, evaluate_on="validation", **_TRIAL_SIZE[preset])


def _tuned(run: AnyRun) -> AnyRun:
    rate, weight = TUNED[run.task].get(run.loss, (run.learning_rate, run.weight))
    return replace(run, learning_rate=rate, weight=weight)


def _warm(run: MotionRun) -> MotionRun:
    return replace(run, warmup=int(WARMUP * run.steps)) if run.loss.startswith("perp") else run
