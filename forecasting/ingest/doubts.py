"""Doubts about what was read, whatever the vendor: each check is one sentence about what a daily history cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.ingest.latest import FAR
from forecasting.ingest.table import Table
from forecasting.ingest.verdict import Verdict, number, sort_index

__all__ = ["DOUBTS", "weekdays_of"]

_WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_MARKETS = {frozenset(map(int, week)) for week in ("01234", "60123", "56012", "560123", "012345", "601234", "0123456")}
"""The weeks that markets keep: Monday to Friday, Sunday to Thursday, Saturday to Wednesday, to Thursday, and so on."""
_SIX_DAYS = {frozenset(range(6)), frozenset((6, 0, 1, 2, 3, 4))}
_ENOUGH = 15
_SELDOM = 0.25
"""A weekday with less than this share of the usual count is not one of the market's."""
_LATE = 60
"""Rows after which a change of level by 100 or 1,000 is borne out."""
_STEP = 0.35
"""How near, in logs, a change of level comes to 100 or 1,000."""
_FROZEN = 5
_LONE, _BACK = 2.0, 1.3
"""A row is alone when it is off both neighbours by the first factor, and they agree within the second."""
_MOST = 0.8
_RECENT = 20
_STRAY = 3

Rows = IntArray
"""One ticker's rows, by date, as indices into the table."""


def _each(table: Table) -> Iterator[Rows]:
    order = sort_index(table)
    by = np.arange(len(table)) if order is None else order
    yield from np.split(by, np.flatnonzero(np.diff(table.codes[by])) + 1)


def _marked(table: Table, find: Callable[[Rows], BoolArray]) -> BoolArray:
    """Mark the rows that a check finds, ticker by ticker."""
    marks = np.zeros(len(table), dtype=np.bool_)
    for rows in _each(table):
        marks[rows] = find(rows)
    return marks


def filled_weekends(verdict: Verdict) -> None:
    """Set aside weekends that repeat the row beside them, or lie on a line to Monday: they are filled in."""
    table = verdict.table
    weekend = (table.days + 3) % 7 >= _SATURDAY
    if not weekend.any() or table.weekdays is not None:
        return
    prices = np.stack([table.prices[role] for role in ("open", "high", "low")])

    def find(rows: Rows) -> BoolArray:
        own, days, off = prices[:, rows], table.days[rows], weekend[rows]
        session = np.flatnonzero(~off)
        if off.sum() < 4 or len(session) < 2:
            return np.zeros(len(rows), dtype=np.bool_)
        at = np.flatnonzero(off)
        after = np.clip(np.searchsorted(session, at), 1, len(session) - 1)
        left, right = session[after - 1], session[after]
        share = (days[at] - days[left]) / np.maximum(days[right] - days[left], 1)
        line = own[:, left] + share * (own[:, right] - own[:, left])
        filled = np.zeros(len(at), dtype=np.bool_)
        for guess, slack in ((own[:, left], 0.0), (own[:, right], 0.0), (line, _rounding(own))):
            filled |= np.all(np.abs(own[:, at] - guess) <= slack, axis=0)
        marks: BoolArray = off & bool(filled.mean() >= _MOST)
        return marks

    marks = _marked(table, find)
    if marks.any():
        what = "weekend rows that repeat the row beside them, or lie on a straight line from Friday to Monday"
        verdict.set_aside(marks, what)


def _rounding(prices: Array) -> float:
    """Give by how much rounded prices may be off a line between rounded prices."""
    places = next((n for n in range(6) if np.all(np.abs(prices * 10**n - np.round(prices * 10**n)) < 1e-4)), 6)
    return 1.02 * 10.0**-places


def weekdays_of(days: IntArray) -> frozenset[int]:
    """Find the weekdays (0 is Monday) that a history has rows on, the exceptional ones aside."""
    counts = np.bincount((days + 3) % 7, minlength=7)
    return frozenset(np.flatnonzero(counts > _SELDOM * np.median(counts[counts > 0])).tolist())


