"""Lines that are not rows of prices: text around the table is left out, rare broken rows set aside, others refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from forecasting.arrays import BoolArray, IntArray
from forecasting.ingest.dates import NO_DATE, DateColumn
from forecasting.ingest.layout import MERGE_MARKERS, Layout
from forecasting.ingest.names import load
from forecasting.ingest.rows import FileRows, Misfit
from forecasting.ingest.table import ReadOptions, Report, error_at, is_rare, where

__all__ = ["Owners", "add_cut_line", "add_misfits", "add_undated", "is_event", "why_misfit"]

_EVENTS = "|".join(map(re.escape, load("notation")["events"]))
_EVENT = re.compile(rf"[\d.,:/ ]*\b(?:{_EVENTS})\b[:\d.,/ ]*", re.IGNORECASE)
_TROUBLE = re.compile("error|exception|traceback|fail|denied|limit|timed? ?out|unavailable|[<{}]", re.IGNORECASE)
"""Words in a footer that mean that the rows above it are not complete."""
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8}")
_SUMMARIES = frozenset(load("notation")["summaries"])
_BEHIND = re.compile(r"[^\d.,]\D*$")
_ABOVE, _ENOUGH = 100, 3


class Owners(NamedTuple):
    """The rows' tickers: their names, each row's index into them, and the column that has them (None: the file's)."""

    tickers: Sequence[str]
    codes: IntArray
    column: int | None


def is_event(row: Sequence[str], layout: Layout) -> bool:
    """Whether a line reports, in place of a day's prices, a dividend or a split on it (Yahoo's page)."""
    said = {cell for at, cell in enumerate(row) if cell and at not in {layout.date, layout.ticker}}
    dated = layout.date < len(row) <= layout.width and row[layout.date] != ""
    return dated and len(said) == 1 and _EVENT.fullmatch(said.pop()) is not None


def _is_note(row: Sequence[str], layout: Layout) -> bool:
    """Whether a line is words only: it begins with a word, and no field of it is a date or a number."""
    first = row[0]
    if not any(row[1:]) and " " in first and sum(c.isalpha() for c in first) > 3 and not _DATE.match(first):
        return True  # 24 rows in all
    return (
        len(first) >= 3
        and any(c.isalpha() for c in first)
        and not (layout.ticker is not None and len(row) >= layout.width and any(row[1:]))
        and not any(cell and (cell[0].isdigit() or cell[0] in "=+-@$" or _DATE.match(cell)) for cell in row)
    )


def _quoted(row: Sequence[str]) -> str:
    joined = " ".join(cell for cell in row if cell)
    return f'"{joined if len(joined) <= 40 else joined[:37] + "..."}" is not a row of prices'


def why_misfit(misfit: Misfit, layout: Layout) -> str:
    """Say why a line is not a row of this file."""
    row, width = misfit.cells, layout.width
    if misfit.damaged:
        return "a quotation mark is not closed"
    if row[0].startswith(MERGE_MARKERS):
        return "a merge conflict's marker"
    if any(row[width:]):
        return f"{len(row)} fields where the header has {width} columns"
    return _quoted(row) if _is_note(row, layout) else f"{len(row)} of {width} fields (file cut short?)"


def _leave_out(lines: list[int], report: Report) -> None:
    if lines:
        report.add("set_aside", f"{where(lines, [report.file])}: text after the last row was left out", rows=len(lines))


def add_misfits(rows: FileRows, owners: Owners, dates: DateColumn, options: ReadOptions, report: Report) -> None:
    """Leave out words below the table, set dividends and rare broken rows aside, and make the others problems."""
    layout, footer, last = rows.layout, _footer(rows), options.last_day
    _leave_out([misfit.line for misfit in footer], report)
    concerned: dict[tuple[str | None, bool], list[Misfit]] = {}
    for misfit in rows.misfits:
        cells = misfit.cells
        day = dates.day_of(cells[layout.date].strip(), options.format) if len(cells) > layout.date else NO_DATE
        owner = cells[owners.column] if owners.column is not None and len(cells) > owners.column else None
        wanted = options.tickers is None or owner is None or owner in options.tickers
        if wanted and misfit not in footer and (last is None or day <= last):
            event = not misfit.damaged and is_event(cells, layout)
            concerned.setdefault((owner if owner in owners.tickers else None, event), []).append(misfit)
    for (owner, event), own in concerned.items():
        # A line whose ticker is not known is compared with the number of rows of an average ticker.
        count = len(rows) / len(owners.tickers)
        if owner is not None:
            count = float((owners.codes == owners.tickers.index(owner)).sum())
        what, lines = why_misfit(own[0], layout), [one.line for one in own]
        if event or (is_rare(len(own), count) and not any(one.cells[0].startswith(MERGE_MARKERS) for one in own)):
            message = f"{where(lines, [report.file])}: {'no prices' if event else what}, set aside"
            report.add("set_aside", message, owner or "", len(lines))
        else:
            report.refuse(owner, error_at(lines, [report.file], what))


def _footer(rows: FileRows) -> list[Misfit]:
    """Find the text below the last row; what follows it, perhaps another small table, belongs to it."""
    last, layout = int(rows.lines[-1]), rows.layout
    below = [one for one in rows.misfits if one.line > last]
    at = next((at for at, one in enumerate(below) if not one.damaged and _is_note(one.cells, layout)), len(below))
    above, footer = below[:at], below[at:]
    if any(len(one.cells) >= layout.width or any(map(_DATE.match, one.cells)) for one in footer) or above:
        return []
    return [] if any(_TROUBLE.search(" ".join(one.cells)) for one in footer) else footer


def add_undated(rows: FileRows, owners: Owners, dates: DateColumn, undated: BoolArray, report: Report) -> BoolArray:
    """Find empty rows, and text below the table, which is left out; other rows without a date are a problem."""
    layout = rows.layout
    codes = rows.distinct(layout.date)[1]
    out, notes = np.zeros((2, len(undated)), dtype=np.bool_)
    last = np.flatnonzero(dates.days[codes] != NO_DATE)[-1:]
    for at in np.flatnonzero(undated).tolist():
        cells = rows.row(at)
        out[at] = not any(cells)
        if any(cells) and (at > last).any():
            opened = cells[layout.blocks[0].columns["open"]]
            summary = any(cell.casefold().strip(" :") in _SUMMARIES for cell in (cells[layout.date], cells[0]))
            notes[at] = summary or (_is_note(cells, layout) and not any(c.isdigit() for c in opened))
    _leave_out(rows.lines[notes].tolist(), report)
    wrong = undated & ~notes & ~out
    for code in np.unique(owners.codes[wrong]):
        own = np.flatnonzero(wrong & (owners.codes == code))
        cells = rows.row(int(own[0]))
        what = dates.why[int(codes[own[0]])] if cells[layout.date] else "the date is missing"
        if "\n".join(cells[: layout.width]).casefold() == "\n".join(layout.header[: layout.width]).casefold():
            what = "the header again (two files in one?)"
        elif _is_note(cells, layout):
            what = _quoted(cells)
        owner = owners.tickers[code] if owners.column is not None else None
        report.refuse(owner, error_at(rows.lines[own].tolist(), [report.file], what, layout.name(layout.date)))
    return out | notes


def add_cut_line(rows: FileRows, owners: Owners, report: Report) -> bool:
    """Refuse a last line that was cut off: it has no line end, and its last field is shorter than all above it.

    That is a price with fewer decimals than any other, a shorter date, or the beginning of a ticker's name. A shorter
    volume, which may really be smaller than others, is only reported; returns whether to take it as missing.
    """
    data, layout, column = rows.text.data, rows.layout, len(rows.columns) - 1
    if data.endswith(b"\n") or rows.lines[-1] != data.count(b"\n") + 1 or column >= layout.width:
        return False
    *above, last = rows.columns[column][-_ABOVE:].to_pylist()
    owner, line = owners.tickers[owners.codes[-1]], int(rows.lines[-1])
    named: list[str | None] = [owner if owners.column is not None else None]
    roles = {role for block in layout.blocks for role, at in block.columns.items() if at == column}
    if column == owners.column:
        named = [name for name in owners.tickers if name.startswith(last)]
        cut = last not in above and len(named) > 1
    else:
        by_length = column == layout.date or "volume" in roles
        size = len if by_length else partial(_decimals, _mark(above))
        known = len(above) >= _ENOUGH if by_length else bool(roles)
        cut = known and size(last) < min(map(size, above), default=0)
    what = f'the last line ends in "{last}", shorter than those above it'
    if cut and "volume" in roles:
        said = f"column {layout.name(column)}, line {line}: {what}; the volume is taken as missing"
        report.add("warning", said, owner if len(layout.blocks) == 1 else "")
        return True
    setting = "set skip_footer = 1 in a format file to leave it out"
    for name in named if cut else ():
        error = error_at([line], [report.file], f"{what} (file cut short?)", layout.name(column), setting)
        report.refuse(name, error)
    return False


def _mark(fields: Sequence[str]) -> str:
    """Guess the decimal mark of a column: the point or comma that comes last in most fields."""
    marks = Counter(found[-1] for one in fields if (found := re.findall("[.,]", _BEHIND.sub("", one))))
    return max(marks, key=marks.__getitem__, default=".")


def _decimals(mark: str, field: str) -> int:
    """Count the characters after the decimal mark."""
    _, *after = _BEHIND.sub("", field).split(mark)
    return len(after[-1]) if after else 0
