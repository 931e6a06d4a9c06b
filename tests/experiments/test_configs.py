"""Configurations: readable names, one per result; fair comparisons."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace

import pytest

from perpcore.experiments.configs import (
    ANATOMIES,
    CLASSICAL,
    MEASURED_NOISE,
    RECON,
    RECON_LOSSES,
    REGISTRATION_LOSSES,
    SEEDS,
    UNET_LOSSES,
    WARMUP,
    WEIGHTS,
    ReconConfig,
    RegistrationConfig,
    from_dict,
    mixture_configs,
    recon_configs,
    registration_configs,
)
from perpcore.experiments.trials import all_configs
from perpcore.models import MODELS, parameter_count


@pytest.mark.parametrize("preset", RECON)
def test_names_are_readable_and_each_is_of_one_configuration(preset: str) -> None:
    configs = all_configs(preset)
    assert len({c.name for c in configs}) == len(configs) == len(set(configs))
    names = [c.name for c in configs]
    assert {"brain-perp_l2-s00", "abdomen-unet_l2-s00", "brain-wavelet-s00"} <= set(names)
    assert {"registration-cold_plain_perp_l2-s00", "registration-perp_l2-s00"} <= set(names)
    assert all(name.replace("-", "_").replace(".", "_").isidentifier() for name in names)


def test_names_of_measured_data_say_which() -> None:
    configs = recon_configs("smoke", data="scans-12ab", source="x", test_subjects=("A/B",))
    assert configs[0].name == "recon-l1-scans-12ab-test_A_B-s00"
    assert {c.comparison for c in configs} == {"recon"}
    assert {c.noise for c in configs} == {MEASURED_NOISE}
    assert len({c.name for c in configs}) == len(configs) == len(recon_configs("smoke", ("brain",)))


def test_json_gives_the_same_configuration_back() -> None:
    for config in [*all_configs("smoke"), *recon_configs("smoke", reader_options=(("domain", "image"),))]:
        assert from_dict(json.loads(json.dumps(asdict(config)))) == config
    with pytest.raises(ValueError, match="colour"):
        from_dict({"colour": 1})


def test_a_mixture_is_tested_once_at_each_setting_within_its_ranges() -> None:
    configs = mixture_configs("full")
    assert {c.comparison for c in configs} == {"mixture"}
    assert len({replace(c, loss="l2", weight=1.0, seed=0) for c in configs}) == 1
    settings = [tuple(s.values()) for s in configs[0].settings]
    assert len(set(settings)) == len(settings) == 4 * 4 * 3
    for acceleration, roughness, noise in settings:
        assert acceleration in configs[0].accelerations
        assert configs[0].roughness[0] <= roughness <= configs[0].roughness[1]
        assert configs[0].noise[0] <= noise <= configs[0].noise[1]


def test_presets_share_their_runs() -> None:
    assert replace(ReconConfig(), preset="full") == ReconConfig()
    assert replace(RegistrationConfig(), preset="full") == RegistrationConfig()


@pytest.mark.parametrize("preset", ["quick", "full"])
def test_every_setting_has_the_same_rows_and_they_differ_in_nothing_else(preset: str) -> None:
    configs = recon_configs(preset)
    for anatomy in ANATOMIES:
        here = [c for c in configs if c.anatomy == anatomy]
        same = {"loss": "l2", "weight": 1.0, "method": "UnrolledNet", "seed": 0}
        of_kind = {kind: {replace(c, **same) for c in here if (c.method == "UNet") == kind} for kind in (False, True)}
        (one,), (unet,) = of_kind.values()
        assert unet == replace(one, steps=2 * one.steps, learning_rate=one.learning_rate / 2)
        trained = Counter(c.label for c in here if c.label not in CLASSICAL)
        wanted = [*RECON_LOSSES, *(f"unet_{loss}" for loss in UNET_LOSSES)]
        assert trained == dict.fromkeys(wanted, SEEDS[preset])
        assert [c.label for c in here if c.label in CLASSICAL] == list(CLASSICAL), "nothing random in them"
        assert here == recon_configs(preset, (anatomy,))
        assert {c.comparison for c in here} == {anatomy}
    assert len(configs) == 2 * len(here)


def test_comparisons_use_the_weights_that_trials_chose() -> None:
    for config in [*recon_configs(), *registration_configs()]:
        assert config.weight == WEIGHTS[config.task].get(config.loss, 1.0)
    assert {config.weight for config in recon_configs()} > {1.0}


def test_every_loss_is_registered_cold_and_warm_with_and_without_normal_flow() -> None:
    configs = registration_configs("quick")
    labels = [prefix + loss for prefix in ("cold_", "") for loss in REGISTRATION_LOSSES if prefix + loss != "cold_epe"]
    plain = [f"{'cold_' * ('cold' in label)}plain_{label.removeprefix('cold_')}" for label in labels]
    assert sorted(c.label for c in configs) == sorted([*labels, *plain])
    assert len(registration_configs("full")) == SEEDS["full"] * 14
    same = {"loss": "epe", "weight": 1.0, "warmup": 0, "normal_flow": True}
    assert len({replace(c, **same) for c in configs}) == 1
    for config in configs:
        warm = config.loss != "epe" and "cold" not in config.label
        assert config.warmup == (WARMUP * config.steps if warm else 0)
        assert config.normal_flow == ("plain" not in config.label)


@pytest.mark.parametrize("preset", ["smoke", "full"])
def test_networks_can_be_built_and_both_are_small(preset: str) -> None:
    for config in (*recon_configs(preset), *registration_configs(preset)):
        if config.label not in CLASSICAL:
            name, arguments = config.network
            assert parameter_count(MODELS[name](**arguments)) < 300_000
    own, shared = (replace(RECON[preset], shared=shared).network[1] for shared in (False, True))
    assert own != shared


def test_quick_begins_with_a_larger_data_consistency_weight_where_noise_is_of_2_percent() -> None:
    def start(preset: str, anatomy: str) -> float:
        name, arguments = recon_configs(preset, (anatomy,))[0].network
        return MODELS[name](**arguments).log_weight.exp().max().item()

    found = [start(*of) for of in (("quick", "brain"), ("quick", "abdomen"), ("full", "brain"))]
    assert found == pytest.approx([0.2, 0.02, 0.02])


@pytest.mark.parametrize("name", ["loss", "sampling", "evaluate_on", "anatomy"])
def test_unknown_names_are_said(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}: expected .*, got 'nonsense'"):
        ReconConfig(**{name: "nonsense"})


def test_unknown_inputs_and_presets_are_said() -> None:
    with pytest.raises(ValueError, match="inputs: expected one of complex, magnitude, got 'nonsense'"):
        RegistrationConfig(inputs="nonsense")
    with pytest.raises(ValueError, match="preset: expected one of smoke, quick, full, paper"):
        registration_configs("huge")
