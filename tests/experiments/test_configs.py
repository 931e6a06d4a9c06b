"""Configurations: readable names, one per result; fair comparisons."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from perpcore.experiments.configs import (
    RECON,
    RECON_LOSSES,
    SEEDS,
    TUNED,
    ReconConfig,
    from_dict,
    recon_configs,
    registration_configs,
    unrolled_configs,
)
from perpcore.experiments.trials import all_configs


@pytest.mark.parametrize("preset", RECON)
def test_names_are_readable_and_each_is_of_one_configuration(preset: str) -> None:
    configs = all_configs(preset)
    assert len({c.name for c in configs}) == len(configs) == len(set(configs))
    names = [c.name for c in configs]
    assert {"recon-perp_l2-s00", "unrolled-ssim-s00", "registration-cold_plain_perp_l2-s00"} <= set(names)
    assert all(name.replace("-", "_").replace(".", "_").isidentifier() for name in names)


def test_names_of_measured_data_say_which() -> None:
    (first, *_) = recon_configs("smoke", data="abdomen-12ab", source="x", test_subjects=("A/B",))
    assert first.name == "recon-l1-abdomen-12ab-test_A_B-s00"
    assert first.noise == 0


def test_json_gives_the_same_configuration_back() -> None:
    for config in [*all_configs("smoke"), *recon_configs("smoke", reader_options=(("domain", "image"),))]:
        assert from_dict(json.loads(json.dumps(asdict(config)))) == config
    with pytest.raises(ValueError, match="colour"):
        from_dict({"colour": 1})


def test_presets_share_their_runs() -> None:
    assert replace(ReconConfig(), preset="full") == ReconConfig()
    assert set(all_configs("quick")) < set(all_configs("full"))


def test_a_comparison_differs_in_the_loss_only() -> None:
    for configs in (recon_configs("quick"), unrolled_configs("quick")):
        same = {"loss": "l2", "weight": 1.0, "learning_rate": 1.0}  # the tuned values go with the loss
        assert len({replace(c, **same) for c in configs}) == 1
        assert [c.loss for c in configs] == list(RECON_LOSSES)
    assert len(recon_configs("full")) == SEEDS["full"] * len(RECON_LOSSES)
    assert len({c.seed for c in recon_configs("full", data="measured")}) == 4


def test_comparisons_use_the_tuned_values() -> None:
    used = {(c.task, c.loss): (c.learning_rate, c.weight) for c in [*recon_configs(), *registration_configs()]}
    assert used == {(task, loss): v for task, t in TUNED.items() for loss, v in t.items()}


def test_registrations_get_the_same_steps_and_a_warm_up_only_where_named() -> None:
    configs = registration_configs("quick")
    assert [c.label for c in configs] == [
        "epe", "l2", "perp_l1", "perp_l2", "plain_l2", *["cold_plain_perp_l2"] * 3,
    ]  # fmt: skip
    assert len({c.steps for c in configs}) == 1
    assert [c.warmup for c in configs] == [0, 0, 240, 240, 0, 0, 0, 0]


@pytest.mark.parametrize("name", ["loss", "sampling", "inputs", "evaluate_on"])
def test_unknown_names_are_said(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected .*, got 'nonsense'"):
        ReconConfig(**{name: "nonsense"})
    with pytest.raises(ValueError, match="preset: expected one of smoke, quick, full, paper"):
        registration_configs("huge")
