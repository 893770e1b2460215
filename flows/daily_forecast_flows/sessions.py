"""Which session a scheduled run is for: the newest one due, unless it is published, or no session fell due at all.

When the data do not hold that session yet, the run waits for it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from daily_forecast_flows.options import Options
from daily_forecast_flows.tasks import ingest, last_day, result_of
from forecasting.calendars import newest_due_session, target_sessions
from forecasting.errors import InputError
from forecasting.ingest.files import find_files
from forecasting.ingest.latest import shared_day
from forecasting.ingest.prices import Ingested
from forecasting.store.store import Store

__all__ = ["Due", "ingest_session", "is_settled", "nothing_to_do", "sessions_due", "settle"]

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks at the files, at most; a short deadline has twenty."""

Seen = tuple[tuple[Path, int, int], ...]


@dataclass(frozen=True, slots=True)
class Due:
    """The sessions that a scheduled run may be for.

    Attributes
    ----------
    own
        The newest session that had closed at the run's scheduled time.
    newest
        The newest that has closed by now; later than ``own`` when the run is late.
    fell_due
        Whether one of them closed in the day before the scheduled time; False on a holiday's tick.
    scheduled
        The scheduled time.
    """

    own: date
    newest: date
    fell_due: bool
    scheduled: datetime


def sessions_due(calendar: str, scheduled: datetime, now: datetime) -> Due:
    """Find the sessions due at the scheduled time and by now, both with their time zones.

    Raises
    ------
    InputError
        When there is no such calendar.
    """
    own = newest_due_session(calendar, scheduled)
    before = newest_due_session(calendar, scheduled - timedelta(days=1))
    return Due(own, newest_due_session(calendar, max(scheduled, now)), own > before, scheduled)


def nothing_to_do(due: Due, calendar: str, store: Store) -> str | None:
    """Say why a scheduled run has nothing to do; None when it has."""
    if not due.fell_due:
        told = f"no {calendar} session closed in the day before {due.scheduled:%Y-%m-%d %H:%M %Z}"
        if is_settled(store, due.newest):
            return f"Nothing to do: {told}, and the newest, {due.newest}, is published"
        return (
            f"Nothing to do: {told}; the newest, {due.newest}, is not published: run with as_of {due.newest} to do so"
        )
    if is_settled(store, due.newest):
        return f"Nothing to do: {due.newest}, the newest {calendar} session due, is published already"
    return None


def settle(due: Due, last: date | None, calendar: str, stale_after: int) -> tuple[date, bool]:
    """Choose the date to forecast as of, from what the data hold.

    Parameters
    ----------
    due
        The sessions that the run may be for.
    last
        The newest date in the data, up to ``due.newest``; None when there is none.
    stale_after
        Sessions that data may lag.

    Returns
    -------
    tuple
        The date, and whether the data hold the run's own session. A late run takes the newest session that the data
        hold. When they do not even hold its own, it is the newest date due for which they are not too stale.
    """
    if last is not None and last >= due.own:
        return last, True
    if last is None or due.newest in target_sessions(calendar, last, max(1, stale_after)):
        return due.newest, False
    return due.own, False


def is_settled(store: Store, session: date) -> bool:
    """Whether a session is published from its own rows; what was published as stale may be done again."""
    if not store.published(session):
        return False
    try:
        cutoffs = store.forecasts(session).column("cutoff").to_pylist()
    except InputError:
        return False
    return max(cutoffs, default=date.min) >= session


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
    reported = False
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
        if not reported:
            minutes = f"{options.data_deadline:g} min"
            log.warning("%s has no rows of %s yet; waiting up to %s", options.prices, due.own, minutes)
            reported = True
        _wait_for_change(options.prices, seen, over, min(LOOK_EVERY, 3 * options.data_deadline))


def _wait_for_change(prices: str, seen: Seen, over: float, every: float) -> None:
    while _look(prices) == seen and time.monotonic() < over:
        time.sleep(max(0.1, min(every, over - time.monotonic())))


def _look(prices: str) -> Seen:
    try:
        return tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in find_files(prices))
    except (InputError, OSError):
        return ()
