"""Numbers in the notations of many countries; the decimal mark is decided once for a whole file.

``1,234`` alone may be 1234 or 1.234: cells that can be read in only one way settle it, or else a key does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from forecasting.arrays import Array, BoolArray
from forecasting.ingest.names import load

__all__ = ["MISSING", "Decimal", "decide", "read_numbers", "why_unread"]

Decimal = Literal["point", "comma"]

_NOTATION = load("notation")
MISSING: frozenset[str] = frozenset(_NOTATION["missing"])
"""What vendors write where there is no value, in small letters."""

_SPACES = " \t\u00a0\u2009\u202f\u3000"
_PLAINLY = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'"})
_CURRENCY = re.compile("|".join(re.escape(sign) for sign in _NOTATION["currencies"]), re.IGNORECASE)
_SPACED, _EXPONENT = r"\d{1,3}(?:[ ']\d{3})+", r"(?:[eE][+-]?\d+)?"
_POINT = rf"\d+|[1-9]\d{{0,2}}(?:,\d{{3}})+|[1-9]\d?(?:,\d{{2}})*,\d{{3}}|{_SPACED}"
_COMMA = rf"\d+|[1-9]\d{{0,2}}(?:\.\d{{3}})+|{_SPACED}"
_GRAMMAR = {
    "point": re.compile(rf"[+-]?(?=[.]?\d)(?:{_POINT})?(?:\.\d*)?{_EXPONENT}", re.ASCII),
    "comma": re.compile(rf"[+-]?(?=,?\d)(?:{_COMMA})?(?:,\d*)?{_EXPONENT}", re.ASCII),
}
_NON_FINITE = re.compile(r"[+-]?(?:inf(?:inity)?)", re.IGNORECASE)
_THIRTY_SECONDS = re.compile(r"\d{2,3}'\d{3}", re.ASCII)  # as bonds are quoted, in points and 32nds
_EITHER, _WHOLE = r"^[+-]?[1-9]\d{0,2}\.\d{3}$", re.compile(r"\d{4,}", re.ASCII)
_SAMPLE = 200
_DIGITS = str.maketrans("12345678", "99999999")  # makes one form of all cells that are written alike
_SCALES: Mapping[str, float] = {"": 1.0, **_NOTATION["scales"]}
_SCALED = re.compile(r"(?P<number>.*?\d[.,]?)\s*(?P<scale>[^\W\d_]*?\.?)(?:手|株|股|주)?", re.DOTALL)


def read_numbers(cells: pa.ChunkedArray, decimal: Decimal, *, scaled: bool = False) -> tuple[Array, BoolArray]:
    """Read a column of prices, or with ``scaled`` of volumes, which may be abbreviated (``157.78M``, ``64,35 Mio.``).

    Gives the values, NaN where there is none, and where a cell is neither a number nor says that there is none.
    """
    try:  # at once, where all cells are finite numbers with a decimal point
        plain: Array = cells.cast(pa.float64()).to_numpy()
        if decimal == "point" and np.isfinite(plain).all():
            return plain, np.zeros(len(plain), dtype=np.bool_)
    except pa.ArrowInvalid:
        pass
    encoded = cells.combine_chunks().dictionary_encode()
    texts, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False)
    known = [_one(cell, decimal, scaled=scaled) for cell in texts]
    values, bad = np.array(known, dtype=np.float64), np.array([value is None for value in known], dtype=np.bool_)
    if not scaled:
        signs = [match and match[0] for match in map(_CURRENCY.search, texts)]
        usual = Counter(signs[code] for code in codes if signs[code]).most_common(1)
        # Prices in another currency than the usual one are not comparable: pence are not pounds.
        bad |= np.array([bool(sign) and sign != usual[0][0] for sign in signs], dtype=np.bool_)
    return values[codes], bad[codes]


def why_unread(cell: str, decimal: Decimal, *, scaled: bool = False) -> str:
    """Say of a cell that `read_numbers` could not read what is wrong with it."""
    other: Decimal = "comma" if decimal == "point" else "point"
    if _one(cell, decimal, scaled=scaled) is not None:
        return "is not a number in the currency of the other rows"
    if _one(cell, other, scaled=scaled) is not None:
        return f"is not a number with a decimal {decimal}, as other rows are"
    return "is not a number"


def _one(cell: str, decimal: Decimal, *, scaled: bool) -> float | None:
    """Read one cell: NaN when it says that there is no value, None when it is not a number."""
    text, scale = _bare(cell), 1.0
    if text.casefold() in MISSING and (text or not cell.strip(_SPACES)):
        return np.nan
    if _NON_FINITE.fullmatch(text):
        return float(text)
    if scaled and (match := _SCALED.fullmatch(text)) and match["scale"].casefold() in _SCALES:
        text, scale = match["number"], _SCALES[match["scale"].casefold()]
    if not _GRAMMAR[decimal].fullmatch(text) or (not scaled and _THIRTY_SECONDS.fullmatch(text)):
        return None
    return float(re.sub(r"[ ',]" if decimal == "point" else r"[ '.]", "", text).replace(",", ".")) * scale


def _bare(cell: str) -> str:
    """Strip a cell of blanks and currency around the number, and write its signs plainly."""
    text = cell.strip(_SPACES)
    if text.isascii() and text[:1] in "0123456789." and text.rstrip(".")[-1:] in "0123456789":
        return text
    text = text.translate(_PLAINLY)
    sign = text[:1] if text[:1] in "+-" else ""
    text = text.removeprefix(sign).lstrip(_SPACES)
    if match := _CURRENCY.match(text):
        text = text[match.end() :].lstrip(_SPACES)
        if not sign and text[:1] == "-":
            sign, text = "-", text[1:]
    elif ends := [match for match in _CURRENCY.finditer(text) if match.end() == len(text)]:
        text = text[: ends[0].start()].rstrip(_SPACES)
    return sign + text


def decide(prices: Sequence[pa.ChunkedArray], others: Sequence[pa.ChunkedArray], *, usual: str = "") -> Decimal | None:
    """Decide the decimal mark of a file; None where some cells may be read both ways and nothing settles it.

    Where the ``prices`` leave it open, the ``others`` are asked, and then the ``usual`` marks (``.``, ``,``), which can
    only be a decimal point and a comma between thousands where the file was written. A point alone is believed only
    where a whole number of four digits shows that thousands are not grouped.
    """
    if any(map(_surely_point, prices)):
        return "point"
    columns = [_forms(cells) for cells in prices]
    found = _evidence(columns)
    if found["point"] or found["comma"] or not found["either"]:
        return "comma" if found["comma"] > found["point"] else "point"
    rest = [_forms(cells) for cells in others]
    found = _evidence(rest)
    if found["point"] or found["comma"]:
        return None if found["point"] and found["comma"] else "comma" if found["comma"] else "point"
    marks = {mark for forms in columns for form in forms for mark in ",." if mark in form}
    if len(marks) == 1 and all(any(re.fullmatch(r"\d{3}", _bare(form)) for form in forms) for forms in columns):
        # Where each column has both 987 and 1,012, the mark is one of thousands: decimals would vary in length.
        return "point" if marks == {","} else "comma"
    grouped = marks == {"."} and not any(_WHOLE.fullmatch(form) for forms in (*columns, *rest) for form in forms)
    return "point" if marks <= set(usual) and not (grouped and usual == ".") else None


def _surely_point(cells: pa.ChunkedArray) -> bool:
    """Whether the first cells of a column are plain numbers, some of them with other than three decimals."""
    head = cells[:_SAMPLE].combine_chunks()
    try:
        head.cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    marked = pc.match_substring(head, ".")
    return bool(pc.any(pc.and_not(marked, pc.match_substring_regex(head, _EITHER))).as_py())


def _forms(cells: pa.ChunkedArray) -> Counter[str]:
    """Count the forms of a column's cells."""
    return Counter(cell.translate(_DIGITS) for cell in cells.to_pylist())


def _evidence(columns: Iterable[Counter[str]]) -> Counter[str]:
    """Count the cells that can only be read with a decimal point, only with a decimal comma, and those with either."""
    found = Counter[str]()
    for form, count in (one for forms in columns for one in forms.items()):
        text = _bare(form).rstrip("%" + _SPACES)
        if text[-1:].isalpha() and (match := _SCALED.fullmatch(text)):
            text = match["number"].rstrip(_SPACES)
        ways = [one for one, grammar in _GRAMMAR.items() if grammar.fullmatch(text)]
        if ways and ("." in text or "," in text):
            found[ways[0] if len(ways) == 1 else "either"] += count
    return found
