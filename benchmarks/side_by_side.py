"""What the scripts share: timing of cases in turn, and tables as Markdown."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch


def measure(
    cases: dict[str, Callable[[], object]], repeats: int = 30, warmup: int = 3, device: str = "cpu"
) -> dict[str, list[float]]:
    """Seconds of each case; the cases take turns, so that all see the same moods of the machine."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for repeat in range(repeats + warmup):
        for name, case in cases.items():
            wait(device)
            began = time.perf_counter()
            case()
            wait(device)
            if repeat >= warmup:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def spread(values: Sequence[float], scale: float = 1e3, digits: int = 2) -> str:
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle * scale:.{digits}f} ({low * scale:.{digits}f} … {high * scale:.{digits}f})"


def extent(values: Sequence[float], digits: int) -> str:
    """Median and range: for few repeats."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} ({low:.{digits}f} … {high:.{digits}f})"


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """Median and quartiles of the quotients of neighbours in time."""
    return spread([a / b for a, b in zip(slow, fast, strict=True)], 1)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print(flush=True)


def machine(device: str = "cpu") -> str:
    """Processor or GPU, cores, threads, versions."""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = models[0] if models else name
    name = f"{name} ({torch.backends.cpu.get_cpu_capability()})"
    where = torch.cuda.get_device_name(device) if device.startswith("cuda") else name
    return (
        f"{where}, {os.cpu_count()} CPU cores, {torch.get_num_threads()} threads; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
