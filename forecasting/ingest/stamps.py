"""The shapes that a date is written in: one text becomes numbers and the shape they are in, with nothing decided."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

from forecasting.ingest.names import load, plain_letters

__all__ = ["Clock", "Shape", "Stamp", "read_stamp", "unknown_clock"]

Kind = Literal["ymd", "numeric", "short", "named", "compact", "serial", "six"]


class Shape(NamedTuple):
    """What the dates of one column share: the kind, and the mark between the parts (``short``: years of two digits)."""

    kind: Kind
    mark: str


class Clock(NamedTuple):
    """A time of day as it is written: minutes after midnight, and whether it is UTC or the exchange's local time."""

    minutes: int
    utc: bool


class Stamp(NamedTuple):
    """A date as it is written; its parts are year, month and day, or in the text's order where that is not decided."""

    shape: Shape
    parts: tuple[int, int, int]
    clock: Clock | None = None


_LONGEST = 64
_LATE = 16 * 60 + 30  # half past four: a local clock after it may be that of a session that opens the evening before
_END_OF_DAY, _EARLY = 23 * 60 + 59, 6 * 60
_NEW_YORK_OPENS = frozenset({13 * 60 + 30, 14 * 60 + 30})
_TIME = (
    r"(?:(?:[T ]|, ?)\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2}(?:[.,]\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|[A-Z]{3,4}|[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]+)+)?(?:\[[\w/]+\])?)?"
)
_WEEKDAY = r"(?:\s*[(（][^)\d）]{1,4}[)）]|,[一二三四五六日])?"
_SEVERAL = r"(?P<mark>[-/.]) ?(?P<b>\d{1,2})(?P=mark) ?"
_DAY_NAME, _DAY_OF = r"(?:[^\W\d_]{2,}\.?,?\s+)?", r"(?P<c>\d{1,2})(?:\.|º|st|nd|rd|th)?"
_MONTH_NAME, _SOME_YEAR = r"(?P<b>[^\W\d_]{3,})", r"(?P<a>[1-9]\d{3}|\d{2})"
_SHAPES: Sequence[tuple[Kind, str]] = (
    ("ymd", rf"(?P<a>[1-9]\d{{3}}){_SEVERAL}(?P<c>\d{{1,2}})\.?{_WEEKDAY}"),
    ("ymd", rf"(?P<a>[1-9]\d{{3}})\s*[年년.]\s*(?P<b>\d{{1,2}})\s*[月월.]\s*(?P<c>\d{{1,2}})\s*[日일.]?{_WEEKDAY}"),
    ("numeric", rf"(?P<a>\d{{1,2}}){_SEVERAL}(?P<c>[1-9]\d{{3}})(?:\.| ?г\.?)?{_WEEKDAY}"),
    ("short", r"(?P<a>\d{1,3})(?P<mark>[-/.])(?P<b>\d{1,2})(?P=mark)(?P<c>\d{1,2})"),
    ("compact", r"(?P<a>(?:1[789]|20)\d{2})(?P<b>\d{2})(?P<c>\d{2})(?:\d{4}|\d{6}|\.0+|\s+\d{6})?"),
    ("six", r"(?P<a>\d{2})(?P<b>\d{2})(?P<c>\d{2})"),
    ("serial", r"(?P<days>[2-7]\d{4})(?:\.\d+)?"),
    ("named", rf"{_DAY_NAME}{_DAY_OF}[-/. ]*(?:de )?{_MONTH_NAME}\.?(?: de |[-/., ']+)?{_SOME_YEAR}(?: ?г\.?)?"),
    ("named", rf"{_DAY_NAME}{_MONTH_NAME}[-./ ]+{_DAY_OF}(?:, ?|[-/ ]+){_SOME_YEAR}"),
    ("named", rf"(?P<a>[1-9]\d{{3}})[-/. ]+{_MONTH_NAME}\.?[-/. ]+(?P<c>\d{{1,2}})"),
)
_PATTERNS = [(kind, re.compile(shape + _TIME, re.ASCII if kind != "named" else 0)) for kind, shape in _SHAPES]
_MONTHS: Mapping[str, int] = {
    plain_letters(name): int(number) for number, names in load("months").items() for name in names
}


def read_stamp(text: str) -> Stamp | None:
    """Read the numbers and the shape of a date's text; None when it does not look like a date."""
    text = text.strip()
    if text[:1] == "'":  # a spreadsheet's mark of a text
        text = text[1:].removesuffix("'")
    if len(text) > _LONGEST:
        return None
    for kind, pattern in _PATTERNS:
        if not (match := pattern.fullmatch(text)):
            continue
        found = match.groupdict()
        clock = _read_clock(found) if found["hour"] else None
        if kind == "serial":
            day = date(1899, 12, 30) + timedelta(days=int(found["days"]))
            return Stamp(Shape(kind, ""), (day.year, day.month, day.day), clock)
        month = _MONTHS.get(plain_letters(found["b"])) if kind == "named" else int(found["b"])
        if month is None:
            return None
        mark = found.get("mark") or ("short" if kind == "named" and len(found["a"]) == 2 else "")
        return Stamp(Shape(kind, mark), (int(found["a"]), month, int(found["c"])), clock)
    return None


def _read_clock(found: Mapping[str, str | None]) -> Clock:
    half, zone = (found["half"] or "").replace(".", "").casefold(), found["zone"]
    hour = int(found["hour"] or 0)
    offset = (zone or "").removeprefix("UTC").removeprefix("GMT").replace(":", "")
    utc = zone is not None and (offset in {"", "Z"} or offset.strip("+-") in {"00", "0000"})
    return Clock(60 * (hour % 12 + 12 * (half == "pm") if half else hour) + int(found["minute"] or 0), utc)


def unknown_clock(clocks: Mapping[int, Clock], texts: Sequence[str], cells: Sequence[int]) -> tuple[int, str] | None:
    """Find a cell whose date is not known, because of its clock, and say why; None when all are.

    The date of an instant in UTC is the session's where midnight has just passed or New York opens; at other hours some
    market's next session has begun. A local clock in the late afternoon may belong to a session that opens the evening
    before.
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
