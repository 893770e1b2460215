"""Which session a scheduled run is for, waiting until its rows are there, and who of the last publication is missing.

The session is the newest one due, unless it is published with all that the data hold, or no session fell due at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pandas as pd

from daily_forecast_flows.options import Options
from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.tasks import ingest, last_day, result_of
from forecasting.buckets import address_of
from forecasting.calendars import count_sessions, newest_due_session, target_sessions
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.formatting import pluralize
from forecasting.ingest.files import find_files
from forecasting.ingest.latest import shared_day
from forecasting.ingest.prices import Ingested
from forecasting.store.store import Store

__all__ = ["Due", "find_session", "notice_missing", "sessions_due", "settle"]

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0
"""Seconds between two looks at the files, at most; a short deadline has twenty."""


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
    """

    own: date
    newest: date
    fell_due: bool


def sessions_due(calendar: str, scheduled: datetime, now: datetime) -> Due:
    """Find the sessions due at the scheduled time and by now, both with their time zones."""
    own = newest_due_session(calendar, scheduled)
    before = newest_due_session(calendar, scheduled - timedelta(days=1))
    return Due(own, newest_due_session(calendar, max(scheduled, now)), own > before)


def settle(due: Due, last: date | None, calendar: str, stale_after: int) -> date:
    """Choose the date to forecast as of, from the last date that the tickers share, up to ``due.newest``.

    A late run takes the newest session that the data hold. When they do not even hold its own, it is the newest date
    due for which they are not more than ``stale_after`` sessions too old.
    """
    if last is not None and last >= due.own:
        return last
    if last is None or due.newest in target_sessions(calendar, last, max(1, stale_after)):
        return due.newest
    return due.own


def find_session(options: Options, store: Store, scheduled: datetime, now: datetime) -> tuple[Ingested, date] | Outcome:
    """Find the session that a scheduled run is for, and read its rows once they are there.

    Returns
    -------
    tuple or Outcome
        What was read and the date to forecast as of, or why there is nothing to do.

    Raises
    ------
    InputError
        When there is no such calendar, or nothing is usable at the deadline.
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
    if _is_whole(store, newest):
        return idle(f"{newest}, the newest {options.calendar} session due, is published already")
    ingested, as_of = _wait_for_rows(options, due, store)
    if store.published(as_of) and not _has_come(store, as_of, _last_dates(ingested.prices)):
        return idle(f"{as_of} is published already, and no more of its rows have come")
    return ingested, as_of


def notice_missing(ingested: Ingested, store: Store, options: Options, as_of: date) -> Ingested:
    """Add a finding for each ticker that was published last time and is not in the input any more."""
    last, cutoffs = _last_published(store, as_of)
    there = {*_last_dates(ingested.prices), *(one.ticker for one in ingested.refused)}
    chosen = options.config().tickers
    gone = [who for who in cutoffs if who not in there and (chosen is None or who in chosen)]
    message = f"was published as of {last}, and is not in the input any more"
    findings = tuple(Finding(who, "missing", message) for who in gone)
    return replace(ingested, findings=(*ingested.findings, *findings)) if findings else ingested


def _is_whole(store: Store, session: date) -> bool:
    """Whether a session is published with every ticker's own rows of it, and nobody is missing or withheld."""
    if not store.published(session):
        return False
    manifest = store.manifest(session)
    cutoffs = store.forecasts(session).column("cutoff").to_pylist()
    missing = any(finding.kind == "missing" for finding in manifest.findings)
    return not missing and not manifest.withheld and min(cutoffs, default=date.min) >= session


def _has_come(store: Store, session: date, lasts: Mapping[str, date]) -> bool:
    """Whether any ticker's rows of a published session came after it was published, given each one's last date."""
    then = store.manifest(session).rows
    known = {ticker: rows.last_date or date.min for ticker, rows in then.items()}
    return any(last >= session > known.get(who, date.min) for who, last in lasts.items())


def _awaited(store: Store, options: Options, session: date, lasts: Mapping[str, date]) -> set[str]:
    """Name the tickers whose rows of a session are worth waiting for.

    They are those that were published from rows of their own last time; on a store's first day those of the data that
    are not too old to be published.
    """
    chosen = options.config().tickers
    before, cutoffs = _last_published(store, session)
    if before is None:
        age = {who: count_sessions(options.calendar, day, session) for who, day in lasts.items()}
        awaited = {who for who, sessions in age.items() if sessions <= options.stale_after}
    else:
        awaited = {who for who, cutoff in cutoffs.items() if cutoff >= before}
    return awaited if chosen is None else awaited & chosen


def _wait_for_rows(options: Options, due: Due, store: Store) -> tuple[Ingested, date]:
    """Ingest, again whenever the files change, until they hold what is awaited of the session or the deadline is over.

    For a session that is published already there is no wait: such a run adds what has come since.
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
            lacking = str(error)
        else:
            lasts = _last_dates(ingested.prices)
            awaited = _awaited(store, options, due.own, lasts)
            come = {who for who in awaited if lasts.get(who, date.min) >= due.own}
            if len(come) >= max(1, options.data_share * len(awaited)) or time.monotonic() >= over:
                as_of = settle(due, shared_day(ingested.prices), options.calendar, options.stale_after)
                if as_of < last_day(ingested):
                    ingested = result_of(ingest(options, as_of))  # a few tickers are ahead of the others
                return ingested, as_of
            lacking = f"{len(come)} of {pluralize(len(awaited), 'ticker')} have rows of {due.own}"
        if lacking != reported:
            log.warning("%s: %s; waiting up to %.3g min", options.prices, lacking, (over - time.monotonic()) / 60)
            reported = lacking
        while True:
            time.sleep(max(0.1, min(LOOK_EVERY, patience / 20, over - time.monotonic())))
            # What is in a bucket is read again each time.
            if address_of(options.prices) or _look(options.prices) != seen or time.monotonic() >= over:
                break


def _last_dates(prices: pd.DataFrame) -> dict[str, date]:
    """Return each ticker's last date."""
    lasts = prices.groupby("ticker", sort=False)["date"].max()
    return {str(who): last.date() for who, last in lasts.items()}


def _last_published(store: Store, before: date) -> tuple[date | None, dict[str, date]]:
    """Return the newest date published before one, None without one, and each ticker's cutoff then."""
    as_of = max((day for day in store.dates() if day < before), default=None)
    if as_of is None:
        return None, {}
    table = store.forecasts(as_of)
    return as_of, dict(zip(table["ticker"].to_pylist(), table["cutoff"].to_pylist(), strict=True))


def _look(prices: str) -> list[tuple[Path, int, int]]:
    """Return what shows that the files have changed."""
    try:
        return [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in find_files(prices)]
    except (InputError, OSError):
        return []
