"""What is trained: a configuration names everything that a result depends on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from perpcore.data.kspace import MASKS
from perpcore.losses import LOSSES

RECON_LOSSES = ("l1", "l2", "ssim", "perp_l1", "perp_l2", "perp_ssim")
REGISTRATION_LOSSES = ("epe", "l2", "perp_l1", "perp_l2")


@dataclass(frozen=True)
class Config:
    """Everything that determines a result, for both tasks.

    Images are scaled so that the zero-filled image has maximum 1; `weight` is w at that scaling.
    """

    task: str = "recon"
    loss: str = "l2"
    weight: float = 1.0
    loss_options: tuple[tuple[str, float | bool | str], ...] = ()  # more arguments of the loss
    loss_scale: float = 1.0  # the loss is evaluated on images multiplied by this
    learning_rate: float = 2e-3
    steps: int = 1200
    batch_size: int = 4
    seed: int = 0  # of the initial weights and of the training images
    chans: int = 16  # channels of the network's first level
    data: str = "generated"  # or the fingerprint of measured images
    test_subjects: tuple[str, ...] = ()  # of measured images
    size: int = 96  # rows and columns
    sampling: str = "radial"
    accelerations: tuple[int, ...] = (4, 8)
    noise: float = 0.05  # SD in each part of k-space, for images of maximum 1
    inputs: str = "complex"  # or "magnitude": the network does not see the phase
    validate_every: int = 100
    n_validation: int = 16
    n_test: int = 64
    evaluate_on: str = "test"  # "validation" keeps the test images unseen
    preset: str = field(default="quick", compare=False)  # which comparison asked for it
    source: str = field(default="", compare=False)  # where measured images lie
    reader_options: tuple[tuple[str, str], ...] = ()  # of `readers.open_source`
    skip_bad: bool = field(default=False, compare=False)  # leave out slices that cannot be read

    def __post_init__(self) -> None:
        """Refuse names that are not known."""
        choices: dict[str, Any] = {
            "loss": LOSSES, "sampling": MASKS, "inputs": ("complex", "magnitude"),
            "evaluate_on": ("test", "validation"),
        }  # fmt: skip
        for name, known in choices.items():
            value = getattr(self, name)
            if value not in known:
                raise ValueError(f"{name}: expected {', '.join(known)}, got {value!r}")

    @property
    def label(self) -> str:
        """Name within its comparison."""
        return self.loss

    @property
    def comparison(self) -> str:
        """Name of the comparison that it belongs to."""
        return self.task

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        """Name of the network, one of `models.MODELS`, and its arguments."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Name of the result's file: recon-perp_l2-s03; what a trial changed stands before s."""
        parts = [self.comparison, self.label]
        if self.evaluate_on == "validation":
            parts += ["trial", f"lr{self.learning_rate:g}", f"w{self.weight:g}", *self._changes()]
        if self.data != "generated":
            parts += [self.data, *(f"test_{subject}" for subject in self.test_subjects)]
        # Subjects come from files' contents, and the name becomes a file's.
        return "-".join([*parts, f"s{self.seed:02d}"]).replace("/", "_")

    def _changes(self) -> list[str]:
        """Return what an ablation changed, as parts of the name."""
        default, found = type(self)(), [f"{name}_{value}" for name, value in self.loss_options]
        for name in ("loss_scale", "inputs", "rough_phase", "target_noise"):
            value = getattr(self, name, None)  # the last two are of reconstructions only
            if value != getattr(default, name, None):
                found.append(f"{name}_{value}")
        return found


@dataclass(frozen=True)
class ReconConfig(Config):
    """A reconstruction: a `UNet` on one coil, or an `UnrolledNet` on several."""

    num_pool_layers: int = 3
    n_coils: int = 1
    n_cascades: int = 0
    rough_phase: float = 0.0  # SD in rad of an independent phase in each pixel of the images
    target_noise: float = 0.0  # SD in each part of the training targets

    @property
    def comparison(self) -> str:
        """ "unrolled" for the networks with data consistency."""
        return "unrolled" if self.n_cascades else "recon"

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        """A `UNet`, or an `UnrolledNet` of several cascades."""
        size = {"chans": self.chans, "num_pool_layers": self.num_pool_layers}
        if self.n_cascades:
            return "UnrolledNet", {"n_cascades": self.n_cascades, **size}
        return "UNet", size


