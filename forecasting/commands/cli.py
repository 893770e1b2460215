"""The commands that look at a store or use a saved model.

Each returns the exit status, and raises an `InputError` when the store, the input or an option is wrong. Each imports
what it needs when it is called: pandas and torch take seconds, which ``--help`` should not wait for.
"""

from __future__ import annotations

import json as json_format
import sys
from datetime import date
from pathlib import Path
from typing import Literal

from forecasting.commands import DONE, FAILED, PARTIAL, Flag, Reading, complain
from forecasting.config import parse_as_of
from forecasting.errors import InputError
from forecasting.formatting import printable

__all__ = ["run_predict", "run_prune", "run_scores", "run_show", "run_verify"]


def run_show(
    store: Path, ticker: str | None = None, *, as_of: date | Literal["latest"] = "latest", json: Flag = False
) -> int:
    """Show what was published: every ticker's next forecast, or all about one ticker.

    Parameters
    ----------
    store
        The store's folder.
    ticker
        Only this one: all its steps, its scores and those of the baselines, what was noticed in its data.
    as_of
        The published date, YYYY-MM-DD; latest for the newest.
    json
        Print one JSON object, with every step and quantile, instead of tables.
    """
    from forecasting.commands.show import look_as_json, look_at, show
    from forecasting.commands.terminal import open_console
    from forecasting.store.store import Store

    found = look_at(Store(store, create=False), ticker, as_of=None if as_of == "latest" else as_of)
    if json:
        sys.stdout.write(json_format.dumps(look_as_json(found), allow_nan=False) + "\n")
    else:
        show(found, open_console())
    return DONE


def run_scores(store: Path, *, sessions: int = 60, json: Flag = False) -> int:
    """Show how published forecasts turned out, by step, by model and by ticker.

    Parameters
    ----------
    store
        The store's folder.
    sessions
        Number of the last target sessions.
    json
        Print one JSON object, with all tickers, instead of tables.
    """
    from forecasting.commands.scores import print_scores, scores_as_json
    from forecasting.commands.terminal import open_console
    from forecasting.monitoring.ledger import read_scores
    from forecasting.reports.track_record import HISTORY, track_record
    from forecasting.store.store import Store

    opened = Store(store, create=False)
    record = track_record(read_scores(opened, dates=HISTORY + 60), sessions) if sessions > 0 else None
    if record is None:
        what = "no published forecast has come due yet" if sessions > 0 else "sessions must be 1 or more"
        raise InputError(what, file=opened.address)
    if json:
        sys.stdout.write(json_format.dumps(scores_as_json(record), allow_nan=False) + "\n")
    else:
        print_scores(record, open_console())
    return DONE


def run_verify(store: Path, *, as_of: str = "latest", prices: str | None = None) -> int:
    """Run a published date again; status 1 when the forecasts differ. Nothing in the store changes.

    Parameters
    ----------
    store
        The folder in which the forecasts were published.
    as_of
        The published date, YYYY-MM-DD, or latest.
    prices
        Where the price files are now, as for the forecast; by default where they were then.
    """
    from forecasting.ingest.prices import read_prices
    from forecasting.pipeline import forecast_bytes
    from forecasting.reproduce import verify
    from forecasting.store.store import Store

    opened = Store(store, create=False)
    day = parse_as_of(as_of) if as_of != "latest" else opened.latest()
    if day is None or isinstance(day, str):
        raise InputError("nothing is published here that could be verified", file=str(store))
    result = verify(opened, day, prices, read=read_prices, rerun=forecast_bytes)
    lines = [f"as of {day}: {'identical' if result.identical else 'differs'}"]
    lines += [f"  {difference}" for difference in result.differences]
    lines += [f"  note: {note}" for note in result.notes]
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE if result.identical else FAILED


def run_predict(
    model: Path,
    prices: Path,
    *,
    ticker: str | None = None,
    as_of: str = "latest",
    json: Flag = False,
    reading: Reading = Reading(),  # noqa: B008 - it is frozen
) -> int:
    """Forecast the next sessions' Open from a saved model, without training; status 3 when tickers are left out.

    Parameters
    ----------
    model
        A model file of a store: models/as_of=YYYY-MM-DD/NAME.safetensors. It is checked before it is used.
    prices
        One CSV, a folder of CSVs or a pattern, as for the forecast.
    ticker
        Only this one; by default all tickers of the model.
    as_of
        Rows after this date, YYYY-MM-DD, are set aside; none when latest.
    json
        Print one JSON object per forecast, each on one line, with all 19 quantiles.
    reading
        How the prices are to be read.
    """
    day = parse_as_of(as_of)
    if day == "scheduled":
        raise InputError("a saved model has no schedule", setting="set --as-of latest or YYYY-MM-DD")
    cutoff = None if day == "latest" else day
    from forecasting.commands.terminal import forecast_line, open_console, print_forecasts
    from forecasting.ingest.prices import read_prices
    from forecasting.saved_model import forecast_from, read_model
    from forecasting.schemas import FORECASTS, as_table

    saved = read_model(model) if ticker is None else read_model(model).only(ticker)
    ingested = read_prices(prices, as_of=cutoff, tickers=None if ticker is None else [ticker], **reading.given())
    prediction = forecast_from(saved, ingested.prices, cutoff)
    rows = as_table(prediction.forecasts, FORECASTS).to_pylist()
    if json:
        sys.stdout.writelines(f"{json_format.dumps(row, default=str)}\n" for row in rows)
    else:
        print_forecasts(open_console(), [forecast_line(row) for row in rows])
    refused = [f"{one.ticker or one.file}: {one.error}" for one in ingested.refused]
    sys.stdout.flush()
    for line in (*refused, *prediction.failed.values(), *prediction.notes):
        sys.stderr.write(f"{printable(line, 500)}\n")
    return PARTIAL if refused or prediction.failed else DONE


def run_prune(store: Path, *, keep_runs: int = 60, keep_heldout: int = 10, dry_run: bool = False) -> int:
    """Remove old held-out rows, models and reports, oldest first; never forecasts, scores, metrics or manifests.

    Parameters
    ----------
    store
        The folder in which the forecasts were published.
    keep_runs
        Published dates, the newest, that keep their models and report.
    keep_heldout
        Published dates, the newest, that keep their held-out rows, which are most of a store.
    dry_run
        Only report what would be removed.
    """
    from forecasting.store.retention import prune
    from forecasting.store.store import Store, StoreLockedError

    opened = Store(store, create=False)
    if not opened.dates():
        raise InputError("nothing is published here, so nothing was removed", file=str(store))
    try:
        removed = prune(opened, keep_runs=keep_runs, keep_heldout=keep_heldout, dry_run=dry_run)
    except StoreLockedError as error:
        return complain(error, FAILED)
    sys.stdout.writelines(f"{name}\n" for name in removed)
    sys.stdout.write(f"{len(removed)} files {'would be ' if dry_run else ''}removed\n")
    return DONE
