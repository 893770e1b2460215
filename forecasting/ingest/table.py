"""What passes between the parts of the reader: rows of numbers, and where what is wrong or odd is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.names import PRICES, Role

__all__ = ["WEEK", "Decided", "Options", "Problem", "ReadFile", "Table", "Verdict", "is_rare", "joined", "where"]

_LINES = 1 << 40  # no file has so many lines
WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MANY, _RARE = 100, 0.01
_SPANS = 6


@dataclass(frozen=True, slots=True)
class Options:
    """What the reader is asked for: rows up to a day (since 1970-01-01), only these tickers, and what is declared."""

    last_day: int | None = None
    tickers: frozenset[str] | None = None
    format: PriceFormat = field(default_factory=PriceFormat)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a ticker, or with ``ticker`` None a whole file, cannot be read.

    ``lines`` are all the lines concerned, which the message lists, and ``files`` as in a `Table`.
    """

    what: str
    lines: Sequence[int] = ()
    column: str | None = None
    ticker: str | None = None
    setting: str | None = None
    files: Sequence[str] = ()

    def error(self, file: str) -> InputError:
        """Give the same as an exception."""
        others = f" (lines {_spans(self.lines)})" if len(self.lines) > 1 else ""
        line = int(self.lines[0]) if len(self.lines) else None
        if self.files and line is not None:
            file, others = self.files[line // _LINES], f" (and {len(self.lines) - 1} more rows)" if others else ""
            line %= _LINES
        return InputError(self.what + others, file=file, line=line, column=self.column, setting=self.setting)


@dataclass(frozen=True)
class Table:
    """Rows of numbers: tickers (by their ``codes``), days since 1970-01-01, and prices, NaN where a file has none.

    ``places`` are the rows' places in the file, of whose rows ``all_lines`` gives the line numbers, when there is
    something to report; with several ``files``, a line is its own number and ``_LINES`` times the place of its file.
    ``names`` are the columns' names, by role. Of the dates it says whether the order of day and month had to be decided
    (``numeric_dates``), why they may be of other days than they seem (``unsure``), and on which ``weekdays`` (``Mon``)
    the market is declared to trade.
    """

    tickers: Sequence[str]
    codes: IntArray
    days: IntArray
    places: IntArray
    prices: Mapping[Role, Array]
    all_lines: Callable[[], IntArray]
    names: Mapping[str, str]
    numeric_dates: bool = False
    unsure: str = ""
    weekdays: Sequence[str] | None = None
    files: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.codes)

    def lines(self) -> IntArray:
        """Look up the rows' line numbers."""
        return self.all_lines()[self.places]

    def take(self, rows: IntArray | BoolArray) -> Table:
        """Keep only these rows, in this order."""
        prices = {role: array[rows] for role, array in self.prices.items()}
        codes, days, places = self.codes[rows], self.days[rows], self.places[rows]
        return replace(self, codes=codes, days=days, places=places, prices=prices)

    def without_text(self) -> Table:
        """Look the lines up now, so that the file's text can leave the memory."""
        lines = self.lines()
        return replace(self, places=np.arange(len(self)), all_lines=lambda: lines)

    def is_one_day(self) -> bool:
        """Whether these are rows of a day of an exchange: of several tickers, named in a column, and of one date."""
        return "ticker" in self.names and len(self) > 1 and bool((self.days == self.days[0]).all())

    def sorted(self) -> Table:
        """Sort the rows by the tickers' names and by day; those of a day stay in the file's order."""
        order = sorted(range(len(self.tickers)), key=lambda code: self.tickers[code])
        names, codes = [self.tickers[code] for code in order], np.argsort(order)[self.codes]
        table = replace(self, tickers=names, codes=codes)
        ascending = (np.diff(codes) > 0) | ((np.diff(codes) == 0) & (np.diff(self.days) >= 0))
        return table if ascending.all() else table.take(np.lexsort((self.days, codes)))

    # What follows is of sorted rows.

    @cached_property
    def same(self) -> BoolArray:
        """Whether each row but the first is of the ticker of the row before it."""
        same: BoolArray = self.codes[1:] == self.codes[:-1]
        return same

    @cached_property
    def edges(self) -> IntArray:
        """Where each ticker's rows begin, and the end of the last one's."""
        return np.concatenate([[0], np.flatnonzero(~self.same) + 1, [len(self)]])

    def histories(self, marked: BoolArray) -> Iterator[slice]:
        """Give the rows of each ticker that has a marked row."""
        for start, stop in zip(self.edges[:-1].tolist(), self.edges[1:].tolist(), strict=True):
            if marked[start:stop].any():
                yield slice(start, stop)

    def per_ticker(self, reduce: np.ufunc, values: Array | BoolArray | IntArray) -> Array:
        """Reduce each ticker's values to one, and give it to each of its rows."""
        reduced: Array = np.repeat(reduce.reduceat(values, self.edges[:-1]), np.diff(self.edges))
        return reduced


def joined(days: Sequence[tuple[str, Table]]) -> Table | None:
    """Join the tables of single days, each of a file; None when no ticker has more than one of them."""
    tables = [table for _, table in days]
    names = sorted({table.tickers[code] for table in tables for code in np.unique(table.codes)})
    if len(names) == sum(len(np.unique(table.codes)) for table in tables):
        return None
    codes = [np.searchsorted(names, table.tickers)[table.codes] for table in tables]
    prices = {role: np.concatenate([table.prices[role] for table in tables]) for role in PRICES}
    dates = np.concatenate([table.days for table in tables])
    by = np.argsort(dates, kind="stable")
    lines = np.concatenate([at * _LINES + table.lines() for at, table in enumerate(tables)])[by]
    whole = replace(tables[0], tickers=names, codes=np.concatenate(codes), days=dates, places=by, prices=prices)
    return replace(whole.take(by), places=np.arange(len(by)), all_lines=lambda: lines, files=[file for file, _ in days])


