"""Which session a scheduled run is for, and waiting until its rows have arrived.

It is the newest session due, unless that is already published with all its rows, or no session was due at all.
"""

from __future__ import annotations

import logging
import time
from datetime import date, datetime
from pathlib import Path

from daily_forecast_flows.options import Options
from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.tasks import ingest, result_of
from forecasting.buckets import address_of
from forecasting.errors import InputError
from forecasting.formatting import pluralize
from forecasting.ingest.files import find_files
from forecasting.ingest.ingested import Ingested
from forecasting.ingest.latest import shared_day
from forecasting.monitoring.due import Due, awaited, has_come, is_whole, last_dates, sessions_due, settle
from forecasting.store.store import Store

__all__ = ["find_session"]

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks at the files, at most; within a short deadline there are twenty looks."""


def find_session(options: Options, store: Store, scheduled: datetime, now: datetime) -> tuple[Ingested, date] | Outcome:
    """Find the session that a scheduled run is for, and read its rows once they are there.

    Returns what was read and the date to forecast as of, or an outcome that says why there is nothing to do. An
    `InputError` says that there is no such calendar, or that nothing is usable at the deadline.
    """

    def idle(why: str, *, overdue: bool = False) -> Outcome:
        return Outcome("idle", f"Nothing to do: {why}", store, overdue=overdue)

    due = sessions_due(options.calendar, scheduled, now)
    newest = due.newest
    if not due.fell_due:
        closed = f"no {options.calendar} session closed in the day before {scheduled:%Y-%m-%d %H:%M %Z}"
        if store.published(newest):
            return idle(f"{closed}, and the newest, {newest}, is published")
        return idle(f"{closed}; the newest, {newest}, is not published: run with as_of {newest} to do so", overdue=True)
    if is_whole(store, newest):
        return idle(f"{newest}, the newest {options.calendar} session due, is published already")
    ingested, as_of = _wait_for_rows(options, due, store)
    if store.published(as_of) and not has_come(store, as_of, last_dates(ingested.prices)):
        return idle(f"{as_of} is published already, and no more of its rows have come")
    return ingested, as_of


def _wait_for_rows(options: Options, due: Due, store: Store) -> tuple[Ingested, date]:
    """Ingest, again whenever the files change, until the session's rows have arrived or the deadline is over.

    For a session that is already published there is no wait: such a run adds the rows that have arrived since.
    """
    patience = 0.0 if store.published(due.own) else 60 * options.data_deadline
    over = time.monotonic() + patience
    reported = ""
    while True:
        seen = _look(options.prices)
        try:
            ingested = result_of(ingest(options, due.newest))
        except InputError as error:
            if time.monotonic() >= over:
                raise
            missing = str(error)
        else:
            lasts = last_dates(ingested.prices)
            wanted = awaited(store, options.config(), due.own, lasts)
            come = {who for who in wanted if lasts.get(who, date.min) >= due.own}
            if len(come) >= max(1, options.data_share * len(wanted)) or time.monotonic() >= over:
                as_of = settle(due, shared_day(ingested.prices), options.calendar, options.stale_after)
                if as_of < ingested.last_day:
                    ingested = result_of(ingest(options, as_of))  # a few tickers are ahead of the others
                return ingested, as_of
            missing = f"{len(come)} of {pluralize(len(wanted), 'ticker')} have rows of {due.own}"
        if missing != reported:
            log.warning("%s: %s; waiting up to %.3g min", options.prices, missing, (over - time.monotonic()) / 60)
            reported = missing
        changed = False
        while not changed and time.monotonic() < over:
            time.sleep(max(0.1, min(LOOK_EVERY, patience / 20, over - time.monotonic())))
            # What is in a bucket is read again each time.
            changed = address_of(options.prices) is not None or _look(options.prices) != seen


def _look(prices: str) -> list[tuple[Path, int, int]]:
    """Return each file's time and size, which show whether it has changed."""
    try:
        return [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in find_files(prices)]
    except (InputError, OSError):
        return []
