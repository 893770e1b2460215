"""The prices of one block of columns: cells that are no number, and rows without a price, are told or refused."""

from __future__ import annotations

from functools import cache

import numpy as np

from forecasting.findings import Finding
from forecasting.ingest.careful import Rows, Unreadable
from forecasting.ingest.fast import Plain
from forecasting.ingest.layout import Block, Layout
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.numbers import Decimal
from forecasting.ingest.table import IntArray, Problem, ReadFile, Table, where

__all__ = ["read_block"]

_NEEDED: tuple[Role, ...] = ("open", "high", "low")


def read_block(
    source: Plain | Rows,
    layout: Layout,
    block: Block,
    rows: IntArray,
    *,
    days: IntArray,
    decimal: Decimal,
    numeric_dates: bool,
    result: ReadFile,
) -> Table:
    """Read the prices of one block of columns; what is wrong with them is added to the result.

    Parameters
    ----------
    source, layout, block
        The file's rows, and where its prices stand.
    rows, days
        Which rows are wanted, and their dates.
    decimal
        The decimal mark.
    numeric_dates
        Whether day and month are numbers whose order had to be decided.
    result
        What was read so far.

    Returns
    -------
    Table
        The rows that have prices.
    """
    tickers, codes = source.tickers, source.ticker_codes[rows]
    if block.ticker is not None and layout.ticker is None:
        tickers, codes = [block.ticker], np.zeros(len(rows), dtype=np.int64)
    unreadable: list[Unreadable] = []
    if isinstance(source, Plain):
        whole = len(rows) == len(source.date_codes)
        prices = {role: array if whole else array[rows] for role, array in source.prices.items()}
    else:
        prices, unreadable = source.prices(rows, block, decimal)
    nothing = np.full(len(rows), np.nan)
    names: dict[Role, str] = {"date": layout.name(layout.date)}
    names |= {role: layout.name(at) for role, at in block.columns.items()}
    table = Table(
        tickers=tickers,
        codes=codes,
        days=days,
        prices={role: prices.get(role, nothing) for role in PRICES},
        lines=cache(lambda: source.lines()[rows]),
        names=names,
        numeric_dates=numeric_dates,
    )
    _add_unreadable(table, unreadable, result)
    return _without_empty(table, unreadable, result)


def _add_unreadable(table: Table, unreadable: list[Unreadable], result: ReadFile) -> None:
    """Cells that are no number: a problem among Open, High and Low, a warning elsewhere."""
    cells: dict[tuple[int, Role], list[tuple[int, str]]] = {}
    for role, row, text in unreadable:
        cells.setdefault((int(table.codes[row]), role), []).append((row, text))
    for (code, role), found in cells.items():
        lines = table.lines()[[row for row, _ in found]].tolist()
        what = f'"{_shown(found[0][1])}" is no number'
        if role in _NEEDED:
            result.problems.append(Problem(what, lines, table.names[role], table.tickers[code]))
        else:
            message = f"column {table.names[role]}, {where(lines)}: {what}, taken as missing"
            result.findings.append(Finding(table.tickers[code], "warning", message))


def _without_empty(table: Table, unreadable: list[Unreadable], result: ReadFile) -> Table:
    """Leave out rows without any price; a row with some of its prices is a problem."""
    absent = np.stack([np.isnan(table.prices[role]) for role in _NEEDED])
    if not absent.any():
        return table
    missing = absent.copy()
    for role, row, _ in unreadable:
        if role in _NEEDED:
            missing[_NEEDED.index(role), row] = False
    empty = np.asarray(missing.all(axis=0))
    partly = missing.any(axis=0) & ~empty
    for code in np.unique(table.codes[partly]):
        rows = np.flatnonzero(partly & (table.codes == code))
        role = _NEEDED[int(missing[:, rows[0]].argmax())]
        what = "the price is missing while others of the row are there"
        result.problems.append(Problem(what, table.lines()[rows].tolist(), table.names[role], table.tickers[code]))
    for code in np.unique(table.codes[empty]):
        own = table.codes == code
        lines = table.lines()[empty & own].tolist()
        if empty[own].all():
            result.problems.append(Problem("no row has prices", lines, table.names["open"], table.tickers[code]))
        else:
            message = f"{where(lines)}: no prices, set aside"
            result.findings.append(Finding(table.tickers[code], "set_aside", message, len(lines)))
    return table.take(np.flatnonzero(~absent.any(axis=0)))


def _shown(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
