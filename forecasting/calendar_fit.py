"""How well the dates in the files fit the exchange's calendar: missing dates, extra dates, and a better calendar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from forecasting.arrays import date_of
from forecasting.calendars import Days, Sessions, recorded_sessions, require_calendar
from forecasting.findings import Finding
from forecasting.formatting import name_few

__all__ = ["calendar_findings"]

_COMMON = ("24/7", "XNYS", "XBOM", "XSHG", "XLON", "XETR", "XTSE", "XTKS", "XHKG", "BVMF", "XKRX")
"""Calendars to suggest, in the order in which they are tried: the one that is slowest to build comes last."""

_GOOD_FIT = 0.005
"""Share of dates in which a file and its own exchange's calendar may differ: half that of the most alike."""

_POOR_FIT = 0.015
"""Share above which the calendar is the wrong one, or the file is incomplete."""

_LONG_GAP = 5
"""This many missing sessions in a row are reported; fewer are a trading halt or an unrecorded holiday."""

_MANY_MISSING = 0.05
"""Share of dates above which scattered missing sessions are reported."""

_FEW_TICKERS = 3
"""The same message about more tickers than this is given only once."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """Where a ticker's dates and the sessions of a calendar differ, between the ticker's first date and its last."""

    dates: int
    """How many dates were compared."""
    surplus: Days
    """Dates that are not sessions."""
    scattered: Days
    """Sessions without a date of the ticker, few in a row."""
    gaps: tuple[Days, ...]
    """Sessions without a date of the ticker, many in a row: one array per gap."""

    @property
    def share(self) -> float:
        """How badly the two fit: the days that only one of them has, without the long gaps, as a share of all days."""
        differing = self.surplus.size + self.scattered.size
        return differing / (self.dates + self.scattered.size) if self.dates else 1.0


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
        Dates that are not sessions, missing sessions (many in a row, or many in all), a calendar that fits far better,
        and a calendar whose records end. Tickers with the same message share one finding, whose ticker is empty.

    Raises
    ------
    InputError
        When the calendar is not known.
    """
    given = {ticker: np.asarray(values, dtype="datetime64[D]").astype(np.int64) for ticker, values in dates.items()}
    given = {ticker: days for ticker, days in given.items() if days.size}
    require_calendar(calendar)
    if not given:
        return ()
    first, last = min(int(days[0]) for days in given.values()), max(int(days[-1]) for days in given.values())
    years = date_of(first).year, date_of(last + 31).year
    sessions = recorded_sessions(calendar, *years)
    differences = {ticker: _compare(days, sessions) for ticker, days in given.items()}
    better = _better_calendars(given, differences, calendar, years)

    messages: dict[str, list[tuple[str, str]]] = {}
    for ticker, difference in differences.items():
        for about, message in _messages(difference, calendar, better.get(ticker)):
            messages.setdefault(about, []).append((ticker, message))
    if last + 31 > sessions.known[1]:
        records = f"holidays of {calendar} are recorded up to {date_of(sessions.known[1])}"
        messages["records"] = [("", f"{records}; later target dates are assumed from the weekdays alone")]
    return tuple(finding for same in messages.values() for finding in _findings(same))


def _compare(days: Days, sessions: Sessions) -> _Difference:
    """Compare ascending dates with the sessions from the first date to the last, where those are recorded."""
    days = days[(days >= sessions.known[0]) & (days <= sessions.known[1])]
    if not days.size:
        return _Difference(0, days, days, ())
    start, end = np.searchsorted(sessions.days, [days[0], days[-1] + 1])
    expected = sessions.days[start:end]
    missing = np.flatnonzero(~np.isin(expected, days))
    runs = np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1)
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
    """For each ticker that fits the calendar badly, find the common calendar that fits far better, if there is one."""
    # Above a half it is not a daily history, whatever the calendar; one or two stray dates suggest no other calendar.
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
        sessions = recorded_sessions(candidate, *years)
        for ticker in searching:
            best[ticker] = min(best[ticker], (_compare(given[ticker], sessions).share, candidate))
    return {ticker: name for ticker, (_, name) in best.items() if name}


def _messages(found: _Difference, calendar: str, better: str | None) -> Iterator[tuple[str, str]]:
    """Give the messages about one ticker: (subject, one sentence)."""
    surplus = (
        f"{found.surplus.size:,} of {found.dates:,} dates are not sessions of {calendar} ({_examples(found.surplus)})"
    )
    missing = f"{found.scattered.size:,} sessions of {calendar} are missing ({_examples(found.scattered)})"
    seen = [words for words, days in ((surplus, found.surplus), (missing, found.scattered)) if days.size]
    if better:
        yield f"better {better}", f"{' and '.join(seen)}; {better} fits far better: set --calendar {better}"
    elif found.surplus.size:
        yield "surplus", f"{surplus}; if it trades elsewhere, set --calendar"
    if not better and found.scattered.size > _MANY_MISSING * found.dates:
        yield "missing", missing + ("; is it a daily history?" if found.scattered.size > found.dates else "")
    if found.gaps and not better:
        longest = max(found.gaps, key=len)
        more = f", and {len(found.gaps) - 1:,} more such gaps" if len(found.gaps) > 1 else ""
        span = f"{date_of(longest[0])} to {date_of(longest[-1])}"
        yield "gap", f"{longest.size:,} sessions of {calendar} in a row are missing, {span}{more}"


def _findings(same: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Give one finding per ticker, or a single one when many tickers have the same message."""
    if len(same) <= _FEW_TICKERS:
        yield from (Finding(ticker, "calendar", message) for ticker, message in same)
        return
    (first, message), names = same[0], name_few((ticker for ticker, _ in same), _FEW_TICKERS)
    yield Finding("", "calendar", f"{len(same):,} tickers ({names}) do not fit; for example {first}: {message}")


def _examples(days: Days) -> str:
    named = [f"{date_of(day)}, a {date_of(day):%A}" for day in days[:2]]
    return "; ".join([*named, "..."] if days.size > 2 else named)