def weekdays(verdict: Verdict) -> None:
    """Refuse weekdays that no market has, and a week that changes part-way: a market has a fixed week."""
    table = verdict.table
    if table.weekdays is not None:
        other = ~np.isin((table.days + 3) % 7, sorted(table.weekdays))
        verdict.refuse(other, lambda row: f"{_day(table.days[row])} is not one of the declared weekdays", "date")
        return
    if not ((table.days + 3) % 7 >= _SATURDAY).any():
        return
    for rows in list(_each(table)):
        what = _wrong_week(np.unique(table.days[rows]), bool(table.unsure))
        if what:
            marks = np.zeros(len(table), dtype=np.bool_)
            marks[rows] = (table.days[rows] + 3) % 7 >= _SATURDAY
            marks = marks[np.isin(table.codes, verdict.table.codes)]
            what += f"; {table.unsure}; the dates are not known" if table.unsure else "; the dates are not known"
            verdict.refuse(marks, what, "date", "set zone, add_years or weekdays in a format file")


def _wrong_week(days: IntArray, unsure: bool) -> str:
    """Say what is wrong with the weekdays of a ticker's days."""
    steps = np.diff(days)
    if len(days) < 2 or np.median(steps) > 3:
        return ""
    counts = np.bincount((days + 3) % 7, minlength=7)
    every_day = counts[_SATURDAY:].min() > 0 and np.count_nonzero(steps == 1) >= 0.9 * len(steps)
    kept = weekdays_of(days)
    if unsure and not every_day and counts[_SATURDAY:].max() > 0.08 * len(days) and kept not in _SIX_DAYS:
        return "the dates run on into the weekend and leave out other days"
    if len(days) < _ENOUGH or every_day:
        return ""
    if kept not in _MARKETS and max(kept) >= _SATURDAY:
        return f"the rows are of {', '.join(_WEEK[one] for one in sorted(kept))}, a week that no market has"
    return _mixed_weeks(days)


def _mixed_weeks(days: IntArray) -> str:
    """Say that some weeks are those of one market and some of another, or of dates a day off."""
    week, weekday = (days + 3) // 7, (days + 3) % 7
    present = np.zeros((int(week[-1] - week[0]) + 1, 7), dtype=np.bool_)
    present[week - week[0], weekday] = True
    full = present.sum(axis=1) >= 4
    plain = full & ~present[:, _SATURDAY] & ~present[:, _SUNDAY] & present[:, 0] & present[:, _FRIDAY]
    for off, missing, name in ((_SATURDAY, 0, "Tuesday to Saturday"), (_SUNDAY, _FRIDAY, "Sunday to Thursday")):
        moved = full & present[:, off] & ~present[:, missing]
        if min(moved.sum(), plain.sum()) >= 2 and moved.sum() > present[:, off].sum() / 2:
            return f"some weeks are of {name} and others of Monday to Friday"
    return ""


def changed_unit(verdict: Verdict) -> None:
    """Refuse a step of 100 or 1,000 near the end: a change of unit, and no split until many rows bear it out."""
    table = verdict.table
    opens = table.prices["open"]

    def find(rows: Rows) -> BoolArray:
        marks = np.zeros(len(rows), dtype=np.bool_)
        steps = np.abs(np.diff(np.log(opens[rows])))
        near = np.minimum(np.abs(steps - np.log(100)), np.abs(steps - np.log(1000))) < _STEP
        marks[1:] = near & (np.arange(len(steps), 0, -1) <= _LATE)
        return marks

    verdict.refuse(
        _marked(table, find),
        lambda row: (
            f"from here on Open is about 100 or 1,000 times larger or smaller ({number(opens[row])}): a change "
            f"of unit, and not a split until {_LATE} rows bear it out"
        ),
        "open",
    )


