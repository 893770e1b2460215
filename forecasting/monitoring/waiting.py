"""Which published forecasts wait for their score: an index, so that scoring costs what is due and not what is stored.

The index is made from the store's files and can be made again from them: a date whose forecasts or scores are not the
files that it was made from is read again, and an index that is missing or damaged is an empty one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from forecasting.store import paths
from forecasting.store.store import Store

__all__ = ["INDEX", "Waiting", "WaitingDate", "read_index", "write_index"]

INDEX = ".index/waiting.json"
"""The index's name in the store."""


class WaitingDate(BaseModel):
    """What waits of the forecasts published as of one date.

    Attributes
    ----------
    forecasts, scores
        Versions of the files that this was made from (`places.Entry`); ``scores`` is None where there are none.
    targets
        Each target session that has no score yet, with its tickers.
    """

    model_config = ConfigDict(frozen=True)

    forecasts: str | None
    scores: str | None
    targets: dict[date, tuple[str, ...]]

    def is_due(self, known: dict[date, set[str]]) -> bool:
        """Whether any of its target sessions has a row by now, ``known`` naming the tickers of each session."""
        return any(not known.get(day, set()).isdisjoint(tickers) for day, tickers in self.targets.items())


class Waiting(BaseModel):
    """The index: what waits, by date of publication."""

    model_config = ConfigDict(frozen=True)

    dates: dict[date, WaitingDate] = {}

    def is_current(self, day: date, versions: Mapping[str, str]) -> bool:
        """Whether what it holds of a date was made from these files: names to versions (`places.Entry`)."""
        entry = self.dates.get(day)
        now = versions.get(paths.forecasts(day)), versions.get(paths.scores(day))
        return entry is not None and (entry.forecasts, entry.scores) == now

    def due(self, prices: pd.DataFrame, dates: Iterable[date]) -> list[date]:
        """Return those of ``dates`` that have a forecast whose target session is in the prices."""
        waiting = {day: self.dates[day] for day in dates}
        targets = pd.DatetimeIndex(sorted({target for one in waiting.values() for target in one.targets}))
        rows = prices.loc[prices["date"].isin(targets), ["ticker", "date"]]
        known: dict[date, set[str]] = {}
        for ticker, day in zip(rows["ticker"], rows["date"].dt.date, strict=True):
            known.setdefault(day, set()).add(ticker)
        return [day for day, one in waiting.items() if one.is_due(known)]

    def rows(self, dates: Iterable[date]) -> pd.DataFrame:
        """Lay out what waits of these dates: columns as_of, target_date and ticker."""
        records = [
            (day, target, ticker)
            for day in dates
            for target, tickers in self.dates[day].targets.items()
            for ticker in tickers
        ]
        return pd.DataFrame.from_records(records, columns=["as_of", "target_date", "ticker"])

    def replaced(self, changed: dict[date, WaitingDate]) -> Waiting:
        """Return the index with these dates' entries in it."""
        return Waiting(dates=dict(sorted({**self.dates, **changed}.items())))


def read_index(store: Store) -> Waiting:
    """Read a store's index; an empty one where there is none that can be read."""
    try:
        return Waiting.model_validate_json(store.read(INDEX))
    except (OSError, ValidationError):
        return Waiting()


def write_index(store: Store, index: Waiting) -> None:
    """Write a store's index, under its lock.

    Raises
    ------
    OSError
        When it cannot be written; the one there, if any, is as it was.
    """
    store.write(INDEX, index.model_dump_json().encode())
