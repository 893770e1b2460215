"""The whole walk in one process and one call, for use without an orchestrator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Literal

import pandas as pd
import pyarrow as pa

from forecasting.config import ForecastConfig
from forecasting.evaluation.evaluate import evaluate
from forecasting.evaluation.heldout_summary import published_heldout, summarize_heldout
from forecasting.features.series import TickerSeries, engineer
from forecasting.features.windows import group, window
from forecasting.ingest.latest import shared_day
from forecasting.ingest.prices import Ingested
from forecasting.model.training import train
from forecasting.model.training_loop import UNWATCHED, Watch
from forecasting.run import Run, ShardForecast, collect
from forecasting.schemas import FORECASTS, as_table, parquet_bytes
from forecasting.store.model_card import model_file
from forecasting.store.transaction import Drafts

__all__ = ["forecast", "forecast_bytes", "forecast_shard"]


def forecast(
    ingested: Ingested,
    config: ForecastConfig | None = None,
    as_of: date | None = None,
    watch: Watch = UNWATCHED,
) -> Run:
    """Engineer, train and evaluate everything that was read, one shard after the other.

    Parameters
    ----------
    ingested
        The prices, from `read_prices` or `prices_from_frame`.
    config
        The configuration; the default preset when None.
    as_of
        The date of the forecasts; the last date that the tickers share when None. Later rows are not used.
    watch
        Gets the training's progress, and decides whether it continues.

    Raises
    ------
    InputError
        When not one ticker can be forecast.
    TrainingStoppedError
        When the watch stops the training.
    """
    config = config or ForecastConfig()
    as_of = as_of or shared_day(ingested.prices)
    ingested = replace(ingested, prices=ingested.prices[ingested.prices["date"] <= pd.Timestamp(as_of)])
    engineered = engineer(ingested.prices, config, as_of)
    shards = [
        forecast_shard(number, shard, config, watch=watch)
        for number, shard in enumerate(group(engineered.series, config))
    ]
    return collect(ingested, engineered, shards, config=config, as_of=as_of)


def forecast_shard(
    number: int,
    shard: Sequence[TickerSeries],
    config: ForecastConfig,
    *,
    drafts: Drafts | None = None,
    heldout: Literal["all", "published", "none"] = "all",
    watch: Watch = UNWATCHED,
) -> ShardForecast:
    """Make the windows of one shard, train and evaluate; its large data are freed afterwards.

    Parameters
    ----------
    number
        The shard's number, for the names of its files.
    shard
        The tickers.
    config
        The configuration.
    drafts
        Where the held-out rows are written; they stay in memory when None.
    heldout
        Which held-out rows are kept: those of all models, of the published model at each step, or none.
    watch
        Gets the training's progress, and decides whether it continues.
    """
    windows = window(shard, config)
    trained = train(windows, config, watch)
    evaluated = evaluate(windows, trained, config)
    published = published_heldout(evaluated.heldout, evaluated.forecasts)
    kept = {"all": evaluated.heldout, "published": published, "none": {}}[heldout]
    rows = pa.concat_tables([kept[ticker] for ticker in sorted(kept)]) if kept else None
    return ShardForecast(
        evaluated=replace(evaluated, heldout={}),
        model=model_file(f"shard-{number:03d}", windows, trained, evaluated, config),
        heldout=rows if rows is None or drafts is None else drafts.heldout(rows),
        summaries=summarize_heldout(published),
    )


def forecast_bytes(config: ForecastConfig, ingested: Ingested, as_of: date) -> bytes:
    """Return the bytes of forecasts.parquet for a configuration, the rows and a date; nothing is written."""
    run = forecast(ingested, config, as_of)
    return parquet_bytes(as_table(run.forecasts, FORECASTS), FORECASTS)
