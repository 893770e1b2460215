"""The shapes that a date is written in: one text becomes numbers and the shape they are in, with nothing decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Literal, NamedTuple

import numpy as np

from forecasting.ingest.words import load, plain_letters

__all__ = ["EPOCH", "EPOCH_DAY", "FIRST_YEAR", "LAST_YEAR", "NO_DATE", "Clock", "Shape", "Stamp", "read_stamp"]


NO_DATE = np.iinfo(np.int64).min
EPOCH_DAY = date(1970, 1, 1).toordinal()
FIRST_YEAR, LAST_YEAR = 1700, 2100
"""No price is dated before or after."""


class Shape(NamedTuple):
    """What the dates of one column share: the kind, and what is between the parts."""

    kind: Literal["ymd", "numeric", "short", "named", "compact", "serial", "six"]
    mark: str


class Clock(NamedTuple):
    """A time of day as it is written: minutes after midnight, and whether they are of UTC, not of the exchange."""

    minutes: int
    utc: bool


class Stamp(NamedTuple):
    """A date as it is written; its parts are year, month and day, or in the text's order where that is open."""

    shape: Shape
    parts: tuple[int, int, int]
    clock: Clock | None = None


EPOCH = re.compile(r"-?(?:\d{9,12}|\d{13}|\d{15,16}|\d{18,19})(?:\.\d+)?", re.ASCII)
"""Numbers that may count seconds, or thousandths and smaller parts of them, from 1970."""

_TIME = (
    r"(?:(?:[T ]|, ?)\s*(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2}(?:[.,]\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|[A-Z]{3,4}|[A-Z][A-Za-z]+(?:/[A-Z][A-Za-z_]+)+)?(?:\[[\w/]+\])?)?"
)
_LONGEST = 64
_WEEKDAY = r"(?:\s*[(（][^)\d）]{1,4}[)）]|,[一二三四五六日])?"
_YEAR_FIRST = re.compile(rf"([1-9]\d{{3}})([-/.]) ?(\d{{1,2}})\2 ?(\d{{1,2}})\.?{_WEEKDAY}{_TIME}", re.ASCII)
_EAST = re.compile(
    rf"([1-9]\d{{3}})\s*[年년.]\s*(\d{{1,2}})\s*[月월.]\s*(\d{{1,2}})\s*[日일.]?{_WEEKDAY}{_TIME}", re.ASCII
)
_NUMERIC = re.compile(rf"(\d{{1,2}})([-/.]) ?(\d{{1,2}})\2 ?([1-9]\d{{3}})(?:\.| ?г\.?)?{_WEEKDAY}{_TIME}", re.ASCII)
_SHORT = re.compile(rf"(\d{{1,3}})([-/.])(\d{{1,2}})\2(\d{{1,2}}){_TIME}", re.ASCII)
_COMPACT = re.compile(rf"((?:1[789]|20)\d{{2}})(\d{{2}})(\d{{2}})(?:\d{{4}}|\d{{6}}|\.0+|\s+\d{{6}})?{_TIME}", re.ASCII)
_SIX = re.compile(r"(\d{2})(\d{2})(\d{2})", re.ASCII)
_SERIAL = re.compile(r"([2-7]\d{4})(?:\.\d+)?", re.ASCII)
_NAMED_DAY = re.compile(
    rf"(?:[^\W\d_]{{2,}}\.?,?\s+)?(\d{{1,2}})(?:\.|º|st|nd|rd|th)?[-/. ]*(?:de )?([^\W\d_]{{3,}})\.?(?: de |[-/., ']+)?"
    rf"([1-9]\d{{3}}|\d{{2}})(?: ?г\.?)?{_TIME}"
)
_NAMED_MONTH = re.compile(
    rf"(?:[^\W\d_]{{3,}}\.?,?\s+)?([^\W\d_]{{3,}})[-./ ]+(\d{{1,2}})(?:st|nd|rd|th)?(?:, ?|[-/ ]+)"
    rf"([1-9]\d{{3}}|\d{{2}}){_TIME}"
)
_NAMED_YEAR = re.compile(rf"([1-9]\d{{3}})[-/. ]+([^\W\d_]{{3,}})\.?[-/. ]+(\d{{1,2}}){_TIME}")
_MONTH: Mapping[str, int] = {
    plain_letters(name): int(number) for number, names in load("months").items() for name in names
}


def read_stamp(text: str) -> Stamp | None:
    """Read the numbers and the shape of a date's text; None when it has no shape of a date."""
    text = text.strip()
    if text[:1] == "'":  # a spreadsheet's mark of a text
        text = text[1:].removesuffix("'")
    if len(text) > _LONGEST:
        return None
    for pattern, reader in _READERS:
        if match := pattern.fullmatch(text):
            stamp = reader(match)
            timed = stamp is not None and "hour" in match.groupdict()
            return stamp._replace(clock=_read_clock(match)) if stamp is not None and timed else stamp
    return None


def _read_clock(match: re.Match[str]) -> Clock | None:
    """Read the time of day; None where there is none."""
    if match["hour"] is None:
        return None
    half = (match["half"] or "").replace(".", "").casefold()
    hour = int(match["hour"]) % 12 + 12 * (half == "pm") if half else int(match["hour"])
    zone = (match["zone"] or "").removeprefix("UTC").removeprefix("GMT")
    offset = zone.replace(":", "").lstrip("+-")
    utc = (match["zone"] is not None and zone in {"", "Z"}) or offset in _NOUGHT
    return Clock(60 * hour + int(match["minute"]), utc)


_NOUGHT = {"00", "0000"}


def _numbers(kind: Literal["ymd", "numeric", "short", "compact"]) -> Callable[[re.Match[str]], Stamp]:
    def read(match: re.Match[str]) -> Stamp:
        numbers = [int(group) for group in match.groups()[:4] if group is not None and group.isdigit()]
        mark = next((group for group in match.groups()[:4] if group is not None and not group.isdigit()), "")
        return Stamp(Shape(kind, mark if kind != "compact" else ""), (numbers[0], numbers[1], numbers[2]))

    return read


def _serial(match: re.Match[str]) -> Stamp:
    day = date(1899, 12, 30) + timedelta(days=int(match[1]))
    return Stamp(Shape("serial", ""), (day.year, day.month, day.day))


def _six(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("six", ""), (int(match[1]), int(match[2]), int(match[3])))


def _named(day: int, month: int, year: int) -> Callable[[re.Match[str]], Stamp | None]:
    def read(match: re.Match[str]) -> Stamp | None:
        number = _MONTH.get(plain_letters(match[month].rstrip(".")))
        if number is None:
            return None
        shape = Shape("named", "short" if len(match[year]) == 2 else "")
        return Stamp(shape, (int(match[year]), number, int(match[day])))

    return read


_READERS: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Stamp | None]]] = (
    (_YEAR_FIRST, _numbers("ymd")),
    (_EAST, _numbers("ymd")),
    (_NUMERIC, _numbers("numeric")),
    (_SHORT, _numbers("short")),
    (_COMPACT, _numbers("compact")),
    (_SIX, _six),
    (_SERIAL, _serial),
    (_NAMED_DAY, _named(1, 2, 3)),
    (_NAMED_MONTH, _named(2, 1, 3)),
    (_NAMED_YEAR, _named(3, 2, 1)),
)
