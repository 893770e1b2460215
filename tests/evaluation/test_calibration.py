from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from forecasting.config import LEVELS
from forecasting.evaluation.calibration import LOG_BOUND, calibrating_widths, spread, widen


def calibrate(quantiles, actual):
    widths = calibrating_widths(quantiles, actual)
    return widen(quantiles, widths), widths[:, -1]


def gaussian(cutoffs, horizon=1, *, claimed=1.0, seed=0, tickers=1):
    """Forecasts that claim some spread, and what comes with spread 1."""
    quantiles = np.broadcast_to(claimed * norm.ppf(LEVELS), (tickers, cutoffs, horizon, 19)).copy()
    return quantiles, np.random.default_rng(seed).standard_normal((tickers, cutoffs, horizon))


def covered(quantiles, actual, central):
    low = LEVELS.index(round((1 - central) / 2, 2))
    return ((quantiles[..., low] <= actual) & (actual <= quantiles[..., -1 - low])).mean()


@pytest.mark.parametrize("claimed", [0.9, 1.0, 1.1])
@pytest.mark.parametrize("central", [0.5, 0.8, 0.9])
def test_in_the_long_run_intervals_cover_what_they_say(claimed, central) -> None:
    quantiles, actual = gaussian(2500, claimed=claimed, tickers=4)
    out, _ = calibrate(quantiles, actual)
    assert covered(out[:, 500:], actual[:, 500:], central) == pytest.approx(central, abs=0.025)


@pytest.mark.parametrize("claimed", [0.3, 0.5, 0.7, 1.5])
def test_forecasts_that_are_far_off_come_most_of_the_way(claimed) -> None:
    """Not all of it: what forgets a regime pulls the width back towards the model's own."""
    quantiles, actual = gaussian(2500, claimed=claimed, tickers=4)
    out, width = calibrate(quantiles, actual)
    assert ((width > 1) == (claimed < 1)).all()
    before, after = (abs(covered(one[:, 500:], actual[:, 500:], 0.8) - 0.8) for one in (quantiles, out))
    assert after < 0.55 * before


def by_hand(quantiles, actual):
    """The formula of the module, one ticker, one step, one target at a time."""
    out, theta = quantiles.copy(), 0.0
    for now in range(1, len(quantiles)):
        issued, target = out[now - 1], actual[now - 1]
        spread_then = (issued[14] - issued[4]) / 1.349
        gradient = 2 / spread_then * np.mean(((target <= issued) - np.array(LEVELS)) * (issued - issued[9]))
        theta = np.clip(0.99 * theta - max(0.1 / np.sqrt(now), 0.06) * gradient, -1.5, 1.5)
        out[now] = quantiles[now, 9] + np.exp(theta) * (quantiles[now] - quantiles[now, 9])
    return out


def test_one_forecast_after_another_as_the_formula_says() -> None:
    quantiles, actual = gaussian(60, claimed=0.5)
    np.testing.assert_allclose(calibrate(quantiles, actual)[0][0, :, 0], by_hand(quantiles[0, :, 0], actual[0, :, 0]))


def test_a_width_by_hand() -> None:
    quantiles = np.broadcast_to(10 + 2 * norm.ppf(LEVELS), (1, 1, 19))
    np.testing.assert_array_equal(widen(quantiles, np.ones((1, 1))), quantiles)
    in_place = quantiles.copy()
    widen(in_place, np.full((1, 1), 3.0), out=in_place)
    np.testing.assert_array_equal(in_place, widen(quantiles, np.full((1, 1), 3.0)))
    np.testing.assert_allclose(widen(quantiles, np.full((1, 1), 3.0)), 10 + 3 * 2 * norm.ppf(LEVELS)[None, None])
    np.testing.assert_allclose(spread(quantiles), 2, rtol=1e-3)


def test_it_follows_when_the_world_grows_wilder() -> None:
    quantiles, actual = gaussian(3000, tickers=4)
    actual[:, 1500:] *= 2
    out, _ = calibrate(quantiles, actual)
    assert covered(quantiles[:, 2000:], actual[:, 2000:], 0.8) < 0.5
    assert covered(out[:, 2000:], actual[:, 2000:], 0.8) > 0.66


@settings(max_examples=40)
@given(st.integers(0, 1000), st.integers(1, 4), st.integers(0, 30), st.floats(-5, 5))
def test_only_targets_known_at_the_cutoff_matter(seed, horizon, known, surprise) -> None:
    quantiles, actual = gaussian(31, horizon, seed=seed, tickers=2)
    changed = actual.copy()
    for step in range(1, horizon + 1):
        changed[:, max(known - step + 1, 0) :, step - 1] = surprise  # targets after row ``known``
    before, after = calibrate(quantiles, actual)[0], calibrate(quantiles, changed)[0]
    np.testing.assert_array_equal(before[:, : known + 1], after[:, : known + 1])


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(0.01, 100))
def test_quantiles_stay_in_order(seed, claimed) -> None:
    stream = np.random.default_rng(seed)
    quantiles = np.sort(claimed * stream.standard_normal((2, 40, 2, 19)), axis=3)
    out, width = calibrate(quantiles, stream.standard_normal((2, 40, 2)))
    assert (np.diff(out, axis=3) >= 0).all()
    assert (np.abs(np.log(width)) <= LOG_BOUND + 1e-12).all()


def test_each_ticker_and_step_has_its_own_width() -> None:
    quantiles, actual = gaussian(200, 2, tickers=2)
    actual[1] *= 3
    together, width = calibrate(quantiles, actual)
    for k in range(2):
        np.testing.assert_array_equal(calibrate(quantiles[k : k + 1], actual[k : k + 1])[0][0], together[k])
    assert (width[1] > 1.3 * width[0]).all()
    actual[0, :, 1] *= 3
    np.testing.assert_array_equal(calibrate(quantiles, actual)[0][0, :, 0], together[0, :, 0])


def test_what_is_not_known_changes_nothing() -> None:
    quantiles, actual = gaussian(50, 2)
    out, width = calibrate(quantiles, np.full_like(actual, np.nan))
    np.testing.assert_array_equal(out, quantiles)
    np.testing.assert_array_equal(width, 1)


def test_forecasts_that_are_missing_are_passed_over() -> None:
    quantiles, actual = gaussian(50)
    quantiles[:, 10:20] = np.nan
    out, width = calibrate(quantiles, actual)
    assert np.isnan(out[:, 10:20]).all()
    assert np.isfinite(out[:, 20:]).all()
    assert np.isfinite(width).all()


def test_a_forecast_without_spread_is_left_alone() -> None:
    quantiles = np.zeros((1, 30, 1, 19))
    np.testing.assert_array_equal(calibrate(quantiles, np.ones((1, 30, 1)))[0], quantiles)


def test_fewer_cutoffs_than_steps() -> None:
    quantiles, actual = gaussian(2, horizon=5)
    out, width = calibrate(quantiles, actual)
    assert out.shape == quantiles.shape
    np.testing.assert_array_equal(width[:, 1:], 1)
