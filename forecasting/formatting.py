"""How numbers and names are written for people: in the report, in a terminal, in the UI's tables.

Names come from files that anyone may have written. They are shown so that a reader sees what is there, control
characters included, and so that they cannot steer a terminal or a browser.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date

__all__ = [
    "MINUS",
    "MISSING",
    "MONTHS",
    "decimals_for",
    "format_date",
    "format_number",
    "name_few",
    "p_value",
    "percent",
    "pluralize",
    "printable",
    "signed_percent",
]

MISSING = "\N{EN DASH}"
"""What is written where there is no number."""

MINUS = "\N{MINUS SIGN}"
"""The typographic minus, as wide as a plus, so that signed numbers line up."""


def printable(text: object, limit: int = 60) -> str:
    r"""Write a text from outside on one line: invisible characters as escapes, at most ``limit`` characters.

    >>> print(printable("A\x1b[31m"))
    A\x1b[31m
    """
    kept = str(text)
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in kept)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def decimals_for(level: float) -> int:
    """Decimals that a price of this size is written with, so that about four digits carry information.

    >>> decimals_for(430.0), decimals_for(4.3), decimals_for(0.00043)
    (2, 3, 7)
    """
    if not math.isfinite(level) or level == 0:
        return 2
    return min(max(2, 3 - math.floor(math.log10(abs(level)))), 12)


def format_number(value: float | None, decimals: int = 2) -> str:
    """Write a number with thousands separators; ``MISSING`` when there is none or it is not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:,.{decimals}f}".replace("-", MINUS)


def percent(share: float | None, decimals: int = 1) -> str:
    """Write a share (0.5) as a percentage (50.0 %)."""
    return MISSING if share is None or not math.isfinite(share) else f"{100 * share:.{decimals}f} %"


def signed_percent(share: float | None, decimals: int = 2) -> str:
    """Write a change (0.012) as a signed percentage (+1.20 %)."""
    if share is None or not math.isfinite(share):
        return MISSING
    rounded = round(100 * share, decimals) + 0.0  # -0.0 becomes 0.0
    return f"{rounded:+.{decimals}f} %".replace("-", MINUS)


def p_value(probability: float | None) -> str:
    """Write a p-value, a very small one as what it is below."""
    if probability is not None and probability < 0.001:
        return "<0.001"
    return format_number(probability, 3)


def pluralize(amount: int, noun: str) -> str:
    """Write an amount with its noun: 1 ticker, 2 tickers."""
    return f"{amount:,} {noun if amount == 1 else noun + 's'}"


def format_date(value: date) -> str:
    """Write a date so that no country misreads it: 1 Mar 2013."""
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


# strftime's month names follow the locale; a report must not.
MONTHS: tuple[str, ...] = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def name_few(names: Iterable[str], most: int = 3) -> str:
    """Name the first few, and say how many more there are.

    >>> name_few(["AAPL", "FB"]), name_few(["A", "B", "C", "D", "E"])
    ('AAPL, FB', 'A, B, C and 2 more')
    """
    shown = [printable(name) for name in names]
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more
