"""Reading a file row by row: quoted fields, any delimiter, foreign decimals, footers, and rows that are broken.

A row that cannot be read becomes a problem with its line; nothing is guessed, and nothing is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest import numbers
from forecasting.ingest.layout import MERGE_MARKERS, Block, Layout, split_line
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.numbers import Decimal
from forecasting.ingest.raw import LARGEST_QUOTED, too_large
from forecasting.ingest.shapes import read_stamp
from forecasting.ingest.table import Broken, FloatArray, IntArray, Source, where
from forecasting.ingest.text import Text
from forecasting.ingest.words import load

__all__ = ["Rows", "Unreadable", "read_rows"]

Unreadable = tuple[Role, int, str]
"""A cell that is no number: its role, row and text."""

_MOST_BROKEN = 100_000
_MOST_NOTES = 1000
"""With more rows that are none, the file is none of prices, whatever else is in it."""
_BLANKS = ' \t,;|"'
_EVENT = re.compile(
    rf"[\d.,:/ ]*\b(?:{'|'.join(map(re.escape, load('notation')['events']))})\b[:\d.,/ ]*", re.IGNORECASE
)
_TROUBLE = re.compile(
    r"error|exception|traceback|failed|failure|denied|limit|timed? ?out|unavailable|[<{}]", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Rows(Source):
    """A file's rows, as texts."""

    layout: Layout
    whole: Sequence[_Row]

    def decimal(self, rows: IntArray) -> Decimal | None:
        """Decide the decimal mark that these rows are written with; None when they may be read both ways."""
        blocks = self.layout.blocks
        priced = {block.columns[role] for block in blocks for role in block.columns if role != "volume"}
        volumes = {block.columns["volume"] for block in blocks if "volume" in block.columns}
        prices = [self._column(rows, column) for column in sorted(priced)]
        # Only the rows asked for may have a say: what comes after the last day must change nothing.
        plain = self.layout.delimiter == "," and not any(self.whole[row].quoted for row in rows.tolist())
        if plain and self.layout.plain_points:
            # As the fast way has it: a comma is no decimal mark here, and a point is one if the volumes do not object.
            if all(numbers.read_plain_numbers(cells) is not None for cells in prices):
                return "point"
            return numbers.decide(prices, [self._column(rows, column) for column in sorted(volumes)], usual=".")
        others = set(range(self.layout.width)) - priced - {self.layout.date, self.layout.ticker}
        cells = [self._column(rows, column) for column in sorted(others)]
        return numbers.decide(prices, cells, usual=self.layout.usual_marks)

    def prices(self, rows: IntArray, block: Block, decimal: Decimal) -> tuple[dict[Role, FloatArray], list[Unreadable]]:
        """Read the price columns of these rows: NaN where there is no number, and the cells that should be one."""
        values: dict[Role, FloatArray] = {}
        unreadable: list[Unreadable] = []
        for role in PRICES:
            if role not in block.columns:
                continue
            cells = self._column(rows, block.columns[role])
            plain = numbers.read_plain_numbers(cells) if decimal == "point" else None
            if plain is not None:
                values[role] = plain
                continue
            read = numbers.read_volumes if role == "volume" else numbers.read_numbers
            values[role], bad = read(cells, decimal)
            if role != "volume":
                bad |= numbers.other_currency(cells) | numbers.thirty_seconds(cells)
            unreadable += [(role, int(row), cells[row]) for row in np.flatnonzero(bad)]
        return values, unreadable

    def _column(self, rows: IntArray, column: int) -> list[str]:
        whole = self.whole
        return [whole[row].cells[column] for row in rows.tolist()]


def read_rows(text: Text, layout: Layout, ticker: str) -> Rows:
    """Split a file into rows; empty lines are nothing, text after the last row is a footer, told as left out.

    Raises
    ------
    InputError
        When the file is too large to be read row by row, or hardly any line is a row.
    """
    if len(text.data) > LARGEST_QUOTED:
        raise too_large(text.file)
    whole, broken, notes = _split(text, layout)
    _end_table(whole, broken, notes, layout.width)
    last = max([whole[-1].line if whole else 0, *(one.line for one in broken[-1:])])
    footer = [note.line for note in notes if note.line > last and not _TROUBLE.search(" ".join(note.cells))]
    broken += [note for note in notes if note.line not in footer]
    tickers, ticker_codes = [ticker], np.zeros(len(whole), dtype=np.int64)
    if layout.ticker is not None:
        tickers, ticker_codes = _distinct([row.cells[layout.ticker] for row in whole])
    dates, date_codes = _distinct([row.cells[layout.date] for row in whole])
    return Rows(
        tickers=tickers,
        ticker_codes=ticker_codes,
        dates=dates,
        date_codes=date_codes,
        lines=cache(lambda: np.array([row.line for row in whole], dtype=np.int64)),
        broken=sorted(broken),
        findings=_told_footer(footer),
        layout=layout,
        whole=whole,
    )


