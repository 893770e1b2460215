"""A look at what was published, in a terminal: ``daily-forecast show STORE [TICKER]``.

It reads the store's files and changes nothing. Whatever comes from a file is written as plain text: a ticker's name can
neither colour the terminal nor move its cursor.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecasting.errors import InputError
from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import count, day, decimals_for, number, p_value, percent, printable, signed_percent
from forecasting.reproduce import verify_files
from forecasting.schemas import METRICS
from forecasting.store import paths
from forecasting.store.manifest import Manifest
from forecasting.store.store import Store

__all__ = ["quantile_bar", "run_show", "show"]

Rows = list[dict[str, Any]]

_PIPED_WIDTH = 200
_BAR_WIDTH = 40
_LEFT = ("Ticker", "Model", "Reason", "Bands")
_PRICES = {"5 %": "q05", "25 %": "q25", "Median": "q50", "75 %": "q75", "95 %": "q95"}
_REASON_WIDTH = 30


def run_show(store: Path, ticker: str | None = None, *, as_of: date | Literal["latest"] = "latest") -> int:
    """Show what was published: every ticker's next forecast, or all about one ticker.

    Parameters
    ----------
    store
        The store's folder.
    ticker
        Only this one: all its steps, its scores beside the baselines, what was noticed in its data.
    as_of
        The published date, YYYY-MM-DD; latest for the newest.

    Returns
    -------
    int
        The exit status, 0.

    Raises
    ------
    InputError
        As `show`.
    """
    # A pipe has no width of its own; eighty columns would cut the tables that it is to carry on.
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)
    show(Store(store, create=False), console, ticker, as_of=None if as_of == "latest" else as_of)
    return 0


def show(store: Store, console: Console, ticker: str | None = None, *, as_of: date | None = None) -> None:
    """Print what a store holds for one date: all tickers' next forecasts, or everything about one ticker.

    Parameters
    ----------
    store
        The store; it is only read.
    console
        Where to print.
    ticker
        Only this one, with all its steps, scores and findings; upper and lower case may differ when it stays clear.
    as_of
        The published date; the newest when None.

    Raises
    ------
    InputError
        When nothing is published as of the date, a file is damaged, or the ticker is not in it.
    """
    chosen = as_of or store.latest()
    if chosen is None:
        raise InputError("nothing is published here yet", file=store.address)
    forecasts = _rows(store.forecasts(chosen).sort_by([("ticker", "ascending"), ("step", "ascending")]))
    manifest = store.manifest(chosen) if store.exists(paths.manifest(chosen)) else None
    _print_header(console, store, chosen, forecasts, manifest)
    if ticker is None:
        _print_all(console, forecasts, manifest)
    else:
        withheld = {entry.ticker: entry.reason for entry in manifest.withheld if entry.ticker} if manifest else {}
        name = _known_ticker(ticker, [*(row["ticker"] for row in forecasts), *withheld])
        if name in withheld:
            console.print(Text(f"{printable(name)} was withheld: {printable(withheld[name], 500)}"))
        else:
            _print_ticker(console, name, [row for row in forecasts if row["ticker"] == name])
            _print_scores(console, store, chosen, name)
        _print_findings(console, manifest, name)


def quantile_bar(quantiles: Mapping[str, float], low: float, high: float, width: int = _BAR_WIDTH) -> str:
    """Draw a forecast's bands as a line of text between two prices.

    Parameters
    ----------
    quantiles
        ``q05``, ``q10``, ``q25``, ``q50``, ``q75``, ``q90``, ``q95``.
    low, high
        The prices at the line's ends.
    width
        Its length in characters.

    Returns
    -------
    str
        Dots from q05 to q95, a line from q10 to q90, a block from q25 to q75, and a bar at the median.
    """
    span = (high - low) or 1.0

    def place(name: str) -> int:
        return min(max(round((quantiles[name] - low) / span * (width - 1)), 0), width - 1)

    cells = [" "] * width
    for first, last, mark in (("q05", "q95", "·"), ("q10", "q90", "─"), ("q25", "q75", "▒")):
        for cell in range(place(first), place(last) + 1):
            cells[cell] = mark
    cells[place("q50")] = "┃"
    return "".join(cells)


def _rows(table: pa.Table) -> Rows:
    rows: Rows = table.to_pylist()
    return rows


def _print_header(console: Console, store: Store, as_of: date, forecasts: Rows, manifest: Manifest | None) -> None:
    tickers = len({row["ticker"] for row in forecasts})
    lstm = sum(row["model"] == "lstm" for row in forecasts)
    line = Text(f"As of {day(as_of)}", style="bold")
    said = f"  {count(tickers, 'ticker')}, {count(len(forecasts), 'forecast')}, {lstm:,} of them by the LSTM"
    console.print(line.append(said, style="not bold"))
    if manifest is None:
        console.print(Text("no manifest: files not verified", style="yellow"))
        return
    differing = [difference for difference in verify_files(store, as_of) if not difference.prunable]
    if not differing:
        console.print(Text("files verified against the manifest's SHA-256", style="green"))
    for difference in differing:
        console.print(Text(f"{printable(difference.name, 200)}: {difference.kind}", style="bold red"))


def _print_all(console: Console, forecasts: Rows, manifest: Manifest | None) -> None:
    nearest: dict[str, dict[str, Any]] = {}
    for row in forecasts:
        nearest.setdefault(row["ticker"], row)
    lines = [{"Ticker": printable(name, 24), "Cutoff": row["cutoff"]} | _cells(row) for name, row in nearest.items()]
    _print_table(console, lines, optional=("25 %", "75 %", "Step", "Cutoff", "Reason"))
    if len(forecasts) > len(nearest):
        console.print(Text("All steps, scores and findings of one ticker: show STORE TICKER", style="dim"))
    for entry in manifest.withheld if manifest else ():
        who = printable(entry.ticker or entry.file or "")
        console.print(Text(f"withheld: {who}: {printable(entry.reason, 500)}", style="yellow"))


def _print_ticker(console: Console, name: str, rows: Rows) -> None:
    anchor = rows[0]["anchor_price"]
    decimals = decimals_for(anchor)
    after = f"after {day(rows[0]['cutoff'])}, last {rows[0]['anchor'].capitalize()} {number(anchor, decimals)}"
    console.print(Text(f"\n{printable(name, 300)}: {after}", style="bold"))
    low = min(anchor, *(row["q05"] for row in rows))
    high = max(anchor, *(row["q95"] for row in rows))
    lines = [_cells(row) | {"Bands": quantile_bar(row, low, high)} for row in rows]
    _print_table(console, lines, optional=("25 %", "75 %", "Reason", "Step", "Bands"))
    ends = f"{number(low, decimals)} to {number(high, decimals)}"
    console.print(Text(f"Bands from {ends}: · 90 %, ─ 80 %, ▒ 50 %, ┃ median", style="dim"))


def _print_scores(console: Console, store: Store, as_of: date, name: str) -> None:
    if not store.exists(paths.metrics(as_of)):
        return
    scores = _rows(store.table(paths.metrics(as_of), METRICS, filters=[("ticker", "==", name)]))
    if not scores:
        console.print(Text("\nNo held-out scores: too little history.", style="yellow"))
        return
    decimals = decimals_for(max(row["mae"] or 0.0 for row in scores)) + 1
    reference = {row["step"]: row["crps"] for row in scores if row["model"] == REFERENCE}
    lines = []
    for row in sorted(scores, key=lambda row: (row["step"], row["crps"] is None, row["crps"])):
        against = reference.get(row["step"])
        line = {"Step": row["step"], "Model": printable(row["model"]), "n": row["n"]}
        line |= {column.upper(): number(row[column], decimals) for column in ("mae", "rmse", "crps")}
        line["/ persistence"] = number(row["crps"] / against if against and row["crps"] is not None else None, 3)
        line["MASE"] = number(row["mase"], 3)
        line |= {f"{share} %": percent(row[f"coverage_{share}"]) for share in (50, 80, 90)}
        lines.append(line | {"DM p": p_value(row["dm_p_value"]), "Published": "yes" if row["chosen"] else ""})
    console.print(Text("\nOn held-out sessions, beside the baselines", style="bold"))
    _print_table(console, lines, optional=("RMSE", "50 %", "90 %", "MASE", "n", "DM p"))


def _print_findings(console: Console, manifest: Manifest | None, name: str) -> None:
    found = [finding for finding in manifest.findings if finding.ticker in (name, "")] if manifest else []
    if found:
        console.print(Text("\nAbout its data", style="bold"))
    for finding in found:
        kind = finding.kind.replace("_", " ") + (f", {count(finding.rows, 'row')}" if finding.rows else "")
        console.print(Text(f"  {printable(kind)}: {printable(finding.message, 1000)}"))


def _known_ticker(wanted: str, known: Iterable[str]) -> str:
    names = list(dict.fromkeys(known))
    if wanted in names:
        return wanted
    alike = [name for name in names if name.casefold() == wanted.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = alike or difflib.get_close_matches(wanted.upper(), names, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(printable(name) for name in near)}" if near else ""
    raise InputError(f'no forecast of "{printable(wanted)}" is published as of this date{hint}')


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    decimals = decimals_for(row["anchor_price"])
    return {
        "Open on": row["target_date"],
        "Step": row["step"],
        **{head: number(row[column], decimals) for head, column in _PRICES.items()},
        "Change": signed_percent(row["forecast"] / row["anchor_price"] - 1),
        "Model": printable(row["model"]),
        "Reason": printable(row["reason"] or "", 200),
    }


def _print_table(console: Console, lines: Rows, *, optional: tuple[str, ...]) -> None:
    # A number that a narrow terminal cuts off is another number: optional columns go first, in this order.
    widths = {head: max(len(str(cell)) for cell in (head, *(line[head] for line in lines))) for head in lines[0]}
    if not any(line.get("Reason") for line in lines):
        widths.pop("Reason", None)
    if "Reason" in widths:
        widths["Reason"] = min(widths["Reason"], _REASON_WIDTH)
    for head in optional:
        if sum(widths.values()) + 2 * len(widths) > console.width:
            widths.pop(head, None)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    for head, width in widths.items():
        side: Literal["left", "right"] = "left" if head in _LEFT else "right"
        table.add_column(head, justify=side, no_wrap=head != "Reason", min_width=width, overflow="fold")
    for line in lines:
        # Text, because a string would be read as markup.
        table.add_row(*(Text(str(line[head])) for head in widths), style="bold" if line.get("Published") else "")
    console.print(table)
