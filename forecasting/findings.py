"""What was noticed in the data and must be told: rows set aside, oddities, splits, misfits with the calendar."""

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
        Whom it concerns; empty when it concerns a whole file.
    kind
        ``set_aside`` when rows were left out, else what it is about.
    message
        One plain sentence: what was seen, where (file, lines), and what was done about it.
    rows
        How many rows were set aside for it, 0 when none.
    """

    ticker: str
    kind: FindingKind
    message: str
    rows: int = 0
