"""When a row is from: a column of dates, its format decided once for the whole column.

No date is read by itself. The column's shape (year first, day or month first, a month's name, digits alone, an Excel
serial, a count from 1970) is what all its cells share; where the cells leave it open, that is an error which names the
key that settles it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from forecasting.ingest.format import PriceFormat
from forecasting.ingest.instants import read_epochs, to_sessions
from forecasting.ingest.shapes import EPOCH, EPOCH_DAY, FIRST_YEAR, LAST_YEAR, NO_DATE, Clock, Shape, Stamp, read_stamp

__all__ = ["NO_DATE", "DateColumn", "UndecidedDatesError", "read_dates"]

Sequenced = Callable[[], NDArray[np.int64]]
Reading = Mapping[int, int | None]
"""Days since 1970-01-01 of the texts by their index, None where a text is not a date in an order."""

_PIVOT = 50
"""Years of two digits are 1950 to 2049."""
_DAILY = 7
"""In a run of daily rows, the median step is at most so many days."""
_FIELDS: Mapping[str, tuple[int, int, int]] = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
_ORDERS: Mapping[str, tuple[str, ...]] = {"numeric": ("dmy", "mdy"), "short": ("dmy", "mdy", "ymd")}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TWO_DIGITS = "the years have two digits, and may be of another century or counted from another epoch"


class UndecidedDatesError(Exception):
    """The column's format cannot be decided: what was found, in which distinct text, and the key that settles it."""

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
    days, why
        Days since 1970-01-01, ``NO_DATE`` where a text is not a date in the column's format; why, by its index.
    form
        The format that was decided, in words.
    clocks
        The times of day off midnight, by the index of the text.
    unsure
        Why the dates may be of other days than they seem; empty where they are plainly dates.
    order
        The order of day, month and year, where they are numbers and it had to be decided.
    """

    days: NDArray[np.int64]
    why: Mapping[int, str]
    form: str = ""
    clocks: Mapping[int, Clock] = field(default_factory=dict)
    unsure: str = ""
    order: str = ""

    @property
    def numeric_order(self) -> bool:
        """Whether day and month are numbers whose order had to be decided."""
        return self.order != ""


def read_dates(
    texts: Sequence[str], sequence: Sequenced, format_: PriceFormat | None = None, *, loose: bool = False
) -> DateColumn:
    """Read the distinct texts of a date column.

    Parameters
    ----------
    texts, sequence
        The texts, in any order; and what gives, when it is needed, their indices in the order of one ticker's rows.
    format_
        What is declared; the column decides the rest.
    loose
        The column has no name that says it holds dates: day numbers and epochs are not taken for them.

    Raises
    ------
    UndecidedDatesError
        When day and month could change places, or do so within the column.
    """
    format_ = format_ or PriceFormat()
    if format_.date_format not in {None, "excel"}:
        return _declared(texts, format_)
    if format_.epoch or (not loose and sum(map(_counts, texts)) > len(texts) / 2):
        return _read_counts(texts, format_)
    if format_.date_format is None and not format_.add_years and (days := _read_iso(texts)) is not None:
        return DateColumn(days, {}, "year-month-day")
    return _read_stamps(texts, sequence, format_, loose=loose)


def _read_stamps(texts: Sequence[str], sequence: Sequenced, format_: PriceFormat, *, loose: bool) -> DateColumn:
    """Read texts that name year, month and day, or count days as Excel does."""
    stamps = {i: stamp for i, text in enumerate(texts) if (stamp := read_stamp(text)) is not None}
    if loose:
        stamps = {i: stamp for i, stamp in stamps.items() if stamp.shape.kind != "serial"}
    why = {i: f'"{text}" is not a date' for i, text in enumerate(texts) if i not in stamps}
    days = np.full(len(texts), NO_DATE, dtype=np.int64)
    if not stamps:
        return DateColumn(days, why)
    counts = Counter(stamp.shape for stamp in stamps.values())
    shape = max(counts, key=lambda one: (counts[one], one))
    good = {i: stamp for i, stamp in stamps.items() if stamp.shape == shape}
    first = next(iter(good))
    if shape.kind == "six" or (format_.date_format == "excel" and shape.kind != "serial"):
        what = f'"{texts[first]}" has six digits' if shape.kind == "six" else f'"{texts[first]}" is not an Excel day'
        raise UndecidedDatesError(what, first, "set date_format in a format file, %y%m%d for one")
    why |= {i: f'"{texts[i]}" is in another format than "{texts[first]}"' for i in stamps if i not in good}
    order = _decide(texts, good, shape, sequence, format_) if shape.kind in _ORDERS else "ymd"
    for i, stamp in good.items():
        day = _day(stamp.parts, order, format_.add_years)
        if day is None:
            why[i] = _not_a_day(texts[i], stamp.parts, order if shape.kind in _ORDERS else "ymd")
        else:
            days[i] = day
    clocks = {i: stamp.clock for i, stamp in good.items() if stamp.clock is not None and stamp.clock.minutes}
    to_sessions(days, clocks, format_)
    unsure = _unsure(shape, clocks, format_)
    return DateColumn(days, why, _words(shape, order), clocks, unsure, order if shape.kind in _ORDERS else "")


def _unsure(shape: Shape, clocks: Mapping[int, Clock], format_: PriceFormat) -> str:
    if "short" in shape and not format_.add_years:
        return _TWO_DIGITS
    if shape.kind == "serial" and format_.date_format is None:
        return "the numbers may be days counted from another epoch (1904, 1970)"
    if any(clock.utc for clock in clocks.values()) and format_.zone is None:
        return "the timestamps may be of another zone than the exchange's"
    return ""


def _read_iso(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Read ``2024-01-31`` and its like at once; None when any text is another, or not a date."""
    if not all(map(_ISO.fullmatch, texts)):
        return None
    try:
        days = np.array(texts, dtype="datetime64[D]")
    except ValueError:
        return None
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return days.astype(np.int64) if ((years >= FIRST_YEAR) & (years <= LAST_YEAR)).all() else None


