"""Which sessions are due, and which tickers of a session are published, missing, or may still arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import pandas as pd

from forecasting.calendars import count_sessions, newest_due_session, target_sessions
from forecasting.config import ForecastConfig
from forecasting.findings import Finding
from forecasting.ingest.ingested import Ingested
from forecasting.store.store import Store

__all__ = ["Due", "awaited", "has_come", "is_whole", "last_dates", "notice_missing", "sessions_due", "settle"]


@dataclass(frozen=True, slots=True)
class Due:
    """The sessions that a scheduled run may be for.

    Attributes
    ----------
    own
        The newest session that had closed at the run's scheduled time.
    newest
        The newest session that has closed by now; later than ``own`` when the run is late.
    fell_due
        Whether one of them closed in the day before the scheduled time; False on a holiday.
    """

    own: date
    newest: date
    fell_due: bool


def sessions_due(calendar: str, scheduled: datetime, now: datetime) -> Due:
    """Find the sessions due at the scheduled time and now; both times have a time zone.

    Raises
    ------
    InputError
        When there is no such calendar.
    """
    own = newest_due_session(calendar, scheduled)
    before = newest_due_session(calendar, scheduled - timedelta(days=1))
    return Due(own, newest_due_session(calendar, max(scheduled, now)), own > before)


def settle(due: Due, last: date | None, calendar: str, stale_after: int) -> date:
    """Choose the date to forecast as of, from the last date that the tickers share, up to ``due.newest``.

    A late run takes the newest session in the data. When the data do not even have the run's own session, it is the
    newest date due for which the data are at most ``stale_after`` sessions old.
    """
    if last is not None and last >= due.own:
        return last
    if last is None or due.newest in target_sessions(calendar, last, max(1, stale_after)):
        return due.newest
    return due.own


def is_whole(store: Store, session: date) -> bool:
    """Whether a session is published with rows of that day from every ticker, and no ticker is missing or withheld."""
    if not store.published(session):
        return False
    manifest = store.manifest(session)
    cutoffs = store.forecasts(session).column("cutoff").to_pylist()
    missing = any(finding.kind == "missing" for finding in manifest.findings)
    return not missing and not manifest.withheld and min(cutoffs, default=date.min) >= session


def has_come(store: Store, session: date, lasts: Mapping[str, date]) -> bool:
    """Whether rows of a published session arrived after it was published, given each ticker's last date."""
    then = store.manifest(session).rows
    known = {ticker: rows.last_date or date.min for ticker, rows in then.items()}
    return any(last >= session > known.get(who, date.min) for who, last in lasts.items())


def awaited(store: Store, config: ForecastConfig, session: date, lasts: Mapping[str, date]) -> set[str]:
    """Name the tickers whose rows of a session are worth waiting for, given each ticker's last date.

    These are the tickers whose last publication was not stale; on a store's first day, the tickers in the data that are
    not too old to be published.
    """
    before, cutoffs = _last_published(store, session)
    if before is None:
        age = {who: count_sessions(config.calendar, day, session) for who, day in lasts.items()}
        late = {who for who, sessions in age.items() if sessions <= config.stale_after}
    else:
        late = {who for who, cutoff in cutoffs.items() if cutoff >= before}
    return late if config.tickers is None else late & config.tickers


def notice_missing(ingested: Ingested, store: Store, config: ForecastConfig, as_of: date) -> Ingested:
    """Add a finding for each ticker that was published last time and is not in the input any more."""
    last, cutoffs = _last_published(store, as_of)
    there = {*last_dates(ingested.prices), *(one.ticker for one in ingested.refused)}
    gone = [who for who in cutoffs if who not in there and (config.tickers is None or who in config.tickers)]
    message = f"was published as of {last}, and is not in the input any more"
    findings = tuple(Finding(who, "missing", message) for who in gone)
    return replace(ingested, findings=(*ingested.findings, *findings)) if findings else ingested


def last_dates(prices: pd.DataFrame) -> dict[str, date]:
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
