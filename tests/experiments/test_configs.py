"""Runs: hashable names of results."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from perpcore.experiments.configs import MotionRun, Run
from perpcore.grid import PRESETS, all_runs, recon_runs


def test_every_field_changes_the_key() -> None:
    run = Run()
    changed = {
        "loss": "l1", "weight": 2.0, "size": 64, "sampling": "random",
        "accelerations": (4,), "noise": 0.1, "width": 8, "depth": 2, "steps": 10, "batch": 2,
        "learning_rate": 1.0, "validate_every": 7, "n_validation": 3, "n_test": 5, "seed": 9,
        "loss_options": (("eps", 0.1),), "loss_scale": 10.0, "target_noise": 0.1,
        "rough_phase": 0.5, "inputs": "magnitude", "evaluate_on": "validation",
        "test_subjects": ("b",),
    }  # fmt: skip
    assert set(changed) == {f.name for f in fields(Run)} - {
        "task",
        "data",
        "source",
        "preset",
        "coils",
        "cascades",
    }
    keys = {replace(run, **{name: value}).key for name, value in changed.items()} | {run.key}
    keys |= {
        Run(coils=2, cascades=1).key,
        Run(coils=3, cascades=1).key,
        Run(coils=2, cascades=2).key,
    }
    assert len(keys) == len(changed) + 4


def test_presets_share_their_runs() -> None:
    run = Run()
    assert replace(run, preset="cpu") == run and replace(run, preset="cpu").key == run.key
    assert set(all_runs("quick")) < set(all_runs("cpu"))


def test_later_fields_leave_the_keys_of_older_runs_alone() -> None:
    identity = json.loads(Run().to_json())
    assert not {"test_subjects", "coils", "cascades", "source", "preset"} & set(identity)
    run = Run(coils=4, cascades=2)
    assert Run.from_json(run.to_json()) == run


def test_json_gives_the_same_run_back() -> None:
    for preset in PRESETS:
        for run in all_runs(preset):
            assert Run.from_json(run.to_json()) == run
    with pytest.raises(ValueError, match="colour"):
        Run.from_json('{"colour": 1}')


def test_a_comparison_differs_in_the_loss_only() -> None:
    runs = recon_runs("quick", seed=3)
    same = {"loss": "l2", "weight": 1.0, "learning_rate": 1.0}  # the tuned values go with the loss
    assert len({replace(run, **same) for run in runs}) == 1
    assert {run.seed for run in runs} == {3}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "cook"),
        ("data", "other"),
        ("loss", "l7"),
        ("sampling", "spiral"),
        ("steps", 0),
        ("learning_rate", 0),
        ("loss_scale", 0.0),
        ("target_noise", -1.0),
        ("inputs", "colour"),
        ("evaluate_on", "train"),
    ],
)
def test_impossible_values_are_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        Run(**{name: value})
    with pytest.raises(ValueError, match="preset"):
        recon_runs("huge")


def test_changes_of_the_images_are_for_reconstruction() -> None:
    with pytest.raises(ValueError, match="rough_phase: .*registration"):
        MotionRun(rough_phase=0.5)


def test_registration_runs() -> None:
    base = MotionRun()
    assert Run.from_json(base.to_json()) == base and base.key != Run().key
    changed = (
        {"warmup": 1}, {"inputs": "complex"}, {"sliding": True}, {"loss": "perp_l2"},
    )  # fmt: skip
    assert len({replace(base, **c).key for c in changed} | {base.key}) == 5
    with pytest.raises(ValueError, match="warmup"):
        replace(base, warmup=base.steps + 1)
    with pytest.raises(ValueError, match="inputs"):
        replace(base, inputs="phase")
