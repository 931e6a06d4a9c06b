"""What the training runs that come with the project cost: seconds, images per second, memory.

    python benchmarks/preset_cost.py [--preset cpu]

Read from the provenance of the shipped results; trials and ablations ship without it.
"""

from __future__ import annotations

import argparse

from side_by_side import spread, table

from perpcore.experiments.results import Result, read_result, shipped_path
from perpcore.grid import motion_runs, recon_runs, unrolled_runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="cpu")
    preset = parser.parse_args().preset
    rows, made, total = [], set(), 0.0
    for name, runs in (
        ("U-Net, one coil", recon_runs(preset)),
        ("unrolled, several coils", unrolled_runs(preset)),
        ("registration", motion_runs(preset)),
    ):
        by_machine: dict[str, list[Result]] = {}
        for run in runs:
            result = read_result(shipped_path(run), run)
            by_machine.setdefault(result.provenance["machine"], []).append(result)
        for machine, results in by_machine.items():
            seconds = [r.provenance["seconds"] for r in results]
            rate = [r.run.steps * r.run.batch / r.provenance["seconds"] for r in results]
            memory = max(r.provenance["peak_memory_gb"] for r in results)
            rows.append(
                [name, machine, len(results), f"{runs[0].size}², {runs[0].steps} steps of {runs[0].batch}",
                 f"{results[0].provenance['parameters']:,}", spread(seconds, 1, 0),
                 spread(rate, 1, 1), f"{memory:.2f}", f"{sum(seconds) / 60:.0f}"]
            )  # fmt: skip
            total += sum(seconds)
            made |= {(machine, r.provenance["device"], r.provenance["threads"],
                      r.provenance["torch"], r.provenance["date"][:10]) for r in results}  # fmt: skip
    for machine, device, threads, version, date in sorted(made):
        print(f"{machine}, device {device}, {threads} thread(s) per run, torch {version}, {date}.")
    print()
    table(
        ["network", "machine", "runs", "size", "parameters", "s per run, median (quartiles)",
         "images or pairs per s", "peak GB", "min in all"], rows,
    )  # fmt: skip
    print(
        "Seconds include validation and test; so the images per second are those of the whole run. "
        f"Together {total / 3600:.1f} hours of one core."
    )


if __name__ == "__main__":
    main()
