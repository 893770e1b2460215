"""Running a published date again: ``python -m forecasting verify STORE --as-of D``."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

from forecasting.ingest.prices import read_prices
from forecasting.pipeline import forecast_bytes
from forecasting.reproduce import verify
from forecasting.store.store import Store

__all__ = ["run_verify"]


def run_verify(store: Path, *, as_of: date, prices: str | None = None) -> int:
    """Run a published date again and say whether the same forecasts come out; nothing in the store changes.

    Parameters
    ----------
    store
        The folder in which the forecasts were published.
    as_of
        The published date.
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
    result = verify(opened, as_of, prices, read=read_prices, rerun=forecast_bytes)
    lines = [f"as of {as_of}: {'identical' if result.identical else 'differs'}"]
    lines += [f"  {difference}" for difference in result.differences]
    lines += [f"  note: {note}" for note in result.notes]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if result.identical else 1
