"""One file per day for the whole exchange: many files of one date each, read as one table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.ingest.names import PRICES
from forecasting.ingest.table import LINES, Table

__all__ = ["is_one_day", "joined"]


def is_one_day(table: Table) -> bool:
    """Whether a table is a day of an exchange: several tickers, named in a column, and one date."""
    return "ticker" in table.names and len(table) > 1 and bool((table.days == table.days[0]).all())


def joined(days: Sequence[tuple[str, Table]]) -> Table | None:
    """Join the tables of single days; None when no ticker has more than one of them.

    A row's line becomes that of its file, and its file's place, as one number (`forecasting.ingest.table.where`).
    """
    names = sorted({table.tickers[code] for _, table in days for code in np.unique(table.codes)})
    if len(names) == sum(len(np.unique(table.codes)) for _, table in days):
        return None
    places = {name: place for place, name in enumerate(names)}
    tables = [table for _, table in days]
    lines = np.concatenate([at * LINES + table.lines() for at, table in enumerate(tables)])
    codes = [np.array([places.get(name, -1) for name in table.tickers])[table.codes] for table in tables]
    return Table(
        tickers=names,
        codes=np.concatenate(codes),
        days=np.concatenate([table.days for table in tables]),
        prices={role: np.concatenate([table.prices[role] for table in tables]) for role in PRICES},
        lines=lambda: lines,
        names=tables[0].names,
        weekdays=tables[0].weekdays,
        files=tuple(file for file, _ in days),
    ).take(np.argsort(np.concatenate([table.days for table in tables]), kind="stable"))
