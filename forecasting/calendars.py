"""Sessions of an exchange: which dates are forecast, which one is due, and whether a file's dates fit the calendar.

Everything stands on exchange_calendars, always asked with an explicit start and end: its own default start moves with
today's date, and the same run would not give the same dates tomorrow. A few of its calendars record holidays for some
years only (XBOM's and XSHG's end with 2026); outside them every day of the week on which the exchange trades counts
as a session.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from textwrap import shorten
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
from exchange_calendars.errors import CalendarError
from numpy.typing import ArrayLike, NDArray

from forecasting.errors import InputError
from forecasting.findings import Finding

__all__ = [
    "calendar_findings",
    "is_session",
    "newest_due_session",
    "require_calendar",
    "sessions_between",
    "target_sessions",
]

Days = NDArray[np.int64]
"""Days since 1970-01-01."""

_COMMON = ("24/7", "XNYS", "XBOM", "XSHG", "XLON", "XETR", "XTSE", "XTKS", "XHKG", "BVMF", "XKRX")
"""Calendars worth suggesting, in the order of trying: the one that is slowest to build comes last."""

_GOOD_FIT = 0.005
"""Share of dates in which a file and its own exchange's calendar may differ: half that of the nearest neighbours."""

_POOR_FIT = 0.015
"""Share above which a calendar is not the file's own, or the file not complete."""

_LONG_GAP = 5
"""So many sessions lacking in a row are told; fewer are a halt or a forgotten holiday."""

_MANY_LACKING = 0.05
"""Share of dates above which sessions that are lacking here and there are told."""

_FEW_TICKERS = 3
"""Of more tickers than these, the same is said only once."""

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class _Sessions:
    """An exchange's sessions in whole years: as recorded and, outside its records, as presumed."""

    days: Days
    """Each session's date."""
    closes: NDArray[np.int64]
    """Each session's close, seconds since 1970 in UTC."""
    known: tuple[int, int]
    """First and last day for which the exchange's holidays are recorded."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """Where a ticker's dates and the sessions of a calendar differ, between the ticker's first date and its last."""

    dates: int
    """How many dates were compared."""
    surplus: Days
    """Dates that are no sessions."""
    scattered: Days
    """Sessions that the ticker lacks, few in a row."""
    gaps: tuple[Days, ...]
    """Sessions that it lacks many in a row, one array a gap."""

    @property
    def share(self) -> float:
        """How badly the two fit: differing days, long gaps apart, as a share of all days that either has."""
        differing = self.surplus.size + self.scattered.size
        return differing / (self.dates + self.scattered.size) if self.dates else 1.0


def require_calendar(calendar: str) -> None:
    """See that there is such a calendar.

    Raises
    ------
    InputError
        When there is none; it names those that are spelled much alike.
    """
    names = exchange_calendars.get_calendar_names()
    if calendar in names:
        return
    folded = {name.upper(): name for name in names}
    close = [folded[name] for name in difflib.get_close_matches(calendar.strip().upper(), folded, n=3)]
    choice = " or ".join(close) or "XNYS (New York), XLON (London), XTKS (Tokyo) or 24/7 (coins), for instance"
    raise InputError(f'"{calendar}" is no exchange calendar', setting=f"set --calendar {choice}")


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
        When there is no such calendar.
    """
    first = _day(cutoff)
    # Two calendar days a session and a month over outlast the longest holidays.
    days = _sessions(calendar, cutoff.year, (cutoff + timedelta(days=2 * horizon + 31)).year).days
    start = int(np.searchsorted(days, first, side="right"))
    return tuple(_date(day) for day in days[start : start + horizon])


def sessions_between(calendar: str, after: date, until: date) -> int:
    """Count the sessions after one date, up to another and with it.

    Raises
    ------
    InputError
        When there is no such calendar.
    """
    if until <= after:
        return 0
    days = _sessions(calendar, after.year, until.year).days
    return int(np.searchsorted(days, _day(until), side="right") - np.searchsorted(days, _day(after), side="right"))


def is_session(calendar: str, day: date) -> bool:
    """Whether the exchange trades on a day.

    Raises
    ------
    InputError
        When there is no such calendar.
    """
    return bool(np.isin(_day(day), _sessions(calendar, day.year, day.year).days))


