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
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forecasting.ingest.format import PriceFormat
from forecasting.ingest.shapes import EPOCH, Clock, Shape, Stamp, read_stamp

__all__ = ["NO_DATE", "DateColumn", "UndecidedDatesError", "read_dates", "unknown_clock"]

Sequenced = Callable[[], NDArray[np.int64]]
Reading = Mapping[int, int | None]
"""Days since 1970-01-01 of the texts by their index, None where a text is not a date in an order."""

NO_DATE = np.iinfo(np.int64).min

_EPOCH = date(1970, 1, 1).toordinal()
_FIRST_YEAR, _LAST_YEAR = 1700, 2100
_PIVOT = 50
"""Years of two digits are 1950 to 2049."""
_DAILY = 7
"""In a run of daily rows, the median step is at most so many days."""
_FIELDS: Mapping[str, tuple[int, int, int]] = {"ymd": (0, 1, 2), "dmy": (2, 1, 0), "mdy": (2, 0, 1)}
_ORDERS: Mapping[str, tuple[str, ...]] = {"numeric": ("dmy", "mdy"), "short": ("dmy", "mdy", "ymd")}
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY = 86_400
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,19}(?:\.\d*)?", re.ASCII)
_LATE = 16 * 60 + 30
"""Half past four: a local clock after it may be that of a session that opens the evening before."""
_END_OF_DAY = 23 * 60 + 59
_KEYS = "set zone and session_opens in a format file"
_TWO_DIGITS = "the years have two digits, and may be of another century or counted from another epoch"


