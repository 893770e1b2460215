"""How a file is laid out: its delimiter, where its header is, and which column holds what."""

from __future__ import annotations

import csv
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.header import DELIMITERS, Block, Header, is_units_row, ticker_row
from forecasting.ingest.names import REQUIRED, Role, normalise, rank
from forecasting.ingest.stamps import read_stamp
from forecasting.ingest.table import where
from forecasting.ingest.text import Text

__all__ = ["MERGE_MARKERS", "Block", "Layout", "find_layout", "split_line"]

MERGE_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")
"""What a line begins with where two versions of a file were never brought together."""

_PREAMBLE = 30
"""A header is looked for in so many first lines; titles and notes before it are left out and reported."""
_EASTERN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")
"""Japanese, Chinese and Korean."""
_OTHER_DATES = frozenset(
    "expiry expiration settlement ex listing ipo update updated delivery maturity payment report previous prev".split()  # noqa: SIM905
)
"""What the date of something else than the session is called."""
_PLAIN = frozenset({"ymd", "numeric", "named", "compact"})
_UNNAMED = frozenset({"", "index", "unnamed 0"})
"""What the first column is called when it is a data frame's index."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are in a file.

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
    rivals
        Other columns that could be a role's, by role.
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
    findings: tuple[Finding, ...]
    rivals: Mapping[Role, Sequence[int]]

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
    """A line of the file's beginning, from byte ``start`` to before byte ``end``."""

    number: int
    text: str
    start: int
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


def find_layout(text: Text, format_: PriceFormat) -> Layout:
    """Find the header and what its columns are.

    Raises
    ------
    InputError
        When no line can be the header, a needed column is missing, or two columns could be the same thing.
    """
    lines = [line for line in _head(text, format_.skip_lines) if line.number > format_.skip_lines]
    if not lines:
        raise InputError("no rows of data", file=text.file)
    delimiters: Sequence[str] = DELIMITERS if format_.delimiter is None else (format_.delimiter,)
    first = lines[0].text.strip().casefold()
    if first.startswith("sep=") and len(first) == len("sep=") + 1:
        delimiters = (first[-1],)
        lines = lines[1:]
    if format_.header is not None:
        return _declared_header(text, lines, format_, delimiters)
    for place, line in enumerate(lines):
        for delimiter in delimiters:
            cells = split_line(line.text, delimiter)
            if cells is not None and len(cells) >= len(REQUIRED):
                layout = _read_header(text, lines, place, cells, delimiter, format_)
                if layout is not None:
                    return layout
    raise _no_header(text, lines, delimiters)


def _declared_header(text: Text, lines: Sequence[_Line], format_: PriceFormat, delimiters: Sequence[str]) -> Layout:
    """Give the layout of a file whose columns' names the format declares; a line of names there may be is a row."""
    names = list(format_.header or ())
    delimiter = max(delimiters, key=lines[0].text.count)
    above = _Line(lines[0].number - 1, "", lines[0].start, lines[0].start)
    layout = _read_header(text, [above, *lines], 0, names, delimiter, format_)
    if layout is None:
        raise InputError(f"the declared header {', '.join(names)} has no Open, High and Low", file=text.file)
    return layout


def _head(text: Text, skip: int) -> Iterator[_Line]:
    start = number = found = 0
    while start < len(text.data) and found < _PREAMBLE + skip:
        end = text.data.find(b"\n", start)
        end = len(text.data) if end < 0 else end + 1
        number += 1
        line = text.data[start:end].decode().rstrip("\n")
        if line.startswith(MERGE_MARKERS):
            raise InputError("a merge conflict's marker", file=text.file, line=number)
        if line.strip():
            found += 1
            yield _Line(number, line, start, end)
        start = end