@dataclass(frozen=True)
class RegistrationConfig(Config):
    """A registration: a `MotionNet` on two images; fields in pixels, `weight` at that scaling."""

    task: str = "registration"
    loss: str = "epe"
    steps: int = 600
    inputs: str = "magnitude"
    levels: int = 4  # of the pyramid
    warmup: int = 0  # first steps, trained with the end-point error
    normal_flow: bool = True  # False: the network sees the two images only ("plain")
    sliding: bool = False

    @property
    def label(self) -> str:
        """The loss, after "cold_" without warm-up and "plain_" without normal flow."""
        cold = self.loss.startswith("perp") and self.warmup == 0
        return "cold_" * cold + "plain_" * (not self.normal_flow) + self.loss

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        """A `MotionNet`."""
        in_channels = 1 if self.inputs == "magnitude" else 2
        arguments = {"in_channels": in_channels, "chans": self.chans, "levels": self.levels}
        return "MotionNet", {**arguments, "normal_flow": self.normal_flow}

    def _changes(self) -> list[str]:
        return [*super()._changes(), *([f"warmup{self.warmup}"] if self.warmup else [])]


def from_dict(values: dict[str, Any]) -> ReconConfig | RegistrationConfig:
    """Make a configuration of its fields; inverse of `dataclasses.asdict`, also after JSON."""
    cls = RegistrationConfig if values.get("task") == "registration" else ReconConfig
    unknown = set(values) ^ {f.name for f in fields(cls)}
    if unknown:
        raise ValueError(f"configuration: unexpected or missing fields {sorted(unknown)}")
    lists = {k: tuple(values[k]) for k in ("accelerations", "test_subjects")}
    lists |= {k: tuple(map(tuple, values[k])) for k in ("loss_options", "reader_options")}
    return cls(**{**values, **lists})


AnyConfig = TypeVar("AnyConfig", ReconConfig, RegistrationConfig)

_SMOKE: dict[str, Any] = {"size": 32, "chans": 8, "batch_size": 2, "n_validation": 2, "n_test": 4}
_PAPER: dict[str, Any] = {
    "size": 192, "steps": 20000, "batch_size": 16, "validate_every": 500, "n_validation": 64,
    "n_test": 400,
}  # fmt: skip
RECON: dict[str, ReconConfig] = {
    "smoke": ReconConfig(preset="smoke", steps=30, validate_every=10, **_SMOKE),
    "quick": ReconConfig(preset="quick"),
    "full": ReconConfig(preset="full"),
    "paper": ReconConfig(preset="paper", chans=32, num_pool_layers=4, **_PAPER),
}
REGISTRATION: dict[str, RegistrationConfig] = {
    "smoke": RegistrationConfig(preset="smoke", steps=12, validate_every=6, levels=3, **_SMOKE),
    "quick": RegistrationConfig(preset="quick"),
    "full": RegistrationConfig(preset="full"),
    "paper": RegistrationConfig(preset="paper", chans=48, levels=5, **_PAPER),
}
"""Presets: smoke (tests), quick (a laptop, one seed), full (what is committed), paper (a GPU)."""

UNROLLED: dict[str, dict[str, Any]] = {
    "smoke": {"n_coils": 2, "n_cascades": 2, "num_pool_layers": 1, "steps": 6, "validate_every": 3},
    "quick": {"n_coils": 4, "n_cascades": 3, "num_pool_layers": 2, "size": 64, "steps": 400,
              "n_test": 32},
    "paper": {"n_coils": 8, "n_cascades": 6, "num_pool_layers": 3, "chans": 24},
}  # fmt: skip
UNROLLED["full"] = UNROLLED["quick"]  # more seeds of the same runs

