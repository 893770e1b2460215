"""What was published, in a terminal: ``daily-forecast show STORE [TICKER]``.

It only reads the store's files. Texts from files are written as plain text: a ticker's name can neither colour the
terminal nor move its cursor.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from rich.console import Console
from rich.text import Text

from forecasting.commands.terminal import forecast_line, plain_json, print_forecasts, print_table
from forecasting.errors import InputError
from forecasting.evaluation.metrics import REFERENCE, WITH_LSTM
from forecasting.formatting import decimals_for, format_date, format_number, pluralize, printable
from forecasting.reports.cells import score_cells
from forecasting.reproduce import FileDifference, verify_files
from forecasting.schemas import METRICS
from forecasting.store import paths
from forecasting.store.manifest import FindingRecord, Manifest
from forecasting.store.store import Store

__all__ = ["Look", "look_as_json", "look_at", "quantile_bar", "show"]

Records = list[dict[str, Any]]

_BAR_WIDTH = 40


@dataclass(frozen=True, slots=True)
class Look:
    """The content of a store for one date, or for one ticker on that date.

    Attributes
    ----------
    as_of, ticker
        The date; the ticker, None for all.
    forecasts, scores
        Rows of forecasts.parquet by ticker and step, and of metrics.parquet: only those of the ticker, None when the
        file does not exist.
    manifest
        The manifest; None when it does not exist.
    differing
        Files that are not as the manifest says.
    withheld
        Why the ticker was not published; empty when it was.
    """

    as_of: date
    ticker: str | None
    forecasts: Records
    scores: Records | None
    manifest: Manifest | None
    differing: tuple[FileDifference, ...]
    withheld: str = ""

    @property
    def findings(self) -> list[FindingRecord]:
        """What was noticed in the ticker's data, or in those of all."""
        found = self.manifest.findings if self.manifest else ()
        return [one for one in found if self.ticker is None or one.ticker in (self.ticker, "")]


def look_at(store: Store, ticker: str | None = None, *, as_of: date | None = None) -> Look:
    """Read a store's content for one date: all tickers' forecasts, or everything about one ticker.

    Parameters
    ----------
    store
        The store; it is only read.
    ticker
        Only this one; upper and lower case may differ when the name is unambiguous.
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
    rows: Records = store.forecasts(chosen).sort_by([("ticker", "ascending"), ("step", "ascending")]).to_pylist()
    manifest = store.manifest(chosen) if store.exists(paths.manifest(chosen)) else None
    differing = tuple(one for one in verify_files(store, chosen) if not one.prunable) if manifest else ()
    if ticker is None:
        return Look(chosen, None, rows, None, manifest, differing)
    withheld = {entry.ticker: entry.reason for entry in manifest.withheld if entry.ticker} if manifest else {}
    name = _known_ticker(ticker, [*(row["ticker"] for row in rows), *withheld])
    scores: Records | None = None
    if store.exists(paths.metrics(chosen)):
        scores = store.table(paths.metrics(chosen), METRICS, filters=[("ticker", "==", name)]).to_pylist()
    own = [row for row in rows if row["ticker"] == name]
    return Look(chosen, name, own, scores, manifest, differing, withheld.get(name, ""))


def show(found: Look, console: Console) -> None:
    """Print the content as tables."""
    _print_header(console, found)
    if found.ticker is None:
        _print_all(console, found)
        return
    if found.withheld:
        console.print(Text(f"{printable(found.ticker)} was withheld: {printable(found.withheld, 500)}"))
    else:
        _print_ticker(console, found)
        if found.scores is not None:
            _print_scores(console, found.scores)
    _print_findings(console, found)


def look_as_json(found: Look) -> dict[str, Any]:
    """Return the content as plain values, with prices in each ticker's own unit."""
    manifest = found.manifest
    values = {
        "as_of": found.as_of,
        "verified": manifest is not None and not found.differing,
        "differing": {one.name: one.kind for one in found.differing},
        "forecasts": found.forecasts,
        "scores": found.scores or [],
        "withheld": [one.model_dump() for one in manifest.withheld] if manifest else [],
        "findings": [one.model_dump() for one in found.findings],
    }
    written: dict[str, Any] = plain_json(values)
    return written


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


