"""What is reported about the data: rows set aside, oddities, splits, dates that do not fit the calendar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "FindingKind", "worst"]

FindingKind = Literal["set_aside", "warning", "split", "calendar", "stale", "close", "prior", "missing"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the reader of a run should know about its data; never an error.

    Attributes
    ----------
    ticker
        The ticker concerned; empty when a whole file is.
    kind
        ``set_aside`` when rows were left out, else the subject.
    message
        One plain sentence: what was seen, where (file, lines), and what was done about it.
    rows
        How many rows were set aside for it, 0 when none.
    """

    ticker: str
    kind: FindingKind
    message: str
    rows: int = 0


_GRAVITY: tuple[FindingKind, ...] = ("missing", "warning", "calendar", "split", "close", "stale", "set_aside", "prior")
"""The kinds of findings, the one that most likely means wrong data first."""


def worst(findings: Iterable[Finding], most: int) -> list[Finding]:
    """Pick the findings to read first: the gravest kind first, and of a kind one of each ticker before any second."""
    seen: dict[tuple[str, FindingKind], int] = {}
    ranked = []
    for place, finding in enumerate(findings):
        again = seen[finding.ticker, finding.kind] = seen.get((finding.ticker, finding.kind), 0) + 1
        ranked.append((_GRAVITY.index(finding.kind), again, place, finding))
    return [finding for *_, finding in sorted(ranked, key=lambda one: one[:3])[:most]]
