"""The last gate before publishing: a table that would mislead its readers does not pass."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from forecasting.config import QUANTILE_COLUMNS
from forecasting.frame_checks import check_forecasts
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
