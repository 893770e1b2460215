"""The rows of a file, as texts: one pass of Arrow's reader over all columns; lines that do not fit are kept apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from forecasting.arrays import IntArray
from forecasting.errors import InputError
from forecasting.ingest.files import Text
from forecasting.ingest.layout import Layout, split_line

__all__ = ["FileRows", "Misfit", "read_rows"]

_MOST_MISFITS = 100_000  # with more lines that are not rows, the file is not one of prices
_BLOCK = 1 << 24  # bytes that Arrow reads at a time; no line is longer (`raw`)
_SPACES = (b" ", b"\t", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
_BLANKS = ' \t,;|"'


@dataclass(frozen=True, slots=True)
class Misfit:
    """A line that has another number of fields than the rows, or (``damaged``) a quotation mark that is not closed."""

    line: int
    cells: Sequence[str]
    damaged: bool = False


@dataclass(frozen=True)
class FileRows:
    """A file's rows: each column's cells, without the blanks around them.

    Lines that are not rows are ``misfits``; ``skipped`` are their places among the lines that are not empty.
    """

    columns: Sequence[pa.ChunkedArray]
    text: Text
    layout: Layout
    misfits: Sequence[Misfit] = ()
    skipped: Sequence[int] = ()
    _encoded: dict[int, tuple[pa.Array, IntArray]] = field(default_factory=dict, compare=False)

    def __len__(self) -> int:
        return len(self.columns[0])

    @cached_property
    def lines(self) -> IntArray:
        """The rows' line numbers; worked out only when there is something to report."""
        numbers = self.text.line_numbers(self.layout.start)
        return np.delete(numbers, self.skipped) if len(self.skipped) else numbers

    def distinct(self, column: int) -> tuple[pa.Array, IntArray]:
        """Give the distinct texts of a column, in the order of their first rows, and each row's index into them."""
        if column not in self._encoded:
            encoded = self.columns[column].combine_chunks().dictionary_encode()
            codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
            self._encoded[column] = encoded.dictionary, codes
        return self._encoded[column]

    def row(self, at: int) -> list[str]:
        """Give all cells of a row."""
        return [column[at].as_py() for column in self.columns]

    def cells(self, column: int, rows: IntArray) -> pa.ChunkedArray:
        """Give some rows' cells of a column."""
        whole = len(rows) == len(self) and bool((np.diff(rows) > 0).all())
        return self.columns[column] if whole else self.columns[column].take(pa.array(rows))


def read_rows(text: Text, layout: Layout) -> FileRows:
    """Split a file into rows; it is refused when too many lines are not rows."""
    data, delimiter = text.data[layout.start :], layout.delimiter
    mark, width = re.escape(delimiter.encode()), _usual_width(data, layout)
    if quoted := b'"' in data:
        # Arrow would take blanks around a quoted field for a part of it.
        data = re.sub(rb"(?m)(^|" + mark + rb') +(?=")', rb"\1", data)
        data = re.sub(rb'(?m)" +(?=$|' + mark + rb")", b'"', data)
    try:
        table, others = _parse(data, delimiter, width)
    except pa.ArrowInvalid:  # a quotation mark that is open for longer than a block
        table, others = [], []
    within = rb'(?<=[^\n"' + mark + rb'])"(?=[^\n"' + mark + rb"])"
    found = len(table) + len(others)
    if quoted and (data.count(b'"') % 2 or re.search(within, data) or found < sum(map(bool, data.split(b"\n")))):
        table, others = _split(data, delimiter, width)
    numbers = text.line_numbers(layout.start) if others else np.zeros(0, dtype=np.int64)
    if len(others) > _MOST_MISFITS:
        raise InputError(f"{len(others)} lines are not rows of prices", file=text.file, line=int(numbers[others[0][0]]))
    misfits = []
    for place, line in others:
        cells = split_line(line, delimiter)
        if cells is None:
            misfits.append(Misfit(int(numbers[place]), line.split(delimiter), damaged=True))
        elif line.strip(_BLANKS) and any(cells):
            misfits.append(Misfit(int(numbers[place]), cells))
    bare = data.isascii() and not any(blank in data for blank in _SPACES)
    columns = table.columns if bare else [pc.utf8_trim_whitespace(column) for column in table.columns]
    return FileRows(columns, text, layout, misfits, [place for place, _ in others])


def _usual_width(data: bytes, layout: Layout) -> int:
    """Count the fields of the rows: those of the header, with or without its last columns that have no name."""
    for line in data[: 1 << 16].decode(errors="ignore").split("\n")[:50]:
        fields = split_line(line, layout.delimiter) if line.strip(_BLANKS) else None
        if fields and len(fields) >= layout.width and not any(fields[layout.width :]):
            return len(fields)
    return len(layout.header)


def _parse(data: bytes, delimiter: str, width: int) -> tuple[pa.Table, list[tuple[int, str]]]:
    """Read all lines that have ``width`` fields; returns them, and the other lines with their places."""
    others: list[tuple[int, str]] = []

    def keep(row: pa_csv.InvalidRow) -> str:
        others.append((row.number - 1, row.text))
        return "skip"

    names = [str(index) for index in range(width)]
    if not data or data.isspace():
        return pa.table({name: pa.array([], pa.string()) for name in names}), []
    table = pa_csv.read_csv(
        pa.BufferReader(data),
        # With more threads than one, Arrow does not say where a line was.
        read_options=pa_csv.ReadOptions(column_names=names, use_threads=False, block_size=_BLOCK),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, invalid_row_handler=keep),
        convert_options=pa_csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=[], strings_can_be_null=False
        ),
    )
    return table, others


def _split(data: bytes, delimiter: str, width: int) -> tuple[pa.Table, list[tuple[int, str]]]:
    """Do the same line by line, so that a quotation mark that is not closed does not swallow the lines below it."""
    lines = [line.decode() for line in data.split(b"\n") if line]
    cells = [split_line(line, delimiter) for line in lines]
    others = [(at, line) for at, (line, row) in enumerate(zip(lines, cells, strict=True)) if len(row or ()) != width]
    columns = zip(*(row for row in cells if row and len(row) == width), strict=True)
    found = {str(at): pa.array(column, pa.string()) for at, column in enumerate(columns)}
    return pa.table(found or {str(at): pa.array([], pa.string()) for at in range(width)}), others