class UndecidedDatesError(Exception):
    """The column's format cannot be decided.

    Parameters
    ----------
    what
        What was found.
    cell
        The index of the distinct text that shows it.
    setting
        The key or option that settles it, where one does.
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
        Days since 1970-01-01, ``NO_DATE`` where a text is not a date in the column's format.
    why
        What is wrong with those, by their index.
    form
        The format that was decided, in words.
    clocks
        The times of day, by the index of the text, where they were dropped.
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
    texts
        The distinct texts, in any order.
    sequence
        Gives, when it is needed, the indices of the texts of one ticker in the file's order.
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
        return _read_epochs(texts, format_)
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
    _to_sessions(days, clocks, format_)
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


def unknown_clock(column: DateColumn, texts: Sequence[str], cells: Sequence[int]) -> UndecidedDatesError | None:
    """Say that the dates of instants are not known; None when they are.

    The date of an instant in UTC is that of the session where midnight has just passed (the clocks of Asia's mornings,
    New York's midnight) or New York opens; at other hours some market's session of the next day has begun. A local
    clock in the late afternoon may be that of a session which opens the evening before.
    """
    for cell in cells:
        clock = column.clocks.get(cell)
        if clock is None or clock.minutes == _END_OF_DAY:
            continue
        late = clock.minutes >= _LATE
        if (clock.utc and not (clock.minutes < 6 * 60 or clock.minutes in {810, 870})) or (not clock.utc and late):
            others = sorted({one.minutes for one in column.clocks.values()})
            clocks = " and ".join(f"{minutes // 60:02d}:{minutes % 60:02d}" for minutes in others[:3])
            what = f'"{texts[cell]}": the clock says {clocks}{" UTC" if clock.utc else ""}, and a session that'
            what += " opens then may be of that day or of the next; the date is not known"
            return UndecidedDatesError(what, cell, _KEYS)
    return None


def _read_iso(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Read ``2024-01-31`` and its like at once; None when any text is another, or not a date."""
    if not all(map(_ISO.fullmatch, texts)):
        return None
    try:
        days = np.array(texts, dtype="datetime64[D]")
    except ValueError:
        return None
    years = days.astype("datetime64[Y]").astype(np.int64) + 1970
    return days.astype(np.int64) if ((years >= _FIRST_YEAR) & (years <= _LAST_YEAR)).all() else None


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
            why[i] = f'"{text}" is not a date between {_FIRST_YEAR} and {_LAST_YEAR}'
            continue
        days[i] = day
        if when.hour or when.minute:
            clocks[i] = Clock(60 * when.hour + when.minute, when.tzinfo is not None and not when.utcoffset())
    _to_sessions(days, clocks, format_)
    return DateColumn(days, why, f"declared {form}", clocks)


def _counts(text: str) -> bool:
    if not EPOCH.fullmatch(text):
        return False
    stamp = read_stamp(text)  # 202401021600 is a date and a clock
    return stamp is None or _day(stamp.parts, "ymd", 0) is None


def _read_epochs(texts: Sequence[str], format_: PriceFormat) -> DateColumn:
    """Read counts from 1970; the unit follows from the usual step, which is a day, else from each number's size."""
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
        days[i] = when.date().toordinal() - _EPOCH
        if when.hour or when.minute:
            clocks[i] = Clock(60 * when.hour + when.minute, utc=True)
        del why[i]
    _to_sessions(days, clocks, format_)
    unsure = "the timestamps may be of another zone than the exchange's, or counted from another epoch"
    unsure = "" if format_.zone is not None or (format_.epoch and not clocks) else unsure
    return DateColumn(days, why, "a count from 1970", clocks, unsure)


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
    return when if _FIRST_YEAR <= when.year <= _LAST_YEAR else None


def _to_sessions(days: NDArray[np.int64], clocks: dict[int, Clock], format_: PriceFormat) -> None:
    """Bring instants to the declared zone, and to the session that opens the evening before; both are known then."""
    zone = None if format_.zone is None else ZoneInfo(format_.zone)
    clock_ = format_.session_opens
    opens = None if clock_ is None else int(clock_[:2]) * 60 + int(clock_[3:])
    traded = format_.weekdays or ("Mon", "Tue", "Wed", "Thu", "Fri")
    for i in range(len(days)) if zone is not None or opens is not None else ():
        clock = clocks.get(i, Clock(0, utc=bool(clocks) and next(iter(clocks.values())).utc))
        if days[i] == NO_DATE:
            continue
        local = datetime.fromordinal(int(days[i]) + _EPOCH) + timedelta(minutes=clock.minutes)
        if clock.utc and zone is not None:
            local = local.replace(tzinfo=UTC).astimezone(zone)
        day = local.date()
        if opens is not None and local.hour * 60 + local.minute >= opens:
            day += timedelta(days=1)
            while day.strftime("%a") not in traded:
                day += timedelta(days=1)
        days[i] = day.toordinal() - _EPOCH
        clocks.pop(i, None)


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
        both = " or ".join(str(_as_date(readings[one][first])) for one in chosen)
        raise UndecidedDatesError(
            f'day and month cannot be told apart in any date of the column ("{texts[first]}" may be {both})',
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


def _day(parts: tuple[int, int, int], order: str, add: int) -> int | None:
    year, month, day = (parts[place] for place in _FIELDS[order])
    if add:
        year += add
    elif year < 100:
        year += 1900 if year >= _PIVOT else 2000
    return _ordinal(year, month, day)


def _not_a_day(text: str, parts: tuple[int, int, int], order: str) -> str:
    year = parts[_FIELDS[order][0]]
    if 100 <= year < _FIRST_YEAR or year > _LAST_YEAR:
        return f'"{text}" is not a date between {_FIRST_YEAR} and {_LAST_YEAR} (a year of another era: set add_years)'
    return f'"{text}" is not a date' + (f" (read as {order})" if order != "ymd" else "")


def _ordinal(year: int, month: int, day: int) -> int | None:
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        return None
    try:
        return date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None


def _as_date(day: int | None) -> date | None:
    return None if day is None else date.fromordinal(day + _EPOCH)


def _words(shape: Shape, order: str) -> str:
    if shape.kind == "serial":
        return "Excel's day numbers"
    names = {"y": "year", "m": "month", "d": "day"}
    written = "with months by name" if shape.kind == "named" else shape.mark.join(names[one] for one in order)
    return written + (", years of two digits" if "short" in shape else "")
