"""Instants: counts from 1970, clocks and zones, and the session whose date an instant is of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forecasting.ingest.format import PriceFormat
from forecasting.ingest.shapes import EPOCH_DAY, FIRST_YEAR, LAST_YEAR, NO_DATE, Clock

__all__ = ["read_epochs", "to_sessions", "unknown_clock"]

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d*)?", re.ASCII)
_LATE = 16 * 60 + 30
"""Half past four: a local clock after it may be that of a session that opens the evening before."""
_END_OF_DAY = 23 * 60 + 59
_EARLY = 6 * 60
_NEW_YORK_OPENS = frozenset({13 * 60 + 30, 14 * 60 + 30})
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def read_epochs(
    texts: Sequence[str], format_: PriceFormat
) -> tuple[NDArray[np.int64], dict[int, str], dict[int, Clock]]:
    """Read counts from 1970; the unit follows from the usual step, which is a day, else from each number's size.

    Returns
    -------
    tuple
        The days in UTC; why some are not known, and the times of day off midnight, by the text's index.
    """
    values = {i: int(text.partition(".")[0]) for i, text in enumerate(texts) if _NUMBER.fullmatch(text)}
    why = {i: f'"{text}" is not a count of seconds from 1970, or of parts of them' for i, text in enumerate(texts)}
    days = np.full(len(texts), NO_DATE, dtype=np.int64)
    clocks: dict[int, Clock] = {}
    usual = format_.epoch or _usual_unit(list(values.values()))
    middle = sorted(filter(None, (_moment(value, _UNITS[usual]) for value in values.values())) if usual else ())
    for i, value in values.items():
        units = {usual} if format_.epoch else {usual or "s", _unit_of(value)}
        moments = [when for unit in units if unit and (when := _moment(value, _UNITS[unit])) is not None]
        if not moments:
            continue
        # Of the usual unit and the one of its size, what is nearer to the column's other instants.
        centre = middle[len(middle) // 2] if middle else moments[0]
        when = min(moments, key=lambda one: abs(one - centre))
        days[i] = when.date().toordinal() - EPOCH_DAY
        if when.hour or when.minute:
            clocks[i] = Clock(60 * when.hour + when.minute, utc=True)
        del why[i]
    return days, why, clocks


def _usual_unit(values: Sequence[int]) -> str | None:
    steps = np.diff(np.unique(np.array(values, dtype=np.int64)))
    if not len(steps):
        return None
    days = float(np.sort(steps)[(len(steps) - 1) // 2]) / _DAY
    return next((unit for unit, parts in _UNITS.items() if 0.5 <= days / parts <= 40), None)


def _unit_of(value: int) -> str:
    return "s" if abs(value) < 10**11 else "ms" if abs(value) < 10**14 else "us" if abs(value) < 10**17 else "ns"


def _moment(value: int, parts: int) -> datetime | None:
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value * 10**6 // parts)
    except OverflowError:
        return None
    return when if FIRST_YEAR <= when.year <= LAST_YEAR else None


def unknown_clock(clocks: Mapping[int, Clock], texts: Sequence[str], cells: Sequence[int]) -> tuple[int, str] | None:
    """Find a cell whose date is not known, because of its clock, and say why; None when all are.

    The date of an instant in UTC is that of the session where midnight has just passed (the clocks of Asia's mornings,
    New York's midnight) or New York opens; at other hours some market's session of the next day has begun. A local
    clock in the late afternoon may be that of a session which opens the evening before.
    """
    for cell in cells:
        clock = clocks.get(cell)
        if clock is None or clock.minutes == _END_OF_DAY:
            continue
        known = clock.minutes < _EARLY or clock.minutes in _NEW_YORK_OPENS if clock.utc else clock.minutes < _LATE
        if not known:
            others = sorted({one.minutes for one in clocks.values()})
            said = " and ".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in others[:3])
            what = f'"{texts[cell]}": the clock says {said}{" UTC" if clock.utc else ""}, and a session that'
            return cell, what + " opens then may be of that day or of the next; the date is not known"
    return None


def to_sessions(days: NDArray[np.int64], clocks: dict[int, Clock], format_: PriceFormat) -> None:
    """Bring instants to the declared zone, and to the session that opens the evening before, in place."""
    if format_.zone is None and format_.session_opens is None:
        return
    zone = None if format_.zone is None else ZoneInfo(format_.zone)
    opens = None if format_.session_opens is None else _minutes(format_.session_opens)
    utc = any(clock.utc for clock in clocks.values())
    for i in np.flatnonzero(days != NO_DATE).tolist():
        clock = clocks.pop(i, Clock(0, utc))
        local = datetime.fromordinal(int(days[i]) + EPOCH_DAY) + timedelta(minutes=clock.minutes)
        if clock.utc and zone is not None:
            local = local.replace(tzinfo=UTC).astimezone(zone)
        day, minutes = local.date(), 60 * local.hour + local.minute
        if opens is not None and minutes >= opens:
            day = _next_session(day, format_)
        elif opens is None and minutes:
            clocks[i] = Clock(minutes, utc=clock.utc and zone is None)
        days[i] = day.toordinal() - EPOCH_DAY


def _next_session(day: date, format_: PriceFormat) -> date:
    traded = [_WEEK.index(one) for one in format_.weekdays or _WEEK[:5]]
    day += timedelta(days=1)
    while day.weekday() not in traded:
        day += timedelta(days=1)
    return day


def _minutes(clock: str) -> int:
    return 60 * int(clock[:2]) + int(clock[3:])
