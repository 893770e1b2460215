"""The date of each row: a column of dates, whose format is decided once for the whole column.

No date is read by itself: all cells of a column have one shape (year first, a month's name, a count from 1970). Where
they leave the format open, that is an error which names the key that settles it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray, date_of, day_of
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.stamps import Clock, Shape, Stamp, read_stamp
from forecasting.ingest.table import WEEK

__all__ = ["NO_DATE", "DateColumn", "UndecidedDatesError", "read_dates"]

NO_DATE = np.iinfo(np.int64).min
_FIRST, _LAST = 1700, 2100  # no price is dated before or after
_PIVOT = 50  # years of two digits are 1950 to 2049
_DAILY, _MOSTLY = 7, 0.9  # in daily rows: the longest median step, and the share of steps in one direction
_FIELDS: Mapping[str, tuple[int, int, int]] = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
_ORDERS: Mapping[str, tuple[str, ...]] = {"numeric": ("dmy", "mdy"), "short": ("dmy", "mdy", "ymd")}
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_COUNT = re.compile(r"-?(?:\d{9,12}|\d{13}|\d{15,16}|\d{18,19})(?:\.\d+)?", re.ASCII)
"""Numbers that may count seconds, or thousandths and smaller parts of them, from 1970."""
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d*)?", re.ASCII)
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_SIZES = (10**11, 10**14, 10**17)  # counts of seconds are below the first, of milliseconds below the second
_DAY = 86_400
_TWO_DIGITS = "the years have two digits, and may be of another century or counted from another epoch"


@dataclass
class UndecidedDatesError(Exception):
    """The column's format cannot be decided: what was found, in which distinct text, and the key that settles it."""

    what: str
    cell: int
    setting: str | None = None


@dataclass(frozen=True, slots=True)
class DateColumn:
    """The dates of a column's distinct texts, as days since 1970-01-01.

    ``NO_DATE`` where a text is not a date in the column's format, and ``why``, by its index; the format in words
    (``form``); times of day off midnight; why dates may be of other days than they seem (``unsure``); and the order of
    day, month and year, where they are numbers and it had to be decided.
    """

    days: IntArray
    why: Mapping[int, str]
    form: str = ""
    clocks: Mapping[int, Clock] = field(default_factory=dict)
    unsure: str = ""
    order: str = ""

    def day_of(self, text: str, format_: PriceFormat) -> int:
        """Read one more date, in the column's order."""
        update = {"date_order": self.order or format_.date_order}
        try:
            return int(read_dates([text], format_.model_copy(update=update)).days[0])
        except UndecidedDatesError:
            return NO_DATE


def read_dates(texts: Sequence[str], format_: PriceFormat | None = None, *, loose: bool = False) -> DateColumn:
    """Read the distinct texts of a date column, in the order of their first rows.

    In a ``loose`` column, whose name does not say that it holds dates, numbers are not taken for days or epochs. What
    the column and what is declared leave open is an `UndecidedDatesError`.
    """
    format_ = format_ or PriceFormat()
    if format_.date_format not in {None, "excel"}:
        return _read_declared(texts, format_)
    if format_.epoch or (not loose and sum(map(_is_count, texts)) > len(texts) / 2):
        return _read_counts(texts, format_)
    if format_.date_format is None and not format_.add_years and (days := _read_iso(texts)) is not None:
        return DateColumn(days, {}, "year-month-day")
    return _read_stamps(texts, format_, loose=loose)


def _read_iso(texts: Sequence[str]) -> IntArray | None:
    """Read ``2024-01-31`` and its like at once; None when any text is another, or not a date."""
    if not all(map(_ISO.fullmatch, texts)):
        return None
    try:
        days = np.array(texts, dtype="datetime64[D]")
    except ValueError:
        return None
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return days.astype(np.int64) if ((years >= _FIRST) & (years <= _LAST)).all() else None


def _read_declared(texts: Sequence[str], format_: PriceFormat) -> DateColumn:
    """Read the texts in the declared format of strptime."""
    days, form = np.full(len(texts), NO_DATE, dtype=np.int64), str(format_.date_format)
    why: dict[int, str] = {}
    clocks: dict[int, Clock] = {}
    for i, text in enumerate(texts):
        try:
            when = datetime.strptime(text, form)  # noqa: DTZ007 - the format says whether there is a zone
        except ValueError:
            why[i] = f'"{text}" is not a date in the declared format {form}'
            continue
        year = when.year % 100 if "%y" in form and format_.add_years else when.year
        day = _day((year, when.month, when.day), "ymd", format_.add_years)
        if day is None:
            why[i] = f'"{text}" is not a date between {_FIRST} and {_LAST}'
            continue
        days[i] = day
        if when.hour or when.minute:
            clocks[i] = Clock(60 * when.hour + when.minute, when.tzinfo is not None and not when.utcoffset())
    return DateColumn(_to_sessions(days, clocks, format_), why, f"declared {form}", clocks)


