"""The shapes that a date is written in: one text becomes numbers and the shape they stood in, with nothing decided."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Literal, NamedTuple

from forecasting.ingest.words import load, plain_letters

__all__ = ["Shape", "Stamp", "read_stamp"]


class Shape(NamedTuple):
    """What the dates of one column share: the kind, and what stands between the parts."""

    kind: Literal["ymd", "numeric", "short", "named", "compact", "serial", "epoch"]
    mark: str


class Stamp(NamedTuple):
    """A date as it is written.

    ``parts`` stand in the order of the text for ``ymd``, ``numeric`` and ``short`` shapes, else as year, month, day.
    ``instant`` says that it is an instant off its zone's midnight.
    """

    shape: Shape
    parts: tuple[int, int, int]
    instant: bool = False


_TIME = (
    r"(?:(?:[T ]|, ?)\s*(?P<clock>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?)\s*(?:[AaPp]\.?[Mm]\.?)?"
    r"\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d{2}(?::?\d{2})?|[A-Z]{3,4})?)?"
)
_LONGEST = 64
_WEEKDAY = r"(?:\s*[(（][^)\d）]{1,4}[)）]|,[一二三四五六日])?"
_YEAR_FIRST = re.compile(rf"([1-9]\d{{3}})([-/.]) ?(\d{{1,2}})\2 ?(\d{{1,2}}){_WEEKDAY}{_TIME}", re.ASCII)
_EAST = re.compile(
    rf"([1-9]\d{{3}})\s*[年년.]\s*(\d{{1,2}})\s*[月월.]\s*(\d{{1,2}})\s*[日일.]?{_WEEKDAY}{_TIME}", re.ASCII
)
_MINGUO = re.compile(r"(1\d{2})([/.])(\d{1,2})\2(\d{1,2})", re.ASCII)
_NUMERIC = re.compile(rf"(\d{{1,2}})([-/.]) ?(\d{{1,2}})\2 ?([1-9]\d{{3}})(?:\.| ?г\.?)?{_WEEKDAY}{_TIME}", re.ASCII)
_SHORT = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{2}}){_TIME}", re.ASCII)
_COMPACT = re.compile(rf"((?:1[89]|20)\d{{2}})(\d{{2}})(\d{{2}})(?:\d{{4}}|\d{{6}}|\.0+|\s+\d{{6}})?{_TIME}", re.ASCII)
_SIX = re.compile(r"(\d{2})(\d{2})(\d{2})", re.ASCII)
_SERIAL = re.compile(r"([2-7]\d{4})(?:\.\d+)?", re.ASCII)
_EPOCH = re.compile(r"(\d{9,10})(?:\.\d+)?|(\d{13})|(\d{15,16})|(\d{18,19})", re.ASCII)
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
            return reader(match)
    return None


def _year_first(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("ymd", match[2]), (int(match[1]), int(match[3]), int(match[4])), _instant(match))


def _east(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("ymd", "年"), (int(match[1]), int(match[2]), int(match[3])), _instant(match))


def _minguo(match: re.Match[str]) -> Stamp:
    # Years of the Republic of China, as Taiwan's exchange writes them.
    return Stamp(Shape("ymd", "1" + match[2]), (int(match[1]) + 1911, int(match[3]), int(match[4])))


def _numeric(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("numeric", match[2]), (int(match[1]), int(match[3]), int(match[4])), _instant(match))


def _short(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("short", match[2]), (int(match[1]), int(match[3]), int(match[4])), _instant(match))


def _six(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("short", ""), (int(match[1]), int(match[2]), int(match[3])))


def _compact(match: re.Match[str]) -> Stamp:
    return Stamp(Shape("compact", ""), (int(match[1]), int(match[2]), int(match[3])), _instant(match))


def _serial(match: re.Match[str]) -> Stamp:
    day = date(1899, 12, 30) + timedelta(days=int(match[1]))
    return Stamp(Shape("serial", ""), (day.year, day.month, day.day))


def _epoch(match: re.Match[str]) -> Stamp | None:
    digits = next(group for group in match.groups() if group)
    place = next(i for i, group in enumerate(match.groups()) if group)
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(digits) * 10**6 // 10 ** (3 * place))
    except OverflowError:
        return None
    off = (when.hour, when.minute) != (0, 0)
    return Stamp(Shape("epoch", str(place)), (when.year, when.month, when.day), off)


def _named(day: str, month: str, year: str, instant: bool) -> Stamp | None:
    number = _MONTH.get(plain_letters(month.rstrip(".")))
    if number is None:
        return None
    return Stamp(Shape("named", "short" if len(year) == 2 else ""), (int(year), number, int(day)), instant)


def _named_day(match: re.Match[str]) -> Stamp | None:
    return _named(match[1], match[2], match[3], _instant(match))


def _named_month(match: re.Match[str]) -> Stamp | None:
    return _named(match[2], match[1], match[3], _instant(match))


def _named_year(match: re.Match[str]) -> Stamp | None:
    return _named(match[3], match[2], match[1], _instant(match))


def _instant(match: re.Match[str]) -> bool:
    """Whether the text is an instant off its zone's midnight: the date as written may be another one elsewhere."""
    clock = match["clock"]
    return clock is not None and match["zone"] is not None and any(digit in clock for digit in "123456789")


_READERS: Sequence[tuple[re.Pattern[str], Callable[[re.Match[str]], Stamp | None]]] = (
    (_YEAR_FIRST, _year_first),
    (_EAST, _east),
    (_NUMERIC, _numeric),
    (_SHORT, _short),
    (_MINGUO, _minguo),
    (_COMPACT, _compact),
    (_SIX, _six),
    (_SERIAL, _serial),
    (_EPOCH, _epoch),
    (_NAMED_DAY, _named_day),
    (_NAMED_MONTH, _named_month),
    (_NAMED_YEAR, _named_year),
)
