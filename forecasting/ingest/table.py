"""What passes between the parts of the reader: rows of numbers, and what there is to say about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.errors import InputError
from forecasting.findings import Finding, FindingKind
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.names import PRICES, Role

__all__ = ["WEEK", "Decided", "ReadOptions", "Report", "Table", "Verdict", "error_at", "is_rare", "joined", "where"]

_LINES = 1 << 40  # more lines than a file has
WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MANY, _RARE = 100, 0.01
_SPANS = 6


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What to read: rows up to a day (counted from 1970-01-01), these tickers, and what is declared of the files."""

    last_day: int | None = None
    tickers: frozenset[str] | None = None
    format: PriceFormat = field(default_factory=PriceFormat)


@dataclass(frozen=True, slots=True)
class Decided:
    """How a file was read: a format that declares it, columns not read, the dates' form, and if clocks were dropped."""

    format: PriceFormat
    ignored: tuple[str, ...]
    dates: str
    clock: bool


@dataclass
class Report:
    """What there is to say about a file: findings, and the first reason against each ticker of it."""

    file: str
    findings: list[Finding] = field(default_factory=list)
    refused: dict[str | None, InputError] = field(default_factory=dict)

    def add(self, kind: FindingKind, message: str, ticker: str = "", rows: int = 0) -> None:
        """Note a finding; ``rows`` were set aside for it."""
        self.findings.append(Finding(ticker, kind, message, rows))

    def refuse(self, ticker: str | None, error: InputError) -> None:
        """Note why a ticker cannot be read; None when it is not known which."""
        self.refused.setdefault(ticker, error)


@dataclass(frozen=True)
class Table:
    """Rows of numbers: tickers (by their ``codes``), days since 1970-01-01, and prices, NaN where a file has none.

    ``places`` are the rows' places among those of the file, ``lines`` their numbers in it; of several ``files``, the
    place of the file times ``_LINES`` is added. ``names`` are the columns' names, by role. Of the dates it says whether
    the order of day and month had to be decided (``numeric_dates``), why they may be of other days than they seem
    (``unsure``), and on which ``weekdays`` (``Mon``) the market is declared to trade.
    """

    tickers: Sequence[str]
    codes: IntArray
    days: IntArray
    places: IntArray
    lines: IntArray
    prices: Mapping[Role, Array]
    names: Mapping[str, str]
    files: Sequence[str]
    numeric_dates: bool = False
    unsure: str = ""
    weekdays: Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: IntArray | BoolArray) -> Table:
        """Keep only these rows, in this order."""
        prices = {role: array[rows] for role, array in self.prices.items()}
        codes, days, places, lines = (array[rows] for array in (self.codes, self.days, self.places, self.lines))
        return replace(self, codes=codes, days=days, places=places, lines=lines, prices=prices)

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


def joined(tables: Sequence[Table]) -> Table | None:
    """Join the tables of single days, each of a file; None when no ticker has more than one of them."""
    names = sorted({table.tickers[code] for table in tables for code in np.unique(table.codes)})
    if len(names) == sum(len(np.unique(table.codes)) for table in tables):
        return None
    codes = [np.searchsorted(names, table.tickers)[table.codes] for table in tables]
    prices = {role: np.concatenate([table.prices[role] for table in tables]) for role in PRICES}
    days = np.concatenate([table.days for table in tables])
    lines = np.concatenate([at * _LINES + table.lines for at, table in enumerate(tables)])
    whole = replace(tables[0], tickers=names, codes=np.concatenate(codes), days=days, lines=lines, prices=prices)
    by_day = np.argsort(np.argsort(days, kind="stable"))
    return replace(whole, places=by_day, files=[table.files[0] for table in tables])


What = str | Callable[[int], str]
"""A message in which ``{day}``, ``{value}`` and the roles are replaced by the first row's, or a function of the row."""


