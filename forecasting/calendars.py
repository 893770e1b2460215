"""Sessions of an exchange: which dates are forecast, and which session is due.

Calendars are always made with an explicit start and end: the default start moves with today's date, and the same run
would give other dates tomorrow. A few calendars record holidays only for some years (XBOM's and XSHG's end with 2026);
in other years every weekday on which the exchange trades counts as a session.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from textwrap import shorten
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
from exchange_calendars.errors import CalendarError
from numpy.typing import NDArray

from forecasting.arrays import date_of, day_of
from forecasting.errors import InputError

__all__ = [
    "Days",
    "Sessions",
    "count_sessions",
    "newest_due_session",
    "recorded_sessions",
    "require_calendar",
    "sessions_between",
    "target_sessions",
]

Days = NDArray[np.int64]
"""Days since 1970-01-01."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """An exchange's sessions in whole years: as recorded and, outside its records, as assumed from the weekdays."""

    days: Days
    """Each session's date."""
    closes: NDArray[np.int64]
    """Each session's close, seconds since 1970 in UTC."""
    known: tuple[int, int]
    """First and last day for which the exchange's holidays are recorded."""


def require_calendar(calendar: str) -> None:
    """Check that exchange_calendars has this calendar.

    Raises
    ------
    InputError
        When it does not; the message suggests names of similar spelling.
    """
    names = exchange_calendars.get_calendar_names()
    if calendar in names:
        return
    folded = {name.upper(): name for name in names}
    close = [folded[name] for name in difflib.get_close_matches(calendar.strip().upper(), folded, n=3)]
    choice = " or ".join(close) or "XNYS (New York), XLON (London), XTKS (Tokyo) or 24/7 (coins), for instance"
    raise InputError(f'"{calendar}" is not an exchange calendar', setting=f"set --calendar {choice}")


def target_sessions(calendar: str, cutoff: date, horizon: int) -> tuple[date, ...]:
    """Return the next sessions after a cutoff.

    Parameters
    ----------
    calendar
        Exchange calendar, as exchange_calendars names it.
    cutoff
        The last session that was seen; need not be a session itself.
    horizon
        How many sessions.

    Returns
    -------
    tuple of date
        The first ``horizon`` sessions after ``cutoff``, in order.

    Raises
    ------
    InputError
        When the calendar is not known.
    """
    first = day_of(cutoff)
    # Two calendar days per session and a month more: longer than the longest holidays.
    days = recorded_sessions(calendar, cutoff.year, (cutoff + timedelta(days=2 * horizon + 31)).year).days
    start = int(np.searchsorted(days, first, side="right"))
    return tuple(date_of(day) for day in days[start : start + horizon])


def count_sessions(calendar: str, after: date, until: date) -> int:
    """Count the sessions after one date, up to and including another.

    Raises
    ------
    InputError
        When the calendar is not known.
    """
    if until <= after:
        return 0
    days = recorded_sessions(calendar, after.year, until.year).days
    return int(np.searchsorted(days, day_of(until), side="right") - np.searchsorted(days, day_of(after), side="right"))


def sessions_between(calendar: str, first: date, last: date) -> list[date]:
    """List the sessions of a range of dates, both ends included.

    Raises
    ------
    InputError
        When the calendar is not known, or has no session in the range.
    """
    days = recorded_sessions(calendar, first.year, max(first, last).year).days
    found = days[(days >= day_of(first)) & (days <= day_of(last))]
    if not len(found):
        raise InputError(f"{calendar} has no session from {first} to {last}", setting="see --from and --to")
    return [date_of(day) for day in found]


def newest_due_session(calendar: str, at: datetime) -> date:
    """Return the newest session whose close is not after a moment.

    Parameters
    ----------
    calendar
        Exchange calendar, as exchange_calendars names it. A session of ``24/7`` closes at the next midnight in UTC.
    at
        The moment, with its time zone.

    Raises
    ------
    InputError
        When the calendar is not known.
    ValueError
        When ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    moment = at.astimezone(UTC)
    # A session may close on the day after its date, and the first session of the year may not have closed yet.
    sessions = recorded_sessions(calendar, (moment - timedelta(days=31)).year, (moment + timedelta(days=1)).year)
    count = int(np.searchsorted(sessions.closes, moment.timestamp(), side="right"))
    return date_of(sessions.days[count - 1])


@lru_cache(maxsize=64)
def recorded_sessions(calendar: str, first_year: int, last_year: int) -> Sessions:
    """Return all sessions of whole years, with their closes.

    Raises
    ------
    InputError
        When the calendar is not known, or cannot be built for any year.
    """
    require_calendar(calendar)
    start, end = pd.Timestamp(first_year, 1, 1), pd.Timestamp(last_year, 12, 31)
    exchange = _build(calendar, start, end)
    known = max(start, exchange.bound_min() or start), min(end, exchange.bound_max() or end)
    first, last = (day_of(moment.date()) for moment in known)
    days = exchange.sessions.to_numpy(dtype="datetime64[D]").astype(np.int64)
    closes = exchange.closes.to_numpy(dtype="datetime64[s]").astype(np.int64)

    every = np.arange(day_of(start.date()), day_of(end.date()) + 1)
    trading = np.array([flag == "1" for flag in exchange.weekmask])
    # 1970-01-01 was a Thursday, the week starts on Monday.
    assumed = every[((every < first) | (every > last)) & trading[(every + 3) % 7]]
    usual_close = closes[-1] - 86_400 * days[-1]
    recorded = (days >= first) & (days <= last)
    all_days = np.concatenate([days[recorded], assumed])
    all_closes = np.concatenate([closes[recorded], 86_400 * assumed + usual_close])
    order = np.argsort(all_days)
    return Sessions(all_days[order], all_closes[order], (first, last))


def _build(calendar: str, start: pd.Timestamp, end: pd.Timestamp) -> Any:
    """Build the exchange's calendar from start to end, else for the part that is recorded, else for its usual years."""
    try:
        return exchange_calendars.get_calendar(calendar, start=start, end=end)
    except (ValueError, CalendarError) as refusal:
        # The bounds are known only after a calendar was built.
        try:
            usual = exchange_calendars.get_calendar(calendar)
            start, end = max(start, usual.bound_min() or start), min(end, usual.bound_max() or end)
            return exchange_calendars.get_calendar(calendar, start=start, end=end) if start < end else usual
        except (ValueError, CalendarError):
            why = shorten(str(refusal), 100)
            raise InputError(
                f"the calendar {calendar} cannot be built: {why}", setting="set another --calendar"
            ) from None
