"""A device, a learning-rate schedule, and the one training loop."""

import io
import math
import pickle
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from perpcore._checks import check_choice
from perpcore._files import write_atomically

CHECK_EVERY = 25  # steps; reading the loss waits for the device, so not at every step
CLIP_NORM = 1.0  # longest gradient of all parameters together

History = dict[str, list[float]]


def pick_device(name: str = "auto") -> torch.device:
    """Return the named device; "auto" is CUDA, else MPS, else the CPU."""
    if name != "auto":
        try:
            return torch.zeros(1, device=name).device
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"device: {name!r} cannot be used here ({error})") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def cosine_schedule(step: int, steps: int, peak: float) -> float:
    """Return the learning rate of a step: linear rise over 5 % of the steps, then half a cosine."""
    rise = max(steps // 20, 1)
    progress = max(step - rise, 0) / max(steps - rise, 1)
    return peak * min((step + 1) / rise, 1) * 0.5 * (1 + math.cos(math.pi * progress))


def fit(
    model: nn.Module, loss: nn.Module, draw: Callable[[int], Any], validate: Callable[[nn.Module], dict[str, float]],
    *, steps: int, learning_rate: float, validate_every: int = 100, warmup: tuple[int, nn.Module] | None = None,
    checkpoint: Path | None = None, identity: str = "", progress: str = "", precision: str = "float32",
) -> History:  # fmt: skip
    """Train `model` in place with AdamW.

    Batches depend on the step alone: a run that was killed and continues ends with the same weights, on the same CPU.
    `draw` takes a step and returns a batch with `inputs` (the network's arguments) and `target`, on the model's device.
    `validate` takes the model and returns metrics, every `validate_every` steps and at the end. `warmup` is a number of
    first steps to train with another loss, and that loss. `checkpoint` is a file to continue from, written at every
    validation; that of another `identity` is not used. `progress` is the name before the progress bar; no bar without.
    `precision` of convolutions in training: "float32" (on a GPU TF32) or "bfloat16"; the loss stays in float32.

    Returns columns "step", "loss" (mean since the last row) and one per validation metric. Raises FloatingPointError
    naming step and checkpoint, and ValueError naming a damaged checkpoint.
    """
    check_choice("precision", precision, ("float32", "bfloat16"))
    parameters = [*model.parameters(), *loss.parameters()]
    device = parameters[0].device
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, fused=device.type != "mps")
    parts: dict[str, Any] = {"model": model, "loss": loss, "optimizer": optimizer}
    start, history = _load_checkpoint(checkpoint, identity, parts)
    losses = torch.zeros(steps, device=device)
    since = start  # first step after the last validation
    look: dict[str, Any] = {"desc": progress, "file": sys.stdout, "mininterval": 1, "ncols": 100}
    bar = tqdm(range(start, steps), initial=start, total=steps, disable=not progress, **look)
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = cosine_schedule(step, steps, learning_rate)
        batch = draw(step)
        objective = warmup[1] if warmup is not None and step < warmup[0] else loss
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            pred = model(*batch.inputs)
        value = objective(pred, batch.target)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(parameters, CLIP_NORM)
        optimizer.step()
        losses[step] = value.detach()

        done = step + 1
        validating = done % validate_every == 0 or done == steps
        if validating or done % CHECK_EVERY == 0:
            bad = (~torch.isfinite(losses[since:done])).nonzero()
            if len(bad):
                at = since + int(bad[0])
                saved = checkpoint if checkpoint is not None and checkpoint.exists() else "none was written yet"
                raise FloatingPointError(f"the loss became {losses[at]} at step {at}; last good checkpoint: {saved}")
        if validating:
            model.eval()
            with torch.no_grad():
                metrics = validate(model)
            model.train()
            row = {"step": float(done), "loss": losses[since:done].mean().item(), **metrics}
            for name, entry in row.items():
                history.setdefault(name, []).append(entry)
            since = done
            bar.set_postfix({name: f"{entry:.3f}" for name, entry in list(row.items())[1:4]})
            if checkpoint is not None:
                state = {name: part.state_dict() for name, part in parts.items()}
                buffer = io.BytesIO()
                torch.save({"identity": identity, "step": done, "history": history, **state}, buffer)
                write_atomically(checkpoint, buffer.getvalue())
    model.eval()
    return history


def peak_memory(device: torch.device) -> float:
    """Return the highest memory use so far in GB: of the device, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def _load_checkpoint(path: Path | None, identity: str, parts: dict[str, Any]) -> tuple[int, History]:
    """Return step and history of the checkpoint, or a fresh start."""
    if path is None or not path.exists():
        return 0, {}
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["identity"] != identity:
            return 0, {}
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        said = f"damaged checkpoint ({type(error).__name__}); delete it to train from the first step"
        raise ValueError(f"{path}: {said}") from None
    return int(state["step"]), state["history"]
