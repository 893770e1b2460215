"""What passes between the parts of the reader: rows of text, rows of numbers, and the problems met on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.names import Role

__all__ = [
    "LINES",
    "Options",
    "Problem",
    "ReadFile",
    "Table",
    "spans",
    "where",
]

LINES = 1 << 40
"""No file has so many lines."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the reader is asked for.

    Attributes
    ----------
    last_day
        Rows after it (days since 1970-01-01) are set aside before any other check.
    tickers
        Only these; all when None.
    format
        What is declared about the files.
    """

    last_day: int | None = None
    tickers: frozenset[str] | None = None
    format: PriceFormat = field(default_factory=PriceFormat)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a ticker, or with ``ticker`` None a whole file, cannot be read.

    ``lines`` are all the lines concerned; the message names the first, and lists the others. ``files`` are those that
    the lines are of, where they are of several (`Table`).
    """

    what: str
    lines: Sequence[int] = ()
    column: str | None = None
    ticker: str | None = None
    setting: str | None = None
    files: Sequence[str] = ()

    def error(self, file: str) -> InputError:
        """Give the same as an exception."""
        others = f" (lines {spans(self.lines)})" if len(self.lines) > 1 else ""
        line = int(self.lines[0]) if len(self.lines) else None
        if self.files and line is not None:
            file, others = self.files[line // LINES], f" (and {len(self.lines) - 1} more rows)" if others else ""
            line %= LINES
        return InputError(
            self.what + others,
            file=file,
            line=line,
            column=self.column,
            setting=self.setting,
        )


@dataclass(frozen=True)
class Table:
    """Rows of numbers, at first in the file's order.

    Attributes
    ----------
    tickers, codes
        The names, and each row's index into them.
    days
        Days since 1970-01-01.
    prices
        Open, high, low, close, volume; all NaN where the file has no such column.
    lines
        Gives the rows' line numbers; asked only when there is something to report.
    names
        The columns' names in the file, by role.
    numeric_dates
        Day and month are numbers whose order had to be decided.
    unsure
        Why the dates may be of other days than they seem; empty where they are plainly dates.
    weekdays
        The weekdays on which the market trades, 0 for Monday, where that is declared.
    files
        The files that the rows are of, where they are of several: a line's number is its own and ``LINES`` times the
        place of its file.
    """

    tickers: Sequence[str]
    codes: IntArray
    days: IntArray
    prices: Mapping[Role, Array]
    lines: Callable[[], IntArray]
    names: Mapping[Role, str]
    numeric_dates: bool = False
    unsure: str = ""
    weekdays: frozenset[int] | None = None
    files: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: IntArray | BoolArray) -> Table:
        """Keep only these rows, in this order."""
        lines = self.lines
        return replace(
            self,
            codes=self.codes[rows],
            days=self.days[rows],
            prices={role: array[rows] for role, array in self.prices.items()},
            lines=cache(lambda: lines()[rows]),
        )

    def without(self, codes: Iterable[int]) -> Table:
        """Leave out the rows of these tickers."""
        out = np.zeros(len(self.tickers), dtype=np.bool_)
        out[list(codes)] = True
        return self.take(np.flatnonzero(~out[self.codes])) if out.any() else self


@dataclass(frozen=True, slots=True)
class Decided:
    """How a file was read.

    Attributes
    ----------
    format
        What was declared or decided, as a format that declares it.
    ignored
        The columns that were not read.
    dates
        The dates' form, in words.
    clock
        Whether times of day were dropped.
    """

    format: PriceFormat
    ignored: tuple[str, ...]
    dates: str
    clock: bool


@dataclass
class ReadFile:
    """What was read of one file: a table for each block of columns, what is wrong, and what must be reported."""

    tables: list[Table] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    decided: Decided | None = None


def spans(lines: Iterable[int], most: int = 6) -> str:
    """Write line numbers shortly: ``3, 7-9, 14``; after ``most`` groups, how many more lines there are."""
    groups: list[list[int]] = []
    for line in sorted({int(line) for line in lines}):
        if groups and line == groups[-1][1] + 1:
            groups[-1][1] = line
        else:
            groups.append([line, line])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in groups[:most])
    rest = sum(b - a + 1 for a, b in groups[most:])
    return f"{shown} and {rest} more" if rest else shown


def where(lines: Sequence[int], files: Sequence[str] = ()) -> str:
    """Write ``line 7`` or ``lines 7-9, 14``; of several files, the first line and how many more rows there are."""
    if files:
        more = f" and {len(lines) - 1} more rows" if len(lines) > 1 else ""
        return f"{files[lines[0] // LINES]}, line {lines[0] % LINES}{more}"
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {spans(lines)}"
