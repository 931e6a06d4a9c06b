"""One `Run` names everything that determines a result."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from perpcore.kspace import MASKS
from perpcore.losses import LOSSES

FORMAT_VERSION = 1
"""Part of every key: raised whenever code changes what a run gives or how it is stored."""

TASKS = ("recon", "registration")


@dataclass(frozen=True)
class Run:
    """A training run and its evaluation; hashable, and equal runs have equal results.

    Images are scaled so that the zero-filled image has maximum magnitude 1; `weight` is meant at
    that scaling. `noise` is the standard deviation of the noise in each of real and imaginary part
    of k-space, for images of maximum 1.
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
    preset: str = "quick"

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        for name, known in (("task", TASKS), ("loss", LOSSES), ("sampling", MASKS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name}: expected {', '.join(known)}, got {getattr(self, name)!r}"
                )
        known_data = "coronal" if self.task == "registration" else "phantom"
        if self.data != known_data:
            raise ValueError(f"data: expected {known_data!r} for {self.task}, got {self.data!r}")
        for name in ("steps", "batch", "validate_every", "n_validation", "n_test", "width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: expected a positive number, got {self.learning_rate}")

    @property
    def key(self) -> str:
        """Hash of all fields and of the format version."""
        text = json.dumps([FORMAT_VERSION, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """All fields as JSON; `Run.from_json` is the inverse."""
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str) -> Run:
        """Raises ValueError where the text does not describe a run of this version."""
        values: dict[str, Any] = json.loads(text)
        cls = MotionRun if values.get("task") == "registration" else Run
        known = {f.name for f in fields(cls)}
        if set(values) != known:
            raise ValueError(f"run: unexpected or missing fields {sorted(set(values) ^ known)}")
        values["accelerations"] = tuple(values["accelerations"])
        return cls(**values)


@dataclass(frozen=True)
class MotionRun(Run):
    """A registration run; `depth` is the number of levels of the pyramid.

    Fields are in pixels, and `weight` is meant at that scaling. The first `warmup` of the `steps`
    are trained with the end-point error. `inputs` are "magnitude" or "complex" zero-filled images;
    `sliding` makes the motion slide along the chest wall.
    """

    task: str = "registration"
    loss: str = "epe"
    data: str = "coronal"
    accelerations: tuple[int, ...] = (4,)
    noise: float = 0.02
    depth: int = 4
    steps: int = 1400
    warmup: int = 0
    inputs: str = "magnitude"
    sliding: bool = False

    def __post_init__(self) -> None:
        """Refuse values that no run can have."""
        super().__post_init__()
        if not 0 <= self.warmup <= self.steps:
            raise ValueError(f"warmup: expected 0 … steps ({self.steps}), got {self.warmup}")
        if self.inputs not in ("magnitude", "complex"):
            raise ValueError(f"inputs: expected magnitude or complex, got {self.inputs!r}")
