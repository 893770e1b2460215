"""The formulas, against numbers reckoned by hand and laws that they obey."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from forecasting.config import LEVELS
from forecasting.evaluation.scoring_rules import (
    crps,
    diebold_mariano,
    mase,
    pinball,
)

prices = st.floats(min_value=1.0, max_value=1e4)


def test_mase_is_the_error_in_training_moves() -> None:
    assert mase(3.0, 2.0) == 1.5
    assert np.isnan(mase(3.0, 0.0))
    assert np.isnan(mase(3.0, float("nan")))


def test_pinball_weighs_the_two_sides_by_the_level() -> None:
    assert pinball([12.0, 8.0], 10.0, 0.9) == pytest.approx([0.9 * 2, 0.1 * 2])


@given(actual=prices, quantile=prices)
def test_pinball_of_the_median_is_half_the_absolute_error(actual: float, quantile: float) -> None:
    assert pinball(actual, quantile, 0.5) == pytest.approx(abs(actual - quantile) / 2)


@given(actual=prices, forecast=prices)
def test_crps_of_a_point_is_its_absolute_error(actual: float, forecast: float) -> None:
    # The levels are symmetric, so the mean weight of either side is a half.
    assert crps([actual], np.full((1, 19), forecast)) == pytest.approx([abs(actual - forecast)])


def test_crps_nears_that_of_the_distribution_it_approximates() -> None:
    # CRPS of the standard normal at 0 is 2 phi(0) - 1 / sqrt(pi) = 0.2337 (Gneiting and Raftery 2007).
    quantiles = stats.norm.ppf(LEVELS)[None, :]
    assert crps([0.0], quantiles)[0] == pytest.approx(2 * stats.norm.pdf(0) - np.pi**-0.5, rel=0.06)


def test_crps_is_least_for_the_true_spread() -> None:
    actual = stats.norm.ppf((np.arange(2000) + 0.5) / 2000)
    score = {
        spread: crps(actual, np.tile(spread * stats.norm.ppf(LEVELS), (2000, 1))).mean() for spread in (0.5, 1.0, 2.0)
    }
    assert min(score, key=lambda spread: score[spread]) == 1.0


def test_diebold_mariano_at_one_step_is_the_paired_t_test() -> None:
    # With h = 1 the correction (n - 1) / n turns the variance over n into the one over n - 1.
    generator = np.random.default_rng(3)
    loss, reference = generator.exponential(size=(2, 60))
    assert diebold_mariano(loss, reference, 1) == pytest.approx(stats.ttest_rel(loss, reference).pvalue)


def test_diebold_mariano_at_two_steps_by_hand() -> None:
    # d = 3, 1, 2, 0, 4, 2: mean 2; autocovariances 10/6 and (-1 + 0 + 0 - 4 + 0)/6; variance 10/6 - 10/6 = 0, which
    # is no variance, so Bartlett's: 10/6 - 5/6 = 5/6. Correction (6 + 1 - 4 + 2/6) / 6 = 5/9.
    statistic = 2 / np.sqrt(5 / 6 / 6) * np.sqrt(5 / 9)
    expected = 2 * stats.t.sf(statistic, 5)
    assert diebold_mariano([3.0, 1, 2, 0, 4, 2], np.zeros(6), 2) == pytest.approx(expected)


def test_diebold_mariano_is_distinguished_from_nothing() -> None:
    loss = np.arange(30.0)
    assert np.isnan(diebold_mariano(loss, loss, 1))
    assert np.isnan(diebold_mariano(loss[:2], loss[:2] ** 2 + 1, 1))
    assert np.isnan(diebold_mariano(loss[:10], loss[:10] ** 2, 5))
    assert np.isnan(diebold_mariano([], [], 1))


@given(seed=st.integers(0, 10_000), horizon=st.integers(1, 5))
def test_diebold_mariano_is_two_sided_and_free_of_scale(seed: int, horizon: int) -> None:
    loss, reference = np.random.default_rng(seed).exponential(size=(2, 40))
    p_value = diebold_mariano(loss, reference, horizon)
    assert 0 <= p_value <= 1
    assert diebold_mariano(reference, loss, horizon) == pytest.approx(p_value)
    assert diebold_mariano(loss * 100, reference * 100, horizon) == pytest.approx(p_value)


def test_diebold_mariano_keeps_its_promise_on_overlapping_losses() -> None:
    # Differentials correlated over four lags, as five-step forecasts' are: without HAC a third would be "significant".
    generator = np.random.default_rng(11)
    shocks = generator.normal(size=(600, 304))
    differentials = np.lib.stride_tricks.sliding_window_view(shocks, 5, axis=1).sum(axis=2)
    p_values = np.array([diebold_mariano(row, np.zeros_like(row), 5) for row in differentials])
    assert 0.02 < np.mean(p_values < 0.05) < 0.10
