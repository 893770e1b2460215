"""Days in a believable order: no date far from the others, none far out of the file's own sequence."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from forecasting.arrays import IntArray
from forecasting.ingest.verdict import Verdict, sort_index

__all__ = ["check_days", "check_order"]

_GAP = 360
"""A few first or last rows more than so many days from the rest are misdated."""
_FEW = 3
_FAR = 31
"""A step of so many days against the file's order is more than an appended or swapped row."""
_BLOCK = 20
"""Whole stretches of at least so many rows may be in any order: downloads put one after another."""
_UNORDERED = 0.25
"""With so large a share of steps against the other ones, the file has no order."""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WEEKEND_SHARE = 0.15
"""Up to this share of weekend days, a file is one of weekdays, with exceptions."""
_WEEK = 7


def check_days(verdict: Verdict) -> None:
    """Refuse a few first or last rows that lie a year or more from the rest; report weekends and wide spacing."""
    table = verdict.table
    order = sort_index(table)
    by = np.arange(len(table)) if order is None else order
    codes, days = table.codes[by], table.days[by]
    gaps = np.where(codes[1:] == codes[:-1], days[1:] - days[:-1], 0)
    far = np.zeros(len(table), dtype=np.bool_)
    for code in np.unique(codes[1:][gaps > _GAP]):
        rows = np.flatnonzero(codes == code)
        far[by[rows[_isolated(days[rows])]]] = True
    named = table.days
    verdict.refuse(far, lambda row: f"{_day(named[row])} is more than a year from the other dates", "date")
    _report_weekends(verdict)
    _report_spacing(verdict)


def _isolated(days: IntArray) -> NDArray[np.bool_]:
    """Which of a ticker's sorted days are a few at either end, far from all others."""
    isolated = np.zeros(len(days), dtype=np.bool_)
    gaps = np.diff(days)
    for count in range(1, min(_FEW, (len(days) - 1) // 3) + 1):
        for gap, others, end in (
            (gaps[count - 1], gaps[count:], slice(None, count)),
            (gaps[-count], gaps[:-count], slice(-count, None)),
        ):
            if gap > max(_GAP, 10 * others.max(initial=1)):
                isolated[end] = True
    return isolated


def _report_weekends(verdict: Verdict) -> None:
    table = verdict.table
    weekend = _weekend(table.days)
    if not weekend.any():
        return
    count = len(table.tickers)
    rows = np.bincount(table.codes, minlength=count)
    saturdays, sundays = (np.bincount(table.codes[(table.days + 3) % _WEEK == day], minlength=count) for day in (5, 6))
    few = saturdays + sundays < _WEEKEND_SHARE * rows
    one_kind = (np.minimum(saturdays, sundays) == 0) & (rows >= _WEEK)
    verdict.warn(weekend & (few | one_kind)[table.codes], "a weekend's date among weekdays", "date")


def _report_spacing(verdict: Verdict) -> None:
    table = verdict.table
    order = sort_index(table)
    codes, days = (table.codes, table.days) if order is None else (table.codes[order], table.days[order])
    same = codes[1:] == codes[:-1]
    wide = np.bincount(codes[1:][same & (days[1:] - days[:-1] >= 5)], minlength=len(table.tickers))
    steps = np.bincount(codes[1:][same], minlength=len(table.tickers))
    for code in np.flatnonzero((steps >= 4) & (wide > 0.5 * steps)):
        first = np.zeros(len(table), dtype=np.bool_)
        first[np.flatnonzero(table.codes == code)[0]] = True
        verdict.warn(first, "rows are mostly five days or more apart, where daily rows are expected")


def check_order(verdict: Verdict) -> None:
    """Refuse dates that leap against the file's own order; report smaller breaks."""
    table = verdict.table
    by = np.argsort(table.codes, kind="stable") if (table.codes[1:] < table.codes[:-1]).any() else np.arange(len(table))
    codes, days = table.codes[by], table.days[by]
    steps = np.where(codes[1:] == codes[:-1], days[1:] - days[:-1], 0)
    up = np.bincount(codes[1:][steps > 0], minlength=len(table.tickers))
    down = np.bincount(codes[1:][steps < 0], minlength=len(table.tickers))
    mixed = np.flatnonzero((up > 0) & (down > 0))
    if not len(mixed):
        return
    leaps = np.zeros(len(table), dtype=np.bool_)
    breaks = np.zeros(len(table), dtype=np.bool_)
    weekends = np.zeros(len(table), dtype=np.bool_)
    for code in mixed:
        rows = by[codes == code]
        sign = 1 if up[code] >= down[code] else -1
        own = sign * table.days[rows]
        ordered = min(up[code], down[code]) < _UNORDERED * (up[code] + down[code])
        leaps[rows[_leaping(own)]] = ordered
        breaks[rows[1:][np.diff(own) < 0]] = True
        weekend = _weekend(table.days[rows])
        if table.numeric_dates and 0 < weekend.mean() < _WEEKEND_SHARE * 2:
            weekends[rows[weekend]] = True
    day = table.days
    verdict.warn(breaks & ~leaps & ~weekends, "the dates are out of order here; rows were sorted by date")
    verdict.refuse(leaps, lambda row: f"{_day(day[row])} is far out of the order of the dates around it", "date")
    weekends, day = weekends[np.isin(table.codes, verdict.table.codes)], verdict.table.days
    verdict.refuse(
        weekends, lambda row: f"{_day(day[row])} is a weekend's date out of order: day and month mixed up?", "date"
    )


def _leaping(days: IntArray) -> NDArray[np.bool_]:
    """Which rows of a mostly ascending sequence come after a leap back, up to where the sequence is itself again."""
    starts = np.flatnonzero(np.diff(days) < -_FAR) + 1
    leaping = np.zeros(len(days), dtype=np.bool_)
    if not len(starts):
        return leaping
    runs = np.split(np.arange(len(days)), starts)
    if _in_blocks([days[run] for run in runs]):
        return leaping
    for start in starts:
        again = np.flatnonzero(days[start:] >= days[start - 1])
        stop = start + int(again[0]) if len(again) else len(days)
        leaping[start : min(stop, start + max(1, len(days) // 2))] = True
    return leaping


def _in_blocks(runs: list[IntArray]) -> bool:
    """Whether the runs are stretches of one history: long ones that do not overlap, or short ones that also join."""
    ranges = sorted((int(run.min()), int(run.max())) for run in runs)
    gaps = [after[0] - before[1] for before, after in pairwise(ranges)]
    shortest = min(map(len, runs))
    return min(gaps) > 0 and (shortest >= _BLOCK or (shortest > _FEW and max(gaps) <= _FAR))


def _weekend(days: IntArray) -> NDArray[np.bool_]:
    weekdays: NDArray[np.bool_] = (days + 3) % _WEEK >= 5
    return weekdays


def _day(day: np.int64) -> str:
    when = np.datetime64(int(day), "D")
    return f"{when} (a {_WEEKDAYS[(int(day) + 3) % 7]})"
