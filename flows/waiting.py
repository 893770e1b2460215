"""Waiting for the session that is due, when the data do not hold it yet."""

from __future__ import annotations

import logging
import time
from datetime import date
from pathlib import Path

from flows.options import Options
from flows.sessions import Due, settle
from flows.stopping import result_of
from flows.tasks import ingest
from forecasting.errors import InputError
from forecasting.ingest.files import find_files
from forecasting.ingest.latest import shared_day
from forecasting.ingest.prices import Ingested

__all__ = ["ingest_session", "last_day"]

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks at the files, at most; a short deadline has twenty."""

Seen = tuple[tuple[Path, int, int], ...]


def ingest_session(options: Options, due: Due) -> tuple[Ingested, date, bool]:
    """Ingest, again whenever the files change, until they hold the run's session or the deadline is over.

    Returns
    -------
    tuple
        What was read, the date to forecast as of, and whether the data hold the run's own session.

    Raises
    ------
    InputError
        When nothing is usable at the deadline.
    """
    over = time.monotonic() + 60 * options.data_deadline
    told = False
    while True:
        seen = _look(options.prices)
        try:
            ingested = result_of(ingest(options, due.newest))
        except InputError:
            if time.monotonic() >= over:
                raise
        else:
            as_of, held = settle(due, shared_day(ingested.prices), options.calendar, options.stale_after)
            if held and as_of < last_day(ingested):
                ingested = result_of(ingest(options, as_of))  # a few tickers are ahead of the others
            if held or time.monotonic() >= over:
                return ingested, as_of, held
        if not told:
            minutes = f"{options.data_deadline:g} min"
            log.warning("%s has no rows of %s yet; waiting up to %s", options.prices, due.own, minutes)
            told = True
        _wait_for_change(options.prices, seen, over, min(LOOK_EVERY, 3 * options.data_deadline))


def last_day(ingested: Ingested) -> date:
    """Return the newest date that was read."""
    newest: date = ingested.prices["date"].max().date()
    return newest


def _wait_for_change(prices: str, seen: Seen, over: float, every: float) -> None:
    while _look(prices) == seen and time.monotonic() < over:
        time.sleep(max(0.1, min(every, over - time.monotonic())))


def _look(prices: str) -> Seen:
    try:
        return tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in find_files(prices))
    except (InputError, OSError):
        return ()
