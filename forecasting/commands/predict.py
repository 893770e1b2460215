"""Forecasting from a saved model, without training: ``daily-forecast predict MODEL PRICES``."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from forecasting.commands import DONE, PARTIAL, Json, Reading
from forecasting.commands.terminal import forecast_line, open_console, print_forecasts
from forecasting.config import parse_as_of
from forecasting.errors import InputError
from forecasting.formatting import printable
from forecasting.ingest.prices import read_prices
from forecasting.saved_model import forecast_from, read_model
from forecasting.schemas import FORECASTS, as_table

__all__ = ["run_predict"]


def run_predict(
    model: Path,
    prices: Path,
    *,
    ticker: str | None = None,
    as_of: str = "latest",
    json: Json = False,
    reading: Reading = Reading(),  # noqa: B008 - it is frozen
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
    reading
        How the prices are to be read.

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
    ingested = read_prices(prices, as_of=cutoff, tickers=None if ticker is None else [ticker], **reading.given())
    prediction = forecast_from(saved, ingested.prices, cutoff)
    rows = as_table(prediction.forecasts, FORECASTS).to_pylist()
    if json:
        sys.stdout.writelines(f"{json_format.dumps(row, default=str)}\n" for row in rows)
    else:
        print_forecasts(open_console(), [forecast_line(row) for row in rows])
    refused = [f"{one.ticker or one.file}: {one.error}" for one in ingested.refused]
    notes = Console(stderr=True, highlight=False, soft_wrap=True)
    for line in (*refused, *prediction.failed.values(), *prediction.notes):
        notes.print(Text(printable(line, 500), style="yellow"))
    return PARTIAL if refused or prediction.failed else DONE