@dataclass
class Verdict:
    """The rows that are left, and the report on the others."""

    table: Table
    report: Report

    @property
    def prices(self) -> Mapping[Role, Array]:
        """The prices of the rows that are left."""
        return self.table.prices

    def refuse(self, rows: BoolArray, what: What, column: str | None = None, setting: str | None = None) -> None:
        """Refuse each ticker that marked rows belong to, and take all rows of these out."""
        table, name = self.table, self.table.names.get(column, column) if column else None
        for ticker, lines, said in self._by_ticker(rows, what, column):
            self.report.refuse(ticker, error_at(lines, table.files, said, name, setting))
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
        for ticker, lines, said in self._by_ticker(rows, what, column):
            self.report.add("warning", self._place(lines, column) + said, ticker)

    def set_aside(self, rows: BoolArray, what: What, column: str | None = None) -> None:
        """Leave the marked rows out, and report it of each ticker they belong to."""
        for ticker, lines, said in self._by_ticker(rows, what, column):
            self.report.add("set_aside", f"{self._place(lines, column)}{said}, set aside", ticker, len(lines))
        if rows.any():
            self.table = self.table.take(~rows)

    def take_as_missing(self, rows: BoolArray, what: What, role: Role) -> None:
        """Take the marked rows' values of a column for missing, and report it."""
        if rows.any():
            self.warn(rows, what, role)
            prices = {**self.table.prices, role: np.where(rows, np.nan, self.table.prices[role])}
            self.table = replace(self.table, prices=prices)

    def _place(self, lines: Sequence[int], column: str | None) -> str:
        name = f"column {self.table.names.get(column, column)}, " if column else ""
        return f"{name}{where(lines, self.table.files)}: "

    def _by_ticker(self, rows: BoolArray, what: What, column: str | None) -> Iterator[tuple[str, list[int], str]]:
        """Group the marked rows: each ticker, its rows' lines, and the message that the first of them makes."""
        found = np.flatnonzero(rows)
        codes, lines = self.table.codes[found], self.table.lines[found]
        order = np.lexsort((lines, codes))
        for part in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(found) else ():
            said = self._filled(what, int(found[part[0]]), column) if isinstance(what, str) else what(found[part[0]])
            yield self.table.tickers[codes[part[0]]], lines[part].tolist(), said

    def _filled(self, what: str, row: int, column: str | None) -> str:
        values: dict[str, str] = {role: f"{values[row]:.10g}" for role, values in self.table.prices.items()}
        day = int(self.table.days[row])
        named = f"{np.datetime64(day, 'D')} (a {WEEK[(day + 3) % 7]})"
        return what.format(day=named, value=values.get(column or ""), **values)


def is_rare(count: IntArray | int, rows: IntArray | float) -> BoolArray:
    """Whether ``count`` slips among ``rows`` rows are few in a long history, and may be set aside."""
    return (np.asarray(count) > 0) & (np.asarray(count) <= _RARE * rows) & (np.asarray(rows) >= _MANY)


def _spans(lines: Sequence[int]) -> str:
    """Write line numbers shortly: ``3, 7-9, 14``; after a few groups, how many more lines there are."""
    numbers = np.unique(lines)
    groups = np.split(numbers, np.flatnonzero(np.diff(numbers) > 1) + 1)
    shown = ", ".join(f"{one[0]}-{one[-1]}" if len(one) > 1 else str(one[0]) for one in groups[:_SPANS])
    rest = sum(map(len, groups[_SPANS:]))
    return f"{shown} and {rest} more" if rest else shown


def where(lines: Sequence[int], files: Sequence[str]) -> str:
    """Write ``line 7`` or ``lines 7-9, 14``; of several files, the first line and how many more rows there are."""
    if len(files) > 1:
        more = f" and {len(lines) - 1} more rows" if len(lines) > 1 else ""
        return f"{files[lines[0] // _LINES]}, line {lines[0] % _LINES}{more}"
    return f"line {lines[0]}" if len(lines) == 1 else f"lines {_spans(lines)}"


def error_at(
    lines: Sequence[int], files: Sequence[str], what: str, column: str | None = None, setting: str | None = None
) -> InputError:
    """Give an error with its first line, and the others in its message."""
    if len(lines) > 1:
        what += f" (lines {_spans(lines)})" if len(files) == 1 else f" (and {len(lines) - 1} more rows)"
    file, line = divmod(int(lines[0]), _LINES)
    return InputError(what, file=files[file], line=line, column=column, setting=setting)