def _declared(texts: Sequence[str], format_: PriceFormat) -> DateColumn:
    """Read the texts in the declared format of strptime."""
    days = np.full(len(texts), NO_DATE, dtype=np.int64)
    why: dict[int, str] = {}
    clocks: dict[int, Clock] = {}
    form = str(format_.date_format)
    for i, text in enumerate(texts):
        try:
            when = datetime.strptime(text, form)  # noqa: DTZ007 - the format says whether there is a zone
        except ValueError:
            why[i] = f'"{text}" is not a date in the declared format {form}'
            continue
        year = when.year % 100 if "%y" in form and format_.add_years else when.year
        day = _ordinal(year + format_.add_years, when.month, when.day)
        if day is None:
            why[i] = f'"{text}" is not a date between {FIRST_YEAR} and {LAST_YEAR}'
            continue
        days[i] = day
        if when.hour or when.minute:
            clocks[i] = Clock(60 * when.hour + when.minute, when.tzinfo is not None and not when.utcoffset())
    to_sessions(days, clocks, format_)
    return DateColumn(days, why, f"declared {form}", clocks)


def _read_counts(texts: Sequence[str], format_: PriceFormat) -> DateColumn:
    days, why, clocks = read_epochs(texts, format_)
    to_sessions(days, clocks, format_)
    unsure = "the timestamps may be of another zone than the exchange's, or counted from another epoch"
    unsure = "" if format_.zone is not None or (format_.epoch and not clocks) else unsure
    return DateColumn(days, why, "a count from 1970", clocks, unsure)


def _counts(text: str) -> bool:
    if not EPOCH.fullmatch(text):
        return False
    stamp = read_stamp(text)  # 202401021600 is a date and a clock
    return stamp is None or _day(stamp.parts, "ymd", 0) is None


