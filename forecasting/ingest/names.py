"""Which column is which: the spellings, in many languages, of the columns that prices come in.

A header's cell must *be* one of these names, case, accents and units aside: ``Adj Close`` is never taken for Close.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

__all__ = [
    "NEEDED", "PRICES", "REQUIRED", "Role", "is_unit", "load", "normalise", "plain_letters", "rank", "split_affix",
    "unmangled",
]  # fmt: skip

Role = Literal["ticker", "date", "open", "high", "low", "close", "volume"]

NEEDED: tuple[Role, ...] = ("open", "high", "low")
PRICES: tuple[Role, ...] = (*NEEDED, "close", "volume")
REQUIRED: tuple[Role, ...] = ("date", *NEEDED)

# Letters that are not an accented form of another one, but are often written without their stroke or with a dot.
_STROKES = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "ł": "l", "đ": "d", "ø": "o"})
_ACCENTS = re.compile("[\u0300-\u036f]")


def load(what: Literal["columns", "months", "notation"]) -> dict[str, Any]:
    """Read one of the TOML files next to this module: the words of many languages and vendors."""
    return tomllib.loads(Path(__file__).with_name(f"{what}.toml").read_text(encoding="utf-8"))


def plain_letters(text: str) -> str:
    """Write a text in small letters without accents: ``Höchst`` is ``hochst``, ``Máxima`` is ``maxima``."""
    letters = _ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", letters).translate(_STROKES)


_NOTATION = load("notation")
_UNITS = "|".join(re.escape(unit) for unit in _NOTATION["units"])
_UNIT = re.compile(rf"\s*[\(\[]\s*(?:{_UNITS})\s*[\)\]]\s*$", re.IGNORECASE)
_CURRENCY = re.compile(rf" (?:{'|'.join(sign.casefold() for sign in _NOTATION['currencies'] if sign.isalpha())})$")
_MANGLED = re.compile(r"\.[1-9]\d?$")
_NUMBERED = re.compile(r"^\s*\d{1,2}[a-z]?\.\s+")
_EASTERN = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_PUNCTUATION = re.compile(r"[\s_\-./\\:*\"'`\u00b4\u2019<>#|,;]+")
_AFFIX = r"[A-Z0-9^][A-Z0-9^.=\-]*"
_SUFFIXED = re.compile(rf"^\(?'?(?P<name>[A-Za-z ]+?)'?[._, ] ?'?(?P<affix>{_AFFIX})'?\)?$")
_PREFIXED = re.compile(rf"^\(?'?(?P<affix>{_AFFIX})'?[._, ] ?'?(?P<name>[A-Za-z ]+?)'?\)?$")
_NO_TICKER = frozenset({"ADJ", "ADJUSTED", "PREV", "PREVIOUS", "PRE", "BID", "ASK", "MID", "AVG", "USD", "EUR", "CNY"})


@lru_cache(maxsize=1024)
def normalise(cell: str) -> str:
    """Take case, accents, punctuation, numbering (``1. open``) and a unit in brackets (``Open (USD)``) off a name."""
    text = unicodedata.normalize("NFKC", cell).strip().strip("\ufeff")
    text = _UNIT.sub("", _NUMBERED.sub("", text))
    text = _PUNCTUATION.sub(" ", plain_letters(_CAMEL.sub(" ", text))).strip()
    return text.replace(" ", "") if _EASTERN.search(text) else text


def is_unit(cell: str) -> bool:
    """Whether a cell is a unit or a currency, in brackets or not (``USD``, ``(EUR)``)."""
    return _UNIT.fullmatch(f"({cell.strip('()[] ')})") is not None


def rank(role: Role, cell: str) -> int | None:
    """How sure it is that a header's cell names a role, perhaps with a currency (``open_usd``): 0 is the surest."""
    name, ranks = normalise(unmangled(cell)), _RANKS[role]
    place = ranks.get(name)
    return ranks.get(_CURRENCY.sub("", name)) if place is None else place


def unmangled(cell: str) -> str:
    """Take off the number by which pandas distinguishes equal names: ``Open.1`` was a second ``Open``."""
    return _MANGLED.sub("", cell)


def split_affix(cell: str) -> tuple[str, Role] | None:
    """Ticker and role of a header such as ``AAPL.Open``, ``Open_AAPL`` or ``('Open', 'AAPL')``; None elsewhere."""
    for pattern in (_SUFFIXED, _PREFIXED):
        if not (match := pattern.match(cell.strip())) or match["affix"] in _NO_TICKER:
            continue
        for role in PRICES:
            if normalise(match["name"]) == role:
                return match["affix"], role
    return None


_RANKS: Mapping[str, Mapping[str, int]] = {
    role: {normalise(name): place for place, names in reversed(list(enumerate(groups))) for name in names}
    for role, groups in load("columns").items()
}
