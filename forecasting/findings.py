"""What is reported about the data: rows set aside, oddities, splits, dates that do not fit the calendar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "FindingKind"]

FindingKind = Literal["set_aside", "warning", "split", "calendar", "stale", "close"]


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
