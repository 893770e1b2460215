"""How a file is laid out: its encoding and delimiter, where its header is, and which column holds what."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, NoReturn

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.files import Text, decode
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.header import DELIMITERS, Block, Header, is_units_row, named_roles, ticker_row
from forecasting.ingest.names import NEEDED, REQUIRED, Role, normalise, rank, split_affix
from forecasting.ingest.stamps import read_stamp
from forecasting.ingest.table import where

__all__ = ["MERGE_MARKERS", "Block", "Layout", "split_line", "understand"]

MERGE_MARKERS = ("<<<<<<<", "=======", ">>>>>>>", "|||||||")  # of a merge of two versions that was not finished
_PREAMBLE = 30  # the header is looked for in the first lines; titles and notes before it are left out and reported
_EASTERN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3]")  # Japanese, Chinese and Korean
_UNNAMED = frozenset({"", "index", "unnamed 0"})  # names of the first column when it is a data frame's index
_OTHERS = "expir(y|ation)|settlement|ex|listing|ipo|updated?|delivery|maturity|payment|report|prev(ious)?"
_OTHER_DATES = re.compile(rf"\b({_OTHERS})\b")  # names of dates that are not the session's
_PLAIN_DATES = frozenset({"ymd", "numeric", "named", "compact"})


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is in a file.

    The header's names and line (from 1), and the byte where the first row starts; the columns of the date, the ticker
    (if any) and the prices, in several blocks only where tickers are side by side; how many fields have a name (the
    ``width``); and for each role the other columns that could have it (``rivals``). A ``loose_date`` was found by its
    position, not by its name.
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
    rivals: Mapping[Role, Sequence[int]]
    findings: tuple[Finding, ...]

    @property
    def priced(self) -> set[int]:
        """The columns of prices and volumes."""
        return {at for block in self.blocks for at in block.columns.values()}

    @property
    def usual_marks(self) -> str:
        """The marks that are surely a decimal point, and a comma between thousands, in the header's language.

        In English, Japanese, Chinese and Korean they are; where decimals have commas, semicolons separate fields.
        """
        eastern = any(map(_EASTERN.search, self.header))
        english = all(role in self.header[self.blocks[0].columns[role]].casefold() for role in NEEDED)
        return "" if self.delimiter == ";" else ".," if eastern else "." if english else ""

    def name(self, column: int) -> str:
        """Write a column's name in a message."""
        return self.header[column].strip() or f"number {column + 1} (no name)"


class _Line(NamedTuple):
    """One of the file's first lines, from byte ``start`` to before byte ``end``."""

    number: int
    text: str
    start: int
    end: int


def split_line(line: str, delimiter: str) -> list[str] | None:
    """Split a line into its fields, without blanks around them; None when a quotation mark is not closed."""
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


def understand(data: bytes, file: str, format_: PriceFormat) -> tuple[Text, Layout]:
    """Find a file's text and its layout, in the first encoding in which the header can be read.

    The file is refused when no line can be the header, a required column is missing, or two columns could be the same.
    """
    first: InputError | None = None
    for text in decode(data, file, format_.encoding, format_.skip_footer):
        try:
            return text, _find_layout(text, format_)
        except InputError as error:
            first = first or error
    raise first or InputError("the file holds no text", file=file)


def _find_layout(text: Text, format_: PriceFormat) -> Layout:
    lines = list(_head(text, format_.skip_lines))
    delimiters: Sequence[str] = DELIMITERS if format_.delimiter is None else (format_.delimiter,)
    if lines and re.fullmatch("sep=.", first := lines[0].text.strip().casefold()):
        delimiters, lines = (first[-1],), lines[1:]
    if not lines:
        raise InputError("no rows of data", file=text.file)
    if format_.header is not None:
        # If the file has a line of names after all, it is read as a row.
        lines = [_Line(lines[0].number - 1, "", lines[0].start, lines[0].start), *lines]
        delimiter = max(delimiters, key=lines[1].text.count)
        layout = _read_header(text, lines, 0, format_.header, delimiter, format_)
        if layout is None:
            what = f"the declared header {', '.join(format_.header)} has no Open, High and Low"
            raise InputError(what, file=text.file)
        return layout
    for place, line in enumerate(lines):
        for delimiter in delimiters:
            cells = split_line(line.text, delimiter)
            if cells is not None and len(cells) >= len(REQUIRED):
                layout = _read_header(text, lines, place, cells, delimiter, format_)
                if layout is not None:
                    return layout
    raise _no_header(text, lines, delimiters)


def _head(text: Text, skip: int) -> Iterator[_Line]:
    """Give the first lines that are not empty, without those to be skipped."""
    start = number = found = 0
    while start < len(text.data) and found < _PREAMBLE:
        end = text.data.find(b"\n", start) + 1 or len(text.data)
        number += 1
        line = text.data[start:end].decode().rstrip("\n")
        if line.startswith(MERGE_MARKERS):
            raise InputError("a merge conflict's marker", file=text.file, line=number)
        if line.strip() and number > skip:
            found += 1
            yield _Line(number, line, start, end)
        start = end