def _end_table(whole: Sequence[_Row], broken: list[Broken], notes: list[Broken], width: int) -> None:
    """Count what stands below the text that ends a table, another small table perhaps, as text: it holds no date."""
    last = whole[-1].line if whole else 0
    end = next((note.line for note in notes if note.line > last), None)
    if end is None:
        return
    below = [one for one in broken if one.line > end and len(one.cells) < width and not any(map(read_stamp, one.cells))]
    broken[:] = [one for one in broken if one not in below]
    notes[:] = sorted([*notes, *below])


class _Row(NamedTuple):
    """A whole row: its line, its fields, and whether there is a quotation mark in it."""

    line: int
    cells: list[str]
    quoted: bool


def _split(text: Text, layout: Layout) -> tuple[list[_Row], list[Broken], list[Broken]]:
    """Split a file into whole rows, broken ones, and lines that are mere words."""
    whole: list[_Row] = []
    broken: list[Broken] = []
    notes: list[Broken] = []
    opened = layout.blocks[0].columns["open"]
    for number, line in text.lines(layout.start):
        row = split_line(line, layout.delimiter) if line.strip(_BLANKS) else []
        if row is None:
            broken.append(Broken(number, line.split(layout.delimiter), "a quotation mark is not closed"))
        elif len(row) == layout.width and row[layout.date][:1].isdigit() and not row[opened][-1:].isalpha():
            whole.append(_Row(number, row, '"' in line))
        elif _is_event(row, layout):
            whole.append(_Row(number, _without_prices(row, layout), '"' in line))
        elif any(row):
            what, is_note = _misfit(row, layout)
            if what:
                (notes if is_note else broken).append(Broken(number, row, what))
            else:
                whole.append(_Row(number, row, '"' in line))
        if len(broken) > _MOST_BROKEN or len(notes) > _MOST_NOTES:
            what = f"{len(broken) + len(notes)} lines up to here are no rows of prices"
            raise InputError(what, file=text.file, line=number)
    return whole, broken, notes


def _misfit(row: Sequence[str], layout: Layout) -> tuple[str | None, bool]:
    """Say why a line is no row of this file, None when it is one, and whether it is mere words."""
    if row[0].startswith(MERGE_MARKERS):
        return "a merge conflict's marker", False
    if len(row) > layout.width and any(row[layout.width :]):
        return f"{len(row)} fields where the header has {layout.width}", False
    header = [cell.casefold() for cell in layout.header[: layout.width]]
    if [cell.casefold() for cell in row[: layout.width]] == header:
        return "the header again (two files in one?)", False
    if _is_note(row, layout):
        return f'"{_shown(row)}" is no row of prices', True
    if len(row) < layout.width:
        return f"{len(row)} of {layout.width} fields (file cut short?)", False
    return None, False


def _is_event(row: Sequence[str], layout: Layout) -> bool:
    """Whether a line tells, in place of a day's prices, of a dividend or a split on it (Yahoo's page)."""
    told = {cell for at, cell in enumerate(row) if cell and at not in {layout.date, layout.ticker}}
    dated = layout.date < len(row) <= layout.width and row[layout.date] != ""
    return dated and len(told) == 1 and _EVENT.fullmatch(told.pop()) is not None


def _without_prices(row: Sequence[str], layout: Layout) -> list[str]:
    kept = {layout.date, layout.ticker}
    return [row[at] if at in kept and at < len(row) else "" for at in range(layout.width)]


def _is_note(row: Sequence[str], layout: Layout) -> bool:
    """Whether a line is words only: it begins with a word, and no field of it is a date or a number."""
    first = row[0]
    return (
        len(first) >= 3
        and any(c.isalpha() for c in first)
        and not (layout.ticker is not None and len(row) >= layout.width and any(row[1:]))
        and not any(cell and (cell[0].isdigit() or cell[0] in "=+-@$" or read_stamp(cell)) for cell in row)
    )


def _told_footer(lines: list[int]) -> tuple[Finding, ...]:
    if not lines:
        return ()
    return (Finding("", "set_aside", f"{where(lines)}: text after the last row was left out", len(lines)),)


def _distinct(texts: Sequence[str]) -> tuple[list[str], IntArray]:
    places: dict[str, int] = {}
    codes = np.array([places.setdefault(text, len(places)) for text in texts], dtype=np.int64)
    return list(places), codes


def _shown(row: Sequence[str]) -> str:
    joined = " ".join(cell for cell in row if cell)
    return joined if len(joined) <= 40 else joined[:37] + "..."