def _is_count(text: str) -> bool:
    if not _COUNT.fullmatch(text):
        return False
    stamp = read_stamp(text)  # 202401021600 is a date and a clock
    return stamp is None or _day(stamp.parts, "ymd", 0) is None


def _read_counts(texts: Sequence[str], format_: PriceFormat) -> DateColumn:
    """Read counts from 1970; the unit follows from the usual step, which is a day, else from each number's size."""
    numbers = {i: int(text.partition(".")[0]) for i, text in enumerate(texts) if _NUMBER.fullmatch(text)}
    at, values = np.array(list(numbers), dtype=np.int64), np.array(list(numbers.values()), dtype=np.float64)
    units = np.array(list(_UNITS.values()))
    by_size = values / units[np.searchsorted(_SIZES, np.abs(values), side="right")]
    seconds = values / _UNITS[format_.epoch] if format_.epoch else by_size
    if not format_.epoch and len(values) > 1:
        steps = np.sort(np.diff(np.sort(values)))
        fits = np.abs(np.log10(steps[(len(steps) - 1) // 2] / _DAY / units) - 0.6) < 1  # from half a day to 40 days
        usual = values / units[fits.argmax()] if fits.any() else by_size
        # Of the usual unit and the one of its size, what is nearer to the column's other instants.
        centre = np.median(usual[_possible(usual)]) if _possible(usual).any() else 0.0
        seconds = np.where(np.abs(by_size - centre) < np.abs(usual - centre), by_size, usual)
    found = _possible(seconds)
    days = np.full(len(texts), NO_DATE, dtype=np.int64)
    days[at[found]] = seconds[found] // _DAY
    minutes = zip(at[found].tolist(), (seconds[found] % _DAY // 60).tolist(), strict=True)
    clocks = {i: Clock(int(minute), utc=True) for i, minute in minutes if minute}
    why = {i: f'"{text}" is not a count of seconds from 1970, or of parts of them' for i, text in enumerate(texts)}
    unsure = "the timestamps may be of another zone than the exchange's, or counted from another epoch"
    unsure = "" if format_.zone is not None or (format_.epoch and not clocks) else unsure
    return DateColumn(_to_sessions(days, clocks, format_), why, "a count from 1970", clocks, unsure)


def _possible(seconds: Array) -> BoolArray:
    """Which counts of seconds are of years in which prices may be dated."""
    first, last = (day_of(date(year, 1, 1)) for year in (_FIRST, _LAST + 1))
    return (seconds >= first * _DAY) & (seconds < last * _DAY)


def _read_stamps(texts: Sequence[str], format_: PriceFormat, *, loose: bool) -> DateColumn:
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
    order = _decide(texts, good, shape, format_) if shape.kind in _ORDERS else ""
    for i, stamp in good.items():
        day = _day(stamp.parts, order or "ymd", format_.add_years)
        if day is None:
            era = f" between {_FIRST} and {_LAST} (a year of another era: set add_years)"
            year = stamp.parts[_FIELDS[order or "ymd"][0]]
            said = era if 100 <= year < _FIRST or year > _LAST else f" (read as {order})" if order else ""
            why[i] = f'"{texts[i]}" is not a date{said}'
        else:
            days[i] = day
    clocks = {i: stamp.clock for i, stamp in good.items() if stamp.clock is not None and stamp.clock.minutes}
    days = _to_sessions(days, clocks, format_)
    form = {"named": "with months by name", "serial": "Excel's day numbers"}.get(shape.kind, "")
    form = form or shape.mark.join({"y": "year", "m": "month", "d": "day"}[one] for one in order or "ymd")
    form += ", years of two digits" if "short" in shape else ""
    unsure = _TWO_DIGITS if "short" in shape and not format_.add_years else ""
    if shape.kind == "serial" and format_.date_format is None:
        unsure = "the numbers may be days counted from another epoch (1904, 1970)"
    elif any(clock.utc for clock in clocks.values()) and format_.zone is None:
        unsure = unsure or "the timestamps may be of another zone than the exchange's"
    return DateColumn(days, why, form, clocks, unsure, order)


def _decide(texts: Sequence[str], stamps: Mapping[int, Stamp], shape: Shape, format_: PriceFormat) -> str:
    """Decide which of three numbers is the day, the month and the year."""
    possible, first = _ORDERS[shape.kind], next(iter(stamps))
    if format_.date_order != "auto":
        if format_.date_order not in possible:
            raise UndecidedDatesError(f'"{texts[first]}" cannot be read as {format_.date_order}', first)
        return format_.date_order
    readings = {one: {i: _day(stamp.parts, one, format_.add_years) for i, stamp in stamps.items()} for one in possible}
    era = "set date_order and add_years in a format file"
    if stamps[first].parts[0] > 99 and all(day is None for days in readings.values() for day in days.values()):
        raise UndecidedDatesError(f'"{texts[first]}" has a year of three digits: counted from which era?', first, era)
    chosen = _fitting(readings)
    if chosen == ["ymd"]:
        what = f'"{texts[first]}" begins with a year of two digits: counted from which era?'
        raise UndecidedDatesError(what, first, era)
    if len(chosen) != 1:
        both = " or ".join(str(np.datetime64(readings[one][first], "D")) for one in chosen)
        what = f'day and month cannot be distinguished in any date of the column ("{texts[first]}" may be {both})'
        raise UndecidedDatesError(what, first, "set --date-order " + " or ".join(chosen))
    order, other = chosen[0], {"dmy": "mdy", "mdy": "dmy"}[chosen[0]]
    for i, day in readings[other].items():
        if day is not None and readings[order][i] is None:
            what = f'day and month change places within the column: "{texts[i]}" can only be read as {other}'
            raise UndecidedDatesError(what, i)
    return order


def _fitting(readings: Mapping[str, Mapping[int, int | None]]) -> list[str]:
    """Find the orders under which most texts are dates, and these are not the same as under another one."""
    fits = {one: sum(day is not None for day in days.values()) for one, days in readings.items()}
    chosen: list[str] = []
    for one, days in readings.items():
        # Under some orders every date may be the same as under one before (02/02, 03/03).
        if fits[one] == max(fits.values()) and all(days != readings[other] for other in chosen):
            chosen.append(one)
    year_last = [one for one in chosen if one != "ymd"]
    if not year_last or year_last == chosen:
        return chosen
    year_first, last_runs = (any(_is_run(readings[one].values()) for one in own) for own in (["ymd"], year_last))
    return chosen if year_first == last_runs else ["ymd"] if year_first else year_last


def _is_run(days: Iterable[int | None]) -> bool:
    """Whether dates in the file's order run one way, from one day to the next few."""
    steps = np.diff(np.array([day for day in days if day is not None], dtype=np.int64))
    one_way = len(steps) > 0 and max(np.mean(steps > 0), np.mean(steps < 0)) > _MOSTLY
    return bool(one_way and np.median(np.abs(steps)) <= _DAILY)


def _day(parts: Sequence[int], order: str, add: int) -> int | None:
    """Give the day since 1970-01-01; None where there is no such day, or no price is dated so."""
    year, month, day = (parts[place] for place in _FIELDS[order])
    year += add if add or year >= 100 else 1900 if year >= _PIVOT else 2000
    try:
        return day_of(date(year, month, day)) if _FIRST <= year <= _LAST else None
    except ValueError:
        return None


def _to_sessions(days: IntArray, clocks: dict[int, Clock], format_: PriceFormat) -> IntArray:
    """Bring instants to the declared zone, and to the session that opens the evening before; settles their clocks."""
    if format_.zone is None and format_.session_opens is None:
        return days
    zone, utc = ZoneInfo(format_.zone or "UTC"), any(clock.utc for clock in clocks.values())
    traded: Sequence[str] = format_.weekdays or [day[:3] for day in WEEK[:5]]
    brought = days.copy()
    for i in np.flatnonzero(days != NO_DATE).tolist():
        clock = clocks.pop(i, Clock(0, utc))
        local = datetime.combine(date_of(days[i]), time()) + timedelta(minutes=clock.minutes)
        if clock.utc:
            local = local.replace(tzinfo=UTC).astimezone(zone)
        day, clock_time = local.date(), f"{local:%H:%M}"
        if format_.session_opens is not None and clock_time >= format_.session_opens:
            day += timedelta(days=1)
            while WEEK[day.weekday()][:3] not in traded:
                day += timedelta(days=1)
        elif format_.session_opens is None and clock_time != "00:00":
            clocks[i] = Clock(60 * local.hour + local.minute, utc=clock.utc and format_.zone is None)
        brought[i] = day_of(day)
    return brought
