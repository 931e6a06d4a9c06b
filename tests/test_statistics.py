"""Intervals and tests on data with a known effect and with none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from perpcore.statistics import compare, effect_size, holm, mean_interval, mean_test, paired_test


def test_interval_covers_the_true_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        interval = mean_interval(rng.normal(2, 1, 40), resamples=400, seed=trial)
        assert interval.low < interval.mean < interval.high
        covered += interval.low <= 2 <= interval.high
    assert covered / 300 == pytest.approx(0.94, abs=0.04)


def test_interval_equals_scipys_bootstrap() -> None:
    values = np.random.default_rng(1).gamma(2, size=60)
    ours = mean_interval(values, resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.low == pytest.approx(theirs.low, abs=0.02)
    assert ours.high == pytest.approx(theirs.high, abs=0.02)


def test_interval_of_several_seeds_covers_the_true_mean() -> None:
    """Whether trainings or images differ more; a bootstrap of five seeds covers 83 % of the first."""
    rng = np.random.default_rng(0)
    for seeds, images in ((1, 0.1), (1, 3), (0.1, 3)):
        covered = 0
        for _ in range(400):
            spread = rng.normal(0, seeds, (5, 1)) + rng.normal(0, images, (1, 60))
            interval = mean_interval(2 + spread + rng.normal(0, 0.3, (5, 60)))
            covered += interval.low <= 2 <= interval.high
        assert covered / 400 >= 0.93


def test_interval_of_several_seeds_is_students_where_images_agree() -> None:
    means = np.random.default_rng(0).normal(size=5)
    ours = mean_interval(np.tile(means[:, None], (1, 30)))
    theirs = stats.ttest_1samp(means, 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert mean_interval(np.full((5, 4), 2.0)) == (2, 2, 2)


def test_spread_between_seeds_widens_the_interval() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(0, 0.1, 50)
    same, different = np.tile(images, (5, 1)), images + rng.normal(0, 1, (5, 1))
    narrow, wide = mean_interval(same), mean_interval(different)
    assert wide.high - wide.low > 5 * (narrow.high - narrow.low)


def test_paired_test_finds_an_effect_and_not_none() -> None:
    rng = np.random.default_rng(0)
    difficulty = rng.normal(0, 10, 60)
    a, b = difficulty + rng.normal(0, 0.1, 60), difficulty + rng.normal(0, 0.1, 60)
    assert paired_test(a + 0.2, b) < 1e-6
    assert paired_test(a, a) == 1
    p = [paired_test(*rng.normal(size=(2, 30))) for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) < 0.1
    assert paired_test(np.stack([a, a]), b) == pytest.approx(paired_test(a, b))


def test_paired_test_of_several_seeds_agrees_with_the_interval_of_the_difference() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(300):
        a, b = rng.normal(size=(2, 5, 1)) + 0.5 * rng.normal(size=(2, 5, 60))
        p, interval = paired_test(a, b), mean_interval(a - b)
        assert (p < 0.05) == (interval.low > 0 or interval.high < 0)
        rejected += p < 0.05
    assert rejected / 300 < 0.08
    assert paired_test(a + 10, b) < 0.001 and paired_test(a, a) == 1
    assert paired_test(np.ones((2, 3)), np.zeros((2, 3))) == 0


def test_mean_test_of_several_seeds_agrees_with_the_interval() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(300):
        values = 2 + rng.normal(size=(4, 1)) + 0.5 * rng.normal(size=(4, 30))
        interval = mean_interval(values)
        for expected in (0.0, 1.0, 2.0):
            assert (mean_test(values, expected) < 0.05) == (not interval.low < expected < interval.high)
        inside += mean_test(values, 2.0) >= 0.05
    assert inside / 300 == pytest.approx(0.95, abs=0.03)


def test_mean_test_of_one_seed_is_wilcoxons_and_one_value_is_exact() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, (1, 25))
    assert mean_test(values, 0.1) == pytest.approx(stats.wilcoxon(values[0] - 0.1).pvalue)
    assert mean_test(np.array([[0.9]]), 1.0) == 0
    assert mean_test(np.array([[1.0]]), 1.0) == 1


def test_effect_size_by_hand_and_by_the_test_statistic() -> None:
    assert effect_size(np.array([2.0, 3, 4]), np.array([1.0, 1, 1])) == 1
    assert effect_size(np.zeros(4), np.zeros(4)) == 0
    # Differences 1, −2, 3: ranks 1, 2, 3, so (1 + 3 − 2) / 6.
    assert effect_size(np.array([1.0, -2, 3]), np.zeros(3)) == pytest.approx(1 / 3)
    a, b = np.random.default_rng(0).normal(size=(2, 40))
    greater = stats.wilcoxon(a, b, alternative="greater").statistic
    assert effect_size(a, b) == pytest.approx(2 * greater / (40 * 41 / 2) - 1)
    assert effect_size(a, b) == -effect_size(b, a)


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03])), [0.03, 0.06, 0.06])
    np.testing.assert_allclose(holm(np.array([0.5, 0.9])), [1, 1])


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match="values"):
        mean_interval(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="reference.*3.*2"):
        paired_test(np.ones(3), np.ones(2))


def test_compare_tests_every_loss_against_the_reference_of_its_group() -> None:
    rng = np.random.default_rng(0)
    samples = {
        (rate, loss, "psnr"): rng.normal(20 + shift, 0.1, (1, 30))
        for rate in (4, 8)
        for loss, shift in (("zero_filled", -5), ("l2", 0), ("perp_l2", 1))
    }
    rows = compare(samples, ("R", "loss", "metric"), "l2", untested=["zero_filled"])
    assert [(r["R"], r["loss"]) for r in rows] == [key[:2] for key in samples]
    tested = [r for r in rows if "p_holm" in r]
    assert [(r["R"], r["loss"]) for r in tested] == [(4, "perp_l2"), (8, "perp_l2")]
    pairs = [(samples[rate, "perp_l2", "psnr"], samples[rate, "l2", "psnr"]) for rate in (4, 8)]
    expected = holm(np.array([paired_test(*pair) for pair in pairs]))
    assert [r["p_holm"] for r in tested] == pytest.approx(expected)
    assert all(r["effect"] == 1 for r in tested)
    assert rows[0]["mean"] == pytest.approx(15, abs=0.2)