def _read_header(  # noqa: PLR0917 - a line, and what is around it
    text: Text, lines: Sequence[_Line], place: int, cells: list[str], delimiter: str, format_: PriceFormat
) -> Layout | None:
    """Give the layout, if this line is a header and its columns suffice; None when it is not a header."""
    line = lines[place]
    under = [split_line(one.text, delimiter) or [] for one in lines[place + 1 : place + 3]]
    above = (split_line(lines[place - 1].text, delimiter) or []) if place else []
    tickers, below = ticker_row(cells, above, under[0] if under else []) or (None, False)
    header = Header(cells, text.file, line.number, format_)
    blocks = header.blocks(tickers)
    if not blocks:
        return None
    header.refuse_split_again(delimiter)
    # Under the header there may be a row of tickers, one that only names the index, and one of units.
    names = int(below)
    index_name = under[names] if len(under) > names else []
    if index_name and rank("date", index_name[0]) is not None and not any(index_name[1:]):
        names += 1
    units = len(under) > names and is_units_row(under[names], cells)
    taken = {column for block in blocks for column in block.columns.values()}
    date = header.pick("date", taken)
    ticker = header.pick("ticker", taken if date is None else taken | {date})
    by_place = names > int(below) or normalise(cells[0]) in _UNNAMED
    loose = date is None and by_place and ticker != 0 and 0 not in taken and "date" not in format_.columns
    if loose:
        date = 0
    if date is None and "date" not in format_.columns:
        date = _only_dates(cells, under[names + units :], taken)
        loose = date is not None
        if date is not None:
            what = f"column {cells[date]} is the only one of dates, and was taken for the Date"
            header.findings.append(Finding("", "warning", what))
    found = ", ".join(cell for cell in cells if cell)
    for role, name in format_.columns.items():
        if (ticker if role == "ticker" else date if role == "date" else blocks[0].columns.get(role)) is None:
            what = f"there is no column {name}, which the format declares as {role.capitalize()} (found {found})"
            raise InputError(what, file=text.file, line=line.number)
    if date is None and under and len(under[0]) == len(cells) + 1:
        what = (
            f"the rows have {len(under[0])} fields and the header {len(cells)}: is the first an index without a name?"
        )
        raise InputError(what, file=text.file, line=line.number, setting="set header and skip_lines in a format file")
    if date is None:
        setting = "set columns.date in a format file"
        raise InputError(f"Date is missing (found {found})", file=text.file, line=line.number, setting=setting)
    left_out = [*(lines[: place - 1] if tickers and not below else lines[:place])]
    left_out += [lines[place + names + 1]] if units else []
    return Layout(
        delimiter=delimiter,
        header=tuple(cells),
        line=line.number,
        start=lines[place + names + units].end,
        date=date,
        ticker=ticker,
        loose_date=loose,
        blocks=tuple(blocks),
        width=max(index for index, cell in enumerate(cells) if cell or index == date) + 1,
        findings=(*_text_above(left_out), *header.findings),
        rivals=header.rivals,
    )


def _only_dates(cells: Sequence[str], rows: Sequence[Sequence[str]], taken: Container[int]) -> int | None:
    """Find the one column whose first cells are plainly dates, and whose name does not say that they are others."""
    if not rows or any(len(row) != len(cells) for row in rows):
        return None
    stamps = {at: [read_stamp(row[at]) for row in rows] for at in range(len(cells)) if at not in taken}
    stamps = {at: own for at, own in stamps.items() if _OTHER_DATES.isdisjoint(normalise(cells[at]).split())}
    found = [at for at, own in stamps.items() if all(one and one.shape.kind in _PLAIN for one in own)]
    return found[0] if len(found) == 1 else None


def _text_above(lines: Sequence[_Line]) -> tuple[Finding, ...]:
    if not lines:
        return ()
    what = f"{where([line.number for line in lines])}: text above the rows was left out"
    return (Finding("", "set_aside", what),)


def _no_header(text: Text, lines: Sequence[_Line], delimiters: Sequence[str]) -> InputError:
    """Say what is missing on the line that looks most like a header, or that there is no header at all."""
    best, hits = (lines[0], list[str]()) if lines else (_Line(1, "", 0, 0), list[str]()), 0
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
        return InputError(what, file=text.file, line=line.number, setting="set header in a format file")
    missing = [role.capitalize() for role in REQUIRED if not any(rank(role, cell) is not None for cell in cells)]
    found = ", ".join(cell for cell in cells if cell)
    columns = " and ".join([", ".join(missing[:-1]), missing[-1]]) if len(missing) > 1 else "".join(missing)
    what = f"{columns} {'are' if len(missing) > 1 else 'is'} missing" if missing else "not every ticker has all columns"
    setting = "set columns in a format file" if len(missing) < len(REQUIRED) else None
    return InputError(f"{what} (found {found})", file=text.file, line=line.number, setting=setting)
