"""Shapes and dtypes in the signatures hold where both tasks are trained and evaluated."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

ANNOTATED = (
    *(f"data.{name}" for name in ("kspace", "coils", "motion", "phantoms", "datasets", "measured")),
    "classical",
    "metrics",
    "models",
)
HOOK = f"""
    from jaxtyping import install_import_hook
    install_import_hook({[f"perpcore.{name}" for name in ANNOTATED]}, "typechecker.check")
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(HOOK) + textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent)


def test_training_and_evaluation_keep_the_annotated_shapes() -> None:
    done = run("""
        import os, tempfile
        from dataclasses import replace
        from importlib.util import find_spec
        import numpy as np
        import torch
        from perpcore.data import coils, motion, phantoms
        from perpcore.experiments.configs import COMPARISONS
        from perpcore.experiments.run import train
        os.chdir(tempfile.mkdtemp())
        for name in ("notebooks", "data"):
            os.mkdir(name)
        wanted = {f"abdomen-{label}-s00" for label in ("perp_l1", "perp_ssim", "unet_l2", "cg_sense", "filter")}
        wanted |= {f"registration-{label}-s00" for label in ("epe", "perp_l2", "cold_plain_l2")}
        if find_spec("sigpy"):
            wanted.add("abdomen-wavelet-s00")
        configs = {c.name: c for runs_of in COMPARISONS.values() for c in runs_of("smoke")}
        for name in wanted:
            train(replace(configs[name], steps=2, validate_every=1), "cpu", progress=False)
        maps = coils.simulate_csm(32, 3, np.random.default_rng(0))
        coils.walsh_csm(maps)
        field = motion.respiratory(range(2), 16, dims=3)
        motion.jacobian_determinant(field)
        motion.warp(torch.ones(2, 16, 16, 16) * 1j, field)
        if find_spec("nilearn"):
            phantoms.generate([3], 32, kind="brain", displacement=torch.zeros(1, 2, 32, 32))
        print("through")
    """)
    assert done.stdout == "through\n", done.stderr[-2000:]


def test_wrong_shapes_are_noticed() -> None:
    """Or the test above could not fail."""
    done = run("""
        import torch
        from perpcore.data.coils import sense_adjoint
        sense_adjoint(torch.ones(1, 3, 4, 4) * 1j, torch.ones(1, 2, 4, 4) * 1j)
    """)
    assert "jaxtyping.TypeCheckError" in done.stderr and "coil" in done.stderr
