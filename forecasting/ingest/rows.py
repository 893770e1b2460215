"""The rows of a file, as texts: one pass of Arrow's reader over all columns, and a closer look at lines that misfit.

A row is a line. A line that is no row becomes a problem with its number, or is text above or below the table; nothing
is dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from forecasting.arrays import IntArray
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.layout import Layout, split_line
from forecasting.ingest.misfits import DATE, TROUBLE, left_out
from forecasting.ingest.misfits import misfit as misfit_of
from forecasting.ingest.misfits import repaired as repaired_row
from forecasting.ingest.text import Text

__all__ = ["Broken", "Rows", "cut_field", "read_rows"]

_MOST_BROKEN = 100_000
"""With more lines that are not rows, the file is not one of prices, whatever else is in it."""
_BLOCK = 1 << 24
"""Bytes that Arrow reads at a time; no line is longer (`raw`)."""
_SPACES = (b" ", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
_BLANKS = ' \t,;|"'
_BEHIND = re.compile(r"[^\d.,]\D*$")
_ABOVE, _ENOUGH = 100, 3


class Broken(NamedTuple):
    """A row that is not whole: its line, its fields as far as they go, and what is wrong."""

    line: int
    cells: Sequence[str]
    what: str


@dataclass(frozen=True)
class Rows:
    """A file's rows in the file's order.

    Attributes
    ----------
    columns
        Each column's cells, without the blanks around them.
    text, layout
        The file, and where things are in it.
    skipped
        Which of the non-empty lines, from 0, are not rows of these.
    broken
        Rows that could not be split.
    findings
        What was left out.
    """

    columns: Sequence[pa.ChunkedArray]
    text: Text
    layout: Layout
    skipped: Sequence[int] = ()
    broken: Sequence[Broken] = ()
    findings: Sequence[Finding] = ()
    _codes: dict[int, tuple[pa.Array, IntArray]] = field(default_factory=dict, compare=False)
    _texts: dict[int, list[str]] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.columns[0])

    @cached_property
    def lines(self) -> IntArray:
        """The rows' line numbers; worked out only when there is something to report."""
        numbers = self.text.line_numbers(self.layout.start)
        return np.delete(numbers, self.skipped) if len(self.skipped) else numbers

    def codes(self, column: int) -> tuple[int, IntArray]:
        """Count the distinct texts of a column, and give each row's index into them."""
        if column not in self._codes:
            encoded = self.columns[column].combine_chunks().dictionary_encode()
            codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            self._codes[column] = encoded.dictionary, codes
        texts, codes = self._codes[column]
        return len(texts), codes

    def distinct(self, column: int) -> tuple[list[str], IntArray]:
        """Give the distinct texts of a column, and each row's index into them."""
        codes = self.codes(column)[1]
        if column not in self._texts:
            self._texts[column] = self._codes[column][0].to_pylist()
        return self._texts[column], codes

    def row(self, at: int) -> list[str]:
        """Give all cells of a row."""
        return [column[at].as_py() for column in self.columns]

    def cells(self, column: int, rows: IntArray) -> pa.ChunkedArray:
        """Give some rows' cells of a column."""
        return self.columns[column] if len(rows) == len(self) else self.columns[column].take(pa.array(rows))


class _Misfit(NamedTuple):
    """A line that is no row as it is: its place among the non-empty lines, its number and its text."""

    place: int
    line: int
    text: str


def read_rows(text: Text, layout: Layout) -> Rows:
    """Split a file into rows.

    Raises
    ------
    InputError
        When hardly any line is a row.
    """
    data = text.data[layout.start :]
    damaged: list[_Misfit] = []
    if quoted := b'"' in data:
        data = _without_blanks(data, layout.delimiter)
    width = _usual_width(data, layout)
    try:
        table, misfits = _parse(data, text, layout, width, [])
    except pa.ArrowInvalid:  # a quotation mark that is open for longer than a block
        table, misfits = [], []
    if quoted and (_within(layout.delimiter).search(data) or _loses_lines(data, len(table) + len(misfits))):
        data, damaged = _without_damage(data, text, layout)
        table, misfits = _parse(data, text, layout, width, [one.place for one in damaged])
    if len(misfits) > _MOST_BROKEN:
        raise InputError(f"{len(misfits)} lines are not rows of prices", file=text.file, line=misfits[0].line)
    broken = [Broken(one.line, one.text.split(layout.delimiter), "a quotation mark is not closed") for one in damaged]
    repaired: dict[int, list[str]] = {}
    notes: list[Broken] = []
    for misfit in misfits:
        cells = split_line(misfit.text, layout.delimiter) if misfit.text.strip(_BLANKS) else []
        if cells is None:
            broken.append(Broken(misfit.line, misfit.text.split(layout.delimiter), "a quotation mark is not closed"))
        elif row := repaired_row(cells, layout, width):
            repaired[misfit.place] = row
        elif any(cells):
            what, note = misfit_of(cells, layout)
            (notes if note else broken).append(Broken(misfit.line, cells, what))
    skipped = sorted({one.place for one in [*misfits, *damaged]} - repaired.keys())
    if repaired:
        table = _with_repaired(table, repaired, skipped)
    bare = data.isascii() and not any(blank in data for blank in _SPACES)
    columns = table.columns if bare else [pc.utf8_trim_whitespace(column) for column in table.columns]
    rows = Rows(columns, text, layout, skipped)
    return _without_footer(rows, broken, notes)


def _without_blanks(data: bytes, delimiter: str) -> bytes:
    """Take off the blanks around quoted fields, which Arrow would take for a part of them."""
    mark = re.escape(delimiter.encode())
    data = re.sub(rb"(?m)(^|" + mark + rb') +(?=")', rb"\1", data)
    return re.sub(rb'(?m)" +(?=$|' + mark + rb")", b'"', data)


