"""Lines that are not rows: events, notes, footers, and rows that are not whole."""

from __future__ import annotations

import re
from collections.abc import Sequence

from forecasting.findings import Finding
from forecasting.ingest.layout import MERGE_MARKERS, Layout
from forecasting.ingest.table import where
from forecasting.ingest.words import load

__all__ = ["DATE", "TROUBLE", "is_event", "is_note", "left_out", "misfit", "repaired", "shown"]

_EVENT = re.compile(
    rf"[\d.,:/ ]*\b(?:{'|'.join(map(re.escape, load('notation')['events']))})\b[:\d.,/ ]*", re.IGNORECASE
)
TROUBLE = re.compile(
    r"error|exception|traceback|failed|failure|denied|limit|timed? ?out|unavailable|[<{}]", re.IGNORECASE
)
"""What a footer does not say unless the rows above it are not all there."""
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8}")


def repaired(cells: Sequence[str], layout: Layout, width: int) -> list[str] | None:
    """Give a row back whose empty last fields are missing or too many, or that is an event; None for any other."""
    if is_event(cells, layout):
        kept = {layout.date, layout.ticker}
        return [cells[at] if at in kept and at < len(cells) else "" for at in range(width)]
    too_long = any(cells[min(width, layout.width) :])
    if len(cells) < layout.width or too_long or cells[0].startswith(MERGE_MARKERS):
        return None
    return [*cells[:width], *[""] * (width - len(cells))]


def misfit(row: Sequence[str], layout: Layout) -> tuple[str, bool]:
    """Say why a line is no row of this file, and whether it is mere words."""
    if row[0].startswith(MERGE_MARKERS):
        return "a merge conflict's marker", False
    if len(row) > layout.width and any(row[layout.width :]):
        return f"{len(row)} fields where the header has {layout.width} columns", False
    if is_note(row, layout):
        return f'"{shown(row)}" is not a row of prices', True
    return f"{len(row)} of {layout.width} fields (file cut short?)", False


def is_event(row: Sequence[str], layout: Layout) -> bool:
    """Whether a line reports, in place of a day's prices, a dividend or a split on it (Yahoo's page)."""
    said = {cell for at, cell in enumerate(row) if cell and at not in {layout.date, layout.ticker}}
    dated = layout.date < len(row) <= layout.width and row[layout.date] != ""
    return dated and len(said) == 1 and _EVENT.fullmatch(said.pop()) is not None


def is_note(row: Sequence[str], layout: Layout) -> bool:
    """Whether a line is words only: it begins with a word, and no field of it is a date or a number."""
    first = row[0]
    if not any(row[1:]) and " " in first and sum(c.isalpha() for c in first) > 3 and not DATE.match(first):
        return True  # 24 rows in all
    return (
        len(first) >= 3
        and any(c.isalpha() for c in first)
        and not (layout.ticker is not None and len(row) >= layout.width and any(row[1:]))
        and not any(cell and (cell[0].isdigit() or cell[0] in "=+-@$" or DATE.match(cell)) for cell in row)
    )


def left_out(lines: list[int]) -> Finding:
    """Report text below the rows."""
    return Finding("", "set_aside", f"{where(lines)}: text after the last row was left out", len(lines))


def shown(row: Sequence[str]) -> str:
    """Write a row shortly."""
    joined = " ".join(cell for cell in row if cell)
    return joined if len(joined) <= 40 else joined[:37] + "..."
