"""Price frames that come in, and forecasts that go out: what would mislead does not pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from forecasting.config import QUANTILE_COLUMNS
from forecasting.errors import InputError
from forecasting.frame_checks import check_forecasts, check_prices
from forecasting.schemas import FORECASTS, as_table


def forecasts(rows=4):
    quantiles = {name: 100.0 + k + np.arange(rows) for k, name in enumerate(QUANTILE_COLUMNS)}
    return pd.DataFrame(
        {
            "ticker": "GOOG",
            "cutoff": pd.Timestamp("2016-12-30"),
            "target_date": pd.bdate_range("2017-01-03", periods=rows),
            "step": np.arange(1, rows + 1),
            "model": "lstm",
            "reason": None,
            "anchor": "close",
            "anchor_price": 771.82,
            "forecast": quantiles["q50"],
            **quantiles,
        }
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q05": np.nan}, "finite"),
        ({"q95": np.inf}, "finite"),
        ({"anchor_price": np.inf}, "finite"),
        ({"q05": 1e6}, "decrease"),
        ({"forecast": 1.0}, "median"),
        ({"target_date": pd.Timestamp("2016-12-30")}, "after its cutoff"),
        ({"step": 1}, "twice"),
    ],
)
def test_forecasts_that_would_mislead_are_stopped(change, message):
    check_forecasts(as_table(forecasts(), FORECASTS))
    frame = forecasts().assign(**change)
    nullable = pa.schema([field.with_nullable(True) for field in FORECASTS])
    with pytest.raises(ValueError, match=message):
        check_forecasts(pa.Table.from_pandas(frame, schema=nullable, preserve_index=False))


def test_no_forecasts_at_all_are_a_valid_table():
    check_forecasts(as_table(forecasts().iloc[:0], FORECASTS))


def test_each_broken_rule_is_named_with_a_ticker():
    frame = forecasts()
    frame.loc[2, ["ticker", "q05"]] = "IBM", 1e6
    frame.loc[3, ["ticker", "forecast"]] = "MSFT", 1.0
    with pytest.raises(ValueError, match=r"quantiles decrease \(IBM\); forecast is not the median \(MSFT\)"):
        check_forecasts(as_table(frame, FORECASTS))


def prices(**change):
    days = pd.bdate_range("2024-01-01", periods=4)
    opened = [10.0, 11.0, 12.0, 13.0]
    frame = pd.DataFrame({"date": days, "high": [20.0] * 4, "open": opened, "low": [5.0] * 4, "ticker": "GOOG"})
    return frame.assign(**change)


def test_prices_come_back_sorted_and_complete():
    frame = prices()
    before = frame.copy()
    checked = check_prices(frame.iloc[::-1])
    assert checked.columns.tolist() == ["ticker", "date", "open", "high", "low", "close", "volume"]
    assert checked["date"].is_monotonic_increasing
    assert checked[["close", "volume"]].isna().all(axis=None)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"open": [1.0, -2.0, 3.0, 4.0]}, r"open: is not a positive number \(-2.0 in row 1\)"),
        ({"high": np.inf}, "high: is not a positive number"),
        ({"open": [1.0, 2.0, np.nan, 4.0]}, "open: is missing .*row 2"),
        ({"open": ["7,5", 1, 2, 3]}, r"open: is not of the right type \(7,5 in row 0\)"),
        ({"low": 30.0}, "high is below low"),
        ({"date": pd.Timestamp("2024-01-01")}, "two rows of this date"),
        ({"date": pd.date_range("2024-01-01 16:00", periods=4)}, "date: has a time of day"),
        ({"date": pd.date_range("2024-01-01", periods=4, tz="UTC")}, "date: is not datetime64 without a zone"),
        ({"date": ["01/02/2024", "01/03/2024", "01/04/2024", "01/05/2024"]}, "date: is not datetime64"),
        ({"ticker": ["A", "A", "A", None]}, "ticker: is missing"),
        ({"ticker": ""}, "ticker: is empty"),
        ({"adjusted": 1.0}, r"column too many \(adjusted\)"),
    ],
)
def test_a_frame_that_is_not_a_price_history_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        check_prices(prices(**change))


def test_a_missing_column_is_named():
    with pytest.raises(InputError, match=r"a column is missing \(open\)"):
        check_prices(prices().drop(columns="open"))