def newest_due_session(calendar: str, at: datetime, delay: timedelta = timedelta(0)) -> date:
    """Return the newest session whose close, plus a delay, is not after a moment.

    Parameters
    ----------
    calendar
        Exchange calendar, as exchange_calendars names it. A session of ``24/7`` closes at the next midnight in UTC.
    at
        The moment, with its time zone.
    delay
        How long after the close the data is expected.

    Raises
    ------
    InputError
        When there is no such calendar.
    ValueError
        When ``at`` has no time zone.
    """
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    moment = at.astimezone(UTC) - delay
    # A session may close on the day after its date, and the year's first may still be to come.
    sessions = _sessions(calendar, (moment - timedelta(days=31)).year, (moment + timedelta(days=1)).year)
    count = int(np.searchsorted(sessions.closes, moment.timestamp(), side="right"))
    return _date(sessions.days[count - 1])


def calendar_findings(dates: Mapping[str, ArrayLike], calendar: str) -> tuple[Finding, ...]:
    """Compare the dates of each ticker with the sessions of its exchange.

    Parameters
    ----------
    dates
        Each ticker's dates, ascending.
    calendar
        Exchange calendar, as exchange_calendars names it.

    Returns
    -------
    tuple of Finding
        Dates that are no sessions, sessions that are lacking (many in a row, or many in all), a calendar that fits
        far better, and a calendar whose records end. Tickers of which the same is to be said share one finding, whose
        ticker is empty.

    Raises
    ------
    InputError
        When there is no such calendar.
    """
    given = {ticker: np.asarray(values, dtype="datetime64[D]").astype(np.int64) for ticker, values in dates.items()}
    given = {ticker: days for ticker, days in given.items() if days.size}
    require_calendar(calendar)
    if not given:
        return ()
    first, last = min(int(days[0]) for days in given.values()), max(int(days[-1]) for days in given.values())
    years = _date(first).year, _date(last + 31).year
    sessions = _sessions(calendar, *years)
    differences = {ticker: _compare(days, sessions) for ticker, days in given.items()}
    better = _better_calendars(given, differences, calendar, years)

    told: dict[str, list[tuple[str, str]]] = {}
    for ticker, difference in differences.items():
        for about, message in _messages(difference, calendar, better.get(ticker)):
            told.setdefault(about, []).append((ticker, message))
    if last + 31 > sessions.known[1]:
        records = f"holidays of {calendar} are recorded up to {_date(sessions.known[1])}"
        told["records"] = [("", f"{records}; later target dates are presumed from the days of the week alone")]
    return tuple(finding for same in told.values() for finding in _findings(same))


def _compare(days: Days, sessions: _Sessions) -> _Difference:
    """Compare ascending dates with the sessions among which they lie, where those are recorded."""
    days = days[(days >= sessions.known[0]) & (days <= sessions.known[1])]
    if not days.size:
        return _Difference(0, days, days, ())
    start, end = np.searchsorted(sessions.days, [days[0], days[-1] + 1])
    expected = sessions.days[start:end]
    lacking = np.flatnonzero(~np.isin(expected, days))
    runs = np.split(lacking, np.flatnonzero(np.diff(lacking) != 1) + 1)
    short = [expected[run] for run in runs if run.size < _LONG_GAP]
    return _Difference(
        dates=days.size,
        surplus=days[~np.isin(days, expected)],
        scattered=np.concatenate(short) if short else days[:0],
        gaps=tuple(expected[run] for run in runs if run.size >= _LONG_GAP),
    )


def _better_calendars(
    given: Mapping[str, Days], differences: Mapping[str, _Difference], calendar: str, years: tuple[int, int]
) -> dict[str, str]:
    """For each ticker that fits the calendar badly, the common one that fits far better, if there is such a one."""
    # Above a half it is no daily history, and no calendar mends that; a stray date or two is no sign of another.
    unfit = {
        ticker: found.share
        for ticker, found in differences.items()
        if _POOR_FIT < found.share < 0.5 and found.surplus.size + found.scattered.size > 2
    }
    best = {ticker: (min(_POOR_FIT, share / 2), "") for ticker, share in unfit.items()}
    for candidate in _COMMON:
        searching = [ticker for ticker, (share, name) in best.items() if not name or share > _GOOD_FIT]
        if candidate == calendar or not searching:
            continue
        sessions = _sessions(candidate, *years)
        for ticker in searching:
            best[ticker] = min(best[ticker], (_compare(given[ticker], sessions).share, candidate))
    return {ticker: name for ticker, (_, name) in best.items() if name}


