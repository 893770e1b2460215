"""Running a published date again: ``daily-forecast verify STORE --as-of D``."""

from __future__ import annotations

import sys
from pathlib import Path

from forecasting.commands import DONE, FAILED
from forecasting.config import parse_as_of
from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices
from forecasting.pipeline import forecast_bytes
from forecasting.reproduce import verify
from forecasting.store.store import Store

__all__ = ["run_verify"]


def run_verify(store: Path, *, as_of: str = "latest", prices: str | None = None) -> int:
    """Run a published date again and say whether the same forecasts come out; nothing in the store changes.

    Parameters
    ----------
    store
        The folder in which the forecasts were published.
    as_of
        The published date, YYYY-MM-DD, or latest.
    prices
        Where the price files are now, as for the forecast; where they were then when not given.

    Returns
    -------
    int
        The exit status: 0 when they are identical, 1 when something differs.

    Raises
    ------
    InputError
        When there is nothing published, or the input cannot be read.
    """
    opened = Store(store, create=False)
    day = parse_as_of(as_of) if as_of != "latest" else opened.latest()
    if day is None or isinstance(day, str):
        raise InputError("nothing is published here that could be verified", file=str(store))
    result = verify(opened, day, prices, read=read_prices, rerun=forecast_bytes)
    lines = [f"as of {day}: {'identical' if result.identical else 'differs'}"]
    lines += [f"  {difference}" for difference in result.differences]
    lines += [f"  note: {note}" for note in result.notes]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE if result.identical else FAILED
