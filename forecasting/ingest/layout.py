"""How a file is laid out: its delimiter, where its header stands, and which column holds what."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.header import DELIMITERS, Block, Header, ticker_row
from forecasting.ingest.names import REQUIRED, normalise, rank
from forecasting.ingest.text import Text

__all__ = ["MERGE_MARKERS", "Block", "Layout", "find_layout", "split_line"]

MERGE_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
"""What a line begins with where two versions of a file were never brought together."""

_PREAMBLE = 30
"""A header is looked for in so many first lines; titles and notes before it are left out and told."""
_EASTERN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
"""Japanese, Chinese and Korean."""
_UNNAMED = frozenset({"", "index", "unnamed 0"})
"""What the first column is called when it is a data frame's index."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things stand in a file.

    Attributes
    ----------
    delimiter
        What separates fields.
    header
        The names as the file spells them.
    line
        The header's line, from 1.
    start
        The byte at which the first row of data begins.
    date, ticker
        Their columns; ``ticker`` is None when the file has no such column.
    loose_date
        The date's column was found by its place (first, unnamed), not by its name.
    blocks
        The price columns; several only in files that put tickers side by side.
    width
        Fields up to the last that has a name.
    findings
        What was left out before the header, or for being unclear.
    """

    delimiter: str
    header: tuple[str, ...]
    line: int
    start: int
    date: int
    ticker: int | None
    loose_date: bool
    blocks: tuple[Block, ...]
    width: int
    findings: tuple[Finding, ...] = ()

    @property
    def plain_points(self) -> bool:
        """Whether a file of plain commas is written with decimal points: in a language whose countries do."""
        columns = self.blocks[0].columns
        english = all(role in self.header[columns[role]].casefold() for role in ("open", "high", "low"))
        return english or any(_EASTERN.search(name) for name in self.header)

    @property
    def usual_marks(self) -> str:
        """The marks that can be read in one way only where the header's language is spoken.

        A point is the decimal mark in English; so it is in Japan, China and Korea, and a comma is between thousands
        there. A semicolon is the list separator of those who write decimal commas.
        """
        if self.delimiter == ";" or not self.plain_points:
            return ""
        return ".," if any(_EASTERN.search(name) for name in self.header) else "."

    def name(self, column: int) -> str:
        """Write a column's name in a message."""
        return self.header[column].strip() or f"number {column + 1} (no name)"


class _Line(NamedTuple):
    """A line of the file's beginning; ``end`` is the byte after it."""

    number: int
    text: str
    end: int


def split_line(line: str, delimiter: str) -> list[str] | None:
    """Split a line into its fields, without the blanks around them; None when a quotation mark is not closed."""
    if '"' not in line:
        fields = line.split(delimiter)
        return fields if " " not in line and line.isprintable() else [field.strip() for field in fields]
    mark = f'"{delimiter}"'
    if line[0] == line[-1] == '"' and line.count('"') == 2 * line.count(mark) + 2:
        return [field.strip() for field in line[1:-1].split(mark)]
    try:
        fields = next(csv.reader((line.strip(" "),), delimiter=delimiter, skipinitialspace=True, strict=True), [])
    except csv.Error:
        return None
    return [field.strip() for field in fields]


def find_layout(text: Text) -> Layout:
    """Find the header and what its columns are.

    Raises
    ------
    InputError
        When no line can be the header, a needed column is missing, or two columns could be the same thing.
    """
    lines = list(_head(text))
    delimiters: Sequence[str] = DELIMITERS
    first = lines[0].text.strip().casefold()
    if first.startswith("sep=") and len(first) == len("sep=") + 1:
        delimiters = (first[-1],)
        lines = lines[1:]
    for place, line in enumerate(lines):
        for delimiter in delimiters:
            cells = split_line(line.text, delimiter)
            if cells is not None and len(cells) >= len(REQUIRED):
                layout = _read_header(text, lines, place, cells, delimiter)
                if layout is not None:
                    return layout
    raise _no_header(text, lines, delimiters)