@dataclass(frozen=True, slots=True)
class Decided:
    """How a file was read: as a format that declares it; columns not read; the dates' form; were clocks dropped."""

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
    decided: Decided = field(init=False)


What = str | Callable[[int], str]
"""A message, in which ``{day}``, ``{value}`` and the roles stand for what the first row has; or what writes it."""


@dataclass
class Verdict:
    """The rows that are left, what is wrong with tickers that were taken out, and what must be reported."""

    table: Table
    problems: list[Problem] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def prices(self) -> Mapping[Role, Array]:
        """The prices of the rows that are left."""
        return self.table.prices

    def refuse(self, rows: BoolArray, what: What, column: str | None = None, setting: str | None = None) -> None:
        """Make the marked rows a problem of each ticker they belong to, and take all rows of these out."""
        table = self.table
        for code, first, lines in self._by_ticker(rows):
            name, said = table.names.get(column, column) if column else None, self._say(what, first, column)
            self.problems.append(Problem(said, lines, name, table.tickers[code], setting, table.files))
        if rows.any():
            self.table = table.take(~np.isin(table.codes, table.codes[rows]))

    def refuse_unless_rare(self, rows: BoolArray, what: What, role: Role) -> None:
        """Set the marked rows aside in tickers that have very few among very many; refuse the others."""
        if not rows.any():
            return
        codes, count = self.table.codes, len(self.table.tickers)
        marked, all_rows = np.bincount(codes[rows], minlength=count), np.bincount(codes, minlength=count)
        spared = rows & is_rare(marked, all_rows)[codes]
        self.set_aside(spared, what, role)
        self.refuse((rows & ~spared)[~spared], what, role)

    def warn(self, rows: BoolArray, what: What, column: str | None = None) -> None:
        """Make the marked rows a warning of each ticker they belong to."""
        for code, first, lines in self._by_ticker(rows):
            message = self._place(lines, column) + self._say(what, first, column)
            self.findings.append(Finding(self.table.tickers[code], "warning", message))

    def set_aside(self, rows: BoolArray, what: What, column: str | None = None) -> None:
        """Leave the marked rows out, and report it of each ticker they belong to."""
        for code, first, lines in self._by_ticker(rows):
            message = f"{self._place(lines, column)}{self._say(what, first, column)}, set aside"
            self.findings.append(Finding(self.table.tickers[code], "set_aside", message, len(lines)))
        if rows.any():
            self.table = self.table.take(~rows)

    def take_as_missing(self, rows: BoolArray, what: What, role: Role) -> None:
        """Take the marked rows' values of a column for missing, and report it."""
        if rows.any():
            self.warn(rows, what, role)
            prices = {**self.table.prices, role: np.where(rows, np.nan, self.table.prices[role])}
            self.table = replace(self.table, prices=prices)

    def _say(self, what: What, row: int, column: str | None) -> str:
        if not isinstance(what, str):
            return what(row)
        values: dict[str, str] = {name: f"{values[row]:.10g}" for name, values in self.table.prices.items()}
        day = int(self.table.days[row])
        named = f"{np.datetime64(day, 'D')} (a {WEEK[(day + 3) % 7]})"
        return what.format(day=named, value=values.get(column or ""), **values)

    def _place(self, lines: Sequence[int], column: str | None) -> str:
        name = f"column {self.table.names.get(column, column)}, " if column else ""
        return f"{name}{where(lines, self.table.files)}: "

    def _by_ticker(self, rows: BoolArray) -> Iterator[tuple[int, int, list[int]]]:
        """Group the marked rows: each ticker's code, the row that comes first in the file, and the lines of all."""
        found = np.flatnonzero(rows)
        if not len(found):
            return
        codes, lines = self.table.codes[found], self.table.lines()[found]
        order = np.lexsort((lines, codes))
        for part in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
            yield int(codes[part[0]]), int(found[part[0]]), lines[part].tolist()


def is_rare(count: IntArray | int, rows: IntArray | float) -> BoolArray:
    """Whether so many slips among so many rows are those of a long history, and may be set aside."""
    return (np.asarray(count) > 0) & (np.asarray(count) <= _RARE * rows) & (np.asarray(rows) >= _MANY)


def _spans(lines: Iterable[int]) -> str:
    """Write line numbers shortly: ``3, 7-9, 14``; after a few groups, how many more lines there are."""
    numbers = np.unique(np.fromiter(lines, np.int64))
    groups = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = ", ".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else str(one[0]) for one in groups[:_SPANS])
    rest = sum(map(len, groups[_SPANS:]))
    return f"{shown} and {rest} more" if rest else shown


def where(lines: Sequence[int], files: Sequence[str] = ()) -> str:
    """Write ``line 7`` or ``lines 7-9, 14``; of several files, the first line and how many more rows there are."""
    if files:
        more = f" and {len(lines) - 1} more rows" if len(lines) > 1 else ""
        return f"{files[lines[0] // _LINES]}, line {lines[0] % _LINES}{more}"
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {_spans(lines)}"
