"""Forecasting from a saved model, without training: ``daily-forecast predict MODEL PRICES``."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecasting.config import parse_as_of
from forecasting.errors import InputError
from forecasting.formatting import decimals_for, format_number, printable, signed_percent
from forecasting.ingest.format import load_format
from forecasting.ingest.prices import read_prices
from forecasting.saved_model import forecast_from, read_model
from forecasting.schemas import FORECASTS, as_table

__all__ = ["run_predict"]

_PRICES = {"5 %": "q05", "25 %": "q25", "Median": "q50", "75 %": "q75", "95 %": "q95"}
_PIPED_WIDTH = 160


def run_predict(
    model: Path,
    prices: Path,
    *,
    ticker: str | None = None,
    as_of: str = "latest",
    json: Annotated[bool, Parameter(negative=())] = False,
    date_order: Literal["auto", "dmy", "mdy", "ymd"] = "auto",
    decimal: Literal["auto", "point", "comma"] = "auto",
    format: Path | None = None,  # noqa: A002 - as the option is called
) -> int:
    """Forecast the next sessions' Open from a saved model, without training.

    Parameters
    ----------
    model
        A model file of a store: models/as_of=YYYY-MM-DD/NAME.safetensors. It is checked before it is used.
    prices
        One CSV, a folder of CSVs or a pattern, as for the forecast.
    ticker
        Only this one; all that the model knows when not given.
    as_of
        Rows after this date, YYYY-MM-DD, are set aside; none when latest.
    json
        Print one JSON object a forecast, one a line, with all 19 quantiles.
    date_order
        The order of day, month and year where they are numbers.
    decimal
        The decimal mark.
    format
        A TOML file that declares how the vendor writes its files.

    Returns
    -------
    int
        The exit status: 0, or 3 when some ticker of the model could not be read or forecast.

    Raises
    ------
    InputError
        When the model or the prices cannot be used, or no ticker can be forecast.
    """
    day = parse_as_of(as_of)
    if day == "scheduled":
        raise InputError("a saved model has no schedule", setting="set --as-of latest or YYYY-MM-DD")
    cutoff = None if day == "latest" else day
    saved = read_model(model) if ticker is None else read_model(model).only(ticker)
    tickers = None if ticker is None else [ticker]
    declared = None if format is None else load_format(format)
    ingested = read_prices(
        prices, as_of=cutoff, tickers=tickers, date_order=date_order, decimal=decimal, format=declared
    )
    prediction = forecast_from(saved, ingested.prices, cutoff)
    rows = as_table(prediction.forecasts, FORECASTS).to_pylist()
    if json:
        for row in rows:
            sys.stdout.write(json_format.dumps(row, default=str) + "\n")
    else:
        _print(rows)
    refused = [f"{one.ticker or one.file}: {one.error}" for one in ingested.refused]
    told = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in (*refused, *prediction.failed.values(), *prediction.notes):
        told.print(Text(printable(line, 500), style="yellow"))
    return 3 if refused or prediction.failed else 0


def _print(rows: list[dict[Any, Any]]) -> None:
    console = Console(highlight=False)
    console = console if console.is_terminal else Console(highlight=False, width=_PIPED_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
    table.add_column("Ticker", no_wrap=True)
    for name in ("Cutoff", "Last price", "Open on", "Step", *_PRICES, "Change"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        anchor = row["anchor_price"]
        cells = [
            printable(row["ticker"], 24),
            str(row["cutoff"]),
            format_number(anchor, decimals_for(anchor)),
            str(row["target_date"]),
            str(row["step"]),
            *(format_number(row[column], decimals_for(anchor)) for column in _PRICES.values()),
            signed_percent(row["forecast"] / anchor - 1),
        ]
        # A string would be read as markup.
        table.add_row(*(Text(cell) for cell in cells))
    console.print(table)
