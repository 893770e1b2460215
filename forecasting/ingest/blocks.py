"""The prices of one block of columns: cells that are not a number and rows without a price are reported or refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.findings import Finding
from forecasting.ingest.instruments import report_instruments
from forecasting.ingest.layout import Block
from forecasting.ingest.misfits import is_event
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.numbers import Decimal, read_numbers, read_volumes
from forecasting.ingest.rows import Rows
from forecasting.ingest.table import Problem, ReadFile, Table, is_rare, where

__all__ = ["BlockReader"]

_NEEDED: tuple[Role, ...] = ("open", "high", "low")
_LONGEST = 40


@dataclass(frozen=True)
class BlockReader:
    """Reads the prices of a block of columns.

    Attributes
    ----------
    rows, kept
        The file's rows, and which of them are wanted.
    decimal, factor
        The decimal mark, and what prices are multiplied by.
    unread
        The columns that are neither prices nor date nor ticker.
    result
        What is wrong, or to be reported, is added to it.
    """

    rows: Rows
    kept: IntArray
    decimal: Decimal
    factor: float
    unread: Sequence[int]
    result: ReadFile

    def read(self, block: Block, table: Table) -> Table:
        """Give the rows that have prices; ``table`` has their tickers and days."""
        prices: dict[Role, Array] = dict.fromkeys(PRICES, np.full(len(self.kept), np.nan))
        bad: dict[Role, BoolArray] = {}
        for role, column in block.columns.items():
            read = read_volumes if role == "volume" else read_numbers
            prices[role], bad[role] = read(self.rows.cells(column, self.kept), self.decimal)
            if bad[role].any():
                found = self.kept[bad[role]].tolist()
                bad[role][bad[role]] = [not is_event(self.rows.row(at), self.rows.layout) for at in found]
            if role != "volume" and self.factor != 1:
                prices[role] = prices[role] * self.factor
        names = {role: self.rows.layout.name(column) for role, column in block.columns.items()}
        table = replace(table, prices=prices, names={**table.names, **names})
        self._add_rivals(table)
        self._add_unreadable(table, bad, block)
        table = report_instruments(table, self.rows, self.kept, unread=self.unread, result=self.result)
        return self._without_empty(table, bad)

    def _add_rivals(self, table: Table) -> None:
        """Two columns that could be the same price, and differ, refuse the file."""
        layout = self.rows.layout
        for role in _NEEDED:
            for rival in layout.rivals.get(role, ()) if len(layout.blocks) == 1 else ():
                values, bad = read_numbers(self.rows.cells(rival, self.kept), self.decimal)
                differ = ~bad & np.isfinite(values) & (values > 0) & (values * self.factor != table.prices[role])
                if differ.any():
                    name = table.names[role]
                    what = f"columns {name} and {layout.name(rival)} could both be {role.capitalize()}, and differ"
                    setting = f"set columns.{role} in a format file"
                    lines = table.lines()[differ].tolist()
                    self.result.problems.append(Problem(what, lines, name, setting=setting))

    def _add_unreadable(self, table: Table, bad: Mapping[Role, BoolArray], block: Block) -> None:
        """Cells that are not a number: a problem among Open, High and Low, a warning elsewhere."""
        for role, cells in bad.items():
            for code in np.unique(table.codes[cells]):
                own = np.flatnonzero(cells & (table.codes == code))
                lines = table.lines()[own].tolist()
                text = self.rows.columns[block.columns[role]][int(self.kept[own[0]])].as_py()
                what = f'"{text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."}" is not a number'
                if role in _NEEDED:
                    self.result.problems.append(Problem(what, lines, table.names[role], table.tickers[code]))
                else:
                    message = f"column {table.names[role]}, {where(lines)}: {what}, taken as missing"
                    self.result.findings.append(Finding(table.tickers[code], "warning", message))

    def _without_empty(self, table: Table, bad: Mapping[Role, BoolArray]) -> Table:
        """Leave out rows without any price, and rare ones with part of them; where they are not rare, refuse."""
        absent = np.stack([np.isnan(table.prices[role]) for role in _NEEDED])
        if not absent.any():
            return table
        missing = absent & ~np.stack([bad[role] for role in _NEEDED])
        empty = np.asarray(missing.all(axis=0))
        partly = missing.any(axis=0) & ~empty
        for code in np.unique(table.codes[partly | empty]):
            own, ticker = table.codes == code, table.tickers[code]
            none, part = (table.lines()[rows & own].tolist() for rows in (empty, partly))
            if empty[own].all():
                self.result.problems.append(Problem("no row has prices", none, table.names["open"], ticker))
            elif none:
                self._set_aside(ticker, none, "no prices")
            if is_rare(len(part), float(own.sum())):
                self._set_aside(ticker, part, "part of the prices is missing")
            elif part:
                role = _NEEDED[int(missing[:, np.flatnonzero(partly & own)[0]].argmax())]
                what = "the price is missing while others of the row are there"
                self.result.problems.append(Problem(what, part, table.names[role], ticker))
        return table.take(np.flatnonzero(~absent.any(axis=0)))

    def _set_aside(self, ticker: str, lines: list[int], what: str) -> None:
        message = f"{where(lines)}: {what}, set aside"
        self.result.findings.append(Finding(ticker, "set_aside", message, len(lines)))
