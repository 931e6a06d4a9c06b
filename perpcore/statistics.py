"""Confidence intervals and paired tests over test images and seeds."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """Mean with the bounds of its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: np.ndarray, *, resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean of (seed, image) values; percentile bootstrap that resamples both seeds and images.

    All seeds are tested on the same images, so the two are resampled independently. With one
    seed the interval says nothing about the spread between trainings.
    """
    values = np.atleast_2d(np.asarray(values, dtype=float))
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"values: expected finite numbers (seed, image), got shape {values.shape}")
    rng = np.random.default_rng(seed)
    n_seeds, n_images = values.shape
    seed_weights = rng.multinomial(n_seeds, np.full(n_seeds, 1 / n_seeds), resamples)
    image_weights = rng.multinomial(n_images, np.full(n_images, 1 / n_images), resamples)
    means = np.einsum("rs,si,ri->r", seed_weights, values, image_weights) / values.size
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(values.mean()), float(low), float(high))


def paired_test(values: np.ndarray, reference: np.ndarray) -> float:
    """p of the two-sided Wilcoxon signed-rank test over images, each averaged over its seeds.

    (seed, image) or (image,) arrays; images where both agree exactly carry no sign. 1 where all
    agree.
    """
    a, b = (np.atleast_2d(np.asarray(v, dtype=float)).mean(0) for v in (values, reference))
    if a.shape != b.shape:
        raise ValueError(f"reference: expected {a.size} images like values, got {b.size}")
    if np.array_equal(a, b):
        return 1.0
    from scipy import stats  # a second to import, and most notebooks need none of it

    return float(stats.wilcoxon(a, b).pvalue)


def effect_size(values: np.ndarray, reference: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014), the effect size of `paired_test`.

    −1 … 1: share of the rank sum in which `values` is larger, minus that in which it is smaller;
    0 where all agree.
    """
    a, b = (np.atleast_2d(np.asarray(v, dtype=float)).mean(0) for v in (values, reference))
    difference = (a - b)[a != b]
    if not difference.size:
        return 0.0
    from scipy import stats

    ranks = stats.rankdata(np.abs(difference))
    return float((ranks * np.sign(difference)).sum() / ranks.sum())


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number (Holm 1979), in the order given."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p)
    stepped = p[order] * np.arange(p.size, 0, -1)
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(stepped), 1)
    return corrected


def compare(
    samples: dict[tuple[Any, ...], np.ndarray],
    columns: Sequence[str],
    reference: str,
    untested: Container[str] = (),
) -> list[dict[str, Any]]:
    """Rows of a table of losses: mean and interval, effect size and Holm-corrected p.

    `samples` holds (seed, image) values by key; `columns` names the key's parts, one of them
    "loss". Every loss is tested against the `reference` loss under the otherwise equal key, except
    the reference itself and those in `untested`; Holm's correction is over all these tests.
    """
    at, rows, tested = columns.index("loss"), [], []
    for key, values in samples.items():
        row = {**dict(zip(columns, key, strict=True)), **bootstrap_mean(values)._asdict()}
        if key[at] != reference and key[at] not in untested:
            other = samples[(*key[:at], reference, *key[at + 1 :])]
            row["effect"], row["p_holm"] = effect_size(values, other), paired_test(values, other)
            tested.append(row)
        rows.append(row)
    for row, p in zip(tested, holm(np.array([r["p_holm"] for r in tested])), strict=True):
        row["p_holm"] = float(p)
    return rows
