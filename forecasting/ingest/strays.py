"""Lines that are not rows of prices: text around the table is left out, rare broken rows are set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from forecasting.arrays import BoolArray, IntArray
from forecasting.findings import Finding
from forecasting.ingest.dates import NO_DATE, DateColumn, UndecidedDatesError, read_dates
from forecasting.ingest.misfits import is_note, left_out, shown
from forecasting.ingest.rows import Rows
from forecasting.ingest.table import Options, Problem, ReadFile, is_rare, where

__all__ = ["Owners", "add_broken", "add_undated"]

_SUMMARIES = frozenset({"average", "avg", "mean", "median", "total", "sum", "count", "max", "min", "std"})


class Owners(NamedTuple):
    """Whose the rows are: the names, each row's index into them, and the column that says so (None: the file's)."""

    tickers: Sequence[str]
    codes: IntArray
    column: int | None

    def rows_of(self, ticker: str | None) -> float:
        """Count a ticker's rows; those of a usual one where it is not known whose a line is."""
        if ticker is None:
            return len(self.codes) / len(self.tickers)
        return float((self.codes == self.tickers.index(ticker)).sum())


def add_broken(rows: Rows, owners: Owners, dates: DateColumn, options: Options, result: ReadFile) -> None:
    """Rows that are not whole: set aside where they are rare, else a problem of the ticker, or of the file."""
    concerned: dict[str | None, list[Problem]] = {}
    for line, cells, what in rows.broken:
        day = _day_of(cells[rows.layout.date], dates, options) if len(cells) > rows.layout.date else NO_DATE
        if options.last_day is not None and day > options.last_day:
            continue
        owner = cells[owners.column] if owners.column is not None and len(cells) > owners.column else None
        if owner is not None and options.tickers is not None and owner not in options.tickers:
            continue
        owner = owner if owner in owners.tickers else None
        concerned.setdefault(owner, []).append(Problem(what, [line], ticker=owner))
    for owner, problems in concerned.items():
        if is_rare(len(problems), owners.rows_of(owner)) and not any("merge" in one.what for one in problems):
            lines = [problem.lines[0] for problem in problems]
            message = f"{where(lines)}: {problems[0].what}, set aside"
            result.findings.append(Finding(owner or "", "set_aside", message, len(lines)))
        else:
            result.problems += problems


def _day_of(text: str, dates: DateColumn, options: Options) -> int:
    """Read one more date, in the column's order."""
    format_ = options.format.model_copy(update={"date_order": dates.order or options.format.date_order})
    try:
        return int(read_dates([text.strip()], lambda: np.zeros(1, dtype=np.int64), format_).days[0])
    except UndecidedDatesError:
        return NO_DATE


def add_undated(rows: Rows, owners: Owners, dates: DateColumn, undated: BoolArray, result: ReadFile) -> BoolArray:
    """Find empty rows, and text below the table, which is left out; other rows without a date are a problem."""
    layout = rows.layout
    texts, codes = rows.distinct(layout.date)
    out = np.zeros(len(undated), dtype=np.bool_)
    notes = out.copy()
    dated = np.flatnonzero(dates.days[codes] != NO_DATE)
    for at in np.flatnonzero(undated).tolist():
        cells = rows.row(at)
        out[at] = not any(cells)
        if any(cells) and len(dated) and at > dated[-1]:
            opened = cells[layout.blocks[0].columns["open"]]
            summary = any(cell.casefold().strip(" :") in _SUMMARIES for cell in (texts[codes[at]], cells[0]))
            notes[at] = summary or (is_note(cells, layout) and not any(c.isdigit() for c in opened))
    if notes.any():
        result.findings.append(left_out(rows.lines[notes].tolist()))
    wrong = undated & ~notes & ~out
    for code in np.unique(owners.codes[wrong]):
        own = np.flatnonzero(wrong & (owners.codes == code))
        cells = rows.row(int(own[0]))
        what = dates.why[int(codes[own[0]])] if texts[codes[own[0]]] else "the date is missing"
        if "\n".join(cells[: layout.width]).casefold() == "\n".join(layout.header[: layout.width]).casefold():
            what = "the header again (two files in one?)"
        elif is_note(cells, layout):
            what = f'"{shown(cells)}" is not a row of prices'
        owner = owners.tickers[code] if owners.column is not None else None
        result.problems.append(Problem(what, rows.lines[own].tolist(), layout.name(layout.date), owner))
    return out | notes
