from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.config import LEVELS, ForecastConfig
from forecasting.evaluation.baselines import BASELINES, baseline_quantiles, origin, scale
from forecasting.features.series import engineer
from forecasting.features.windows import Windows, window
from forecasting.model.prior import har_coefficients


@pytest.fixture(scope="session")
def shard(make_prices):
    def make(*frames, horizon=3) -> Windows:
        config = ForecastConfig(horizon=horizon, context=4)
        prices = pd.concat(frames or [make_prices(rows=60)], ignore_index=True)
        return window(engineer(prices, config, prices["date"].max().date()).series, config)

    return make


@pytest.mark.parametrize("baseline", BASELINES)
def test_the_median_and_the_spread_are_those_of_earlier_changes(shard, baseline) -> None:
    """By hand, for each step, from one cutoff."""
    windows = shard()
    at = 40
    found = baseline_quantiles(windows, baseline, at)[0, 0]
    base = origin(windows, baseline)[0]
    for step in (1, 2, 3):
        spread = scale(windows, baseline)[0, :, step - 1]
        changes = np.array([windows.log_open[0, t + step] - base[t] for t in range(at - step + 1)])
        known = np.quantile(changes / spread[: at - step + 1], LEVELS) * spread[at]
        if baseline == "har":
            known = 0.75 * known - 0.25 * known[::-1]
        np.testing.assert_allclose(found[step - 1], known, rtol=1e-12, atol=1e-15)


def test_the_scales_are_what_they_say(shard, make_prices) -> None:
    rows, windows = make_prices(rows=60), shard()
    for plain in ("persistence", "last_close"):
        np.testing.assert_array_equal(scale(windows, plain), 1)
    parkinson = np.log(rows["high"] / rows["low"]) ** 2 / (4 * np.log(2))
    smooth = parkinson.ewm(alpha=0.06, adjust=False).mean() ** 0.5
    for step in range(3):
        np.testing.assert_allclose(scale(windows, "ewma_range")[0, :, step], smooth)
    daily = np.log(np.log(rows["high"] / rows["low"]))
    means = np.stack([daily.rolling(span, min_periods=1).mean() for span in (1, 5, 22)], axis=1)
    np.testing.assert_allclose(windows.log_ranges[0], means)
    coefficients = har_coefficients(windows)[0]
    for step in range(3):
        np.testing.assert_allclose(scale(windows, "har")[0, :, step], np.exp(means @ coefficients[step]))


def test_hars_coefficients_do_not_change_with_the_unit_of_the_range(shard, make_prices) -> None:
    """No centring is needed: a constant factor of the scale cancels."""
    windows = shard()
    moved = replace(windows, log_ranges=windows.log_ranges + 0.7)
    np.testing.assert_allclose(baseline_quantiles(moved, "har", 30), baseline_quantiles(windows, "har", 30), rtol=1e-9)


def test_each_starts_from_its_own_origin(shard) -> None:
    windows = shard()
    (one,) = windows.series
    np.testing.assert_allclose(np.exp(origin(windows, "persistence")[0]), one.open)
    np.testing.assert_allclose(np.exp(origin(windows, "last_close")[0]), one.close)
    np.testing.assert_allclose(np.exp(origin(windows, "ewma_range")[0]), one.anchor_price)


@pytest.mark.parametrize("baseline", BASELINES)
@settings(max_examples=15)
@given(known=st.integers(20, 58), factor=st.floats(0.5, 1.5))
def test_later_rows_change_nothing(shard, make_prices, baseline, known, factor) -> None:
    rows = make_prices(rows=60)
    changed = rows.copy()
    changed.loc[known:, ["open", "high", "low", "close"]] *= factor
    before, after = (baseline_quantiles(shard(one), baseline, 10) for one in (rows, changed))
    upto = known - 10  # cutoffs 10 to known - 1
    np.testing.assert_allclose(before[:, :upto], after[:, :upto], rtol=1e-9, atol=1e-14)


def test_a_ticker_is_as_alone(shard, make_prices) -> None:
    short, long = make_prices("SHORT", 25, seed=1), make_prices("LONG", 60)
    for baseline in BASELINES:
        together = baseline_quantiles(shard(long, short), baseline, 30)
        alone = baseline_quantiles(shard(short), baseline, 0)
        np.testing.assert_array_equal(together[1][-20:], alone[0][-20:])


def test_without_a_close_there_is_no_last_close(shard, make_prices) -> None:
    windows = shard(make_prices(rows=60).assign(close=np.nan))
    assert np.isnan(baseline_quantiles(windows, "last_close", 10)).all()
    persistence, from_anchor = (baseline_quantiles(windows, name, 20) for name in ("persistence", "ewma_range"))
    assert np.isfinite(persistence).all()
    assert np.isfinite(from_anchor).all()


def test_a_day_without_its_close_has_no_forecast_from_it(shard, make_prices) -> None:
    rows = make_prices(rows=300)
    rows.loc[200, "close"] = np.nan
    found = baseline_quantiles(shard(rows), "last_close", 150)
    assert np.flatnonzero(np.isnan(found[0, :, 0, 0])).tolist() == [50]


def test_a_range_of_nothing_does_not_divide_by_nothing(shard, make_prices) -> None:
    rows = make_prices(rows=60)
    for name in ("high", "low", "close"):
        rows[name] = rows["open"]
    assert np.isfinite(baseline_quantiles(shard(rows), "ewma_range", 20)).all()


def test_steps_longer_than_the_past_have_no_quantiles(shard, make_prices) -> None:
    found = baseline_quantiles(shard(make_prices(rows=60), horizon=50), "persistence", 50)
    assert np.isfinite(found[0, 0, 48]).all()  # two changes over 49 sessions are known at row 50
    assert np.isnan(found[0, 0, 49]).all()
    assert np.isfinite(found[0, 1, 49]).all()
