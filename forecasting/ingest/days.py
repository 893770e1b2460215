"""What makes dates those of a market: one row per day, in a plausible order, in a fixed week."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.ingest.latest import FAR
from forecasting.ingest.names import NEEDED
from forecasting.ingest.table import WEEK, Table, Verdict

__all__ = ["CHECKS", "DOUBTS", "earlier", "equal", "later", "weekdays_of"]

_GAP, _FEW = 360, 3  # the first or last few rows, this many days from the rest, are misdated
_FAR = 31  # a step of this many days against the file's order is more than an appended or swapped row
_BLOCK = 20  # whole stretches of at least this many rows may be in any order: downloads put one after another
_UNORDERED = 0.25  # with this share of steps in the other direction, the file has no order
_WEEKEND_SHARE = 0.15  # up to this share of weekend days, a file is one of weekdays, with exceptions
_FRIDAY, _SATURDAY, _SUNDAY = 4, 5, 6
_MARKETS = {frozenset(map(int, week)) for week in ("01234", "60123", "56012", "560123", "012345", "601234", "0123456")}
"""The weeks of real markets: Monday to Friday, Sunday to Thursday, Saturday to Wednesday, to Thursday, and so on."""
_WEEKEND = {_SATURDAY, _SUNDAY}
_SIX_DAYS = {frozenset(range(6)), frozenset((6, 0, 1, 2, 3, 4))}
_AHEAD = {frozenset(map(int, "60123")): 1, frozenset(map(int, "56012")): 2}
_OTHERS = ("XNYS", "XLON", "XTKS")
_HOLIDAYS, _UNFIT = 2, 0.005  # this many holidays cannot be chance, where at most this share of days differs
_ENOUGH = 15
_LONG, _REGULAR = 60, 0.8  # rows, and the share of weeks with a sixth day, that make a week of six days a market's
_SELDOM = 0.25  # a weekday with less than this share of the usual count is not one of the market's
_MOST = 0.8


def later(pairs: BoolArray) -> BoolArray:
    """Mark the later row of each marked pair of rows that follow each other."""
    return np.concatenate([[False], pairs])


def earlier(pairs: BoolArray) -> BoolArray:
    """Mark the earlier row of each marked pair."""
    return np.concatenate([pairs, [False]])


def equal(one: Array, other: Array) -> BoolArray:
    """Whether numbers are the same, or both missing."""
    same: BoolArray = (one == other) | (np.isnan(one) & np.isnan(other))
    return same


def _weekday(days: IntArray) -> IntArray:
    return (days + 3) % 7


def _steps(table: Table) -> IntArray:
    return np.where(table.same, np.diff(table.days), 0)


def one_row_a_day(verdict: Verdict) -> None:
    """Leave out rows that repeat a day when their prices are the same, and refuse them when they are not."""
    table = verdict.table
    again = table.same & (np.diff(table.days) == 0)
    if not again.any():
        return
    alike = {role: equal(values[1:], values[:-1]) for role, values in table.prices.items()}
    same = np.all([alike[role] for role in ("open", "high", "low", "close")], axis=0)
    what = "the day is repeated with another volume, taken as missing"
    verdict.take_as_missing(earlier(again & same & ~alike["volume"]), what, "volume")
    repeated = later(again & same)
    verdict.set_aside(repeated, "the same day and prices again")
    conflicting = (later(again & ~same) | earlier(again & ~same))[~repeated]
    verdict.refuse(conflicting, "{day} is there more than once, with different prices")


def not_far(verdict: Verdict) -> None:
    """Refuse a few first or last rows that lie a year or more from the rest."""
    table = verdict.table
    far = np.zeros(len(table), dtype=np.bool_)
    for rows in table.histories(later(_steps(table) > _GAP)):
        gaps, own = np.diff(table.days[rows]), far[rows]
        for count in range(1, min(_FEW, len(gaps) // 3) + 1):
            own[:count] |= gaps[count - 1] > max(_GAP, 10 * gaps[count:].max(initial=1))
            own[-count:] |= gaps[-count] > max(_GAP, 10 * gaps[:-count].max(initial=1))
    verdict.refuse(far, "{day} is more than a year from the other dates", "date")


def regular(verdict: Verdict) -> None:
    """Report weekends among weekdays, weeks that few markets have, and rows that are not daily.

    A week of six days is a market's when the dates leave no doubt, and the whole history has it.
    """
    table, weekend, steps = verdict.table, _weekday(verdict.table.days) >= _SATURDAY, _steps(verdict.table)
    odd, early = np.zeros((2, len(table)), dtype=np.bool_)
    for rows in table.histories(weekend) if table.weekdays is None else ():
        kept, count, own = weekdays_of(table.days[rows]), rows.stop - rows.start, weekend[rows]
        early[rows] = own & (kept in _AHEAD and count >= len(WEEK))
        six_days = kept in _SIX_DAYS and count >= _LONG and own.sum() > _REGULAR * count / 6 and not table.unsure
        few, both = own.sum() < _WEEKEND_SHARE * count, {*_weekday(table.days[rows])} >= _WEEKEND
        odd[rows] = own & ~early[rows] & bool(not six_days and (few or (not both and count >= len(WEEK))))
    verdict.warn(odd, "a weekend's date among weekdays", "date")
    what = "weeks that begin on a weekend: unless the market keeps them, the dates are early (weekdays declares them)"
    verdict.warn(early, what, "date")
    counts = table.per_ticker(np.add, later(table.same) * 1)
    wide = (counts >= 4) & (table.per_ticker(np.add, later(steps >= 5) * 1) > 0.5 * counts)
    what = "rows are mostly five days or more apart, where daily rows are expected"
    verdict.warn(~later(table.same) & wide, what)


def in_order(verdict: Verdict) -> None:
    """Refuse dates that leap against the file's own order; report smaller breaks."""
    table = verdict.table
    by = np.lexsort((table.places, table.codes))
    steps = np.where(table.same, np.diff(table.days[by]), 0)
    if not (steps > 0).any() or not (steps < 0).any():
        return
    leaps, breaks, weekends = np.zeros((3, len(table)), dtype=np.bool_)
    for rows in table.histories(later(steps != 0)):
        own = steps[rows.start : rows.stop - 1]
        up, down = np.count_nonzero(own > 0), np.count_nonzero(own < 0)
        if not up or not down:
            continue
        rising, at = table.days[by[rows]] * (1 if up >= down else -1), by[rows]
        if min(up, down) < _UNORDERED * (up + down):
            leaps[at[_leaping(rising)]] = True
        breaks[at[1:][np.diff(rising) < 0]] = True
        weekend = _weekday(table.days[at]) >= _SATURDAY
        weekends[at] = weekend & bool(table.numeric_dates and weekend.mean() < 2 * _WEEKEND_SHARE)
    verdict.warn(breaks & ~leaps & ~weekends, "the dates are out of order here; rows were sorted by date")
    verdict.refuse(leaps, "{day} is far out of the order of the dates around it", "date")
    weekends = weekends[np.isin(table.codes, verdict.table.codes)]
    verdict.refuse(weekends, "{day} is a weekend's date out of order: day and month mixed up?", "date")


