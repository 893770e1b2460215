"""Tables and numbers in a terminal or a pipe; texts from files can neither colour it nor move its cursor."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecasting.formatting import printable
from forecasting.reports.cells import forecast_cells

__all__ = ["forecast_line", "open_console", "plain_json", "print_forecasts", "print_table"]

_PIPED_WIDTH = 200
_BANDS = {"5 %": "q05", "25 %": "q25", "Median": "q50", "75 %": "q75", "95 %": "q95"}
_WORDS = ("Ticker", "Model", "Reason", "Bands")
_REASON_WIDTH = 30


def open_console() -> Console:
    """Return a console on standard output; a pipe has no width, and the default of eighty columns would cut tables."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)


def forecast_line(row: Mapping[Any, Any], *, of_many: bool = True) -> dict[str, object]:
    """Write a row of forecasts.parquet for `print_forecasts`, by heading; ``of_many`` tickers with their names."""
    cells = forecast_cells(row)
    line = {"Ticker": printable(cells["ticker"], 24), "Cutoff": cells["cutoff"]} if of_many else {}
    line |= {"Open on": cells["target_date"], "Step": cells["step"]}
    line |= {"Last price": cells["anchor_price"]} if of_many else {}
    line |= {head: cells[name] for head, name in _BANDS.items()} | {"Change": cells["change"]}
    return {**line, "Model": printable(cells["model"]), "Reason": printable(cells["reason"], 200)}


def print_forecasts(console: Console, lines: Sequence[Mapping[str, object]], *, title: str = "") -> None:
    """Print lines of forecasts; a narrow terminal does not show the less important columns."""
    optional = ("25 %", "75 %", "Cutoff", "Reason", "Step", "Bands", "Last price")
    print_table(console, lines, left=_WORDS, optional=optional, folded={"Reason": _REASON_WIDTH}, title=title)


def print_table(
    console: Console,
    lines: Sequence[Mapping[str, object]],
    *,
    left: Collection[str] = (),
    optional: Sequence[str] = (),
    folded: Mapping[str, int] | None = None,
    title: str = "",
) -> None:
    """Print lines with the same columns; nothing when there are none.

    Parameters
    ----------
    console
        Where to print.
    lines
        Cells by heading; a line whose ``Published`` is not empty is bold.
    left
        Columns of words; numbers are aligned right.
    optional
        Columns that a narrow terminal does not show, in this order, because numbers must not be cut.
    folded
        Columns of text that may take several lines, and their widths.
    title
        Printed above.
    """
    if not lines:
        return
    folded = folded or {}
    widths = {head: max(len(str(cell)) for cell in (head, *(line[head] for line in lines))) for head in lines[0]}
    for head, width in folded.items():
        if head in widths:
            widths[head] = min(widths[head], width)
            if not any(line[head] for line in lines):
                del widths[head]
    for head in optional:
        if sum(widths.values()) + 2 * len(widths) > console.width:
            widths.pop(head, None)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    for head, width in widths.items():
        side: Literal["left", "right"] = "left" if head in left else "right"
        table.add_column(head, justify=side, no_wrap=head not in folded, min_width=width, overflow="fold")
    for line in lines:
        # Text, because a string would be read as markup.
        table.add_row(*(Text(str(line[head])) for head in widths), style="bold" if line.get("Published") else "")
    if title:
        console.print(Text(title, style="bold"))
    console.print(table)


def plain_json(value: Any) -> Any:
    """Turn values of tables into values of JSON: NaN becomes null, a date its text."""
    if isinstance(value, Mapping):
        return {str(key): plain_json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_json(one) for one in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if hasattr(value, "item"):
        return plain_json(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)
