"""Where the time of a training step goes: drawing the batch, and the network.

python benchmarks/training_step.py [--preset quick] [--device cpu] [--threads 2]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from side_by_side import machine, spread, table, wait

from perpcore.data.datasets import PhantomRecon
from perpcore.experiments import build_loss, build_model
from perpcore.grid import recon_runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=60)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    runs = recon_runs(args.preset)
    data = PhantomRecon(runs[0], device)
    steppers = {}
    for run in runs[:6]:
        model, loss = build_model(run).to(device), build_loss(run).to(device)
        steppers[run.loss] = (model, loss, torch.optim.AdamW(model.parameters(), fused=True))
    times: dict[str, list[float]] = {name: [] for name in ("draw", *steppers)}

    def now() -> float:
        wait(args.device)
        return time.perf_counter()

    for repeat in range(args.repeats + 3):
        begin = now()
        batch = data.training_batch(repeat)
        stamps = {"draw": now() - begin}
        for name, (model, loss, optimizer) in steppers.items():
            begin = now()
            optimizer.zero_grad()
            loss(model(*batch.inputs), batch.target).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            stamps[name] = now() - begin
        if repeat >= 3:
            for name, seconds in stamps.items():
                times[name].append(seconds * 1e3)
    print(
        f"{machine(args.device)}; preset {args.preset}: {runs[0].size}², batch {runs[0].batch}.\n"
    )
    draw = statistics.median(times["draw"])
    rows = []
    for name, values in times.items():
        share = "" if name == "draw" else f"{draw / (draw + statistics.median(values)):.1%}"
        rows.append([name, spread(values, 1, 1), share])
    table(["part", "ms, median (quartiles)", "share of drawing in a step"], rows)


if __name__ == "__main__":
    main()
