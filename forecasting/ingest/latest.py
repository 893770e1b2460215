"""Which date `latest` is: the last one that the tickers share, so that one stray late date moves nothing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from forecasting.ingest.table import IntArray

__all__ = ["FAR", "last_dates", "shared_day"]

FAR = 14
"""Ten sessions in days: a ticker that ends so long before the others is not current, one that ends after is doubted."""
_COMPANY = 0.05
"""Fewer tickers than this share of all, ending within ten sessions of each other, decide nothing for the others."""
_FEW = 3
_STEPS = 5


def shared_day(prices: pd.DataFrame) -> date:
    """Return the last date that the tickers share.

    That is the latest date that more than half of the current tickers have reached. A ticker is current when it ended
    within ten sessions of the newest date at which at least two tickers (and one in twenty) ended together: the dead
    tickers of an old archive have no say, and neither has one ticker alone far ahead. A ticker whose last one to three
    rows come after a hole of more than ten sessions does not vote while others do: a mistyped date leaves a hole
    before it. With one ticker it is that ticker's last date, with two that agree within ten sessions the earlier.

    Parameters
    ----------
    prices
        Columns ticker and date, sorted by both (`forecasting.ingest.prices`).
    """
    days = prices["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    ends = _ends(prices)
    starts = np.concatenate([[0], ends[:-1] + 1])
    strays = [_stray(days[start : end + 1]) for start, end in zip(starts, ends, strict=True)]
    lasts = np.sort(days[ends])
    votes = np.sort(days[ends[~np.array(strays)]]) if not all(strays) else lasts
    company = np.searchsorted(votes, votes, side="right") - np.searchsorted(votes, votes - FAR)
    enough = company >= max(2, _COMPANY * len(votes))
    newest = votes[enough].max() if enough.any() else votes.max()
    current = votes[(votes >= newest - FAR) & (votes <= newest)]
    return date.fromordinal(int(current[(len(current) - 1) // 2]) + date(1970, 1, 1).toordinal())


def last_dates(prices: pd.DataFrame) -> dict[str, date]:
    """Return each ticker's last date; `prices` as for `shared_day`."""
    last = prices.iloc[_ends(prices)]
    return {str(ticker): when.date() for ticker, when in zip(last["ticker"], last["date"], strict=True)}


def _ends(prices: pd.DataFrame) -> IntArray:
    """Find each ticker's last row."""
    codes = pd.factorize(prices["ticker"])[0]
    ends: IntArray = np.flatnonzero(np.append(codes[1:] != codes[:-1], True))
    return ends


def _stray(days: IntArray) -> bool:
    """Whether a ticker's last few rows come after a hole, by far its usual step."""
    steps = np.diff(days)
    if len(steps) <= _FEW:
        return False
    return bool((steps[-_FEW:] > max(FAR, _STEPS * float(np.median(steps)))).any())
