"""Whether a file's last line was cut off where its last field still looks like one."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np

from forecasting.ingest.layout import Layout, split_line
from forecasting.ingest.table import Source
from forecasting.ingest.text import Text

__all__ = ["Cut", "cut_short"]

_TAIL = 1 << 15
_ABOVE = 100
_ENOUGH = 3
_BEHIND = re.compile(r"[^\d.,]\D*$")


@dataclass(frozen=True, slots=True)
class Cut:
    """A last line that was cut off: where, and which tickers it may belong to (None: that is not known)."""

    line: int
    column: int
    what: str
    tickers: tuple[str | None, ...]


def cut_short(text: Text, source: Source, layout: Layout) -> Cut | None:
    """Find out whether a last line without its end has a last field shorter than all those above it.

    A price with fewer decimals than any other, a shorter date or volume, or the beginning of a ticker's name: each of
    these would be read as something else than what the whole line said.
    """
    if text.data.endswith(b"\n"):
        return None
    tail = text.data[max(layout.start, len(text.data) - _TAIL) :].decode(errors="ignore").split("\n")[-_ABOVE:]
    split = [cells for line in tail if (cells := split_line(line, layout.delimiter)) and any(cells)]
    if not split:
        return None
    *above, last = split
    column = len(last) - 1
    fields = [cells[column] for cells in above if len(cells) == len(last)]
    line = text.data.count(b"\n") + 1
    if len(fields) < _ENOUGH or column >= layout.width or source.lines()[-1] != line:
        return None
    tickers: tuple[str | None, ...]
    if column == layout.ticker:
        rows = np.count_nonzero(source.ticker_codes == source.ticker_codes[-1])
        tickers = tuple(name for name in source.tickers if name.startswith(last[column]))
        shorter = rows == 1 and len(tickers) > 1
    else:
        tickers = (source.tickers[source.ticker_codes[-1]] if layout.ticker is not None else None,)
        shorter = _shorter(last[column], fields, column, layout)
    what = f'the last line ends in "{last[column]}", shorter than those above it (file cut short?)'
    return Cut(line, column, what, tickers) if shorter else None


def _shorter(last: str, fields: list[str], column: int, layout: Layout) -> bool:
    roles = {role for block in layout.blocks for role, at in block.columns.items() if at == column}
    if column == layout.date or "volume" in roles:
        return len(last) < min(map(len, fields))
    if not roles:
        return False
    # Without what stands behind the number: the point of "kr." is no decimal mark.
    last, *fields = (_BEHIND.sub("", field) for field in (last, *fields))
    marks = Counter(mark for field in fields if (mark := _last_mark(field)))
    mark = marks.most_common(1)[0][0] if marks else "."
    return _after(last, mark) < min(_after(field, mark) for field in fields)


def _last_mark(field: str) -> str:
    """Find the decimal mark that a field seems to have: the point or comma that stands last in it."""
    return max(".,", key=field.rfind) if "." in field or "," in field else ""


def _after(field: str, mark: str) -> int:
    return len(field) - 1 - field.rindex(mark) if mark in field else 0
