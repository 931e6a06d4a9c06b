"""What is trained: a configuration names everything that a result depends on."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Any, TypeVar

from perpcore._checks import check_choice, require
from perpcore.data.kspace import MASKS
from perpcore.losses import LOSSES

RECON_LOSSES = ("l1", "l2", "ssim", "perp_l1", "perp_l2", "perp_ssim")
UNET_LOSSES = ("l2", "perp_l2")  # of the second network: what does the network change?
REGISTRATION_LOSSES = ("epe", "l2", "perp_l1", "perp_l2")
CLASSICAL = ("zero_filled", "cg_sense", "filter", "wavelet")
ANATOMIES = {"brain": "smooth", "abdomen": "rough"}  # the settings of reconstructions: how rough the phase is
NAMES: dict[str, Collection[str]] = {
    "loss": LOSSES, "sampling": MASKS, "evaluate_on": ("test", "validation"), "anatomy": ANATOMIES,
    "method": ("UnrolledNet", "UNet", *CLASSICAL), "inputs": ("complex", "magnitude"),
}  # fmt: skip
"""What may stand in these fields of a configuration."""


@dataclass(frozen=True)
class Config:
    """Everything that determines a result; `weight` is w for images scaled to a maximum of 1 when zero-filled."""

    task: str = "recon"
    loss: str = "l2"
    weight: float = 1.0
    loss_options: tuple[tuple[str, float | bool | str], ...] = ()  # more arguments of the loss
    learning_rate: float = 2e-3
    steps: int = 800
    batch_size: int = 4
    seed: int = 0  # of the initial weights and of the training images
    chans: int = 32  # channels of the network's first level
    data: str = "generated"  # or the fingerprint of measured images
    test_subjects: tuple[str, ...] = ()  # of measured images
    size: int = 64  # rows and columns
    sampling: str = "radial"
    accelerations: tuple[int, ...] = (4, 8, 12)
    noise: float | tuple[float, float] = 0.01  # SD in each part of k-space, for images of maximum 1; or its range
    validate_every: int = 100
    n_validation: int = 16
    n_test: int = 64
    evaluate_on: str = "test"  # "validation" keeps the test images unseen
    preset: str = field(default="quick", compare=False)  # which comparison asked for it
    source: str = field(default="", compare=False)  # where measured images lie
    reader_options: tuple[tuple[str, str], ...] = ()  # of `readers.open_source`
    skip_bad: bool = field(default=False, compare=False)  # leave out slices that cannot be read

    def __post_init__(self) -> None:
        for name, known in NAMES.items():
            if hasattr(self, name):
                check_choice(name, getattr(self, name), known)

    @property
    def label(self) -> str:
        """Name within its comparison."""
        return self.loss

    @property
    def comparison(self) -> str:
        """Name of the comparison that it belongs to."""
        return self.task

    @property
    def settings(self) -> list[dict[str, Any]]:
        """What it is tested at: each acceleration; a mixture also at each roughness and noise of the map."""
        return [{"acceleration": R} for R in self.accelerations]

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        """Name of the network, one of `models.MODELS`, and its arguments."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Name of the result's file: brain-perp_l2-s03; what a trial changed stands before s."""
        parts = [self.comparison, self.label]
        if self.evaluate_on == "validation":
            parts += ["trial", f"lr{self.learning_rate:g}", f"w{self.weight:g}", *self._changes()]
        if self.data != "generated":
            parts += [self.data, *(f"test_{subject}" for subject in self.test_subjects)]
        # Subjects come from files' contents, and the name becomes a file's.
        return "-".join([*parts, f"s{self.seed:02d}"]).replace("/", "_")

    def _changes(self) -> list[str]:
        """Return what an ablation changed, as parts of the name."""
        ablated = [f for f in fields(self) if f.name in ("shared", "roughness", "target_noise")]
        changed = [(f.name, value) for f in ablated if (value := getattr(self, f.name)) != f.default]
        return [f"{name}_{value}" for name, value in (*self.loss_options, *changed)]


