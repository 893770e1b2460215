"""What a cell is worth: numbers in the notations of the world, the decimal mark decided for a whole file.

``1,234`` alone may be a thousand or one and a bit. What settles it is any other cell of the file that can be read in
one way only (``1,234.50``, ``27,3``, ``1.234.567``); when nothing does, that is an error which names the key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from forecasting.ingest.names import load

__all__ = ["MISSING", "Decimal", "decide", "read_numbers", "read_volumes"]

Decimal = Literal["point", "comma"]
Cells: TypeAlias = "pa.ChunkedArray | Sequence[str]"

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
_GRAMMAR = {"point": _POINT, "comma": _COMMA}
_GROUPS = {"point": ",", "comma": "."}
_NON_FINITE = re.compile(r"[+-]?(?:inf(?:inity)?)", re.IGNORECASE)
_THIRTY_SECONDS = re.compile(r"\d{2,3}['\u2019]\d{3}", re.ASCII)
"""As bonds are quoted, in points and 32nds."""
_EITHER = r"^[+-]?[1-9]\d{0,2}\.\d{3}$"
_SAMPLE = 200

_DIGITS = str.maketrans("12345678", "99999999")
"""Makes one form of all cells that are written alike, of which there are few."""
_SPACED = re.compile("(?<=[0-9])[ '\u2019](?=[0-9]{3})")
_LONE = re.compile(r"[+-]?(\d*)([.,])(\d*)", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}([.,])\d{2,3}(?:\1\d{3})+", re.ASCII)
_BOTH = re.compile(r"[+-]?\d[\d.,]*", re.ASCII)
_WHOLE = re.compile(r"\d{4,}", re.ASCII)

_SCALES: Mapping[str, float] = {"": 1.0, **_NOTATION["scales"]}
_SCALED = re.compile(r"(?P<number>.*?\d[.,]?)\s*(?P<scale>[^\W\d_]*?\.?)(?:手|株|股|주)?", re.DOTALL)


def read_numbers(cells: Cells, decimal: Decimal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a column of prices.

    Returns
    -------
    values
        NaN where there is none, infinite where a cell says so or exceeds what a double holds.
    bad
        Where the cell is neither a number under this decimal mark nor says that there is none.
    """
    return _read(cells, decimal, scaled=False)


