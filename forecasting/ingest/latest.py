"""Which date `latest` is: the last one that the tickers share, so that one wrong late date changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import numpy as np
import pandas as pd

from forecasting.arrays import IntArray, date_of

__all__ = ["FAR", "ending", "far_ahead", "last_shared", "shared_day"]

FAR = 14  # ten sessions: a ticker that ends so long before the others is not current, one that ends after is doubted
_COMPANY = 0.1  # fewer tickers than this share of all, ending within ten sessions, decide nothing for the others
_FEW, _STEPS = 3, 5


def shared_day(prices: pd.DataFrame) -> date:
    """Return the last date that the tickers share.

    That is the latest date that more than half of the current tickers have reached. A ticker is current when it ended
    within ten sessions of the newest date at which at least two tickers (and one in ten) ended together: the dead
    tickers of an old archive have no say, and neither has one ticker alone far ahead. A ticker whose last one to three
    rows come after a hole of more than ten sessions does not vote while others do: a mistyped date leaves a hole
    before it. With one ticker it is that ticker's last date, with two that agree within ten sessions the earlier.
    """
    days = prices["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    starts = np.flatnonzero(prices["ticker"] != prices["ticker"].shift())
    return date_of(last_shared(map(ending, np.split(days, starts[1:]))))


def last_shared(ends: Iterable[tuple[int, bool]]) -> int:
    """Compute `shared_day` from each ticker's last day, and whether that comes after such a hole (`ending`)."""
    ends = list(ends)
    votes = np.sort([last for last, stray in ends if not stray] or [last for last, _ in ends])
    company = np.searchsorted(votes, votes, side="right") - np.searchsorted(votes, votes - FAR)
    enough = company >= max(2, _COMPANY * len(votes))
    newest = votes[enough].max() if enough.any() else votes.max()
    current = votes[(votes >= newest - FAR) & (votes <= newest)]
    return int(current[(len(current) - 1) // 2])


def far_ahead(ticker: str, last: int, shared: int) -> str:
    """Say that a ticker's last day is far beyond the one that the tickers share."""
    when, day = np.datetime64(int(last), "D"), np.datetime64(int(shared), "D")
    return f"the last date of {ticker}, {when}, is far beyond {day}, the last date that the tickers share"


def ending(days: IntArray) -> tuple[int, bool]:
    """Return a ticker's last day, and whether one of the last few steps is a hole, far longer than its usual step."""
    steps = np.diff(days)
    stray = len(steps) > _FEW and (steps[-_FEW:] > max(FAR, _STEPS * float(np.median(steps)))).any()
    return int(days[-1]), bool(stray)
