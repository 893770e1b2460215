"""Where the checks write down what they find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.findings import Finding
from forecasting.ingest.names import Role
from forecasting.ingest.table import Problem, Table, where

__all__ = ["Verdict", "is_rare", "number", "sort_index"]

_MANY = 100
_RARE = 0.01
"""Among many rows, up to this share of impossible ones are slips of a long history, not the mark of a bad file."""


def is_rare(count: int, rows: float) -> bool:
    """Whether so many slips among so many rows are those of a long history, and may be set aside."""
    return 0 < count <= _RARE * rows and rows >= _MANY


@dataclass
class Verdict:
    """The rows that are left, what is wrong with tickers that were taken out, and what must be reported."""

    table: Table
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def refuse(
        self, rows: BoolArray, what: str | Callable[[int], str], role: Role | None = None, setting: str | None = None
    ) -> None:
        """Make the marked rows a problem of each ticker they belong to, and take those tickers out.

        ``what`` is the message, or writes that of the first row, by its index.
        """
        if not rows.any():
            return
        table = self.table
        name = table.names.get(role) if role else None
        bad = self._by_ticker(rows)
        for code, first, lines in bad:
            said = what if isinstance(what, str) else what(first)
            self.problems.append(Problem(said, lines, name, table.tickers[code], setting, table.files))
        self.table = table.without(code for code, _, _ in bad)

    def refuse_unless_rare(self, rows: BoolArray, what: Callable[[int], str], role: Role) -> None:
        """Set the marked rows aside in tickers that have very few among very many; refuse the others."""
        if not rows.any():
            return
        codes = self.table.codes
        counts = np.bincount(codes, minlength=len(self.table.tickers))
        share = np.bincount(codes, weights=rows, minlength=len(self.table.tickers)) / np.maximum(counts, 1)
        spared = rows & ((counts >= _MANY) & (share <= _RARE))[codes]
        for code, first, lines in self._by_ticker(spared):
            message = f"column {self.table.names[role]}, {where(lines, self.table.files)}: {what(first)}, set aside"
            self.findings.append(Finding(self.table.tickers[code], "set_aside", message, len(lines)))
        self.refuse(rows & ~spared, what, role)
        spared = spared[np.isin(codes, self.table.codes)]
        if spared.any():
            self.table = self.table.take(np.flatnonzero(~spared))

    def warn(self, rows: BoolArray, what: str, role: Role | None = None) -> None:
        """Make the marked rows a warning of each ticker they belong to."""
        if not rows.any():
            return
        column = f"column {self.table.names[role]}, " if role is not None and role in self.table.names else ""
        for code, _, lines in self._by_ticker(rows):
            message = f"{column}{where(lines, self.table.files)}: {what}"
            self.findings.append(Finding(self.table.tickers[code], "warning", message))

    def set_aside(self, rows: BoolArray, what: str) -> None:
        """Leave the marked rows out, and report it of each ticker they belong to."""
        for code, _, lines in self._by_ticker(rows):
            message = f"{where(lines, self.table.files)}: {what}, set aside"
            self.findings.append(Finding(self.table.tickers[code], "set_aside", message, len(lines)))
        self.table = self.table.take(np.flatnonzero(~rows))

    def put(self, role: Role, values: Array) -> None:
        """Replace a column."""
        self.table = replace(self.table, prices={**self.table.prices, role: values})

    def _by_ticker(self, rows: BoolArray) -> list[tuple[int, int, list[int]]]:
        """Group the marked rows: each ticker's code, the row that comes first in the file, and the lines of all."""
        found = np.flatnonzero(rows)
        codes, lines = self.table.codes[found], self.table.lines()[found]
        order = np.lexsort((lines, codes))
        starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
        return [
            (int(codes[part[0]]), int(found[part[0]]), lines[part].tolist())
            for part in np.split(order, starts[1:])
            if len(part)
        ]


def sort_index(table: Table) -> IntArray | None:
    """Give the order of the rows by ticker and day (a day's rows as in the file); None when they are in it."""
    codes, days = table.codes, table.days
    same = codes[1:] == codes[:-1]
    if np.all((codes[1:] > codes[:-1]) | (same & (days[1:] >= days[:-1]))):
        return None
    return np.lexsort((days, codes))


def number(value: float) -> str:
    """Write a number as a person does: ``14630.4993``, ``0``."""
    return f"{value:.10g}"
