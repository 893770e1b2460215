"""How published forecasts turned out, in a terminal: ``daily-forecast scores STORE``.

It only reads the store's scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from rich.console import Console
from rich.text import Text

from forecasting.commands.terminal import plain_json, print_table
from forecasting.formatting import pluralize, printable
from forecasting.reports.cells import measure_cells, miss_cells
from forecasting.reports.track_record import TrackRecord, verdict

__all__ = ["print_scores", "scores_as_json"]

_LEFT = ("Ticker", "Model", "Open on")
_OPTIONAL = ("Bias", "50 %", "90 %", "CRPS, %", "Forecasts")


def print_scores(record: TrackRecord, console: Console) -> None:
    """Print the verdict, the measures by step, model and ticker, and the worst misses."""
    console.print(Text(f"{record.health.status.capitalize()}. {verdict(record)}", style="bold"), soft_wrap=True)
    title, tickers = record.extremes
    for head, rows, column in (
        ("By step", record.steps, "step"),
        ("By the model that was published", record.models, "model"),
        (title, tickers, "ticker"),
    ):
        print_table(console, list(_measured(rows, column)), left=_LEFT, optional=_OPTIONAL, title=f"\n{head}")
    print_table(
        console,
        list(map(miss_cells, record.misses.to_dict("records"))),
        left=_LEFT,
        optional=("Model",),
        title="\nWorst misses",
    )
    if len(record.units):
        names = pluralize(record.units["ticker"].nunique(), "ticker")
        console.print(Text(f"\n{names}: scored in the unit of the forecast, before a split or a rebased history"))


def scores_as_json(record: TrackRecord) -> dict[str, Any]:
    """Return the same as plain values: shares are between 0 and 1, CRPS and bias are shares of the price."""
    health = record.health
    values = {
        "to": record.last,
        "sessions": health.sessions,
        "forecasts": health.forecasts,
        "status": health.status,
        "reasons": health.reasons,
        "coverage_80": health.coverage,
        "skill": health.skill,
        "trend": record.trend.word,
        "steps": record.steps.to_dict("records"),
        "models": record.models.to_dict("records"),
        "tickers": record.tickers.to_dict("records"),
    }
    written: dict[str, Any] = plain_json(values)
    return written


def _measured(table: pd.DataFrame, first: str) -> Iterable[dict[str, object]]:
    for row in table.to_dict("records"):
        yield {first.capitalize(): printable(row[first], 24), **measure_cells(row)}
