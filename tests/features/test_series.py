from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest

from forecasting.config import ForecastConfig
from forecasting.features.series import engineer

AS_OF = date(2024, 6, 28)


def only(frames, config=None, as_of=AS_OF):
    engineered = engineer(pd.concat(frames, ignore_index=True), config or ForecastConfig(), as_of)
    assert not engineered.withheld
    (one,) = engineered.series
    return one, engineered.findings


def withheld(frames, config=None, as_of=AS_OF):
    engineered = engineer(pd.concat(frames, ignore_index=True), config or ForecastConfig(), as_of)
    return {one.ticker: (one.kind, one.message) for one in engineered.withheld}


def test_a_series_has_open_and_range_as_in_the_file(make_prices) -> None:
    rows = make_prices(rows=30)
    one, findings = only([rows])
    np.testing.assert_array_equal(one.open, rows["open"])
    np.testing.assert_array_equal(one.range, rows["high"] - rows["low"])
    assert (one.rows, one.cutoff, one.stale, findings) == (30, AS_OF, 0, ())


def test_parkinsons_variance_by_hand(make_prices) -> None:
    one, _ = only([make_prices(rows=30)])
    assert one.variance[3] == pytest.approx(np.log(one.high[3] / one.low[3]) ** 2 / (4 * np.log(2)))


def test_forecasts_start_from_a_usable_close(make_prices) -> None:
    rows = make_prices(rows=30)
    one, _ = only([rows])
    assert one.anchor == "close"
    np.testing.assert_array_equal(one.anchor_price, rows["close"])


def test_without_a_close_they_start_from_where_the_range_says_that_the_session_ended(make_prices) -> None:
    rows = make_prices(rows=30).assign(close=np.nan)
    one, findings = only([rows])
    assert (one.anchor, one.close, findings) == ("range", None, ())
    up, down = np.log(rows["high"] / rows["open"]), np.log(rows["open"] / rows["low"])
    np.testing.assert_allclose(one.anchor_price, rows["open"] * np.exp(0.80 * up - 0.75 * down))


@pytest.mark.parametrize("anchor", ["open", "range"])
def test_the_anchor_asked_for_is_taken_whatever_the_close(make_prices, anchor) -> None:
    one, findings = only([make_prices(rows=30)], ForecastConfig(calendar="24/7", anchor=anchor))
    assert (one.anchor, findings) == (anchor, ())


def test_the_tutorial_starts_from_the_open_where_no_close_is_usable(make_prices) -> None:
    rows = make_prices(rows=30).assign(close=np.nan)
    one, _ = only([rows], ForecastConfig(calendar="24/7", preset="tutorial"))
    assert one.anchor == "open"


def test_a_close_on_another_basis_is_not_used_and_that_is_said(make_prices) -> None:
    rows = make_prices(rows=100)
    rows["close"] = rows["close"].where(rows.index >= 40, 2 * rows["close"])
    one, (finding,) = only([rows])
    assert (one.anchor, one.close) == ("range", None)
    assert finding.kind == "close"
    assert "40 of 100 rows" in finding.message


def test_one_stray_close_is_blanked_and_the_rest_used(make_prices) -> None:
    rows = make_prices(rows=200)
    rows.loc[50, "close"] = 2 * rows.loc[50, "high"]
    one, _ = only([rows])
    assert one.anchor == "close"
    assert np.flatnonzero(np.isnan(one.anchor_price)).tolist() == [50]


def test_without_the_last_close_there_is_nothing_to_start_from_but_the_range(make_prices) -> None:
    rows = make_prices(rows=200)
    rows.loc[199, "close"] = np.nan
    one, (finding,) = only([rows])
    assert one.anchor == "range"
    assert "last row" in finding.message


def test_a_close_beyond_the_range_by_rounding_is_usable(make_prices) -> None:
    rows = make_prices(rows=30)
    one, _ = only([rows.assign(close=rows["high"] * 1.0005)])
    assert one.anchor == "close"


def test_the_anchor_may_be_asked_for(make_prices) -> None:
    rows = make_prices(rows=30)
    one, _ = only([rows], ForecastConfig(anchor="open"))
    assert one.anchor == "open"
    assert one.close is not None  # for last_close, which is scored beside it
    assert only([rows], ForecastConfig(anchor="close"))[0].anchor == "close"
    kind, message = withheld([rows.assign(close=np.nan)], ForecastConfig(anchor="close"))["AAA"]
    assert kind == "no usable close"
    assert "--anchor close" in message


