"""The words of the world's price files, kept as data: columns, months and notation, in many languages."""

from __future__ import annotations

import tomllib
import unicodedata
from pathlib import Path
from typing import Any, Literal

__all__ = ["load", "plain_letters"]

# Letters that are not an accented form of another one, but are often written without their stroke or with a dot.
_STROKES = str.maketrans({"\N{LATIN SMALL LETTER DOTLESS I}": "i", "ł": "l", "đ": "d", "ø": "o"})


def load(what: Literal["columns", "months", "notation"]) -> dict[str, Any]:
    """Read one of the lists that lie beside this module."""
    return tomllib.loads(Path(__file__).with_name(f"{what}.toml").read_text(encoding="utf-8"))


def plain_letters(text: str) -> str:
    """Write a text in small letters without accents: ``Höchst`` is ``hochst``, ``Máxima`` is ``maxima``."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(
        char for char in letters if not "\N{COMBINING GRAVE ACCENT}" <= char <= "\N{COMBINING LATIN SMALL LETTER X}"
    )
    return unicodedata.normalize("NFC", bare).translate(_STROKES)
