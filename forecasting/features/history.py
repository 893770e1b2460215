"""One ticker's rows as in its file, cut out of the long frame, and what the rows up to any one of them show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.arrays import Array
from forecasting.features.splits import Split, find_splits

__all__ = ["Dates", "History", "histories", "rows_by_ticker", "usable_close"]

Dates = NDArray[np.datetime64]

CLOSE_SLACK = 0.001
"""How far a usable Close may be outside [Low, High], as a share of the price: only rounding."""

CLOSE_SHARE = 0.99
"""Share of rows whose Close must be inside [Low, High] for the Close to be on the Open's basis."""


@dataclass(frozen=True, eq=False)
class History:
    """One ticker's rows, oldest first, in the file's units; shape ``(rows,)`` each, NaN where there is no value."""

    ticker: str
    dates: Dates
    open: Array
    high: Array
    low: Array
    close: Array
    volume: Array
    _splits: dict[int, tuple[Split, ...]] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.dates)

    def row_of(self, days: Dates) -> NDArray[np.int64]:
        """Find the row of each date; -1 where there is none."""
        row = np.minimum(np.searchsorted(self.dates, days), len(self) - 1)
        return np.where(self.dates[row] == days, row, -1)

    def splits(self, row: int) -> tuple[Split, ...]:
        """Find the splits that the rows up to and including this one show, without any later row."""
        if row not in self._splits:
            columns = (self.dates, self.open, self.high, self.low, self.close, self.volume)
            self._splits[row] = find_splits(*(column[: row + 1] for column in columns))
        return self._splits[row]

    def closes(self, row: int) -> Array | None:
        """Give the Closes up to and including a row, or None where they were not usable then."""
        return usable_close(*(column[: row + 1] for column in (self.high, self.low, self.close)))[0]


def histories(prices: pd.DataFrame) -> Iterator[History]:
    """Cut the validated long frame (see `forecasting.ingest.prices`) into its tickers, in the order of their names.

    The prices are views of the frame's: nothing is copied.
    """
    dates = np.asarray(prices["date"].to_numpy(), dtype="datetime64[D]")
    columns = [prices[name].to_numpy(dtype=np.float64) for name in ("open", "high", "low", "close", "volume")]
    for ticker, rows in rows_by_ticker(prices):
        yield History(ticker, dates[rows], *(column[rows] for column in columns))


def rows_by_ticker(prices: pd.DataFrame) -> Iterator[tuple[str, slice]]:
    """Find where each ticker's rows are in a frame that is sorted by ticker."""
    names = prices["ticker"]
    starts = np.flatnonzero(names != names.shift())
    stops = np.append(starts, len(names))[1:]
    for ticker, start, stop in zip(names.iloc[starts], starts, stops, strict=True):
        yield str(ticker), slice(start, stop)


def usable_close(high: Array, low: Array, close: Array) -> tuple[Array | None, str | None]:
    """Decide whether Close is on the same basis as Open; give it without stray values, or say why it is not."""
    if np.isnan(close).all():
        return None, None
    slack = CLOSE_SLACK * high
    inside = (close >= low - slack) & (close <= high + slack)
    share = float(inside.mean())
    if share < CLOSE_SHARE:
        return None, f"Close is outside [Low, High] or missing on {int((~inside).sum())} of {len(close)} rows"
    if not inside[-1]:
        return None, "the last row's Close is outside [Low, High] or missing"
    return close if inside.all() else np.where(inside, close, np.nan), None
