"""One `Run` names everything that determines a result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from perpcore.data.kspace import MASKS
from perpcore.losses import LOSSES
from perpcore.sources import source_hash

FORMAT_VERSION = 2
"""Part of every name and key: raised when what a results file holds changes."""

TASKS = ("recon", "registration")
LATER = ("test_subjects", "coils", "cascades")
"""Fields that came after format 2 began."""
NO_IDENTITY = ("preset", "source")
"""Fields that do not change a result."""


def _short_hash(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Run:
    """A training run and its evaluation; hashable, and equal runs have equal results.

    Images are scaled so that the zero-filled image has maximum magnitude 1; `weight` is meant at
    that scaling. `noise` is the standard deviation of the noise in each of real and imaginary part
    of k-space, for images of maximum 1.

    The rest serves the ablations. `loss_options` are further arguments of the loss. The loss sees
    prediction and target multiplied by `loss_scale`. `target_noise` is the standard deviation of
    noise in each part of the training targets, `rough_phase` that (in rad) of a phase that is
    independent from pixel to pixel and belongs to the true images. With `inputs` "magnitude" the
    network does not see the phase. `evaluate_on` "validation" keeps the test images unseen.

    With several `coils` the sensitivities are generated, and given to the network; with `cascades`
    it is an unrolled network of so many.

    For measured images `data` is their fingerprint and `test_subjects` those kept for testing (see
    `readers.measured`). `source` says where the files lie and `preset` which comparison asked for
    the run; neither is part of its identity, so that presets share runs.
    """

    task: str = "recon"
    loss: str = "l2"
    weight: float = 1.0
    data: str = "phantom"
    size: int = 96
    sampling: str = "radial"
    accelerations: tuple[int, ...] = (4, 8)
    noise: float = 0.05
    width: int = 16
    depth: int = 3
    steps: int = 1200
    batch: int = 4
    learning_rate: float = 3e-3
    validate_every: int = 100
    n_validation: int = 16
    n_test: int = 64
    seed: int = 0
    preset: str = field(default="quick", compare=False)
    loss_options: tuple[tuple[str, float | bool | str], ...] = ()
    loss_scale: float = 1.0
    target_noise: float = 0.0
    rough_phase: float = 0.0
    inputs: str = "complex"
    evaluate_on: str = "test"
    test_subjects: tuple[str, ...] = ()
    coils: int = 1
    cascades: int = 0
    source: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        choices = {
            "task": TASKS, "loss": LOSSES, "sampling": MASKS, "inputs": ("complex", "magnitude"),
            "evaluate_on": ("test", "validation"),
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: expected {', '.join(known)}, got {getattr(self, name)!r}"
                )
        known_data = "coronal" if self.task == "registration" else "phantom"
        if self.data != known_data and not self.data.startswith("measured "):
            raise ValueError(f"data: expected {known_data!r} for {self.task}, got {self.data!r}")
        if self.coils < 1 or self.cascades < 0 or (self.coils > 1) != (self.cascades > 0):
            raise ValueError(
                f"coils, cascades: expected 1 and 0, or more coils and an unrolled network, "
                f"got {self.coils} and {self.cascades}"
            )
        for name in ("steps", "batch", "validate_every", "n_validation", "n_test", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**31:
            raise ValueError(f"seed: expected 0 … 2³¹ − 1, got {self.seed}")
        for name in ("learning_rate", "loss_scale"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}: expected a positive number, got {getattr(self, name)}")
        for name in ("target_noise", "rough_phase"):
            value = getattr(self, name)
            if value < 0 or (value and self.task == "registration"):
                raise ValueError(f"{name}: expected at least 0, 0 for registration, got {value}")

    @property
    def name(self) -> str:
        """Hash of all fields and of the format version: what shipped results are called."""
        return _short_hash([FORMAT_VERSION, self._identity()])

    @property
    def key(self) -> str:
        """Hash of the name and of the code: what the run store calls the result.

        After a change of the code that results depend on, none made before is found.
        """
        return _short_hash([self.name, source_hash(readers=self.data.startswith("measured "))])

    @property
    def label(self) -> str:
        """Name within its comparison."""
        return self.loss

    def _identity(self) -> dict[str, Any]:
        """What tells results apart; LATER fields at their default leave older keys alone."""
        defaults = {f.name: f.default for f in fields(self) if f.name in LATER}
        return {k: v for k, v in asdict(self).items()
                if k not in NO_IDENTITY and (k not in LATER or v != defaults[k])}  # fmt: skip

    def to_json(self) -> str:
        """All fields but NO_IDENTITY as JSON; `Run.from_json` is the inverse."""
        return json.dumps(self._identity(), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Run:
        """Raises ValueError where the text does not describe a run of this version."""
        values: dict[str, Any] = json.loads(text)
        cls = MotionRun if values.get("task") == "registration" else Run
        values = {f.name: f.default for f in fields(cls) if f.name in LATER} | values
        known = {f.name for f in fields(cls)}.difference(NO_IDENTITY)
        if set(values) != known:
            raise ValueError(f"run: unexpected or missing fields {sorted(set(values) ^ known)}")
        for name in ("accelerations", "test_subjects"):
            values[name] = tuple(values[name])
        values["loss_options"] = tuple((name, value) for name, value in values["loss_options"])
        return cls(**values)


@dataclass(frozen=True)
class MotionRun(Run):
    """A registration run; `depth` is the number of levels of the pyramid.

    Fields are in pixels, and `weight` is meant at that scaling. The first `warmup` of the `steps`
    are trained with the end-point error. `inputs` are "magnitude" or "complex" zero-filled images;
    without `flow` the network sees nothing else (see `models.MotionNet`); `sliding` makes the
    motion slide along the chest wall.
    """

    task: str = "registration"
    loss: str = "epe"
    data: str = "coronal"
    depth: int = 4
    steps: int = 600
    warmup: int = 0
    inputs: str = "magnitude"
    flow: bool = True
    sliding: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        super().__post_init__()
        if not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup: expected 0 … steps ({self.steps}), got {self.warmup}")

    @property
    def label(self) -> str:
        """The loss, after "cold_" and "plain_" where it is so."""
        cold = self.loss.startswith("perp") and self.warmup == 0
        return "cold_" * cold + "plain_" * (not self.flow) + self.loss