def _messages(found: _Difference, calendar: str, better: str | None) -> Iterator[tuple[str, str]]:
    """Say what is to be said of one ticker: (what it is about, one sentence)."""
    surplus = (
        f"{found.surplus.size:,} of {found.dates:,} dates are no sessions of {calendar} ({_examples(found.surplus)})"
    )
    lacking = f"{found.scattered.size:,} sessions of {calendar} are lacking ({_examples(found.scattered)})"
    seen = [words for words, days in ((surplus, found.surplus), (lacking, found.scattered)) if days.size]
    if better:
        yield f"better {better}", f"{' and '.join(seen)}; {better} fits far better: set --calendar {better}"
    elif found.surplus.size:
        yield "surplus", f"{surplus}; if it trades elsewhere, set --calendar"
    if not better and found.scattered.size > _MANY_LACKING * found.dates:
        yield "lacking", lacking + ("; is it a daily history?" if found.scattered.size > found.dates else "")
    if found.gaps and not better:
        longest = max(found.gaps, key=len)
        more = f", and {len(found.gaps) - 1:,} more such gaps" if len(found.gaps) > 1 else ""
        span = f"{_date(longest[0])} to {_date(longest[-1])}"
        yield "gap", f"{longest.size:,} sessions of {calendar} in a row are lacking, {span}{more}"


def _findings(same: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """One finding a ticker, or a single one where the same is to be said of many."""
    if len(same) <= _FEW_TICKERS:
        yield from (Finding(ticker, "calendar", message) for ticker, message in same)
        return
    (first, message), names = same[0], ", ".join(ticker for ticker, _ in same[:_FEW_TICKERS])
    yield Finding("", "calendar", f"{len(same):,} tickers ({names} ...) do not fit; {first}, for instance: {message}")


def _examples(days: Days) -> str:
    named = [f"{_date(day)}, a {_date(day):%A}" for day in days[:2]]
    return "; ".join([*named, "..."] if days.size > 2 else named)


@lru_cache(maxsize=64)
def _sessions(calendar: str, first_year: int, last_year: int) -> _Sessions:
    require_calendar(calendar)
    start, end = pd.Timestamp(first_year, 1, 1), pd.Timestamp(last_year, 12, 31)
    exchange = _build(calendar, start, end)
    known = max(start, exchange.bound_min() or start), min(end, exchange.bound_max() or end)
    first, last = (_day(moment.date()) for moment in known)
    days = exchange.sessions.to_numpy(dtype="datetime64[D]").astype(np.int64)
    closes = exchange.closes.to_numpy(dtype="datetime64[s]").astype(np.int64)

    every = np.arange(_day(start.date()), _day(end.date()) + 1)
    trading = np.array([flag == "1" for flag in exchange.weekmask])
    # 1970-01-01 was a Thursday, the week starts on Monday.
    presumed = every[((every < first) | (every > last)) & trading[(every + 3) % 7]]
    usual_close = closes[-1] - 86_400 * days[-1]
    recorded = (days >= first) & (days <= last)
    all_days = np.concatenate([days[recorded], presumed])
    all_closes = np.concatenate([closes[recorded], 86_400 * presumed + usual_close])
    order = np.argsort(all_days)
    return _Sessions(all_days[order], all_closes[order], (first, last))


def _build(calendar: str, start: pd.Timestamp, end: pd.Timestamp) -> Any:
    """Build the exchange's calendar from start to end, or for so much of it as is recorded, or else for any years."""
    try:
        return exchange_calendars.get_calendar(calendar, start=start, end=end)
    except (ValueError, CalendarError) as refusal:
        # Its bounds cannot be asked for without a calendar that was built.
        try:
            usual = exchange_calendars.get_calendar(calendar)
            start, end = max(start, usual.bound_min() or start), min(end, usual.bound_max() or end)
            return exchange_calendars.get_calendar(calendar, start=start, end=end) if start < end else usual
        except (ValueError, CalendarError):
            why = shorten(str(refusal), 100)
            raise InputError(
                f"the calendar {calendar} cannot be built: {why}", setting="set another --calendar"
            ) from None


def _day(day: date) -> int:
    return day.toordinal() - _EPOCH


def _date(day: int | np.int64) -> date:
    return date.fromordinal(int(day) + _EPOCH)
