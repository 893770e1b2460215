"""What the command line says at the end of a run: the next forecasts, the scores, what was written where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from daily_forecast_flows.outcome import Outcome
from forecasting.findings import worst
from forecasting.formatting import count, decimals_for, number, percent, printable, signed_percent
from forecasting.model.tutorial_report import TutorialReport
from forecasting.publish import Run
from forecasting.reports.summary import overview, pooled_scores
from forecasting.store import paths
from forecasting.store.store import Store

__all__ = ["show"]

SHOWN = 12
"""Tickers whose forecasts are printed; more would hide the scores."""

WORST = 3
"""Warnings that are printed; all are in the report."""

_NAMES = ("Ticker", "Model", "Reason")


def show(outcome: Outcome) -> None:
    """Print it."""
    # A pipe has no width of its own; eighty columns would fold the tables.
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=160)
    if outcome.run is None or outcome.store is None:
        console.print(Text(outcome.message))
        return
    _forecasts(console, outcome.run)
    _scores(console, pooled_scores(outcome.run.metrics))
    if outcome.run.tutorial is not None:
        _losses(console, outcome.run.tutorial)
    for one in outcome.run.withheld:
        who = printable(one.ticker or one.file or "")
        console.print(Text(f"withheld: {who}: {printable(one.reason, 500)}", style="yellow"))
    warnings = [finding for finding in outcome.run.findings if finding.kind != "set_aside"]
    for finding in worst(warnings, WORST):
        console.print(Text(f"warning: {printable(finding.message, 300)}", style="yellow"), soft_wrap=True)
    if len(warnings) > WORST:
        more = f"and {count(len(warnings) - WORST, 'more warning')}, in the report and the manifest"
        console.print(Text(more, style="yellow"))
    console.print(Text(outcome.message, style="bold"))
    for what, where in _places(outcome.store, outcome.run):
        console.print(Text(f"  {what:<10} {where}"), soft_wrap=True)


def _forecasts(console: Console, run: Run) -> None:
    nearest = overview(run.forecasts, run.metrics)
    heads = ("Ticker", "Open on", "Anchor", "Median", "80 % from", "to", "Change", "Model", "Reason")
    table = _table(f"The next Open, as of {run.as_of}", heads)
    for row in nearest.head(SHOWN).to_dict("records"):
        decimals = decimals_for(row["anchor_price"])
        prices = (number(row[name], decimals) for name in ("anchor_price", "forecast", "q10", "q90"))
        reason = "" if pd.isna(row["reason"]) else printable(row["reason"], 100)
        change = signed_percent(row["change"])
        _add(table, (printable(row["ticker"], 24), row["target_date"], *prices, change, row["model"], reason))
    console.print(table)
    if len(nearest) > SHOWN:
        console.print(Text(f"and {count(len(nearest) - SHOWN, 'ticker')} more", style="dim"))


def _scores(console: Console, scores: pd.DataFrame) -> None:
    if scores.empty:
        console.print(Text("No scores: too little history.", style="yellow"))
        return
    heads = ("Step", "Model", "Tickers", "Published", "CRPS", "MAE", "50 %", "80 %", "90 %")
    table = _table("Held-out scores; CRPS and MAE as multiples of persistence's", heads)
    first, last = scores["step"].min(), scores["step"].max()
    for row in scores[scores["step"].isin([first, last])].sort_values(["step", "crps_ratio"]).to_dict("records"):
        ratios = (number(row[name], 3) for name in ("crps_ratio", "mae_ratio"))
        covered = (percent(row[f"coverage_{share}"]) for share in (50, 80, 90))
        _add(table, (row["step"], row["model"], row["tickers"], int(row["published"]), *ratios, *covered))
    console.print(table)


def _losses(console: Console, tutorial: TutorialReport) -> None:
    # Not as the table's title, which would be folded to its width.
    console.print(Text(f"Training of {printable(tutorial.ticker)}, as the tutorial prints it", style="bold"))
    table = _table("", ("Epoch", "Loss"))
    for epoch, loss in tutorial.losses.items():
        _add(table, (f"{epoch:,}", f"{loss:.6f}"))
    console.print(table)


def _places(store: Store, run: Run) -> list[tuple[str, str]]:
    return [
        ("forecasts", store.where(paths.forecasts(run.as_of))),
        ("scores", store.where(paths.metrics(run.as_of))),
        ("report", store.where(paths.report(run.as_of))),
    ]


def _table(title: str, heads: Sequence[str]) -> Table:
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=None, header_style="dim", padding=(0, 1)
    )
    for head in heads:
        table.add_column(head, justify="left" if head in _NAMES else "right", no_wrap=head != "Reason")
    return table


def _add(table: Table, cells: Iterable[object]) -> None:
    # A plain string would be read as markup.
    table.add_row(*(Text(str(cell)) for cell in cells))