def read_volumes(cells: Cells, decimal: Decimal) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read a column of volumes, which may be abbreviated (``157.78M``, ``64,35 Mio.``)."""
    return _read(cells, decimal, scaled=True)


def _read(cells: Cells, decimal: Decimal, *, scaled: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    array = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([pa.array(cells, pa.string())])
    if decimal == "point" and (plain := _read_plain(array)) is not None:
        return plain, np.zeros(len(plain), dtype=np.bool_)
    encoded = array.combine_chunks().dictionary_encode()
    known = [_one(cell, decimal, scaled=scaled) for cell in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    values = np.array(known, dtype=np.float64)  # None becomes NaN
    bad = np.array([value is None for value in known], dtype=np.bool_)
    if not scaled:
        signs = [match and match[0] for match in map(_CURRENCY.search, encoded.dictionary.to_pylist())]
        usual = Counter(signs[code] for code in codes if signs[code]).most_common(2)
        if len(usual) > 1:  # pence are not pounds
            bad |= np.array([bool(sign) and sign != usual[0][0] for sign in signs])
    return values[codes], bad[codes]


def _read_plain(array: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """Read a column at once; None when a cell is anything else than a finite number with a decimal point."""
    try:
        values: NDArray[np.float64] = array.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return values if np.isfinite(values).all() else None


def _one(cell: str, decimal: Decimal, *, scaled: bool) -> float | None:
    """Read one cell: NaN when it says that there is no value, None when it is not a number."""
    text = _bare(cell)
    if text.casefold() in MISSING and (text or not cell.strip(_SPACES)):
        return np.nan
    if _NON_FINITE.fullmatch(text):
        return float(text)
    scale = 1.0
    if scaled and (match := _SCALED.fullmatch(text)) and match["scale"].casefold() in _SCALES:
        text, scale = match["number"], _SCALES[match["scale"].casefold()]
    if not scaled and _THIRTY_SECONDS.fullmatch(text):
        return None
    if not _GRAMMAR[decimal].fullmatch(text) or not _MANTISSA.match(text):
        return None
    for mark in (_GROUPS[decimal], " ", "'", "\u2019"):
        text = text.replace(mark, "")
    return float(text.replace(",", ".")) * scale


def _bare(cell: str) -> str:
    """Strip a cell of blanks and currency around the number, and write its minus sign plainly."""
    text = (
        cell.strip(_SPACES).replace("\u2212", "-").replace("\u00a0", " ").replace("\u202f", " ").replace("\u2009", " ")
    )
    if text.isascii() and (not text or text[0] in "0123456789.") and text.rstrip(".")[-1:] in "0123456789":
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


def decide(prices: Sequence[Cells], others: Sequence[Cells], *, usual: str = "") -> Decimal | None:
    """Decide the decimal mark of a file.

    Parameters
    ----------
    prices
        The cells of the price columns.
    others
        Those of all other columns, asked where the prices leave it open; where they contradict each other, it stays so.
    usual
        The marks (``.``, ``,``) which, for how and where the file was written, can only be a decimal point and a comma
        between thousands. A point alone is believed only where a whole number of four digits shows that thousands are
        not grouped.

    Returns
    -------
    str or None
        None where some cells may be read both ways and nothing in the file settles it.
    """
    if any(map(_surely_point, prices)):
        return "point"
    forms = [form for cells in prices for form in _forms(cells)]
    point, comma, either = _evidence(forms)
    if point or comma or not either:
        return "comma" if comma > point else "point"
    other_forms = [form for cells in others for form in _forms(cells)]
    marks = {mark for form, _ in forms for mark in ",." if mark in form}
    point, comma, _ = _evidence(other_forms)
    if point and comma:
        return None
    if point or comma:
        return "comma" if comma else "point"
    if len(marks) == 1 and all(any(_is_short(form) for form, _ in _forms(cells)) for cells in prices):
        # 987 beside 1,012 in every column: then it is thousands, as decimals vary in length.
        return "point" if marks == {","} else "comma"
    grouped = marks == {"."} and not any(_WHOLE.fullmatch(form) for form, _ in (*forms, *other_forms))
    return "point" if marks <= set(usual) and not (grouped and usual == ".") else None


def _surely_point(cells: Cells) -> bool:
    """Whether the first cells of a column are plain numbers, some of which have not just three decimals."""
    head = cells[:_SAMPLE]
    head = head.combine_chunks() if isinstance(head, pa.ChunkedArray) else pa.array(head, pa.string())
    try:
        head.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    marked = pc.match_substring(head, ".")
    return bool(pc.any(pc.and_not(marked, pc.match_substring_regex(head, _EITHER))).as_py())


def _forms(cells: Cells) -> list[tuple[str, int]]:
    """Count the forms of a column's cells."""
    texts = cells.to_pylist() if isinstance(cells, pa.ChunkedArray) else cells
    return list(Counter(map(_form, texts)).items())


def _form(cell: str) -> str:
    return cell.translate(_DIGITS)


def _is_short(form: str) -> bool:
    text = _bare(form)
    return len(text) == 3 and text.isdecimal()


def _evidence(forms: Iterable[tuple[str, int]]) -> tuple[int, int, int]:
    """Count the cells that can only be read with a decimal point, only with a decimal comma, and those with both."""
    found = {"point": 0, "comma": 0, "either": 0, "none": 0}
    for form, count in forms:
        text = _bare(form).rstrip("%").rstrip(_SPACES)
        if text[-1:].isalpha() and (match := _SCALED.fullmatch(text)):
            text = match["number"].rstrip(_SPACES)
        found[_decimal_of(text)] += count
    return found["point"], found["comma"], found["either"]


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
