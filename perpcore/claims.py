"""The article's claims, the rules by which each is judged, and the verdicts.

A rule reads committed figures only; its checks are corrected together (Holm). A claim is reproduced where all hold,
not reproduced where one fails and none holds, mixed where some hold and some fail, else open.
"""

import json
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perpcore.statistics import holm, mean_interval, mean_test

FINDINGS = ("holds", "fails", "open")
VERDICTS = ("reproduced", "mixed", "open", "not reproduced", "not tested at this preset")
SETTINGS = {"brain": "smooth", "abdomen": "rough"}  # generated images, by the roughness of their phase
ACCELERATIONS = ("4", "8", "12")


class Check(NamedTuple):
    """A statistic, of (seed, image) values or a single one, and the side of a threshold on which it must lie."""

    statistic: str
    side: str
    threshold: float
    compute: Callable[[dict[str, Any]], Any]

    def finding(self, mean: float, p: float) -> str:
        """Whether the mean lies on the wanted side or, with the same certainty (p < 0.05), on the other."""
        if not p < 0.05:
            return "open"
        return "holds" if (mean > self.threshold) == (self.side == ">") else "fails"


class Rule(NamedTuple):
    """A claim (in our words), the figure that holds its evidence, and its checks."""

    claim: str
    text: str
    source: str
    checks: Sequence[Check]


def _symmetry(loss: str, side: str, threshold: float) -> Check:
    what = f"symmetry index of {loss} (1: symmetric)"
    return Check(what, side, threshold, lambda n: n[loss]["symmetry index"])


def _toy(numbers: dict[str, Any]) -> float:
    """Magnitude that the trained toy regressor gives at a phase uncertainty of 1 rad."""
    return float(numbers["trained"]["l2"]["phase"][numbers["spread"].index(1.0)])


def _recon(a: str, b: str | None, metric: str, side: str, threshold: float) -> list[Check]:
    """One check per setting and acceleration: mean of a, or mean paired difference a − b."""
    what = f"{metric}: {a}" + (f" − {b}" if b else "")

    def check(anatomy: str, acceleration: str) -> Check:
        def compute(numbers: dict[str, Any]) -> Any:
            losses = numbers[anatomy][acceleration]
            return np.subtract(losses[a][metric], losses[b][metric] if b else 0.0)

        return Check(f"{what}, {anatomy}, R = {acceleration}", side, threshold, compute)

    return [check(*where) for where in product(SETTINGS, ACCELERATIONS)]


def _speed(loss: str, anatomy: str) -> Check:
    """Check when a loss reaches what ℓ2 training ends with."""

    def compute(numbers: dict[str, Any]) -> Any:
        steps = np.asarray(numbers[anatomy]["step"])
        ours, theirs = (np.asarray(numbers[anatomy][name]["psnr"]) for name in (loss, "l2"))
        # A run that never gets there counts as one validation later than the last.
        steps = np.append(steps, 2 * steps[-1] - steps[-2] if len(steps) > 1 else 2 * steps[-1])
        wanted = theirs[:, -1:]
        first = [np.append(curves >= wanted, np.ones_like(wanted, bool), 1).argmax(1) for curves in (ours, theirs)]
        return (steps[first[0]] / steps[first[1]])[:, None]

    return Check(f"steps to the final PSNR of l2: {loss} / l2, {anatomy}", "<", 1.0, compute)


def _motion(metric: str, side: str) -> Check:
    what = f"{metric}: perp_l2 − epe"
    return Check(what, side, 0.0, lambda n: np.subtract(n["perp_l2"][metric], n["epe"][metric]))


def _length(loss: str, side: str, threshold: float) -> Check:
    what = f"length learnt by {loss} in 3D under uncertain direction (true: 1)"
    return Check(what, side, threshold, lambda n: n["3D"][loss][-1])


