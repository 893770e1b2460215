"""Which session a scheduled run is for: the newest one due, unless it is published, or no session fell due at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from forecasting.calendars import newest_due_session, target_sessions
from forecasting.errors import InputError
from forecasting.store.store import Store

__all__ = ["Due", "is_settled", "nothing_to_do", "sessions_due", "settle"]


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
    """Tell whether a session is published from its own rows; what was published as stale may be done again."""
    if not store.published(session):
        return False
    try:
        cutoffs = store.forecasts(session).column("cutoff").to_pylist()
    except InputError:
        return False
    return max(cutoffs, default=date.min) >= session