def _print_header(console: Console, found: Look) -> None:
    rows = found.forecasts
    if found.ticker is None:
        tickers, ours = len({row["ticker"] for row in rows}), sum(row["model"] in WITH_LSTM for row in rows)
        said = f"  {pluralize(tickers, 'ticker')}, {pluralize(len(rows), 'forecast')}, {ours:,} of them with the LSTM"
    else:
        said = ""
    console.print(Text(f"As of {format_date(found.as_of)}", style="bold").append(said, style="not bold"))
    if found.manifest is None:
        console.print(Text("no manifest: files not verified", style="yellow"))
    elif not found.differing:
        console.print(Text("files verified against the manifest's SHA-256", style="green"))
    for difference in found.differing:
        console.print(Text(f"{printable(difference.name, 200)}: {difference.kind}", style="bold red"))


def _print_all(console: Console, found: Look) -> None:
    nearest: dict[str, dict[str, Any]] = {}
    for row in found.forecasts:
        nearest.setdefault(row["ticker"], row)
    print_forecasts(console, [forecast_line(row) for row in nearest.values()])
    if len(found.forecasts) > len(nearest):
        console.print(Text("All steps, scores and findings of one ticker: show STORE TICKER", style="dim"))
    for entry in found.manifest.withheld if found.manifest else ():
        who = printable(entry.ticker or entry.file or "")
        console.print(Text(f"withheld: {who}: {printable(entry.reason, 500)}", style="yellow"))


def _print_ticker(console: Console, found: Look) -> None:
    first = found.forecasts[0]
    anchor, decimals = first["anchor_price"], decimals_for(first["anchor_price"])
    after = (
        f"after {format_date(first['cutoff'])}, last {first['anchor'].capitalize()} {format_number(anchor, decimals)}"
    )
    console.print(Text(f"\n{printable(found.ticker, 300)}: {after}", style="bold"))
    low = min(anchor, *(row["q05"] for row in found.forecasts))
    high = max(anchor, *(row["q95"] for row in found.forecasts))
    lines = [forecast_line(row, of_many=False) | {"Bands": quantile_bar(row, low, high)} for row in found.forecasts]
    print_forecasts(console, lines)
    ends = f"{format_number(low, decimals)} to {format_number(high, decimals)}"
    console.print(Text(f"Bands from {ends}: · 90 %, ─ 80 %, ▒ 50 %, ┃ median", style="dim"))


def _print_scores(console: Console, scores: Records) -> None:
    if not scores:
        console.print(Text("\nNo held-out scores: too little history.", style="yellow"))
        return
    decimals = decimals_for(max(row["mae"] or 0.0 for row in scores)) + 1
    reference = {row["step"]: row["crps"] for row in scores if row["model"] == REFERENCE}
    lines = []
    for row in sorted(scores, key=lambda row: (row["step"], row["crps"] is None, row["crps"])):
        against = reference.get(row["step"])
        cells = score_cells(row)
        line = {"Step": row["step"], "Model": printable(row["model"]), "n": row["n"]}
        line |= {column.upper(): format_number(row[column], decimals) for column in ("mae", "rmse", "crps")}
        line["/ persistence"] = format_number(row["crps"] / against if against and row["crps"] is not None else None, 3)
        line["MASE"] = cells["mase"]
        line |= {f"{share} %": cells[f"coverage_{share}"] for share in (50, 80, 90)}
        lines.append(line | {"DM p": cells["dm_p_value"], "Published": "yes" if row["chosen"] else ""})
    optional = ("RMSE", "50 %", "90 %", "MASE", "n", "DM p")
    print_table(console, lines, left=("Model",), optional=optional, title="\nOn held-out sessions, with the baselines")


def _print_findings(console: Console, found: Look) -> None:
    if found.findings:
        console.print(Text("\nAbout its data", style="bold"))
    for finding in found.findings:
        kind = finding.kind.replace("_", " ") + (f", {pluralize(finding.rows, 'row')}" if finding.rows else "")
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
