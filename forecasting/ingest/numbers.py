"""What a cell is worth: numbers in the notations of the world, the decimal mark decided for a whole file.

``1,234`` alone may be a thousand or one and a bit. What settles it is any other cell of the file that can be read in
one way only (``1,234.50``, ``27,3``, ``1.234.567``); when nothing does, that is an error which names the option.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from forecasting.ingest.words import load

__all__ = [
    "MISSING",
    "Decimal",
    "bare",
    "decide",
    "evidence",
    "other_currency",
    "read_numbers",
    "read_plain_numbers",
    "read_volumes",
    "thirty_seconds",
]

Decimal = Literal["point", "comma"]

_NOTATION = load("notation")
MISSING: frozenset[str] = frozenset(_NOTATION["missing"])
"""What vendors write where there is no value, in small letters."""

_SPACES = " \t\u00a0\u2009\u202f\u3000"
_CURRENCY = re.compile("|".join(re.escape(sign) for sign in _NOTATION["currencies"]), re.IGNORECASE)
_POINT = re.compile(
    r"[+-]?(?:\d+|\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d{1,3}(?:[ '\u2019]\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d+)?",
    re.ASCII,
)
_COMMA = re.compile(
    r"[+-]?(?:\d+|\d{1,3}(?:\.\d{3})+|\d{1,3}(?:[ '\u2019]\d{3})+)?(?:,\d*)?(?:[eE][+-]?\d+)?", re.ASCII
)
_MANTISSA = re.compile(r"[+-]?[.,]?\d", re.ASCII)
_PLAIN = {"point": re.compile(r"\d+(?:\.\d+)?", re.ASCII), "comma": re.compile(r"\d+(?:,\d+)?", re.ASCII)}
_GRAMMAR = {"point": _POINT, "comma": _COMMA}
_GROUPS = {"point": ",", "comma": "."}
_NON_FINITE = re.compile(r"[+-]?(?:inf(?:inity)?)", re.IGNORECASE)

_THIRTY_SECONDS = re.compile(r"\d{2,3}['\u2019](?:[0-2]\d|3[01])\d", re.ASCII)
_DIGITS = str.maketrans("12345678", "99999999")
"""Makes one form of all cells that are written alike, of which there are few."""
_SPACED = re.compile("(?<=[0-9])[ '\u2019](?=[0-9]{3})")
_LONE = re.compile(r"[+-]?(\d*)([.,])(\d*)", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}([.,])\d{2,3}(?:\1\d{3})+", re.ASCII)
_BOTH = re.compile(r"[+-]?\d[\d.,]*", re.ASCII)

_SCALES: Mapping[str, float] = {"": 1.0, **_NOTATION["scales"]}
_SCALED = re.compile(r"(?P<number>.*?\d[.,]?)\s*(?P<scale>[^\W\d_]*?\.?)(?:手|株|股|주)?", re.DOTALL)


def read_plain_numbers(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """Read a column at once; None when a cell is anything else than a finite number with a decimal point.

    The numbers are those of :func:`read_numbers`.
    """
    try:
        values: NDArray[np.float64] = pa.array(cells, pa.string()).cast(pa.float64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:
        return None
    return values if np.isfinite(values).all() else None


def read_numbers(cells: Sequence[str], decimal: Decimal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a column of prices.

    Returns
    -------
    values
        NaN where there is none, infinite where a cell says so or exceeds what a double holds.
    bad
        Where the cell is neither a number under this decimal mark nor says that there is none.
    """
    return _read(cells, decimal, scaled=False)