def _leaping(days: IntArray) -> BoolArray:
    """Mark the rows of a mostly ascending sequence after each leap back, up to where the sequence continues."""
    starts = np.flatnonzero(np.diff(days) < -_FAR) + 1
    leaping = np.zeros(len(days), dtype=np.bool_)
    runs = np.split(days, starts)
    ranges = sorted((int(run.min()), int(run.max())) for run in runs)
    gaps = [after[0] - before[1] for before, after in pairwise(ranges)]
    shortest = min(map(len, runs))
    # Stretches of one history may be in any order: long ones that do not overlap, or short ones that also join.
    if gaps and min(gaps) > 0 and (shortest >= _BLOCK or (shortest > _FEW and max(gaps) <= _FAR)):
        return leaping
    for start in starts.tolist():
        again = np.flatnonzero(days[start:] >= days[start - 1])
        stop = start + int(again[0]) if len(again) else len(days)
        leaping[start : min(stop, start + max(1, len(days) // 2))] = True
    return leaping


def weekdays_of(days: IntArray) -> frozenset[int]:
    """Find the weekdays (0 is Monday) on which a history regularly has rows."""
    counts = np.bincount(_weekday(days), minlength=7)
    return frozenset(np.flatnonzero(counts > _SELDOM * np.median(counts[counts > 0])).tolist())


def one_week(verdict: Verdict) -> None:
    """Refuse weekdays that no market has, and a week that changes within the history: a market has a fixed week."""
    table = verdict.table
    weekday = _weekday(table.days)
    if table.weekdays is not None:
        other = ~np.isin(weekday, [at for at, day in enumerate(WEEK) if day[:3] in table.weekdays])
        verdict.refuse(other, "{day} is not one of the declared weekdays", "date")
        return
    for rows in table.histories(weekday >= _SATURDAY):
        what = _wrong_week(np.unique(table.days[rows]), bool(table.unsure))
        if what:
            said = "; ".join(filter(None, (what, table.unsure, "the dates are not known")))
            marks = (verdict.table.codes == table.codes[rows.start]) & (_weekday(verdict.table.days) >= _SATURDAY)
            verdict.refuse(marks, said, "date", "set zone, add_years or weekdays in a format file")


def _early(days: IntArray) -> str:
    """Say that days in weeks from Sunday, or from Saturday, are another market's sessions, a day or two early.

    The holidays prove it: a market that really has such a week has other holidays.
    """
    from forecasting.calendars import recorded_sessions  # noqa: PLC0415 - slow to import, and hardly ever needed

    ahead = _AHEAD.get(weekdays_of(days), 0)
    moved = days + ahead
    first, last = moved[[0, -1]].astype("datetime64[D]").tolist()
    weekdays = np.count_nonzero(_weekday(np.arange(moved[0], moved[-1] + 1)) < _SATURDAY)
    for calendar in _OTHERS if ahead else ():
        sessions = recorded_sessions(calendar, first.year, last.year).days
        sessions = sessions[(sessions >= moved[0]) & (sessions <= moved[-1])]
        if weekdays - len(sessions) >= _HOLIDAYS and len(np.setxor1d(moved, sessions)) <= _UNFIT * len(days):
            later = "a day" if ahead == 1 else "two days"
            return (
                f"{later} later they would be the sessions of {calendar}, without its holidays: they are {later} early"
            )
    return ""


def _wrong_week(days: IntArray, unsure: bool) -> str:
    """Say what is wrong with the weekdays of a ticker's days."""
    steps = np.diff(days)
    if len(days) < 2 or np.median(steps) > 3:
        return ""
    counts = np.bincount(_weekday(days), minlength=7)
    every_day = counts[_SATURDAY:].min() > 0 and np.count_nonzero(steps == 1) >= 0.9 * len(steps)
    kept = weekdays_of(days)
    if unsure and not every_day and counts[_SATURDAY:].max() > 0.08 * len(days) and kept not in _SIX_DAYS:
        return "the dates run on into the weekend and leave out other days"
    if len(days) < _ENOUGH or every_day:
        return ""
    if kept not in _MARKETS and max(kept) >= _SATURDAY:
        return f"the rows are of {', '.join(WEEK[one] for one in sorted(kept))}, a week that no market has"
    return _mixed_weeks(days) or _early(days)


def _mixed_weeks(days: IntArray) -> str:
    """Say that the weeks are of two kinds: of two markets, or of dates that are a day off."""
    week, weekday = (days + 3) // 7, _weekday(days)
    present = np.zeros((int(week[-1] - week[0]) + 1, 7), dtype=np.bool_)
    present[week - week[0], weekday] = True
    full = present.sum(axis=1) >= 4
    plain = full & ~present[:, _SATURDAY] & ~present[:, _SUNDAY] & present[:, 0] & present[:, _FRIDAY]
    for off, missing, name in ((_SATURDAY, 0, "Tuesday to Saturday"), (_SUNDAY, _FRIDAY, "Sunday to Thursday")):
        moved = full & present[:, off] & ~present[:, missing]
        if min(moved.sum(), plain.sum()) >= 2 and moved.sum() > present[:, off].sum() / 2:
            return f"some weeks are of {name} and others of Monday to Friday"
    return ""


def filled_weekends(verdict: Verdict) -> None:
    """Set aside weekends that repeat the row next to them, or are on a straight line to Monday: they are filled in."""
    table = verdict.table
    weekend = _weekday(table.days) >= _SATURDAY
    if table.weekdays is not None:
        return
    marks = np.zeros(len(table), dtype=np.bool_)
    for rows in table.histories(weekend):
        own = np.stack([table.prices[role][rows] for role in NEEDED])
        marks[rows] = weekend[rows] & _is_filled(own, table.days[rows], weekend[rows])
    what = "weekend rows that repeat the row next to them, or lie on a straight line from Friday to Monday"
    verdict.set_aside(marks, what)


def _is_filled(prices: Array, days: IntArray, weekend: BoolArray) -> bool:
    at, session = np.flatnonzero(weekend), np.flatnonzero(~weekend)
    if len(at) < 4 or len(session) < 2:
        return False
    after = np.clip(np.searchsorted(session, at), 1, len(session) - 1)
    left, right = session[after - 1], session[after]
    share = (days[at] - days[left]) / np.maximum(days[right] - days[left], 1)
    line = prices[:, left] + share * (prices[:, right] - prices[:, left])
    # Rounded prices may be off a line between rounded prices by one unit of their last decimal.
    places = next((n for n in range(6) if np.all(np.abs(prices * 10**n - np.round(prices * 10**n)) < 1e-4)), 6)
    guesses = ((prices[:, left], 0.0), (prices[:, right], 0.0), (line, 1.02 * 10.0**-places))
    hits = [np.all(np.abs(prices[:, at] - guess) <= slack, axis=0) for guess, slack in guesses]
    return bool(np.any(hits, axis=0).mean() >= _MOST)


def stray_end(verdict: Verdict) -> None:
    """Report a hole of weeks before one of the last rows: a mistyped date, or two files put together."""
    table, steps = verdict.table, _steps(verdict.table)
    left = np.repeat(table.edges[1:], np.diff(table.edges)) - np.arange(len(table))
    marks = later(steps > 2 * FAR) & (left <= _FEW)
    for rows in table.histories(marks):
        own = np.diff(table.days[rows])
        marks[rows][1:] &= (own > 5 * np.median(own)) & (len(own) > 2 * _FEW)
    verdict.warn(marks, "a hole of weeks before one of the last rows: is the date right?", "date")


CHECKS = (one_row_a_day, not_far, regular, in_order)
DOUBTS = (one_week, filled_weekends, stray_end)
