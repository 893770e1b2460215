"""When a row is from: a column of dates, its format decided once for the whole column.

No date is read by itself. The column's shape (year first, day or month first, a month's name, digits alone, an Excel
serial, seconds since 1970) is what all its cells share; where day and month could change places and no cell of the
column settles it, that is an error which names the option.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecasting.ingest.shapes import Shape, Stamp, read_stamp

__all__ = ["NO_DATE", "DateColumn", "DateOrder", "UndecidedDatesError", "centuries", "read_dates"]

DateOrder = Literal["auto", "dmy", "mdy", "ymd"]
Sequenced = Callable[[], NDArray[np.int64]]
Reading = Mapping[int, int | None]
"""Days since 1970-01-01 of the texts by their index, None where a text is no date in an order."""

NO_DATE = np.iinfo(np.int64).min

_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1800, 2100
_PIVOT = 50
"""Two-digit years are 1950 to 2049, as long as the file's own sequence does not run on into earlier ones."""
_DAILY = 7
"""In a run of daily rows, the median step is at most so many days."""
_FIELDS: Mapping[str, tuple[int, int, int]] = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
_ORDERS: Mapping[str, tuple[str, ...]] = {"numeric": ("dmy", "mdy"), "short": ("dmy", "mdy", "ymd")}


class UndecidedDatesError(Exception):
    """The column's format cannot be decided.

    Parameters
    ----------
    what
        What was found.
    cell
        The index of the distinct text that shows it.
    setting
        The option that settles it, where one does.
    """

    def __init__(self, what: str, cell: int, setting: str | None = None) -> None:
        super().__init__(what, cell, setting)
        self.what = what
        self.cell = cell
        self.setting = setting


@dataclass(frozen=True, slots=True)
class DateColumn:
    """The dates of a column's distinct texts.

    Attributes
    ----------
    days
        Days since 1970-01-01, ``NO_DATE`` where a text is no date in the column's format.
    why
        What is wrong with those, by their index.
    shape, order
        The format that was decided.
    instants
        They are instants off midnight, or serial numbers, whose date at the exchange may be another.
    """

    days: NDArray[np.int64]
    why: Mapping[int, str]
    shape: Shape | None = None
    order: str = "ymd"
    instants: bool = False

    @property
    def numeric_order(self) -> bool:
        """Whether day and month are numbers whose order had to be decided."""
        return self.shape is not None and self.shape.kind in _ORDERS

    @property
    def epochs(self) -> bool:
        """Whether they are seconds since 1970, or since some other moment."""
        return self.shape is not None and self.shape.kind == "epoch"

    @property
    def short_years(self) -> bool:
        """Whether years have two digits: their century follows from the sequence (:func:`centuries`)."""
        return self.shape is not None and "short" in self.shape

    def day_of(self, text: str) -> int | None:
        """Read one more text, in the column's format (its century aside)."""
        stamp = read_stamp(text)
        return _day(stamp.parts, self.order) if stamp is not None and stamp.shape == self.shape else None


def read_dates(
    texts: Sequence[str], sequence: Sequenced, *, order: DateOrder = "auto", loose: bool = False
) -> DateColumn:
    """Read the distinct texts of a date column.

    Parameters
    ----------
    texts
        The distinct texts, in any order.
    sequence
        Gives, when it is needed, the indices of the texts of one ticker in the file's order.
    order
        The order of day, month and year where they are numbers; ``auto`` lets the column decide.
    loose
        The column has no name that says it holds dates: serial numbers are not taken for them.

    Raises
    ------
    UndecidedDatesError
        When day and month could change places, or do so within the column.
    """
    if (days := _read_iso(texts)) is not None:
        return DateColumn(days, {}, Shape("ymd", "-"))
    stamps = {i: stamp for i, text in enumerate(texts) if (stamp := read_stamp(text)) is not None}
    if loose:
        stamps = {i: stamp for i, stamp in stamps.items() if stamp.shape.kind not in {"serial", "epoch"}}
    why = {i: f'"{text}" is no date' for i, text in enumerate(texts) if i not in stamps}
    days = np.full(len(texts), NO_DATE, dtype=np.int64)
    if not stamps:
        return DateColumn(days, why)
    counts = Counter(stamp.shape for stamp in stamps.values())
    shape = max(counts, key=lambda one: (counts[one], one))
    good = {i: stamp for i, stamp in stamps.items() if stamp.shape == shape}
    first = texts[next(iter(good))]
    why |= {i: f'"{texts[i]}" is in another format than "{first}"' for i in stamps if i not in good}
    chosen = _decide(texts, good, shape, sequence, order) if shape.kind in _ORDERS else "ymd"
    for i, stamp in good.items():
        day = _day(stamp.parts, chosen)
        if day is None:
            why[i] = f'"{texts[i]}" is no date' + (f" (read as {chosen})" if shape.kind in _ORDERS else "")
        else:
            days[i] = day
    instants = shape.kind == "serial" or any(stamp.instant for stamp in good.values())
    return DateColumn(days, why, shape, chosen, instants)


