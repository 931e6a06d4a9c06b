"""Shapes and dtypes in the signatures hold where both tasks are trained and evaluated."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ANNOTATED = ("kspace", "coils", "motion", "phantoms", "metrics", "models", "datasets")
HOOK = f"""
    from jaxtyping import install_import_hook
    install_import_hook({[f"perpcore.{name}" for name in ANNOTATED]}, "typechecker.check")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        textwrap.dedent(HOOK) + textwrap.dedent(script),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)


def test_training_and_evaluation_keep_the_annotated_shapes() -> None:
    done = run("""
        import tempfile
        from dataclasses import replace
        from pathlib import Path
        import torch
        from perpcore import coils, experiments, grid, motion, phantoms
        from perpcore.experiments.results import Store
        losses = {"l2", "perp_l1", "perp_ssim", "epe"}
        wanted = [*grid.recon_runs("smoke"), *grid.unrolled_runs("smoke"), *grid.motion_runs("smoke")]
        with tempfile.TemporaryDirectory() as folder:
            for run in wanted:
                if run.loss in losses:
                    run = replace(run, steps=2, validate_every=1, warmup=0) if run.task != "recon" \\
                        else replace(run, steps=2, validate_every=1)
                    experiments.train(run, Store(Path(folder)), "cpu", progress=False)
        maps = coils.simulate_csm(32, 3, __import__("numpy").random.default_rng(0))
        coils.walsh_csm(maps, 16)
        field = motion.respiratory(range(2), 16, dims=3)
        motion.inverse(field)
        motion.jacobian_determinant(field)
        motion.warp(torch.ones(2, 16, 16, 16) * 1j, field)
        phantoms.phase_statistics(phantoms.generate([3], 32).image[0])
        print("through")
    """)
    assert done.stdout == "through\n", done.stderr[-2000:]


def test_wrong_shapes_are_noticed() -> None:
    """Or the test above could not fail."""
    done = run("""
        import torch
        from perpcore.data.coils import adjoint
        sense_adjoint(torch.ones(1, 3, 4, 4) * 1j, torch.ones(1, 2, 4, 4) * 1j)
    """)
    assert "jaxtyping.TypeCheckError" in done.stderr and "coil" in done.stderr
