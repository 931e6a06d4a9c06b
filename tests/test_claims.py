"""Verdicts follow from the numbers of the figures, and the README says what they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from committed import README_TABLE, readme_table

from perpcore import claims
from perpcore.statistics import Interval

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "figures"


def test_every_claim_has_a_rule_with_a_source() -> None:
    assert {rule.claim.split()[0] for rule in claims.RULES} == {f"C{k}" for k in range(1, 10)}
    for rule in claims.RULES:
        assert rule.checks and (FIGURES / f"{rule.source}.json").exists()


@pytest.mark.parametrize(
    ("low", "high", "side", "finding"),
    [
        (0.1, 0.3, ">", "holds"),
        (-0.1, 0.3, ">", "open"),
        (-0.3, -0.1, ">", "fails"),
        (-0.3, -0.1, "<", "holds"),
        (-0.3, 0.1, "<", "open"),
        (0.1, 0.3, "<", "fails"),
    ],
)
def test_a_check_holds_if_the_whole_interval_is_on_its_side(low, high, side: str, finding: str) -> None:
    check = claims.Check("s", side, 0.0, lambda numbers: np.zeros((1, 1)))
    assert check.finding(Interval(0, low, high)) == finding


def altered(tmp_path: Path, change) -> dict[str, dict]:
    """Verdicts by claim after a change of the numbers of fig06."""
    for rule in claims.RULES:
        shutil.copy(FIGURES / f"{rule.source}.json", tmp_path)
    path = tmp_path / "fig06_recon_metrics.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    return {c["claim"]: c for c in claims.judge(tmp_path)["claims"]}


@pytest.mark.parametrize(("shift", "verdict"), [(0.5, "reproduced"), (-0.5, "not reproduced")])
def test_verdicts_follow_the_numbers(tmp_path: Path, shift: float, verdict: str) -> None:
    def change(record: dict) -> None:
        for rate in ("4", "8"):
            numbers = record["numbers"][rate]
            numbers["perp_l2"] = {m: (np.asarray(v) + (-shift if m == "phase_error" else shift)).tolist()
                                  for m, v in numbers["l2"].items()}  # fmt: skip

    claim = altered(tmp_path, change)["C4"]
    assert claim["verdict"] == verdict
    assert {c["finding"] for c in claim["checks"]} == {"holds" if shift > 0 else "fails"}
    assert all(np.mean(c["seeds"]) == pytest.approx(c["mean"]) for c in claim["checks"])


def test_mixed_evidence_is_partly_and_smoke_is_not_tested(tmp_path: Path) -> None:
    def better_at_4_only(record: dict) -> None:
        for rate, sign in (("4", 1), ("8", -1)):
            numbers = record["numbers"][rate]
            numbers["perp_l2"] = {m: (np.asarray(v) + sign * 0.5).tolist() for m, v in numbers["l2"].items()}

    assert altered(tmp_path, better_at_4_only)["C4"]["verdict"] == "partly"
    judged = altered(tmp_path, lambda record: record.update(preset="smoke"))
    assert judged["C4"]["verdict"] == "not tested at this preset"
    assert judged["C1"]["verdict"] == "reproduced"


def test_missing_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="numbers of fig04_bias, .*tab01_properties are not"):
        claims.judge(tmp_path)


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


def test_agreement_is_within_the_spread_of_the_committed_seeds() -> None:
    committed, other = claims.judge(FIGURES), claims.judge(FIGURES)
    assert claims.agreement(committed, other)["agrees"].all()
    check = other["claims"][4]["checks"][0]
    check["mean"] += 3.1 * float(np.std(check["seeds"], ddof=1))
    table = claims.agreement(committed, other)
    assert (~table["agrees"]).sum() == 1 and table.loc[~table["agrees"], "claim"].item() == "C4"