def centuries(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Move dates read with two-digit years into the centuries that make the sequence run on without a leap.

    Parameters
    ----------
    days
        Days since 1970-01-01, in the file's order, as read with years 1950 to 2049.

    Returns
    -------
    NDArray
        The same, or moved by whole centuries where the file's own sequence runs on into an earlier one.
    """
    if len(days) < 2:
        return days
    dates = [date.fromordinal(int(day) + _EPOCH) for day in days]
    years = np.array([when.year for when in dates])
    unrolled = np.unwrap(years % 100, period=100).astype(np.int64)
    steps = np.diff(unrolled)
    if not (np.all(steps >= 0) or np.all(steps <= 0)):
        return days
    moved = unrolled - 100 * ((unrolled.max() - (1900 + _PIVOT)) // 100)
    if np.array_equal(moved, years):
        return days
    again = [_ordinal(int(year), when.month, when.day) for year, when in zip(moved, dates, strict=True)]
    return np.array([NO_DATE if day is None else day for day in again], dtype=np.int64)


def _read_iso(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Read ``2024-01-31`` and its like at once; None when any text is another, or no date."""
    if not all(map(_ISO.fullmatch, texts)):
        return None
    try:
        days = np.array(texts, dtype="datetime64[D]")
    except ValueError:
        return None
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return days.astype(np.int64) if ((years >= _FIRST_YEAR) & (years <= _LAST_YEAR)).all() else None


def _decide(
    texts: Sequence[str], stamps: Mapping[int, Stamp], shape: Shape, sequence: Sequenced, order: DateOrder
) -> str:
    """Decide which of three numbers is the day, the month and the year."""
    possible = _ORDERS[shape.kind]
    first = next(iter(stamps))
    if order != "auto":
        if order not in possible:
            raise UndecidedDatesError(f'"{texts[first]}" cannot be read as {order}', first)
        return order
    readings = {one: {i: _day(stamp.parts, one) for i, stamp in stamps.items()} for one in possible}
    fits = {one: sum(day is not None for day in days.values()) for one, days in readings.items()}
    chosen = [one for one in possible if fits[one] == max(fits.values())]
    if len(chosen) > 1:
        chosen = _without_same(chosen, readings)
    if len(chosen) > 1 and "ymd" in chosen:
        chosen = _year_first_or_last(chosen, readings, sequence)
    if len(chosen) > 1:
        both = " or ".join(str(_as_date(readings[one][first])) for one in chosen)
        raise UndecidedDatesError(
            f'day and month cannot be told apart in any date of the column ("{texts[first]}" may be {both})',
            first,
            "set --date-order " + " or ".join(chosen),
        )
    _refuse_two_orders(texts, readings, chosen[0])
    return chosen[0]


def _without_same(chosen: list[str], readings: Mapping[str, Reading]) -> list[str]:
    """Leave out orders under which every date is the same as under one before (02/02, 03/03)."""
    return [one for at, one in enumerate(chosen) if all(readings[one] != readings[other] for other in chosen[:at])]


def _year_first_or_last(chosen: list[str], readings: Mapping[str, Reading], sequence: Sequenced) -> list[str]:
    """Of two-digit years first or last, leave out the way in which the rows are no run of days."""
    rows = sequence()
    others = [one for one in chosen if one != "ymd"]
    year_first = _runs(rows, readings["ymd"])
    if year_first == any(_runs(rows, readings[one]) for one in others):
        return chosen
    return ["ymd"] if year_first else others


def _runs(rows: NDArray[np.int64], days: Reading) -> bool:
    """Whether dates in the file's order run one way, from one day to the next few."""
    read = [day for row in rows if (day := days.get(int(row))) is not None]
    steps = np.diff(centuries(np.array(read, dtype=np.int64)))
    if not len(steps):
        return False
    return bool((np.all(steps >= 0) or np.all(steps <= 0)) and np.median(np.abs(steps)) <= _DAILY)


def _refuse_two_orders(texts: Sequence[str], readings: Mapping[str, Reading], one: str) -> None:
    """Refuse a column in which some dates can only be day first and others only month first."""
    other = {"dmy": "mdy", "mdy": "dmy"}.get(one)
    if other is None:
        return
    against = [i for i, day in readings[other].items() if day is not None and readings[one][i] is None]
    if not against:
        return
    sure = [i for i, day in readings[one].items() if day is not None and readings[other][i] is None]
    example = f', "{texts[sure[0]]}" only as {one}' if sure else ""
    raise UndecidedDatesError(
        f'day and month change places within the column: "{texts[against[0]]}" can only be read as {other}{example}',
        against[0],
    )


def _day(parts: tuple[int, int, int], order: str) -> int | None:
    year, month, day = (parts[place] for place in _FIELDS[order])
    if year < 100:
        year += 1900 if year >= _PIVOT else 2000
    return _ordinal(year, month, day) if _FIRST_YEAR <= year <= _LAST_YEAR else None


def _ordinal(year: int, month: int, day: int) -> int | None:
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


def _as_date(day: int | None) -> date | None:
    return None if day is None else date.fromordinal(day + _EPOCH)
