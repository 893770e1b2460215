"""What the columns that nobody reads say about whose the rows are: two instruments under one ticker, say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from forecasting.arrays import BoolArray, IntArray
from forecasting.findings import Finding
from forecasting.ingest.names import normalise
from forecasting.ingest.rows import Rows
from forecasting.ingest.table import Problem, ReadFile, Table

__all__ = ["misplaced_ticker", "report_instruments", "separating_column"]

_IDENTIFIERS = frozenset({
    "permno", "permco", "isin", "cusip", "ncusip", "sedol", "figi", "gvkey", "conid", "wkn", "valor", "instrument",
    "security", "instrumentid", "securityid",
})  # fmt: skip
_CALENDAR = frozenset({
    "year", "month", "quarter", "week", "day", "weekday", "season", "yearmonth", "dayofweek", "fiscalyear", "fy",
})  # fmt: skip
_FEWEST = 5
"""Rows that a value holds on for, at least, where a column changes in blocks."""
_MOST = 20
"""Blocks of one ticker, at most; a column that changes more often is a measure or a flag."""
_AGREE = 0.9


def misplaced_ticker(codes: IntArray, days: IntArray) -> bool:
    """Whether a ticker column has another value in nearly every row, each on its own day: then it is not a ticker."""
    count = len(codes)
    return count >= _FEWEST and len(np.unique(codes)) > _AGREE * count and len(np.unique(days)) > count / 2


def separating_column(rows: Rows, unread: Sequence[int], kept: IntArray, days: IntArray) -> int | None:
    """Find the one column of words under which each day has one row of each; None when every day has one row anyway.

    Of two such columns that say the same (a company and its number), the first; of two that do not, none.
    """
    if len(np.unique(days)) == len(days):
        return None
    found: list[tuple[int, IntArray]] = []
    for column in unread:
        codes = rows.codes(column)[1][kept]
        counts = np.bincount(codes)
        counts = counts[counts > 0]
        if not 2 <= len(counts) <= len(days) / 2 or counts.min() < 2:
            continue
        if len(_pairs(codes, days)) == len(days) and _is_words(rows.distinct(column)[0]):
            found.append((column, codes))
    if not found or any(len(_pairs(codes, found[0][1])) != len(np.unique(codes)) for _, codes in found):
        return None
    return found[0][0]


def report_instruments(table: Table, rows: Rows, kept: IntArray, *, unread: Sequence[int], result: ReadFile) -> Table:
    """Refuse tickers under which there are two instruments, and take a turnover for what it is.

    Parameters
    ----------
    table
        The rows read.
    rows, kept
        The file's rows, and which of them are the table's.
    unread
        The columns that are neither prices nor date nor ticker.
    result
        What is wrong, or to be reported, is added to it.

    Returns
    -------
    Table
        The table, its volume taken as missing where it is a turnover.
    """
    if not unread:
        return table
    layout = rows.layout
    order = np.lexsort((table.days, table.codes))
    codes, days = table.codes[order], table.days[order]
    same = codes[1:] == codes[:-1]
    again = same & (days[1:] == days[:-1])
    for column in unread:
        count, values = rows.codes(column)
        if count < 2:
            continue
        own, name = values[kept][order], layout.name(column)
        changes = same & (own[1:] != own[:-1])
        if again.any() and not (again & ~changes).any() and count <= len(codes) / 2:
            at = order[np.flatnonzero(again)[0] + 1]
            what = f"a day has several rows, which column {name} distinguishes: it names the instrument"
            setting = f'set ticker = "{layout.header[column].strip()}" under [columns] in a format file'
            lines = [int(table.lines()[at])]
            result.problems.append(Problem(what, lines, name, table.tickers[table.codes[at]], setting))
        elif count <= _MOST * len(table.tickers):
            blocks = _Column(name, rows.distinct(column)[0], own, changes)
            _report_blocks(table, order, blocks, result)
    return _without_turnover(table, rows, kept, unread=unread, result=result)


class _Column(NamedTuple):
    """A column nobody reads, its rows by ticker and date: its distinct texts, their codes, and where they change."""

    name: str
    values: Sequence[str]
    codes: IntArray
    changes: BoolArray


def _report_blocks(table: Table, order: IntArray, column: _Column, result: ReadFile) -> None:
    """Report a column that holds on to one value and then to another, within one ticker."""
    name, values, own, changes = column
    word = normalise(name).replace(" ", "")
    named = word in _IDENTIFIERS
    if word in _CALENDAR or not (named or _is_words(values)):
        return
    for code in np.unique(table.codes[order][1:][changes]):
        rows = np.flatnonzero(table.codes[order] == code)
        starts = rows[1:][own[rows][1:] != own[rows][:-1]]
        lengths = np.diff([rows[0], *starts, rows[-1] + 1])
        if len(starts) >= _MOST or lengths.min() < _FEWEST or len(np.unique(own[rows])) != len(starts) + 1:
            continue
        line = int(table.lines()[order[starts[0]]])
        what = f'changes from "{values[own[starts[0] - 1]]}" to "{values[own[starts[0]]]}"'
        what += ": two instruments under one ticker?"
        if named:
            setting = f'set ticker = "{name}" under [columns], or ignore = ["{name}"], in a format file'
            result.problems.append(Problem(what, [line], name, table.tickers[code], setting))
        else:
            result.findings.append(Finding(table.tickers[code], "warning", f"column {name}, line {line}: {what}"))


def _without_turnover(table: Table, rows: Rows, kept: IntArray, *, unread: Sequence[int], result: ReadFile) -> Table:
    """Take the volume as missing where it is the money that changed hands: another column times the price."""
    volume, low, high = (table.prices[role] for role in ("volume", "low", "high"))
    traded = volume > 0
    if np.count_nonzero(traded) < _FEWEST:
        return table
    for column in unread:
        try:
            shares = rows.cells(column, kept).cast(pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            continue
        known = traded & (shares > 0)
        price = np.divide(volume, shares, out=np.full(len(volume), np.nan), where=known)
        fits = known & (price >= low * _AGREE) & (price <= high / _AGREE)
        if fits.sum() >= max(_FEWEST, _AGREE * traded.sum()) and np.median(np.abs(price[fits] - 1)) > 1 - _AGREE:
            what = f"column {table.names['volume']} is a turnover, column {rows.layout.name(column)} times the price"
            result.findings.append(Finding("", "warning", f"{what}; the volume is taken as missing"))
            return replace(table, prices={**table.prices, "volume": np.full(len(volume), np.nan)})
    return table


def _pairs(one: IntArray, other: IntArray) -> IntArray:
    """Give the distinct pairs of two columns."""
    other = np.unique(other, return_inverse=True)[1]
    pairs: IntArray = np.unique(one * (int(other.max(initial=0)) + 1) + other)
    return pairs


def _is_words(texts: Sequence[str]) -> bool:
    """Whether texts are names of something: letters in each."""
    return all(any(c.isalpha() for c in text) for text in texts if text) and any(texts)