def _head(text: Text) -> Iterator[_Line]:
    start = number = found = 0
    while start < len(text.data) and found < _PREAMBLE:
        end = text.data.find(b"\n", start)
        end = len(text.data) if end < 0 else end + 1
        number += 1
        line = text.data[start:end].decode().rstrip("\n")
        if line.startswith(MERGE_MARKERS):
            raise InputError("a merge conflict's marker", file=text.file, line=number)
        if line.strip():
            found += 1
            yield _Line(number, line, end)
        start = end


def _read_header(text: Text, lines: Sequence[_Line], place: int, cells: list[str], delimiter: str) -> Layout | None:
    """Give the layout, if this line is a header and its columns suffice; None when it is no header."""
    line = lines[place]
    under = [split_line(one.text, delimiter) or [] for one in lines[place + 1 : place + 3]]
    above = (split_line(lines[place - 1].text, delimiter) or []) if place else []
    tickers, below = ticker_row(cells, above, under[0] if under else []) or (None, False)
    header = Header(cells, text.file, line.number)
    blocks = header.blocks(tickers)
    if not blocks:
        return None
    header.refuse_split_again(delimiter)
    # Under the header there may be a row of tickers, and one that only names the index.
    names = int(below)
    index_name = under[names] if len(under) > names else []
    if index_name and rank("date", index_name[0]) is not None and not any(index_name[1:]):
        names += 1
    taken = {column for block in blocks for column in block.columns.values()}
    date = header.pick("date", taken)
    ticker = header.pick("ticker", taken if date is None else taken | {date})
    by_place = names > int(below) or normalise(cells[0]) in _UNNAMED
    loose = date is None and by_place and ticker != 0 and 0 not in taken
    if loose:
        date = 0
    if date is None:
        found = ", ".join(cell for cell in cells if cell)
        raise InputError(f"Date is missing (found {found})", file=text.file, line=line.number)
    preamble = lines[: place - 1] if tickers and not below else lines[:place]
    return Layout(
        delimiter=delimiter,
        header=tuple(cells),
        line=line.number,
        start=lines[place + names].end,
        date=date,
        ticker=ticker,
        loose_date=loose,
        blocks=tuple(blocks),
        width=max(index for index, cell in enumerate(cells) if cell or index == date) + 1,
        findings=(*_told_preamble(preamble), *header.findings),
    )


def _told_preamble(lines: Sequence[_Line]) -> tuple[Finding, ...]:
    if not lines:
        return ()
    where = f"line {lines[0].number}" if len(lines) == 1 else f"lines {lines[0].number}-{lines[-1].number}"
    return (Finding("", "set_aside", f"{where}: text before the header was left out"),)


def _no_header(text: Text, lines: Sequence[_Line], delimiters: Sequence[str]) -> InputError:
    """Say what is missing on the line that looks most like a header, or that there is no header at all."""
    best, hits = (lines[0], list[str]()) if lines else (_Line(1, "", 0), list[str]()), 0
    for line in lines:
        for delimiter in delimiters:
            cells = split_line(line.text, delimiter) or []
            named = sum(any(rank(role, cell) is not None for cell in cells) for role in REQUIRED)
            if named > hits and len(cells) > 1:
                best, hits = (line, cells), named
    line, cells = best
    if not hits:
        shown = line.text if len(line.text) <= 60 else line.text[:57] + "..."
        what = f"no header: expected names such as Date, Open, High, Low, found {shown!r}"
        return InputError(what, file=text.file, line=line.number)
    missing = [role.capitalize() for role in REQUIRED if not any(rank(role, cell) is not None for cell in cells)]
    found = ", ".join(cell for cell in cells if cell)
    columns = " and ".join([", ".join(missing[:-1]), missing[-1]]) if len(missing) > 1 else "".join(missing)
    what = f"{columns} {'are' if len(missing) > 1 else 'is'} missing" if missing else "not every ticker has all columns"
    return InputError(f"{what} (found {found})", file=text.file, line=line.number)
