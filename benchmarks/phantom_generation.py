"""Generated images per second, against matrix size and batch; and whole training batches.

python benchmarks/phantom_generation.py [--device cuda]
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

from side_by_side import machine, measure, spread, table

from perpcore.data.phantoms import _draw, generate
from perpcore.experiments import make_task
from perpcore.grid import motion_runs, recon_runs, unrolled_runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = parser.parse_args().device
    print(f"{machine(device)}\n")
    cases = {}
    for size in (64, 96, 192, 320):
        for batch in (1, 4, 16):

            def draw(size: int = size, batch: int = batch) -> None:
                _draw.cache_clear()
                generate(range(batch), size, device=device)

            cases[size, batch] = draw
    seconds = measure(cases, 12, 2, device)  # type: ignore[arg-type]
    rows = [
        [f"{size}²", batch, spread([t / batch for t in v]), f"{batch / statistics.median(v):.0f}"]
        for (size, batch), v in seconds.items()  # type: ignore[misc]
    ]
    table(["size", "batch", "ms per image, median (quartiles)", "images/s"], rows)
    samples = {"reconstruction": recon_runs, "4 coils": unrolled_runs, "registration": motion_runs}
    drawn = {}
    for name, runs in samples.items():
        run = replace(runs("quick")[0])
        data, steps = make_task(run, device).data, iter(range(10**6))
        drawn[f"{name}, {run.size}², batch of {run.batch}"] = lambda data=data, steps=steps: (
            data.training_batch(next(steps))
        )
    seconds = measure(drawn, 20, 2, device)
    table(["training batch at `quick`", "ms, median (quartiles)"], [[n, spread(v)] for n, v in seconds.items()])  # fmt: skip


if __name__ == "__main__":
    main()