def lone_rows(verdict: Verdict) -> None:
    """Report a lone row far from its neighbours that comes back: a slip, or another instrument's row."""
    table = verdict.table
    opens = table.prices["open"]

    def find(rows: Rows) -> BoolArray:
        marks = np.zeros(len(rows), dtype=np.bool_)
        if len(rows) >= 3:
            logs = np.log(opens[rows])
            there, back = np.diff(logs)[:-1], np.diff(logs)[1:]
            far = (np.minimum(np.abs(there), np.abs(back)) > np.log(_LONE)) & (np.abs(there + back) < np.log(_BACK))
            marks[1:-1] = far
        return marks

    verdict.warn(_marked(table, find), "Open is alone, twice its neighbours or more, or half of them or less", "open")


def repeated_rows(verdict: Verdict) -> None:
    """Report a row repeated whole, with its volume: a day that was filled in."""
    table = verdict.table
    columns = np.stack([table.prices[role] for role in ("open", "high", "low", "close", "volume")])

    def find(rows: Rows) -> BoolArray:
        own = columns[:, rows]
        marks = np.zeros(len(rows), dtype=np.bool_)
        equal = (own[:, 1:] == own[:, :-1]) | (np.isnan(own[:, 1:]) & np.isnan(own[:, :-1]))
        marks[1:] = equal.all(axis=0) & (own[1, 1:] > own[2, 1:]) & ~(own[4, 1:] == 0)
        return marks

    verdict.warn(_marked(table, find), "the same prices and volume as in the row before: repeated?")


def frozen_blocks(verdict: Verdict) -> None:
    """Report a block of one price without volume: a placeholder, and no trading."""
    table = verdict.table
    opens, high, low, volume = (table.prices[role] for role in ("open", "high", "low", "volume"))
    flat = (opens == high) & (high == low) & ((volume == 0) | np.isnan(volume))
    if not flat.any():
        return

    def find(rows: Rows) -> BoolArray:
        same = flat[rows][1:] & flat[rows][:-1] & (opens[rows][1:] == opens[rows][:-1])
        edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
        marks = np.zeros(len(rows), dtype=np.bool_)
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            marks[start : stop + 1] = stop - start + 1 >= _FROZEN
        return marks

    verdict.warn(_marked(table, find), "one flat price without volume on several rows: a placeholder?")


def running_session(verdict: Verdict) -> None:
    """Report a last row with far less than the usual volume and range: its session was running."""
    table = verdict.table
    high, low, volume = (table.prices[role] for role in ("high", "low", "volume"))

    def find(rows: Rows) -> BoolArray:
        marks = np.zeros(len(rows), dtype=np.bool_)
        recent = rows[-_RECENT - 1 :]
        if len(recent) > _RECENT:
            # Both below all of the last month's, and far below the usual: a half day is neither.
            marks[-1] = _far_below(volume[recent], 10) and _far_below(high[recent] - low[recent], 5)
        return marks

    what = "the last row has a small part of the usual volume and range: written while its session was running?"
    verdict.warn(_marked(table, find), what)


def _far_below(values: Array, factor: float) -> bool:
    *before, last = values.tolist()
    return bool(last * factor < np.median(before) and last < min(before))


def stray_end(verdict: Verdict) -> None:
    """Report a few last rows after a hole of weeks: a mistyped date, or two files put together."""
    table = verdict.table

    def find(rows: Rows) -> NDArray[np.bool_]:
        marks = np.zeros(len(rows), dtype=np.bool_)
        steps = np.diff(table.days[rows])
        if len(steps) > 2 * _STRAY:
            marks[1:][-_STRAY:] = steps[-_STRAY:] > max(2 * FAR, 5 * float(np.median(steps)))
        return marks

    verdict.warn(_marked(table, find), "a hole of weeks before one of the last rows: is the date right?", "date")


def _day(day: np.int64) -> str:
    return f"{np.datetime64(int(day), 'D')} (a {_WEEK[(int(day) + 3) % 7]})"


DOUBTS = (
    weekdays,
    filled_weekends,
    changed_unit,
    lone_rows,
    repeated_rows,
    frozen_blocks,
    running_session,
    stray_end,
)
