"""The report of a run for the Prefect UI: markdown, with the pictures of one ticker inside."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from forecasting.formatting import format_date, format_number, percent, pluralize
from forecasting.reports.cells import forecast_cells
from forecasting.reports.charts import fan_chart, heldout_chart, markdown_picture
from forecasting.reports.html import markdown_table, plain
from forecasting.reports.run_page import verdict
from forecasting.reports.summary import Headline, headline, most_telling, overview
from forecasting.run import Run

__all__ = ["report_markdown"]

LISTED = 100
"""Tickers in the table; the artifact with the table of forecasts has the others, too."""


def report_markdown(run: Run) -> str:
    """Write the verdict, the next forecast of each ticker, and the pictures of the most interesting ticker."""
    table = overview(run.forecasts, run.metrics)
    summary = headline(table, len(run.withheld))
    chosen = most_telling(table)
    parts = [
        f"# Forecasts as of {format_date(run.as_of)}",
        f"**{verdict(summary)}**",
        _facts(summary),
        _next(table),
        *(_pictures(run, chosen) if chosen else ()),
    ]
    return "\n\n".join(parts) + "\n"


def _facts(summary: Headline) -> str:
    cells = {
        "tickers": f"{summary.tickers:,}",
        "with the LSTM": f"{summary.lstm:,} of {summary.forecasts:,}",
        "CRPS / persistence": format_number(summary.crps_ratio, 3),
        "CRPS / best": format_number(summary.best_baseline_ratio, 3),
        "in 80 %": percent(summary.coverage_80),
        "stale": f"{summary.stale:,}",
        "withheld": f"{summary.withheld:,}",
    }
    return markdown_table(list(cells), [cells.values()])


def _next(table: pd.DataFrame) -> str:
    heads = ("ticker", "median", "80 % band", "change", "Open on", "model")
    cells = [forecast_cells(row) for row in table.head(LISTED).to_dict("records")]
    rows = [
        (one["ticker"], one["q50"], f"{one['q10']} to {one['q90']}", one["change"], one["target_date"], one["model"])
        for one in cells
    ]
    written = markdown_table(heads, rows, text=("Open on", "model"))
    more = len(table) - len(rows)
    return f"{written}\n\nAnd {pluralize(more, 'ticker')} more, in the table of forecasts." if more > 0 else written


def _pictures(run: Run, ticker: str) -> Iterator[str]:
    forecasts = run.forecasts[run.forecasts["ticker"] == ticker].sort_values("step")
    first = forecasts.iloc[0]
    cells = forecast_cells(first.to_dict())
    band = f"{cells['q50']}, with four chances in five between {cells['q10']} and {cells['q90']}"
    prices = run.ingested.prices[run.ingested.prices["ticker"] == ticker]
    # Pictures are described with fixed texts; only the title has a ticker's name, which is escaped.
    yield f"## {plain(ticker)}, whose forecast departs most from its last price for the width of its band"
    yield f"Open on {format_date(first['target_date'])}: {band}."
    yield markdown_picture("Recent Open and the fan of the next sessions", fan_chart(prices, forecasts))
    heldout = pd.DataFrame(dict(run.summaries[ticker].newest))
    if len(heldout):
        inside = float(np.mean((heldout["actual"] >= heldout["q10"]) & (heldout["actual"] <= heldout["q90"])))
        yield f"The last {len(heldout)} held-out forecasts: {percent(inside, 0)} were inside the 80 % band."
        yield markdown_picture("Held-out forecasts against the actual Open", heldout_chart(heldout))
