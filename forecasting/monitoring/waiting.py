"""Which published forecasts wait for their score: an index, so that the cost of scoring depends on what is due.

The index is made from the store's files, and can be made again from them: a date is read again when its forecasts or
scores are not the files that its entry was made from, and a missing or damaged index counts as empty.
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
    """The forecasts published as of one date that wait for their score.

    Attributes
    ----------
    forecasts, scores
        Versions of the files that this was made from (`places.Entry`); ``scores`` is None where there is no such file.
    targets
        Each target session without a score, with its tickers.
    """

    model_config = ConfigDict(frozen=True)

    forecasts: str | None
    scores: str | None
    targets: dict[date, tuple[str, ...]]

    def is_due(self, known: dict[date, set[str]]) -> bool:
        """Whether any of its target sessions has a row now; ``known`` has the tickers of each session."""
        return any(not known.get(day, set()).isdisjoint(tickers) for day, tickers in self.targets.items())


class Waiting(BaseModel):
    """The index: the forecasts that wait, by date of publication."""

    model_config = ConfigDict(frozen=True)

    dates: dict[date, WaitingDate] = {}

    def is_current(self, day: date, versions: Mapping[str, str]) -> bool:
        """Whether a date's entry was made from these files: versions by name (`places.Entry`)."""
        entry = self.dates.get(day)
        now = versions.get(paths.forecasts(day)), versions.get(paths.scores(day))
        return entry is not None and (entry.forecasts, entry.scores) == now

    def due(self, prices: pd.DataFrame, dates: Iterable[date]) -> list[date]:
        """Return the dates that have a forecast whose target session is in the prices."""
        waiting = {day: self.dates[day] for day in dates}
        targets = pd.DatetimeIndex(sorted({target for one in waiting.values() for target in one.targets}))
        rows = prices.loc[prices["date"].isin(targets), ["ticker", "date"]]
        known: dict[date, set[str]] = {}
        for ticker, day in zip(rows["ticker"], rows["date"].dt.date, strict=True):
            known.setdefault(day, set()).add(ticker)
        return [day for day, one in waiting.items() if one.is_due(known)]

    def rows(self, dates: Iterable[date]) -> pd.DataFrame:
        """List what waits of these dates: columns as_of, target_date and ticker."""
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
    """Read a store's index; an empty one where it is missing or damaged."""
    try:
        return Waiting.model_validate_json(store.read(INDEX))
    except (OSError, ValidationError):
        return Waiting()


def write_index(store: Store, index: Waiting) -> None:
    """Write a store's index, under its lock.

    Raises
    ------
    OSError
        When it cannot be written; an existing index is unchanged.
    """
    store.write(INDEX, index.model_dump_json().encode())