SEEDS = {"smoke": 1, "quick": 1, "full": 12, "paper": 5}
MEASURED_SEEDS = {**SEEDS, "full": 4}
COLD_SEEDS = 3  # whether a cold start fails is a matter of luck

TUNED: dict[str, dict[str, tuple[float, float]]] = {
    "recon": {
        "l1": (4e-3, 1.0), "l2": (2e-3, 1.0), "ssim": (4e-3, 1.0),
        "perp_l1": (4e-3, 10.0), "perp_l2": (2e-3, 10.0), "perp_ssim": (2e-3, 1.0),
    },
    "registration": {
        "epe": (2e-3, 1.0), "l2": (2e-3, 1.0), "perp_l1": (4e-3, 1.0), "perp_l2": (2e-3, 1.0),
    },
}  # fmt: skip
"""Learning rate and w: the best of four trials per loss, three seeds each (notebook 08)."""

WARMUP = 0.4  # share of the steps that ⊥ registrations spend on the end-point error


def recon_configs(preset: str = "quick", **changes: Any) -> list[ReconConfig]:
    """List the comparison of notebooks 04 and 05: one run per loss and seed, all else equal.

    `changes` are fields to change in all of them; with measured `data` no noise is added.
    """
    base = changed_preset(RECON, preset, changes)
    return [tuned(replace(base, loss=n, seed=s)) for s in _seeds(base) for n in RECON_LOSSES]


def unrolled_configs(preset: str = "quick") -> list[ReconConfig]:
    """List the second comparison: the same losses, unrolled networks on multi-coil k-space."""
    base = replace(changed_preset(RECON, preset, {}), **UNROLLED[preset])
    return [tuned(replace(base, loss=n, seed=s)) for s in _seeds(base) for n in RECON_LOSSES]


def registration_configs(preset: str = "quick", **changes: Any) -> list[RegistrationConfig]:
    """List the comparison of notebooks 06 and 07, and the two runs of the plain network.

    ⊥ runs spend the first 40 % of the same number of steps on the end-point error. The plain
    network does not see the normal flow: ⊥+ℓ2 from a cold start, and ℓ2 to show that it can learn.
    """
    base = changed_preset(REGISTRATION, preset, changes)
    plain = replace(base, normal_flow=False)
    found: list[RegistrationConfig] = []
    for s in _seeds(base):
        found += [tuned(with_warmup(replace(base, loss=n, seed=s))) for n in REGISTRATION_LOSSES]
        found.append(tuned(replace(plain, loss="l2", seed=s)))
    cold = range(max(len(_seeds(base)), COLD_SEEDS))
    return found + [tuned(replace(plain, loss="perp_l2", seed=s)) for s in cold]


COMPARISONS: dict[str, Callable[..., Sequence[ReconConfig] | Sequence[RegistrationConfig]]] = {
    "recon": recon_configs, "unrolled": unrolled_configs, "registration": registration_configs,
}  # fmt: skip


def changed_preset(presets: dict[str, AnyConfig], preset: str, changes: dict[str, Any]) -> AnyConfig:
    """Change fields of a preset; noise is not added to measured data."""
    if preset not in presets:
        raise ValueError(f"preset: expected one of {', '.join(presets)}, got {preset!r}")
    measured = {"noise": 0.0} if changes.get("data", "generated") != "generated" else {}
    return replace(presets[preset], **{**measured, **changes})


def _seeds(base: Config) -> range:
    return range((SEEDS if base.data == "generated" else MEASURED_SEEDS)[base.preset])


def tuned(config: AnyConfig) -> AnyConfig:
    """Fill in the learning rate and w of `TUNED`."""
    rate, weight = TUNED[config.task].get(config.loss, (config.learning_rate, config.weight))
    return replace(config, learning_rate=rate, weight=weight)


def with_warmup(config: RegistrationConfig) -> RegistrationConfig:
    """Give ⊥ runs their warm-up, others none."""
    share = WARMUP if config.loss.startswith("perp") else 0.0
    return replace(config, warmup=int(share * config.steps))
