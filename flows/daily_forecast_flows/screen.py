"""What the command line says at the end of a run: the next forecasts, the scores, what was written where."""

from __future__ import annotations

import sys
import traceback
from typing import Any

import pandas as pd
from prefect.client.schemas.objects import State
from rich.console import Console
from rich.text import Text

from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.tasks import LASTING
from forecasting.commands import DONE, FAILED, PARTIAL, STOPPED, complain
from forecasting.commands.terminal import open_console, print_table
from forecasting.errors import InputError
from forecasting.findings import worst
from forecasting.formatting import pluralize, printable
from forecasting.model.tutorial_report import TutorialReport
from forecasting.publish import Run
from forecasting.reports.cells import forecast_cells, score_cells
from forecasting.reports.summary import overview, pooled_scores
from forecasting.store import paths
from forecasting.store.store import Store, StoreLockedError

__all__ = ["conclude", "lost", "show"]

SHOWN = 12
"""Tickers whose forecasts are printed; more would hide the scores."""

WORST = 3
"""Warnings that are printed; all are in the report."""

_NAMES = ("Ticker", "Model", "Reason")
_FORECAST = {
    "Open on": "target_date",
    "Anchor": "anchor_price",
    "Median": "q50",
    "80 % from": "q10",
    "to": "q90",
    "Change": "change",
    "Model": "model",
}
_SCORES = {
    "Step": "step",
    "Model": "model",
    "Tickers": "tickers",
    "CRPS": "crps_ratio",
    "MAE": "mae_ratio",
    "50 %": "coverage_50",
    "80 %": "coverage_80",
    "90 %": "coverage_90",
    "Published for": "chosen",
}


def show(outcome: Outcome) -> None:
    """Print it."""
    console = open_console()
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
        more = f"and {pluralize(len(warnings) - WORST, 'more warning')}, in the report and the manifest"
        console.print(Text(more, style="yellow"))
    console.print(Text(outcome.message, style="bold"))
    for what, where in _places(outcome.store, outcome.run):
        console.print(Text(f"  {what:<10} {where}"), soft_wrap=True)


def _forecasts(console: Console, run: Run) -> None:
    nearest = overview(run.forecasts, run.metrics)
    lines = []
    for row in nearest.head(SHOWN).to_dict("records"):
        cells = forecast_cells(row)
        line = {"Ticker": printable(cells["ticker"], 24)} | {head: cells[name] for head, name in _FORECAST.items()}
        lines.append(line | {"Reason": printable(cells["reason"], 100)})
    title = f"The next Open, as of {run.as_of}"
    print_table(console, lines, left=_NAMES, folded={"Reason": 40}, title=title)
    if len(nearest) > SHOWN:
        console.print(Text(f"and {pluralize(len(nearest) - SHOWN, 'ticker')} more", style="dim"))


def _scores(console: Console, scores: pd.DataFrame) -> None:
    if scores.empty:
        console.print(Text("No scores: too little history.", style="yellow"))
        return
    first, last = scores["step"].min(), scores["step"].max()
    ordered = scores[scores["step"].isin([first, last])].sort_values(["step", "crps_ratio"])
    lines = []
    for row in ordered.to_dict("records"):
        cells = score_cells(row) | {"tickers": str(row["tickers"]), "chosen": str(int(row["published"]))}
        lines.append({head: cells[name] for head, name in _SCORES.items()})
    print_table(console, lines, left=_NAMES, title="Held-out scores; CRPS and MAE as multiples of persistence's")


def _losses(console: Console, tutorial: TutorialReport) -> None:
    # Not as the table's title, which would be folded to its width.
    console.print(Text(f"Training of {printable(tutorial.ticker)}, as the tutorial prints it", style="bold"))
    print_table(console, [{"Epoch": f"{epoch:,}", "Loss": f"{loss:.6f}"} for epoch, loss in tutorial.losses.items()])


def _places(store: Store, run: Run) -> list[tuple[str, str]]:
    return [
        ("forecasts", store.where(paths.forecasts(run.as_of))),
        ("scores", store.where(paths.metrics(run.as_of))),
        ("report", store.where(paths.report(run.as_of))),
    ]


def lost(error: Exception, output: str) -> int:
    """Say that the server went away while a flow ran, and what is published; returns the exit status."""
    newest = Store(output, create=False).latest()
    message = f"the Prefect server was lost: {type(error).__name__}: {error}"
    return complain(f"{message}; the newest date published in {output}: {newest}", FAILED)


def conclude(state: State[Any]) -> int:
    """Say how a run ended; returns the exit status.

    Raises
    ------
    InputError
        When the input turned out wrong.
    """
    if state.is_cancelled():
        return complain(state.message or "Stopped", STOPPED)
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, InputError):
        raise outcome
    if isinstance(outcome, StoreLockedError) or (isinstance(outcome, OSError) and outcome.errno in LASTING):
        return complain(outcome, FAILED)
    if isinstance(outcome, BaseException):
        traceback.print_exception(outcome)
        return FAILED
    if isinstance(outcome, Outcome):
        show(outcome)
    else:
        sys.stdout.write(f"{outcome.message}\n")
    return PARTIAL if outcome.partial else DONE
