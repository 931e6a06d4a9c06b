"""The one training loop, for both tasks."""

from __future__ import annotations

import io
import math
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, distributed, nn
from tqdm import tqdm

from perpcore.experiments.configs import Run
from perpcore.files import seal, unseal, write_atomically

CHECK_EVERY = 25


class Batch(Protocol):
    """What a step needs: the network's arguments and the target."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """Arguments of the network."""

    @property
    def target(self) -> Tensor:
        """What the loss compares with."""


class NonFiniteLossError(RuntimeError):
    """Training stopped because the loss became infinite or not a number."""


def pick_device(name: str = "auto") -> torch.device:
    """The named device; "auto" is CUDA, else MPS, else the CPU."""
    if name != "auto":
        try:
            return torch.zeros(1, device=name).device
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device: {name!r} cannot be used here ({error})") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def learning_rate(run: Run, step: int) -> float:
    """Linear rise over the first 5 % of the steps, then half a cosine to zero."""
    rise = max(run.steps // 20, 1)
    progress = max(step - rise, 0) / max(run.steps - rise, 1)
    return run.learning_rate * min((step + 1) / rise, 1) * 0.5 * (1 + math.cos(math.pi * progress))


def fit(
    run: Run,
    model: nn.Module,
    loss: nn.Module,
    draw: Callable[[int], Batch],
    validate: Callable[[nn.Module], dict[str, float]],
    *,
    checkpoint: Path | None = None,
    progress: bool = True,
    main_metric: str | None = None,
    warmup: tuple[int, nn.Module] | None = None,
) -> dict[str, list[float]]:
    """Train `model` in place for `run.steps` steps with AdamW.

    Batches depend on the step alone and the loop draws no random numbers, so a run that was
    killed and continues from its checkpoint ends with the same weights on the same CPU.

    Under torchrun (an initialised process group) each process takes its share of every batch and
    gradients are averaged; the result is that of one process up to rounding. The first process
    writes the checkpoints.

    Parameters
    ----------
    draw : callable
        Step → batch, on the model's device.
    validate : callable
        Model → metrics; called every `run.validate_every` steps and at the end.
    checkpoint : Path, optional
        File to continue from and to write at every validation; the one before is kept beside it
        and used where the last is damaged.
    warmup : (int, Module), optional
        Number of first steps that are trained with another loss, and that loss.
    progress : bool
        Show a bar with loss, `main_metric`, time left and memory.

    Returns
    -------
    dict
        Columns "step", "loss" (mean since the last row) and one per validation metric.

    Raises
    ------
    NonFiniteLossError
        Naming the step and the last good checkpoint.
    """
    rank, world = processes()
    if run.batch % world:
        raise ValueError(f"batch: expected a multiple of {world} processes, got {run.batch}")
    parameters = [*model.parameters(), *loss.parameters()]
    device = parameters[0].device
    optimizer = torch.optim.AdamW(parameters, lr=run.learning_rate, fused=device.type != "mps")
    parts = {"model": model, "loss": loss, "optimizer": optimizer}
    start, history = _load_checkpoint(checkpoint, run, parts)
    objective: nn.Module = Objective(model, loss, warmup[1] if warmup else loss)
    if world > 1:
        objective = nn.parallel.DistributedDataParallel(objective)
    losses = torch.zeros(run.steps, device=device)
    since = start
    bar = tqdm(
        total=run.steps, initial=start, desc=run.loss, disable=not progress or rank > 0,
        file=sys.stdout, mininterval=1, ncols=100,
    )  # fmt: skip
    with bar:
        for step in range(start, run.steps):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(run, step)
            batch = share(draw(step), rank, world)
            warm = warmup is not None and step < warmup[0]
            value = objective(batch.inputs, batch.target, warm)
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            losses[step] = value.detach()
            bar.update()
            done = step + 1
            validating = done % run.validate_every == 0 or done == run.steps
            # Reading the loss waits for the device, so not at every step.
            if validating or done % CHECK_EVERY == 0:
                _require_finite(losses[since:done], since, checkpoint)
            if validating:
                model.eval()
                with torch.no_grad():
                    metrics = validate(model)
                model.train()
                row = {"step": float(done), "loss": losses[since:done].mean().item(), **metrics}
                for name, entry in row.items():
                    history.setdefault(name, []).append(entry)
                since = done
                shown = {"loss": f"{row['loss']:.4f}", "memory": f"{peak_memory(device):.1f} GB"}
                if main_metric:
                    shown[main_metric] = f"{row[main_metric]:.3f}"
                bar.set_postfix(shown, refresh=False)
                if checkpoint is not None and rank == 0:
                    _save_checkpoint(checkpoint, run, done, parts, history)
    model.eval()
    return history


class Objective(nn.Module):
    """Loss of a network's answer, as one module, so that its replicas share all gradients."""

    def __init__(self, model: nn.Module, loss: nn.Module, first: nn.Module) -> None:
        super().__init__()
        self.model, self.loss, self.first = model, loss, first

    def forward(self, inputs: tuple[Tensor, ...], target: Tensor, warm: bool) -> Tensor:
        """The warm-up's loss where `warm`."""
        value: Tensor = (self.first if warm else self.loss)(self.model(*inputs), target)
        return value


def processes() -> tuple[int, int]:
    """Rank of this process and number of processes; joins torchrun's group where there is one."""
    if "TORCHELASTIC_RUN_ID" in os.environ and not distributed.is_initialized():
        distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def share(batch: Any, rank: int, world: int) -> Any:
    """Every `world`-th sample of a batch (a named tuple of tensors)."""
    return batch if world == 1 else type(batch)(*(part[rank::world] for part in batch))


def peak_memory(device: torch.device) -> float:
    """Highest memory use so far in GB: of the device, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e9


def _require_finite(losses: Tensor, first: int, checkpoint: Path | None) -> None:
    finite = torch.isfinite(losses)
    if finite.all():
        return
    step = first + int((~finite).nonzero()[0])
    saved = checkpoint is not None and checkpoint.exists()
    raise NonFiniteLossError(
        f"the loss became {losses[step - first].item()} at step {step}; last good checkpoint: "
        f"{checkpoint if saved else 'none was written yet'}"
    )


def _previous(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".previous.pt")


def _save_checkpoint(
    path: Path, run: Run, step: int, parts: dict[str, Any], history: dict[str, list[float]]
) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    buffer = io.BytesIO()
    torch.save({"run": run.key, "step": step, "history": history, **state}, buffer)
    payload = buffer.getvalue()
    if path.exists():
        os.replace(path, _previous(path))
    write_atomically(path, seal(payload))


def _load_checkpoint(
    path: Path | None, run: Run, parts: dict[str, Any]
) -> tuple[int, dict[str, list[float]]]:
    """Step and history of the newest whole checkpoint of this run, else a fresh start."""
    for candidate in (path, _previous(path)) if path is not None else ():
        if not candidate.exists():
            continue
        payload = unseal(candidate.read_bytes())
        if payload is None:
            print(f"{candidate}: damaged checkpoint, not used", file=sys.stderr)
            continue
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        if state["run"] != run.key:
            print(f"{candidate}: checkpoint of another run or code, not used", file=sys.stderr)
            continue
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return int(state["step"]), state["history"]
    return 0, {}
