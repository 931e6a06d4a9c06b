"""Verdicts follow from the numbers of the figures, and the README says what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement import agreement
from committed import README_TABLE, markdown, readme_table

from perpcore import claims
from perpcore.experiments.configs import ANATOMIES, RECON
from perpcore.metrics import FIELD_METRICS, METRICS
from perpcore.statistics import holm, mean_test

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"
SEEDS, IMAGES = 4, 12


def same_numbers() -> dict[str, Any]:
    """Numbers of every source, in which no loss differs from another."""
    rng = np.random.default_rng(0)
    images = {metric: rng.normal(20, 1, (SEEDS, IMAGES)) for metric in METRICS}
    images["magnitude_bias"] -= 20
    losses = {loss: dict(images) for loss in ("l2", "ssim", "perp_l1", "perp_l2", "perp_ssim")}
    curve = {"psnr": np.tile([20.0, 21, 22, 23], (SEEDS, 1))}
    fields = {metric: rng.normal(size=(SEEDS, IMAGES)) for metric in FIELD_METRICS}
    return {
        "tab01_properties": {loss: {"symmetry index": 0.95} for loss in losses},
        "fig04_bias": {"spread": [0.5, 1.0], "trained": {"l2": {"phase": [0.9, 0.6]}}},
        "fig06_recon_metrics": {a: {r: {k: dict(v) for k, v in losses.items()} for r in claims.ACCELERATIONS}
                                for a in claims.SETTINGS},
        "fig08_recon_convergence": {a: {"step": [100, 200, 300, 400], **{k: dict(curve) for k in losses}}
                                    for a in claims.SETTINGS},
        "fig10_reg_metrics": {loss: dict(fields) for loss in ("epe", "perp_l2")},
        "fig11_reg_calibration": {"3D": {"perp_l2": [0.5, 0.99], "epe": [0.5, 0.7]}},
    }  # fmt: skip


def judged(folder: Path, numbers: dict[str, Any], preset: str = "full") -> dict[str, Any]:
    """Verdicts by claim, from files like those that the notebooks write."""
    for name, values in numbers.items():
        record = {"preset": preset if name[:5] in ("fig06", "fig08", "fig10") else "any", "numbers": values}
        (folder / f"{name}.json").write_text(json.dumps(record, default=np.ndarray.tolist))
    found = claims.judge(folder)
    assert found["preset"] == preset
    return {claim["claim"]: claim for claim in found["claims"]}


def shift(numbers: dict[str, Any], loss: str, metric: str, by: float, anatomies: Any = claims.SETTINGS) -> None:
    """Add to a loss, a little more to some seeds and images."""
    noise = 0.01 * by * np.random.default_rng(1).normal(size=(SEEDS, IMAGES))
    for anatomy in anatomies:
        for losses in numbers["fig06_recon_metrics"][anatomy].values():
            losses[loss][metric] = losses[loss][metric] + by + noise


def test_every_claim_has_a_rule_with_a_source() -> None:
    assert {rule.claim.split()[0] for rule in claims.RULES} == {f"C{k}" for k in range(1, 11)}
    for rule in claims.RULES:
        assert rule.checks and (FIGURES / f"{rule.source}.json").exists()
    assert claims.SETTINGS == ANATOMIES
    assert tuple(map(str, RECON["full"].accelerations)) == claims.ACCELERATIONS


@pytest.mark.parametrize(
    ("mean", "p", "side", "finding"),
    [
        (0.2, 0.01, ">", "holds"),
        (0.2, 0.01, "<", "fails"),
        (-0.2, 0.01, ">", "fails"),
        (-0.2, 0.01, "<", "holds"),
        (0.2, 0.05, ">", "open"),
        (-0.2, 0.06, "<", "open"),
    ],
)
def test_a_check_holds_or_fails_with_the_same_certainty(mean: float, p: float, side: str, finding: str) -> None:
    check = claims.Check("s", side, 0.0, lambda numbers: np.zeros((1, 1)))
    assert check.finding(mean, p) == finding


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        (["holds", "holds"], "reproduced"),
        (["holds", "fails"], "mixed"),
        (["holds", "fails", "open"], "mixed"),
        (["holds", "open"], "open"),
        (["open", "open"], "open"),
        (["fails", "open"], "not reproduced"),
        (["fails"], "not reproduced"),
    ],
)
def test_the_verdict_follows_from_the_findings(findings: list[str], verdict: str) -> None:
    assert claims.verdict_of(findings) == verdict


@pytest.mark.parametrize(
    ("brain", "abdomen", "verdict"),
    [(-1, -1, "reproduced"), (-1, 1, "mixed"), (-1, 0, "open"), (0, 0, "open"), (0, 1, "not reproduced")],
)
def test_verdicts_follow_the_numbers(tmp_path: Path, brain: float, abdomen: float, verdict: str) -> None:
    """C6: the phase error of ⊥+ℓ2 is smaller than that of SSIM training."""
    numbers = same_numbers()
    for anatomy, by in (("brain", brain), ("abdomen", abdomen)):
        if by:
            shift(numbers, "perp_l2", "phase_error", by, [anatomy])
    claim = judged(tmp_path, numbers)["C6"]
    assert claim["verdict"] == verdict and len(claim["checks"]) == 6
    words = {-1: "holds", 0: "open", 1: "fails"}
    assert [c["finding"] for c in claim["checks"]] == [words[brain]] * 3 + [words[abdomen]] * 3
    for check in claim["checks"]:
        assert np.mean(check["seeds"]) == pytest.approx(check["mean"]) and len(check["seeds"]) == SEEDS
        assert check["low"] <= check["mean"] <= check["high"]


def test_what_is_tested_of_each_claim(tmp_path: Path) -> None:
    numbers = same_numbers()
    found = judged(tmp_path, numbers)
    assert {name: claim["verdict"] for name, claim in found.items()} == {
        "C1": "not reproduced", "C2": "reproduced", "C2 in images": "open", "C3": "not reproduced",
        "C4": "open", "C5": "reproduced", "C6": "open", "C7": "open", "C8": "open", "C9": "reproduced",
        "C10": "open",
    }  # fmt: skip
    numbers["tab01_properties"] = {"l2": {"symmetry index": 0.6}} | {
        loss: {"symmetry index": 1.0} for loss in ("perp_l1", "perp_l2")
    }
    shift(numbers, "l2", "magnitude_bias", -3.0)
    for metric, by in (("ssim", 0.1), ("psnr", 1.0), ("phase_error", -0.1)):
        shift(numbers, "perp_l2", metric, by)
    shift(numbers, "perp_ssim", "phase_error", -0.1)
    fields = numbers["fig10_reg_metrics"]
    for metric, by in (("epe", -1), ("magnitude_error", -1), ("angular_error", -1), ("motion_bias", 1)):
        fields["perp_l2"][metric] = fields["epe"][metric] + by
    for anatomy in claims.SETTINGS:
        for loss in ("perp_l1", "perp_l2"):
            numbers["fig08_recon_convergence"][anatomy][loss] = {"psnr": np.tile([22, 23, 24, 25], (SEEDS, 1))}
    found = judged(tmp_path, numbers)
    assert {claim["verdict"] for claim in found.values()} == {"reproduced"}


@pytest.mark.parametrize(("by", "finding"), [(-0.3, "holds"), (-0.7, "fails")])
def test_as_good_as_allows_for_what_is_hardly_visible(tmp_path: Path, by: float, finding: str) -> None:
    numbers = same_numbers()
    shift(numbers, "perp_l2", "psnr", by)
    checks = [c for c in judged(tmp_path, numbers)["C5"]["checks"] if c["statistic"].startswith("psnr")]
    assert len(checks) == 6 and {c["finding"] for c in checks} == {finding}


def test_the_checks_of_one_claim_are_corrected_together(tmp_path: Path) -> None:
    numbers, rng = same_numbers(), np.random.default_rng(0)
    for losses in (losses for rates in numbers["fig06_recon_metrics"].values() for losses in rates.values()):
        size = (SEEDS, IMAGES)
        difference = -0.6 + rng.normal(size=(SEEDS, 1)) * 0.4 + rng.normal(size=size) * 0.3
        losses["perp_l2"]["phase_error"] = losses["ssim"]["phase_error"] + difference
    found = judged(tmp_path, numbers)["C6"]["checks"]
    (rule,) = (rule for rule in claims.RULES if rule.claim == "C6")
    alone = np.array([mean_test(check.compute(numbers["fig06_recon_metrics"]), 0.0) for check in rule.checks])
    assert [c["p_holm"] for c in found] == pytest.approx(holm(alone).tolist())
    assert (alone < 0.05).sum() > sum(c["finding"] == "holds" for c in found)


def speed(ours: list[list[float]], l2: list[list[float]], step: list[int]) -> list[float]:
    (rule,) = (rule for rule in claims.RULES if rule.claim == "C10")
    check = next(c for c in rule.checks if c.statistic == "steps to the final PSNR of l2: perp_l2 / l2, abdomen")
    return check.compute({"abdomen": {"step": step, "perp_l2": {"psnr": ours}, "l2": {"psnr": l2}}}).tolist()


def test_speed_is_the_ratio_of_the_steps_to_the_final_psnr_of_l2() -> None:
    step = [100, 200, 300, 400]
    l2 = [[20, 21, 22, 23], [20, 24, 22, 23]]  # the second reaches its final value early
    assert speed([[20, 23, 24, 25], [20, 21, 23, 25]], l2, step) == [[0.5], [1.5]]
    assert speed([[20, 24, 21, 20], [23, 20, 20, 20]], l2, step) == [[0.5], [0.5]], "the first time counts"
    assert speed([[20, 21, 22, 22.9]] * 2, l2, step) == [[1.25], [2.5]], "never: one validation after the last"
    assert speed([[22.0]], [[23.0]], [100]) == [[2.0]]


def test_smoke_tests_nothing_that_is_trained(tmp_path: Path) -> None:
    found = judged(tmp_path, same_numbers(), preset="smoke")
    trained = {name for name, claim in found.items() if claim["verdict"] == "not tested at this preset"}
    assert trained == {"C2 in images", "C4", "C5", "C6", "C7", "C8", "C10"}


def test_missing_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="numbers of fig04_bias, .*tab01_properties are not"):
        claims.judge(tmp_path)


def test_the_table_shows_the_verdict_and_the_statistic_that_decides_it(tmp_path: Path) -> None:
    numbers = same_numbers()
    shift(numbers, "perp_l2", "phase_error", -1.0, ["brain"])
    shift(numbers, "perp_l2", "phase_error", 1.0, ["abdomen"])
    judged(tmp_path, numbers)
    rows = {row.split(" | ")[0][2:]: row for row in markdown(claims.judge(tmp_path), "figures/").splitlines()}
    assert "**mixed** (3 of 6 checks hold, 3 fail) | phase_error: perp_l2 − ssim, abdomen, R = 4: " in rows["C6"]
    assert "wanted < 0 | [fig06](figures/fig06_recon_metrics.png) |" in rows["C6"]
    assert "**not reproduced** | symmetry index of l2 (1: symmetric): 0.950, wanted < 0.9" in rows["C1"]
    assert "**open** (0 of 4 checks hold, 4 open)" in rows["C10"]


def test_the_committed_table_and_the_readme_agree_with_the_figures() -> None:
    committed = json.loads((FIGURES / "tab05_claims.json").read_text())["numbers"]
    now = claims.judge(FIGURES)
    assert [(c["claim"], c["verdict"]) for c in committed["claims"]] == [
        (c["claim"], c["verdict"]) for c in now["claims"]
    ]


def test_the_tables_of_the_readme_are_those_of_the_figures() -> None:
    found = {m[2]: m[0] for m in README_TABLE.finditer((ROOT / "README.md").read_text())}
    assert "tab05_claims" in found
    for name, text in found.items():
        assert text == f"<!-- table: {name} -->\n{readme_table(name)}\n<!-- end of table -->"


def test_agreement_is_within_the_spread_of_the_committed_seeds(tmp_path: Path) -> None:
    numbers = same_numbers()
    shift(numbers, "perp_l2", "psnr", 1.0)
    judged(tmp_path, numbers)
    committed, other = claims.judge(tmp_path), claims.judge(tmp_path)
    assert agreement(committed, other)["agrees"].all()
    claim = next(c for c in other["claims"] if c["claim"] == "C4")
    check = next(c for c in claim["checks"] if c["statistic"].startswith("psnr"))
    check["mean"] += 2.9 * float(np.std(check["seeds"], ddof=1))
    assert agreement(committed, other)["agrees"].all()
    check["mean"] += 0.2 * float(np.std(check["seeds"], ddof=1))
    table = agreement(committed, other)
    assert (~table["agrees"]).sum() == 1 and table.loc[~table["agrees"], "claim"].item() == "C4"