@dataclass(frozen=True)
class ReconConfig(Config):
    """A reconstruction from several coils: an `UnrolledNet`, a `UNet` or, untrained, a classical method."""

    anatomy: str = "brain"  # or "abdomen", of the generated images
    method: str = "UnrolledNet"  # or "UNet", or one of CLASSICAL
    n_cascades: int = 3
    shared: bool = False  # one CNN for all cascades
    n_coils: int = 4
    roughness: float | tuple[float, float] | None = None  # SD in rad of the rough phase; None: as measured
    target_noise: float = 0.0  # SD in each part of the training targets

    @property
    def label(self) -> str:
        """The loss, after "unet_" of the second network; or the classical method."""
        if self.method not in ("UnrolledNet", "UNet"):
            return self.method
        return "unet_" * (self.method == "UNet") + self.loss

    @property
    def comparison(self) -> str:
        """The anatomy of generated images, or "mixture"; "recon" of measured ones."""
        anatomy = "mixture" if isinstance(self.roughness, tuple) else self.anatomy
        return anatomy if self.data == "generated" else self.task

    @property
    def settings(self) -> list[dict[str, Any]]:
        if self.comparison != "mixture":
            return super().settings
        grid = product(self.accelerations, MAP_ROUGHNESS, MAP_NOISE)
        return [{"acceleration": R, "roughness": rough, "noise": noise} for R, rough, noise in grid]

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        """An `UnrolledNet`, or a `UNet` of half as many channels."""
        if self.method == "UNet":
            return "UNet", {"chans": self.chans // 2, "num_pool_layers": 3}
        # λ moves by the rate at each step: the few of quick would leave it too small for noise of 2 %.
        start = {"weight": 0.2} if self.preset == "quick" and self.noise in (BRAIN_NOISE, MEASURED_NOISE) else {}
        return "UnrolledNet", {"n_cascades": self.n_cascades, "chans": self.chans, "shared": self.shared, **start}


@dataclass(frozen=True)
class RegistrationConfig(Config):
    """A registration: a `MotionNet` on two images; fields in pixels, `weight` at that scaling."""

    task: str = "registration"
    loss: str = "epe"
    steps: int = 1000
    batch_size: int = 2
    chans: int = 16
    sampling: str = "random"
    accelerations: tuple[int, ...] = (2, 4)
    noise: float = 0.02
    inputs: str = "magnitude"  # or "complex"
    levels: int = 4  # of the pyramid
    warmup: int = 0  # first steps, trained with the end-point error
    normal_flow: bool = True  # False: the network sees the two images only ("plain")
    sliding: bool = False

    @property
    def label(self) -> str:
        """The loss, after "cold_" without warm-up and "plain_" without normal flow."""
        cold = self.loss != "epe" and self.warmup == 0  # a warm-up of EPE with EPE is none
        return "cold_" * cold + "plain_" * (not self.normal_flow) + self.loss

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        in_channels = 1 if self.inputs == "magnitude" else 2
        arguments = {"in_channels": in_channels, "chans": self.chans, "levels": self.levels}
        return "MotionNet", {**arguments, "normal_flow": self.normal_flow}


def from_dict(values: dict[str, Any]) -> ReconConfig | RegistrationConfig:
    """Make a configuration of its fields; inverse of `dataclasses.asdict`, also after JSON."""
    cls = RegistrationConfig if values.get("task") == "registration" else ReconConfig
    unknown = set(values) ^ {f.name for f in fields(cls)}
    require(not unknown, f"configuration: unexpected or missing fields {sorted(unknown)}")
    lists = {k: tuple(values[k]) for k in ("accelerations", "test_subjects")}
    lists |= {k: tuple(map(tuple, values[k])) for k in ("loss_options", "reader_options")}
    lists |= {k: tuple(values[k]) for k in ("noise", "roughness") if isinstance(values.get(k), list)}
    return cls(**{**values, **lists})


AnyConfig = TypeVar("AnyConfig", ReconConfig, RegistrationConfig)

_SMOKE: dict[str, Any] = {"size": 32, "chans": 8, "batch_size": 2, "n_validation": 2, "n_test": 4}
_QUICK: dict[str, Any] = {"batch_size": 2, "validate_every": 40, "n_validation": 8, "n_test": 16}
_PAPER: dict[str, Any] = {"size": 192, "steps": 2000, "validate_every": 200}
RECON: dict[str, ReconConfig] = {
    "smoke": ReconConfig(preset="smoke", steps=20, validate_every=10, n_cascades=2, n_coils=2, **_SMOKE),
    "quick": ReconConfig(preset="quick", steps=280, **_QUICK),
    "full": ReconConfig(preset="full"),
    "paper": ReconConfig(preset="paper", chans=64, n_cascades=5, n_coils=8, **_PAPER),
}
REGISTRATION: dict[str, RegistrationConfig] = {
    "smoke": RegistrationConfig(preset="smoke", steps=12, validate_every=6, levels=3, **_SMOKE),
    "quick": RegistrationConfig(preset="quick", size=48, steps=200, **_QUICK),
    "full": RegistrationConfig(preset="full"),
    "paper": RegistrationConfig(preset="paper", levels=5, chans=48, **_PAPER),
}
"""Presets: smoke (tests), quick (a laptop, one seed), full (what is committed), paper (a GPU)."""

SEEDS = {"smoke": 1, "quick": 1, "full": 4, "paper": 5}

WEIGHTS = {"recon": {"perp_l1": 100.0, "perp_l2": 100.0}, "registration": {"perp_l1": 1.0, "perp_l2": 1.0}}
"""w by trials: the smallest whose validation SSIM is within 0.002 of the best in both settings (notebook 08)."""

MIXTURE: dict[str, Any] = {
    "anatomy": "abdomen", "accelerations": (2, 4, 8, 16), "roughness": (0.0, 1.0), "noise": (0.0, 0.04),
}  # fmt: skip
MAP_ROUGHNESS, MAP_NOISE = (0.1, 0.3, 0.5, 0.8), (0.005, 0.01, 0.03)
"""What networks of notebook 11 are trained on, and where they are tested; roughness in rad."""

MEASURED_NOISE, MEASURED_SEEDS = 0.02, 2
"""Of measured images: more noise (with less, wavelets win at R = 4 between A and C), seeds at preset full."""

BRAIN_NOISE, BRAIN_TRAINING = 0.02, {"full": {"steps": 1600, "batch_size": 2}}
"""Of generated brains: with the noise of abdomens, ℓ2 and wavelets tie at R = 4 (validation); what a preset changes."""

WARMUP = 0.4  # share of the steps that warm starts of a registration spend on the end-point error


def recon_configs(preset: str = "quick", anatomies: Iterable[str] = ANATOMIES, **changes: Any) -> list[ReconConfig]:
    """List the comparison of notebooks 04 and 05: all losses and seeds, the U-Net and the classical methods.

    `changes` are fields to change in all; measured `data` have one anatomy, and twice the noise.
    """
    check_choice("preset", preset, RECON)
    base = replace(RECON[preset], **changes)
    if base.data != "generated" and "noise" not in changes:
        base = replace(base, noise=MEASURED_NOISE)
    found = []
    for anatomy in anatomies if base.data == "generated" else [*anatomies][-1:]:
        own: dict[str, Any] = {"anatomy": anatomy}
        if anatomy == "brain" and base.data == "generated":
            own |= {"noise": BRAIN_NOISE, **BRAIN_TRAINING.get(preset, {})}
        there = replace(base, **{**own, **changes})
        unet = replace(there, method="UNet", steps=2 * there.steps, learning_rate=there.learning_rate / 2)
        for seed in range(SEEDS[preset]):
            found += [weighted(replace(there, seed=seed, loss=loss)) for loss in RECON_LOSSES]
            found += [weighted(replace(unet, seed=seed, loss=loss)) for loss in UNET_LOSSES]
        found += [replace(there, method=method) for method in CLASSICAL]
    return found


def registration_configs(preset: str = "quick", **changes: Any) -> list[RegistrationConfig]:
    """List the comparison of notebooks 06 and 07: each loss, cold and warmed up by EPE, with normal flow and plain."""
    check_choice("preset", preset, REGISTRATION)
    base = replace(REGISTRATION[preset], **changes)
    found = []
    for seed, normal_flow, loss in product(range(SEEDS[preset]), (True, False), REGISTRATION_LOSSES):
        for warmup in dict.fromkeys((0, 0 if loss == "epe" else int(WARMUP * base.steps))):
            found.append(weighted(replace(base, seed=seed, normal_flow=normal_flow, loss=loss, warmup=warmup)))
    return found


def mixture_configs(preset: str = "quick") -> list[ReconConfig]:
    """List the networks of notebook 11: each loss, trained on a mixture of accelerations, phase roughness and noise."""
    base = replace(RECON[preset], n_test=max(RECON[preset].n_test // 4, 1), **MIXTURE)
    seeds_and_losses = product(range(SEEDS[preset]), RECON_LOSSES)
    return [weighted(replace(base, seed=seed, loss=loss)) for seed, loss in seeds_and_losses]


COMPARISONS: dict[str, Callable[..., Sequence[ReconConfig] | Sequence[RegistrationConfig]]] = {
    "recon": recon_configs, "mixture": mixture_configs, "registration": registration_configs,
}  # fmt: skip


def weighted(config: AnyConfig) -> AnyConfig:
    """Fill in the w of `WEIGHTS`."""
    return replace(config, weight=WEIGHTS[config.task].get(config.loss, 1.0))
