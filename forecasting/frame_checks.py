"""What readers of a table rely on, declared once and checked at the door where the table passes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pandera.pandas as pandera
import pyarrow as pa
from pandera.errors import SchemaErrors

from forecasting.config import QUANTILE_COLUMNS

__all__ = ["PUBLISHED", "check_forecasts"]

_QUANTILES = list(QUANTILE_COLUMNS)


def _not_decreasing(rows: pd.DataFrame) -> pd.Series:
    return pd.Series((np.diff(rows[_QUANTILES].to_numpy(), axis=1) >= 0).all(axis=1), index=rows.index)


def _finite() -> pandera.Check:
    return pandera.Check(np.isfinite, ignore_na=False, error="a forecast is not finite")


PUBLISHED = pandera.DataFrameSchema(
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
    """Hold a forecasts table to what its readers rely on, as the last gate before it is published.

    Raises
    ------
    ValueError
        When a price is not finite, quantiles decrease, `forecast` is not the median, a target is not after its cutoff,
        or a ticker has a step twice; it names each rule that is broken and the first ticker that breaks it.
    """
    rows = table.to_pandas()
    try:
        PUBLISHED.validate(rows, lazy=True)
    except SchemaErrors as error:
        first = error.failure_cases.drop_duplicates("check")
        broken = [f"{check} ({rows['ticker'][row]})" for check, row in zip(first["check"], first["index"], strict=True)]
        raise ValueError("; ".join(broken)) from None