def test_a_split_is_found_reported_and_adjusted(make_prices) -> None:
    rows = make_prices(rows=120)
    old = rows.index < 70
    for name in ("open", "high", "low", "close"):
        rows[name] = rows[name].where(~old, 2 * rows[name])
    one, (finding,) = only([rows])
    assert [(split.ratio, split.index) for split in one.splits] == [(Fraction(2), 70)]
    assert finding.kind == "split"
    assert "2:1" in finding.message
    assert str(rows["date"][70].date()) in finding.message
    np.testing.assert_array_equal(one.factor, np.where(old, 0.5, 1.0))
    np.testing.assert_array_equal(one.open, rows["open"])  # as in the file


@pytest.mark.parametrize("spoil", ["five", "constant", "exploding", "vanishing", "year"])
def test_who_cannot_be_forecast_is_withheld_by_name_and_hurts_no_other(make_prices, spoil) -> None:
    good, bad = make_prices("GOOD", 60), make_prices("BAD", 60, seed=1)
    prices = ["open", "high", "low", "close"]
    match spoil:
        case "five":
            bad = bad.tail(5)
        case "constant":
            bad[prices] = 7.0
        case "exploding":
            bad[prices] *= (1e-8 * 10.0 ** np.arange(60))[:, None]
        case "vanishing":
            bad[prices] *= 1e-300
        case "year":
            bad = make_prices("BAD", 60, seed=1, end="2023-06-28")
    engineered = engineer(pd.concat([bad, good], ignore_index=True), ForecastConfig(), AS_OF)
    (reason,) = engineered.withheld
    assert reason.ticker == "BAD"
    assert reason.message.startswith("BAD: ")
    kinds = {"five": "too short", "year": "stale", "vanishing": "exploding"}
    assert reason.kind == kinds.get(spoil, spoil)
    (one,) = engineered.series
    alone, _ = only([good])
    for name in ("open", "high", "low", "close", "factor", "dates"):
        np.testing.assert_array_equal(getattr(one, name), getattr(alone, name))


def test_a_history_must_hold_some_changes_over_the_longest_step(make_prices) -> None:
    rows = make_prices(rows=40)
    assert only([rows], ForecastConfig(horizon=30))[0].rows == 40
    kind, message = withheld([rows], ForecastConfig(horizon=31))["AAA"]
    assert kind == "too short"
    assert "41" in message


@pytest.mark.parametrize(("lag", "published"), [(0, True), (1, True), (5, True), (6, False), (300, False)])
def test_a_ticker_may_lag_a_little(make_prices, lag, published) -> None:
    late = make_prices("LATE", 60, end=str(AS_OF - timedelta(days=lag)))
    frames = pd.concat([late, make_prices("ZZZ", 400)], ignore_index=True)
    engineered = engineer(frames, ForecastConfig(calendar="24/7"), AS_OF)
    by_name = {one.ticker: one for one in engineered.series}
    assert by_name["ZZZ"].stale == 0
    if published:
        assert by_name["LATE"].stale == lag
        assert [finding.kind for finding in engineered.findings] == ["stale"] * (lag > 0)
    else:
        (reason,) = engineered.withheld
        assert (reason.ticker, reason.kind) == ("LATE", "stale")
        assert f"{lag} sessions" in reason.message
        assert "--stale-after 5" in reason.message


def test_a_lag_is_counted_in_sessions_of_the_calendar_whatever_rows_the_others_have(make_prices) -> None:
    rows = make_prices(rows=60)  # to Friday the 28th
    coin = make_prices("COIN", 60, end="2024-07-05")  # on weekends and the 4th of July, too
    for frames in ([rows], [rows, coin]):
        for as_of, lag in ((date(2024, 6, 30), 0), (date(2024, 7, 3), 3), (date(2024, 7, 4), 3), (date(2024, 7, 5), 4)):
            upto = [frame[frame["date"].dt.date <= as_of] for frame in frames]
            engineered = engineer(pd.concat(upto, ignore_index=True), ForecastConfig(), as_of)
            assert {one.ticker: one.stale for one in engineered.series}["AAA"] == lag
    assert withheld([rows], as_of=date(2024, 12, 31))["AAA"][0] == "stale"