RULES = (
    Rule("C1", "in the complex plane ℓ2 is asymmetric between magnitude and phase",
         "tab01_properties", [_symmetry("l2", "<", 0.9)]),
    Rule("C2", "a regressor trained with ℓ2 underestimates the magnitude where phase is uncertain",
         "fig04_bias", [Check("toy magnitude at 1 rad (true: 1)", "<", 0.95, _toy)]),
    Rule("C2 in images", "so do reconstruction networks trained with ℓ2",
         "fig06_recon_metrics", _recon("l2", None, "magnitude_bias", "<", 0.0)),
    Rule("C3", "⊥+ℓ1 and ⊥+ℓ2 are symmetric",
         "tab01_properties", [_symmetry(loss, ">", 0.99) for loss in ("perp_l1", "perp_l2")]),
    Rule("C4", "⊥+ℓ2 beats ℓ2 in reconstruction", "fig06_recon_metrics",
         [*_recon("perp_l2", "l2", "ssim", ">", 0.0), *_recon("perp_l2", "l2", "psnr", ">", 0.0),
          *_recon("perp_l2", "l2", "phase_error", "<", 0.0)]),
    Rule("C5", "its magnitude is as good as that of SSIM training (−0.01 SSIM, −0.5 dB)",
         "fig06_recon_metrics", [*_recon("perp_l2", "ssim", "ssim", ">", -0.01),
                                 *_recon("perp_l2", "ssim", "psnr", ">", -0.5)]),
    Rule("C6", "its phase is better than that of SSIM training",
         "fig06_recon_metrics", _recon("perp_l2", "ssim", "phase_error", "<", 0.0)),
    Rule("C7", "⊥+SSIM: magnitude like SSIM training (−0.01 SSIM), better phase",
         "fig06_recon_metrics", [*_recon("perp_ssim", "ssim", "ssim", ">", -0.01),
                                 *_recon("perp_ssim", "ssim", "phase_error", "<", 0.0)]),
    Rule("C8", "⊥+ℓ2 (after a warm-up) beats the end-point error in registration", "fig10_reg_metrics",
         [_motion(metric, side) for metric, side in
          (("epe", "<"), ("magnitude_error", "<"), ("angular_error", "<"), ("motion_bias", ">"))]),
    Rule("C9", "the loss works in R^n: 3D vectors keep their length, with EPE they do not",
         "fig11_reg_calibration", [_length("perp_l2", ">", 0.98), _length("epe", "<", 0.95)]),
    Rule("C10", "⊥ training converges faster than ℓ2 training", "fig08_recon_convergence",
         [_speed(loss, anatomy) for loss in ("perp_l1", "perp_l2") for anatomy in SETTINGS]),
)  # fmt: skip
"""The thresholds are ours, the article's are not known: 0.01 SSIM and 0.5 dB are hardly visible."""


def judge(folder: Path) -> dict[str, Any]:
    """Verdict of every rule from the JSON files of a figures folder.

    Raises FileNotFoundError naming the figures that are not there.

    Returns {"preset", "claims": [{"claim", "text", "source", "verdict", "checks": [...]}]}; a check has its mean,
    interval, Holm-corrected p, mean per seed ("seeds") and finding.
    """
    missing = {r.source for r in RULES if not (folder / f"{r.source}.json").exists()}
    if missing:
        said = f"the numbers of {', '.join(sorted(missing))} are not there; `make figures` makes them"
        raise FileNotFoundError(f"{folder}: {said}")
    records = {r.source: json.loads((folder / f"{r.source}.json").read_text()) for r in RULES}
    presets = {record["preset"] for record in records.values()} - {"any"}
    preset = presets.pop() if len(presets) == 1 else "mixed"
    claims = []
    for rule in RULES:
        record = records[rule.source]
        samples = [np.atleast_2d(check.compute(record["numbers"])) for check in rule.checks]
        tests = [mean_test(values, check.threshold) for check, values in zip(rule.checks, samples, strict=True)]
        checks = [
            {"statistic": check.statistic, "wanted": f"{check.side} {check.threshold:g}",
             **mean_interval(values)._asdict(), "p_holm": p, "seeds": values.mean(1).tolist(),
             "finding": check.finding(float(values.mean()), p)}
            for check, values, p in zip(rule.checks, samples, holm(np.array(tests)).tolist(), strict=True)
        ]  # fmt: skip
        # A few steps of tiny networks say nothing.
        verdict = VERDICTS[-1] if record["preset"] == "smoke" else verdict_of([str(c["finding"]) for c in checks])
        judged = {"claim": rule.claim, "text": rule.text, "source": rule.source, "verdict": verdict}
        claims.append({**judged, "checks": checks})
    return {"preset": preset, "claims": claims}


def verdict_of(findings: Sequence[str]) -> str:
    """Return the verdict that follows from the findings of a claim's checks."""
    hold, fail = "holds" in findings, "fails" in findings
    if set(findings) == {"holds"}:
        return "reproduced"
    if fail:
        return "mixed" if hold else "not reproduced"
    return "open"