def _read_header(  # noqa: PLR0917 - a line, and what is around it
    text: Text, lines: Sequence[_Line], place: int, cells: Sequence[str], delimiter: str, format_: PriceFormat
) -> Layout | None:
    """Give the layout, if this line is a header and its columns suffice; None when it is not a header."""
    line = lines[place]
    under = [split_line(one.text, delimiter) or [] for one in lines[place + 1 : place + 4]]
    above = (split_line(lines[place - 1].text, delimiter) or []) if place else []
    tickers, below = ticker_row(cells, above, under[0] if under else []) or (None, False)
    header = Header(cells, text.file, line.number, format_)
    blocks = header.blocks(tickers)
    if not blocks and tickers is None and any(affixes := list(map(split_affix, cells))):
        bare = [affix[1] if affix else cell for affix, cell in zip(affixes, cells, strict=True)]
        header = replace(header, cells=bare)
        blocks = header.blocks([affix[0] if affix else "" for affix in affixes])
    if not blocks:
        return None
    header.refuse_split_again(delimiter)
    # Under the header there may be a row of tickers, one that only names the index, and one of units.
    names = int(below)
    first, *others = [*under, [], [], []][names] or [""]
    named_index = rank("date", first) is not None and not any(others)
    names += int(named_index)
    units = names < len(under) and is_units_row(under[names], cells)
    taken = {column for block in blocks for column in block.columns.values()}
    date = header.pick("date", taken)
    ticker = header.pick("ticker", taken if date is None else taken | {date})
    loose = date is None and ticker != 0 and 0 not in taken and "date" not in format_.columns
    loose = loose and (named_index or normalise(cells[0]) in _UNNAMED)
    date = 0 if loose else date
    if date is None and "date" not in format_.columns:
        date = _only_dates(cells, under[names + units :], taken)
        if loose := date is not None:
            what = f"column {cells[date]} is the only one of dates, and was taken for the Date"
            header.findings.append(Finding("", "warning", what))
    _require_declared(header, cells, {**blocks[0].columns, "date": date, "ticker": ticker})
    if date is None:
        _refuse_without_date(header, cells, under[0] if under else ())
    left_out = [one.number for one in lines[: place - 1 if tickers and not below else place]]
    left_out += [lines[place + names + 1].number] if units else []
    said = f"{where(left_out, [text.file])}: text above the rows was left out" if left_out else ""
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
        rivals=header.rivals,
        findings=(*([Finding("", "set_aside", said)] if said else []), *header.findings),
    )


def _require_declared(header: Header, cells: Sequence[str], columns: Mapping[Role, int | None]) -> None:
    """Refuse a header without a column that the format declares."""
    for role, name in header.format.columns.items():
        if columns.get(role) is None:
            what = f"there is no column {name}, which the format declares as {role.capitalize()}"
            header.refuse(what + _found(cells))


def _refuse_without_date(header: Header, cells: Sequence[str], row: Sequence[str]) -> NoReturn:
    """Refuse a header without a column of dates; ``row`` is that below it."""
    if len(row) == len(cells) + 1:
        what = f"the rows have {len(row)} fields and the header {len(cells)}"
        header.refuse(f"{what}: is the first an index without a name?", "header and skip_lines")
    header.refuse(f"column missing: Date{_found(cells)}", "columns.date")


def _found(cells: Sequence[str]) -> str:
    return f" (found {', '.join(filter(None, cells))})"


def _only_dates(cells: Sequence[str], rows: Sequence[Sequence[str]], taken: set[int]) -> int | None:
    """Find the only column whose first cells are clearly dates, and whose name does not say that they are others."""
    if not rows or any(len(row) != len(cells) for row in rows):
        return None
    unread = [at for at, cell in enumerate(cells) if at not in taken and not _OTHER_DATES.search(normalise(cell))]
    stamps = {at: [read_stamp(row[at]) for row in rows] for at in unread}
    found = [at for at, own in stamps.items() if all(one and one.shape.kind in _PLAIN_DATES for one in own)]
    return found[0] if len(found) == 1 else None


def _no_header(text: Text, lines: Sequence[_Line], delimiters: Sequence[str]) -> InputError:
    """Say what is missing on the line that looks most like a header, or that there is no header at all."""
    split = [(line, split_line(line.text, sign) or []) for line in lines for sign in delimiters]
    line, cells = max(split, key=lambda one: len(named_roles(one[1])) if len(one[1]) > 1 else 0)
    missing = [role.capitalize() for role in REQUIRED if role not in named_roles(cells)]
    what, key = f"columns missing: {', '.join(missing)}" if missing else "not every ticker has all columns", "columns"
    what += _found(cells)
    if len(missing) == len(REQUIRED) or len(cells) < 2:
        what, key = f"no header: expected names such as Date, Open, High, Low, found {line.text[:60]!r}", "header"
    return InputError(what, file=text.file, line=line.number, setting=f"set {key} in a format file")