def _decide(
    texts: Sequence[str], stamps: Mapping[int, Stamp], shape: Shape, sequence: Sequenced, format_: PriceFormat
) -> str:
    """Decide which of three numbers is the day, the month and the year."""
    possible, add = _ORDERS[shape.kind], format_.add_years
    first = next(iter(stamps))
    if format_.date_order != "auto":
        if format_.date_order not in possible:
            raise UndecidedDatesError(f'"{texts[first]}" cannot be read as {format_.date_order}', first)
        return format_.date_order
    readings = {one: {i: _day(stamp.parts, one, add) for i, stamp in stamps.items()} for one in possible}
    fits = {one: sum(day is not None for day in days.values()) for one, days in readings.items()}
    if stamps[first].parts[0] > 99 and not any(fits.values()):
        what = f'"{texts[first]}" has a year of three digits: counted from which era?'
        raise UndecidedDatesError(what, first, "set date_order and add_years in a format file")
    chosen = [one for one in possible if fits[one] == max(fits.values())]
    if len(chosen) > 1:
        # Under some orders every date may be the same as under one before (02/02, 03/03).
        earlier = [chosen[:at] for at in range(len(chosen))]
        chosen = [
            one for one, others in zip(chosen, earlier, strict=True)
            if all(readings[one] != readings[other] for other in others)
        ]  # fmt: skip
    if len(chosen) > 1 and "ymd" in chosen:
        chosen = _year_first_or_last(chosen, readings, sequence)
    if len(chosen) > 1:
        both = " or ".join(str(np.datetime64(readings[one][first], "D")) for one in chosen)
        raise UndecidedDatesError(
            f'day and month cannot be distinguished in any date of the column ("{texts[first]}" may be {both})',
            first,
            "set --date-order " + " or ".join(chosen),
        )
    _refuse_two_orders(texts, readings, chosen[0])
    return chosen[0]


def _year_first_or_last(chosen: list[str], readings: Mapping[str, Reading], sequence: Sequenced) -> list[str]:
    """Of two-digit years first or last, leave out the way in which the rows are not a run of days."""
    rows = sequence()
    others = [one for one in chosen if one != "ymd"]
    year_first = _runs(rows, readings["ymd"])
    if year_first == any(_runs(rows, readings[one]) for one in others):
        return chosen
    return ["ymd"] if year_first else others


def _runs(rows: NDArray[np.int64], days: Reading) -> bool:
    """Whether dates in the file's order run one way, from one day to the next few."""
    steps = np.diff(np.array([day for row in rows if (day := days.get(int(row))) is not None], dtype=np.int64))
    if not len(steps):
        return False
    return bool((np.all(steps >= 0) or np.all(steps <= 0)) and np.median(np.abs(steps)) <= _DAILY)


def _refuse_two_orders(texts: Sequence[str], readings: Mapping[str, Reading], one: str) -> None:
    """Refuse a column in which some dates can only be day first and others only month first."""
    other = {"dmy": "mdy", "mdy": "dmy", "ymd": "ymd"}[one]
    against = [i for i, day in readings[other].items() if day is not None and readings[one][i] is None]
    if not against:
        return
    sure = [i for i, day in readings[one].items() if day is not None and readings[other][i] is None]
    example = f', "{texts[sure[0]]}" only as {one}' if sure else ""
    raise UndecidedDatesError(
        f'day and month change places within the column: "{texts[against[0]]}" can only be read as {other}{example}',
        against[0],
    )


def _day(parts: tuple[int, int, int], order: str, add: int) -> int | None:
    year, month, day = (parts[place] for place in _FIELDS[order])
    if add:
        year += add
    elif year < 100:
        year += 1900 if year >= _PIVOT else 2000
    return _ordinal(year, month, day)


def _not_a_day(text: str, parts: tuple[int, int, int], order: str) -> str:
    year = parts[_FIELDS[order][0]]
    if 100 <= year < FIRST_YEAR or year > LAST_YEAR:
        return f'"{text}" is not a date between {FIRST_YEAR} and {LAST_YEAR} (a year of another era: set add_years)'
    return f'"{text}" is not a date' + (f" (read as {order})" if order != "ymd" else "")


def _ordinal(year: int, month: int, day: int) -> int | None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        return None
    try:
        return date(year, month, day).toordinal() - EPOCH_DAY
    except ValueError:
        return None


def _words(shape: Shape, order: str) -> str:
    if shape.kind == "serial":
        return "Excel's day numbers"
    names = {"y": "year", "m": "month", "d": "day"}
    written = "with months by name" if shape.kind == "named" else shape.mark.join(names[one] for one in order)
    return written + (", years of two digits" if "short" in shape else "")