def _within(delimiter: str) -> re.Pattern[bytes]:
    """Match a quotation mark within a field."""
    mark = re.escape(delimiter.encode())
    return re.compile(rb'(?<=[^\n"' + mark + rb'])"(?=[^\n"' + mark + rb"])")


def _loses_lines(data: bytes, found: int) -> bool:
    """Whether a quotation mark was left open, so that lines are missing, or the last one is not closed."""
    last = data[data.rfind(b"\n") + 1 :]
    return last.count(b'"') % 2 == 1 or found < sum(1 for line in data.split(b"\n") if line)


def _without_damage(data: bytes, text: Text, layout: Layout) -> tuple[bytes, list[_Misfit]]:
    """Leave out lines with a quotation mark that is not closed, or within a field: the next lines would be lost."""
    lines = data.split(b"\n")
    bad = [at for at, line in enumerate(lines) if b'"' in line and split_line(line.decode(), layout.delimiter) is None]
    places = np.cumsum([len(line) > 0 for line in lines]) - 1
    first = text.data.count(b"\n", 0, layout.start) + 1
    damaged = [_Misfit(int(places[at]), first + at, lines[at].decode()) for at in bad]
    for at in bad:
        lines[at] = b""
    return b"\n".join(lines), damaged


def _usual_width(data: bytes, layout: Layout) -> int:
    """Count the fields of the rows: those of the header, with or without its last columns that have no name."""
    for line in data[: 1 << 16].decode(errors="ignore").split("\n")[:50]:
        fields = split_line(line, layout.delimiter) if line.strip(_BLANKS) else None
        if fields and len(fields) >= layout.width and not any(fields[layout.width :]):
            return len(fields)
    return len(layout.header)


def _parse(
    data: bytes, text: Text, layout: Layout, width: int, damaged: Sequence[int]
) -> tuple[pa.Table, list[_Misfit]]:
    """Read all lines that have so many fields; the others are returned beside them."""
    others: list[tuple[int, str]] = []

    def keep(row: pa_csv.InvalidRow) -> str:
        others.append((row.number - 1, row.text))
        return "skip"

    names = [str(index) for index in range(width)]
    table = pa_csv.read_csv(
        pa.BufferReader(b"\0\n" if not data or data.isspace() else data),
        # With more threads than one, Arrow does not say where a line was.
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=_BLOCK),
        parse_options=pa_csv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=keep),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[], strings_can_be_null=False
        ),
    )
    others = [(at, line) for at, line in others if line != "\0"]
    if not others:
        return table, []
    numbers = text.line_numbers(layout.start)
    places = np.delete(np.arange(len(numbers)), damaged)
    return table, [_Misfit(int(places[at]), int(numbers[places[at]]), line) for at, line in others]


def _with_repaired(table: pa.Table, repaired: dict[int, list[str]], skipped: Sequence[int]) -> pa.Table:
    """Put repaired rows at their places among the others."""
    count = len(table) + len(repaired)
    places = np.delete(np.arange(count + len(skipped)), skipped)
    order = np.argsort(np.concatenate([places[~np.isin(places, list(repaired))], list(repaired)]), kind="stable")
    columns = zip(*repaired.values(), strict=True)
    names = table.column_names
    added = pa.table({name: pa.array(column, pa.string()) for name, column in zip(names, columns, strict=True)})
    return pa.concat_tables([table, added]).take(pa.array(order))


def _without_footer(rows: Rows, broken: Sequence[Broken], notes: Sequence[Broken]) -> Rows:
    """Report text after the last row; what is below such a text, another small table perhaps, is text as well."""
    last_row = int(rows.lines[-1]) if (broken or notes) and len(rows) else 0
    end = next((note.line for note in notes if note.line > last_row), None)
    width = rows.layout.width
    below = [
        one
        for one in broken
        if end is not None and one.line > end and len(one.cells) < width and not any(map(DATE.match, one.cells))
    ]
    broken = [one for one in broken if one not in below]
    last = max([last_row, *(one.line for one in broken)])
    notes = [*notes, *below]
    footer = [note for note in notes if note.line > last and not TROUBLE.search(" ".join(note.cells))]
    findings = [left_out([note.line for note in footer])] if footer else []
    return replace(rows, broken=sorted([*broken, *(note for note in notes if note not in footer)]), findings=findings)


def cut_field(rows: Rows) -> int | None:
    """Find the column in which the last line was cut off: it has no end, and its last field less than all above it.

    A price with fewer decimals than any other, a shorter date or volume, or the beginning of a ticker's name: each of
    these would be read as something else than what the whole line said.
    """
    data, layout = rows.text.data, rows.layout
    if data.endswith(b"\n") or rows.lines[-1] != data.count(b"\n") + 1:
        return None
    fields = split_line(data[data.rfind(b"\n") + 1 :].decode(), layout.delimiter) or []
    column = len(fields) - 1
    *above, last = rows.columns[column][-_ABOVE:].to_pylist()
    if column >= layout.width or len(above) < _ENOUGH:
        return None
    if column == layout.ticker:
        others = rows.columns[column].to_pylist()[:-1]
        return column if last not in others and any(one.startswith(last) for one in others) else None
    roles = {role for block in layout.blocks for role, at in block.columns.items() if at == column}
    if column == layout.date or "volume" in roles:
        return column if len(last) < min(map(len, above)) else None
    return column if roles and _decimals(last) < min(map(_decimals, above)) else None


def _decimals(field: str) -> int:
    """Count the digits after the decimal mark that a field seems to have, the point or comma that is last in it."""
    number = _BEHIND.sub("", field)
    return len(number) - 1 - max(number.rfind("."), number.rfind(",")) if "." in number or "," in number else 0