def read_volumes(cells: Sequence[str], decimal: Decimal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a column of volumes, which may be abbreviated (``157.78M``, ``64,35 Mio.``)."""
    return _read(cells, decimal, scaled=True)


def _read(cells: Sequence[str], decimal: Decimal, *, scaled: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    known = {cell: _one(cell, decimal, scaled=scaled) for cell in set(cells)}
    values = np.array([known[cell] for cell in cells], dtype=np.float64)  # None becomes NaN
    bad = np.array([known[cell] is None for cell in cells], dtype=np.bool_)
    return values, bad


def _one(cell: str, decimal: Decimal, *, scaled: bool) -> float | None:
    """Read one cell: NaN when it says that there is no value, None when it is no number."""
    if _PLAIN[decimal].fullmatch(cell):
        return float(cell.replace(",", "."))
    text = bare(cell)
    if text.casefold() in MISSING and (text or not cell.strip(_SPACES)):
        return np.nan
    if _NON_FINITE.fullmatch(text):
        return float(text)
    scale = 1.0
    if scaled and (match := _SCALED.fullmatch(text)) and match["scale"].casefold() in _SCALES:
        text, scale = match["number"], _SCALES[match["scale"].casefold()]
    if not _GRAMMAR[decimal].fullmatch(text) or not _MANTISSA.match(text):
        return None
    for mark in (_GROUPS[decimal], " ", "'", "\u2019"):
        text = text.replace(mark, "")
    return float(text.replace(",", ".")) * scale


def bare(cell: str) -> str:
    """Strip a cell of blanks and currency around the number, and write its minus sign plainly."""
    text = (
        cell.strip(_SPACES).replace("\u2212", "-").replace("\u00a0", " ").replace("\u202f", " ").replace("\u2009", " ")
    )
    if text.isascii() and (not text or text[0] in "0123456789.") and text[-1:] in "0123456789.":
        return text
    sign = ""
    if text[:1] in "+-":
        sign, text = text[0], text[1:].lstrip(_SPACES)
    if match := _CURRENCY.match(text):
        text = text[match.end() :].lstrip(_SPACES)
        if not sign and text[:1] == "-":
            sign, text = "-", text[1:]
    else:
        for match in _CURRENCY.finditer(text):
            if match.end() == len(text):
                text = text[: match.start()].rstrip(_SPACES)
    return sign + text


def decide(prices: Sequence[Sequence[str]], others: Sequence[Sequence[str]], *, usual: str = "") -> Decimal | None:
    """Decide the decimal mark of a file.

    Parameters
    ----------
    prices
        The cells of the price columns.
    others
        Those of volume and of the columns that are not used, asked only where the prices leave it open.
    usual
        The marks (``.``, ``,``) which, for how and where the file was written, can only be a decimal point and a comma
        between thousands.

    Returns
    -------
    str or None
        None where some cells may be read both ways and nothing in the file settles it.
    """
    point, comma, either = evidence(prices)
    if point or comma or not either:
        return "comma" if comma > point else "point"
    marks = {mark for cells in prices for cell in cells for mark in ",." if mark in cell}
    point, comma, _ = evidence(others)
    if point or comma:
        return "comma" if comma > point else "point"
    if len(marks) == 1 and _beside_whole_numbers(prices):
        return "point" if marks == {","} else "comma"
    return "point" if marks <= set(usual) else None


def _beside_whole_numbers(columns: Sequence[Sequence[str]]) -> bool:
    """Whether ``987`` stands beside ``1,012`` in every column: then it is thousands, as decimals vary in length."""
    return all(any(len(text) == 3 and text.isdecimal() for text in map(bare, cells)) for cells in columns)


def other_currency(cells: Sequence[str]) -> NDArray[np.bool_]:
    """Find cells that bear another currency's sign than most of those that bear one (``GBp`` is not ``GBP``)."""
    counts: Counter[str] = Counter()
    for form, count in Counter(cell.translate(_DIGITS) for cell in cells).items():
        if match := _CURRENCY.search(form):
            counts[match[0]] += count
    if len(counts) < 2:
        return np.zeros(len(cells), dtype=np.bool_)
    own = counts.most_common(1)[0][0]
    matches = (_CURRENCY.search(cell) for cell in cells)
    return np.array([match is not None and match[0] != own for match in matches], dtype=np.bool_)


def thirty_seconds(cells: Sequence[str]) -> bool:
    """Whether a column may be of points and 32nds, as bonds are quoted: ``110'255`` is no 110,255 then."""
    if not any("'" in cell or "\u2019" in cell for cell in cells):
        return False
    return all(_THIRTY_SECONDS.fullmatch(text) for text in map(bare, cells) if text.casefold() not in MISSING)


def evidence(columns: Iterable[Sequence[str]]) -> tuple[int, int, int]:
    """Count the cells that can only be read with a decimal point, only with a decimal comma, and those with both.

    Of the last, ``1,234`` and ``1.234``, only how many there are is said.
    """
    point = comma = either = 0
    for form, count in Counter(cell.translate(_DIGITS) for cells in columns for cell in cells).items():
        text = bare(form).rstrip("%").rstrip(_SPACES)
        if text[-1:].isalpha() and (match := _SCALED.fullmatch(text)):
            text = match["number"].rstrip(_SPACES)
        mark = _decimal_of(text)
        point += count * (mark == "point")
        comma += count * (mark == "comma")
        either += count * (mark == "either")
    return point, comma, either


def _decimal_of(text: str) -> Literal["point", "comma", "either", "none"]:
    text = _SPACED.sub("", text)
    if match := _LONE.fullmatch(text):
        whole, mark, rest = match.groups()
        if not whole and not rest:
            return "none"
        if len(rest) == 3 and 1 <= len(whole) <= 3 and whole[0] != "0":
            return "either"
        return "point" if mark == "." else "comma"
    if match := _GROUPED.fullmatch(text):
        return "point" if match[1] == "," else "comma"
    if _BOTH.fullmatch(text) and "." in text and "," in text:
        decimal: Decimal = "point" if text.rindex(".") > text.rindex(",") else "comma"
        return decimal if _GRAMMAR[decimal].fullmatch(text) else "none"
    return "none"
