"""Prices from a data frame, for those who have them in memory already."""

from __future__ import annotations

import pandas as pd

from forecasting.frame_checks import check_prices
from forecasting.ingest.prices import Ingested

__all__ = ["prices_from_frame"]


def prices_from_frame(frame: pd.DataFrame) -> Ingested:
    """Take daily prices from a data frame, as `forecasting.ingest.prices.read_prices` takes them from CSV.

    Parameters
    ----------
    frame
        Columns ticker, date, open, high and low, and close and volume where there are any, in any order of rows. It is
        not changed. Dates are dates or timestamps at midnight without a time zone.

    Raises
    ------
    InputError
        When a column is missing or of another type, a price is not a positive number, High is below Low, or a ticker
        has two rows of one date; it names the row.
    """
    return Ingested(prices=check_prices(frame), findings=(), refused=(), inputs=())
