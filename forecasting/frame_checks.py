"""The rules that readers of a table rely on, declared once and checked where the table enters or leaves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandas.api.types import is_datetime64_dtype
from pandera.errors import SchemaErrors

from forecasting.config import QUANTILE_COLUMNS
from forecasting.errors import InputError

__all__ = ["PRICES", "PUBLISHED_FORECASTS", "check_forecasts", "check_prices"]

_QUANTILES = list(QUANTILE_COLUMNS)


def _not_decreasing(rows: pd.DataFrame) -> pd.Series:
    return pd.Series((np.diff(rows[_QUANTILES].to_numpy(), axis=1) >= 0).all(axis=1), index=rows.index)


def _finite() -> pandera.Check:
    return pandera.Check(np.isfinite, ignore_na=False, error="a forecast is not finite")


def _price() -> pandera.Check:
    return pandera.Check(lambda prices: (prices > 0) & np.isfinite(prices), error="is not a positive number")


def _midnight() -> pandera.Check:
    return pandera.Check(lambda dates: dates == dates.dt.normalize(), error="has a time of day")


PRICES = pandera.DataFrameSchema(
    {
        "ticker": pandera.Column(str, pandera.Check.str_length(min_value=1, error="is empty"), coerce=True),
        # Text is not converted: 01/02/2024 would have to be guessed.
        "date": pandera.Column(
            None, [pandera.Check(is_datetime64_dtype, error="is not datetime64 without a zone"), _midnight()]
        ),
        **{name: pandera.Column(float, _price(), coerce=True) for name in ("open", "high", "low")},
        "close": pandera.Column(float, _price(), coerce=True, nullable=True),
        "volume": pandera.Column(float, coerce=True, nullable=True),
    },
    checks=[
        pandera.Check(lambda rows: rows["high"] >= rows["low"], error="high is below low"),
        pandera.Check(lambda rows: ~rows.duplicated(["ticker", "date"]), error="a ticker has two rows of this date"),
    ],
    strict=True,
)
"""The long frame of all later stages: one row per ticker and date, prices positive, High not below Low."""

PUBLISHED_FORECASTS = pandera.DataFrameSchema(
    {name: pandera.Column(float, _finite(), nullable=True) for name in ("anchor_price", *_QUANTILES)},
    checks=[
        pandera.Check(_not_decreasing, error="quantiles decrease"),
        pandera.Check(lambda rows: rows["forecast"] == rows["q50"], error="forecast is not the median"),
        pandera.Check(lambda rows: rows["target_date"] > rows["cutoff"], error="a target date is not after its cutoff"),
        pandera.Check(lambda rows: ~rows.duplicated(["ticker", "step"]), error="a ticker has a step twice"),
    ],
)
"""forecasts.parquet: finite prices, quantiles that do not decrease, targets after the cutoff, one row per step."""


def check_forecasts(table: pa.Table) -> None:
    """Check that a forecasts table keeps the rules that readers rely on: the last check before it is published.

    Raises
    ------
    ValueError
        When a price is not finite, quantiles decrease, `forecast` is not the median, a target is not after its cutoff,
        or a ticker has a step twice; the message names each broken rule and the first ticker that breaks it.
    """
    rows = table.to_pandas()
    try:
        PUBLISHED_FORECASTS.validate(rows, lazy=True)
    except SchemaErrors as error:
        first = error.failure_cases.drop_duplicates("check")
        broken = [f"{check} ({rows['ticker'][row]})" for check, row in zip(first["check"], first["index"], strict=True)]
        raise ValueError("; ".join(broken)) from None


_RULES = {
    "column_in_dataframe": "a column is missing",
    "column_in_schema": "there is a column too many",
    "not_nullable": "is missing",
    "coerce_dtype": "is not of the right type",
}
"""pandera's built-in checks, in words."""


def check_prices(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a sorted copy of a price frame in the form of `PRICES`; a missing close or volume becomes NaN.

    Raises
    ------
    InputError
        When the frame does not have that form; the message names the first wrong row.
    """
    absent = {name: np.nan for name in ("close", "volume") if name not in frame.columns}
    try:
        checked = PRICES.validate(frame.assign(**absent).reset_index(drop=True), lazy=True)
    except SchemaErrors as error:
        first = error.failure_cases.iloc[0]
        rule = _RULES.get(str(first["check"]).split("(")[0], first["check"])
        what = f"{first['column']}: {rule}" if first["schema_context"] == "Column" else rule
        row = "" if pd.isna(first["index"]) else f" in row {first['index']}"
        raise InputError(
            f"the price frame is not usable: {what} ({first['failure_case']}{row})",
            setting="see forecasting.frame_checks.PRICES",
        ) from None
    ordered = checked[list(PRICES.columns)].sort_values(["ticker", "date"], ignore_index=True)
    return ordered.astype({"ticker": "str", "date": "datetime64[s]"})
